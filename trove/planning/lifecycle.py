"""Plan everything but upgrades: build, restart, grow, shrink, delete. Pure; blockers are inside the plan."""

from __future__ import annotations

from collections.abc import Sequence

from trove.domain.instances import Cluster, Instance
from trove.domain.plans import Blocker, Phase, Plan, Step
from trove.domain.states import InstanceTask
from trove.planning import prechecks, steps
from trove.planning.topologies import Topology, topology_of
from trove.planning.world import World


def build_instance(world: World, secret: str | None) -> Plan:
    """Build a single instance from nothing."""
    instance = world.the_instance
    version = instance.version
    plan = [
        steps.stage(version),
        steps.server_ensure(instance, version, Phase.BUILD, undo=(steps.server_delete(instance, Phase.ROLLBACK),)),
        steps.guest(
            instance,
            "prepare",
            f"Set up the engine of {instance.name}",
            Phase.BUILD,
            {"version": version.name, "cluster": None, "bootstrap": True},
            secret=secret,
        ),
        steps.gate(instance, version, Phase.BUILD),
        steps.record_member(
            instance, Phase.BUILD, task=InstanceTask.NONE, version=version, title=f"{instance.name} is ready"
        ),
    ]
    return _instance_plan("instance_create", instance, plan)


def restart_instance(world: World) -> Plan:
    """Restart the engine of a single instance."""
    instance = world.the_instance
    plan = [
        steps.guest(instance, "restart", f"Restart the engine of {instance.name}", Phase.MEMBER, {"cluster": None}),
        steps.gate(instance, instance.version, Phase.MEMBER),
        steps.record_member(instance, Phase.MEMBER, task=InstanceTask.NONE, title=f"{instance.name} is back"),
    ]
    return _instance_plan("instance_restart", instance, plan, blockers=prechecks.not_busy(world), on_failure="fail")


def delete_instance(world: World) -> Plan:
    """Remove a single instance with everything it has."""
    instance = world.the_instance
    plan = [steps.server_delete(instance, no_return=True), steps.record_deleted(instance)]
    return _instance_plan("instance_delete", instance, plan, on_failure="fail")


def build_cluster(world: World, secret: str | None) -> Plan:
    """Build a cluster from nothing."""
    cluster = world.the_cluster
    return _cluster_plan("cluster_create", cluster, _topology(world).build(cluster, secret))


def restart_cluster(world: World) -> Plan:
    """Restart the engines one at a time, the one that takes the traffic last."""
    cluster = world.the_cluster
    blockers = _ready(world)
    plan = [] if blockers else _topology(world).restart(cluster)
    return _cluster_plan("cluster_restart", cluster, plan, blockers)


def grow_cluster(world: World) -> Plan:
    """Add `world.new_members`; a few members that are not well are left alone, to be removed by a shrink afterwards."""
    cluster = world.the_cluster
    blockers = [] if world.new_members else [Blocker(400, f"no instance was named to be added to {cluster.name}")]
    sick = prechecks.healthy(cluster.members, world.stale)
    well = [member for member in cluster.members if member.id not in {blocker.member_id for blocker in sick}]
    blockers += prechecks.not_busy(world)
    if 2 * len(well) <= len(cluster.members):
        blockers += sick  # where the others are a majority, new members are the remedy
    plan = [] if blockers else _topology(world).grow(cluster, well, world.new_members)
    warnings = [f"{blocker.reason}; it is left as it is, and may be removed by a shrink" for blocker in sick]
    return _cluster_plan("cluster_grow", cluster, plan, blockers, warnings=warnings)


def shrink_cluster(world: World, leaving_ids: Sequence[str]) -> Plan:
    """Remove these members; every id must be a member's and enough members must stay."""
    cluster = world.the_cluster
    known = {member.id for member in cluster.members}
    blockers = [
        Blocker(400, f"{instance_id} is not a member of {cluster.name}")
        for instance_id in dict.fromkeys(leaving_ids)
        if instance_id not in known
    ]
    if not leaving_ids:
        blockers.append(Blocker(400, f"no instance was named to be removed from {cluster.name}"))
    leaving = [member for member in cluster.members if member.id in set(leaving_ids)]
    left = len(cluster.members) - len(leaving)
    least = world.engine.min_cluster_members
    if left < least:
        blockers.append(
            Blocker(400, f"{left} members would be left, a cluster of {cluster.version.datastore} needs {least}")
        )
    if not blockers:
        blockers = prechecks.not_busy(world) or prechecks.healthy(
            [member for member in cluster.members if member not in leaving], world.stale
        )
    topology = _topology(world)
    if not blockers:
        blockers = topology.shrink_blockers(cluster, leaving)
    plan = [] if blockers else topology.shrink(cluster, leaving)
    return _cluster_plan("cluster_shrink", cluster, plan, blockers)


def delete_cluster(world: World) -> Plan:
    """Remove a cluster with all its members."""
    cluster = world.the_cluster
    plan: list[Step] = []
    if world.engine.has_endpoint:
        plan.append(steps.endpoint_delete(cluster, no_return=True))
    plan += [steps.server_delete(member, no_return=True) for member in cluster.members]
    plan += [steps.record_deleted(member) for member in cluster.members]
    plan.append(steps.record_cluster_deleted(cluster))
    return _cluster_plan("cluster_delete", cluster, plan, on_failure="fail")


def _topology(world: World) -> Topology:
    assert world.engine.cluster_kind is not None
    return topology_of(world.engine.cluster_kind)


def _ready(world: World) -> list[Blocker]:
    return (
        prechecks.not_busy(world)
        or prechecks.healthy(world.the_cluster.members, world.stale)
        or prechecks.redundant(world)
    )


def _instance_plan(
    kind: str, instance: Instance, plan: list[Step], blockers: Sequence[Blocker] = (), on_failure: str = "rollback"
) -> Plan:
    return Plan(
        kind=kind,
        resource_type="instance",
        resource_id=instance.id,
        resource_name=instance.name,
        generation=instance.generation,
        steps=tuple(plan),
        blockers=tuple(blockers),
        on_failure=on_failure,
    )


def _cluster_plan(
    kind: str,
    cluster: Cluster,
    plan: list[Step],
    blockers: Sequence[Blocker] = (),
    on_failure: str = "rollback",
    warnings: Sequence[str] = (),
) -> Plan:
    return Plan(
        kind=kind,
        resource_type="cluster",
        resource_id=cluster.id,
        resource_name=cluster.name,
        generation=cluster.generation,
        steps=tuple(plan),
        blockers=tuple(blockers),
        warnings=tuple(warnings),
        on_failure=on_failure,
    )
