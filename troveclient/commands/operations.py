"""Commands of operations: what runs, what happened, go on, go back."""

from __future__ import annotations

from typing import Any

from troveclient import exceptions
from troveclient.commands import waiting
from troveclient.commands.model import LIMIT, MARKER, WAIT, arg, define, flag, follow
from troveclient.commands.output import table
from troveclient.commands.shapes import record

OPERATION = arg("operation", metavar="<operation>", help="ID of the operation.")


@define(
    arg("--cluster", metavar="<cluster>", default=None, help="Only operations of this cluster (name or ID)."),
    arg("--instance", metavar="<instance>", default=None, help="Only operations of this instance (name or ID)."),
    arg(
        "--status",
        metavar="<status>",
        default=None,
        type=str.upper,
        help="Only operations in this status, such as RUNNING or HELD.",
    ),
    arg("--kind", metavar="<kind>", default=None, help="Only operations of this kind, such as cluster_upgrade."),
    LIMIT,
    MARKER,
    columns=("ID", "Kind", "Status", "Resource", "From", "To", "Done", "Steps", "Created"),
)
def list_operations(ctx: Any, a: Any) -> Any:
    found = follow(
        ctx.client.operations.list,
        limit=a.limit,
        marker=a.marker,
        cluster_id=ctx.ref(ctx.client.clusters, a.cluster) if a.cluster else None,
        instance_id=ctx.ref(ctx.client.instances, a.instance) if a.instance else None,
        status=a.status,
        kind=a.kind,
    )
    rows = []
    for item in found:
        info = item._info
        progress, resource = info.get("progress") or {}, info.get("resource") or {}
        rows.append(
            (
                info["id"],
                info.get("kind"),
                info.get("status"),
                resource.get("name") or resource.get("id"),
                info.get("from_version") or "",
                info.get("to_version") or "",
                progress.get("done", ""),
                progress.get("total", ""),
                info.get("created"),
            )
        )
    return rows


@define(
    OPERATION,
    flag("--steps", help="Print the steps as a table as well (only with table output)."),
    flag("--events", help="Print what was noted while it ran as well (only with table output)."),
)
def show_operation(ctx: Any, a: Any) -> Any:
    info = record(ctx.client.operations.get(a.operation))
    steps, events = info.pop("steps", None) or [], info.pop("events", None) or []
    if not ctx.table:
        return {**info, "steps": steps, "events": events}
    if a.steps:
        rows = [
            (
                step.get("index"),
                step.get("phase"),
                (step.get("member") or {}).get("name") or "",
                step.get("title"),
                step.get("status"),
                step.get("started"),
                step.get("finished"),
                # What a finished step was last waiting for is no news.
                step.get("error") or ("" if step.get("status") == "DONE" else step.get("status_text")),
            )
            for step in steps
        ]
        ctx.say(table(("Step", "Phase", "Member", "What", "Status", "Started", "Finished", "Remark"), rows))
    if a.events:
        ctx.say(table(("At", "Level", "Text"), [(e.get("at"), e.get("level"), e.get("text")) for e in events]))
    progress, point, resource = (info.pop(key, None) or {} for key in ("progress", "point_of_no_return", "resource"))
    info["progress"] = f"{progress.get('done')} of {progress.get('total')}" if progress else ""
    if point:
        passed = "passed" if point.get("passed") else "not passed"
        info["point_of_no_return"] = f"step {point.get('index')} ({passed})"
    info["resource"] = f"{resource.get('type', '')} {resource.get('name', '')} ({resource.get('id', '')})".strip()
    info["members"] = "\n".join(
        f"{m.get('name')}: {m.get('status')} {m.get('version') or ''}".rstrip() for m in info.get("members") or []
    )
    running = [step.get("title") for step in steps if step.get("status") == "RUNNING"]
    if running:
        info["running_step"] = "\n".join(str(title) for title in running)
    return info


def _act(ctx: Any, a: Any, verb: str) -> None:
    found = getattr(ctx.client.operations, verb)(a.operation)
    if not a.wait:
        return
    try:
        waiting.operation(ctx, a.operation, a.timeout)
    except exceptions.CommandError:
        if verb == "rollback" and ctx.client.operations.get(found.id).status == "ROLLED_BACK":
            return  # what was asked for
        raise


@define(OPERATION, *WAIT)
def resume(ctx: Any, a: Any) -> None:
    _act(ctx, a, "resume")


@define(OPERATION, *WAIT)
def rollback(ctx: Any, a: Any) -> None:
    _act(ctx, a, "rollback")
