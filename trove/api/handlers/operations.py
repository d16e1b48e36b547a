"""Operations: list, show, and tell a held or running one what to do."""

from __future__ import annotations

from trove.api.context import Call, Reply
from trove.api.handlers import common
from trove.api.views import common as pages
from trove.api.views import operations as view
from trove.domain.errors import BadRequest, NotFound
from trove.domain.instances import Instance
from trove.domain.operations import Operation
from trove.domain.states import OperationStatus


def index(call: Call) -> Reply:
    """List the project's operations, newest first."""
    page = call.store.operations(call.project, limit=call.limit(), marker=call.marker(), filters=_filters(call))
    # Pages come without steps; they are read for the few operations whose progress anybody wants to see.
    items = [
        view.summary(item) | {"progress": None if item.status.final else view.progress(call.store.operation(item.id))}
        for item in page.items
    ]
    return Reply(pages.page(call, "operations", items, page.next_marker))


def show(call: Call) -> Reply:
    """Show an operation with its steps, events and the members it changes."""
    operation = common.find_operation(call, "operation:show")
    return Reply({"operation": view.show(operation, _members(call, operation))})


def action(call: Call) -> Reply:
    """Resume or roll back."""
    ((name, _),) = call.body.items()
    operation = common.find_operation(call, f"operation:{name}")
    act = call.services.resume if name == "resume" else call.services.rollback
    act(operation)
    # Read again: what a list or an acceptance returns carries no steps.
    changed = call.store.operation(operation.id)
    return Reply({"operation": view.show(changed, _members(call, changed))}, operation=changed)


def _filters(call: Call) -> dict[str, str]:
    filters = {name: value for name in ("status", "kind") if (value := call.text(name))}
    if "status" in filters:
        filters["status"] = filters["status"].upper()
        if filters["status"] not in OperationStatus.__members__:
            raise BadRequest(f"status must be one of {', '.join(OperationStatus.__members__)}")
    resources = [value for name in ("cluster_id", "instance_id") if (value := call.text(name))]
    if len(resources) > 1:
        raise BadRequest("give cluster_id or instance_id, not both")
    if resources:
        filters["resource_id"] = resources[0].lower()
    return filters


def _members(call: Call, operation: Operation) -> tuple[Instance, ...]:
    """Return the instances the operation is about, as they are now; none once they are gone."""
    try:
        if operation.resource_type == "cluster":
            return call.store.cluster(operation.resource_id).members
        return (call.store.instance(operation.resource_id),)
    except NotFound:
        return ()
