"""Rows that follow from what was done: tasks, versions, who is active, what is gone."""

from __future__ import annotations

from typing import Any

from trove.domain.errors import NotFound
from trove.domain.states import InstanceTask, task_by_name
from trove.operations.context import Done, Outcome, StepContext


def member(context: StepContext) -> Outcome:
    """Set the task of the step's member, and the version its engine has proved."""
    assert context.step.member_id is not None
    fields: dict[str, Any] = {}
    if "task" in context.params:
        fields["task"] = task_by_name(InstanceTask, context.params["task"])
        fields["fault"] = None
    if "version_id" in context.params:
        fields["version"] = context.tools.store.version(context.params["version_id"])
    context.tools.store.update_instance(context.step.member_id, lease=context.lease, **fields)
    return Done()


def member_deleted(context: StepContext) -> Outcome:
    """Forget the member; its address and quota are free again. No error when it is gone already."""
    assert context.step.member_id is not None
    try:
        context.tools.store.update_instance(context.step.member_id, lease=context.lease, deleted=True)
    except NotFound:
        return Done()
    context.tools.store.drop_secret(context.step.member_id)
    return Done()


def cluster(context: StepContext) -> Outcome:
    """Set the version or the active member of the operation's cluster; forget accounts that are made."""
    fields: dict[str, Any] = {}
    if "version_id" in context.params:
        fields["version"] = context.tools.store.version(context.params["version_id"])
    if "active_member_id" in context.params:
        fields["active_member_id"] = context.params["active_member_id"]
    context.tools.store.update_cluster(context.operation.resource_id, lease=context.lease, **fields)
    if context.params.get("forget_accounts"):
        kept = context.tools.store.secret(context.operation.resource_id)
        only_theirs = {key: value for key, value in kept.items() if key == "cluster_secret"}
        context.tools.store.put_secret(context.operation.resource_id, only_theirs)
    return Done()


def cluster_deleted(context: StepContext) -> Outcome:
    """Forget the cluster. No error when it is gone already."""
    try:
        context.tools.store.update_cluster(context.operation.resource_id, lease=context.lease, deleted=True)
    except NotFound:
        return Done()
    context.tools.store.drop_secret(context.operation.resource_id)
    return Done()
