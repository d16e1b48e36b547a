"""Orders to agents, and the gate: what the engine itself says."""

from __future__ import annotations

from typing import Any

from trove.domain.errors import NotFound, Unavailable
from trove.domain.instances import Instance
from trove.domain.ports import ServerState
from trove.operations.context import Again, Done, Outcome, Retry, StepContext, server_spec

LONG_POLL = 2.0
"""Seconds one call waits for the agent, so that the end is noticed at once and a lost lease soon."""


def run(context: StepContext) -> Outcome:
    """Give the agent its order, or find it; the step's name is `guest.<kind>`."""
    member = context.member()
    kind = context.step.name.removeprefix("guest.")
    params = dict(context.params["params"])
    if context.params.get("secret"):
        params = _with_secret(params, _secret(context, context.params["secret"]))
    elif context.operation.resource_type == "cluster" and params.get("cluster"):
        params = _with_secret(params, _secret(context, context.operation.resource_id), users=False)
    try:
        operation = context.tools.guests.run(context.guest(member), kind, params, context.order, wait=LONG_POLL)
    except Unavailable:
        return _revive(context, member)
    if operation.status == "SUCCEEDED":
        return Done(operation.result)
    if operation.status == "FAILED":
        return Retry(f"{member.name}: {operation.error}")
    return Again(0.0, f"{member.name}: {operation.progress or kind}")


def gate(context: StepContext) -> Outcome:
    """Pass when the engine says that it runs the version and is in sync; keep what it said."""
    member = context.member()
    version = str(context.params["version"])
    try:
        waited = context.tools.guests.run(
            context.guest(member),
            "await_sync",
            {"version_prefix": version, "timeout": context.step.deadline},
            context.order,
            wait=LONG_POLL,
        )
    except Unavailable:
        return _revive(context, member)
    if waited.status == "RUNNING":
        return Again(0.0, f"{member.name}: {waited.progress or 'waiting until the engine is in sync'}")
    if waited.status == "FAILED":
        return Retry(f"{member.name}: {waited.error}", after=0.2)
    health = context.tools.guests.health(context.guest(member))
    context.tools.store.record_health({member.id: health.after(member.health)})
    if not health.healthy:
        return Again(0.1, f"{member.name}: its engine says {health.status}: {health.reason}")
    if not runs(health.version_number, version):
        return Retry(f"{member.name}: its engine says it runs {health.version or 'nothing'}, not {version}")
    return Done({"version": health.version, "role": health.role, "observed_at": health.observed_at})


def _revive(context: StepContext, member: Instance) -> Outcome:
    """Wait for an agent that is on its way up; a server that died under the operation is started again."""
    tools = context.tools
    if member.image_id is not None and tools.compute.inspect(member.id).state is not ServerState.RUNNING:
        context.say(f"{member.name}: its server has ended, starting it again")
        spec = server_spec(member, member.image_id, tools.family_of(member.version.datastore))
        tools.compute.ensure(spec, context.order)
    return Again(0.005, f"{member.name}: waiting for its agent to answer")


def runs(said: str, version: str) -> bool:
    """Tell whether the number an engine said (`10.11.19`) belongs to a datastore version (`10.11`)."""
    return said == version or said.startswith(version + ".")


def _secret(context: StepContext, owner: str) -> dict[str, Any]:
    try:
        return dict(context.tools.store.secret(owner))
    except NotFound:
        return {}


def _with_secret(params: dict[str, Any], secret: dict[str, Any], users: bool = True) -> dict[str, Any]:
    """Add what plans must not show: accounts, and the secret the members of a cluster share."""
    if users:
        params.update({key: secret[key] for key in ("users", "databases") if key in secret})
    if params.get("cluster") and "cluster_secret" in secret:
        params["cluster"] = {**params["cluster"], "secret": secret["cluster_secret"]}
    return params
