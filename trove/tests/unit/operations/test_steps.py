"""What each step asks of the drivers and writes down, with drivers that only remember what they were asked."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import pytest

from trove.datastores.registry import engine_of
from trove.db.seeds import version_id
from trove.domain.errors import DriverError, NotFound, Unavailable
from trove.domain.health import Health
from trove.domain.instances import Cluster
from trove.domain.operations import Operation
from trove.domain.plans import Phase, Plan, Step
from trove.domain.ports import GuestAddress, GuestOperation, Image, Order, Server, ServerSpec, ServerState
from trove.domain.states import EngineStatus, InstanceTask, OperationStatus
from trove.domain.store import Acceptance
from trove.operations.context import Tools
from trove.operations.drive import Drive
from trove.operations.steps import STEP_FUNCTIONS, step_function
from trove.planning import steps
from trove.tests.unit.operations.conftest import PROJECT, Bench
from trove.tests.unit.operations.test_service import Desk

S = OperationStatus
WELL = Health(EngineStatus.HEALTHY, "10.11.6-MariaDB", "10.11.6", "member", True)


@dataclass
class Drivers:
    """Images, compute, guests and endpoints in one; `asked` is everything that was asked of them."""

    asked: list[tuple[Any, ...]] = field(default_factory=list)
    healths: dict[str, Any] = field(default_factory=dict)
    answers: list[Any] = field(default_factory=list)
    images: dict[str, Image] = field(default_factory=dict)
    state: ServerState = ServerState.RUNNING

    # images
    def find(self, recipe: str) -> Image | None:
        return next((image for image in reversed(self.images.values()) if image.recipe == recipe), None)

    def get(self, image_id: str) -> Image | None:
        return self.images.get(image_id)

    # images and compute share the name `ensure`, endpoints too: told apart by what is asked
    def ensure(self, what: Any, *more: Any) -> Any:
        self.asked.append(("ensure", what))
        if isinstance(what, str):
            more[0]("building")
            image = Image(f"{what}-{len(self.images)}", what, "10.11.19", "/images/x")
            self.images[image.id] = image
            return image
        if isinstance(what, ServerSpec):
            return Server(what.instance_id, ServerState.RUNNING, what.image_id, limits={"memory": True})
        return None

    def inspect(self, instance_id: str) -> Server:
        return Server(instance_id, self.state)

    def run(
        self, guest: GuestAddress, kind: str, params: dict[str, Any], order: Order, wait: float = 0.0
    ) -> GuestOperation:
        self.asked.append((kind, guest.instance_id, params, order.id))
        answer = self.answers.pop(0) if self.answers else "SUCCEEDED"
        if isinstance(answer, Exception):
            raise answer
        return GuestOperation(order.id, kind, answer, "working", "it broke", {"kind": kind})

    def health(self, guest: GuestAddress, timeout: float = 5.0) -> Health:
        said = self.healths.get(guest.instance_id, WELL)
        if isinstance(said, list):
            said = said.pop(0) if len(said) > 1 else said[0]
        if isinstance(said, Exception):
            raise said
        return replace(said, observed_at=datetime.now(UTC).replace(tzinfo=None).isoformat())

    def __getattr__(self, name: str) -> Callable[..., None]:
        if name.startswith("_"):
            raise AttributeError(name)

        def do(*args: Any) -> None:
            self.asked.append((name, *[a for a in args if not callable(a) and not isinstance(a, Order)]))

        return do


@dataclass
class Rig:
    """A cluster, drivers, and a way to run a plan of a few steps on it."""

    desk: Desk
    cluster: Cluster
    drivers: Drivers

    def run(self, *plan: Step, kind: str = "cluster_restart", deadline: float | None = None) -> Operation:
        store = self.desk.store
        cluster = store.cluster(self.cluster.id)
        if deadline is not None:
            plan = tuple(replace(step, deadline=deadline) for step in plan)
        operation = store.accept(
            Acceptance(Plan(kind, "cluster", cluster.id, "shop", cluster.generation, steps=plan), PROJECT)
        )
        lease = store.claim("rig", 60.0)
        assert lease is not None
        d: Any = self.drivers
        tools = Tools(store, d, d, d, d, lambda datastore: engine_of(datastore).family)
        Drive(tools, lease, threading.Event(), step_function).run()
        store.release(lease)
        return store.operation(operation.id)

    def good(self, *plan: Step) -> Operation:
        operation = self.run(*plan)
        assert operation.status is S.SUCCEEDED, operation.error
        return operation

    def bad(self, *plan: Step, deadline: float = 0.1) -> str:
        operation = self.run(*plan, deadline=deadline)
        assert operation.status is S.ROLLED_BACK
        assert operation.error is not None
        return operation.error


@pytest.fixture
def rig(bench: Bench) -> Rig:
    desk = Desk(bench)
    return Rig(desk, desk.cluster(3), Drivers())


def test_every_step_that_plans_use_has_its_function() -> None:
    from trove.tests.unit.planning.test_scenarios import PLANS

    def all_of(some: tuple[Step, ...]) -> set[str]:
        return {step.name for step in some} | {name for step in some for name in all_of(step.undo)}

    used = {name for make in PLANS.values() for name in all_of(make().steps)}
    for name in used:
        assert step_function(name)
    assert set(STEP_FUNCTIONS) <= used
    with pytest.raises(KeyError):
        step_function("magic.wand")


def test_stage_builds_and_notes_the_exact_version(rig: Rig) -> None:
    target = rig.desk.version("mariadb", "11.8")
    operation = rig.good(steps.stage(target))
    assert operation.steps[0].result == {"image_id": "mariadb-11.8-0", "engine_version": "10.11.19"}
    assert rig.desk.store.version(target.id).number == "10.11.19"
    assert rig.drivers.asked == [("ensure", target.recipe), ("stage", "mariadb-11.8-0")]


def test_a_host_that_cannot_run_the_image_is_found_while_staging(rig: Rig) -> None:
    class Full(Drivers):
        def stage(self, image_id: str) -> None:
            raise DriverError(f"no room on the disk for {image_id}: free some space and try again")

    rig.drivers, target = Full(), rig.desk.version("mariadb", "11.8")
    before = rig.desk.store.version(target.id).number
    step = steps.server_ensure(rig.cluster.members[0], target, Phase.MEMBER, rebuild=True)
    assert rig.bad(steps.stage(target), step) == "no room on the disk for mariadb-11.8-0: free some space and try again"
    assert rig.drivers.asked == [("ensure", target.recipe)]
    assert rig.desk.store.version(target.id).number == before


def test_all_members_get_the_image_that_was_staged_whatever_is_built_meanwhile(rig: Rig) -> None:
    member, target = rig.cluster.members[0], rig.desk.version("mariadb", "11.8")
    newer = Image("mariadb-11.8-newer", target.recipe, "11.8.99", "/images/y")

    class Builder(Drivers):
        def ensure(self, what: Any, *more: Any) -> Any:
            made = super().ensure(what, *more)
            self.images[newer.id] = newer
            return made

    rig.drivers = Builder()
    rig.good(steps.stage(target), steps.server_ensure(member, target, Phase.MEMBER, rebuild=True))
    assert rig.desk.store.instance(member.id).image_id == "mariadb-11.8-0"
    spec = rig.drivers.asked[-1][1]
    assert (spec.image_id, spec.family, spec.address) == ("mariadb-11.8-0", "mariadb", member.address)


def test_a_pinned_image_wins_and_a_lost_one_is_replaced_by_its_recipe(rig: Rig) -> None:
    member, source = rig.cluster.members[0], rig.desk.version("mariadb", "10.11")
    for key in ("old", "new"):
        rig.drivers.images[key] = Image(key, source.recipe, "10.11.1", "/x")
    rig.good(steps.server_ensure(member, source, Phase.MEMBER, image_id="old"))
    assert rig.desk.store.instance(member.id).image_id == "old"
    rig.good(steps.server_ensure(member, source, Phase.MEMBER, image_id="gone"))
    assert rig.desk.store.instance(member.id).image_id == "new"


def test_without_an_image_the_error_says_how_to_build_it(rig: Rig) -> None:
    step = steps.server_ensure(rig.cluster.members[0], rig.cluster.version, Phase.MEMBER)
    assert "trove-manage image build mariadb-10.11" in rig.bad(step)


def test_servers_and_their_copies(rig: Rig) -> None:
    member = rig.cluster.members[0]
    rig.good(
        steps.server_copy(member, "c", undo=()),
        steps.server_restore(member, "c"),
        steps.server_discard(member, "c"),
        steps.server_delete(member),
    )
    assert rig.drivers.asked == [
        ("copy_data", member.id, "c"),
        ("restore_data", member.id, "c"),
        ("discard_copy", member.id, "c"),
        ("delete", member.id),
    ]


def test_the_endpoint(rig: Rig) -> None:
    one, two, _ = rig.cluster.members
    rig.good(
        steps.endpoint_ensure(rig.cluster.members, one, Phase.BUILD),
        steps.endpoint_member(two, "maint", Phase.MEMBER),
        steps.endpoint_switch(two, Phase.SWITCHOVER),
        steps.endpoint_delete(rig.cluster),
    )
    (_, spec), *others = rig.drivers.asked
    assert (spec.active, spec.address, spec.port) == (one.id, rig.cluster.endpoint_address, 3306)
    assert [backend.name for backend in spec.backends] == [member.id for member in rig.cluster.members]
    assert others == [
        ("set_state", rig.cluster.id, two.id, "maint"),
        ("switch", rig.cluster.id, two.id),
        ("delete", rig.cluster.id),
    ]


def test_rows(rig: Rig) -> None:
    one, two, _ = rig.cluster.members
    target = rig.desk.version("mariadb", "11.8")
    rig.good(
        steps.record_member(one, Phase.MEMBER, task=InstanceTask.UPGRADING, title="mark"),
        steps.record_release(one, Phase.MEMBER, target),
        steps.record_cluster("record", Phase.FINALIZE, version=target, active=two.id),
        steps.record_deleted(two),
        steps.record_deleted(two),
    )
    cluster = rig.desk.store.cluster(rig.cluster.id)
    assert (cluster.version.name, cluster.active_member_id) == ("11.8", two.id)
    assert {member.name: member.version.name for member in cluster.members} == {
        "shop-member-1": "11.8",
        "shop-member-3": "10.11",
    }


def test_the_cluster_is_forgotten_once(rig: Rig) -> None:
    rig.good(steps.record_cluster_deleted(rig.cluster), steps.record_cluster_deleted(rig.cluster))
    with pytest.raises(NotFound):
        rig.desk.store.cluster(rig.cluster.id)


def test_an_order_to_an_agent_carries_the_clusters_secret_but_the_plan_does_not(rig: Rig) -> None:
    member = rig.cluster.members[0]
    step = steps.guest(member, "start", "start", Phase.MEMBER, {"cluster": {"kind": "galera"}})
    rig.drivers.answers = ["RUNNING", "SUCCEEDED"]
    operation = rig.good(step)
    kind, asked, params, order = rig.drivers.asked[-1]
    assert (kind, asked, order) == ("start", member.id, f"{operation.id}-0-1")
    secret = rig.desk.store.secret(rig.cluster.id)["cluster_secret"]
    assert params == {"cluster": {"kind": "galera", "secret": secret}}
    assert secret not in str(operation.steps)
    assert operation.steps[0].result == {"kind": "start"}
    rig.desk.store.drop_secret(rig.cluster.id)
    rig.good(step)
    assert rig.drivers.asked[-1][2] == {"cluster": {"kind": "galera"}}


def test_accounts_go_with_the_step_that_names_them(rig: Rig) -> None:
    member = rig.cluster.members[0]
    rig.desk.store.put_secret(rig.cluster.id, {"users": [{"name": "ann"}], "cluster_secret": "x"})
    rig.good(steps.guest(member, "prepare", "prepare", Phase.BUILD, {"cluster": None}, secret=rig.cluster.id))
    assert rig.drivers.asked[-1][2] == {"cluster": None, "users": [{"name": "ann"}]}


def test_an_agent_that_fails_is_asked_anew(rig: Rig) -> None:
    rig.drivers.answers = ["FAILED"]
    rig.good(steps.guest(rig.cluster.members[0], "stop", "stop", Phase.MEMBER))
    first, second = (asked[3] for asked in rig.drivers.asked)
    assert first != second
    rig.drivers.answers = ["FAILED"] * 9
    assert rig.bad(steps.guest(rig.cluster.members[0], "stop", "stop", Phase.MEMBER), deadline=20) == (
        "shop-member-1: it broke"
    )


@pytest.mark.parametrize("gate", [False, True])
def test_a_server_that_died_under_the_operation_is_started_again(rig: Rig, gate: bool) -> None:
    member = rig.cluster.members[0]
    rig.desk.store.update_instance(member.id, image_id="img")
    rig.drivers.answers, rig.drivers.state = [Unavailable("no route")], ServerState.STOPPED
    plain = steps.guest(member, "start", "start", Phase.MEMBER)
    rig.good(steps.gate(member, member.version, Phase.MEMBER) if gate else plain)
    assert [asked[0] for asked in rig.drivers.asked][1] == "ensure"
    rig.drivers.answers, rig.drivers.state, rig.drivers.asked = [Unavailable("slow")], ServerState.RUNNING, []
    rig.good(plain)
    assert [asked[0] for asked in rig.drivers.asked] == ["start", "start"]


def test_the_gate_wants_the_engines_own_word(rig: Rig) -> None:
    member = rig.cluster.members[0]
    gate = steps.gate(member, member.version, Phase.MEMBER)
    sick = replace(WELL, in_sync=False, reason="donor")
    rig.drivers.answers = ["RUNNING", "FAILED", "SUCCEEDED", "SUCCEEDED"]
    rig.drivers.healths[member.id] = [sick, WELL]
    operation = rig.good(gate)
    assert rig.drivers.asked[0][2]["version_prefix"] == "10.11"
    assert operation.steps[0].result["version"] == "10.11.6-MariaDB"
    said = rig.desk.store.instance(member.id).health
    assert said is not None
    assert said.version_number == "10.11.6"


@pytest.mark.parametrize(("said", "why"), [("10.1.6", "10.1.6"), ("", "nothing")])
def test_the_gate_does_not_pass_another_release(rig: Rig, said: str, why: str) -> None:
    member = rig.cluster.members[0]
    rig.drivers.healths[member.id] = replace(WELL, version=said, version_number=said)
    assert f"its engine says it runs {why}, not 10.11" in rig.bad(steps.gate(member, member.version, Phase.MEMBER))


def test_the_precheck_asks_everybody_and_waits_for_what_mends_itself(rig: Rig) -> None:
    one, two, three = (member.id for member in rig.cluster.members)
    rig.drivers.healths = {
        one: [Unavailable("agent of m1 does not answer"), WELL],
        two: [replace(WELL, status=EngineStatus.ERROR, reason="no quorum"), WELL],
    }
    operation = rig.good(steps.precheck(rig.cluster.members, rig.cluster.version))
    assert operation.steps[0].attempts == 2
    warning = next(event.text for event in operation.events if "trying again" in event.text)
    assert "agent of m1 does not answer" in warning
    assert "shop-member-2: its engine says ERROR no quorum" in warning
    assert set(operation.steps[0].result) == {f"shop-member-{n}" for n in (1, 2, 3)}
    assert rig.desk.store.instance(three).health is not None


def test_who_cannot_follow_an_upgraded_primary_is_not_waited_for(rig: Rig) -> None:
    one, two, three = rig.cluster.members
    newer = replace(WELL, role="primary", detail={"node_id": "n1"})
    behind = replace(WELL, role="replica", in_sync=False, reason="its link is down", detail={"master_id": "n1"})
    rig.drivers.healths = {one.id: newer, two.id: behind}
    rig.good(steps.peers_ready(rig.cluster.members, three, Phase.MEMBER, ahead=[one]))
    impatient = replace(steps.peers_ready(rig.cluster.members, three, Phase.MEMBER), deadline=0.1)
    assert "its link is down" in rig.bad(impatient)
    rig.drivers.healths[one.id] = replace(newer, in_sync=False, reason="it is loading")
    impatient = replace(steps.peers_ready(rig.cluster.members, three, Phase.MEMBER, ahead=[one]), deadline=0.1)
    assert "it is loading" in rig.bad(impatient)


def test_who_leads_cannot_go_back(rig: Rig) -> None:
    one, two, _ = rig.cluster.members
    rig.drivers.healths = {one.id: Unavailable("no route"), two.id: replace(WELL, role="replica")}
    question = steps.still([one, two], "replica", Phase.ROLLBACK, "old cannot read new")
    rig.good(question)
    rig.drivers.healths[two.id] = replace(WELL, role="primary")
    assert rig.bad(question) == "shop-member-2 says that it is primary, no longer replica: old cannot read new"


def test_nobody_gives_up_its_data_before_there_is_somebody_to_copy_from(rig: Rig) -> None:
    one, two, three = rig.cluster.members
    question = steps.copy_source(three, [one.id, two.id], three.version, Phase.ROLLBACK, role="primary")
    impatient = replace(question, deadline=0.1)
    rig.drivers.healths = {one.id: Unavailable("no route"), two.id: replace(WELL, role="primary")}
    assert rig.good(question).steps[0].result == {two.name: WELL.version}
    for unfit, why in (
        (replace(WELL, role="replica"), "its engine says it is replica"),
        (replace(WELL, role="primary", version="11.8.1", version_number="11.8.1"), "its engine says it runs 11.8.1"),
        (replace(WELL, role="primary", in_sync=False, reason="it is loading"), "its engine says HEALTHY it is loading"),
    ):
        rig.drivers.healths[two.id] = unfit
        error = rig.bad(impatient)
        assert f"nobody can give {three.name} a full copy: {one.name}: " in error
        assert f"{two.name}: {why}" in error


def test_the_precheck_does_not_wait_for_another_world(rig: Rig) -> None:
    one, two, _ = rig.cluster.members
    rig.drivers.healths = {
        one.id: replace(WELL, version="11.8.1", version_number="11.8.1"),
        two.id: replace(WELL, role="replica"),
    }
    planned = [replace(two, health=replace(WELL, role="primary")), one]
    error = rig.bad(steps.precheck(planned, rig.cluster.version), deadline=60.0)
    assert error == (
        "shop-member-2: its engine says it is replica, not primary; shop-member-1: its engine says it runs 11.8.1, "
        "not 10.11; the plan was made for something else, ask again for one that knows it"
    )


def test_the_others_are_asked_without_the_one_that_leaves(rig: Rig) -> None:
    one, two, _ = rig.cluster.members
    rig.drivers.healths = {one.id: Unavailable("gone")}
    rig.good(steps.peers_ready(rig.cluster.members, one, Phase.MEMBER))
    assert "gone" in rig.bad(steps.peers_ready(rig.cluster.members, two, Phase.MEMBER))


def test_a_hold_waits_for_a_person(rig: Rig) -> None:
    operation = rig.run(steps.hold("look at the canary", Phase.MEMBER))
    assert (operation.status, operation.status_text) == (S.HELD, "look at the canary")


def test_version_ids_are_those_of_the_seeds(rig: Rig) -> None:
    assert rig.cluster.version.id == version_id("mariadb", "10.11")
