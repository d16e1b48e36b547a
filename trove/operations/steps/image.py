"""Images and what their servers need: staged before anything stops."""

from __future__ import annotations

from trove.operations.context import Done, Outcome, StepContext


def stage(context: StepContext) -> Outcome:
    """Have the image and all that its servers need ready, and note which exact engine version it holds."""
    image = context.tools.images.ensure(context.params["recipe"], context.say)
    context.tools.compute.stage(image.id)
    context.tools.store.set_version_number(context.params["version_id"], image.engine_version)
    return Done({"image_id": image.id, "engine_version": image.engine_version})
