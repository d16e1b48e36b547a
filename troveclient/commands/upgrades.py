"""How an instance or a cluster is upgraded: the options, the plan that --dry-run shows, the start."""

from __future__ import annotations

from typing import Any

from troveclient import exceptions
from troveclient.commands import plans, waiting
from troveclient.commands.model import WAIT, Context, arg, flag

UPGRADE = (
    arg("datastore_version", metavar="<datastore_version>", help="Name or ID of the datastore version to move to."),
    flag(
        "--dry-run",
        help="Touch nothing; print the plan, what stands in its way, the point of no return and "
        "the expected write gap. Exit code 1 when something stands in its way.",
    ),
    arg(
        "--on-failure",
        choices=("rollback", "hold"),
        default=None,
        help="At the first fault return to the old version (the server's default), or wait for a person.",
    ),
    arg(
        "--hold",
        choices=("canary", "switchover", "finalize"),
        action="append",
        default=None,
        help="Wait for 'operation resume' after the canary, before the switchover or before what cannot be "
        "undone (repeat for several).",
    ),
    flag("--accept-no-rollback", help="Go ahead although the plan says that there is no way back."),
    *WAIT,
)


def upgrade(ctx: Context, a: Any, kind: str, manager: Any, value: str) -> int | None:
    """Start the upgrade of what `value` names, or print its plan and return the exit code."""
    target = ctx.ref(manager, value)
    result = manager.upgrade(target, a.datastore_version, **_options(ctx, a))
    if a.dry_run:
        return _show(ctx, result)
    waiting.after(ctx, a, kind, target)
    return None


def _options(ctx: Context, a: Any) -> dict[str, Any]:
    """Only what was asked for: released servers know none of it, and would upgrade as if nothing had been said."""
    out: dict[str, Any] = {}
    if a.dry_run:
        out["dry_run"] = True
    if a.on_failure:
        out["on_failure"] = a.on_failure
    if a.hold:
        out["hold"] = a.hold
    if a.accept_no_rollback:
        out["accept_no_rollback"] = True
    if out:
        ctx.require_operations(" ".join(f"--{name.replace('_', '-')}" for name in out))
    return out


def _show(ctx: Context, plan: Any) -> int:
    """Print a plan; exit code 1 when it cannot be carried out. Raises CommandError where there is none."""
    if not isinstance(plan, dict):
        raise exceptions.CommandError(
            "This server does not know --dry-run and may have started the upgrade. Look at the resource."
        )
    ctx.say(plans.text(plan))
    return 1 if plan.get("blockers") else 0
