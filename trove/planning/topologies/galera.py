"""MariaDB Galera: every member has all data; one, the active member, takes the traffic of the endpoint.

Invariant of an upgrade: while a member is away, the others form a majority and the active one serves; as long as one
member still runs the old release it can give a full copy to any member that has to go back. So the others are asked
before each member is taken out, the active member goes last, and the point of no return is where the last old member
stops.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from trove.domain.datastores import DatastoreVersion
from trove.domain.instances import Cluster, Instance
from trove.domain.plans import Blocker, Phase, Step
from trove.domain.states import InstanceTask
from trove.planning import steps


class Galera:
    """See `trove.planning.topologies.Topology`."""

    def build(self, cluster: Cluster, secret: str | None) -> list[Step]:
        first, *others = cluster.members
        plan = [steps.stage(cluster.version)]
        plan += [
            steps.server_ensure(
                member, cluster.version, Phase.BUILD, undo=(steps.server_delete(member, Phase.ROLLBACK),)
            )
            for member in cluster.members
        ]
        plan.append(_prepare(cluster, first, bootstrap=True, secret=secret))
        plan.append(steps.gate(first, cluster.version, Phase.BUILD))
        for member in others:
            plan.append(_prepare(cluster, member, bootstrap=False))
            plan.append(steps.gate(member, cluster.version, Phase.BUILD))
        plan += [_built(member, cluster, undo=True) for member in cluster.members]
        plan.append(steps.endpoint_ensure(cluster.members, first, Phase.BUILD, undo=(steps.endpoint_delete(cluster),)))
        plan.append(steps.record_cluster("Open the cluster", Phase.BUILD, active=first.id, forget_accounts=True))
        return plan

    def grow(self, cluster: Cluster, well: Sequence[Instance], new: Sequence[Instance]) -> list[Step]:
        after = replace(cluster, members=(*cluster.members, *new))
        plan = [steps.stage(cluster.version), steps.precheck(well)]
        idle = [member.id for member in well if member.id != _active(cluster).id]
        for member in new:
            forget = (steps.server_delete(member, Phase.ROLLBACK), steps.record_deleted(member, Phase.ROLLBACK))
            plan += [
                steps.server_ensure(member, cluster.version, Phase.BUILD, undo=forget),
                _prepare(after, member, bootstrap=False, donors=idle),
                steps.gate(member, cluster.version, Phase.BUILD, deadline=steps.FULL_COPY_DEADLINE),
                _built(member, cluster),
            ]
        plan += [_tell_peers(after, member, undo=cluster) for member in well]
        active = _active(cluster)
        back = (steps.endpoint_ensure(cluster.members, active, Phase.ROLLBACK),)
        plan.append(steps.endpoint_ensure(after.members, active, Phase.BUILD, undo=back))
        plan.append(steps.all_in_sync([*well, *new], Phase.FINALIZE))
        return plan

    def shrink(self, cluster: Cluster, leaving: Sequence[Instance]) -> list[Step]:
        gone = {member.id for member in leaving}
        staying = tuple(member for member in cluster.members if member.id not in gone)
        after = replace(cluster, members=staying)
        active = _active(cluster)
        plan = [steps.precheck(staying)]
        if active.id in gone:
            plan += _move_traffic(active, staying[0])
            active = staying[0]
        for member in leaving:
            back = (steps.endpoint_member(member, "ready", Phase.ROLLBACK),)
            plan.append(steps.endpoint_member(member, "maint", Phase.REMOVE, undo=back))
            if member.healthy:
                # One that is not well may not be able to stop, or to start again: it is removed as it is.
                plan.append(
                    steps.guest(
                        member,
                        "stop",
                        f"Stop the engine of {member.name}",
                        Phase.REMOVE,
                        deadline=steps.STOP_DEADLINE,
                        undo=_start_again(cluster, member, cluster.version),
                    )
                )
        everybody = (steps.endpoint_ensure(cluster.members, active, Phase.ROLLBACK),)
        plan.append(steps.endpoint_ensure(staying, active, Phase.REMOVE, undo=everybody))
        for member in leaving:
            plan += [steps.server_delete(member, no_return=True), steps.record_deleted(member)]
        plan += [_tell_peers(after, member) for member in staying]
        return plan

    def shrink_blockers(self, cluster: Cluster, leaving: Sequence[Instance]) -> list[Blocker]:
        return []

    def restart(self, cluster: Cluster) -> list[Step]:
        active = _active(cluster)
        others = [member for member in cluster.members if member.id != active.id]
        plan = [steps.precheck(cluster.members)]
        for member in others:
            plan += _restart_member(cluster, member)
        # Not undone: an engine that does not come back must not get the traffic back.
        plan += _move_traffic(active, others[0], returns=False)
        plan += _restart_member(cluster, active)
        plan.append(steps.endpoint_ensure(cluster.members, others[0], Phase.FINALIZE))
        return plan

    def upgrade_hop(
        self, cluster: Cluster, source: DatastoreVersion, target: DatastoreVersion, holds: frozenset[str], last: bool
    ) -> tuple[list[Step], Cluster]:
        active = _active(cluster)
        others = [member for member in cluster.members if member.id != active.id]
        canary = others[0]
        plan: list[Step] = []
        for index, member in enumerate(others):
            # Who has to go back needs a copy from somebody who has not gone yet, rather not from the one who serves.
            donors = [peer.id for peer in (*others[index + 1 :], active)]
            plan += _upgrade_member(cluster, member, source, target, donors)
            if member is canary and "canary" in holds:
                plan.append(
                    steps.hold(f"{canary.name} runs {target.name}; resume to go on with the rest", Phase.MEMBER)
                )
        if "switchover" in holds:
            plan.append(steps.hold(f"ready to move the traffic to {canary.name}; resume to do it", Phase.SWITCHOVER))
        plan += _move_traffic(active, canary)
        if "finalize" in holds:
            plan.append(
                steps.hold(
                    f"{active.name} is the last member on {source.name}; once it stops there is no way back; "
                    "resume to go on",
                    Phase.FINALIZE,
                )
            )
        plan += _upgrade_member(cluster, active, source, target, donors=[], last_old=True)
        plan.append(steps.endpoint_ensure(cluster.members, canary, Phase.FINALIZE))
        plan.append(
            steps.record_cluster(
                f"Record that the cluster runs {target.name}", Phase.FINALIZE, version=target, commit=True
            )
        )
        members = tuple(replace(member, version=target, image_id=None) for member in cluster.members)
        return plan, replace(cluster, version=target, members=members, active_member_id=canary.id)

    def redundancy_blockers(self, cluster: Cluster) -> list[Blocker]:
        if len(cluster.members) >= 3:
            return []
        return [Blocker(422, f"quorum would be lost: {len(cluster.members)} members, at least 3 are needed")]


def _active(cluster: Cluster) -> Instance:
    if cluster.active_member_id is not None:
        return cluster.member(cluster.active_member_id)
    return cluster.members[0]


def topology(cluster: Cluster, member: Instance) -> dict[str, Any]:
    """What the member's agent must know of its cluster.

    Galera silently refuses the messages of a group whose name is longer than 32 bytes, or of a node longer than 64.
    """
    return {
        "kind": "galera",
        "name": cluster.id.replace("-", "")[:32],
        "node": member.id,
        "peers": [peer.address for peer in cluster.members],
    }


def _prepare(
    cluster: Cluster, member: Instance, *, bootstrap: bool, secret: str | None = None, donors: Sequence[str] = ()
) -> Step:
    """A donor takes no writes while it gives a full copy, so members without traffic are named where there are some."""
    title = f"Start the cluster on {member.name}" if bootstrap else f"Join {member.name} to the cluster"
    params: dict[str, Any] = {
        "version": cluster.version.name,
        "cluster": topology(cluster, member),
        "bootstrap": bootstrap,
    }
    if donors:
        params["donors"] = list(donors)
    deadline = steps.START_DEADLINE if bootstrap else steps.FULL_COPY_DEADLINE
    return steps.guest(member, "prepare", title, Phase.BUILD, params, deadline=deadline, secret=secret)


def _built(member: Instance, cluster: Cluster, *, undo: bool = False) -> Step:
    title = f"{member.name} was not completed"
    lost = steps.record_member(member, Phase.ROLLBACK, task=InstanceTask.BUILD_ERROR, title=title)
    return steps.record_member(
        member,
        Phase.BUILD,
        task=InstanceTask.NONE,
        version=cluster.version,
        title=f"{member.name} is ready",
        undo=(lost,) if undo else (),
    )


def _tell_peers(after: Cluster, member: Instance, undo: Cluster | None = None) -> Step:
    """A member reads the list of its peers at its next start; the running cluster knows them already."""
    title = f"Tell {member.name} who its peers are"
    params = {"cluster": topology(after, member)}
    if undo is None:
        return steps.guest(member, "configure", title, Phase.FINALIZE, params, deadline=60.0)
    before = {"cluster": topology(undo, member)}
    back = (steps.guest(member, "configure", title, Phase.ROLLBACK, before, deadline=60.0),)
    return steps.guest(member, "configure", title, Phase.BUILD, params, deadline=60.0, undo=back)


def _start_again(cluster: Cluster, member: Instance, version: DatastoreVersion) -> tuple[Step, ...]:
    return (
        steps.guest(
            member,
            "start",
            f"Start the engine of {member.name} again",
            Phase.ROLLBACK,
            {"cluster": topology(cluster, member)},
        ),
        steps.gate(member, version, Phase.ROLLBACK),
    )


def _move_traffic(old: Instance, new: Instance, *, returns: bool = True) -> list[Step]:
    """Make before break: new connections first, then idle sessions of the old member are ended one by one."""

    def drain(member: Instance, phase: Phase) -> Step:
        return steps.guest(
            member,
            "drain",
            f"End the idle sessions of {member.name}",
            phase,
            {"timeout": steps.DRAIN_SECONDS},
            deadline=steps.DRAIN_SECONDS + 20,
        )

    def record(member: Instance, phase: Phase) -> Step:
        return steps.record_cluster(f"Record {member.name} as the active member", phase, active=member.id)

    if not old.healthy:
        # It serves nobody, and there is nobody to ask.
        return [steps.endpoint_switch(new, Phase.SWITCHOVER), record(new, Phase.SWITCHOVER)]
    back = (
        steps.endpoint_switch(old, Phase.ROLLBACK),
        drain(new, Phase.ROLLBACK),
        record(old, Phase.ROLLBACK),
    )
    return [
        steps.endpoint_switch(new, Phase.SWITCHOVER, undo=back if returns else ()),
        drain(old, Phase.SWITCHOVER),
        record(new, Phase.SWITCHOVER),
    ]


def _restart_member(cluster: Cluster, member: Instance) -> list[Step]:
    ready = (steps.endpoint_member(member, "ready", Phase.ROLLBACK),)
    return [
        steps.peers_ready(cluster.members, member, Phase.MEMBER),
        steps.endpoint_member(member, "maint", Phase.MEMBER, undo=ready),
        steps.record_restarting(member),
        steps.guest(
            member,
            "restart",
            f"Restart the engine of {member.name}",
            Phase.MEMBER,
            {"cluster": topology(cluster, member)},
        ),
        steps.gate(member, cluster.version, Phase.MEMBER),
        steps.record_member(member, Phase.MEMBER, task=InstanceTask.NONE, title=f"{member.name} is back"),
        steps.endpoint_member(member, "ready", Phase.MEMBER),
    ]


def _upgrade_member(
    cluster: Cluster,
    member: Instance,
    source: DatastoreVersion,
    target: DatastoreVersion,
    donors: list[str],
    last_old: bool = False,
) -> list[Step]:
    """Move one member. `donors` are members that can give it a full copy should it have to go back."""
    phase = Phase.FINALIZE if last_old else Phase.MEMBER
    cluster_params = {"cluster": topology(cluster, member)}
    go_back = (
        steps.copy_source(member, donors, source, Phase.ROLLBACK),
        steps.server_ensure(member, source, Phase.ROLLBACK, image_id=member.image_id, rebuild=True),
        steps.guest(
            member,
            "reseed",
            f"Give {member.name} a full copy from a member on {source.name}",
            Phase.ROLLBACK,
            {**cluster_params, "donors": donors},
            deadline=steps.FULL_COPY_DEADLINE,
        ),
        steps.gate(member, source, Phase.ROLLBACK, deadline=steps.FULL_COPY_DEADLINE),
    )
    out_again = (
        steps.peers_ready(cluster.members, member, Phase.ROLLBACK),
        steps.endpoint_member(member, "maint", Phase.ROLLBACK),
    )
    return [
        steps.peers_ready(cluster.members, member, phase),
        steps.endpoint_member(member, "maint", phase, undo=(steps.endpoint_member(member, "ready", Phase.ROLLBACK),)),
        steps.record_member(
            member,
            phase,
            task=InstanceTask.UPGRADING,
            title=f"Mark {member.name} as being upgraded",
            undo=(steps.record_release(member, Phase.ROLLBACK, source),),
        ),
        steps.guest(
            member,
            "pre_upgrade",
            f"Get {member.name} ready and stop its engine",
            phase,
            {"source": source.name, "target": target.name},
            deadline=steps.STOP_DEADLINE,
            undo=() if last_old else _start_again(cluster, member, source),
            no_return=last_old,
        ),
        steps.server_ensure(member, target, phase, rebuild=True, undo=() if last_old else go_back),
        steps.guest(
            member,
            "post_upgrade",
            f"Bring the data of {member.name} to {target.name} and rejoin",
            phase,
            {"source": source.name, "target": target.name, **cluster_params},
            deadline=steps.DATA_UPGRADE_DEADLINE,
        ),
        steps.gate(member, target, phase),
        steps.record_release(member, phase, target, undo=() if last_old else (_going_back(member),)),
        steps.endpoint_member(member, "ready", phase, undo=() if last_old else out_again),
    ]


def _going_back(member: Instance) -> Step:
    return steps.record_member(
        member, Phase.ROLLBACK, task=InstanceTask.UPGRADING, title=f"Mark {member.name} as going back"
    )
