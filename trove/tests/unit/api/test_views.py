from __future__ import annotations

from datetime import datetime
from types import SimpleNamespace
from typing import Any

import pytest

from trove.api.views import flavors, operations
from trove.domain.datastores import Flavor
from trove.domain.operations import Operation, OperationStep
from trove.domain.plans import Blocker, Phase, Plan, Step
from trove.domain.states import OperationStatus, StepStatus

CALL: Any = SimpleNamespace(base="http://x", caller=SimpleNamespace(project_id="p"))


@pytest.mark.parametrize(
    ("text", "number"),
    [("1", 1), ("0", 0), ("42", 42), ("01", None), ("-1", None), ("a1", None), ("²", None), ("9" * 30, None)],
)
def test_flavor_ids_are_numbers_where_they_look_like_one(text: str, number: int | None) -> None:
    shown = flavors.flavor(CALL, Flavor(text, "f", 1, 1, 1))
    assert (shown["id"], shown["str_id"]) == (number, text)


def step(name: str, **more: Any) -> Step:
    return Step(name, name.title(), Phase.MEMBER, "m-1", "shop-1", deadline=90.0, **more)


def operation(status: OperationStatus, *rows: tuple[Step, StepStatus, bool]) -> Operation:
    steps = tuple(OperationStep(index, each, state, undo=undo) for index, (each, state, undo) in enumerate(rows))
    plan = Plan("cluster_upgrade", "cluster", "c-1", "shop", 1, tuple(row.step for row in steps if not row.undo))
    return Operation("o-1", "p", "cluster_upgrade", "cluster", "c-1", "shop", plan, status, steps=steps)


def test_progress_counts_the_way_forward() -> None:
    shown = operations.show(
        operation(
            OperationStatus.RUNNING,
            (step("a"), StepStatus.DONE, False),
            (step("b"), StepStatus.SKIPPED, False),
            (step("c", no_return=True), StepStatus.RUNNING, False),
            (step("d"), StepStatus.WAITING, False),
        ),
        (),
    )
    assert shown["progress"] == {"done": 2, "total": 4}
    assert shown["point_of_no_return"] == {"index": 2, "passed": True}
    assert shown["can_rollback"] is False
    assert shown["steps"][0]["member"] == {"id": "m-1", "name": "shop-1"}
    assert shown["steps"][0]["deadline_seconds"] == 90


def test_progress_counts_the_way_back_while_rolling_back() -> None:
    shown = operations.show(
        operation(
            OperationStatus.ROLLING_BACK,
            (step("a"), StepStatus.UNDONE, False),
            (step("b"), StepStatus.FAILED, False),
            (step("undo-b"), StepStatus.DONE, True),
            (step("undo-a"), StepStatus.WAITING, True),
        ),
        (),
    )
    assert shown["progress"] == {"done": 1, "total": 2}
    assert shown["point_of_no_return"] is None
    assert [each["undo"] for each in shown["steps"]] == [False, False, True, True]


def test_a_plan_shows_everything_at_once() -> None:
    plan = Plan(
        "cluster_upgrade",
        "cluster",
        "c-1",
        "shop",
        7,
        (step("a"), step("b", no_return=True)),
        (Blocker(422, "is behind", "m-1", "shop-1"), Blocker(400, "is inactive")),
        ("takes long",),
        "10.5",
        "11.8",
        ("10.5", "10.11", "11.8"),
        450,
        "hold",
    )
    assert operations.plan(plan) == {
        "kind": "cluster_upgrade",
        "resource": {"type": "cluster", "id": "c-1", "name": "shop"},
        "from_version": "10.5",
        "to_version": "11.8",
        "hops": ["10.5", "10.11", "11.8"],
        "on_failure": "hold",
        "blockers": [
            {"code": 422, "member": {"id": "m-1", "name": "shop-1"}, "reason": "is behind"},
            {"code": 400, "member": None, "reason": "is inactive"},
        ],
        "warnings": ["takes long"],
        "point_of_no_return": 1,
        "expected_write_gap_ms": 450,
        "steps": [
            {
                "index": index,
                "phase": "member",
                "name": name,
                "title": name.title(),
                "member": {"id": "m-1", "name": "shop-1"},
                "deadline_seconds": 90,
                "undo": False,
            }
            for index, name in enumerate(("a", "b"))
        ],
    }


def test_times_have_neither_fraction_nor_zone() -> None:
    from trove.api.views.common import timestamp

    assert timestamp(datetime(2031, 4, 9, 8, 15, 30, 999999)) == "2031-04-09T08:15:30"
    assert timestamp(None) is None
