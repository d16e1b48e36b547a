"""Redis Cluster: shards of one primary and its replicas; clients follow the cluster by themselves.

Invariant of an upgrade: an older release cannot load what a newer primary sends, so as long as every primary runs the
old release each replica can go back by a full resync. All replicas move first, each only while it says that it is one
and all others are well; the first failover is the point of no return; after it only the demoted primaries are left,
one at a time. Should a primary die before, the engines themselves make its upgraded replica the primary: then the way
forward stays open, and the way back asks first whether it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from trove.domain.datastores import DatastoreVersion
from trove.domain.instances import Cluster, Instance
from trove.domain.plans import Blocker, Phase, Step
from trove.domain.states import InstanceTask
from trove.planning import steps


@dataclass(frozen=True)
class Shard:
    """A primary with its replicas, as the engines last said it."""

    primary: Instance
    replicas: tuple[Instance, ...]

    def without(self, member: Instance) -> list[Instance]:
        """The others, who may have what the member needs."""
        return [one for one in (self.primary, *self.replicas) if one.id != member.id]


def shards(cluster: Cluster) -> tuple[Shard, ...]:
    """Group the members by what their engines said of their roles and primaries."""
    primaries = [member for member in cluster.members if member.role == "primary"]
    return tuple(
        Shard(
            primary,
            tuple(
                member
                for member in cluster.members
                if member.health and primary.health and member.health.follows(primary.health)
            ),
        )
        for primary in primaries
    )


class RedisCluster:
    """See `trove.planning.topologies.Topology`."""

    def build(self, cluster: Cluster, secret: str | None) -> list[Step]:
        plan = [steps.stage(cluster.version)]
        for member in cluster.members:
            undo = (steps.server_delete(member, Phase.ROLLBACK),)
            plan.append(steps.server_ensure(member, cluster.version, Phase.BUILD, undo=undo))
        plan += [_prepare(cluster, member, secret) for member in cluster.members]
        plan.append(
            steps.guest(
                cluster.members[0],
                "cluster_create",
                f"Form the cluster of {len(cluster.members)} nodes, one replica for each primary",
                Phase.BUILD,
                {"nodes": _nodes(cluster.members), "replicas": 1},
            )
        )
        plan.append(_all_agree(cluster.members[0], cluster.members, Phase.BUILD))
        plan += [steps.gate(member, cluster.version, Phase.BUILD) for member in cluster.members]
        plan += [_built(member, cluster, undo=True) for member in cluster.members]
        plan.append(steps.record_cluster("Open the cluster", Phase.BUILD))
        return plan

    def grow(self, cluster: Cluster, well: Sequence[Instance], new: Sequence[Instance]) -> list[Step]:
        """The first half of the new members become primaries, each of the others a replica of one of them.

        One single new member becomes a further replica of the shard with the fewest that are well.
        """
        contact = well[0]
        plan = [steps.stage(cluster.version), steps.precheck(well)]
        for member in new:
            forget = (steps.server_delete(member, Phase.ROLLBACK), steps.record_deleted(member, Phase.ROLLBACK))
            plan.append(steps.server_ensure(member, cluster.version, Phase.BUILD, undo=forget))
            plan.append(_prepare(cluster, member, cluster.id))
        sick = [member for member in cluster.members if member not in well]
        primaries = list(new[: len(new) // 2])
        replicas = list(new[len(new) // 2 :])
        for member in primaries:
            plan.append(_add(contact, member, "master", None, sick))
        for index, member in enumerate(replicas):
            if primaries:
                of = primaries[index % len(primaries)]
            else:
                of = min(shards(replace(cluster, members=tuple(well))), key=lambda shard: len(shard.replicas)).primary
            plan.append(_add(contact, member, "replica", of, sick))
        plan.append(_all_agree(contact, (*well, *new), Phase.BUILD, without=sick))
        if primaries:
            back = tuple(_drain_slots(contact, member, Phase.ROLLBACK) for member in primaries)
            plan.append(
                steps.guest(
                    contact,
                    "cluster_rebalance",
                    "Give the new primaries their share of the slots",
                    Phase.BUILD,
                    deadline=steps.FULL_COPY_DEADLINE,
                    undo=back,
                )
            )
        plan += [steps.gate(member, cluster.version, Phase.BUILD) for member in new]
        plan += [_built(member, cluster) for member in new]
        return plan

    def shrink(self, cluster: Cluster, leaving: Sequence[Instance]) -> list[Step]:
        gone = {member.id for member in leaving}
        staying = [member for member in cluster.members if member.id not in gone]
        contact = staying[0]
        plan = [steps.precheck(staying)]
        # A primary that is not well has lost its slots to a replica; nothing can be moved away from it.
        primaries = [member for member in leaving if member.role == "primary" and member.healthy]
        for member in primaries:
            back = (
                steps.guest(
                    contact,
                    "cluster_rebalance",
                    "Give the slots back",
                    Phase.ROLLBACK,
                    deadline=steps.FULL_COPY_DEADLINE,
                ),
            )
            plan.append(_drain_slots(contact, member, Phase.REMOVE, undo=back))
        # Replicas leave before their primaries, so that no replica is handed to another shard on the way.
        sick = [member for member in leaving if not member.healthy]
        for member in sorted(leaving, key=lambda member: member.role == "primary"):
            plan.append(_forget(contact, member, Phase.REMOVE, sick, no_return=True))
        for member in leaving:
            plan += [steps.server_delete(member, no_return=True), steps.record_deleted(member)]
        plan.append(_all_agree(contact, staying, Phase.FINALIZE))
        return plan

    def shrink_blockers(self, cluster: Cluster, leaving: Sequence[Instance]) -> list[Blocker]:
        gone = {member.id for member in leaving}
        blockers = []
        staying_primaries = 0
        for shard in shards(cluster):
            left = [replica for replica in shard.replicas if replica.id not in gone]
            if shard.primary.id not in gone:
                staying_primaries += 1
                if shard.replicas and not left:
                    blockers.append(
                        Blocker(400, f"the shard of {shard.primary.name} would have no replica left", shard.primary.id)
                    )
            elif left:
                names = ", ".join(replica.name for replica in left)
                blockers.append(
                    Blocker(
                        400,
                        f"{shard.primary.name} is the primary of {names}: name the whole shard, or only replicas",
                        shard.primary.id,
                        shard.primary.name,
                    )
                )
        if staying_primaries < 3:
            blockers.append(Blocker(400, f"{staying_primaries} primaries would be left, the engine needs at least 3"))
        return blockers

    def restart(self, cluster: Cluster) -> list[Step]:
        plan = [steps.precheck(cluster.members)]
        for shard in shards(cluster):
            for replica in shard.replicas:
                plan += _restart_member(cluster, replica, role="replica")
        for shard in shards(cluster):
            plan.append(_failover(cluster, shard.replicas[0], shard.primary, no_return=False))
            plan += _restart_member(cluster, shard.primary)
        plan.append(_all_agree(cluster.members[0], cluster.members, Phase.FINALIZE))
        return plan

    def upgrade_hop(
        self, cluster: Cluster, source: DatastoreVersion, target: DatastoreVersion, holds: frozenset[str], last: bool
    ) -> tuple[list[Step], Cluster]:
        groups = shards(cluster)
        plan: list[Step] = []
        canary = groups[0].replicas[0]
        ahead: list[Instance] = []
        for shard in groups:
            for replica in shard.replicas:
                plan += _upgrade_member(cluster, shard, replica, source, target, Phase.MEMBER, ahead, returns=True)
                ahead.append(replica)
                if replica is canary and "canary" in holds:
                    reason = f"{canary.name} runs {target.name}; resume to go on with the rest"
                    plan.append(steps.hold(reason, Phase.MEMBER))
        if holds & {"switchover", "finalize"}:
            reason = "all replicas are ready; after the first failover there is no way back; resume to go on"
            plan.append(steps.hold(reason, Phase.SWITCHOVER))
        for shard in groups:
            plan.append(_failover(cluster, shard.replicas[0], shard.primary, no_return=True))
            plan += _upgrade_member(
                cluster, shard, shard.primary, source, target, Phase.SWITCHOVER, ahead, returns=False
            )
            ahead.append(shard.primary)
        plan.append(_all_agree(cluster.members[0], cluster.members, Phase.FINALIZE))
        plan.append(
            steps.record_cluster(
                f"Record that the cluster runs {target.name}", Phase.FINALIZE, version=target, commit=True
            )
        )
        members = tuple(replace(member, version=target, image_id=None) for member in cluster.members)
        return plan, replace(cluster, version=target, members=members)

    def redundancy_blockers(self, cluster: Cluster) -> list[Blocker]:
        groups = shards(cluster)
        blockers = [
            Blocker(
                422,
                f"the only copy of a shard would be out of service: {shard.primary.name} has no replica",
                shard.primary.id,
                shard.primary.name,
            )
            for shard in groups
            if not shard.replicas
        ]
        if len(groups) < 3:
            blockers.append(Blocker(422, f"quorum would be lost: {len(groups)} primaries are known, 3 are needed"))
        placed = {shard.primary.id for shard in groups} | {r.id for shard in groups for r in shard.replicas}
        blockers += [
            Blocker(422, f"{member.name} has not said which shard it belongs to", member.id, member.name)
            for member in cluster.members
            if member.id not in placed
        ]
        return blockers


def _node(member: Instance) -> dict[str, Any]:
    return {"address": member.address, "port": member.port}


def _nodes(members: Sequence[Instance]) -> list[dict[str, Any]]:
    return [_node(member) for member in members]


def _topology() -> dict[str, Any]:
    return {"kind": "redis_cluster"}


def _prepare(cluster: Cluster, member: Instance, secret: str | None) -> Step:
    return steps.guest(
        member,
        "prepare",
        f"Set up the engine of {member.name}",
        Phase.BUILD,
        {"version": cluster.version.name, "cluster": _topology(), "bootstrap": False},
        secret=secret,
    )


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


def _all_agree(
    contact: Instance, members: Sequence[Instance], phase: Phase, *, without: Sequence[Instance] = ()
) -> Step:
    """Votes do not arrive over links that are not up yet, so nothing goes on before all nodes see all nodes."""
    return steps.guest(
        contact,
        "await_cluster",
        f"Wait until all {len(members)} nodes see each other",
        phase,
        {"nodes": _nodes(members), "without": _nodes(without), "timeout": 60},
        deadline=120.0,
    )


def _add(contact: Instance, member: Instance, role: str, of: Instance | None, sick: Sequence[Instance]) -> Step:
    what = f"replica of {of.name}" if of else "primary"
    params: dict[str, Any] = {"node": _node(member), "role": role, "without": _nodes(sick)}
    if of is not None:
        params["master"] = _node(of)
    undo = (_forget(contact, member, Phase.ROLLBACK, sick),)
    return steps.guest(
        contact, "cluster_add", f"Add {member.name} to the cluster as {what}", Phase.BUILD, params, undo=undo
    )


def _forget(
    contact: Instance, member: Instance, phase: Phase, sick: Sequence[Instance], *, no_return: bool = False
) -> Step:
    return steps.guest(
        contact,
        "cluster_remove",
        f"Make every node forget {member.name}",
        phase,
        {"node": _node(member), "without": _nodes(sick)},
        no_return=no_return,
    )


def _drain_slots(contact: Instance, member: Instance, phase: Phase, undo: tuple[Step, ...] = ()) -> Step:
    return steps.guest(
        contact,
        "cluster_drain",
        f"Move all slots away from {member.name}",
        phase,
        {"node": _node(member)},
        deadline=steps.FULL_COPY_DEADLINE,
        undo=undo,
    )


def _failover(cluster: Cluster, to: Instance, old: Instance, *, no_return: bool) -> Step:
    return steps.guest(
        to,
        "cluster_failover",
        f"Make {to.name} the primary in place of {old.name}",
        Phase.SWITCHOVER,
        {"nodes": _nodes(cluster.members), "timeout": 30},
        deadline=90.0,
        no_return=no_return,
    )


def _restart_member(cluster: Cluster, member: Instance, role: str | None = None) -> list[Step]:
    return [
        steps.peers_ready(cluster.members, member, Phase.MEMBER, role=role),
        steps.record_restarting(member),
        steps.guest(member, "restart", f"Restart the engine of {member.name}", Phase.MEMBER, {"cluster": _topology()}),
        steps.gate(member, cluster.version, Phase.MEMBER),
        steps.record_member(member, Phase.MEMBER, task=InstanceTask.NONE, title=f"{member.name} is back"),
    ]


def _upgrade_member(
    cluster: Cluster,
    shard: Shard,
    member: Instance,
    source: DatastoreVersion,
    target: DatastoreVersion,
    phase: Phase,
    ahead: Sequence[Instance],
    *,
    returns: bool,
) -> list[Step]:
    """Move one node that holds no slots now, those `ahead` before it. `returns`: its primary runs the source release.

    A demoted primary is not asked whether it is in sync: it need not be able to read what a newer primary sends.
    """
    peers = [peer.id for peer in shard.without(member)]
    # Of all, before the first of them goes: behind a half-done rollback there would be no way on.
    still_replicas = steps.still(
        [*ahead, member],
        "replica",
        Phase.ROLLBACK,
        f"an engine of {source.name} cannot take over what one of {target.name} has written since",
    )
    go_back = (
        still_replicas,
        steps.copy_source(member, peers, source, Phase.ROLLBACK, role="primary"),
        steps.server_ensure(member, source, Phase.ROLLBACK, image_id=member.image_id, rebuild=True),
        steps.guest(
            member,
            "reseed",
            f"Give {member.name} a full copy from its primary on {source.name}",
            Phase.ROLLBACK,
            {"cluster": _topology()},
            deadline=steps.FULL_COPY_DEADLINE,
        ),
        steps.gate(member, source, Phase.ROLLBACK),
    )
    out_again = (
        still_replicas,
        steps.peers_ready(cluster.members, member, Phase.ROLLBACK),
        steps.record_member(
            member, Phase.ROLLBACK, task=InstanceTask.UPGRADING, title=f"Mark {member.name} as going back"
        ),
    )
    back = (steps.record_release(member, Phase.ROLLBACK, source),)
    start_again = (
        steps.guest(
            member, "start", f"Start the engine of {member.name} again", Phase.ROLLBACK, {"cluster": _topology()}
        ),
        steps.gate(member, source, Phase.ROLLBACK),
        _all_agree(member, cluster.members, Phase.ROLLBACK),
    )
    return [
        steps.peers_ready(cluster.members, member, phase, ahead=ahead, role="replica" if returns else None),
        steps.record_member(
            member,
            phase,
            task=InstanceTask.UPGRADING,
            title=f"Mark {member.name} as being upgraded",
            undo=back if returns else (),
        ),
        steps.guest(
            member,
            "pre_upgrade",
            f"Get {member.name} ready and stop its engine",
            phase,
            {"source": source.name, "target": target.name},
            deadline=steps.STOP_DEADLINE,
            undo=start_again if returns else (),
        ),
        steps.server_ensure(member, target, phase, rebuild=True, undo=go_back if returns else ()),
        steps.guest(
            member,
            "post_upgrade",
            f"Start {member.name} on {target.name} and rejoin",
            phase,
            {"source": source.name, "target": target.name, "cluster": _topology()},
            deadline=steps.DATA_UPGRADE_DEADLINE,
        ),
        steps.gate(member, target, phase),
        steps.record_release(member, phase, target, undo=out_again if returns else ()),
    ]
