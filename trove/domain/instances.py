"""Instances and clusters as the rest of the service sees them: frozen snapshots of rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from trove.domain.datastores import DatastoreVersion
from trove.domain.health import Health
from trove.domain.states import ClusterTask, InstanceTask, Task


@dataclass(frozen=True)
class Instance:
    """One engine with its data, its agent and its compute.

    `version` is the release the instance belongs to (set when the engine proved it), `health` what the engine last
    said. `generation` grows with each operation accepted for it. `image_id` is the image its server runs now.
    `volume_gb` gigabytes. `fault` is {"message", "created", "details"} or None.
    """

    id: str
    project_id: str
    name: str
    version: DatastoreVersion
    flavor_id: str
    volume_gb: int
    address: str
    port: int
    task: Task = InstanceTask.BUILDING
    cluster_id: str | None = None
    ram_mb: int = 0
    vcpus: int = 0
    image_id: str | None = None
    health: Health | None = None
    generation: int = 0
    fault: Mapping[str, Any] | None = None
    configuration: Mapping[str, Any] | None = None
    created: datetime | None = None
    updated: datetime | None = None

    @property
    def healthy(self) -> bool:
        """Whether the engine last said that it serves and has all data."""
        return self.health is not None and self.health.healthy

    @property
    def role(self) -> str:
        """Role as the engine last said it."""
        return self.health.role if self.health else ""


@dataclass(frozen=True)
class Cluster:
    """Several instances that serve as one. `active_member_id` takes the traffic of the endpoint."""

    id: str
    project_id: str
    name: str
    version: DatastoreVersion
    task: Task = ClusterTask.BUILDING
    members: tuple[Instance, ...] = ()
    endpoint_address: str | None = None
    endpoint_port: int | None = None
    active_member_id: str | None = None
    generation: int = 0
    options: Mapping[str, Any] = field(default_factory=dict)
    created: datetime | None = None
    updated: datetime | None = None

    def member(self, instance_id: str) -> Instance:
        """Find a member by id; raises KeyError."""
        for member in self.members:
            if member.id == instance_id:
                return member
        raise KeyError(instance_id)
