"""A store on a database of its own, and small builders of what is put into it.

The database is an SQLite file, or what TROVE_TEST_DATABASE_URL names: a database on a server that is there for these
tests alone, because each of them begins by removing everything in it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa

from trove.db.engine import Database
from trove.db.seeds import seed, version_id
from trove.db.store import Store, open_store
from trove.db.tables import metadata
from trove.domain.datastores import Engine, Release
from trove.domain.instances import Cluster, Instance
from trove.domain.plans import Phase, Plan, Step
from trove.domain.states import OperationStatus
from trove.domain.store import Acceptance

SERVER = os.environ.get("TROVE_TEST_DATABASE_URL")
sqlite_only = pytest.mark.skipif(SERVER is not None, reason="is about SQLite files")

ENGINES = (
    Engine(
        "mariadb",
        tuple(Release("mariadb", name, f"mariadb-{name}") for name in ("10.11", "10.5", "11.8")),
        (),
        3306,
        "galera",
    ),
    Engine("redis", (Release("redis", "7.0", "redis-7.0"), Release("valkey", "8.1", "valkey-8.1")), (), 6379, None),
)

STEPS = (
    Step("guest.stop", "stop", Phase.MEMBER, undo=(Step("guest.start", "start", Phase.MEMBER),)),
    Step("compute.rebuild", "rebuild", Phase.MEMBER, undo=(Step("compute.back", "back", Phase.MEMBER),)),
    Step("guest.gate", "gate", Phase.MEMBER),
)


class Builder:
    """Makes resources and operations in one store."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def instance(self, project: str = "p", **fields: Any) -> Instance:
        values = {
            "id": str(uuid4()),
            "project_id": project,
            "name": "one",
            "version": self.store.version(version_id("mariadb", "10.11")),
            "flavor_id": "1",
            "volume_gb": 1,
            "address": "",
            "port": 3306,
            "ram_mb": 256,
            "vcpus": 1,
        }
        return Instance(**(values | fields))

    def create(self, *, limits: dict[str, int] | None = None, finish: bool = True, **fields: Any) -> Instance:
        """Accept the creation of an instance (and end it) and return the instance."""
        new = self.instance(**fields)
        plan = Plan("create", "instance", new.id, new.name, 0)
        operation = self.store.accept(Acceptance(plan, new.project_id, new_instances=(new,), limits=limits or {}))
        if finish:
            self.finish(operation.id)
        return self.store.instance(new.id)

    def create_cluster(self, members: int = 3, project: str = "p", *, finish: bool = True, **fields: Any) -> Cluster:
        """Accept the creation of a cluster (and end it) and return the cluster."""
        cluster_id = str(uuid4())
        new = tuple(self.instance(project, name=f"shop-member-{n + 1}", cluster_id=cluster_id) for n in range(members))
        cluster = Cluster(
            **(
                {
                    "id": cluster_id,
                    "project_id": project,
                    "name": "shop",
                    "version": self.store.version(version_id("mariadb", "10.11")),
                }
                | fields
            )
        )
        plan = Plan("create", "cluster", cluster_id, cluster.name, 0)
        operation = self.store.accept(Acceptance(plan, project, new_instances=new, new_cluster=cluster))
        if finish:
            self.finish(operation.id)
        return self.store.cluster(cluster_id)

    def finish(self, operation_id: str) -> None:
        self.store.set_status(None, operation_id, OperationStatus.RUNNING)
        self.store.set_status(None, operation_id, OperationStatus.SUCCEEDED)

    def plan(self, resource: Instance | Cluster, kind: str = "upgrade", **fields: Any) -> Plan:
        noun = "cluster" if isinstance(resource, Cluster) else "instance"
        return Plan(kind, noun, resource.id, resource.name, resource.generation, **({"steps": STEPS} | fields))

    def accept(self, resource: Instance | Cluster, kind: str = "upgrade", **fields: Any) -> Any:
        return self.store.accept(Acceptance(self.plan(resource, kind), resource.project_id, **fields))


@pytest.fixture(scope="session")
def seeded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a database file to copy, which is quicker than to migrate one for each test."""
    path = tmp_path_factory.mktemp("seeded") / "trove.db"
    opened = open_store(f"sqlite:///{path}")
    seed(opened, ENGINES)
    opened.close()
    return path


def fresh_store(seeded: Path, directory: Path) -> Store:
    """Open a store that has nothing but its catalogue."""
    if SERVER is None:
        shutil.copy(seeded, directory / "trove.db")
        return open_store(f"sqlite:///{directory}/trove.db", "127.90.0.0/24")
    empty(SERVER)
    opened = open_store(SERVER, "127.90.0.0/24")
    seed(opened, ENGINES)
    return opened


def empty(url: str) -> None:
    """Remove all tables."""
    database = Database(url)

    def remove(conn: sa.Connection) -> None:
        metadata.drop_all(conn)
        conn.exec_driver_sql("DROP TABLE IF EXISTS alembic_version")

    database.write(remove)
    database.close()


@pytest.fixture
def url(tmp_path: Path) -> str:
    return SERVER or f"sqlite:///{tmp_path}/trove.db"


@pytest.fixture
def store(seeded: Path, tmp_path: Path) -> Iterator[Store]:
    opened = fresh_store(seeded, tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def make(store: Store) -> Builder:
    return Builder(store)


@pytest.fixture
def another(url: str) -> Iterator[Callable[[], Store]]:
    """Open the same database again, as another process would."""
    opened: list[Store] = []

    def opener() -> Store:
        opened.append(open_store(url, "127.90.0.0/24"))
        return opened[-1]

    yield opener
    for one in opened:
        one.close()
