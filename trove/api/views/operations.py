"""Operations and plans as JSON."""

from __future__ import annotations

from collections.abc import Iterable

from trove.api.views.common import Json, timestamp
from trove.domain.instances import Instance
from trove.domain.operations import Operation, OperationStep
from trove.domain.plans import Plan, Step, may_roll_back
from trove.domain.states import OperationStatus, StepStatus

GOING_BACK = frozenset({OperationStatus.ROLLING_BACK, OperationStatus.ROLLED_BACK})
FINISHED = frozenset({StepStatus.DONE, StepStatus.SKIPPED})


def plan(item: Plan) -> Json:
    """Return a plan as a dry run shows it."""
    return {
        "kind": item.kind,
        "resource": {"type": item.resource_type, "id": item.resource_id, "name": item.resource_name},
        "from_version": item.from_version,
        "to_version": item.to_version,
        "hops": list(item.hops),
        "on_failure": item.on_failure,
        "blockers": [
            {"code": each.code, "member": _member(each.member_id, each.member_name), "reason": each.reason}
            for each in item.blockers
        ],
        "warnings": list(item.warnings),
        "point_of_no_return": item.point_of_no_return,
        "expected_write_gap_ms": item.expected_write_gap_ms,
        "steps": [{"index": index, **_step(step), "undo": False} for index, step in enumerate(item.steps)],
    }


def summary(item: Operation) -> Json:
    """Return an operation as lists show it: without steps, and without what only its steps can tell."""
    return {
        "id": item.id,
        "kind": item.kind,
        "status": item.status.value,
        "status_text": item.status_text,
        "resource": {"type": item.resource_type, "id": item.resource_id, "name": item.resource_name},
        "from_version": item.plan.from_version,
        "to_version": item.plan.to_version,
        "on_failure": item.on_failure,
        "can_resume": item.can_resume,
        "error": item.error,
        "created": timestamp(item.created),
        "started": timestamp(item.started),
        "updated": timestamp(item.updated),
        "finished": timestamp(item.finished),
    }


def progress(item: Operation) -> Json:
    """Return how many steps of the way are done: of the way forward, or of the way back once it is taken."""
    rows = [row for row in item.steps if row.undo == (item.status in GOING_BACK)]
    return {"done": sum(row.status in FINISHED for row in rows), "total": len(rows)}


def show(item: Operation, members: Iterable[Instance]) -> Json:
    """Return everything about an operation; `members` are the instances it changes, as they are now."""
    body = summary(item)
    index = item.plan.point_of_no_return
    body |= {
        "progress": progress(item),
        "point_of_no_return": None
        if index is None
        else {"index": index, "passed": not may_roll_back(item.started_steps)},
        "can_rollback": item.can_roll_back,
        "members": [
            {
                "id": member.id,
                "name": member.name,
                "status": member.task.status,
                "version": member.health.version_number if member.health else None,
            }
            for member in members
        ],
        "steps": [_progress(row) for row in item.steps],
        "events": [{"at": timestamp(each.at), "level": each.level, "text": each.text} for each in item.events],
    }
    return body


def _progress(row: OperationStep) -> Json:
    return {
        "index": row.index,
        **_step(row.step),
        "status": row.status.value,
        "status_text": row.status_text,
        "attempts": row.attempts,
        "started": timestamp(row.started),
        "finished": timestamp(row.finished),
        "error": row.error,
        "undo": row.undo,
    }


def _step(step: Step) -> Json:
    return {
        "phase": step.phase.value,
        "name": step.name,
        "title": step.title,
        "member": _member(step.member_id, step.member_name),
        "deadline_seconds": int(step.deadline),
    }


def _member(member_id: str | None, name: str | None) -> Json | None:
    return {"id": member_id, "name": name} if member_id else None
