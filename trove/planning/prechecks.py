"""Everything that can speak against an operation, collected at once. 400: asked wrongly; 422: not now."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from trove.domain.datastores import DatastoreVersion, VersionKey
from trove.domain.instances import Instance
from trove.domain.plans import Blocker
from trove.domain.states import ClusterTask, InstanceTask
from trove.planning.steps import release
from trove.planning.topologies import topology_of
from trove.planning.world import World


def not_busy(world: World) -> list[Blocker]:
    """One operation at a time holds a cluster and all its members."""
    if world.busy is not None:
        return [
            Blocker(
                422,
                f"operation {world.busy.operation_id} ({world.busy.kind}, {world.busy.status}) is not finished; "
                "wait for it, or resume or roll it back if it is held",
            )
        ]
    if world.cluster is not None and world.cluster.task is not ClusterTask.NONE:
        return [Blocker(422, f"cluster {world.cluster.name} is busy: {world.cluster.task.description}")]
    members = world.cluster.members if world.cluster is not None else (world.the_instance,)
    return [
        Blocker(422, f"{member.name} is not idle: {member.task.description}", member.id, member.name)
        for member in members
        if member.task is not InstanceTask.NONE
    ]


def healthy(members: Iterable[Instance], stale: frozenset[str]) -> list[Blocker]:
    """Every member must be healthy by its own engine's word, said lately."""
    blockers = []
    for member in members:
        if member.health is None or member.id in stale:
            when = f" since {member.health.observed_at}" if member.health else ""
            reason = f"{member.name}: its engine has not been heard of{when}"
        elif not member.health.healthy:
            said = member.health.reason or ("not in sync" if member.health.status == "HEALTHY" else "")
            reason = f"{member.name}: its engine says {member.health.status}" + (f": {said}" if said else "")
        else:
            continue
        blockers.append(Blocker(422, reason, member.id, member.name))
    return blockers


def as_recorded(members: Iterable[Instance], version: DatastoreVersion) -> list[Blocker]:
    """An upgrade starts from one release, and it must be the one the engines say they run."""
    blockers = []
    for member in members:
        said = member.health.version_number if member.health is not None else ""
        if said and said != version.name and not said.startswith(version.name + "."):
            reason = f"{member.name}: its engine says it runs {said}, not {version.name}"
            blockers.append(Blocker(422, reason, member.id, member.name))
    return blockers


def target_allowed(
    source: DatastoreVersion, target: DatastoreVersion, hops: Sequence[VersionKey], world: World
) -> list[Blocker]:
    """The target must be active, another version of the same family, and on a path the engine allows."""
    if target.datastore not in world.engine.datastores:
        return [Blocker(400, f"{release(target)} is not of the family of {release(source)}")]
    blockers = []
    if not target.active:
        blockers.append(Blocker(400, f"{release(target)} is not active"))
    if target.key == source.key:
        blockers.append(Blocker(400, f"{release(source)} is the current version already"))
    elif not hops:
        reachable = [f"{datastore} {name}" for datastore, name in _reachable(world, source)]
        instead = f"from here it goes to {', '.join(reachable)}" if reachable else "there is no way on from it"
        blockers.append(Blocker(400, f"the engine cannot go from {release(source)} to {release(target)}: {instead}"))
    for hop in hops[:-1]:
        between = world.versions.get(hop)
        if between is None or not between.active:
            blockers.append(Blocker(400, f"the way leads through {hop[0]} {hop[1]}, which is not offered here"))
    return blockers


def _reachable(world: World, source: DatastoreVersion) -> list[VersionKey]:
    """Return the offered releases the engine's paths lead to, in the order of the engine's table."""
    known: set[VersionKey] = set()
    found = {source.key}
    while found:
        known |= found
        found = {path.target for path in world.engine.paths if path.source in known} - known
    return [
        release.key
        for release in world.engine.releases
        if release.key in known - {source.key} and release.key in world.versions and world.versions[release.key].active
    ]


def configuration_valid(members: Iterable[Instance], target: DatastoreVersion, world: World) -> list[Blocker]:
    """An attached configuration group may set only what the target knows."""
    blockers = []
    for member in members:
        unknown = sorted(set((member.configuration or {}).get("values", {})) - world.engine.parameters)
        if unknown:
            names = ", ".join(unknown)
            blockers.append(
                Blocker(
                    400,
                    f"the configuration group of {member.name} sets {names}, which {release(target)} does not know",
                    member.id,
                    member.name,
                )
            )
    return blockers


def redundant(world: World) -> list[Blocker]:
    """The rest must have quorum and a full copy while one member is away."""
    assert world.engine.cluster_kind is not None
    return topology_of(world.engine.cluster_kind).redundancy_blockers(world.the_cluster)


ROOM_RESERVE = 256 * 1024 * 1024
"""Bytes that stay free beside a copy of the data."""


def room_for_copy(instance: Instance) -> bool:
    """Tell whether a copy of the instance's data fits beside it, by what its agent last said."""
    health = instance.health
    return health is not None and health.free_bytes >= health.used_bytes + ROOM_RESERVE
