"""The vocabulary of plans: one constructor for each kind of step, with its title and its deadline.

Deadlines are seconds. They are ends of patience, not expectations: an engine that makes progress needs a small
part of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from trove.domain.datastores import DatastoreVersion
from trove.domain.instances import Cluster, Instance
from trove.domain.plans import Phase, Step
from trove.domain.states import InstanceTask, Task

STAGE_DEADLINE = 1800.0
SERVER_DEADLINE = 90.0
START_DEADLINE = 180.0
STOP_DEADLINE = 120.0
DATA_UPGRADE_DEADLINE = 900.0
FULL_COPY_DEADLINE = 1800.0
GATE_DEADLINE = 180.0
PEERS_DEADLINE = 60.0
RECORD_DEADLINE = 30.0
ENDPOINT_DEADLINE = 30.0
DRAIN_SECONDS = 20.0

PLANNED_ROLES = ("primary", "replica")
"""Roles that decide about the order of a plan; Galera members are all alike."""


def release(version: DatastoreVersion) -> str:
    """Name a version as people do: `mariadb 11.8`."""
    return f"{version.datastore} {version.name}"


def of_member(member: Instance) -> dict[str, Any]:
    """The two fields that tie a step to a member."""
    return {"member_id": member.id, "member_name": member.name}


def stage(version: DatastoreVersion) -> Step:
    return Step(
        "image.stage",
        f"Build the image of {release(version)} if it is missing",
        Phase.STAGE,
        params={"recipe": version.recipe, "version_id": version.id},
        deadline=STAGE_DEADLINE,
    )


def precheck(members: Sequence[Instance], version: DatastoreVersion | None = None) -> Step:
    """Nothing has been touched yet; the roles, and with `version` the release, must be those the plan was made for."""
    roles = {member.id: member.role for member in members if member.role in PLANNED_ROLES}
    return Step(
        "precheck.health",
        "Ask every engine whether it is healthy and in sync",
        Phase.PRECHECK,
        params={
            "members": [member.id for member in members],
            "version": version.name if version is not None else None,
            "roles": roles,
        },
        deadline=PEERS_DEADLINE,
    )


def all_in_sync(members: Sequence[Instance], phase: Phase) -> Step:
    """Who has given a full copy needs a moment until it has caught up itself."""
    return Step(
        "precheck.health",
        f"Wait until all {len(members)} members are in sync",
        phase,
        params={"members": [member.id for member in members]},
        deadline=FULL_COPY_DEADLINE,
    )


def peers_ready(
    members: Sequence[Instance],
    leaving: Instance,
    phase: Phase,
    *,
    ahead: Sequence[Instance] = (),
    role: str | None = None,
) -> Step:
    """Only while all others serve and have all data may one be taken out; what can mend itself is waited for.

    With `role` the leaving one must itself be well, in that role, or the plan does not fit any more.
    Members `ahead` have a newer release. Should one of them have become a primary, the old replicas it has now cannot
    follow it until they are upgraded, so waiting for them would be in vain.
    """
    return Step(
        "precheck.health",
        f"Ask the others whether they can do without {leaving.name}",
        phase,
        **of_member(leaving),
        params={
            "members": [member.id for member in members if role or member.id != leaving.id],
            "roles": {leaving.id: role} if role else {},
            "ahead": [member.id for member in ahead],
        },
        deadline=PEERS_DEADLINE,
    )


def still(members: Sequence[Instance], role: str, phase: Phase, otherwise: str) -> Step:
    """Whether the engines say that they have this role; `otherwise` tells what it means when one has another."""
    return Step(
        "precheck.roles",
        f"Ask whether {', '.join(member.name for member in members)} can go back",
        phase,
        params={"members": [member.id for member in members], "role": role, "otherwise": otherwise},
        deadline=PEERS_DEADLINE,
    )


def copy_source(
    member: Instance, sources: Sequence[str], version: DatastoreVersion, phase: Phase, role: str | None = None
) -> Step:
    """Whether one of `sources` has what `member` needs: before its own data, which may be the last, is removed."""
    return Step(
        "precheck.source",
        f"Ask whether {member.name} can get a full copy on {version.name}",
        phase,
        **of_member(member),
        params={"members": list(sources), "version": version.name, "role": role},
        deadline=PEERS_DEADLINE,
    )


def server_ensure(
    member: Instance,
    version: DatastoreVersion,
    phase: Phase,
    *,
    image_id: str | None = None,
    rebuild: bool = False,
    undo: tuple[Step, ...] = (),
    no_return: bool = False,
) -> Step:
    """Run the member's server on the version's image; `image_id` pins the very image."""
    what = "Rebuild" if rebuild else "Start"
    return Step(
        "server.ensure",
        f"{what} {member.name} on the image of {release(version)}" + (", keeping its data" if rebuild else ""),
        phase,
        **of_member(member),
        params={"recipe": version.recipe, "image_id": image_id},
        deadline=SERVER_DEADLINE,
        undo=undo,
        no_return=no_return,
    )


def server_delete(member: Instance, phase: Phase = Phase.REMOVE, *, no_return: bool = False) -> Step:
    return Step(
        "server.delete",
        f"Remove the server and the data of {member.name}",
        phase,
        **of_member(member),
        deadline=SERVER_DEADLINE,
        no_return=no_return,
    )


def server_copy(member: Instance, name: str, *, undo: tuple[Step, ...]) -> Step:
    return Step(
        "server.copy",
        f"Keep a copy of the data of {member.name} to return to",
        Phase.MEMBER,
        **of_member(member),
        params={"name": name},
        deadline=FULL_COPY_DEADLINE,
        undo=undo,
    )


def server_restore(member: Instance, name: str) -> Step:
    return Step(
        "server.restore",
        f"Put the copy of the data of {member.name} back",
        Phase.ROLLBACK,
        **of_member(member),
        params={"name": name},
        deadline=FULL_COPY_DEADLINE,
    )


def server_discard(member: Instance, name: str, phase: Phase = Phase.FINALIZE, *, commit: bool = False) -> Step:
    return Step(
        "server.discard",
        f"Remove the copy of the old data of {member.name}",
        phase,
        **of_member(member),
        params={"name": name},
        deadline=SERVER_DEADLINE,
        commit=commit,
        no_return=commit,
    )


def guest(
    member: Instance,
    kind: str,
    title: str,
    phase: Phase,
    params: Mapping[str, Any] | None = None,
    *,
    deadline: float = START_DEADLINE,
    undo: tuple[Step, ...] = (),
    no_return: bool = False,
    secret: str | None = None,
) -> Step:
    """Let the member's agent do `kind`; `secret` names whose stored secret is merged into the parameters."""
    return Step(
        f"guest.{kind}",
        title,
        phase,
        **of_member(member),
        params={"params": dict(params or {}), "secret": secret},
        deadline=deadline,
        undo=undo,
        no_return=no_return,
    )


def gate(member: Instance, version: DatastoreVersion, phase: Phase, *, deadline: float = GATE_DEADLINE) -> Step:
    """Wait for the engine's own word."""
    return Step(
        "gate.member",
        f"Wait until {member.name} says that it runs {version.name} and is in sync",
        phase,
        **of_member(member),
        params={"version": version.name},
        deadline=deadline,
    )


def record_member(
    member: Instance,
    phase: Phase,
    *,
    task: Task,
    title: str,
    version: DatastoreVersion | None = None,
    undo: tuple[Step, ...] = (),
) -> Step:
    params: dict[str, Any] = {"task": task.name}
    if version is not None:
        params["version_id"] = version.id
    return Step("record.member", title, phase, **of_member(member), params=params, deadline=RECORD_DEADLINE, undo=undo)


def record_release(member: Instance, phase: Phase, version: DatastoreVersion, undo: tuple[Step, ...] = ()) -> Step:
    """The member is idle on the version its engine has proved."""
    title = f"Record that {member.name} runs {version.name}"
    return record_member(member, phase, task=InstanceTask.NONE, title=title, version=version, undo=undo)


def record_restarting(member: Instance) -> Step:
    back = (record_member(member, Phase.ROLLBACK, task=InstanceTask.NONE, title=f"{member.name} is left as it is"),)
    title = f"Mark {member.name} as restarting"
    return record_member(member, Phase.MEMBER, task=InstanceTask.RESTARTING, title=title, undo=back)


def record_deleted(member: Instance, phase: Phase = Phase.REMOVE) -> Step:
    return Step(
        "record.member_deleted",
        f"Forget {member.name} and release its address",
        phase,
        **of_member(member),
        deadline=RECORD_DEADLINE,
    )


def record_cluster(
    title: str,
    phase: Phase,
    *,
    version: DatastoreVersion | None = None,
    active: str | None = None,
    forget_accounts: bool = False,
    undo: tuple[Step, ...] = (),
    commit: bool = False,
) -> Step:
    """`forget_accounts`: the passwords users asked for are in the engine now and are not needed here any more."""
    params: dict[str, Any] = {}
    if version is not None:
        params["version_id"] = version.id
    if active is not None:
        params["active_member_id"] = active
    if forget_accounts:
        params["forget_accounts"] = True
    return Step("record.cluster", title, phase, params=params, deadline=RECORD_DEADLINE, undo=undo, commit=commit)


def record_cluster_deleted(cluster: Cluster) -> Step:
    return Step("record.cluster_deleted", f"Forget the cluster {cluster.name}", Phase.REMOVE, deadline=RECORD_DEADLINE)


def endpoint_ensure(
    members: Sequence[Instance], active: Instance, phase: Phase, *, undo: tuple[Step, ...] = ()
) -> Step:
    return Step(
        "endpoint.ensure",
        f"Serve {len(members)} members at the cluster's address, {active.name} active",
        phase,
        params={"members": [member.id for member in members], "active": active.id},
        deadline=ENDPOINT_DEADLINE,
        undo=undo,
    )


def endpoint_member(member: Instance, state: str, phase: Phase, *, undo: tuple[Step, ...] = ()) -> Step:
    title = {
        "maint": f"Take {member.name} out of the cluster's address",
        "ready": f"Put {member.name} back behind the cluster's address",
    }
    return Step(
        "endpoint.member",
        title[state],
        phase,
        **of_member(member),
        params={"state": state},
        deadline=ENDPOINT_DEADLINE,
        undo=undo,
    )


def endpoint_switch(to: Instance, phase: Phase, *, undo: tuple[Step, ...] = ()) -> Step:
    return Step(
        "endpoint.switch",
        f"Send new connections to {to.name}",
        phase,
        **of_member(to),
        params={},
        deadline=ENDPOINT_DEADLINE,
        undo=undo,
    )


def endpoint_delete(cluster: Cluster, *, no_return: bool = False) -> Step:
    title = f"Remove the address of {cluster.name}"
    return Step("endpoint.delete", title, Phase.REMOVE, deadline=ENDPOINT_DEADLINE, no_return=no_return)


def hold(reason: str, phase: Phase) -> Step:
    return Step("hold", reason, phase, params={"reason": reason}, deadline=RECORD_DEADLINE)
