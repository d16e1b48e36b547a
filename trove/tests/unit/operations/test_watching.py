"""What the monitor records and what reconciliation orders, against drivers that remember what they were asked."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from trove.domain.errors import NotFound, StaleGeneration, Unavailable
from trove.domain.health import Health
from trove.domain.instances import Cluster, Instance
from trove.domain.ports import EndpointSpec, GuestAddress, GuestOperation, Order, Server, ServerSpec, ServerState
from trove.domain.requests import UpgradeOptions
from trove.domain.states import ClusterTask, EngineStatus, InstanceTask, OperationStatus
from trove.operations.context import Held, Tools
from trove.operations.monitor import Monitor
from trove.operations.reconcile import PATIENT_LOOKS, SAME_LOOKS, Reconciler
from trove.tests.unit.operations.conftest import Bench
from trove.tests.unit.operations.test_service import Desk

DOWN = Health(EngineStatus.SHUTDOWN, reason="the engine does not run", observed_at="2030-01-01T00:00:05")


@dataclass
class World:
    """Compute, guests and endpoints in one."""

    states: dict[str, ServerState] = field(default_factory=dict)
    says: dict[str, Any] = field(default_factory=dict)
    stopped_endpoints: set[str] = field(default_factory=set)
    endpoint_ids: list[str] = field(default_factory=list)
    orders: list[Order] = field(default_factory=list)
    ensured: list[ServerSpec | EndpointSpec] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    told: list[tuple[str, str]] = field(default_factory=list)
    before: Callable[[], None] = lambda: None
    fails: dict[str, Exception] = field(default_factory=dict)

    def list(self) -> Sequence[str]:
        return list(self.states)

    def inspect(self, instance_id: str) -> Server:
        self.before()
        if instance_id in self.fails:
            raise self.fails[instance_id]
        return Server(instance_id, self.states.get(instance_id, ServerState.RUNNING))

    def ensure(self, spec: Any, order: Order | None = None) -> None:
        self.ensured.append(spec)
        if order is not None:
            self.orders.append(order)
            self.states[spec.instance_id] = ServerState.RUNNING
        else:
            self.stopped_endpoints.discard(spec.cluster_id)

    def delete(self, key: str, order: Order | None = None) -> None:
        self.removed.append(key)
        self.states.pop(key, None)

    def running(self, cluster_id: str) -> bool:
        return cluster_id not in self.stopped_endpoints

    def health(self, guest: GuestAddress, timeout: float = 5.0) -> Health:
        said = self.says.get(guest.instance_id, Unavailable("its agent does not answer: Connection refused"))
        if callable(said):
            said = said()
        if isinstance(said, Exception):
            raise said
        return said

    def run(self, guest: GuestAddress, kind: str, params: Any, order: Order, wait: float = 0.0) -> GuestOperation:
        assert params == ({"bootstrap": True} if kind == "start" else {})
        self.orders.append(order)
        self.told.append((kind, guest.instance_id))
        return GuestOperation(order.id, kind, "SUCCEEDED")


class Endpoints:
    """The endpoints' side of a World, which lists something else."""

    def __init__(self, world: World) -> None:
        self._world = world

    def list(self) -> Sequence[str]:
        return self._world.endpoint_ids

    def __getattr__(self, name: str) -> Any:
        return getattr(self._world, name)


@pytest.fixture
def desk(bench: Bench) -> Desk:
    return Desk(bench)


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def tools(desk: Desk, world: World) -> Tools:
    drivers: Any = world
    endpoints: Any = Endpoints(world)
    return Tools(desk.store, drivers, drivers, drivers, endpoints, lambda datastore: datastore)


@contextmanager
def watching(tools: Tools, **options: Any) -> Iterator[Monitor]:
    monitor = Monitor(tools, **options)
    try:
        yield monitor
    finally:
        monitor._pool.shutdown()


def served(desk: Desk) -> Cluster:
    """A cluster as it is once its creation has really run."""
    cluster = desk.cluster(3)
    for member in cluster.members:
        desk.store.update_instance(member.id, image_id="mariadb-10.11-x")
    desk.store.update_cluster(cluster.id, active_member_id=cluster.members[0].id)
    return desk.store.cluster(cluster.id)


# -- the monitor -----------------------------------------------------------------------------------------------------


def test_silence_is_not_put_in_the_engines_mouth(desk: Desk, world: World, tools: Tools) -> None:
    instance = desk.instance()
    said = desk.store.instance(instance.id).health
    assert said is not None
    with watching(tools) as monitor:
        monitor.look()
        monitor.look()
    known = desk.store.instance(instance.id).health
    assert known is not None
    assert (known.version, known.version_number, known.role) == (said.version, said.version_number, said.role)
    assert known.said_at == said.observed_at < known.observed_at
    assert (known.status, known.in_sync, known.healthy) == (EngineStatus.ERROR, False, False)
    assert known.reason == "its agent does not answer: Connection refused"
    assert known.free_bytes == said.free_bytes


def test_engine_that_is_down_keeps_the_version_it_said(desk: Desk, world: World, tools: Tools) -> None:
    instance = desk.instance()
    said = desk.store.instance(instance.id).health
    assert said is not None
    world.says[instance.id] = DOWN
    with watching(tools) as monitor:
        monitor.look()
        known = desk.store.instance(instance.id).health
        assert known == replace(
            DOWN, version=said.version, version_number=said.version_number, role=said.role, said_at=said.observed_at
        )
        world.says[instance.id] = Health(
            EngineStatus.HEALTHY, "11.8.6-MariaDB", "11.8.6", "primary", True, observed_at="2030-01-01T00:00:09"
        )
        monitor.look()
    known = desk.store.instance(instance.id).health
    assert known is not None
    assert (known.version, known.said_at) == ("11.8.6-MariaDB", "2030-01-01T00:00:09")


def test_never_heard_of_is_nothing_said(desk: Desk, tools: Tools) -> None:
    instance = desk.instance()
    desk.store.update_instance(instance.id, health=None)
    with watching(tools) as monitor:
        monitor.look()
    known = desk.store.instance(instance.id).health
    assert known is not None
    assert (known.version, known.role, known.said_at) == ("", "", "")


def test_answer_that_an_operation_has_overtaken_is_dropped(desk: Desk, world: World, tools: Tools) -> None:
    """The gate of an upgrade has asked while the monitor's question was under way: the newer word counts."""
    instance = desk.instance()

    def old_word() -> Health:
        desk.hear(instance.id, version="11.8.6", version_number="11.8.6", observed_at="2030-01-01T00:00:02")
        return Health(EngineStatus.HEALTHY, "10.11.1", "10.11.1", "primary", True, observed_at="2030-01-01T00:00:01")

    world.says[instance.id] = old_word
    with watching(tools) as monitor:
        monitor.look()
    known = desk.store.instance(instance.id).health
    assert known is not None
    assert known.version == "11.8.6"


def test_nonsense_of_one_agent_hides_no_other(desk: Desk, world: World, tools: Tools) -> None:
    bad, good = desk.instance(name="bad"), desk.instance(name="good")
    world.says = {bad.id: ValueError("nonsense"), good.id: DOWN}
    with watching(tools) as monitor:
        monitor.look()
    healths = {key: desk.store.instance(key).health for key in (bad.id, good.id)}
    assert "not understood" in healths[bad.id].reason  # type: ignore[union-attr]
    assert healths[good.id].status is EngineStatus.SHUTDOWN  # type: ignore[union-attr]


def test_who_falls_silent_is_told_of_once(desk: Desk, world: World, tools: Tools) -> None:
    one, two = desk.instance(name="one"), desk.instance(name="two")
    told: list[None] = []
    with watching(tools, fallen_silent=lambda: told.append(None)) as monitor:
        for silent, times in (((), 0), ((one,), 1), ((one,), 1), ((one, two), 2), ((), 2), ((one,), 3)):
            world.says = {i.id: DOWN for i in (one, two) if i not in silent}
            monitor.look()
            assert len(told) == times


# -- reconciliation --------------------------------------------------------------------------------------------------


def started(world: World) -> list[str]:
    return [spec.instance_id for spec in world.ensured if isinstance(spec, ServerSpec)]


def stop(world: World, *instances: Instance) -> None:
    world.states |= {instance.id: ServerState.STOPPED for instance in instances}


def test_stopped_servers_are_started_and_lost_ones_are_not_made_anew(desk: Desk, world: World, tools: Tools) -> None:
    cluster = served(desk)
    one, two, three = cluster.members
    world.states = {one.id: ServerState.STOPPED, two.id: ServerState.RUNNING, three.id: ServerState.ABSENT}
    Reconciler(tools).look()
    assert started(world) == [one.id]
    assert world.ensured[0].image_id == "mariadb-10.11-x"  # type: ignore[union-attr]


@pytest.mark.parametrize("task", [ClusterTask.UPGRADING, ClusterTask.RESTARTING, ClusterTask.GROWING])
def test_host_restart_in_the_middle_of_an_operation(desk: Desk, world: World, tools: Tools, task: Any) -> None:
    """The member in work is the operation's; the others, and the address, must serve again."""
    cluster = served(desk)
    one, two, three = cluster.members
    desk.store.update_cluster(cluster.id, task=task)
    desk.store.update_instance(three.id, task=InstanceTask.UPGRADING)
    stop(world, *cluster.members)
    world.stopped_endpoints.add(cluster.id)
    Reconciler(tools).look()
    assert sorted(started(world)) == sorted([one.id, two.id])
    [endpoint] = [spec for spec in world.ensured if isinstance(spec, EndpointSpec)]
    assert {backend.name: backend.state for backend in endpoint.backends} == {
        one.id: "ready", two.id: "ready", three.id: "maint",
    }  # fmt: skip


def test_what_waits_for_a_person_serves_meanwhile(desk: Desk, world: World, tools: Tools) -> None:
    instance = desk.instance()
    desk.store.update_instance(instance.id, image_id="mariadb-11.8-x")
    desk.bench.script.answers["hold"] = [Held("look")]
    held = desk.run(desk.service.upgrade_instance(instance, "11.8", UpgradeOptions(hold=frozenset({"finalize"}))))
    assert held.status is OperationStatus.HELD
    stop(world, instance)
    Reconciler(tools).look()
    assert started(world) == [instance.id]
    desk.service.resume(held)
    stop(world, instance)
    Reconciler(tools).look()
    assert started(world) == [instance.id], "from now on it is the operation's business"


@pytest.mark.parametrize("task", [ClusterTask.DELETING])
def test_what_is_going_away_is_left_alone(desk: Desk, world: World, tools: Tools, task: Any) -> None:
    cluster = served(desk)
    desk.store.update_cluster(cluster.id, task=task)
    stop(world, *cluster.members)
    world.stopped_endpoints.add(cluster.id)
    Reconciler(tools).look()
    assert world.ensured == []


def test_operation_that_begins_during_the_look_wins(desk: Desk, world: World, tools: Tools) -> None:
    """Found stopped because the operation has just stopped it: nothing is ordered, whatever the first reading said."""
    instance = desk.instance()
    desk.store.update_instance(instance.id, image_id="mariadb-10.11-x")
    stop(world, instance)

    def begin() -> None:
        world.before = lambda: None
        desk.store.update_instance(instance.id, task=InstanceTask.UPGRADING)

    world.before = begin
    Reconciler(tools).look()
    assert world.ensured == []


def test_one_that_cannot_be_mended_keeps_no_other_waiting(desk: Desk, world: World, tools: Tools) -> None:
    cluster = served(desk)
    one, two, three = cluster.members
    stop(world, *cluster.members)
    world.fails = {one.id: StaleGeneration("late"), two.id: RuntimeError("a bug")}
    Reconciler(tools).look()
    assert started(world) == [three.id]


def test_stopped_cluster_is_started_anew_each_time_it_happens(desk: Desk, world: World, tools: Tools) -> None:
    """Agents do what they are told under one id once and for ever, so every order needs an id of its own."""
    cluster = served(desk)
    reconciler = Reconciler(tools)
    for turn in (1, 2):
        for number, member in enumerate(cluster.members):
            detail = {"uuid": "c", "seqno": 10 * turn + number, "safe_to_bootstrap": False, "view_saved": False}
            world.says[member.id] = replace(DOWN, detail=detail)
            desk.hear(member.id, status=EngineStatus.SHUTDOWN, in_sync=False)
        for round_ in range(SAME_LOOKS):
            assert len(world.told) == turn - 1, f"too early, at look {round_}"
            reconciler.look()
        assert world.told == [("start", cluster.members[2].id)] * turn
        desk.hear(*(member.id for member in cluster.members))
        reconciler.look()
    assert len({order.id for order in world.orders}) == 2
    assert sorted(order.generation for order in world.orders) == [order.generation for order in world.orders]


def test_member_that_is_behind_lets_go_before_the_newest_begins(desk: Desk, world: World, tools: Tools) -> None:
    cluster = served(desk)
    ids = [member.id for member in cluster.members]
    for instance_id, seqno in zip(ids, (9, 8, 7), strict=True):
        world.says[instance_id] = replace(DOWN, detail={"uuid": "c", "seqno": seqno, "view_saved": seqno != 7})
        desk.hear(instance_id, status=EngineStatus.ERROR, in_sync=False)
    lone = replace(DOWN, members_seen=1, detail={"uuid": "c", "seqno": 7, "wsrep_cluster_status": "non-Primary"})
    stopped, world.says[ids[2]] = world.says[ids[2]], lone
    reconciler = Reconciler(tools)
    for _ in range(SAME_LOOKS):
        reconciler.look()
    assert world.told == [("restart", ids[2])]
    world.says[ids[2]] = stopped
    for _ in range(SAME_LOOKS):
        reconciler.look()
    assert world.told[1:] == [("start", ids[0])]


def test_members_that_do_not_find_each_other_are_helped(desk: Desk, world: World, tools: Tools) -> None:
    cluster = served(desk)
    for number, member in enumerate(cluster.members):
        world.says[member.id] = replace(DOWN, detail={"uuid": "c", "seqno": number, "view_saved": True})
        desk.hear(member.id, status=EngineStatus.ERROR, in_sync=False)
    reconciler = Reconciler(tools)
    for _ in range(PATIENT_LOOKS):
        reconciler.look()
    assert world.told == []
    # One that does not answer for a moment may have found the others: all the patience again.
    answer, world.says[cluster.members[0].id] = world.says[cluster.members[0].id], Unavailable("busy")
    reconciler.look()
    world.says[cluster.members[0].id] = answer
    for _ in range(PATIENT_LOOKS):
        reconciler.look()
    assert world.told == []
    for _ in range(SAME_LOOKS):
        reconciler.look()
    assert world.told == [("start", cluster.members[2].id)]


def test_quorum_is_left_to_an_operation_that_has_the_newest_member(desk: Desk, world: World, tools: Tools) -> None:
    cluster = served(desk)
    for number, member in enumerate(cluster.members):
        world.says[member.id] = replace(DOWN, detail={"uuid": "c", "seqno": number})
        desk.hear(member.id, status=EngineStatus.SHUTDOWN, in_sync=False)
    desk.store.update_cluster(cluster.id, task=ClusterTask.UPGRADING)
    desk.store.update_instance(cluster.members[2].id, task=InstanceTask.UPGRADING)
    reconciler = Reconciler(tools)
    for _ in range(2 * SAME_LOOKS):
        reconciler.look()
    assert world.told == []


def test_only_what_has_no_row_twice_is_removed(desk: Desk, world: World, tools: Tools) -> None:
    cluster = served(desk)
    world.states = {member.id: ServerState.RUNNING for member in cluster.members} | {"lone": ServerState.STOPPED}
    world.endpoint_ids = [cluster.id, "lone-endpoint"]
    reconciler = Reconciler(tools)
    reconciler.look()
    assert world.removed == []
    world.states["newer"] = ServerState.STOPPED
    reconciler.look()
    assert sorted(world.removed) == ["lone", "lone-endpoint"]
    with pytest.raises(NotFound):
        desk.store.instance("lone")


def test_stop_ends_a_look_between_two_duties(desk: Desk, world: World, tools: Tools) -> None:
    cluster = served(desk)
    stop(world, *cluster.members)
    reconciler = Reconciler(tools, period=0.01)
    reached = threading.Event()

    def reach() -> None:
        reached.set()
        reconciler._stop.wait(10)

    world.before = reach
    reconciler.start()
    assert reached.wait(10)
    reconciler.stop()
    assert len(started(world)) <= 1


def test_woken_it_looks_at_once(desk: Desk, world: World, tools: Tools) -> None:
    cluster = served(desk)
    looked = threading.Semaphore(0)
    reconciler = Reconciler(tools, period=60.0)
    world.before = looked.release
    reconciler.start()
    try:
        for _ in range(2 * len(cluster.members)):
            assert looked.acquire(timeout=10)
            reconciler.wake()
    finally:
        reconciler.stop()
