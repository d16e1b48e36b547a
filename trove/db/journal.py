"""The journal: operations, their steps and their history as rows, so that any executor can go on with any of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from trove.db import acceptance as accepting
from trove.db import rows
from trove.db.engine import transaction
from trove.db.fencing import check_lease
from trove.db.leases import LeaseStore
from trove.db.tables import operation_events, operation_steps, operations
from trove.domain.errors import BadRequest, Conflict, NotFound, Unprocessable
from trove.domain.operations import Operation, OperationReference
from trove.domain.plans import Step
from trove.domain.states import OperationStatus, StepStatus, check_operation_transition
from trove.domain.store import Acceptance, Lease, Page

_ONE = sa.select(*rows.OPERATION).where(operations.c.id == sa.bindparam("id"))
_STEPS = (
    sa.select(*rows.STEP)
    .where(operation_steps.c.operation_id == sa.bindparam("id"))
    .order_by(operation_steps.c.position)
)
_EVENTS = (
    sa.select(*rows.EVENT).where(operation_events.c.operation_id == sa.bindparam("id")).order_by(operation_events.c.id)
)
_LATEST = sa.select(*rows.OPERATION).where(
    operations.c.seq.in_(
        sa.select(sa.func.max(operations.c.seq))
        .where(operations.c.resource_id.in_(sa.bindparam("ids", expanding=True)))
        .group_by(operations.c.resource_id)
    )
)
_LATEST_REFERENCE = (
    sa.select(operations.c.id, operations.c.kind, operations.c.status)
    .where(operations.c.resource_id == sa.bindparam("id"))
    .order_by(operations.c.seq.desc())
    .limit(1)
)

_S = operation_steps.c
_RUNS = StepStatus.RUNNING.value
_SET_STEP = (
    sa.update(operation_steps)
    .where(_S.operation_id == sa.bindparam("operation"), _S.position == sa.bindparam("index"))
    # In this order: MariaDB assigns from left to right, and `started` must see the status that was.
    .ordered_values(
        (
            _S.started,
            sa.case(
                (_S.status != _RUNS, sa.func.coalesce(sa.bindparam("began", type_=_S.started.type), _S.started)),
                else_=_S.started,
            ),
        ),
        (_S.status, sa.bindparam("new")),
        (_S.finished, sa.bindparam("ended", type_=_S.finished.type)),
        (_S.status_text, sa.func.coalesce(sa.bindparam("text", type_=_S.status_text.type), _S.status_text)),
        (
            _S.error,
            sa.case(
                (sa.bindparam("clean", type_=sa.Integer) == 1, sa.bindparam("problem", type_=_S.error.type)),
                else_=sa.func.coalesce(sa.bindparam("problem", type_=_S.error.type), _S.error),
            ),
        ),
        (_S.result, sa.func.coalesce(sa.bindparam("outcome", type_=_S.result.type), _S.result)),
        (_S.attempts, _S.attempts + sa.bindparam("tries", type_=sa.Integer)),
    )
)
_TOUCH = (
    sa.update(operations)
    .where(operations.c.id == sa.bindparam("operation"))
    .values(
        updated=sa.bindparam("now"),
        status_text=sa.func.coalesce(
            sa.bindparam("text", type_=operations.c.status_text.type), operations.c.status_text
        ),
    )
)

FILTERS = {"status": operations.c.status, "kind": operations.c.kind, "resource_id": operations.c.resource_id}

ONWARD = frozenset(
    {OperationStatus.PENDING, OperationStatus.RUNNING, OperationStatus.SUCCEEDED, OperationStatus.FAILED}
)
"""Where nothing leads to from a rollback."""

ENDED = frozenset({StepStatus.DONE, StepStatus.FAILED, StepStatus.SKIPPED, StepStatus.UNDONE})
CLEAN = ENDED - {StepStatus.FAILED}


class JournalStore(LeaseStore):
    """Reads and writes of the journal."""

    def accept(self, acceptance: Acceptance) -> Operation:
        """Write an operation with everything that belongs to it; see `trove.db.acceptance`."""
        return self._accept(acceptance)

    @transaction
    def _accept(self, conn: Connection, acceptance: Acceptance) -> Operation:
        return _read(conn, accepting.accept(conn, acceptance))

    def operation(self, operation_id: str, project_id: str | None = None) -> Operation:
        """Find by id, with steps and events; NotFound."""
        with self._db.snapshot() as conn:
            found = _read(conn, operation_id)
        if project_id not in (None, found.project_id):
            raise NotFound("operation", operation_id)
        return found

    def operations(
        self,
        project_id: str | None,
        *,
        limit: int,
        marker: str | None = None,
        filters: Mapping[str, str] | None = None,
    ) -> Page[Operation]:
        """One page, newest first, without events and steps (in the plan neither); BadRequest for other filters."""
        statement = sa.select(*rows.OPERATION)
        if project_id is not None:
            statement = statement.where(operations.c.project_id == project_id)
        for name, value in (filters or {}).items():
            if name not in FILTERS:
                raise BadRequest(f"operations have no filter '{name}'; there are {', '.join(sorted(FILTERS))}")
            statement = statement.where(FILTERS[name] == value)
        with self._db.read() as conn:
            if marker is not None:
                after = conn.execute(sa.select(operations.c.seq).where(operations.c.id == marker)).scalar()
                if after is None:
                    raise BadRequest(f"marker '{marker}' is not the id of an operation")
                statement = statement.where(operations.c.seq < after)
            found = conn.execute(statement.order_by(operations.c.seq.desc()).limit(limit + 1)).all()
        items = [rows.to_operation(row) for row in found[:limit]]
        return Page(items, items[-1].id if items and len(found) > limit else None)

    def latest_operation(self, resource_id: str) -> OperationReference | None:
        """Return the newest operation of a resource, without its plan."""
        with self._db.read() as conn:
            row = conn.execute(_LATEST_REFERENCE, {"id": resource_id}).first()
        return None if row is None else OperationReference(row[0], row[1], OperationStatus(row[2]))

    def latest_operations(self, resource_ids: Sequence[str]) -> Mapping[str, Operation]:
        """Return the newest operation of each resource, without steps and events, by resource id."""
        if not resource_ids:
            return {}
        with self._db.read() as conn:
            found = conn.execute(_LATEST, {"ids": list(resource_ids)}).all()
        return {operation.resource_id: operation for operation in map(rows.to_operation, found)}

    @transaction
    def set_status(
        self,
        conn: Connection,
        lease: Lease | None,
        operation_id: str,
        status: OperationStatus,
        text: str = "",
        error: str | None = None,
        *,
        expect: OperationStatus | None = None,
        step_done: int | None = None,
    ) -> None:
        """Move the operation; ValueError when the table of transitions does not have it.

        With `step_done` that step is DONE in the same transaction. StaleGeneration when the lease is lost. Conflict
        when the operation has left the status `expect`, or when the executor wants to go on and a user has asked for
        a rollback in the meantime: read it again.
        """
        before = _locked_status(conn, operation_id)
        if lease is not None:
            if lease.operation_id != operation_id:
                raise ValueError(f"the lease is of operation {lease.operation_id}, not of {operation_id}")
            check_lease(conn, lease)
            if before is OperationStatus.ROLLING_BACK and status in ONWARD:
                raise Conflict(f"operation {operation_id} is to be rolled back; read it again")
        if expect not in (None, before):
            raise Conflict(f"operation {operation_id} is {before}, no longer {expect}; read it again")
        check_operation_transition(before, status)
        if step_done is not None:
            conn.execute(
                sa.update(operation_steps)
                .where(operation_steps.c.operation_id == operation_id, operation_steps.c.position == step_done)
                .values(status=StepStatus.DONE.value, finished=rows.utcnow(), error=None)
            )
        _move(conn, operation_id, status, text, error)

    @transaction
    def set_step(
        self,
        conn: Connection,
        lease: Lease,
        index: int,
        status: StepStatus,
        text: str = "",
        *,
        error: str | None = None,
        result: Mapping[str, Any] | None = None,
        attempt: bool = False,
    ) -> None:
        """Record progress of a step and, as its text, of the operation.

        Started is set whenever a step begins to run, finished when it ends. Empty `text`, `error` and `result` leave
        what was there, but a step that ends well loses its error. StaleGeneration when the lease is lost.
        """
        check_lease(conn, lease)
        _write_progress(conn, lease, index, status, text, error, result, attempt)

    @transaction
    def advance(
        self,
        conn: Connection,
        lease: Lease,
        expect: OperationStatus,
        done: int,
        result: Mapping[str, Any],
        following: int,
        text: str,
    ) -> bool:
        """Make a step DONE and, while the operation is still in the status `expect`, the following one RUNNING.

        Return whether the following one was begun. StaleGeneration when the lease is lost.
        """
        going = check_lease(conn, lease) is expect
        _write_progress(conn, lease, done, StepStatus.DONE, result=result)
        if going:
            _write_progress(conn, lease, following, StepStatus.RUNNING, text, attempt=True)
        return going

    @transaction
    def append_undo(self, conn: Connection, lease: Lease, steps: Sequence[Step]) -> None:
        """Append rollback steps behind all others; earlier undo steps that were not done become SKIPPED."""
        check_lease(conn, lease)
        mine = operation_steps.c.operation_id == lease.operation_id
        _skip_undo(conn, lease.operation_id)
        last = conn.execute(sa.select(sa.func.max(operation_steps.c.position)).where(mine)).scalar()
        accepting.write_steps(conn, lease.operation_id, 0 if last is None else last + 1, steps, undo=True)

    @transaction
    def add_event(self, conn: Connection, operation_id: str, level: str, text: str) -> None:
        """Append a line to the operation's history; NotFound."""
        _locked_status(conn, operation_id)
        accepting.write_event(conn, operation_id, level, text, rows.utcnow())

    @transaction
    def request(self, conn: Connection, operation_id: str, action: str) -> Operation:
        """Do what a user asks for, `resume` or `rollback`: Unprocessable says why not, BadRequest what there is.

        A rollback of a running operation leaves the lease to its executor, which sees the status between two steps.
        """
        _locked_status(conn, operation_id)
        operation = _read(conn, operation_id)
        match action:
            case "resume":
                allowed, status = operation.can_resume, OperationStatus.RUNNING
            case "rollback":
                allowed, status = operation.can_roll_back, OperationStatus.ROLLING_BACK
            case _:
                raise BadRequest(f"an operation has no action '{action}'; there are resume and rollback")
        if not allowed:
            raise Unprocessable(_why_not(operation, action))
        if action == "resume":
            _turn_around(conn, operation)
        if operation.status is OperationStatus.HELD:
            conn.execute(
                sa.update(operations)
                .where(operations.c.id == operation_id)
                .values(lease_owner=None, lease_until=None, error=None)
            )
        _move(conn, operation_id, status, f"{action} asked for", None)
        accepting.write_event(conn, operation_id, "info", f"{action} asked for", rows.utcnow())
        return _read(conn, operation_id)


def _read(conn: Connection, operation_id: str) -> Operation:
    key = {"id": operation_id}
    row = conn.execute(_ONE, key).first()
    if row is None:
        raise NotFound("operation", operation_id)
    steps = tuple(rows.to_step(step) for step in conn.execute(_STEPS, key))
    events = tuple(rows.to_event(event) for event in conn.execute(_EVENTS, key))
    return rows.to_operation(row, steps, events)


def _locked_status(conn: Connection, operation_id: str) -> OperationStatus:
    """Return the status, which cannot change until the transaction ends; NotFound."""
    found = sa.select(operations.c.status).where(operations.c.id == operation_id).with_for_update()
    status = conn.execute(found).scalar()
    if status is None:
        raise NotFound("operation", operation_id)
    return OperationStatus(status)


def _write_progress(
    conn: Connection,
    lease: Lease,
    index: int,
    status: StepStatus,
    text: str = "",
    error: str | None = None,
    result: Mapping[str, Any] | None = None,
    attempt: bool = False,
) -> None:
    now = rows.utcnow()
    changed = conn.execute(
        _SET_STEP,
        {
            "operation": lease.operation_id,
            "index": index,
            "new": status.value,
            "began": now if status is StepStatus.RUNNING else None,
            "ended": now if status in ENDED else None,
            "text": text or None,
            "problem": error,
            "clean": int(status in CLEAN),
            "outcome": None if result is None else rows.dump(dict(result)),
            "tries": int(attempt),
        },
    )
    if changed.rowcount != 1:
        raise ValueError(f"operation {lease.operation_id} has no step {index}")
    conn.execute(_TOUCH, {"operation": lease.operation_id, "now": now, "text": text or None})


def _move(conn: Connection, operation_id: str, status: OperationStatus, text: str, error: str | None) -> None:
    now = rows.utcnow()
    values: dict[str, Any] = {"status": status.value, "updated": now}
    if text:
        values["status_text"] = text
    if error is not None:
        values["error"] = error
    if status is OperationStatus.RUNNING:
        values["started"] = sa.func.coalesce(operations.c.started, now)
    if status.final:
        values["finished"] = now
    conn.execute(sa.update(operations).where(operations.c.id == operation_id).values(**values))


def _turn_around(conn: Connection, operation: Operation) -> None:
    """Give up the rollback that is held, if one is: what it has taken back is to be done again."""
    again = operation.forward_again
    if again is None:
        raise Unprocessable(f"operation {operation.id} is half taken back: only a rollback leads on")
    mine = operation_steps.c.operation_id == operation.id
    if again:
        # Tries are counted on: an agent knows what it was told by the number of the try.
        conn.execute(
            sa.update(operation_steps)
            .where(mine, operation_steps.c.position.in_(sorted(again)))
            .values(status=StepStatus.WAITING.value, finished=None, error=None)
        )
    _skip_undo(conn, operation.id)
    conn.execute(
        sa.update(operation_steps)
        .where(mine, operation_steps.c.undo == 1, operation_steps.c.status == StepStatus.DONE.value)
        .values(status=StepStatus.UNDONE.value)
    )


def _skip_undo(conn: Connection, operation_id: str) -> None:
    """Make undo steps that were not done SKIPPED."""
    conn.execute(
        sa.update(operation_steps)
        .where(
            operation_steps.c.operation_id == operation_id,
            operation_steps.c.undo == 1,
            operation_steps.c.status.not_in([StepStatus.DONE.value, StepStatus.UNDONE.value]),
        )
        .values(status=StepStatus.SKIPPED.value)
    )


def _why_not(operation: Operation, action: str) -> str:
    who = f"operation {operation.id} ({operation.kind} of {operation.resource_type} '{operation.resource_name}')"
    if operation.status.final:
        return f"{who} has ended: it is {operation.status}"
    match action, operation.status:
        case "resume", _:
            return f"{who} is {operation.status}; only an operation that is HELD can be resumed"
        case _, OperationStatus.PENDING:
            return f"{who} has not begun; ask again once it is RUNNING"
        case _, OperationStatus.ROLLING_BACK:
            return f"{who} is being rolled back already"
    return f"{who} has passed its point of no return and can only go forward; resume it when it is HELD"
