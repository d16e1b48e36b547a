"""What a step function is given, and what it may answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from trove.domain.instances import Cluster, Instance
from trove.domain.operations import Operation
from trove.domain.plans import Step
from trove.domain.ports import Compute, Endpoints, GuestAddress, Guests, Images, Order, ServerSpec
from trove.domain.store import Lease, Store


@dataclass(frozen=True)
class Tools:
    """The drivers and the database an executor works with."""

    store: Store
    images: Images
    compute: Compute
    guests: Guests
    endpoints: Endpoints
    family_of: Callable[[str], str]
    """Engine family of a datastore."""


@dataclass(frozen=True)
class Done:
    """The step has reached its end; `result` is kept in the journal."""

    result: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Again:
    """Not yet: come back in `after` seconds; `reason` is what the user reads meanwhile."""

    after: float
    reason: str


@dataclass(frozen=True)
class Retry:
    """This try has failed; another may succeed. Until the step's deadline it is tried again after `after` seconds."""

    reason: str
    after: float = 0.5


@dataclass(frozen=True)
class Failed:
    """It cannot succeed; `reason` says what went wrong and what to do."""

    reason: str


@dataclass(frozen=True)
class Held:
    """Wait here for a person."""

    reason: str


Outcome = Done | Again | Retry | Failed | Held
StepFunction = Callable[["StepContext"], Outcome]


@dataclass(frozen=True)
class StepContext:
    """One call of one step function."""

    tools: Tools
    operation: Operation
    step: Step
    order: Order
    say: Callable[[str], None]
    """Tell the user what is being done now."""
    lease: Lease
    """Under which rows may be changed; after it is lost another executor's word counts."""

    @property
    def params(self) -> Mapping[str, Any]:
        return self.step.params

    def member(self) -> Instance:
        """Read the step's member as it is now."""
        assert self.step.member_id is not None
        return self.tools.store.instance(self.step.member_id)

    def cluster(self) -> Cluster:
        """Read the operation's cluster as it is now."""
        return self.tools.store.cluster(self.operation.resource_id)

    def guest(self, instance: Instance) -> GuestAddress:
        return GuestAddress(instance.id, instance.address)


def server_spec(instance: Instance, image_id: str, family: str) -> ServerSpec:
    """Describe the server an instance should have."""
    return ServerSpec(
        instance_id=instance.id,
        name=instance.name,
        image_id=image_id,
        family=family,
        address=instance.address,
        engine_port=instance.port,
        ram_mb=instance.ram_mb,
        vcpus=instance.vcpus,
        volume_gb=instance.volume_gb,
    )
