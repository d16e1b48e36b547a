"""What the handlers need beyond reading rows; `trove.operations.service.Service` implements it.

Every method either has no effect at all and raises a `trove.domain.errors` error, or has done its whole work when it
returns. Nothing here waits for an agent, a sandbox or a cloud: long work is an `Operation` somebody executes later.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from trove.domain.instances import Cluster, Instance
from trove.domain.operations import Operation
from trove.domain.plans import Plan
from trove.domain.requests import NewCluster, NewInstance, NewMember, UpgradeOptions


class InstanceServices(Protocol):
    """Changes of single instances. `resource_id` of the returned operation is the instance's id."""

    def create_instance(self, project_id: str, request: NewInstance) -> Operation:
        """The rows are written when this returns. BadRequest, OverLimit, NotSupported."""

    def delete_instance(self, instance: Instance) -> Operation:
        """Unprocessable while it is being built; NotSupported for a member of a cluster."""

    def restart_instance(self, instance: Instance) -> Operation: ...

    def plan_upgrade_instance(self, instance: Instance, target_ref: str, options: UpgradeOptions) -> Plan:
        """Make the plan and touch nothing; blockers are inside the plan. NotFound for an unknown version."""

    def upgrade_instance(self, instance: Instance, target_ref: str, options: UpgradeOptions) -> Operation:
        """`target_ref` is a version's id or name. BadRequest with every reason, Unprocessable, NotFound."""

    def rename_instance(self, instance: Instance, name: str) -> None: ...

    def reset_instance_status(self, instance: Instance) -> None:
        """End what the service believes it is doing to the instance, so that it can be used or deleted again."""


class ClusterServices(Protocol):
    """Changes of clusters. `resource_id` of the returned operation is the cluster's id."""

    def create_cluster(self, project_id: str, request: NewCluster) -> Operation: ...
    def delete_cluster(self, cluster: Cluster) -> Operation: ...
    def restart_cluster(self, cluster: Cluster) -> Operation: ...
    def grow_cluster(self, cluster: Cluster, members: Sequence[NewMember]) -> Operation: ...
    def shrink_cluster(self, cluster: Cluster, instance_ids: Sequence[str]) -> Operation:
        """BadRequest when an id is not a member's or too few members would remain."""

    def plan_upgrade_cluster(self, cluster: Cluster, target_ref: str, options: UpgradeOptions) -> Plan: ...
    def upgrade_cluster(self, cluster: Cluster, target_ref: str, options: UpgradeOptions) -> Operation: ...
    def rename_cluster(self, cluster: Cluster, name: str) -> None: ...
    def reset_cluster_status(self, cluster: Cluster) -> None: ...


class OperationServices(Protocol):
    """What a person can tell an operation; returns it as it is afterwards. Unprocessable says why not."""

    def resume(self, operation: Operation) -> Operation: ...
    def rollback(self, operation: Operation) -> Operation: ...


class QuotaServices(Protocol):
    """Limits of a project: defaults of the installation with what was set for the project. -1 is no limit."""

    def limits(self, project_id: str) -> Mapping[str, int]:
        """All resources (instances, ram, volumes, backups), so that their names are known from here."""

    def set_limits(self, project_id: str, limits: Mapping[str, int]) -> None:
        """Set these and leave the others. The caller has checked the names."""


class Services(InstanceServices, ClusterServices, OperationServices, QuotaServices, Protocol):
    """Everything the API asks of the service."""
