"""The stable address of a cluster."""

from __future__ import annotations

from trove.domain.instances import Cluster
from trove.domain.ports import Backend, EndpointSpec
from trove.operations.context import Done, Outcome, StepContext


def endpoint_spec(cluster: Cluster, member_ids: list[str], active_id: str) -> EndpointSpec:
    """Describe the endpoint in front of these members."""
    assert cluster.endpoint_address is not None
    assert cluster.endpoint_port is not None
    members = [cluster.member(member_id) for member_id in member_ids]
    return EndpointSpec(
        cluster_id=cluster.id,
        address=cluster.endpoint_address,
        port=cluster.endpoint_port,
        active=active_id,
        backends=tuple(Backend(member.id, member.address, member.port) for member in members),
    )


def ensure(context: StepContext) -> Outcome:
    """Run the endpoint with these members, this one active."""
    cluster = context.cluster()
    context.tools.endpoints.ensure(endpoint_spec(cluster, context.params["members"], context.params["active"]))
    return Done()


def member(context: StepContext) -> Outcome:
    """Let one member take part, or not."""
    assert context.step.member_id is not None
    context.tools.endpoints.set_state(
        context.operation.resource_id, context.step.member_id, str(context.params["state"])
    )
    return Done()


def switch(context: StepContext) -> Outcome:
    """Send new connections to the step's member."""
    assert context.step.member_id is not None
    context.tools.endpoints.switch(context.operation.resource_id, context.step.member_id)
    return Done()


def delete(context: StepContext) -> Outcome:
    """Remove the endpoint."""
    context.tools.endpoints.delete(context.operation.resource_id)
    return Done()
