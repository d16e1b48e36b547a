"""What can speak against an operation: every row of the fault table, everything at once, 400 against 422."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from trove.datastores.registry import engine_of
from trove.domain.instances import Cluster, Instance
from trove.domain.plans import Plan
from trove.domain.requests import UpgradeOptions
from trove.domain.states import ClusterTask, EngineStatus, InstanceTask
from trove.planning import lifecycle, prechecks
from trove.planning.topologies import topology_of
from trove.planning.upgrade import upgrade_cluster, upgrade_instance
from trove.planning.world import Busy
from trove.tests.unit.planning import worlds

Blockers = list[tuple[int, str]]
WAYS = "free some space, or confirm with accept_no_rollback (--accept-no-rollback)"


def blockers(plan: Plan) -> Blockers:
    assert bool(plan.blockers) != bool(plan.steps), "a plan with blockers has no steps"
    return [(blocker.code, blocker.reason) for blocker in plan.blockers]


def upgrade(subject: Cluster | Instance, datastore: str, name: str, **more: Any) -> Blockers:
    target = replace(worlds.version(datastore, name), **more.pop("target", {}))
    options = more.pop("options", UpgradeOptions())
    make = upgrade_cluster if isinstance(subject, Cluster) else upgrade_instance
    return blockers(make(worlds.world_of(subject, target, **more), target, options))


def sick(status: EngineStatus = EngineStatus.ERROR, **more: Any) -> Any:
    return worlds.health("10.11", "member", status, **more)


def test_inactive_target() -> None:
    assert upgrade(worlds.galera(), "mariadb", "11.8", target={"active": False}) == [
        (400, "mariadb 11.8 is not active")
    ]


def test_same_version() -> None:
    assert upgrade(worlds.galera(), "mariadb", "10.11") == [(400, "mariadb 10.11 is the current version already")]


def test_same_and_inactive_are_both_named() -> None:
    assert [code for code, _ in upgrade(worlds.galera(), "mariadb", "10.11", target={"active": False})] == [400, 400]


def test_downgrade_says_where_it_could_go() -> None:
    assert upgrade(worlds.galera(), "mariadb", "10.5") == [
        (400, "the engine cannot go from mariadb 10.11 to mariadb 10.5: from here it goes to mariadb 11.8")
    ]


def test_from_the_last_release_there_is_no_way_on() -> None:
    assert upgrade(worlds.galera("11.8"), "mariadb", "10.11") == [
        (400, "the engine cannot go from mariadb 11.8 to mariadb 10.11: there is no way on from it")
    ]


def test_releases_reached_by_several_hops_are_named_but_not_inactive_ones() -> None:
    engine = engine_of("redis")
    versions = worlds.catalogue(engine)
    versions[("redis", "8.0")] = replace(versions[("redis", "8.0")], active=False)
    del versions[("valkey", "8.1")]
    [(code, reason)] = upgrade(worlds.redis(), "redis", "6.0", versions=versions)
    assert code == 400
    assert reason == "the engine cannot go from redis 7.0 to redis 6.0: from here it goes to valkey 9.1"


def test_redis_8_does_not_go_to_valkey() -> None:
    assert upgrade(worlds.redis(name="8.0"), "valkey", "8.1") == [
        (400, "the engine cannot go from redis 8.0 to valkey 8.1: there is no way on from it")
    ]


def test_another_family() -> None:
    assert upgrade(worlds.galera(), "redis", "7.0") == [(400, "redis 7.0 is not of the family of mariadb 10.11")]


@pytest.mark.parametrize("gone", [True, False])
def test_a_hop_that_is_not_offered(gone: bool) -> None:
    versions = worlds.catalogue(engine_of("mariadb"))
    if gone:
        del versions[("mariadb", "10.11")]
    else:
        versions[("mariadb", "10.11")] = replace(versions[("mariadb", "10.11")], active=False)
    assert upgrade(worlds.galera("10.5"), "mariadb", "11.8", versions=versions) == [
        (400, "the way leads through mariadb 10.11, which is not offered here")
    ]


def test_configuration_that_the_target_does_not_know() -> None:
    cluster = worlds.with_member(
        worlds.galera(), "m2", configuration={"values": {"max_connections": 9, "query_cache_size": 1, "innodb_x": 2}}
    )
    assert upgrade(cluster, "mariadb", "11.8") == [
        (400, "the configuration group of m2 sets innodb_x, query_cache_size, which mariadb 11.8 does not know")
    ]
    known = worlds.with_member(worlds.galera(), "m2", configuration={"values": {"max_connections": 9}})
    target = worlds.version("mariadb", "11.8")
    assert not upgrade_cluster(worlds.world_of(known, target), target, UpgradeOptions()).blockers


def test_busy_with_an_operation() -> None:
    busy = Busy("op-1", "cluster_grow", "HELD")
    assert upgrade(worlds.galera(), "mariadb", "11.8", busy=busy) == [
        (
            422,
            "operation op-1 (cluster_grow, HELD) is not finished; wait for it, or resume or roll it back if it is held",
        )
    ]


def test_busy_cluster_and_busy_member() -> None:
    cluster = replace(worlds.galera(), task=ClusterTask.GROWING)
    assert upgrade(cluster, "mariadb", "11.8") == [(422, "cluster shop is busy: adding members")]
    member = worlds.with_member(worlds.galera(), "m3", task=InstanceTask.SHRINK_ERROR)
    assert upgrade(member, "mariadb", "11.8") == [(422, "m3 is not idle: could not be removed from its cluster")]


def test_unhealthy_member_with_what_its_engine_said() -> None:
    cases = {
        "m2: its engine says ERROR: disk full": sick(reason="disk full"),
        "m2: its engine says ERROR": sick(),
        "m2: its engine says HEALTHY: not in sync": sick(EngineStatus.HEALTHY, in_sync=False),
        "m2: its engine says HEALTHY: Donor": sick(EngineStatus.HEALTHY, in_sync=False, reason="Donor"),
    }
    for reason, health in cases.items():
        assert upgrade(worlds.with_member(worlds.galera(), "m2", health=health), "mariadb", "11.8") == [(422, reason)]


def test_a_member_not_heard_of() -> None:
    assert upgrade(worlds.galera(), "mariadb", "11.8", stale=frozenset({"m1"})) == [
        (422, "m1: its engine has not been heard of since 2030-01-01T00:00:00.000000")
    ]
    never = worlds.with_member(worlds.galera(), "m1", health=None)
    assert upgrade(never, "mariadb", "11.8") == [(422, "m1: its engine has not been heard of")]


def test_engine_on_another_release_than_recorded() -> None:
    cluster = worlds.with_member(worlds.galera(), "m3", health=worlds.health("11.8", "member"))
    assert upgrade(cluster, "mariadb", "11.8") == [(422, "m3: its engine says it runs 11.8.6, not 10.11")]
    # 10.1 is not the beginning of 10.11 in this sense.
    assert prechecks.as_recorded(worlds.galera("10.11").members, worlds.version("mariadb", "10.11")) == []


def test_quorum_of_galera() -> None:
    assert upgrade(worlds.galera(members=2), "mariadb", "11.8") == [
        (422, "quorum would be lost: 2 members, at least 3 are needed")
    ]


def test_redis_shard_without_replica_and_too_few_primaries() -> None:
    cluster = worlds.redis()
    alone = replace(cluster, members=tuple(m for m in cluster.members if m.id not in ("r2a", "p3", "r3a")))
    assert upgrade(alone, "redis", "8.0") == [
        (422, "the only copy of a shard would be out of service: p2 has no replica"),
        (422, "quorum would be lost: 2 primaries are known, 3 are needed"),
    ]


def test_redis_member_without_a_shard() -> None:
    lost = worlds.with_member(worlds.redis(), "r1a", health=worlds.health("7.0", "replica", detail={"master_id": "?"}))
    assert upgrade(lost, "redis", "8.0") == [
        (422, "the only copy of a shard would be out of service: p1 has no replica"),
        (422, "r1a has not said which shard it belongs to"),
    ]


def test_everything_is_listed_at_once() -> None:
    cluster = worlds.with_member(worlds.galera("11.8"), "m1", configuration={"values": {"nonsense": 1}}, health=None)
    cluster = worlds.with_member(cluster, "m2", health=sick(reason="no quorum"))
    found = upgrade(cluster, "mariadb", "10.5", target={"active": False}, busy=Busy("op", "cluster_restart", "RUNNING"))
    assert [code for code, _ in found] == [400, 400, 400, 422, 422, 422, 422]
    assert "m1" in found[2][1]
    assert found[3][1].startswith("operation op")


def test_single_without_room_needs_a_confirmation() -> None:
    db = worlds.single(room=False)
    assert upgrade(db, "mariadb", "10.11") == [
        (400, f"there is no way back: no room for a copy of the data of db; {WAYS}")
    ]


def test_single_that_is_not_well_is_not_told_about_room() -> None:
    db = replace(worlds.single(), health=None)
    assert upgrade(db, "mariadb", "10.11") == [(422, "db: its engine has not been heard of")]
    target = worlds.version("mariadb", "10.11")
    assert upgrade_instance(worlds.world_of(db, target), target, UpgradeOptions()).warnings == ()


def test_single_left_in_error_may_be_tried_again_but_not_while_something_holds_it() -> None:
    db = replace(worlds.single(), task=InstanceTask.UPGRADE_ERROR)
    target = worlds.version("mariadb", "10.11")
    assert upgrade_instance(worlds.world_of(db, target), target, UpgradeOptions()).steps
    assert upgrade(db, "mariadb", "10.11", busy=Busy("op", "instance_upgrade", "HELD"))[0][0] == 422
    assert upgrade(replace(db, task=InstanceTask.RESTARTING), "mariadb", "10.11") == [
        (422, "db is not idle: restarting its engine")
    ]


def test_restart_of_a_cluster_needs_it_idle_well_and_redundant() -> None:
    def of(cluster: Cluster, **more: Any) -> Blockers:
        return blockers(lifecycle.restart_cluster(worlds.world_of(cluster, **more)))

    assert of(replace(worlds.galera(), task=ClusterTask.SHRINKING)) == [(422, "cluster shop is busy: removing members")]
    assert of(worlds.galera(), stale=frozenset({"m1", "m2"}))[1][1].startswith("m2: its engine has not been heard of")
    assert of(worlds.galera(members=2))[0][0] == 422


def test_restart_of_an_instance_needs_it_idle() -> None:
    plan = lifecycle.restart_instance(worlds.world_of(replace(worlds.single(), task=InstanceTask.BUILD_ERROR)))
    assert [(b.code, b.reason) for b in plan.blockers] == [(422, "db is not idle: could not be built")]


def test_grow_needs_somebody_to_add_and_a_majority_that_is_well() -> None:
    def of(cluster: Cluster, count: int, **more: Any) -> Blockers:
        new = worlds.newcomers(cluster, count)
        return blockers(lifecycle.grow_cluster(worlds.world_of(cluster, new=new, **more)))

    assert of(worlds.galera(), 0, stale=frozenset({"m1", "m2"})) == [
        (400, "no instance was named to be added to shop"),
        (422, "m1: its engine has not been heard of since 2030-01-01T00:00:00.000000"),
        (422, "m2: its engine has not been heard of since 2030-01-01T00:00:00.000000"),
    ]
    assert of(worlds.galera(members=4), 1, stale=frozenset({"m1", "m2"}))[0][0] == 422
    assert of(worlds.galera(), 1, stale=frozenset({"m1"})) == []


@pytest.mark.parametrize(
    ("cluster", "names", "expected"),
    [
        (worlds.galera(), [], [(400, "no instance was named to be removed from shop")]),
        (
            worlds.galera(),
            ["m1", "x", "x", "y"],
            [
                (400, "x is not a member of shop"),
                (400, "y is not a member of shop"),
                (400, "2 members would be left, a cluster of mariadb needs 3"),
            ],
        ),
        (
            worlds.redis(shards=4),
            ["p4"],
            [(400, "p4 is the primary of r4a: name the whole shard, or only replicas")],
        ),
        (worlds.redis(shards=4), ["r4a"], [(400, "the shard of p4 would have no replica left")]),
        (
            worlds.redis(replicas=2),
            ["p3", "r3a", "r3b"],
            [(400, "2 primaries would be left, the engine needs at least 3")],
        ),
    ],
)
def test_shrink_refuses(cluster: Cluster, names: list[str], expected: Blockers) -> None:
    assert blockers(lifecycle.shrink_cluster(worlds.world_of(cluster), names)) == expected


def test_shrink_needs_only_those_who_stay_to_be_well() -> None:
    cluster = worlds.galera(members=5)
    of = lifecycle.shrink_cluster
    assert of(worlds.world_of(cluster, stale=frozenset({"m5"})), ["m5"]).steps
    assert blockers(of(worlds.world_of(cluster, stale=frozenset({"m4"})), ["m5"]))[0][1].startswith("m4: ")
    busy = of(worlds.world_of(replace(cluster, task=ClusterTask.RESTARTING)), ["m5"])
    assert blockers(busy) == [(422, "cluster shop is busy: restarting its members, one at a time")]


def test_a_redis_primary_that_is_dead_is_removed_without_moving_slots_it_does_not_have() -> None:
    cluster = worlds.redis(shards=4)
    said = worlds.health("7.0", "primary", EngineStatus.ERROR, detail={"node_id": "n-p4"})
    promoted = worlds.health("7.0", "primary", detail={"node_id": "n-r4"})
    cluster = worlds.with_member(worlds.with_member(cluster, "p4", health=said), "r4a", health=promoted)
    plan = lifecycle.shrink_cluster(worlds.world_of(cluster), ["p4"])
    assert plan.steps
    assert "guest.cluster_drain" not in [step.name for step in plan.steps]


def test_an_unknown_kind_of_cluster_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        topology_of("ring")


def test_galera_without_a_known_active_member_begins_with_the_first() -> None:
    cluster = replace(worlds.galera(), active_member_id=None)
    plan = lifecycle.restart_cluster(worlds.world_of(cluster))
    switch = next(step for step in plan.steps if step.name == "endpoint.switch")
    assert switch.member_id == "m2"


def test_a_single_restart_and_an_instance_without_gap() -> None:
    db = worlds.single("redis", "7.0")
    target = worlds.version("redis", "8.0")
    plan = upgrade_instance(worlds.world_of(db, target), target, UpgradeOptions(hold=frozenset({"finalize"})))
    assert plan.expected_write_gap_ms == 1500
    assert plan.warnings == ("what is written while it is held on 8.0 is lost by a rollback",)
