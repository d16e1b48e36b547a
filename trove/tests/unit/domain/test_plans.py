"""The rules of plans: what is undone, when there is no way back."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from trove.domain.plans import Blocker, Phase, Plan, Step, may_roll_back, undo_steps


def step(name: str, *undo: str, no_return: bool = False, commit: bool = False) -> Step:
    return Step(
        name,
        name.upper(),
        Phase.MEMBER,
        params={"of": name},
        undo=tuple(Step(u, u.upper(), Phase.REMOVE) for u in undo),
        no_return=no_return,
        commit=commit,
    )


def names(steps: tuple[Step, ...]) -> list[str]:
    return [s.name for s in steps]


def test_undo_runs_backwards_with_each_steps_own_order() -> None:
    started = [(step("a", "a1", "a2"), True), (step("b"), True), (step("c", "c1", "c2"), False)]
    assert names(undo_steps(started)) == ["c1", "c2", "a1", "a2"]
    assert {s.phase for s in undo_steps(started)} == {Phase.ROLLBACK}


def test_undo_stops_at_the_latest_commit_that_is_done() -> None:
    a, b, c = step("a", "a1"), step("b", "b1", commit=True), step("c", "c1")
    assert names(undo_steps([(a, True), (b, True), (c, False)])) == ["c1"]
    assert names(undo_steps([(a, True), (b, False)])) == ["b1", "a1"]


def test_nothing_started_nothing_undone() -> None:
    assert undo_steps([]) == ()
    assert may_roll_back([])


def test_no_return_counts_from_its_start_until_a_commit_is_done() -> None:
    final, commit = step("f", no_return=True), step("c", commit=True)
    assert not may_roll_back([(final, False)])
    assert not may_roll_back([(final, True), (commit, False)])
    assert may_roll_back([(final, True), (commit, True)])
    assert may_roll_back([(final, True), (commit, True), (step("a"), False)])
    both = step("b", no_return=True, commit=True)
    assert not may_roll_back([(both, False)])
    assert may_roll_back([(both, True)])


marks = st.lists(st.tuples(st.booleans(), st.booleans(), st.booleans()), max_size=12)


@given(marks, st.booleans())
def test_nothing_behind_a_point_of_no_return_is_ever_undone(
    rows: list[tuple[bool, bool, bool]], last_done: bool
) -> None:
    started = [
        (step(str(n), *([f"u{n}"] if undo else []), no_return=final, commit=commit), n < len(rows) - 1 or last_done)
        for n, (undo, final, commit) in enumerate(rows)
    ]
    committed = max((n for n, (s, done) in enumerate(started) if s.commit and done), default=-1)
    assert may_roll_back(started) == (not any(s.no_return for s, _ in started[committed + 1 :]))
    expected = [u.name for s, _ in reversed(started[committed + 1 :]) for u in s.undo]
    assert names(undo_steps(started)) == expected


def test_plan_survives_json_with_nested_undo() -> None:
    plan = Plan(
        "k",
        "cluster",
        "id",
        "name",
        3,
        steps=(step("a", "a1"), step("b", no_return=True)),
        blockers=(Blocker(422, "busy", "m", "n"),),
        warnings=("w",),
        hops=("1", "2"),
    )
    assert Plan.from_dict(json.loads(json.dumps(plan.to_dict()))) == plan
    assert plan.point_of_no_return == 1
    assert Plan("k", "cluster", "id", "name", 3).point_of_no_return is None
