"""Recorded plans. `TROVE_RECORD=1 pytest trove/tests/unit/planning/test_scenarios.py` records anew; review the diff."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from trove.domain.instances import Cluster
from trove.domain.plans import Plan
from trove.domain.requests import UpgradeOptions
from trove.domain.states import EngineStatus
from trove.planning import lifecycle
from trove.planning.upgrade import upgrade_cluster, upgrade_instance
from trove.tests.unit.planning import worlds
from trove.tests.unit.planning.render import render

SCENARIOS = Path(__file__).parent / "scenarios"
EVERY_HOLD = frozenset({"canary", "switchover", "finalize"})


def cluster_to(cluster: Cluster, target: str, hold: frozenset[str] = frozenset()) -> Plan:
    to = worlds.version(*target.split())
    return upgrade_cluster(worlds.world_of(cluster, to), to, UpgradeOptions(hold=hold))


def instance_to(target: str, room: bool = True, **options: object) -> Plan:
    to = worlds.version(*target.split())
    db = worlds.single(room=room)
    return upgrade_instance(worlds.world_of(db, to), to, UpgradeOptions(**options))


def galera_shrink_sick() -> Plan:
    cluster = worlds.galera(members=4, active=1)
    sick = worlds.health("10.11", "member", EngineStatus.ERROR, reason="the agent does not answer")
    return lifecycle.shrink_cluster(worlds.world_of(worlds.with_member(cluster, "m2", health=sick)), ["m2"])


SICK = worlds.health("7.0", "primary", EngineStatus.ERROR, reason="its server is gone")


def galera_grow_without_one() -> Plan:
    return grow(worlds.with_member(worlds.galera(), "m2", health=SICK), 1)


def redis_grow_without_a_primary() -> Plan:
    """Its replica has taken over and is the one that needs a new replica."""
    promoted = worlds.health("7.0", "primary", detail={"node_id": "n-r1a", "master_id": None})
    cluster = worlds.with_member(worlds.redis(), "p1", health=SICK)
    return grow(worlds.with_member(cluster, "r1a", health=promoted), 1)


def grow(cluster: Cluster, count: int) -> Plan:
    return lifecycle.grow_cluster(worlds.world_of(cluster, new=worlds.newcomers(cluster, count)))


def shrink(cluster: Cluster, *names: str) -> Plan:
    return lifecycle.shrink_cluster(worlds.world_of(cluster), names)


def build(cluster: Cluster) -> Plan:
    return lifecycle.build_cluster(worlds.world_of(worlds.unbuilt(cluster)), cluster.id)


def build_single() -> Plan:
    return lifecycle.build_instance(worlds.world_of(replace(worlds.single(), health=None, image_id=None)), "db")


PLANS: dict[str, Callable[[], Plan]] = {
    "galera-upgrade-10.11-11.8": lambda: cluster_to(worlds.galera(), "mariadb 11.8"),
    "galera-upgrade-10.11-11.8-holds": lambda: cluster_to(worlds.galera(), "mariadb 11.8", EVERY_HOLD),
    "galera-upgrade-10.5-11.8": lambda: cluster_to(worlds.galera("10.5"), "mariadb 11.8"),
    "redis-upgrade-7.0-8.0": lambda: cluster_to(worlds.redis(), "redis 8.0"),
    "redis-upgrade-7.0-8.0-holds": lambda: cluster_to(worlds.redis(), "redis 8.0", EVERY_HOLD),
    "redis-upgrade-7.0-valkey-8.1": lambda: cluster_to(worlds.redis(), "valkey 8.1"),
    "redis-upgrade-two-replicas": lambda: cluster_to(worlds.redis(replicas=2), "redis 8.0"),
    "single-upgrade-10.5-11.8": lambda: instance_to("mariadb 11.8"),
    "single-upgrade-10.5-11.8-hold": lambda: instance_to("mariadb 11.8", hold=frozenset({"finalize"})),
    "single-upgrade-10.5-11.8-no-room": lambda: instance_to("mariadb 11.8", room=False),
    "single-upgrade-10.5-11.8-no-way-back": lambda: instance_to("mariadb 11.8", room=False, accept_no_rollback=True),
    "galera-create": lambda: build(worlds.galera()),
    "galera-grow": lambda: grow(worlds.galera(), 2),
    "galera-grow-without-one": galera_grow_without_one,
    "galera-shrink": lambda: shrink(worlds.galera(members=4), "m3"),
    "galera-shrink-active": lambda: shrink(worlds.galera(members=5), "m1", "m4"),
    "galera-shrink-sick-active": galera_shrink_sick,
    "galera-restart": lambda: lifecycle.restart_cluster(worlds.world_of(worlds.galera())),
    "galera-delete": lambda: lifecycle.delete_cluster(worlds.world_of(worlds.galera())),
    "redis-create": lambda: build(worlds.redis()),
    "redis-grow-pair": lambda: grow(worlds.redis(), 2),
    "redis-grow-replica": lambda: grow(worlds.redis(), 1),
    "redis-grow-without-a-primary": redis_grow_without_a_primary,
    "redis-shrink-shard": lambda: shrink(worlds.redis(shards=4), "p4", "r4a"),
    "redis-restart": lambda: lifecycle.restart_cluster(worlds.world_of(worlds.redis())),
    "redis-delete": lambda: lifecycle.delete_cluster(worlds.world_of(worlds.redis())),
    "single-create": build_single,
    "single-restart": lambda: lifecycle.restart_instance(worlds.world_of(worlds.single())),
    "single-delete": lambda: lifecycle.delete_instance(worlds.world_of(worlds.single())),
}


@pytest.mark.parametrize("name", PLANS)
def test_plan_is_as_recorded(name: str) -> None:
    path = SCENARIOS / f"{name}.txt"
    text = render(PLANS[name]())
    if os.environ.get("TROVE_RECORD"):
        path.write_text(text)
    assert text == path.read_text(), (
        f"the plan has changed; if it should, record it anew: TROVE_RECORD=1 (see {__file__})"
    )


def test_every_recorded_plan_has_a_scenario() -> None:
    assert {path.stem for path in SCENARIOS.glob("*.txt")} == set(PLANS)


@pytest.mark.parametrize("name", PLANS)
def test_plan_survives_json(name: str) -> None:
    import json

    plan = PLANS[name]()
    assert Plan.from_dict(json.loads(json.dumps(plan.to_dict()))) == plan
