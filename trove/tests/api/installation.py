"""A service to ask: the real store and the real service, without engines; time passes when a story says so."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import sqlalchemy as sa

from trove.datastores.registry import ENGINES
from trove.db.seeds import seed
from trove.db.store import Store, open_store
from trove.db.tables import datastore_versions
from trove.domain.datastores import DatastoreVersion, Flavor
from trove.domain.health import Health
from trove.domain.instances import Instance
from trove.domain.operations import Operation
from trove.domain.requests import NewCluster, NewInstance, NewMember
from trove.domain.states import EngineStatus, InstanceTask, OperationStatus
from trove.domain.store import Lease
from trove.operations.quotas import Quotas
from trove.operations.service import Service
from trove.operations.settle import settle


def make_template(path: Path) -> Path:
    """Make a database with what a fresh installation offers, to be copied by each story."""
    store = open_store(f"sqlite:///{path}")
    seed(store, ENGINES)
    store.close()
    return path


@dataclass
class Installation:
    """The parts of a service, and what would happen to it from outside."""

    store: Store
    service: Service

    @classmethod
    def open(cls, template: Path, directory: Path) -> Installation:
        """Start from a copy of the template."""
        path = directory / "trove.db"
        shutil.copy(template, path)
        store = open_store(f"sqlite:///{path}")
        return cls(store, Service(store, Quotas(store)))

    def version(self, datastore: str, name: str) -> DatastoreVersion:
        return next(version for version in self.store.datastore(datastore).versions if version.name == name)

    def flavor(self, ref: str) -> Flavor:
        return self.store.flavor(ref)

    def instance(
        self, name: str, project: str = "p-1", datastore: str = "mariadb", version: str = "10.11", active: bool = True
    ) -> Instance:
        """Make an instance that runs and was heard of just now."""
        request = NewInstance(name, self.version(datastore, version), self.flavor("1"), volume_gb=1)
        operation = self.service.create_instance(project, request)
        if active:
            self.finish(operation.id)
        return self.store.instance(operation.resource_id)

    def instances(self, count: int) -> None:
        """Make that many instances of p-1."""
        for number in range(count):
            self.instance(f"db-{number}", active=False)

    def cluster(
        self,
        name: str,
        project: str = "p-1",
        datastore: str = "mariadb",
        version: str = "10.11",
        members: int = 3,
        active: bool = True,
    ) -> Any:
        """Make a cluster whose members run and are in sync."""
        member = NewMember(self.flavor("1"), volume_gb=1)
        request = NewCluster(name, self.version(datastore, version), (member,) * members)
        operation = self.service.create_cluster(project, request)
        if active:
            self.finish(operation.id)
        return self.store.cluster(operation.resource_id)

    def finish(self, operation_id: str, status: str = "SUCCEEDED", error: str | None = None) -> Operation:
        """Let an operation end as if an executor had run it, and its engines speak."""
        operation, final, lease = self.store.operation(operation_id), OperationStatus(status), self._claim(operation_id)
        if operation.status is OperationStatus.PENDING:
            self.store.set_status(lease, operation_id, OperationStatus.RUNNING)
        if final is OperationStatus.ROLLED_BACK:
            self.store.set_status(lease, operation_id, OperationStatus.ROLLING_BACK)
        if final.final:
            self._delete_what_was_deleted(operation, final)
            settle(self.store, lease, operation, final, error)
        self.store.set_status(lease, operation_id, final, error=error)
        self.store.release(lease)
        self.speak()
        return self.store.operation(operation_id)

    def _claim(self, operation_id: str) -> Lease:
        """Become the executor of that operation, leaving others to others."""
        passed_over = []
        while (lease := self.store.claim("stories", 60.0)) is not None:
            if lease.operation_id == operation_id:
                for other in passed_over:
                    self.store.release(other)
                return lease
            passed_over.append(lease)
        raise AssertionError(f"operation {operation_id} waits for nobody")

    def speak(self, **said: Any) -> None:
        """Let every engine say how it is; `said` are fields of Health, `ago` seconds since it said so."""
        at = datetime.now(UTC).replace(tzinfo=None) - timedelta(seconds=said.pop("ago", 0))
        if "status" in said:
            said["status"] = EngineStatus(said["status"])
        observations = {}
        for instance in self.store.all_instances():
            if instance.task is InstanceTask.NONE or instance.task is InstanceTask.UPGRADING:
                number = f"{instance.version.name}.9"
                health = Health(
                    EngineStatus.HEALTHY,
                    f"{number}-Test",
                    number,
                    "member" if instance.cluster_id else "primary",
                    in_sync=True,
                    members_seen=3,
                    used_bytes=2**28,
                    free_bytes=2**40,
                    observed_at=at.isoformat(timespec="microseconds"),
                )
                observations[instance.id] = replace(health, **said)
        self.store.record_health(observations)

    def fault(self, instance_id: str, message: str) -> None:
        """Leave the reason of a failure at an instance."""
        self.store.update_instance(instance_id, fault={"message": message, "details": "in all detail"})

    def note(self, operation_id: str, text: str) -> None:
        """Write a line into an operation's history."""
        self.store.add_event(operation_id, "warning", text)

    def deactivate(self, datastore: str, version: str) -> None:
        """Offer a version no longer."""
        version_id = self.version(datastore, version).id
        self.store.database.write(
            lambda conn: conn.execute(
                sa.update(datastore_versions).where(datastore_versions.c.id == version_id).values(active=0)
            )
        )
        self.store.forget_catalogue()

    def follow(self, url: str) -> str:
        """Return path and query of a link."""
        parts = urlsplit(url)
        return f"{parts.path}?{parts.query}"

    def do(self, name: str, arguments: Mapping[str, Any]) -> Any:
        """Do what a story names."""
        return getattr(self, name)(**arguments)

    def _delete_what_was_deleted(self, operation: Operation, status: OperationStatus) -> None:
        if status is not OperationStatus.SUCCEEDED or not operation.kind.endswith("_delete"):
            return
        if operation.resource_type == "cluster":
            for member in self.store.cluster(operation.resource_id).members:
                self.store.update_instance(member.id, deleted=True)
            self.store.update_cluster(operation.resource_id, deleted=True)
        else:
            self.store.update_instance(operation.resource_id, deleted=True)
