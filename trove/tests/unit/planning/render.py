"""Plans as text, to be reviewed like code."""

from __future__ import annotations

from itertools import groupby

from trove.domain.plans import Plan, Started, Step, may_roll_back


def render(plan: Plan) -> str:
    """Show a plan: each step with what takes it back, then where a rollback from each stopping point leads."""
    return "\n".join([*_head(plan), *_steps(plan), *_rollbacks(plan)]) + "\n"


def _head(plan: Plan) -> list[str]:
    way = f" {' -> '.join(plan.hops)}" if plan.hops else ""
    out = [f"{plan.kind} of {plan.resource_type} {plan.resource_name}{way}, on failure: {plan.on_failure}"]
    if plan.expected_write_gap_ms is not None:
        out.append(f"expected write gap: {plan.expected_write_gap_ms} ms")
    out += [f"warning: {warning}" for warning in plan.warnings]
    out += [f"blocker {blocker.code}: {blocker.reason}" for blocker in plan.blockers]
    return out


def _steps(plan: Plan) -> list[str]:
    out = ["", "steps (! no way back from here, * commits, <n what takes it back)"]
    for index, step in enumerate(plan.steps):
        marks = ("!" if step.no_return else " ") + ("*" if step.commit else " ")
        undo = f"  <{len(step.undo)}" if step.undo else ""
        out.append(f"{index:3} {marks} {step.phase:<10} {step.member_name or '-':<5} {step.title}{undo}")
        out += [f"{'':24}< {_brief(back)}" for back in step.undo]
    return out


def _brief(step: Step) -> str:
    more = ""
    if step.name == "server.ensure":
        more = f" [{step.params['image_id'] or 'newest ' + step.params['recipe']}]"
    donors = step.params.get("params", {}).get("donors") if step.name.startswith("guest.") else None
    if donors is not None:
        more = f" [donors {', '.join(donors)}]"
    return f"{step.title}{more}"


def _rollbacks(plan: Plan) -> list[str]:
    points = []
    for index in range(len(plan.steps)):
        for done in (False, True):
            started = [(step, position < index or done) for position, step in enumerate(plan.steps[: index + 1])]
            points.append((index, _way_back(started)))
    out = ["", "stopped in or right after step: steps taken back, in this order"]
    for way, group in groupby(points, key=lambda point: point[1]):
        indexes = [index for index, _ in group]
        out.append(f"{_span(indexes[0], indexes[-1])}: {way}")
    return out


def _way_back(started: list[Started]) -> str:
    if not may_roll_back(started):
        return "only forward"
    taken = []
    for index in range(len(started) - 1, -1, -1):
        step, done = started[index]
        if step.commit and done:
            return " ".join([*taken, f"(to the commit in {index})"])
        if step.undo:
            taken.append(str(index))
    return " ".join(taken) or "nothing to take back"


def _span(first: int, last: int) -> str:
    return f"{first:3}" if first == last else f"{first:3}-{last}"
