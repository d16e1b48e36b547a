"""Commands that take several names."""

from __future__ import annotations

from typing import Any

from troveclient import exceptions


def each(ctx: Any, values: list[str], what: str, act: Any, verb: str = "delete") -> None:
    """Do something to each; say what was accepted, go on after a failure, fail at the end."""
    failed = []
    for value in values:
        try:
            act(value)
        except Exception as error:
            failed.append(value)
            ctx.progress(f"{what} {value}: {error}")
        else:
            ctx.say(f"Request to {verb} {what} {value} has been accepted.")
    if failed:
        raise exceptions.CommandError(f"Unable to {verb} {what}: {', '.join(failed)}")
