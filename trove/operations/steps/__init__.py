"""The table of step functions: the name a plan uses -> what an executor runs."""

from __future__ import annotations

from collections.abc import Mapping

from trove.operations.context import StepFunction
from trove.operations.steps import endpoint, guest, image, precheck, record, server
from trove.operations.steps.hold import hold

STEP_FUNCTIONS: Mapping[str, StepFunction] = {
    "hold": hold,
    "precheck.health": precheck.health,
    "precheck.roles": precheck.roles,
    "precheck.source": precheck.source,
    "image.stage": image.stage,
    "server.ensure": server.ensure,
    "server.delete": server.delete,
    "server.copy": server.copy,
    "server.restore": server.restore,
    "server.discard": server.discard,
    "gate.member": guest.gate,
    "endpoint.ensure": endpoint.ensure,
    "endpoint.member": endpoint.member,
    "endpoint.switch": endpoint.switch,
    "endpoint.delete": endpoint.delete,
    "record.member": record.member,
    "record.member_deleted": record.member_deleted,
    "record.cluster": record.cluster,
    "record.cluster_deleted": record.cluster_deleted,
}


def step_function(name: str) -> StepFunction:
    """Find what runs a step; every `guest.<kind>` is one order to an agent. Raises KeyError."""
    if name in STEP_FUNCTIONS:
        return STEP_FUNCTIONS[name]
    if name.startswith("guest."):
        return guest.run
    raise KeyError(name)
