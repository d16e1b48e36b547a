"""What the core asks of the service database; `trove.db.store.Store` implements it.

Reads return frozen snapshots. Every write method is one transaction. Times are naive UTC.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from trove.domain.datastores import Datastore, DatastoreVersion, Flavor
from trove.domain.health import Health
from trove.domain.instances import Cluster, Instance
from trove.domain.operations import Operation, OperationReference
from trove.domain.plans import Plan, Step
from trove.domain.states import OperationStatus, StepStatus, Task

T = TypeVar("T")


@dataclass(frozen=True)
class Page(Generic[T]):
    """One page of a list; `next_marker` is the id to continue after, None on the last page."""

    items: Sequence[T]
    next_marker: str | None = None


@dataclass(frozen=True)
class Lease:
    """The right of one executor to run one operation until `seconds` after its last renewal."""

    operation_id: str
    owner: str
    fence: int


class Catalogue(Protocol):
    """Datastores, versions and flavors."""

    def datastores(self, include_inactive: bool = False) -> Sequence[Datastore]: ...
    def datastore(self, ref: str) -> Datastore:
        """Find by id or name; NotFound."""

    def version(self, version_id: str) -> DatastoreVersion:
        """Find by id; NotFound."""

    def set_version_number(self, version_id: str, number: str) -> None:
        """Record the exact engine version of the image that was built."""

    def flavors(self) -> Sequence[Flavor]: ...
    def flavor(self, ref: str) -> Flavor:
        """Find by id or name; NotFound."""


class Resources(Protocol):
    """Instances and clusters."""

    def instances(
        self,
        project_id: str | None,
        *,
        limit: int,
        marker: str | None = None,
        name: str | None = None,
        include_clustered: bool = False,
    ) -> Page[Instance]:
        """Ascending id; cost must not grow with the number of rows."""

    def instance(self, instance_id: str, project_id: str | None = None) -> Instance:
        """NotFound when unknown, deleted, or of another project (None: any project)."""

    def clusters(
        self, project_id: str | None, *, limit: int, marker: str | None = None, name: str | None = None
    ) -> Page[Cluster]: ...
    def cluster(self, cluster_id: str, project_id: str | None = None) -> Cluster: ...

    def all_instances(self) -> Sequence[Instance]:
        """Every instance that is not deleted, for the monitor and reconciliation."""

    def all_clusters(self) -> Sequence[Cluster]: ...

    def reserve_addresses(self, count: int) -> list[str]:
        """Take free addresses out of the installation's pool and mark them taken (released with their owner)."""

    def release_addresses(self, addresses: Sequence[str]) -> None: ...

    def update_instance(self, instance_id: str, *, lease: Lease | None = None, **fields: Any) -> None:
        """Set fields of an Instance: task (checked against the transitions), version, image_id, fault, name,
        health, cluster_id, deleted=True. With a lease that is lost: StaleGeneration, nothing is written."""

    def update_cluster(self, cluster_id: str, *, lease: Lease | None = None, **fields: Any) -> None:
        """Set fields of a Cluster: task (checked), version, active_member_id, name, deleted=True; lease as above."""

    def record_health(self, observations: Mapping[str, Health], since: Mapping[str, str] | None = None) -> None:
        """Store what engines said, by instance id, in one transaction; `since` drops what comes too late."""

    def put_secret(self, owner_id: str, value: Mapping[str, Any]) -> None:
        """Keep something plans must not show (passwords), for steps to fetch."""

    def secret(self, owner_id: str) -> Mapping[str, Any]: ...
    def drop_secret(self, owner_id: str) -> None: ...


@dataclass(frozen=True)
class Acceptance:
    """What is written together with a new operation, or nothing is.

    New rows, the task of the resource (and of its members), and the check that nobody was faster: the resource's
    generation must still be `plan.generation`, and grows by one.
    """

    plan: Plan
    project_id: str
    on_failure: str = "rollback"
    new_instances: tuple[Instance, ...] = ()
    new_cluster: Cluster | None = None
    resource_task: Task | None = None
    member_tasks: Mapping[str, Task] = field(default_factory=dict)
    secrets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    limits: Mapping[str, int] = field(default_factory=dict)
    """Quota of the project ({"instances": 10, "volumes": 40, "ram": -1}), checked in the same transaction."""


class Journal(Protocol):
    """Operations, their steps, their leases."""

    def accept(self, acceptance: Acceptance) -> Operation:
        """Write the operation with everything that belongs to it, in one transaction.

        Raises OverLimit, Conflict (generation moved on), Unprocessable (resource has another unfinished operation).
        """

    def operation(self, operation_id: str, project_id: str | None = None) -> Operation:
        """With steps and events; NotFound."""

    def operations(
        self,
        project_id: str | None,
        *,
        limit: int,
        marker: str | None = None,
        filters: Mapping[str, str] | None = None,
    ) -> Page[Operation]:
        """Newest first, without steps and events; filters: status, kind, resource_id."""

    def latest_operation(self, resource_id: str) -> OperationReference | None:
        """The newest operation of a resource, without its plan: every show asks for it."""

    def latest_operations(self, resource_ids: Sequence[str]) -> Mapping[str, Operation]:
        """The newest operation of each resource (without steps), by resource id."""

    def claim(self, owner: str, seconds: float) -> Lease | None:
        """Take one active operation nobody holds a live lease of (database time); its fence becomes a new, larger
        number than any before. Operations already held by `owner` are not returned."""

    def renew(self, leases: Sequence[Lease], seconds: float) -> Sequence[Lease]:
        """Extend the leases; returns those still ours."""

    def release(self, lease: Lease) -> None:
        """Give the lease up so that another executor can take the operation at once."""

    def set_status(
        self,
        lease: Lease | None,
        operation_id: str,
        status: OperationStatus,
        text: str = "",
        error: str | None = None,
        *,
        expect: OperationStatus | None = None,
        step_done: int | None = None,
    ) -> None:
        """Move the operation (checked against the transitions), and with `step_done` make that step DONE with it.

        StaleGeneration with a lease that is lost. Conflict when the operation has left the status `expect`, because
        somebody asked for something in the meantime: read it again."""

    def set_step(
        self,
        lease: Lease,
        index: int,
        status: StepStatus,
        text: str = "",
        *,
        error: str | None = None,
        result: Mapping[str, Any] | None = None,
        attempt: bool = False,
    ) -> None:
        """Record progress of a step and, as its text, of the operation; `attempt` counts one more try. Sets started
        and finished times by itself. StaleGeneration when the lease is lost."""

    def advance(
        self,
        lease: Lease,
        expect: OperationStatus,
        done: int,
        result: Mapping[str, Any],
        following: int,
        text: str,
    ) -> bool:
        """Make the step `done` DONE and begin the `following` one, in one write.

        It is not begun, and False returned, when the operation has left the status `expect` because somebody asked for
        something in the meantime: read it again. StaleGeneration when the lease is lost."""

    def append_undo(self, lease: Lease, steps: Sequence[Step]) -> None:
        """Append rollback steps behind the plan's own; earlier undo steps that were not done become SKIPPED."""

    def add_event(self, operation_id: str, level: str, text: str) -> None: ...

    def request(self, operation_id: str, action: str) -> Operation:
        """A user asks for `resume` or `rollback`: checked (Unprocessable says why not) and made RUNNING or
        ROLLING_BACK so that an executor claims it."""


class Store(Catalogue, Resources, Journal, Protocol):
    """The whole database."""

    def reading(self) -> AbstractContextManager[None]:
        """Make several reads of this thread cheaper than each by itself."""

    def next_fence(self) -> int:
        """Return a number larger than any fence before, for orders outside of operations (reconciliation)."""

    def reset_task(self, instance_id: str | None = None, cluster_id: str | None = None) -> None:
        """Set the task to NONE whatever it is (also of the members of a cluster): an administrator's reset."""

    def quota_limits(self, project_id: str) -> Mapping[str, int]:
        """Limits that were set for the project, by resource; {} when there are none."""

    def set_quota_limits(self, project_id: str, limits: Mapping[str, int]) -> None:
        """Set these limits and leave the others."""

    def now(self) -> float:
        """Database time, seconds since the epoch."""

    def usage(self, project_id: str) -> Mapping[str, int]:
        """Quota units in use, counted from rows: instances, volumes (GB), ram (MB)."""

    def ping(self) -> None:
        """Raise Unavailable when the database does not answer."""
