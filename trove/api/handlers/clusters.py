"""Clusters: list, create, show, act on, upgrade, delete."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from trove.api.context import Call, Reply
from trove.api.handlers import common
from trove.api.schemas import clusters as bodies
from trove.api.views import clusters as view
from trove.api.views import common as pages
from trove.api.views import instances as instance_view
from trove.api.views import operations as plans
from trove.domain.errors import BadRequest, NotFound, NotSupported
from trove.domain.instances import Cluster
from trove.domain.operations import Operation
from trove.domain.requests import NewCluster, NewMember, UpgradeOptions


def index(call: Call) -> Reply:
    """List the project's clusters."""
    page = call.store.clusters(call.project, limit=call.limit(), marker=call.marker(), name=call.text("name"))
    return Reply(pages.page(call, "clusters", [view.basic(call, item) for item in page.items], page.next_marker))


def create(call: Call) -> Reply:
    """Accept a new cluster; its members are built afterwards."""
    body = call.body["cluster"]
    common.note_ignored(body, bodies.CREATE["properties"]["cluster"])
    if body.get("users"):
        call.enforce("instance:extension:user:create")
    if body.get("databases"):
        call.enforce("instance:extension:database:create")
    common.refuse_unsupported(body, {"configuration": "configuration groups"})
    databases = common.read_databases(body.get("databases"))
    request = NewCluster(
        name=body["name"],
        version=common.version_to_build(call, body["datastore"]),
        members=_members(call, body["instances"]),
        databases=databases,
        users=common.read_users(body.get("users"), databases),
        locality=body.get("locality"),
        options=body.get("extended_properties") or {},
    )
    return _accepted(call, call.services.create_cluster(call.project, request))


def show(call: Call) -> Reply:
    """Show a cluster with its members."""
    cluster = common.find_cluster(call, "cluster:show")
    operation = call.store.latest_operation(cluster.id)
    return Reply({"cluster": view.show(call, cluster, operation)})


def show_instance(call: Call) -> Reply:
    """Show one member as an instance."""
    cluster = common.find_cluster(call, "cluster:show_instance")
    wanted = call.params["instance"]
    try:
        instance = cluster.member(wanted.lower())
    except KeyError:
        raise NotFound("instance", wanted[:80], f"it is no member of cluster '{cluster.name}'") from None
    operation = call.store.latest_operation(instance.id)
    return Reply({"instance": instance_view.show(call, instance, operation)})


def delete(call: Call) -> Reply:
    """Accept the deletion of a cluster with all its members."""
    cluster = common.find_cluster(call, "cluster:delete")
    return Reply(operation=call.services.delete_cluster(cluster))


def change(call: Call) -> Reply:
    """Upgrade in the form of the specification, or rename: the answer is an empty object."""
    cluster = common.find_cluster(call, "cluster:action")
    ((what, value),) = call.body["cluster"].items()
    if what == "name":
        call.services.rename_cluster(cluster, value)
        return Reply({})
    return Reply({}, operation=call.services.upgrade_cluster(cluster, value, UpgradeOptions()))


def action(call: Call) -> Reply:
    """Do the one thing the body names."""
    ((name, value),) = call.body.items()
    rule, act = ACTIONS[name]
    if name == "reset-status" and value and "force_delete" in value:
        rule = "cluster:force_delete"
    return act(call, common.find_cluster(call, rule), value)


def _grow(call: Call, cluster: Cluster, value: Any) -> Reply:
    return _accepted(call, call.services.grow_cluster(cluster, _members(call, value)))


def _shrink(call: Call, cluster: Cluster, value: Any) -> Reply:
    ids = [item["id"].lower() for item in value]
    if len(set(ids)) < len(ids):
        raise BadRequest("shrink: a member is named twice")
    return _accepted(call, call.services.shrink_cluster(cluster, ids))


def _restart(call: Call, cluster: Cluster, value: Any) -> Reply:
    return _accepted(call, call.services.restart_cluster(cluster))


def _upgrade(call: Call, cluster: Cluster, value: Any) -> Reply:
    target, options = value["datastore_version"], common.read_options(value)
    if value.get("dry_run"):
        plan = call.services.plan_upgrade_cluster(cluster, target, options)
        return Reply({"plan": plans.plan(plan)}, status=200)
    return _accepted(call, call.services.upgrade_cluster(cluster, target, options))


def _reset(call: Call, cluster: Cluster, value: Any) -> Reply:
    call.services.reset_cluster_status(cluster)
    return Reply({"cluster": view.basic(call, call.store.cluster(cluster.id))})


def _not_yet(what: str) -> Callable[[Call, Cluster, Any], Reply]:
    def refuse(call: Call, cluster: Cluster, value: Any) -> Reply:
        raise NotSupported(f"this service cannot {what}; nothing was changed")

    return refuse


ACTIONS: dict[str, tuple[str, Callable[[Call, Cluster, Any], Reply]]] = {
    "grow": ("cluster:action", _grow),
    "shrink": ("cluster:action", _shrink),
    "restart": ("cluster:action", _restart),
    "upgrade": ("cluster:action", _upgrade),
    "reset-status": ("cluster:reset-status", _reset),
    "resize": ("cluster:action", _not_yet("resize the members of a cluster yet")),
    "add_shard": ("cluster:action", _not_yet("add shards: none of its datastores is sharded by hand")),
    "configuration_attach": ("cluster:action", _not_yet("attach configuration groups yet")),
    "configuration_detach": ("cluster:action", _not_yet("detach configuration groups yet")),
}
"""Action -> (policy rule, what to do)."""


def _accepted(call: Call, operation: Operation) -> Reply:
    """Answer with the cluster as it is once the operation is accepted."""
    cluster = call.store.cluster(operation.resource_id)
    return Reply({"cluster": view.basic(call, cluster)}, operation=operation)


def _members(call: Call, items: list[dict[str, Any]]) -> tuple[NewMember, ...]:
    """Read members to build; they must all be alike (BadRequest)."""
    members = []
    for item in items:
        common.refuse_unsupported(item, {"modules": "modules"})
        common.check_region(call, item.get("region_name"))
        members.append(
            NewMember(
                flavor=common.read_flavor(call, item.get("flavorRef")),
                volume_gb=common.read_volume(call, item.get("volume")),
                name=item.get("name"),
                kind=item.get("type"),
                related_to=item.get("related_to"),
                nics=common.read_nics(item.get("nics")),
                availability_zone=item.get("availability_zone"),
            )
        )
    for what, values in (
        ("flavorRef", {member.flavor.id for member in members}),
        ("volume.size", {member.volume_gb for member in members}),
        ("nics.network_id", {member.nics[0].network_id if member.nics else None for member in members}),
    ):
        if len(values) > 1:
            raise BadRequest(f"instances: {what} must be the same for every member")
    names = [member.name for member in members if member.name]
    if len(set(names)) < len(names):
        raise BadRequest("instances: two members have the same name")
    return tuple(members)
