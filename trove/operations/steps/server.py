"""Servers and their data. Compute is idempotent and refuses late orders, so each function is one call."""

from __future__ import annotations

from trove.domain.operations import Operation
from trove.operations.context import Done, Failed, Outcome, StepContext, server_spec


def ensure(context: StepContext) -> Outcome:
    """Run the member's server on the image the step names."""
    tools, member = context.tools, context.member()
    recipe = context.params["recipe"]
    image_id = context.params["image_id"] or _staged(context.operation, recipe)
    image = tools.images.get(image_id) if image_id else None
    image = image or tools.images.find(recipe)
    if image is None:
        return Failed(f"the image of {recipe} is gone; build it again with `trove-manage image build {recipe}`")
    spec = server_spec(member, image.id, tools.family_of(member.version.datastore))
    server = tools.compute.ensure(spec, context.order)
    tools.store.update_instance(member.id, lease=context.lease, image_id=image.id)
    return Done({"image_id": image.id, "limits": dict(server.limits)})


def _staged(operation: Operation, recipe: str) -> str | None:
    """Return the very image this operation has staged, so that all members get the same one whatever is built later."""
    for row in operation.steps:
        if row.step.name == "image.stage" and row.step.params["recipe"] == recipe and "image_id" in row.result:
            return str(row.result["image_id"])
    return None


def delete(context: StepContext) -> Outcome:
    """Remove the server with its data and copies."""
    assert context.step.member_id is not None
    context.tools.compute.delete(context.step.member_id, context.order)
    return Done()


def copy(context: StepContext) -> Outcome:
    """Keep a copy of the stopped engine's data."""
    member = context.member()
    context.tools.compute.copy_data(member.id, context.params["name"], context.order, context.say)
    return Done()


def restore(context: StepContext) -> Outcome:
    """Put the copy back; the server is stopped for it."""
    member = context.member()
    context.tools.compute.restore_data(member.id, context.params["name"], context.order)
    return Done()


def discard(context: StepContext) -> Outcome:
    """Remove the copy."""
    member = context.member()
    context.tools.compute.discard_copy(member.id, context.params["name"], context.order)
    return Done()
