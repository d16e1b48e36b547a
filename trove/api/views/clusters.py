"""Clusters as JSON."""

from __future__ import annotations

from typing import Any

from trove.api.context import Call
from trove.api.views.common import Json, links, timestamp
from trove.api.views.instances import address, observed, operating_status, operation_reference, stale_before
from trove.domain.instances import Cluster, Instance
from trove.domain.operations import OperationReference


def basic(call: Call, cluster: Cluster) -> Json:
    """Return a cluster as lists and the answers to actions show it."""
    body = _common(call, cluster)
    body["instances"] = [_member(call, member) for member in cluster.members]
    return body


def show(call: Call, cluster: Cluster, operation: OperationReference | None) -> Json:
    """Return everything about a cluster and its members."""
    stale = stale_before(call)
    body = _common(call, cluster)
    body["ip"] = [address(call, member.address) for member in cluster.members if member.address]
    body["endpoint"] = (
        {"address": cluster.endpoint_address, "port": cluster.endpoint_port} if cluster.endpoint_address else None
    )
    body["operation"] = operation_reference(operation)
    body["instances"] = [_member_shown(call, member, stale) for member in cluster.members]
    return body


def _common(call: Call, cluster: Cluster) -> Json:
    task, version = cluster.task, cluster.version
    body: dict[str, Any] = {
        "id": cluster.id,
        "name": cluster.name,
        "task": {"id": task.code, "name": task.name, "description": task.description},
        "datastore": {"type": version.datastore, "version": version.name},
        "created": timestamp(cluster.created),
        "updated": timestamp(cluster.updated),
        "links": links(call, "clusters", cluster.id),
    }
    for name in ("locality", "configuration"):
        if cluster.options.get(name):
            body[name] = cluster.options[name]
    if call.caller.is_admin:
        body["tenant_id"] = cluster.project_id
    return body


def _member(call: Call, member: Instance) -> Json:
    return {"id": member.id, "name": member.name, "type": "member", "links": links(call, "instances", member.id)}


def _member_shown(call: Call, member: Instance, stale: str) -> Json:
    body = _member(call, member)
    body["status"] = member.task.status
    body["operating_status"] = operating_status(member, stale)
    body["volume"] = {"size": member.volume_gb}
    body["flavor"] = {"id": member.flavor_id, "links": links(call, "flavors", member.flavor_id)}
    if member.address:
        body["ip"] = [address(call, member.address)]
    body.update(observed(member))
    return body
