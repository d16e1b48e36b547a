"""Plans: the ordered, immutable list of what an operation will do. Pure data; JSON in and out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Any


class Phase(StrEnum):
    PRECHECK = "precheck"
    STAGE = "stage"
    BUILD = "build"
    MEMBER = "member"
    SWITCHOVER = "switchover"
    FINALIZE = "finalize"
    REMOVE = "remove"
    ROLLBACK = "rollback"


@dataclass(frozen=True)
class Step:
    """One small, idempotent thing to do.

    `name` is the key of the step function (`guest.pre_upgrade`), `params` its JSON arguments, `deadline` seconds.
    `undo` lists the steps that take it back, in the order in which they run. From the start of a step with
    `no_return` until the next step with `commit` is done the operation can only go forward; what a commit step
    closes is never undone.
    """

    name: str
    title: str
    phase: Phase
    member_id: str | None = None
    member_name: str | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    deadline: float = 60.0
    undo: tuple[Step, ...] = ()
    no_return: bool = False
    commit: bool = False


@dataclass(frozen=True)
class Blocker:
    """A reason why the plan cannot start. `code` is the HTTP status it is answered with: 400, 409, 413 or 422."""

    code: int
    reason: str
    member_id: str | None = None
    member_name: str | None = None


@dataclass(frozen=True)
class Plan:
    """What will be done to one resource, made before anything is touched.

    `generation` is the resource's generation the plan was made against; an executor refuses a plan whose resource
    has moved on. `expected_write_gap_ms` is None where nobody's writes are interrupted.
    """

    kind: str
    resource_type: str
    resource_id: str
    resource_name: str
    generation: int
    steps: tuple[Step, ...] = ()
    blockers: tuple[Blocker, ...] = ()
    warnings: tuple[str, ...] = ()
    from_version: str | None = None
    to_version: str | None = None
    hops: tuple[str, ...] = ()
    expected_write_gap_ms: int | None = None
    on_failure: str = "rollback"

    @property
    def point_of_no_return(self) -> int | None:
        """Index of the first step after which the plan can only go forward."""
        return next((index for index, step in enumerate(self.steps) if step.no_return), None)

    def to_dict(self) -> dict[str, Any]:
        """Make JSON of the plan."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Plan:
        """Read what `to_dict` wrote."""
        return cls(
            **{
                **data,
                "steps": tuple(step_from_dict(step) for step in data["steps"]),
                "blockers": tuple(Blocker(**blocker) for blocker in data["blockers"]),
                "warnings": tuple(data["warnings"]),
                "hops": tuple(data["hops"]),
            }
        )


def step_from_dict(data: Mapping[str, Any]) -> Step:
    """Read one step from JSON."""
    return Step(
        **{
            **data,
            "phase": Phase(data["phase"]),
            "undo": tuple(step_from_dict(step) for step in data["undo"]),
        }
    )


Started = tuple[Step, bool]
"""A step that was started, and whether it is done."""


def undo_steps(started: Iterable[Started]) -> tuple[Step, ...]:
    """Return what takes back the started steps, last one first, down to the latest commit that is done.

    Invariant: the world after the returned steps is the world at the latest commit (or before the first step),
    because each step's own undo restores what was true before that step and later steps are undone earlier.
    """
    result: list[Step] = []
    for step, done in reversed(list(started)):
        if step.commit and done:
            break
        result += [replace(undo, phase=Phase.ROLLBACK) for undo in step.undo]
    return tuple(result)


def may_roll_back(started: Iterable[Started]) -> bool:
    """Tell whether no step since the latest commit has passed a point of no return."""
    for step, done in reversed(list(started)):
        if step.commit and done:
            return True
        if step.no_return:
            return False
    return True
