"""The invariants of the design hold wherever an operation is killed, whatever its way out (see model.py)."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trove.datastores.registry import engine_of
from trove.domain.instances import Cluster, Instance
from trove.domain.plans import Plan
from trove.domain.requests import HOLDS, UpgradeOptions
from trove.domain.states import InstanceTask
from trove.planning import lifecycle
from trove.planning.upgrade import upgrade_cluster, upgrade_instance
from trove.tests.unit.planning import worlds
from trove.tests.unit.planning.explore import explore, go_on, points, stopped_at
from trove.tests.unit.planning.model import Model, model_of, need

PROFILE = settings(max_examples=8, deadline=None, derandomize=True)
holds = st.sets(st.sampled_from(HOLDS)).map(frozenset)


def model(subject: Cluster | Instance, *new: Instance) -> Model:
    return model_of(subject, worlds.catalogue(engine_of(subject.version.datastore)), new)


def same(base: Model, world: Model) -> None:
    """After a rollback everything is as it was: release, data, service, roles, rows."""
    for key, before in base.members.items():
        need(world.members[key] == before, f"{key} came back as {world.members[key]}, it was {before}")
    need(world.endpoint == base.endpoint, f"the traffic goes to {world.endpoint}, it went to {base.endpoint}")
    need((world.cluster_row, world.active_row) == (base.cluster_row, base.active_row), "the row has changed")


def on_release(target: str, model_world: Model) -> None:
    need(
        model_world.cluster_row == target or model_world.kind == "single",
        "the cluster's row was not brought up to date",
    )
    for m in model_world.members.values():
        need((m.image, m.data, m.row, m.task) == (target, target, target, "NONE"), f"{m} is not on {target}")
        need(model_world.well(m) and m.desired == "running" and m.copy is None, f"{m} does not serve")
        need(model_world.kind != "galera" or m.backend == "ready", f"{m} is not behind the endpoint")
    if model_world.kind == "galera":
        need(
            model_world.endpoint == model_world.active_row, "the row names another active member than the endpoint has"
        )


def explore_upgrade(subject: Cluster | Instance, datastore: str, name: str, hold: frozenset[str] = frozenset()) -> int:
    target = worlds.version(datastore, name)
    make = upgrade_cluster if isinstance(subject, Cluster) else upgrade_instance
    plan = make(worlds.world_of(subject, target), target, UpgradeOptions(hold=hold))
    assert not plan.blockers
    tried = explore(model(subject), plan, same, lambda world: on_release(name, world))
    commits = [n for n, step in enumerate(plan.steps) if step.commit]
    assert commits[-1] == len(plan.steps) - 1, "an upgrade ends with its commit"
    return tried


@pytest.mark.parametrize("replicas", [1, 2])
def test_an_upgraded_replica_that_becomes_primary_leaves_the_way_forward_open(replicas: int) -> None:
    """Its primary has died for longer than the engines wait: no way back, but never a dead end."""
    cluster, target = worlds.redis(replicas=replicas), worlds.version("redis", "8.0")
    plan = upgrade_cluster(worlds.world_of(cluster, target), target, UpgradeOptions())
    first = plan.point_of_no_return
    assert first is not None
    taken = 0
    for point in points(model(cluster), plan):
        if not point.done or point.index >= first:
            continue
        for key in [m.id for m in point.world.members.values() if m.running and m.data == "8.0"]:
            world = point.world.copy()
            world.take_over(world.members[key])
            on_release("8.0", go_on(world.copy(), plan.steps[point.index + 1 :]))
            index = stopped_at(world, point.started(plan))
            on_release("8.0", go_on(world, plan.steps[index + 1 :]))
            taken += 1
    assert taken > 20


@PROFILE
@given(st.integers(3, 7), st.data(), holds)
def test_galera_upgrade(members: int, data: st.DataObject, hold: frozenset[str]) -> None:
    active = data.draw(st.integers(0, members - 1))
    assert explore_upgrade(worlds.galera("10.11", members, active), "mariadb", "11.8", hold) > 20


@settings(PROFILE, max_examples=3)
@given(st.integers(3, 5), st.data(), holds)
def test_galera_upgrade_of_two_hops_comes_back_to_its_latest_commit(
    members: int, data: st.DataObject, hold: frozenset[str]
) -> None:
    active = data.draw(st.integers(0, members - 1))
    assert explore_upgrade(worlds.galera("10.5", members, active), "mariadb", "11.8", hold) > 50


@settings(PROFILE, max_examples=4)
@given(st.integers(3, 5), st.integers(1, 2), st.sampled_from([("redis", "8.0"), ("valkey", "8.1")]), holds)
def test_redis_upgrade(shards: int, replicas: int, target: tuple[str, str], hold: frozenset[str]) -> None:
    assert explore_upgrade(worlds.redis(shards=shards, replicas=replicas), *target, hold) > 20


@pytest.mark.parametrize("target", ["10.11", "11.8"])
def test_single_upgrade_with_a_copy(target: str) -> None:
    assert explore_upgrade(worlds.single(), "mariadb", target, frozenset({"finalize"})) > 10


def test_single_upgrade_without_a_copy_can_only_go_forward_once_its_data_is_touched() -> None:
    db, target = worlds.single(room=False), worlds.version("mariadb", "11.8")
    plan = upgrade_instance(worlds.world_of(db, target), target, UpgradeOptions(accept_no_rollback=True))
    explore(model(db), plan, same, lambda world: on_release("11.8", world))
    assert plan.steps[plan.point_of_no_return or 0].name == "server.ensure"


@PROFILE
@given(st.integers(3, 7), st.data())
def test_galera_restart(members: int, data: st.DataObject) -> None:
    cluster = worlds.galera(members=members, active=data.draw(st.integers(0, members - 1)))
    explore_restart(cluster)


@PROFILE
@given(st.integers(3, 5), st.integers(1, 2))
def test_redis_restart(shards: int, replicas: int) -> None:
    explore_restart(worlds.redis(shards=shards, replicas=replicas))


def explore_restart(cluster: Cluster) -> None:
    def came_back(base: Model, world: Model) -> None:
        """Where a restart has failed the rest serves, the traffic stays with who serves, nobody is left out."""
        if world.kind == "galera":
            need(world.members[world.endpoint or ""].running, "the traffic goes to an engine that does not run")
            need(all(m.backend == "ready" for m in world.members.values()), "somebody is left out")

    plan = lifecycle.restart_cluster(worlds.world_of(cluster))
    explore(model(cluster), plan, came_back, lambda world: on_release(cluster.version.name, world))


@PROFILE
@given(st.integers(1, 4), st.booleans())
def test_grow(count: int, of_redis: bool) -> None:
    cluster = worlds.redis() if of_redis else worlds.galera()
    new = worlds.newcomers(cluster, count)
    names = {member.id for member in new}
    plan = lifecycle.grow_cluster(worlds.world_of(cluster, new=new))

    def came_back(base: Model, world: Model) -> None:
        for key in names:
            gone = world.members[key]
            never = gone.image is None and gone.data is None and not gone.running
            need(never and (gone.deleted or gone == base.members[key]), f"{gone} is left")
        rest = {key: m for key, m in base.members.items() if key not in names}
        same(replace(base, members=rest), world)

    def arrived(world: Model) -> None:
        on_release(cluster.version.name, world)
        primaries = [m.id for m in world.members.values() if m.primary is None]
        need(not of_redis or all(world.members[key].slots for key in primaries), "a primary has no slots")

    assert explore(model(cluster, *new), plan, came_back, arrived) > 4


@PROFILE
@given(st.integers(4, 7), st.data())
def test_galera_shrink(members: int, data: st.DataObject) -> None:
    cluster = worlds.galera(members=members, active=data.draw(st.integers(0, members - 1)))
    some = st.sets(st.sampled_from([m.id for m in cluster.members]), min_size=1, max_size=members - 3)
    explore_shrink(cluster, data.draw(some))


@PROFILE
@given(st.integers(4, 5), st.integers(1, 2), st.booleans())
def test_redis_shrink(shards: int, replicas: int, replica_only: bool) -> None:
    cluster = worlds.redis(shards=shards, replicas=replicas)
    leaving = {m.id for m in cluster.members if m.id[1:].startswith(str(shards))}
    explore_shrink(cluster, {"r1b"} if replica_only and replicas == 2 else leaving)


def explore_shrink(cluster: Cluster, leaving: set[str]) -> None:
    plan = lifecycle.shrink_cluster(worlds.world_of(cluster), sorted(leaving))
    assert not plan.blockers
    start = model(cluster)
    start.leaving = leaving

    def arrived(world: Model) -> None:
        for key, m in world.members.items():
            if key in leaving:
                need(m.deleted and m.image is None and not m.joined, f"{m} is left")
            else:
                need(world.well(m) and m.task == "NONE", f"{m} does not serve")
        need(world.endpoint not in leaving and world.endpoint == world.active_row, "the traffic goes to nobody")
        need(
            all((m.backend is None) for key, m in world.members.items() if key in leaving), "somebody is left behind it"
        )

    explore(start, plan, same, arrived)


@pytest.mark.parametrize("cluster", [worlds.galera(), worlds.redis()], ids=["galera", "redis"])
def test_create(cluster: Cluster) -> None:
    unbuilt = worlds.unbuilt(cluster)
    plan: Plan = lifecycle.build_cluster(worlds.world_of(unbuilt), "secret")

    def came_back(_: Model, world: Model) -> None:
        """No server is left, and no row says ACTIVE, which reconciliation would take for a member to start."""
        for m in world.members.values():
            need(m.image is None and not m.running, f"{m} is left")
            need(m.task in (InstanceTask.BUILDING.name, InstanceTask.BUILD_ERROR.name), f"{m} looks alive")
        need(world.endpoint is None, "the endpoint is left")

    start = model(unbuilt)
    start.leaving = set(start.members)  # nobody is served yet
    explore(start, plan, came_back, lambda world: on_release(cluster.version.name, world))


@pytest.mark.parametrize("cluster", [worlds.galera(), worlds.redis()], ids=["galera", "redis"])
def test_delete(cluster: Cluster) -> None:
    plan = lifecycle.delete_cluster(worlds.world_of(cluster))
    start = model(cluster)
    start.leaving = set(start.members)

    def arrived(world: Model) -> None:
        need(all(m.deleted and m.data is None for m in world.members.values()), "members are left")
        need(world.endpoint is None and not world.cluster_row, "the cluster is left")

    explore(start, plan, lambda *_: None, arrived)
