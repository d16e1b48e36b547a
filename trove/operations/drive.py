"""Run one operation, step after step, under a lease. Decides nothing: the plan says what, the tables say what then.

Kill the process anywhere: rows tell the next executor which step was running, every step asks before it acts, and
agents and drivers find an order they know by its id. A lost lease shows as StaleGeneration at the next write, and the
operation is left to its new owner.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from threading import Event
from typing import Any

from trove.domain.errors import Conflict, DriverError, StaleGeneration, TroveError, Unavailable
from trove.domain.operations import Operation, OperationStep
from trove.domain.plans import may_roll_back, undo_steps
from trove.domain.ports import Order
from trove.domain.states import OperationStatus, StepStatus
from trove.domain.store import Lease
from trove.operations.context import Again, Done, Failed, Held, Outcome, Retry, StepContext, StepFunction, Tools
from trove.operations.settle import settle

LOG = logging.getLogger(__name__)

OPEN = (StepStatus.WAITING, StepStatus.RUNNING, StepStatus.FAILED)
SAY_EVERY = 0.25
"""Seconds between two writes of what a step is doing, and between two looks whether it was interrupted."""
PATIENT = ("gate.", "precheck.")
"""Steps that wait for engines: they are tried until their deadline, others a few times."""


class Stopping(Exception):
    """The executor is being stopped; the operation goes on elsewhere or later."""


class Drive:
    """One operation in the hands of this executor."""

    def __init__(
        self, tools: Tools, lease: Lease, stop: Event, find: Callable[[str], StepFunction], attempts: int = 5
    ) -> None:
        self._tools, self._store, self._lease, self._stop, self._find = tools, tools.store, lease, stop, find
        self._attempts = attempts

    def run(self) -> None:
        """Go on until the operation ends, is held, or is no longer ours."""
        now: Operation | None = self._read()
        if now is not None and now.status is OperationStatus.PENDING:
            self._set_status(now, OperationStatus.RUNNING)
            now = self._read()
        while now is not None:
            try:
                now = self._go_on(now)
            except Conflict as error:  # a person was faster; what is asked for is read again
                LOG.info("%s", error)
                now = self._read()

    def _read(self) -> Operation:
        return self._store.operation(self._lease.operation_id)

    def _go_on(self, operation: Operation) -> Operation | None:
        """Do the next step and return the operation; None when there is none, or it waits for a person."""
        if operation.status is OperationStatus.RUNNING:
            row = next((row for row in operation.steps if not row.undo and row.status in OPEN), None)
            ending = OperationStatus.SUCCEEDED
        elif operation.status is OperationStatus.ROLLING_BACK:
            if not any(row.taking_back for row in operation.steps):
                self._store.append_undo(self._lease, undo_steps(operation.started_steps))
                operation = self._read()
            row = next((row for row in operation.steps if row.undo and row.status in OPEN), None)
            ending = OperationStatus.ROLLED_BACK
        else:
            return None
        if row is None:
            self._end(operation, ending)
            return None
        return self._run_step(operation, row)

    def _run_step(self, operation: Operation, row: OperationStep) -> Operation | None:
        """Bring one step to its end; None when the operation waits for a person or is over."""
        deadline = time.monotonic() + row.step.deadline
        attempt, last_reason, said_at, looked_at = row.attempts, "", 0.0, 0.0

        def say(text: str) -> None:
            nonlocal said_at
            if time.monotonic() - said_at >= SAY_EVERY:
                said_at = time.monotonic()
                self._store.set_step(self._lease, row.index, StepStatus.RUNNING, text)

        if row.status is not StepStatus.RUNNING:
            attempt += 1
            self._begin(row, row.step.title)
        tries = 1
        while True:
            if self._stop.is_set():
                raise Stopping
            order = Order(operation.id, row.index, self._lease.fence, attempt)
            outcome = self._call(StepContext(self._tools, operation, row.step, order, say, self._lease))
            if isinstance(outcome, Done):
                return self._done(operation, row, outcome.result)
            if isinstance(outcome, Held):
                # Together: between the two a crash would have the plan go on without having waited.
                self._set_status(operation, OperationStatus.HELD, outcome.reason, step_done=row.index)
                return None
            if isinstance(outcome, Failed):
                return self._fault(operation, row, outcome.reason)
            late = time.monotonic() >= deadline
            if isinstance(outcome, Retry):
                tries += 1
                if late or (tries > self._attempts and not row.step.name.startswith(PATIENT)):
                    return self._fault(operation, row, outcome.reason)
                attempt += 1
                self._begin(row, outcome.reason)  # under the lease, so before the event, which is not
                if outcome.reason != last_reason:
                    self._store.add_event(operation.id, "warning", f"{row.step.title}: {outcome.reason}; trying again")
            elif late:
                waited = f"{row.step.title}: not done in {row.step.deadline:g} s, last seen: {outcome.reason}"
                return self._fault(operation, row, waited)
            else:
                say(outcome.reason)
            last_reason = outcome.reason
            if time.monotonic() - looked_at >= SAY_EVERY:
                looked_at = time.monotonic()
                if self._interrupted(operation):
                    return self._read()  # a person asked for a rollback while the step was waiting
            self._stop.wait(outcome.after)

    def _done(self, operation: Operation, row: OperationStep, result: Mapping[str, Any]) -> Operation:
        """Note the end of a step together with the begin of the one behind it: half the writes, and no reading."""
        behind = operation.steps[row.index + 1 :]
        following = next((other for other in behind if other.undo is row.undo and other.status in OPEN), None)
        if following is None or following.status is StepStatus.RUNNING:
            self._store.set_step(self._lease, row.index, StepStatus.DONE, result=result)
            return self._read()
        title = following.step.title
        going = self._store.advance(self._lease, operation.status, row.index, result, following.index, title)
        if not going:
            return self._read()
        steps = list(operation.steps)
        steps[row.index] = replace(row, status=StepStatus.DONE, result=result)
        steps[following.index] = replace(following, status=StepStatus.RUNNING, attempts=following.attempts + 1)
        return replace(operation, steps=tuple(steps))

    def _call(self, context: StepContext) -> Outcome:
        try:
            return self._find(context.step.name)(context)
        except StaleGeneration:
            raise
        except Unavailable as error:
            return Again(0.03, f"{context.step.member_name or context.operation.resource_name}: waiting: {error}")
        except DriverError as error:
            return Failed(str(error))
        except TroveError as error:
            return Failed(f"{context.step.title}: {error}")
        except Exception as error:  # a bug of ours must hold or roll back the operation, never lose it
            LOG.exception("step %s of operation %s", context.step.name, context.operation.id)
            return Failed(f"{context.step.title}: unexpected {type(error).__name__}: {error}")

    def _begin(self, row: OperationStep, text: str) -> None:
        self._store.set_step(self._lease, row.index, StepStatus.RUNNING, text, attempt=True)

    def _interrupted(self, operation: Operation) -> bool:
        return operation.status is OperationStatus.RUNNING and self._read().status is OperationStatus.ROLLING_BACK

    def _fault(self, operation: Operation, row: OperationStep, reason: str) -> Operation | None:
        """The first fault stops the plan; what follows was chosen before it began."""
        self._store.set_step(self._lease, row.index, StepStatus.FAILED, error=reason)
        operation = self._read()
        self._store.add_event(operation.id, "error", reason)
        LOG.error("operation %s (%s of %s): %s", operation.id, operation.kind, operation.resource_name, reason)
        if row.undo:
            turn = "; resume to go forward" if operation.forward_again is not None else ""
            why = f"the rollback could not go on: {reason}; mend it and ask for rollback again{turn}"
            self._set_status(operation, OperationStatus.HELD, why, operation.error or reason)
            return None
        if operation.status is OperationStatus.ROLLING_BACK:
            return operation  # a person asked for it while the step was running
        if operation.on_failure == "fail":
            self._end(operation, OperationStatus.FAILED, reason)
            return None
        if not may_roll_back(operation.started_steps):
            why = f"{reason}; the point of no return is passed, the rest keeps serving: mend it and resume"
            self._set_status(operation, OperationStatus.HELD, why, reason)
            return None
        if operation.on_failure == "hold":
            self._set_status(operation, OperationStatus.HELD, f"{reason}; resume, or roll back", reason)
            return None
        self._set_status(operation, OperationStatus.ROLLING_BACK, f"rolling back: {reason}", reason)
        return self._read()

    def _end(self, operation: Operation, status: OperationStatus, error: str | None = None) -> None:
        error = error or operation.error
        if status is OperationStatus.ROLLED_BACK:
            self._mark_undone(operation)
        error = None if status is OperationStatus.SUCCEEDED else error
        settle(self._store, self._lease, operation, status, error)
        self._set_status(operation, status, "", error)

    def _mark_undone(self, operation: Operation) -> None:
        for row in reversed([row for row in operation.steps if not row.undo]):
            if row.step.commit and row.status is StepStatus.DONE:
                break
            if row.status in (StepStatus.DONE, StepStatus.RUNNING):
                self._store.set_step(self._lease, row.index, StepStatus.UNDONE)

    def _set_status(
        self,
        operation: Operation,
        status: OperationStatus,
        text: str = "",
        error: str | None = None,
        *,
        step_done: int | None = None,
    ) -> None:
        expect = operation.status
        self._store.set_status(self._lease, operation.id, status, text, error, expect=expect, step_done=step_done)
        said = f"{status}: {text}" if text else str(status)
        asked_for = step_done is not None
        level = "error" if status is OperationStatus.HELD and not asked_for else "info"
        self._store.add_event(operation.id, level, said)
