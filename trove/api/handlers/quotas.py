"""Limits of the caller's project, and quotas of any."""

from __future__ import annotations

from trove.api.context import Call, Reply
from trove.api.views import quotas as view
from trove.domain.errors import NotFound


def limits(call: Call) -> Reply:
    """Show the absolute limits of the caller's project."""
    return Reply({"limits": view.limits(call.services.limits(call.project))})


def show(call: Call) -> Reply:
    """Show a project's quotas and what of them is in use."""
    project = call.params["target"]
    call.enforce("quota:show", project)
    return Reply({"quotas": view.quotas(call.services.limits(project), call.store.usage(project))})


def update(call: Call) -> Reply:
    """Set some of a project's limits; nulls are left as they are."""
    project = call.params["target"]
    call.enforce("quota:update", project)
    wanted = {name: int(limit) for name, limit in call.body["quotas"].items() if limit is not None}
    known = call.services.limits(project)
    for name in call.body["quotas"]:
        if name not in known:
            raise NotFound("quota resource", name[:80], f"known are {', '.join(sorted(known))}")
    if wanted:
        call.services.set_limits(project, wanted)
    return Reply({"quotas": wanted})
