"""How each kind of cluster is built, changed and upgraded: which member when, and what gates the next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from trove.domain.datastores import DatastoreVersion
from trove.domain.instances import Cluster, Instance
from trove.domain.plans import Blocker, Step


class Topology(Protocol):
    """One kind of cluster. All methods are pure and return steps in the order in which they must run."""

    def build(self, cluster: Cluster, secret: str | None) -> list[Step]:
        """Create all members and join them; `secret` names stored users and passwords."""

    def grow(self, cluster: Cluster, well: Sequence[Instance], new: Sequence[Instance]) -> list[Step]:
        """Add members with the help of those that are well; others are left as they are."""

    def shrink(self, cluster: Cluster, leaving: Sequence[Instance]) -> list[Step]: ...

    def shrink_blockers(self, cluster: Cluster, leaving: Sequence[Instance]) -> list[Blocker]: ...

    def restart(self, cluster: Cluster) -> list[Step]: ...

    def upgrade_hop(
        self, cluster: Cluster, source: DatastoreVersion, target: DatastoreVersion, holds: frozenset[str], last: bool
    ) -> tuple[list[Step], Cluster]:
        """Move every member from source to target; also returns the cluster as it will be afterwards."""

    def redundancy_blockers(self, cluster: Cluster) -> list[Blocker]:
        """Reasons why taking one member out would cost quorum or the only copy of some data."""


def topology_of(kind: str) -> Topology:
    """Find the topology of a cluster kind; raises KeyError."""
    from trove.planning.topologies.galera import Galera
    from trove.planning.topologies.redis_cluster import RedisCluster

    table: Mapping[str, Topology] = {"galera": Galera(), "redis_cluster": RedisCluster()}
    return table[kind]
