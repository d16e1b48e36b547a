"""What users ask for, after the HTTP side has checked its form and looked up what it names. Frozen, no I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from trove.domain.datastores import DatastoreVersion, Flavor

ON_FAILURE = ("rollback", "hold")
"""What an upgrade does at its first fault."""

HOLDS = ("canary", "switchover", "finalize")
"""Places where an upgrade can wait for a person: after the canary, before the switchover, before what is final."""


@dataclass(frozen=True)
class NewDatabase:
    """A schema to create inside an engine."""

    name: str
    character_set: str | None = None
    collate: str | None = None


@dataclass(frozen=True)
class NewUser:
    """An account to create inside an engine; `databases` are those it may use."""

    name: str
    password: str = field(repr=False)
    host: str = "%"
    databases: tuple[str, ...] = ()


@dataclass(frozen=True)
class Nic:
    """Where an instance is attached; compute drivers without networks ignore it."""

    network_id: str | None = None
    subnet_id: str | None = None
    ip_address: str | None = None


@dataclass(frozen=True)
class NewInstance:
    """A single instance. `version` is active and of the datastore that was named; `volume_gb` gigabytes."""

    name: str
    version: DatastoreVersion
    flavor: Flavor
    volume_gb: int
    databases: tuple[NewDatabase, ...] = ()
    users: tuple[NewUser, ...] = ()
    nics: tuple[Nic, ...] = ()
    availability_zone: str | None = None
    locality: str | None = None
    configuration: str | None = None
    access: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class NewMember:
    """A member of a new or growing cluster. `name` None: the service chooses; `kind` is the wire's `type`."""

    flavor: Flavor
    volume_gb: int
    name: str | None = None
    kind: str | None = None
    related_to: str | None = None
    nics: tuple[Nic, ...] = ()
    availability_zone: str | None = None


@dataclass(frozen=True)
class NewCluster:
    """A cluster. All members have the same flavor and volume; the service judges how many the engine needs."""

    name: str
    version: DatastoreVersion
    members: tuple[NewMember, ...]
    databases: tuple[NewDatabase, ...] = ()
    users: tuple[NewUser, ...] = ()
    locality: str | None = None
    configuration: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    """The wire's `extended_properties`."""


@dataclass(frozen=True)
class UpgradeOptions:
    """How to upgrade. `hold` is a subset of HOLDS; `accept_no_rollback` confirms a plan that has no way back."""

    on_failure: str = "rollback"
    hold: frozenset[str] = frozenset()
    accept_no_rollback: bool = False
