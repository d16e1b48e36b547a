"""What an operation leaves behind when it ends: no row stays busy, and a fault can be read where it happened."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from trove.domain.errors import NotFound
from trove.domain.instances import Instance
from trove.domain.operations import Operation
from trove.domain.states import ClusterTask, InstanceTask, OperationStatus, Task
from trove.domain.store import Lease, Store

AFTER_FAULT: Mapping[tuple[str, str], Task] = {
    # (task name, kind or status of the operation, or "") -> task when the operation ends without success
    (InstanceTask.UPGRADING.name, OperationStatus.ROLLED_BACK): InstanceTask.NONE,
    (InstanceTask.BUILDING.name, ""): InstanceTask.BUILD_ERROR,
    (InstanceTask.RESTARTING.name, ""): InstanceTask.NONE,
    (InstanceTask.UPGRADING.name, ""): InstanceTask.UPGRADE_ERROR,
    (InstanceTask.DELETING.name, ""): InstanceTask.DELETING,
}
"""A member that an upgrade touched has been given its task by the rollback itself."""


def settle(store: Store, lease: Lease, operation: Operation, status: OperationStatus, error: str | None) -> None:
    """Give the resource and its members the tasks in which the operation leaves them.

    Only under the lease (StaleGeneration): whoever took over may have ended the operation, and another may have begun.
    """
    kind = operation.kind
    try:
        if operation.resource_type == "cluster":
            cluster = store.cluster(operation.resource_id)
            for member in cluster.members:
                _settle_instance(store, lease, member, kind, status, error)
            if cluster.task not in (ClusterTask.NONE, ClusterTask.DELETING):
                store.update_cluster(cluster.id, lease=lease, task=ClusterTask.NONE)
        else:
            _settle_instance(store, lease, store.instance(operation.resource_id), kind, status, error)
    except NotFound:
        return  # it was deleted, which is what its last operation was for
    if kind.endswith("_create") and operation.resource_type == "instance":
        store.drop_secret(operation.resource_id)


def _settle_instance(
    store: Store, lease: Lease, instance: Instance, kind: str, status: OperationStatus, error: str | None
) -> None:
    if kind == "cluster_grow" and status is OperationStatus.ROLLED_BACK and instance.task is InstanceTask.BUILDING:
        # Its server was never begun, so nothing has taken it back; as a member it would be in everybody's way.
        store.update_instance(instance.id, lease=lease, deleted=True)
        return
    if instance.task is InstanceTask.NONE or status is OperationStatus.SUCCEEDED:
        if instance.task not in (InstanceTask.NONE, InstanceTask.DELETING):
            store.update_instance(instance.id, lease=lease, task=InstanceTask.NONE)
        return
    cases = ((instance.task.name, case) for case in (status.value, kind, ""))
    task = next((AFTER_FAULT[case] for case in cases if case in AFTER_FAULT), None)
    message = error or "the operation did not succeed"
    created = datetime.now(UTC).replace(tzinfo=None).isoformat(timespec="seconds")
    fields: dict[str, Any] = {"fault": {"message": message, "created": created, "details": None}}
    if task is not None and task is not instance.task:
        fields["task"] = task
    store.update_instance(instance.id, lease=lease, **fields)
