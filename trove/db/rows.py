"""Rows to snapshots and back: the one place that knows which column is which field."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from trove.db import tables
from trove.domain.datastores import DatastoreVersion
from trove.domain.health import Health
from trove.domain.instances import Cluster, Instance
from trove.domain.operations import Operation, OperationEvent, OperationStep
from trove.domain.plans import Plan, Step, step_from_dict
from trove.domain.states import ClusterTask, EngineStatus, InstanceTask, OperationStatus, StepStatus

Versions = Mapping[str, DatastoreVersion]

INSTANCE_TASKS = {task.name: task for task in InstanceTask.ALL}
CLUSTER_TASKS = {task.name: task for task in ClusterTask.ALL}
ENGINE_STATUSES = {status.value: status for status in EngineStatus}

I, C, O, S, E = (  # noqa: E741
    tables.instances.c,
    tables.clusters.c,
    tables.operations.c,
    tables.operation_steps.c,
    tables.operation_events.c,
)

INSTANCE_SUMMARY: tuple[sa.ColumnElement[Any], ...] = (
    I.id,
    I.project_id,
    I.name,
    I.version_id,
    I.flavor_id,
    I.volume_gb,
    I.address,
    I.port,
    I.task,
    I.cluster_id,
    I.ram_mb,
    I.vcpus,
    I.image_id,
    I.generation,
    I.fault,
    I.configuration,
    I.created,
    I.updated,
    I.ordinal,
    I.health_status,
    I.health_version,
    I.health_version_number,
    I.health_role,
    I.health_in_sync,
    I.health_lag_bytes,
    I.health_members_seen,
    I.health_used_bytes,
    I.health_free_bytes,
    I.health_reason,
    I.health_observed_at,
    I.health_said_at,
)
"""What lists read: everything but the engine's own words, which are long and which no list shows."""

INSTANCE = (*INSTANCE_SUMMARY, I.health_detail)

CLUSTER: tuple[sa.ColumnElement[Any], ...] = (
    C.id,
    C.project_id,
    C.name,
    C.version_id,
    C.task,
    C.endpoint_address,
    C.endpoint_port,
    C.active_member_id,
    C.generation,
    C.options,
    C.created,
    C.updated,
)

OPERATION: tuple[sa.ColumnElement[Any], ...] = (
    O.id,
    O.project_id,
    O.kind,
    O.resource_type,
    O.resource_id,
    O.resource_name,
    O.plan,
    O.status,
    O.status_text,
    O.on_failure,
    O.fence,
    O.error,
    O.created,
    O.started,
    O.updated,
    O.finished,
)

STEP: tuple[sa.ColumnElement[Any], ...] = (
    S.position,
    S.step,
    S.status,
    S.status_text,
    S.attempts,
    S.undo,
    S.started,
    S.finished,
    S.error,
    S.result,
)

EVENT: tuple[sa.ColumnElement[Any], ...] = (E.at, E.level, E.text)


def utcnow() -> datetime:
    """Return the time as the rows have it: UTC without a zone."""
    return datetime.now(UTC).replace(tzinfo=None)


def dump(value: Any) -> str:
    """Make the JSON text that is stored."""
    return json.dumps(value, separators=(",", ":"))


def dump_optional(value: Any) -> str | None:
    """The same, with NULL for None."""
    return None if value is None else dump(value)


def to_instance(row: Sequence[Any], versions: Versions) -> Instance:
    """Make an instance of a row of INSTANCE or INSTANCE_SUMMARY."""
    fault, configuration = row[14], row[15]
    return Instance(
        row[0],
        row[1],
        row[2],
        versions[row[3]],
        row[4],
        row[5],
        row[6],
        row[7],
        INSTANCE_TASKS[row[8]],
        row[9],
        row[10],
        row[11],
        row[12],
        _health(row[19:]) if row[19] is not None else None,
        row[13],
        json.loads(fault) if fault else None,
        json.loads(configuration) if configuration else None,
        row[16],
        row[17],
    )


def _health(row: Sequence[Any]) -> Health:
    (status, version, number, role, in_sync, lag, seen, used, free, reason, observed_at, said_at, *detail) = row
    words = json.loads(detail[0]) if detail and detail[0] else {}
    return Health(
        ENGINE_STATUSES[status],
        version,
        number,
        role,
        bool(in_sync),
        lag,
        seen,
        used,
        free,
        reason,
        observed_at,
        words,
        said_at or "",
    )


def to_members(rows: Sequence[Sequence[Any]], versions: Versions) -> tuple[Instance, ...]:
    """Make the members of one cluster, in the order in which they were asked for."""
    return tuple(to_instance(row, versions) for row in sorted(rows, key=_age))


def _age(row: Sequence[Any]) -> tuple[Any, ...]:
    return (row[16], row[18], row[0])


def to_cluster(row: Sequence[Any], members: tuple[Instance, ...], versions: Versions) -> Cluster:
    """Make a cluster of a row that begins with CLUSTER."""
    options = row[9]
    return Cluster(
        id=row[0],
        project_id=row[1],
        name=row[2],
        version=versions[row[3]],
        task=CLUSTER_TASKS[row[4]],
        members=members,
        endpoint_address=row[5],
        endpoint_port=row[6],
        active_member_id=row[7],
        generation=row[8],
        options={} if options == "{}" else json.loads(options),
        created=row[10],
        updated=row[11],
    )


def to_operation(
    row: Sequence[Any], steps: tuple[OperationStep, ...] = (), events: tuple[OperationEvent, ...] = ()
) -> Operation:
    """Make an operation; its plan has the forward steps that are given."""
    plan = Plan.from_dict(json.loads(row[6]) | {"steps": ()})
    if steps:
        plan = replace(plan, steps=tuple(row.step for row in steps if not row.undo))
    return Operation(
        id=row[0],
        project_id=row[1],
        kind=row[2],
        resource_type=row[3],
        resource_id=row[4],
        resource_name=row[5],
        plan=plan,
        status=OperationStatus(row[7]),
        status_text=row[8],
        steps=steps,
        on_failure=row[9],
        fence=row[10],
        error=row[11],
        created=row[12],
        started=row[13],
        updated=row[14],
        finished=row[15],
        events=events,
    )


@functools.lru_cache(maxsize=4096)
def _planned(text: str) -> Step:
    """A step is read again and again while its operation runs, and never changes."""
    return step_from_dict(json.loads(text))


def to_step(row: Sequence[Any]) -> OperationStep:
    """Make a step of a row of STEP."""
    return OperationStep(
        index=row[0],
        step=_planned(row[1]),
        status=StepStatus(row[2]),
        status_text=row[3],
        attempts=row[4],
        undo=bool(row[5]),
        started=row[6],
        finished=row[7],
        error=row[8],
        result=json.loads(row[9]) if row[9] else {},
    )


def to_event(row: Sequence[Any]) -> OperationEvent:
    """Make an event of a row of EVENT."""
    return OperationEvent(row[0], row[1], row[2])


def instance_values(instance: Instance, ordinal: int, now: datetime) -> dict[str, Any]:
    """Return the columns of a new instance's row."""
    return {
        "id": instance.id,
        "project_id": instance.project_id,
        "name": instance.name,
        "version_id": instance.version.id,
        "flavor_id": instance.flavor_id,
        "volume_gb": instance.volume_gb,
        "address": instance.address,
        "port": instance.port,
        "task": instance.task.name,
        "cluster_id": instance.cluster_id,
        "ordinal": ordinal,
        "ram_mb": instance.ram_mb,
        "vcpus": instance.vcpus,
        "image_id": instance.image_id,
        "generation": instance.generation,
        "fault": dump_optional(instance.fault),
        "configuration": dump_optional(instance.configuration),
        "created": instance.created or now,
        "updated": now,
        "deleted": 0,
        **health_values(instance.health),
    }


def cluster_values(cluster: Cluster, now: datetime) -> dict[str, Any]:
    """Return the columns of a new cluster's row."""
    return {
        "id": cluster.id,
        "project_id": cluster.project_id,
        "name": cluster.name,
        "version_id": cluster.version.id,
        "task": cluster.task.name,
        "endpoint_address": cluster.endpoint_address,
        "endpoint_port": cluster.endpoint_port,
        "active_member_id": cluster.active_member_id,
        "generation": cluster.generation,
        "options": dump(dict(cluster.options)),
        "created": cluster.created or now,
        "updated": now,
        "deleted": 0,
    }


HEALTH = (
    "health_status",
    "health_version",
    "health_version_number",
    "health_role",
    "health_in_sync",
    "health_lag_bytes",
    "health_members_seen",
    "health_used_bytes",
    "health_free_bytes",
    "health_reason",
    "health_observed_at",
    "health_said_at",
    "health_detail",
)


def health_values(health: Health | None) -> Mapping[str, Any]:
    """Return the health columns; all NULL when the engine has not spoken yet."""
    if health is None:
        return dict.fromkeys(HEALTH)
    values = (
        health.status.value,
        health.version,
        health.version_number,
        health.role,
        int(health.in_sync),
        health.lag_bytes,
        health.members_seen,
        health.used_bytes,
        health.free_bytes,
        health.reason,
        health.observed_at,
        health.said_at,
        dump(dict(health.detail)),
    )
    return dict(zip(HEALTH, values, strict=True))


def from_step(step: Step) -> dict[str, Any]:
    """Make the dictionary that `step_from_dict` reads."""
    return asdict(step)
