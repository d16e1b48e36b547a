"""A place in the plan where it waits for a person."""

from __future__ import annotations

from trove.operations.context import Held, Outcome, StepContext


def hold(context: StepContext) -> Outcome:
    """Hold once; a resume goes on behind this step."""
    return Held(str(context.params["reason"]))
