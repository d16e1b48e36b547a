"""The model would notice: leave out any step, or any part of any way back, and an invariant breaks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from trove.domain.instances import Cluster
from trove.domain.plans import Plan, Step
from trove.domain.requests import UpgradeOptions
from trove.planning.upgrade import upgrade_cluster
from trove.tests.unit.planning import worlds
from trove.tests.unit.planning.explore import explore
from trove.tests.unit.planning.test_invariants import model, on_release, same

QUESTIONS = (
    "precheck.health",
    "precheck.roles",
    "precheck.source",
    "gate.member",
    "guest.drain",
    "guest.await_cluster",
    "hold",
)
"""Steps that only wait or ask: what they wait for never fails in the model (their places are tested below)."""

CASES = {"galera": (worlds.galera(), "mariadb", "11.8"), "redis": (worlds.redis(), "redis", "8.0")}


def plan_of(case: str) -> Plan:
    cluster, datastore, name = CASES[case]
    target = worlds.version(datastore, name)
    return upgrade_cluster(worlds.world_of(cluster, target), target, UpgradeOptions())


def passes(case: str, plan: Plan) -> bool:
    cluster, _, name = CASES[case]
    try:
        explore(model(cluster), plan, same, lambda world: on_release(name, world))
    except AssertionError:
        return False
    return True


def without_a_step(plan: Plan) -> Iterator[tuple[str, Plan]]:
    for index, step in enumerate(plan.steps):
        if step.name not in QUESTIONS:
            yield step.title, replace(plan, steps=plan.steps[:index] + plan.steps[index + 1 :])


def without_an_undo(plan: Plan) -> Iterator[tuple[str, Plan]]:
    for index, step in enumerate(plan.steps):
        for nth, undo in enumerate(step.undo):
            if undo.name not in QUESTIONS:
                rest = replace(step, undo=step.undo[:nth] + step.undo[nth + 1 :])
                yield (
                    f"{step.title} < {undo.title}",
                    replace(plan, steps=(*plan.steps[:index], rest, *plan.steps[index + 1 :])),
                )


@pytest.mark.parametrize("case", CASES)
def test_every_step_is_needed(case: str) -> None:
    plan = plan_of(case)
    # Either of these is enough here; the second puts the endpoint in order whatever has happened to it.
    idle = {"Put m1 back behind the cluster's address", "Serve 3 members at the cluster's address, m2 active"}
    kept = {title for title, mutant in without_a_step(plan) if passes(case, mutant)}
    assert kept == (idle if case == "galera" else set())


@pytest.mark.parametrize("case", CASES)
def test_every_way_back_is_needed(case: str) -> None:
    kept = {title for title, mutant in without_an_undo(plan_of(case)) if passes(case, mutant)}
    # The switch back to the active member lets it take part as well.
    also = {"Take m1 out of the cluster's address < Put m1 back behind the cluster's address"}
    assert kept == (also if case == "galera" else set())


@pytest.mark.parametrize("case", CASES)
def test_a_point_of_no_return_that_is_not_marked_is_noticed(case: str) -> None:
    plan = plan_of(case)
    first = plan.point_of_no_return
    assert first is not None
    steps = tuple(replace(step, no_return=False) for step in plan.steps)
    assert not passes(case, replace(plan, steps=steps))


def members_out(steps: tuple[Step, ...]) -> Iterator[tuple[int, Step]]:
    """Where a member is taken out: the first step that takes something from those who use it."""
    for index, step in enumerate(steps):
        behind_endpoint = step.name == "endpoint.member" and step.params["state"] == "maint"
        if behind_endpoint or (step.name == "guest.pre_upgrade" and steps[index - 2].name != "endpoint.member"):
            yield index, step


@pytest.mark.parametrize("case", CASES)
def test_all_others_are_asked_before_a_member_is_taken_out(case: str) -> None:
    cluster: Cluster = CASES[case][0]
    plan = plan_of(case)
    seen = set()
    for index, step in members_out(plan.steps):
        question = next(s for s in reversed(plan.steps[:index]) if s.name not in ("record.member",))
        assert question.name == "precheck.health"
        assert {*question.params["members"], step.member_id} == {m.id for m in cluster.members}
        seen.add(step.member_id)
    assert seen == {m.id for m in cluster.members}


@pytest.mark.parametrize("case", CASES)
def test_the_engine_proves_itself_before_anything_counts_on_it(case: str) -> None:
    """Between a member's rebuild and the record of its release there is its gate; so it is on the way back."""
    target = CASES[case][2]
    steps = plan_of(case).steps
    for index, step in enumerate(steps):
        if step.name != "server.ensure":
            continue
        following = steps[index + 1 : index + 5]
        gate = next(s for s in following if s.name == "gate.member")
        record = next(n for n, s in enumerate(following) if s.name == "record.member")
        assert gate.member_id == step.member_id
        assert gate.params["version"] == target
        assert following.index(gate) < record
        assert not step.undo or step.undo[-1].name == "gate.member"


@pytest.mark.parametrize("case", CASES)
def test_who_goes_back_is_out_only_while_all_others_are_well(case: str) -> None:
    steps = plan_of(case).steps
    first = next(n for n, step in enumerate(steps) if step.no_return)
    cluster: Cluster = CASES[case][0]
    undone = [[undo for undo in step.undo if undo.name == "precheck.health"] for step in steps[:first]]
    questions = [question for question, *_ in filter(None, undone)]
    upgraded = {step.member_id for step in steps[:first] if step.name == "server.ensure"}
    assert {question.member_id for question in questions} == upgraded
    for question in questions:
        assert {*question.params["members"], question.member_id} == {m.id for m in cluster.members}


@pytest.mark.parametrize("case", CASES)
def test_no_data_is_removed_for_a_copy_before_somebody_was_found_who_has_it(case: str) -> None:
    source = CASES[case][0].version.name
    reseeded = [step for step in plan_of(case).steps if "guest.reseed" in [undo.name for undo in step.undo]]
    assert reseeded
    for step in reseeded:
        asked = next(n for n, undo in enumerate(step.undo) if undo.name == "precheck.source")
        touched = next(n for n, undo in enumerate(step.undo) if not undo.name.startswith("precheck."))
        question = step.undo[asked]
        assert asked < touched
        assert question.params["version"] == source
        assert step.member_id not in question.params["members"]
        assert question.params["members"]
