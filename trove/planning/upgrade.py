"""Plan upgrades: of a cluster one member at a time, of an instance as the plan with one member."""

from __future__ import annotations

from trove.domain.datastores import DatastoreVersion
from trove.domain.plans import Blocker, Phase, Plan, Step
from trove.domain.requests import UpgradeOptions
from trove.domain.states import InstanceTask
from trove.planning import prechecks, steps
from trove.planning.topologies import topology_of
from trove.planning.world import World

COPY_NAME = "before-upgrade"


def upgrade_cluster(world: World, target: DatastoreVersion, options: UpgradeOptions) -> Plan:
    """Return every step and every blocker of moving the cluster to the target. Pure."""
    cluster = world.the_cluster
    source = cluster.version
    blockers = prechecks.target_allowed(source, target, world.hops, world)
    blockers += prechecks.configuration_valid(cluster.members, target, world)
    waiting = prechecks.not_busy(world) + prechecks.healthy(cluster.members, world.stale)
    waiting += prechecks.as_recorded(cluster.members, source)
    if not waiting:
        waiting = prechecks.redundant(world)
    blockers += waiting
    plan: list[Step] = []
    if not blockers:
        versions = [world.versions[hop] for hop in world.hops]
        plan.append(steps.precheck(cluster.members, source))
        plan += [steps.stage(version) for version in versions]
        assert world.engine.cluster_kind is not None
        topology = topology_of(world.engine.cluster_kind)
        now = cluster
        for version in versions:
            last = version is versions[-1]
            hop, now = topology.upgrade_hop(now, now.version, version, options.hold, last)
            plan += hop
    return Plan(
        kind="cluster_upgrade",
        resource_type="cluster",
        resource_id=cluster.id,
        resource_name=cluster.name,
        generation=cluster.generation,
        steps=tuple(plan),
        blockers=tuple(blockers),
        warnings=_hop_warnings(world),
        from_version=source.name,
        to_version=target.name,
        hops=(source.name, *(hop[1] for hop in world.hops)),
        expected_write_gap_ms=world.engine.expected_gap_ms,
        on_failure=options.on_failure,
    )


def upgrade_instance(world: World, target: DatastoreVersion, options: UpgradeOptions) -> Plan:
    """Return every step and every blocker of moving a single instance to the target. Pure.

    Data that a newer release has written is not read by an older one, so a copy made before is the way back. Without
    room for it there is none, and the caller must have said that this is understood.
    """
    instance = world.the_instance
    source = instance.version
    blockers = prechecks.target_allowed(source, target, world.hops, world)
    blockers += prechecks.configuration_valid([instance], target, world)
    waiting = prechecks.not_busy(world)
    # An instance that an upgrade left in error may be tried again.
    blockers += [b for b in waiting if instance.task is not InstanceTask.UPGRADE_ERROR or world.busy]
    unhealthy = prechecks.healthy([instance], world.stale)
    blockers += unhealthy + prechecks.as_recorded([instance], source)
    copy = prechecks.room_for_copy(instance)
    warnings = list(_hop_warnings(world))
    if copy and options.hold:
        warnings.append(f"what is written while it is held on {target.name} is lost by a rollback")
    if not unhealthy and not copy:
        warnings.append("there is no room for a copy of the data, so there is no way back once it is upgraded")
        if not options.accept_no_rollback:
            blockers.append(
                Blocker(
                    400,
                    f"there is no way back: no room for a copy of the data of {instance.name}; free some space, or "
                    "confirm with accept_no_rollback (--accept-no-rollback)",
                    instance.id,
                    instance.name,
                )
            )
    return Plan(
        kind="instance_upgrade",
        resource_type="instance",
        resource_id=instance.id,
        resource_name=instance.name,
        generation=instance.generation,
        steps=tuple(_instance_steps(world, options, copy)) if not blockers else (),
        blockers=tuple(blockers),
        warnings=tuple(warnings),
        from_version=source.name,
        to_version=target.name,
        hops=(source.name, *(hop[1] for hop in world.hops)),
        expected_write_gap_ms=(world.engine.single_gap_ms or 0) * len(world.hops) or None,
        on_failure=options.on_failure,
    )


def _instance_steps(world: World, options: UpgradeOptions, copy: bool) -> list[Step]:
    instance = world.the_instance
    source = instance.version
    versions = [world.versions[hop] for hop in world.hops]
    start_again = (
        steps.guest(instance, "start", f"Start the engine of {instance.name} again", Phase.ROLLBACK, {"cluster": None}),
        steps.gate(instance, source, Phase.ROLLBACK),
    )
    mark_undo = (steps.record_release(instance, Phase.ROLLBACK, source),)
    plan = [steps.precheck([instance], source), *(steps.stage(version) for version in versions)]
    plan += [
        steps.record_member(
            instance,
            Phase.MEMBER,
            task=InstanceTask.UPGRADING,
            title=f"Mark {instance.name} as being upgraded",
            undo=mark_undo,
        ),
        _pre_upgrade(instance.name, world, source, versions[0], undo=start_again),
    ]
    if copy:
        restore = (
            steps.server_restore(instance, COPY_NAME),
            steps.server_ensure(instance, source, Phase.ROLLBACK, image_id=instance.image_id, rebuild=True),
            *start_again,
            # Only now is the old engine known to have its old data; a copy left behind would eat the room of the next.
            steps.server_discard(instance, COPY_NAME, Phase.ROLLBACK),
        )
        plan.append(steps.server_copy(instance, COPY_NAME, undo=restore))
    before = source
    for version in versions:
        if version is not versions[0]:
            plan.append(_pre_upgrade(instance.name, world, before, version))
        plan += [
            steps.server_ensure(instance, version, Phase.MEMBER, rebuild=True, no_return=not copy),
            steps.guest(
                instance,
                "post_upgrade",
                f"Bring the data of {instance.name} to {version.name} and start",
                Phase.MEMBER,
                {"source": before.name, "target": version.name, "cluster": None},
                deadline=steps.DATA_UPGRADE_DEADLINE,
            ),
            steps.gate(instance, version, Phase.MEMBER),
        ]
        before = version
    if options.hold:
        reason = f"{instance.name} runs {versions[-1].name}; resume to keep it" + (
            ", or roll back and lose what was written since" if copy else ""
        )
        plan.append(steps.hold(reason, Phase.FINALIZE))
    plan.append(steps.record_release(instance, Phase.FINALIZE, versions[-1]))
    if copy:
        plan.append(steps.server_discard(instance, COPY_NAME, commit=True))
    return plan


def _pre_upgrade(
    name: str, world: World, source: DatastoreVersion, target: DatastoreVersion, undo: tuple[Step, ...] = ()
) -> Step:
    return steps.guest(
        world.the_instance,
        "pre_upgrade",
        f"Get {name} ready and stop its engine",
        Phase.MEMBER,
        {"source": source.name, "target": target.name},
        deadline=steps.STOP_DEADLINE,
        undo=undo,
    )


def _hop_warnings(world: World) -> tuple[str, ...]:
    if len(world.hops) < 2:
        return ()
    between = ", ".join(f"{hop[0]} {hop[1]}" for hop in world.hops[:-1])
    return (f"the engine needs {len(world.hops)} hops, by way of {between}",)
