"""Every state of instances, clusters, operations and steps, and every allowed transition, in one place.

The numbers and names of tasks are those of the Trove v1.0 API, because clients read them. The diagrams in
`docs/states.md` are made from these tables by `python -m trove.domain.states`.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True)
class Task:
    """What the service is doing to an instance or a cluster."""

    code: int
    name: str
    description: str
    status: str = ""
    """Status an instance shows while the task runs; empty for clusters, which show the task itself."""


class InstanceTask:
    """Tasks of an instance (rest-api: `status` follows from the task)."""

    NONE = Task(1, "NONE", "idle", "ACTIVE")
    DELETING = Task(2, "DELETING", "being deleted", "SHUTDOWN")
    RESTARTING = Task(3, "REBOOTING", "restarting its engine", "REBOOT")
    BUILDING = Task(5, "BUILDING", "being built", "BUILD")
    UPGRADING = Task(89, "UPGRADING", "moving to another datastore version", "UPGRADE")
    BUILD_ERROR = Task(81, "BUILDING_ERROR_SERVER", "could not be built", "ERROR")
    UPGRADE_ERROR = Task(90, "UPGRADING_ERROR", "could not be upgraded", "ERROR")
    GROW_ERROR = Task(87, "GROWING_ERROR", "could not be added to its cluster", "ERROR")
    SHRINK_ERROR = Task(88, "SHRINKING_ERROR", "could not be removed from its cluster", "ERROR")

    ALL = (
        NONE,
        DELETING,
        RESTARTING,
        BUILDING,
        UPGRADING,
        BUILD_ERROR,
        UPGRADE_ERROR,
        GROW_ERROR,
        SHRINK_ERROR,
    )


class ClusterTask:
    """Tasks of a cluster, with the ids of the API."""

    NONE = Task(1, "NONE", "idle")
    BUILDING = Task(2, "BUILDING", "building its members")
    DELETING = Task(3, "DELETING", "deleting its members")
    GROWING = Task(5, "GROWING_CLUSTER", "adding members")
    SHRINKING = Task(6, "SHRINKING_CLUSTER", "removing members")
    UPGRADING = Task(7, "UPGRADING_CLUSTER", "moving to another datastore version, one member at a time")
    RESTARTING = Task(8, "RESTARTING_CLUSTER", "restarting its members, one at a time")

    ALL = (NONE, BUILDING, DELETING, GROWING, SHRINKING, UPGRADING, RESTARTING)


INSTANCE_TRANSITIONS: frozenset[tuple[Task, Task]] = frozenset(
    {
        (InstanceTask.BUILDING, InstanceTask.NONE),
        # A member that was ready while its cluster could not be completed.
        (InstanceTask.NONE, InstanceTask.BUILD_ERROR),
        (InstanceTask.BUILDING, InstanceTask.BUILD_ERROR),
        (InstanceTask.BUILDING, InstanceTask.GROW_ERROR),
        (InstanceTask.BUILDING, InstanceTask.DELETING),
        (InstanceTask.NONE, InstanceTask.RESTARTING),
        (InstanceTask.RESTARTING, InstanceTask.NONE),
        (InstanceTask.NONE, InstanceTask.UPGRADING),
        (InstanceTask.UPGRADING, InstanceTask.NONE),
        (InstanceTask.UPGRADING, InstanceTask.UPGRADE_ERROR),
        (InstanceTask.UPGRADE_ERROR, InstanceTask.NONE),
        (InstanceTask.UPGRADE_ERROR, InstanceTask.UPGRADING),
        (InstanceTask.NONE, InstanceTask.DELETING),
        (InstanceTask.DELETING, InstanceTask.SHRINK_ERROR),
        (InstanceTask.BUILD_ERROR, InstanceTask.DELETING),
        (InstanceTask.UPGRADING, InstanceTask.DELETING),
        (InstanceTask.UPGRADE_ERROR, InstanceTask.DELETING),
        (InstanceTask.GROW_ERROR, InstanceTask.DELETING),
        (InstanceTask.SHRINK_ERROR, InstanceTask.DELETING),
        (InstanceTask.RESTARTING, InstanceTask.DELETING),
    }
)

CLUSTER_TRANSITIONS: frozenset[tuple[Task, Task]] = frozenset(
    {(ClusterTask.BUILDING, ClusterTask.NONE), (ClusterTask.BUILDING, ClusterTask.DELETING)}
    | {(ClusterTask.NONE, task) for task in ClusterTask.ALL if task not in (ClusterTask.NONE, ClusterTask.BUILDING)}
    | {
        (task, after)
        for task in (
            ClusterTask.GROWING,
            ClusterTask.SHRINKING,
            ClusterTask.UPGRADING,
            ClusterTask.RESTARTING,
        )
        for after in (ClusterTask.NONE, ClusterTask.DELETING)
    }
)


class OperationStatus(StrEnum):
    PENDING = "PENDING"
    RUNNING = "RUNNING"
    ROLLING_BACK = "ROLLING_BACK"
    HELD = "HELD"
    SUCCEEDED = "SUCCEEDED"
    ROLLED_BACK = "ROLLED_BACK"
    FAILED = "FAILED"

    @property
    def final(self) -> bool:
        """Whether the operation has ended."""
        return self in FINAL_OPERATION_STATUSES

    @property
    def active(self) -> bool:
        """Whether an executor has something to do."""
        return self in ACTIVE_OPERATION_STATUSES


FINAL_OPERATION_STATUSES = frozenset({OperationStatus.SUCCEEDED, OperationStatus.ROLLED_BACK, OperationStatus.FAILED})
ACTIVE_OPERATION_STATUSES = frozenset({OperationStatus.PENDING, OperationStatus.RUNNING, OperationStatus.ROLLING_BACK})

OPERATION_TRANSITIONS: frozenset[tuple[OperationStatus, OperationStatus]] = frozenset(
    {
        (OperationStatus.PENDING, OperationStatus.RUNNING),
        (OperationStatus.RUNNING, OperationStatus.SUCCEEDED),
        (OperationStatus.RUNNING, OperationStatus.ROLLING_BACK),
        (OperationStatus.RUNNING, OperationStatus.HELD),
        (OperationStatus.RUNNING, OperationStatus.FAILED),
        (OperationStatus.ROLLING_BACK, OperationStatus.ROLLED_BACK),
        (OperationStatus.ROLLING_BACK, OperationStatus.HELD),
        (OperationStatus.HELD, OperationStatus.RUNNING),
        (OperationStatus.HELD, OperationStatus.ROLLING_BACK),
        # Deleting the resource is the way out of a hold that needs nobody but its owner.
        (OperationStatus.HELD, OperationStatus.FAILED),
    }
)


class StepStatus(StrEnum):
    WAITING = "WAITING"
    RUNNING = "RUNNING"
    DONE = "DONE"
    FAILED = "FAILED"
    SKIPPED = "SKIPPED"
    UNDONE = "UNDONE"


OPERATION_MEANING: Mapping[OperationStatus, str] = {
    OperationStatus.PENDING: "written down, no executor has begun",
    OperationStatus.RUNNING: "going forward, step by step",
    OperationStatus.ROLLING_BACK: "taking back what was done, the last step first",
    OperationStatus.HELD: "waits with its reason for `resume`, `rollback`, or the deletion of the resource",
    OperationStatus.SUCCEEDED: "the last step is done",
    OperationStatus.ROLLED_BACK: "everything since the start, or since the latest commit, was taken back",
    OperationStatus.FAILED: "stopped where it was; nothing was taken back, or its resource was deleted",
}

STEP_MEANING: Mapping[StepStatus, str] = {
    StepStatus.WAITING: "not begun",
    StepStatus.RUNNING: "being done, or waited for",
    StepStatus.DONE: "has reached its end",
    StepStatus.FAILED: "has met a fault, or its deadline; the reason is beside it",
    StepStatus.SKIPPED: "will not be done: the rollback was begun anew, or has turned around",
    StepStatus.UNDONE: "was begun or done, and has been taken back",
}


class EngineStatus(StrEnum):
    """What the engine is doing, as the API shows it in `operating_status`."""

    NEW = "NEW"
    BUILD = "BUILD"
    HEALTHY = "HEALTHY"
    RESTARTING = "RESTARTING"
    SHUTDOWN = "SHUTDOWN"
    ERROR = "ERROR"


def check_instance_transition(before: Task, after: Task) -> None:
    """Refuse a transition that is not in the table; raises ValueError, which is a bug of ours, not of a user."""
    _check("instance", INSTANCE_TRANSITIONS, before, after)


def check_cluster_transition(before: Task, after: Task) -> None:
    """Refuse a cluster transition that is not in the table (ValueError)."""
    _check("cluster", CLUSTER_TRANSITIONS, before, after)


def check_operation_transition(before: OperationStatus, after: OperationStatus) -> None:
    """Refuse an operation transition that is not in the table (ValueError)."""
    if before is not after and (before, after) not in OPERATION_TRANSITIONS:
        raise ValueError(f"an operation does not go from {before} to {after}")


def _check(noun: str, table: frozenset[tuple[Task, Task]], before: Task, after: Task) -> None:
    if before != after and (before, after) not in table:
        raise ValueError(f"no {noun} goes from {before.name} to {after.name}")


def task_by_name(family: type[InstanceTask] | type[ClusterTask], name: str) -> Task:
    """Find a task by the name that is stored and shown; raises KeyError."""
    for task in family.ALL:
        if task.name == name:
            return task
    raise KeyError(name)


def page() -> str:
    """Write the manual's page on states: what each means, and its transitions as Mermaid state diagrams."""
    out = ["# States", "", "<!-- Made by `python -m trove.domain.states > docs/states.md`; do not edit. -->", ""]
    out += _section(
        "Instances",
        "What the service is doing to an instance. `status` in the API follows from it; what the engine itself says is "
        "`operating_status`.",
        [("task", "status", "meaning"), *((f"`{t.name}`", t.status, t.description) for t in InstanceTask.ALL)],
        sorted((a.name, b.name) for a, b in INSTANCE_TRANSITIONS),
    )
    out += _section(
        "Clusters",
        "What the service is doing to a cluster; its members have tasks of their own. Numbers are those of the API.",
        [("task", "number", "meaning"), *((f"`{t.name}`", str(t.code), t.description) for t in ClusterTask.ALL)],
        sorted((a.name, b.name) for a, b in CLUSTER_TRANSITIONS),
    )
    out += _section(
        "Operations",
        "One long change somebody asked for; see [operations](operations.md).",
        [("status", "", "meaning"), *((f"`{s.value}`", _kind(s), OPERATION_MEANING[s]) for s in OperationStatus)],
        sorted((a.value, b.value) for a, b in OPERATION_TRANSITIONS),
    )
    steps = [("status", "meaning"), *((f"`{s.value}`", STEP_MEANING[s]) for s in StepStatus)]
    return "\n".join([*out, "## Steps", "", *_table(steps), ""])


def _kind(status: OperationStatus) -> str:
    return "ended" if status.final else "going on" if status.active else "waits for a person"


def _section(title: str, text: str, rows: Sequence[tuple[str, ...]], transitions: list[tuple[str, str]]) -> list[str]:
    drawn = ["```mermaid", "stateDiagram-v2", *(f"    {a} --> {b}" for a, b in transitions), "```"]
    return [f"## {title}", "", text, "", *_table(rows), "", *drawn, ""]


def _table(rows: Sequence[tuple[str, ...]]) -> list[str]:
    head, *body = (f"| {' | '.join(row)} |" for row in rows)
    return [head, "|" + " --- |" * len(rows[0]), *body]


if __name__ == "__main__":
    sys.stdout.write(page())
