"""Databases for tests: made through the API, asked through the engines' own clients, judged by what was seen."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pymysql
import redis

from trove.workload.controller import Workload
from trove.workload.standalone import Standalone
from trove.workload.target import Kind
from trove.workload.versions import EngineVersion, ask_versions

USER, PASSWORD, DATABASE = "app", "pass-word-of-tests", "shop"
ACCOUNTS = {
    "users": [{"name": USER, "password": PASSWORD, "databases": [{"name": DATABASE}]}],
    "databases": [{"name": DATABASE}],
}
T = TypeVar("T")


@dataclass
class Database:
    """A cluster or an instance of a test."""

    service: Standalone
    resource: str
    id: str
    kind: Kind
    members: list[dict[str, Any]] = field(default_factory=list)

    def record(self) -> dict[str, Any]:
        """Read the record as the API shows it now."""
        found: dict[str, Any] = self.service.get(f"/{self.resource}s/{self.id}")[self.resource]
        self.members = found["instances"] if self.resource == "cluster" else [found]
        return found

    @property
    def nodes(self) -> list[tuple[str, int]]:
        """Address and port of every member, by the API's word."""
        self.record()
        port = 3306 if self.kind == "mariadb" else 6379
        return [(address_of(member), port) for member in self.members]

    def engine_versions(self) -> list[EngineVersion]:
        """Ask every engine directly."""
        credentials = (USER, PASSWORD) if self.kind == "mariadb" else (None, None)
        return ask_versions(self.kind, self.nodes, *credentials)

    def releases(self) -> set[str]:
        """The releases the engines say they run, for example {"mariadb 11.8"}."""
        return {f"{version.name} {version.release}" for version in self.engine_versions()}

    def workload(self, patience: float = 30.0) -> Workload:
        """Start writers where clients connect; those that retry do it for so many seconds."""
        record = self.record()
        where: dict[str, Any] = {"nodes": self.nodes}
        if self.kind == "redis":
            [(address, port)] = self.nodes
            where = {"address": address, "port": port}
        if self.kind == "mariadb":
            endpoint = record.get("endpoint") or {"address": self.nodes[0][0], "port": 3306}
            where = {"address": endpoint["address"], "port": endpoint["port"]}
            where |= {"user": USER, "password": PASSWORD, "database": DATABASE}
        # One writer that never retries and one that does: reading all back is what takes the time of a test.
        return Workload.start(self.kind, **where, writers=2, retry_seconds=patience)

    def upgrade(self, version: str, **options: Any) -> str:
        """Ask for an upgrade and return the operation's id."""
        wanted = {"datastore_version": version, **options}
        if self.resource == "cluster":
            return self.service.submit("POST", f"/clusters/{self.id}", {"upgrade": wanted})
        return self.service.submit("PATCH", f"/instances/{self.id}", {"instance": wanted})

    def action(self, body: dict[str, Any]) -> dict[str, Any]:
        """Do an action and wait for its success."""
        path = f"/clusters/{self.id}" if self.resource == "cluster" else f"/instances/{self.id}/action"
        return self.service.done(self.service.submit("POST", path, body))

    def delete(self) -> None:
        """Delete and see that it is gone."""
        path = f"/{self.resource}s/{self.id}"
        self.service.done(self.service.submit("DELETE", path))
        assert self.service.request("GET", path).status_code == 404


def address_of(member: dict[str, Any]) -> str:
    """Address of a member of a cluster, or of an instance, as the API shows it."""
    first = (member.get("addresses") or member["ip"])[0]
    return first["address"] if isinstance(first, dict) else first


def kind_of(datastore: str, cluster: bool) -> Kind:
    if datastore == "mariadb":
        return "mariadb"
    return "redis_cluster" if cluster else "redis"


def create_cluster(service: Standalone, name: str, datastore: str, version: str, members: int) -> Database:
    """Create a cluster and wait until it serves."""
    size = {"flavorRef": "2" if datastore == "mariadb" else "1", "volume": {"size": 1}}
    body: dict[str, Any] = {"name": name, "datastore": {"type": datastore, "version": version}}
    body["instances"] = [size] * members
    if datastore == "mariadb":
        body |= ACCOUNTS
    operation = service.done(service.submit("POST", "/clusters", {"cluster": body}))
    database = Database(service, "cluster", operation["resource"]["id"], kind_of(datastore, True))
    database.record()
    return database


def create_instance(service: Standalone, name: str, datastore: str, version: str) -> Database:
    """Create a single instance and wait until it serves."""
    body: dict[str, Any] = {"name": name, "datastore": {"type": datastore, "version": version}}
    body |= {"flavorRef": "2" if datastore == "mariadb" else "1", "volume": {"size": 1}}
    if datastore == "mariadb":
        body |= ACCOUNTS
    operation = service.done(service.submit("POST", "/instances", {"instance": body}))
    database = Database(service, "instance", operation["resource"]["id"], kind_of(datastore, False))
    database.record()
    return database


def write_and_read(database: Database) -> None:
    """Use the database as its owner would, through the address the API shows."""
    record = database.record()
    address, port = database.nodes[0]
    if record.get("endpoint"):
        address, port = record["endpoint"]["address"], record["endpoint"]["port"]
    if database.kind == "mariadb":
        with (
            pymysql.connect(
                host=address, port=port, user=USER, password=PASSWORD, database=DATABASE, autocommit=True
            ) as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute("CREATE TABLE IF NOT EXISTS t (id INT PRIMARY KEY, v VARCHAR(20))")
            cursor.execute("REPLACE INTO t VALUES (1, 'here')")
            cursor.execute("SELECT v FROM t WHERE id = 1")
            assert cursor.fetchone() == ("here",)
    else:
        client: Any = redis.RedisCluster if database.kind == "redis_cluster" else redis.Redis
        with client(host=address, port=port, decode_responses=True) as connection:
            connection.set("k", "here")
            assert connection.get("k") == "here"


def until(condition: Callable[[], T], what: str, timeout: float = 60.0) -> T:
    """Wait until the condition gives something true, and return it; fails with `what` at the timeout."""
    deadline = time.monotonic() + timeout
    last: object = None
    while time.monotonic() < deadline:
        try:
            found = condition()
        except (OSError, AssertionError, redis.RedisError, pymysql.err.Error) as error:
            last = error
        else:
            if found:
                return found
        time.sleep(0.05)
    raise AssertionError(f"{what} did not come true in {timeout:.0f} s ({last})")


def member_statuses(database: Database) -> set[str]:
    """Statuses of all members by the API's word."""
    database.record()
    return {member["status"] for member in database.members}


def idle(database: Database) -> bool:
    """Whether the API says that everything is at rest and healthy."""
    record = database.record()
    if database.resource == "cluster" and record["task"]["name"] != "NONE":
        return False
    with suppress(KeyError):
        return all(member["health"]["status"] == "HEALTHY" for member in database.members)
    return False


def more_writes(writers: Workload) -> None:
    """Wait until the writers have been acknowledged another hundred writes, so that they surely are at it."""
    seen = writers.report().acknowledged
    until(lambda: writers.report().acknowledged > seen + 100, "a hundred more writes")
