"""Killed at any write, or crossed by a person at any write: an operation always comes to its right end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from trove.domain.errors import Unprocessable
from trove.domain.operations import Operation
from trove.domain.states import OperationStatus
from trove.operations.context import Done, Failed, Held, Retry
from trove.tests.unit.operations.conftest import Bench, step

S = OperationStatus
WRITES = ("set_status", "set_step", "advance", "append_undo", "add_event", "update_instance", "update_cluster")


class Killed(BaseException):
    """The process is gone; nothing of ours may catch it."""


class Watched:
    """The real store, with something happening at the n-th write."""

    def __init__(self, store: Any, at: int, happen: Callable[[], None], after: bool = False) -> None:
        self._store, self._left, self._happen, self._after = store, at, happen, after
        self.happened = False

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._store, name)
        return self._counted(found) if name in WRITES else found

    def _counted(self, write: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any, **fields: Any) -> Any:
            self._left -= 1
            now = self._left == 0
            if now and not self._after:
                self.happened = True
                self._happen()
            result = write(*args, **fields)
            if now and self._after:
                self.happened = True
                self._happen()
            return result

        return run


def killed() -> None:
    raise Killed


def straight(bench: Bench) -> Operation:
    return bench.accept(step("one", "back 1"), step("two", "back 2"), step("three"), on=bench.same())


def with_a_hold(bench: Bench) -> Operation:
    bench.script.answers["hold"] = [Held("look")]
    return bench.accept(step("one", "back 1"), step("hold"), step("three"), on=bench.same())


def with_a_fault(bench: Bench) -> Operation:
    bench.script.answers["two"] = [Failed("broken")]
    return bench.accept(step("one", "back 1a", "back 1b"), step("two", "back 2"), step("three"), on=bench.same())


def with_retries(bench: Bench) -> Operation:
    bench.script.answers["one"] = [Retry("again", after=0.0), Retry("again", after=0.0), Done()]
    return bench.accept(step("one", "back 1"), step("two"), on=bench.same())


def with_a_fault_behind_no_return(bench: Bench) -> Operation:
    bench.script.answers["two"] = [Failed("broken"), Done()]
    return bench.accept(step("one", "back 1", no_return=True), step("two"), on=bench.same())


def held_by_a_fault(bench: Bench) -> Operation:
    bench.script.answers["two"] = [Failed("broken")]
    return bench.accept(step("one", "back 1"), step("two", "back 2"), on_failure="hold", on=bench.same())


CASES: dict[Any, tuple[OperationStatus, set[int]]] = {
    # case: its end, and how often a person may have to resume it on the way
    straight: (S.SUCCEEDED, {0}),
    with_a_hold: (S.SUCCEEDED, {1}),
    with_a_fault: (S.ROLLED_BACK, {0}),
    with_retries: (S.SUCCEEDED, {0}),
    # Killed before the fault has led to the hold, the next executor tries the step again, which then succeeds.
    with_a_fault_behind_no_return: (S.SUCCEEDED, {0, 1}),
}


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_killed_at_every_write(bench: Bench, case: Callable[[Bench], Operation], after: bool) -> None:
    end, held_on_the_way = CASES[case]
    kills = 0
    while True:
        bench.script.answers.clear()
        bench.script.calls.clear()
        operation = case(bench)
        watched = Watched(bench.store, kills + 1, killed, after)
        try:
            bench.drive(operation.id, watched)
        except Killed:
            kills += 1
        holds = 0
        while not bench.read(operation).status.final:
            if bench.read(operation).status is S.HELD:
                holds += 1
                bench.store.request(operation.id, "resume")
            bench.drive(operation.id)
        ended = bench.read(operation)
        assert ended.status is end
        assert holds in held_on_the_way, "a hold is never passed without a person, and asks one once"
        assert bench.store.instance(operation.resource_id).task.name == "NONE"
        done = list(dict.fromkeys(bench.script.names))
        expected = [row.step.name for row in ended.steps if row.status.value not in ("WAITING",)]
        assert done == expected, "every step in its order, none left out"
        if not watched.happened:
            break
    assert kills > 5


@pytest.mark.parametrize(
    "case", [straight, with_a_hold, with_a_fault, with_retries, held_by_a_fault], ids=lambda case: case.__name__
)
def test_a_person_asks_for_rollback_at_every_write(bench: Bench, case: Callable[[Bench], Operation]) -> None:
    """Accepted means it comes: what was asked for is never lost, and nothing is called rolled back that is not."""
    moment, accepted_once, refused_once = 0, False, False
    while True:
        moment += 1
        bench.script.answers.clear()
        bench.script.calls.clear()
        operation = case(bench)
        accepted: list[bool] = []

        def ask(operation: Operation = operation, accepted: list[bool] = accepted) -> None:
            try:
                bench.store.request(operation.id, "rollback")
                accepted.append(True)
            except Unprocessable:
                accepted.append(False)

        watched = Watched(bench.store, moment, ask)
        bench.drive(operation.id, watched)
        if bench.read(operation).status.active:  # asked for when it was held already
            bench.drive(operation.id)
        ended = bench.read(operation)
        if not watched.happened:
            break
        if accepted[0]:
            accepted_once = True
            assert ended.status is S.ROLLED_BACK
            undone = [name for name in bench.script.names if name.startswith("back")]
            begun = [row.step for row in ended.steps if not row.undo and row.status.value in ("UNDONE", "FAILED")]
            assert undone == [undo.name for one in reversed(begun) for undo in one.undo]
        else:
            refused_once = True
            assert ended.status in (S.SUCCEEDED, S.HELD, S.ROLLED_BACK)
        if ended.status is S.HELD:
            bench.store.request(operation.id, "rollback")
            bench.drive(operation.id)
    assert accepted_once
    assert refused_once
