"""Operations as rows: what was asked for, how far it is, what has happened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from trove.domain.plans import Plan, Started, Step, may_roll_back
from trove.domain.states import OperationStatus, StepStatus

QUESTIONS = ("precheck.",)
"""Steps that only ask."""
HOLD = "hold"
"""The step that waits for a person."""


@dataclass(frozen=True)
class OperationStep:
    """A step of an operation with its progress. Steps with `undo` were appended by a rollback."""

    index: int
    step: Step
    status: StepStatus = StepStatus.WAITING
    status_text: str = ""
    attempts: int = 0
    undo: bool = False
    started: datetime | None = None
    finished: datetime | None = None
    error: str | None = None
    result: Mapping[str, Any] = field(default_factory=dict)

    @property
    def taking_back(self) -> bool:
        """Whether this is a step of a rollback that was not given up since."""
        return self.undo and self.status not in (StepStatus.SKIPPED, StepStatus.UNDONE)


@dataclass(frozen=True)
class OperationEvent:
    """One line of an operation's history."""

    at: datetime
    level: str
    text: str


@dataclass(frozen=True)
class Operation:
    """One long change somebody asked for.

    `fence` is the generation under which its current executor acts; it grows with every claim of any operation, so
    whatever is told to an agent or a driver by an executor that lost its lease is refused.
    """

    id: str
    project_id: str
    kind: str
    resource_type: str
    resource_id: str
    resource_name: str
    plan: Plan
    status: OperationStatus = OperationStatus.PENDING
    status_text: str = ""
    steps: tuple[OperationStep, ...] = ()
    on_failure: str = "rollback"
    fence: int = 0
    error: str | None = None
    created: datetime | None = None
    started: datetime | None = None
    updated: datetime | None = None
    finished: datetime | None = None
    events: tuple[OperationEvent, ...] = ()

    @property
    def started_steps(self) -> tuple[Started, ...]:
        """Forward steps that were started and not undone, in order, each with whether it is done."""
        return tuple((row.step, row.status is StepStatus.DONE) for row in self._started)

    @property
    def _started(self) -> tuple[OperationStep, ...]:
        begun = (StepStatus.RUNNING, StepStatus.DONE, StepStatus.FAILED)
        return tuple(row for row in self.steps if not row.undo and row.status in begun)

    @property
    def forward_again(self) -> frozenset[int] | None:
        """Indexes of steps that were taken back and are to be done again, should a rollback turn around.

        None where it cannot: it may only stop between two steps, at one of the questions that open the undo of the next
        one, for only there the world is known. Without a rollback there is nothing to be done again.
        """
        undo = [row for row in self.steps if row.taking_back]
        if not undo:
            return frozenset()
        again: set[int] = set()
        for row in reversed(self._started):
            mine, undo = undo[: len(row.step.undo)], undo[len(row.step.undo) :]
            left = next((n for n, back in enumerate(mine) if back.status is not StepStatus.DONE), None)
            if left is not None:
                asked = all(back.step.name.startswith(QUESTIONS) for back in mine[: left + 1])
                return frozenset(again) if asked else None
            if row.step.name != HOLD:  # which a person has passed
                again.add(row.index)
        return None

    @property
    def can_roll_back(self) -> bool:
        """Whether `rollback` would be accepted: running or held, something left to do, and a way back.

        An operation that has done its last step and only has not said so yet must not end as rolled back.
        """
        forward = [row for row in self.steps if not row.undo]
        complete = bool(forward) and all(row.status is StepStatus.DONE for row in forward)
        going = self.status in (OperationStatus.RUNNING, OperationStatus.HELD)
        return going and not complete and may_roll_back(self.started_steps)

    @property
    def can_resume(self) -> bool:
        """Whether `resume` would be accepted."""
        return self.status is OperationStatus.HELD


@dataclass(frozen=True)
class OperationReference:
    """As much of an operation as the thing it changes shows."""

    id: str
    kind: str
    status: OperationStatus
