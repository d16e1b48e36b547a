"""Example worlds for planner tests, made from the real engine tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from trove.datastores.registry import engine_of, upgrade_hops
from trove.domain.datastores import DatastoreVersion, Engine
from trove.domain.health import Health
from trove.domain.instances import Cluster, Instance
from trove.domain.states import ClusterTask, EngineStatus, InstanceTask
from trove.planning.world import World

ROOM = 10 * 1024**3


def catalogue(engine: Engine) -> dict[tuple[str, str], DatastoreVersion]:
    """Every release of the family as a row of a fresh installation."""
    return {
        r.key: DatastoreVersion(f"id-{r.datastore}-{r.name}", r.datastore, r.datastore, r.name, r.name, r.recipe, True)
        for r in engine.releases
    }


def version(datastore: str, name: str) -> DatastoreVersion:
    return catalogue(engine_of(datastore))[(datastore, name)]


def health(number: str, role: str, status: EngineStatus = EngineStatus.HEALTHY, **more: Any) -> Health:
    return Health(
        status=status,
        version=f"{number}.6",
        version_number=f"{number}.6",
        role=role,
        in_sync=more.pop("in_sync", status is EngineStatus.HEALTHY),
        used_bytes=50 * 1024**2,
        free_bytes=more.pop("free_bytes", ROOM),
        observed_at="2030-01-01T00:00:00.000000",
        **more,
    )


def instance(name: str, of: DatastoreVersion, number: int = 1, role: str = "primary", **more: Any) -> Instance:
    said = more.pop("health", None) or health(of.name, role, detail=more.pop("detail", {}))
    return Instance(
        id=name,
        project_id="p",
        name=name,
        version=of,
        flavor_id="1",
        volume_gb=1,
        address=f"127.88.0.{number}",
        port=engine_of(of.datastore).port,
        task=more.pop("task", InstanceTask.NONE),
        image_id=f"{of.recipe}-abc",
        health=said,
        generation=4,
        **more,
    )


def galera(name: str = "10.11", members: int = 3, active: int = 0) -> Cluster:
    """A healthy cluster; members are m1, m2... and `active` is the index of the one that takes the traffic."""
    of = version("mariadb", name)
    rows = tuple(instance(f"m{n}", of, n, "member", cluster_id="shop") for n in range(1, members + 1))
    return Cluster(
        "shop",
        "p",
        "shop",
        of,
        ClusterTask.NONE,
        rows,
        endpoint_address="127.88.0.200",
        endpoint_port=3306,
        active_member_id=rows[active].id,
        generation=7,
    )


def redis(datastore: str = "redis", name: str = "7.0", shards: int = 3, replicas: int = 1) -> Cluster:
    """A healthy cluster; shard 1 is p1 with r1a, r1b..."""
    of = version(datastore, name)
    primaries = [
        instance(f"p{s}", of, s, "primary", cluster_id="cache", detail={"node_id": f"n-p{s}", "master_id": None})
        for s in range(1, shards + 1)
    ]
    others = [
        instance(
            f"r{s}{'abc'[r]}",
            of,
            10 * s + r,
            "replica",
            cluster_id="cache",
            detail={"node_id": f"n-r{s}{r}", "master_id": f"n-p{s}"},
        )
        for s in range(1, shards + 1)
        for r in range(replicas)
    ]
    return Cluster("cache", "p", "cache", of, ClusterTask.NONE, (*primaries, *others), generation=7)


def single(datastore: str = "mariadb", name: str = "10.5", room: bool = True) -> Instance:
    of = version(datastore, name)
    said = health(of.name, "primary", free_bytes=ROOM if room else 1024)
    return instance("db", of, health=said)


def world_of(
    subject: Cluster | Instance, target: DatastoreVersion | None = None, new: Sequence[Instance] = (), **more: Any
) -> World:
    engine = engine_of(subject.version.datastore)
    return World(
        engine,
        versions=more.pop("versions", catalogue(engine)),
        cluster=subject if isinstance(subject, Cluster) else None,
        instance=subject if isinstance(subject, Instance) else None,
        new_members=tuple(new),
        hops=upgrade_hops(engine, subject.version.key, target.key) if target else (),
        **more,
    )


def newcomers(cluster: Cluster, count: int) -> tuple[Instance, ...]:
    """Rows of members that do not exist yet."""
    return tuple(
        replace(
            instance(f"n{n}", cluster.version, 100 + n, cluster_id=cluster.id, task=InstanceTask.BUILDING),
            health=None,
            image_id=None,
        )
        for n in range(1, count + 1)
    )


def unbuilt(cluster: Cluster) -> Cluster:
    """The same cluster before its first member exists."""
    members = tuple(replace(m, task=InstanceTask.BUILDING, health=None, image_id=None) for m in cluster.members)
    return replace(cluster, members=members, task=ClusterTask.BUILDING, active_member_id=None)


def with_member(cluster: Cluster, member_id: str, **fields: Any) -> Cluster:
    """The same cluster with some fields of one member changed."""
    return replace(cluster, members=tuple(replace(m, **fields) if m.id == member_id else m for m in cluster.members))
