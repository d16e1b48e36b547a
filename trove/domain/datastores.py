"""Datastores, their versions and what an engine can do; the tables themselves are in `trove.datastores`."""

from __future__ import annotations

from dataclasses import dataclass

VersionKey = tuple[str, str]
"""(datastore name, version name), for example ("mariadb", "10.11")."""


@dataclass(frozen=True)
class Release:
    """One release of an engine that can be built: a datastore version and the recipe of its image."""

    datastore: str
    name: str
    recipe: str

    @property
    def key(self) -> VersionKey:
        return (self.datastore, self.name)


@dataclass(frozen=True)
class UpgradePath:
    """A direct move the engine allows. `downgrade_data`: the old release can read data the new one has written."""

    source: VersionKey
    target: VersionKey
    downgrade_data: bool = False


@dataclass(frozen=True)
class Engine:
    """A family of datastores that share data formats, protocol and guest side (`redis` holds Redis and Valkey)."""

    family: str
    releases: tuple[Release, ...]
    paths: tuple[UpgradePath, ...]
    port: int
    cluster_kind: str | None
    """`galera`, `redis_cluster`, or None where the engine has no cluster."""
    min_cluster_members: int = 3
    has_endpoint: bool = False
    """Whether clusters get a stable address of their own (else clients follow the cluster)."""
    expected_gap_ms: int | None = None
    """Longest write gap to expect of a rolling upgrade, milliseconds (measured, see docs/upgrades.md)."""
    single_gap_ms: int | None = None
    """The same for a single instance, where the engine is away for the whole upgrade."""
    parameters: frozenset[str] = frozenset()
    """Names a configuration group may set."""

    @property
    def datastores(self) -> tuple[str, ...]:
        """Names of the family's datastores, in the order of the table."""
        return tuple(dict.fromkeys(release.datastore for release in self.releases))

    def release(self, key: VersionKey) -> Release:
        """Find a release; raises KeyError."""
        for release in self.releases:
            if release.key == key:
                return release
        raise KeyError(key)


@dataclass(frozen=True)
class DatastoreVersion:
    """A datastore version as it is offered: a row. `number` is the engine's exact version once its image is known."""

    id: str
    datastore_id: str
    datastore: str
    name: str
    number: str
    recipe: str
    active: bool

    @property
    def key(self) -> VersionKey:
        return (self.datastore, self.name)


@dataclass(frozen=True)
class Datastore:
    """An engine on offer, with its versions. `default_version_id` may be None."""

    id: str
    name: str
    default_version_id: str | None
    versions: tuple[DatastoreVersion, ...] = ()


@dataclass(frozen=True)
class Flavor:
    """A size of instance: memory in MB, processors, disk in GB."""

    id: str
    name: str
    ram: int
    vcpus: int
    disk: int
