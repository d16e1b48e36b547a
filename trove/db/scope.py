"""What an operation holds: a cluster with all its members, or an instance that is in no cluster.

Invariant 1 of the design is kept here: one operation at a time holds all of it. Rows of operations are locked before
those of resources, here and in everything an executor writes, so that they never wait for each other in a circle.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from trove.db import rows
from trove.db.tables import clusters, instances, operations
from trove.domain.errors import Conflict, NotFound, Unprocessable
from trove.domain.operations import Operation
from trove.domain.plans import Plan
from trove.domain.states import (
    FINAL_OPERATION_STATUSES,
    ClusterTask,
    InstanceTask,
    OperationStatus,
    Task,
    check_cluster_transition,
    check_instance_transition,
)
from trove.domain.store import Acceptance

DELETING = frozenset({InstanceTask.DELETING, ClusterTask.DELETING})
FINAL = sorted(status.value for status in FINAL_OPERATION_STATUSES)


def check_free(conn: Connection, acceptance: Acceptance) -> list[Operation]:
    """Refuse (Unprocessable) when another operation holds something of the scope.

    A deletion is not refused because of operations that are HELD; they are returned.
    """
    plan = acceptance.plan
    found = conn.execute(
        sa.select(*rows.OPERATION)
        .where(operations.c.resource_id.in_(_ids(conn, plan)), operations.c.status.not_in(FINAL))
        .order_by(operations.c.seq)
        .with_for_update()
    ).all()
    unfinished = [rows.to_operation(row) for row in found]
    deleting = acceptance.resource_task in DELETING
    blocking = [operation for operation in unfinished if not (deleting and operation.status is OperationStatus.HELD)]
    if blocking:
        raise Unprocessable(*(_busy(plan, operation) for operation in blocking))
    return unfinished


def _busy(plan: Plan, operation: Operation) -> str:
    way_out = "resume it or roll it back" if operation.status is OperationStatus.HELD else "wait until it ends"
    return (
        f"{plan.resource_type} '{plan.resource_name}' is busy: operation {operation.id} ({operation.kind} of "
        f"{operation.resource_type} '{operation.resource_name}') is {operation.status}; {way_out}"
    )


def _cluster_id(conn: Connection, plan: Plan) -> str | None:
    if plan.resource_type == "cluster":
        return plan.resource_id
    return conn.execute(sa.select(instances.c.cluster_id).where(instances.c.id == plan.resource_id)).scalar()


def _ids(conn: Connection, plan: Plan) -> list[str]:
    cluster_id = _cluster_id(conn, plan)
    if cluster_id is None:
        return [plan.resource_id]
    members = sa.select(instances.c.id).where(instances.c.cluster_id == cluster_id, instances.c.deleted == 0)
    return [cluster_id, plan.resource_id, *conn.execute(members).scalars()]


class Scope:
    """The rows that an operation holds, locked until the transaction ends."""

    def __init__(self, conn: Connection, acceptance: Acceptance) -> None:
        plan = acceptance.plan
        cluster_id = _cluster_id(conn, plan)
        mine = instances.c.id == plan.resource_id if cluster_id is None else instances.c.cluster_id == cluster_id
        self._clusters = _locked(conn, clusters, clusters.c.id == cluster_id) if cluster_id else {}
        self._instances = _locked(conn, instances, mine)
        self._new = {instance.id for instance in acceptance.new_instances}
        if acceptance.new_cluster is not None:
            self._new.add(acceptance.new_cluster.id)

    def check(self, plan: Plan) -> None:
        """Refuse a plan whose resource is neither there nor new (NotFound), or has moved on (Conflict)."""
        resource = (self._clusters if plan.resource_type == "cluster" else self._instances).get(plan.resource_id)
        if resource is None and plan.resource_id not in self._new:
            raise NotFound(plan.resource_type, plan.resource_id)
        if plan.generation != (0 if resource is None else resource.generation):
            raise Conflict(
                f"{plan.resource_type} '{plan.resource_name}' has changed since the plan was made; "
                f"read it again and retry"
            )

    def move(self, conn: Connection, acceptance: Acceptance, now: datetime) -> None:
        """Give every row of the scope its next generation, and its task where it gets one."""
        tasks = dict(acceptance.member_tasks)
        if acceptance.resource_task is not None:
            tasks[acceptance.plan.resource_id] = acceptance.resource_task
        for table, held in ((clusters, self._clusters), (instances, self._instances)):
            for row in held.values():
                _move(conn, table, row, tasks.pop(row.id, None), now)
        strangers = sorted(tasks.keys() - self._new)
        if strangers:
            raise NotFound("member", strangers[0])


def _locked(conn: Connection, table: sa.Table, which: sa.ColumnElement[bool]) -> dict[str, Any]:
    found = sa.select(table.c.id, table.c.generation, table.c.task).where(which, table.c.deleted == 0)
    return {row.id: row for row in conn.execute(found.order_by(table.c.id).with_for_update())}


def _move(conn: Connection, table: sa.Table, row: Any, task: Task | None, now: datetime) -> None:
    values: dict[str, Any] = {"generation": row.generation + 1}
    if task is not None:
        if table is instances:
            check_instance_transition(rows.INSTANCE_TASKS[row.task], task)
        else:
            check_cluster_transition(rows.CLUSTER_TASKS[row.task], task)
        values |= {"task": task.name, "updated": now}
    conn.execute(sa.update(table).where(table.c.id == row.id).values(**values))
