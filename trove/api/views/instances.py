"""Instances as JSON."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from trove.api.context import Call
from trove.api.views.common import Json, links, timestamp
from trove.domain.health import Health
from trove.domain.instances import Instance
from trove.domain.operations import OperationReference
from trove.domain.states import EngineStatus, InstanceTask

GIB = 1024**3
UNMEASURED = frozenset({"BUILD", "REBOOT", "UPGRADE", "SHUTDOWN"})
"""Statuses during which the space in use is not shown, because nobody can say it."""


def stale_before(call: Call) -> str:
    """Return the time before which an observation is out of date, in the form of `Health.observed_at`."""
    expiry = timedelta(seconds=call.settings.heartbeat_expiry)
    return (datetime.now(UTC).replace(tzinfo=None) - expiry).isoformat()


def operating_status(instance: Instance, stale: str) -> str:
    """Return what the engine is doing; empty while the service works on the instance, ERROR when it has fallen silent.

    Times are compared as text, which their fixed form allows.
    """
    if instance.task.code != InstanceTask.NONE.code:
        return ""
    health = instance.health
    if health is None:
        return EngineStatus.NEW.value
    return health.status.value if health.observed_at >= stale else EngineStatus.ERROR.value


def address(call: Call, ip: str) -> Json:
    """Return an address object."""
    if call.settings.network_id is None:
        return {"address": ip, "type": "private"}
    return {"address": ip, "type": "private", "network": call.settings.network_id}


def index(call: Call, instances: Iterable[Instance]) -> list[Json]:
    """Return the entries of a plain list."""
    stale = stale_before(call)
    return [_basic(call, instance, stale) for instance in instances]


def detailed(call: Call, instances: Iterable[Instance]) -> list[Json]:
    """Return the entries of a detailed list."""
    stale = stale_before(call)
    return [_detail(call, instance, stale) for instance in instances]


def detail(call: Call, instance: Instance) -> Json:
    """Return an instance with details, as the answer to its creation shows it."""
    return _detail(call, instance, stale_before(call))


def show(call: Call, instance: Instance, operation: OperationReference | None) -> Json:
    """Return everything about an instance."""
    body = _detail(call, instance, stale_before(call))
    used = instance.health.used_bytes if instance.health else 0
    if used and body["status"] not in UNMEASURED:
        gigabytes = used / GIB
        body["volume"]["used"] = round(gigabytes, 3)
        body["volume"]["used_percent"] = round(100 * gigabytes / instance.volume_gb, 2) if instance.volume_gb else 0.0
    body["operation"] = operation_reference(operation)
    return body


def operation_reference(operation: OperationReference | None) -> Json | None:
    """Return how another object names an operation."""
    if operation is None:
        return None
    return {"id": operation.id, "kind": operation.kind, "status": operation.status.value}


def observed(instance: Instance) -> Json:
    """Return what the engine last said of itself; nulls where it has said nothing yet."""
    health = instance.health
    if health is None:
        return {"version": None, "version_observed_at": None, "role": None, "health": None}
    return {
        "version": health.version_number or health.version or None,
        "version_observed_at": health.said_at[:19] or None,
        "role": health.role or None,
        "health": _health(health),
    }


def _health(health: Health) -> Json:
    return {
        "status": health.status.value,
        "in_sync": health.in_sync,
        "lag_bytes": health.lag_bytes,
        "members_seen": health.members_seen,
        "reason": health.reason,
        "observed_at": health.observed_at[:19] or None,
    }


def _basic(call: Call, instance: Instance, stale: str) -> Json:
    version = instance.version
    body: Json = {
        "id": instance.id,
        "name": instance.name,
        "status": instance.task.status,
        "operating_status": operating_status(instance, stale),
        "links": links(call, "instances", instance.id),
        "flavor": {"id": instance.flavor_id, "links": links(call, "flavors", instance.flavor_id)},
        "datastore": {"type": version.datastore, "version": version.name},
        "region": call.settings.region,
        "volume": {"size": instance.volume_gb},
        "access": {},
    }
    if instance.address:
        body["ip"] = [instance.address]
        body["addresses"] = [address(call, instance.address)]
        body["access"] = {"is_public": False}
    if call.caller.is_admin:
        body["tenant_id"] = instance.project_id
    return body


def _detail(call: Call, instance: Instance, stale: str) -> Json:
    body = _basic(call, instance, stale)
    health = instance.health
    body["datastore"]["version_number"] = (health.version_number if health else "") or instance.version.number
    body["created"] = timestamp(instance.created)
    body["updated"] = timestamp(instance.updated)
    body["service_status_updated"] = (health.observed_at[:19] if health else "") or body["updated"]
    if instance.cluster_id:
        body["cluster_id"] = instance.cluster_id
    if instance.fault:
        body["fault"] = _fault(call, instance)
    if instance.configuration:
        group = instance.configuration
        body["configuration"] = {
            "id": group.get("id"),
            "name": group.get("name"),
            "links": links(call, "configurations", str(group.get("id"))),
        }
    body.update(observed(instance))
    return body


def _fault(call: Call, instance: Instance) -> Json:
    fault = instance.fault or {}
    return {
        "message": fault.get("message", ""),
        "created": str(fault.get("created") or "")[:19] or timestamp(instance.updated),
        "details": fault.get("details") if call.caller.is_admin else None,
    }
