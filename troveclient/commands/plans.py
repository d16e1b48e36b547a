"""The plan of an upgrade as text."""

from __future__ import annotations

from typing import Any

from troveclient.commands.output import table


def text(plan: dict[str, Any]) -> str:
    """Every step in order, and what somebody must know before saying yes."""
    resource = plan.get("resource") or {}
    steps = plan.get("steps") or []
    hops = plan.get("hops") or []
    kind = str(plan.get("kind", "upgrade")).replace("_", " ")
    lines = [
        f"Plan: {kind} of {resource.get('name', '')} ({resource.get('id', '')})",
        f"From {plan.get('from_version')} to {plan.get('to_version')}",
    ]
    if len(hops) > 2:
        lines.append(f"Hops: {' -> '.join(str(hop) for hop in hops)}")
    gap = plan.get("expected_write_gap_ms")
    lines.append(f"Expected write gap: {'not known' if gap is None else f'{gap} ms'}")
    point = plan.get("point_of_no_return")
    if point is None:
        lines.append("Point of no return: none, every step can be undone")
    else:
        title = next((step.get("title") for step in steps if step.get("index") == point), "")
        lines.append(f"Point of no return: step {point} ({title})")
    lines += [f"Warning: {warning}" for warning in plan.get("warnings") or []]
    if steps:
        rows = [
            (
                step.get("index"),
                step.get("phase"),
                (step.get("member") or {}).get("name") or "",
                step.get("title"),
                step.get("deadline_seconds"),
            )
            for step in steps
        ]
        lines.append(table(("Step", "Phase", "Member", "What", "Deadline (s)"), rows))
    blockers = plan.get("blockers") or []
    if not blockers:
        lines.append("Blockers: none")
    for blocker in blockers:
        member = (blocker.get("member") or {}).get("name")
        lines.append(f"Blocker: {f'{member}: ' if member else ''}{blocker.get('reason')} ({blocker.get('code')})")
    return "\n".join(lines)
