"""The snapshot a planner looks at: everything it needs, nothing it could change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from trove.domain.datastores import DatastoreVersion, Engine, VersionKey
from trove.domain.instances import Cluster, Instance


@dataclass(frozen=True)
class Busy:
    """The unfinished operation that holds the resource now."""

    operation_id: str
    kind: str
    status: str


@dataclass(frozen=True)
class World:
    """What is known of one resource when its plan is made.

    `hops` gives the releases from the current version to the asked one (without the current; empty: no path).
    `stale` are instances whose engine has not been heard of lately. `versions` is the family's catalogue.
    """

    engine: Engine
    versions: Mapping[VersionKey, DatastoreVersion] = field(default_factory=dict)
    cluster: Cluster | None = None
    instance: Instance | None = None
    new_members: tuple[Instance, ...] = ()
    hops: tuple[VersionKey, ...] = ()
    stale: frozenset[str] = frozenset()
    busy: Busy | None = None

    @property
    def the_cluster(self) -> Cluster:
        """The cluster a cluster plan is made for."""
        assert self.cluster is not None
        return self.cluster

    @property
    def the_instance(self) -> Instance:
        """The instance an instance plan is made for."""
        assert self.instance is not None
        return self.instance
