"""Instances: list, create, show, change, act on, delete."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from trove.api.context import Call, Reply
from trove.api.handlers import common
from trove.api.schemas import instances as bodies
from trove.api.views import common as pages
from trove.api.views import instances as view
from trove.api.views import operations as plans
from trove.domain.errors import BadRequest, NotSupported
from trove.domain.instances import Instance
from trove.domain.requests import NewInstance
from trove.domain.store import Page

NOT_YET_IN_CREATE = {
    "replica_of": "replication",
    "restorePoint": "restoring a backup",
    "configuration": "configuration groups",
    "modules": "modules",
}
NOT_YET_IN_CHANGE = {
    "configuration": "configuration groups",
    "replica_of": "replication",
    "slave_of": "replication",
    "access": "access rules",
}


def index(call: Call) -> Reply:
    """List the project's instances."""
    page = _page(call)
    return Reply(pages.page(call, "instances", view.index(call, page.items), page.next_marker))


def detail(call: Call) -> Reply:
    """List the project's instances with details."""
    page = _page(call)
    return Reply(pages.page(call, "instances", view.detailed(call, page.items), page.next_marker))


def create(call: Call) -> Reply:
    """Accept a new instance; it is built afterwards."""
    body = call.body["instance"]
    common.note_ignored(body, bodies.CREATE["properties"]["instance"])
    if body.get("users"):
        call.enforce("instance:extension:user:create")
    if body.get("databases"):
        call.enforce("instance:extension:database:create")
    common.refuse_unsupported(body, NOT_YET_IN_CREATE)
    if body.get("replica_count", 1) > 1:
        raise BadRequest("replica_count above 1 needs replica_of")
    common.check_region(call, body.get("region_name"))
    databases = common.read_databases(body.get("databases"))
    request = NewInstance(
        name=body["name"],
        version=common.version_to_build(call, body.get("datastore", {})),
        flavor=common.read_flavor(call, body.get("flavorRef")),
        volume_gb=common.read_volume(call, body.get("volume")),
        databases=databases,
        users=common.read_users(body.get("users"), databases),
        nics=common.read_nics(body.get("nics")),
        availability_zone=body.get("availability_zone"),
        locality=body.get("locality"),
        access=body.get("access"),
    )
    operation = call.services.create_instance(call.project, request)
    instance = call.store.instance(operation.resource_id)
    return Reply({"instance": view.detail(call, instance)}, operation=operation)


def show(call: Call) -> Reply:
    """Show an instance."""
    instance = common.find_instance(call, "instance:show")
    operation = call.store.latest_operation(instance.id)
    return Reply({"instance": view.show(call, instance, operation)})


def change(call: Call) -> Reply:
    """Rename or upgrade. An empty object means detaching a configuration group, and none is ever attached."""
    instance = common.find_instance(call, "instance:update")
    body = call.body["instance"]
    given = {name: True for name in NOT_YET_IN_CHANGE if name in body}
    if given.keys() == {"configuration"} and body["configuration"] is None:
        given = {}
    common.refuse_unsupported(given, NOT_YET_IN_CHANGE)
    target = body.get("datastore_version")
    if target is not None:
        options = common.read_options(body)
        if body.get("dry_run"):
            plan = call.services.plan_upgrade_instance(instance, target, options)
            return Reply({"plan": plans.plan(plan)}, status=200)
        operation = call.services.upgrade_instance(instance, target, options)
        _rename(call, instance)
        return Reply(operation=operation)
    _rename(call, instance)
    return Reply()


def delete(call: Call) -> Reply:
    """Accept the deletion of an instance."""
    instance = common.find_instance(call, "instance:delete")
    return Reply(operation=call.services.delete_instance(instance))


def action(call: Call) -> Reply:
    """Do the one thing the body names."""
    ((name, value),) = call.body.items()
    rule, act = ACTIONS[name]
    if name == "reset_status" and value and "force_delete" in value:
        rule = "instance:force_delete"
    if name == "resize" and "volume" in value:
        rule = "instance:resize_volume"
    return act(call, common.find_instance(call, rule))


def _restart(call: Call, instance: Instance) -> Reply:
    return Reply(operation=call.services.restart_instance(instance))


def _reset(call: Call, instance: Instance) -> Reply:
    call.services.reset_instance_status(instance)
    return Reply()


def _not_yet(what: str) -> Callable[[Call, Instance], Reply]:
    def refuse(call: Call, instance: Instance) -> Reply:
        raise NotSupported(f"this service cannot {what} yet; nothing was changed")

    return refuse


ACTIONS: dict[str, tuple[str, Callable[[Call, Instance], Reply]]] = {
    "restart": ("instance:restart", _restart),
    "reset_status": ("instance:reset_status", _reset),
    "resize": ("instance:resize_flavor", _not_yet("resize an instance")),
    "promote_to_replica_source": ("instance:promote_to_replica_source", _not_yet("promote a replica")),
    "eject_replica_source": ("instance:eject_replica_source", _not_yet("eject a replica source")),
}
"""Action -> (policy rule, what to do)."""


def _page(call: Call) -> Page[Instance]:
    page = call.store.instances(
        call.project,
        limit=call.limit(),
        marker=call.marker(),
        name=call.text("name"),
        include_clustered=call.flag("include_clustered"),
    )
    # Pages follow ascending ids; inside a page the newest stands first, as clients are used to.
    newest = sorted(page.items, key=lambda item: item.created or datetime.min, reverse=True)
    return Page(newest, page.next_marker)


def _rename(call: Call, instance: Instance) -> None:
    name = call.body["instance"].get("name")
    if name is not None:
        call.services.rename_instance(instance, name)
