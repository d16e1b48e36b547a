"""Accepting an operation: everything that belongs to it is written in one transaction, or nothing is.

Invariant 1 of the design is kept here: one operation at a time holds a cluster and all its members. All acceptances
of the installation queue at one counter row, so what is checked cannot change before it is written.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import uuid4

import sqlalchemy as sa
from oslo_db.exception import DBDuplicateEntry
from sqlalchemy.engine import Connection

from trove.db import rows
from trove.db.addresses import own_address
from trove.db.counters import ACCEPTED, next_number
from trove.db.quotas import check_limits
from trove.db.resources import set_task
from trove.db.secrets import keep_secret
from trove.db.tables import clusters, instances, operation_events, operation_steps, operations
from trove.domain.errors import Conflict, NotFound, Unprocessable
from trove.domain.instances import Cluster, Instance
from trove.domain.operations import Operation
from trove.domain.plans import Plan, Step
from trove.domain.states import (
    FINAL_OPERATION_STATUSES,
    ClusterTask,
    InstanceTask,
    OperationStatus,
    StepStatus,
    Task,
)
from trove.domain.store import Acceptance

TABLES = {"instance": instances, "cluster": clusters}
DELETING = frozenset({InstanceTask.DELETING, ClusterTask.DELETING})


def accept(conn: Connection, acceptance: Acceptance) -> str:
    """Write the operation and return its id; raises as `Journal.accept` says."""
    next_number(conn, ACCEPTED)
    now = rows.utcnow()
    scope = _Scope(conn, acceptance)
    scope.check_exists(acceptance.plan)
    # First who holds it: that has moved the generation on, and says more.
    waiting = _check_free(conn, acceptance, scope)
    scope.check_generation(acceptance.plan)
    _give_up(conn, acceptance.plan, waiting, now)
    check_limits(conn, acceptance.project_id, acceptance.new_instances, acceptance.limits)
    try:
        _write_resources(conn, acceptance, now)
    except DBDuplicateEntry as error:
        raise Conflict(f"something of this request exists already ({error}); read again and retry") from error
    scope.move(conn, acceptance, now)
    for owner_id, value in acceptance.secrets.items():
        keep_secret(conn, owner_id, value)
    return _write_operation(conn, acceptance, now)


class _Scope:
    """The rows that an operation holds: a cluster with its members, or an instance without a cluster."""

    def __init__(self, conn: Connection, acceptance: Acceptance) -> None:
        plan = acceptance.plan
        self.new = {instance.id for instance in acceptance.new_instances}
        if acceptance.new_cluster is not None:
            self.new.add(acceptance.new_cluster.id)
        self.resource = self._row(conn, TABLES[plan.resource_type], plan.resource_id)
        cluster_id: str | None = plan.resource_id
        if plan.resource_type == "instance":
            cluster_id = self.resource.cluster_id if self.resource is not None else None
        self.cluster = self._row(conn, clusters, cluster_id) if cluster_id else None
        self.instances: dict[str, sa.Row[Any]] = {}
        if self.cluster is not None:
            found = conn.execute(
                sa.select(instances)
                .where(instances.c.cluster_id == cluster_id, instances.c.deleted == 0)
                .order_by(instances.c.id)
                .with_for_update()
            )
            self.instances = {row.id: row for row in found}
        elif plan.resource_type == "instance" and self.resource is not None:
            self.instances = {self.resource.id: self.resource}

    @staticmethod
    def _row(conn: Connection, table: sa.Table, key: str) -> sa.Row[Any] | None:
        found = sa.select(table).where(table.c.id == key, table.c.deleted == 0).with_for_update()
        return conn.execute(found).first()

    @property
    def ids(self) -> list[str]:
        return [*self.instances, *([self.cluster.id] if self.cluster is not None else [])]

    def check_exists(self, plan: Plan) -> None:
        """Refuse a plan whose resource is neither there nor new."""
        if self.resource is None and plan.resource_id not in self.new:
            raise NotFound(plan.resource_type, plan.resource_id)

    def check_generation(self, plan: Plan) -> None:
        """Refuse a plan made against another generation of its resource."""
        if plan.generation != (0 if self.resource is None else self.resource.generation):
            raise Conflict(
                f"{plan.resource_type} '{plan.resource_name}' has changed since the plan was made; "
                f"read it again and retry"
            )

    def move(self, conn: Connection, acceptance: Acceptance, now: datetime) -> None:
        """Give every row of the scope its next generation, and its task where it gets one."""
        plan = acceptance.plan
        tasks = dict(acceptance.member_tasks)
        if acceptance.resource_task is not None:
            tasks[plan.resource_id] = acceptance.resource_task
        if self.cluster is not None:
            _move(conn, clusters, self.cluster, tasks.pop(self.cluster.id, None), now)
        for row in self.instances.values():
            _move(conn, instances, row, tasks.pop(row.id, None), now)
        strangers = tasks.keys() - self.new
        if strangers:
            raise NotFound("member", sorted(strangers)[0])


def _move(conn: Connection, table: sa.Table, row: sa.Row[Any], task: Task | None, now: datetime) -> None:
    values: dict[str, Any] = {"generation": row.generation + 1}
    if task is None:
        conn.execute(sa.update(table).where(table.c.id == row.id).values(**values))
    else:
        set_task(conn, table, row.id, row.task, task, updated=now, **values)


def _check_free(conn: Connection, acceptance: Acceptance, scope: _Scope) -> list[Operation]:
    """Refuse when another operation holds something of the scope.

    A deletion is not refused because of operations that are HELD; they are returned.
    """
    plan = acceptance.plan
    found = conn.execute(
        sa.select(*rows.OPERATION)
        .where(
            operations.c.resource_id.in_(scope.ids),
            operations.c.status.not_in([status.value for status in FINAL_OPERATION_STATUSES]),
        )
        .with_for_update()
    ).all()
    deleting = acceptance.resource_task in DELETING
    unfinished = [rows.to_operation(row) for row in found]
    blocking = [operation for operation in unfinished if not (deleting and operation.status is OperationStatus.HELD)]
    if blocking:
        raise Unprocessable(
            *(
                f"{plan.resource_type} '{plan.resource_name}' is busy: operation {operation.id} ({operation.kind} of "
                f"{operation.resource_type} '{operation.resource_name}') is {operation.status}; "
                + ("resume it or roll it back" if operation.status is OperationStatus.HELD else "wait until it ends")
                for operation in blocking
            )
        )
    return unfinished


def _give_up(conn: Connection, plan: Plan, waiting: Iterable[Operation], now: datetime) -> None:
    """End operations whose resource is being deleted."""
    for operation in waiting:
        text = f"given up: {plan.resource_type} '{plan.resource_name}' is being deleted"
        conn.execute(
            sa.update(operations)
            .where(operations.c.id == operation.id)
            .values(
                status=OperationStatus.FAILED.value,
                status_text=text,
                updated=now,
                finished=now,
                lease_owner=None,
                lease_until=None,
            )
        )
        write_event(conn, operation.id, "info", text, now)


def _write_resources(conn: Connection, acceptance: Acceptance, now: datetime) -> None:
    cluster = acceptance.new_cluster
    if cluster is not None:
        conn.execute(sa.insert(clusters).values(rows.cluster_values(_new_cluster(acceptance, cluster), now)))
        own_address(conn, cluster.endpoint_address, cluster.id)
    for ordinal, instance in enumerate(acceptance.new_instances):
        instance = _new_instance(acceptance, instance)
        conn.execute(sa.insert(instances).values(rows.instance_values(instance, ordinal, now)))
        own_address(conn, instance.address, instance.id)


def _new_cluster(acceptance: Acceptance, cluster: Cluster) -> Cluster:
    task = acceptance.resource_task if acceptance.plan.resource_id == cluster.id else None
    return replace(cluster, generation=1, task=task or cluster.task)


def _new_instance(acceptance: Acceptance, instance: Instance) -> Instance:
    task = acceptance.member_tasks.get(instance.id)
    if acceptance.plan.resource_id == instance.id:
        task = acceptance.resource_task or task
    return replace(instance, generation=1, task=task or instance.task)


def _write_operation(conn: Connection, acceptance: Acceptance, now: datetime) -> str:
    plan = acceptance.plan
    operation_id = str(uuid4())
    conn.execute(
        sa.insert(operations).values(
            id=operation_id,
            project_id=acceptance.project_id,
            kind=plan.kind,
            resource_type=plan.resource_type,
            resource_id=plan.resource_id,
            resource_name=plan.resource_name,
            plan=rows.dump(replace(plan, steps=()).to_dict()),
            status=OperationStatus.PENDING.value,
            status_text="",
            on_failure=acceptance.on_failure,
            created=now,
            updated=now,
        )
    )
    write_steps(conn, operation_id, 0, plan.steps, undo=False)
    return operation_id


def write_steps(conn: Connection, operation_id: str, first: int, steps: Iterable[Step], *, undo: bool) -> None:
    """Append steps that wait, at positions from `first` on."""
    values = [
        {
            "operation_id": operation_id,
            "position": position,
            "undo": int(undo),
            "step": rows.dump(rows.from_step(step)),
            "status": StepStatus.WAITING.value,
            "status_text": "",
            "attempts": 0,
        }
        for position, step in enumerate(steps, first)
    ]
    if values:
        conn.execute(sa.insert(operation_steps), values)


def write_event(conn: Connection, operation_id: str, level: str, text: str, at: datetime) -> None:
    """Append a line to an operation's history."""
    conn.execute(sa.insert(operation_events).values(operation_id=operation_id, at=at, level=level, text=text))
