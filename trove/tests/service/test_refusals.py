"""What is asked wrongly, or at the wrong time, is refused with its reasons, and nothing is touched."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from trove.tests.service.databases import Database, create_cluster, create_instance
from trove.workload.standalone import Standalone

UNKNOWN = "11111111-2222-3333-4444-555555555555"


@pytest.fixture(scope="module")
def cluster(service: Standalone) -> Iterator[Database]:
    database = create_cluster(service, "refusals", "redis", "8.0", 6)
    yield database
    database.delete()


@pytest.fixture(scope="module")
def instance(service: Standalone) -> Iterator[Database]:
    database = create_instance(service, "refusals-one", "redis", "7.0")
    yield database
    database.delete()


def refused(service: Standalone, method: str, path: str, body: Any, status: int, *words: str) -> None:
    """Send the request, and see the status, one fault, and the words of its reason."""
    answer = service.request(method, path, body)
    assert answer.status_code == status, answer.text
    [(_, fault)] = answer.json().items()
    assert fault["code"] == status
    for word in words:
        assert word in fault["message"], fault["message"]


UPGRADES = [
    ({}, 400, "upgrade"),
    ({"upgrade": {}}, 400, "datastore_version"),
    ({"upgrade": {"datastore_version": "8.1", "colour": "red"}}, 400, "colour"),
    ({"upgrade": {"datastore_version": "99"}}, 404, "99"),
    ({"upgrade": {"datastore_version": UNKNOWN}}, 404, UNKNOWN),
    ({"upgrade": {"datastore_version": "8.0"}}, 400, "current version"),
    ({"upgrade": {"datastore_version": "7.0"}}, 400, "cannot go from redis 8.0 to redis 7.0"),
    ({"upgrade": {"datastore_version": "8.1"}}, 400, "cannot go from redis 8.0 to valkey 8.1"),
    ({"fly": {}}, 400, "fly"),
    ({"shrink": [{"id": UNKNOWN}]}, 400, "not a member"),
]


@pytest.mark.parametrize(("body", "status", "word"), UPGRADES, ids=[str(row[0])[:50] for row in UPGRADES])
def test_cluster_action(service: Standalone, cluster: Database, body: Any, status: int, word: str) -> None:
    refused(service, "POST", f"/clusters/{cluster.id}", body, status, word)
    assert cluster.record()["task"]["name"] == "NONE"


def test_specification_form(service: Standalone, cluster: Database) -> None:
    path = f"/cluster/{cluster.id}"
    refused(service, "PATCH", path, {"cluster": {}}, 400, "datastore_version")
    refused(service, "PATCH", path, {"cluster": {"datastore_version": UNKNOWN}}, 404, UNKNOWN)
    refused(service, "PATCH", f"/cluster/{UNKNOWN}", {"cluster": {"datastore_version": UNKNOWN}}, 404)


def test_shrink_below_the_minimum(service: Standalone, cluster: Database) -> None:
    leaving = [{"id": member["id"]} for member in cluster.members[:2]]
    refused(service, "POST", f"/clusters/{cluster.id}", {"shrink": leaving}, 400, "needs 6")


def test_member_is_not_upgraded_by_itself(service: Standalone, cluster: Database) -> None:
    member = cluster.members[0]["id"]
    body = {"instance": {"datastore_version": "8.1"}}
    refused(service, "PATCH", f"/instances/{member}", body, 422, cluster.id, "upgrade the cluster")
    assert service.request("DELETE", f"/instances/{member}").status_code == 501


CREATES = [
    ({"name": "x", "datastore": {"type": "redis", "version": "7.0"}, "volume": {"size": 1}}, 400, "flavor"),
    (
        {"name": "x", "flavorRef": "99", "datastore": {"type": "redis", "version": "7.0"}, "volume": {"size": 1}},
        400,
        "99",
    ),
    ({"name": "x", "flavorRef": "1", "datastore": {"type": "redis", "version": "7.0"}}, 400, "volume"),
    (
        {"name": "x", "flavorRef": "1", "datastore": {"type": "redis", "version": "7.0"}, "volume": {"size": 99}},
        413,
        "99",
    ),
    (
        {"name": "x", "flavorRef": "1", "datastore": {"type": "oracle", "version": "7.0"}, "volume": {"size": 1}},
        404,
        "oracle",
    ),
    (
        {"name": "!", "flavorRef": "1", "datastore": {"type": "redis", "version": "7.0"}, "volume": {"size": 1}},
        400,
        "name",
    ),
]


@pytest.mark.parametrize(("body", "status", "word"), CREATES, ids=[f"{row[1]}-{row[2]}" for row in CREATES])
def test_create(service: Standalone, body: Any, status: int, word: str) -> None:
    before = service.get("/instances")["instances"]
    refused(service, "POST", "/instances", {"instance": body}, status, word)
    assert service.get("/instances")["instances"] == before


def test_cluster_of_too_few(service: Standalone) -> None:
    size = {"flavorRef": "1", "volume": {"size": 1}}
    for datastore, version, count, word in (("mariadb", "11.8", 2, "at least 3"), ("redis", "7.0", 7, "not even")):
        body = {"name": "few", "datastore": {"type": datastore, "version": version}, "instances": [size] * count}
        refused(service, "POST", "/clusters", {"cluster": body}, 400, word)


def test_busy(service: Standalone, instance: Database) -> None:
    operation = instance.upgrade("8.0", hold=["finalize"])
    service.wait(operation, until=("HELD",))
    refused(service, "PATCH", f"/instances/{instance.id}", {"instance": {"datastore_version": "8.0"}}, 422, operation)
    refused(service, "POST", f"/instances/{instance.id}/action", {"restart": {}}, 422, operation)
    assert service.request("POST", f"/operations/{operation}/action", {"rollback": {}}).status_code == 202
    service.wait(operation, until=("ROLLED_BACK",))
    refused(service, "POST", f"/operations/{operation}/action", {"resume": {}}, 422, "ROLLED_BACK")
    assert instance.releases() == {"redis 7.0"}


def test_dry_run_tells_all_and_touches_nothing(service: Standalone, cluster: Database, instance: Database) -> None:
    answer = service.request(
        "PATCH", f"/instances/{instance.id}", {"instance": {"datastore_version": "8.0", "dry_run": True}}
    )
    plan = answer.json()["plan"]
    assert answer.status_code == 200
    assert plan["blockers"] == []
    assert [step["index"] for step in plan["steps"]] == list(range(len(plan["steps"])))
    assert plan["expected_write_gap_ms"] > 0
    refused_plan = service.request(
        "POST", f"/clusters/{cluster.id}", {"upgrade": {"datastore_version": "7.0", "dry_run": True}}
    ).json()["plan"]
    assert [blocker["code"] for blocker in refused_plan["blockers"]] == [400]
    assert instance.record()["status"] == "ACTIVE"
