"""Upgrades of live databases: writers run throughout, engines say their version, every acknowledged write is read."""

from __future__ import annotations

import pytest

from trove.tests.service.databases import Database, create_cluster, create_instance, member_statuses, more_writes
from trove.workload.standalone import Standalone

CLUSTERS = [
    ("mariadb", "10.11", 3, [("mariadb", "11.8")]),
    ("mariadb", "10.5", 3, [("mariadb", "11.8")]),
    ("redis", "7.0", 6, [("redis", "8.0")]),
    ("redis", "7.0", 6, [("valkey", "8.1"), ("valkey", "9.1")]),
]
INSTANCES = [
    ("mariadb", "10.5", [("mariadb", "11.8")]),
    ("redis", "6.0", [("redis", "7.0"), ("redis", "8.0")]),
    ("valkey", "8.1", [("valkey", "9.1")]),
]


def name_of(case: tuple[object, ...]) -> str:
    *_, way = case
    return "-".join([f"{case[0]}{case[1]}", *(f"{datastore}{version}" for datastore, version in way)])  # type: ignore[attr-defined]


@pytest.mark.parametrize(("datastore", "version", "members", "way"), CLUSTERS, ids=map(name_of, CLUSTERS))
def test_live_cluster(
    service: Standalone, datastore: str, version: str, members: int, way: list[tuple[str, str]]
) -> None:
    database = create_cluster(service, f"up-{datastore}-{version}", datastore, version, members)
    assert database.releases() == {f"{datastore} {version}"}
    go_along(database, way)
    database.delete()


@pytest.mark.parametrize(("datastore", "version", "way"), INSTANCES, ids=map(name_of, INSTANCES))
def test_single_instance(service: Standalone, datastore: str, version: str, way: list[tuple[str, str]]) -> None:
    database = create_instance(service, f"up-one-{datastore}-{version}", datastore, version)
    go_along(database, way)
    database.delete()


def go_along(database: Database, way: list[tuple[str, str]]) -> None:
    """Upgrade hop by hop under load and check everything that is promised but speed, which has its benchmark."""
    with database.workload() as writers:
        for datastore, version in way:
            more_writes(writers)
            database.service.done(database.upgrade(version))
            record = database.record()
            assert database.releases() == {f"{datastore} {version}"}
            assert record["datastore"]["type"] == datastore
            assert record["datastore"]["version"] == version
            assert member_statuses(database) == {"ACTIVE"}
        more_writes(writers)
        report = writers.stop()
        places = database.nodes if database.kind == "mariadb" and database.resource == "cluster" else ()
        found = writers.verify(places)
    assert found.ok, found.at
    # A single instance is away for as long as its upgrade takes, on a busy machine longer than clients try again.
    if database.resource == "cluster":
        assert report.errors_with_retry == 0, report.errors


def test_specification_form(service: Standalone) -> None:
    """PATCH v1/{tenant}/cluster/{id} answers 202 {} and does the same."""
    database = create_cluster(service, "spec", "valkey", "8.1", 6)
    [target] = [v["id"] for v in service.get("/datastores/valkey/versions")["versions"] if v["name"] == "9.1"]
    answer = service.request(
        "PATCH", f"/cluster/{database.id}", {"cluster": {"datastore_version": target}}, prefix="v1"
    )
    assert (answer.status_code, answer.json()) == (202, {})
    service.done(answer.headers["Location"].rsplit("/", 1)[1])
    assert database.releases() == {"valkey 9.1"}
    database.delete()
