"""Create, use, change and delete each kind of database; each engine's own client is the witness."""

from __future__ import annotations

import pytest

from trove.datastores.registry import ENGINES
from trove.tests.service.databases import (
    Database,
    create_cluster,
    create_instance,
    idle,
    more_writes,
    until,
    write_and_read,
)
from trove.workload.standalone import Standalone

RELEASES = [release.key for engine in ENGINES for release in engine.releases]
SIZES = {"mariadb": {"flavorRef": "2", "volume": {"size": 1}}, "redis": {"flavorRef": "1", "volume": {"size": 1}}}


@pytest.mark.parametrize(("datastore", "version"), RELEASES, ids=["-".join(key) for key in RELEASES])
def test_single_instance(service: Standalone, datastore: str, version: str) -> None:
    database = create_instance(service, f"one-{datastore}-{version}", datastore, version)
    assert database.releases() == {f"{datastore} {version}"}
    record = database.record()
    assert record["status"] == "ACTIVE"
    assert record["version"].startswith(version + ".")
    write_and_read(database)
    database.action({"restart": {}})
    write_and_read(database)
    database.delete()


@pytest.mark.parametrize(
    ("datastore", "version", "members", "more"), [("mariadb", "11.8", 3, 1), ("redis", "7.0", 6, 2)]
)
def test_cluster_grows_restarts_shrinks(
    service: Standalone, datastore: str, version: str, members: int, more: int
) -> None:
    database = create_cluster(service, f"life-{datastore}", datastore, version, members)
    before = {member["id"] for member in database.members}
    with database.workload() as writers:
        more_writes(writers)
        database.action({"grow": [SIZES[datastore]] * more})
        database.record()
        assert len(database.members) == members + more
        assert database.releases() == {f"{datastore} {version}"}
        until(lambda: idle(database), "a healthy cluster after growing")
        database.action({"restart": {}})
        until(lambda: idle(database), "a healthy cluster after the restart")
        leaving = leaving_members(database, before)
        database.action({"shrink": [{"id": instance_id} for instance_id in leaving]})
        writers.stop()
        places = database.nodes if datastore == "mariadb" else ()
        found = writers.verify(places)
    assert found.ok, found.at
    assert writers.report().errors_with_retry == 0
    assert {member["id"] for member in database.record()["instances"]} & set(leaving) == set()
    assert len(database.members) == members
    write_and_read(database)
    database.delete()


def leaving_members(database: Database, before: set[str]) -> list[str]:
    """The members that came last, which are a whole shard where there are shards."""
    return [member["id"] for member in database.members if member["id"] not in before]


def test_nothing_is_left_after_delete(service: Standalone) -> None:
    database = create_instance(service, "gone", "redis", "7.0")
    directory = service.state_dir / "instances" / database.id
    assert directory.exists()
    database.delete()
    assert not directory.exists()
    [volumes] = [q for q in service.get("/mgmt/quotas/main")["quotas"] if q["resource"] == "volumes"]
    assert volumes["in_use"] == sum(
        instance["volume"]["size"] for instance in service.get("/instances?include_clustered=true")["instances"]
    )
