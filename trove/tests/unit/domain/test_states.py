"""The state tables: complete, without dead ends, and the manual shows them as they are."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from trove.domain import states
from trove.domain.states import ClusterTask, InstanceTask, OperationStatus

PAGE = Path(__file__).parents[4] / "docs" / "states.md"


def test_tasks_have_codes_and_names_of_their_own() -> None:
    for family in (InstanceTask, ClusterTask):
        assert len({task.name for task in family.ALL}) == len({task.code for task in family.ALL}) == len(family.ALL)
        declared = {value for name, value in vars(family).items() if isinstance(value, states.Task)}
        assert declared == set(family.ALL)
        for task in family.ALL:
            assert states.task_by_name(family, task.name) is task
            assert task.description
        with pytest.raises(KeyError):
            states.task_by_name(family, "NO SUCH TASK")
    assert all(task.status for task in InstanceTask.ALL)


@pytest.mark.parametrize(
    ("table", "everything", "check"),
    [
        (states.INSTANCE_TRANSITIONS, InstanceTask.ALL, states.check_instance_transition),
        (states.CLUSTER_TRANSITIONS, ClusterTask.ALL, states.check_cluster_transition),
        (states.OPERATION_TRANSITIONS, tuple(OperationStatus), states.check_operation_transition),
    ],
    ids=["instance", "cluster", "operation"],
)
def test_only_the_tables_transitions_pass(table, everything, check) -> None:
    for before in everything:
        for after in everything:
            if before == after or (before, after) in table:
                check(before, after)
            else:
                with pytest.raises(ValueError, match=r"go(es)? from"):
                    check(before, after)


def reachable(table, start) -> set:
    known, found = set(), {start}
    while found:
        known |= found
        found = {b for a, b in table if a in known} - known
    return known


def test_no_task_is_a_dead_end() -> None:
    """Whatever an instance or a cluster is doing, its owner can still delete it."""
    for family, table in ((InstanceTask, states.INSTANCE_TRANSITIONS), (ClusterTask, states.CLUSTER_TRANSITIONS)):
        for task in family.ALL:
            assert task in reachable(table, family.BUILDING), f"{task.name} is never reached"
            assert family.DELETING in reachable(table, task), f"{task.name} cannot be left"


def test_operations_end_and_ended_ones_stay_so() -> None:
    for status in OperationStatus:
        following = reachable(states.OPERATION_TRANSITIONS, status)
        assert any(other.final for other in following)
        assert not status.final or following == {status}
        assert status.final + status.active + (status is OperationStatus.HELD) == 1
    assert reachable(states.OPERATION_TRANSITIONS, OperationStatus.PENDING) == set(OperationStatus)


def test_the_page_of_the_manual_is_made_from_the_tables() -> None:
    assert PAGE.read_text() == states.page(), "docs/states.md is old: python -m trove.domain.states > docs/states.md"


def test_the_module_prints_the_page(capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(states.__file__, run_name="__main__")
    assert capsys.readouterr().out == states.page()
