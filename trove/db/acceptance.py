"""Accepting an operation: everything that belongs to it is written in one transaction, or nothing is.

All acceptances of the installation queue at one counter row, so what one checks no other can change before it writes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from uuid import uuid4

import sqlalchemy as sa
from oslo_db.exception import DBDuplicateEntry
from sqlalchemy.engine import Connection

from trove.db import rows
from trove.db.addresses import own_address
from trove.db.counters import ACCEPTED, next_number
from trove.db.quotas import check_limits
from trove.db.scope import Scope, check_free
from trove.db.secrets import keep_secret
from trove.db.tables import clusters, instances, operation_events, operation_steps, operations
from trove.domain.errors import Conflict
from trove.domain.instances import Cluster, Instance
from trove.domain.operations import Operation
from trove.domain.plans import Plan, Step
from trove.domain.states import OperationStatus, StepStatus
from trove.domain.store import Acceptance


def accept(conn: Connection, acceptance: Acceptance) -> str:
    """Write the operation and return its id; raises as `Journal.accept` says."""
    next_number(conn, ACCEPTED)
    now = rows.utcnow()
    # First who holds it: that has moved the generation on, and says more.
    waiting = check_free(conn, acceptance)
    scope = Scope(conn, acceptance)
    scope.check(acceptance.plan)
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
