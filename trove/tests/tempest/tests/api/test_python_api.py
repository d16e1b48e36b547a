"""The Python API against a real service, as a program uses it: objects or ids, errors with codes."""

from __future__ import annotations

from typing import Any

import pytest
from keystoneauth1 import http_basic, session

from trove.tests.tempest.tests.api.terminal import Terminal
from trove.workload.standalone import Standalone
from troveclient import exceptions
from troveclient.v1 import client as trove_client

UNKNOWN = "11111111-2222-3333-4444-555555555555"
MORE_THAN_A_PAGE = 21


@pytest.fixture(scope="module")
def client(service: Standalone) -> Any:
    login = service.cloud["auth"]
    made = session.Session(
        auth=http_basic.HTTPBasicAuth(
            endpoint=login["endpoint"], username=login["username"], password=login["password"]
        )
    )
    return trove_client.Client(session=made)


def test_a_cluster_is_upgraded_by_its_object_and_that_of_a_version(
    client: Any, terminal: Terminal, standing: dict[str, str]
) -> None:
    member = {"flavorRef": client.flavors.find(name="db.tiny").id, "volume": {"size": 1}}
    made = client.clusters.create("python", "valkey", "8.1", instances=[member] * 6)
    terminal.service.done(client.operations.list(cluster_id=made.id)[0].id, 60)
    cluster = client.clusters.get(made)
    [version] = [item for item in client.datastore_versions.list("valkey") if item.name == "9.1"]
    plan = client.clusters.upgrade(cluster, version, dry_run=True)
    assert (plan["from_version"], plan["to_version"], plan["blockers"]) == ("8.1", "9.1", [])
    started = client.clusters.upgrade(cluster, version)
    assert started.id == cluster.id
    operation = terminal.service.done(started.operation_id, 120)
    assert operation["kind"] == "cluster_upgrade"
    after = client.clusters.find(name="python")
    assert (after.datastore["version"], after.task["name"]) == ("9.1", "NONE")
    assert {item["version"].rpartition(".")[0] for item in client.clusters.get(after.id).instances} == {"9.1"}
    with pytest.raises(exceptions.BadRequest, match="current version"):
        client.clusters.upgrade(cluster.id, version.id)
    client.clusters.rename(cluster, "snake")
    assert client.clusters.get(cluster).name == "snake"
    deleted = terminal.run("openstack database cluster delete snake --wait")
    assert deleted.code == 0, f"{deleted}"
    with pytest.raises(exceptions.NotFound):
        client.clusters.get(after.id)


def test_lists_of_several_pages_are_followed(client: Any, terminal: Terminal, standing: dict[str, str]) -> None:
    for _ in range(MORE_THAN_A_PAGE):
        client.instances.restart(standing["orders"])
        terminal.service.done(client.operations.list(instance_id=standing["orders"], limit=1)[0].id, 60)
    page = client.operations.list(instance_id=standing["orders"])
    assert len(page) < MORE_THAN_A_PAGE
    assert page.next
    rows = terminal.run("openstack database operation list --instance orders", as_json=True).json
    assert len({row["ID"] for row in rows}) == len(rows) > MORE_THAN_A_PAGE
    assert [row["ID"] for row in rows[: len(page)]] == [item.id for item in page]
    assert rows[-1]["Kind"] == "instance_create"
    older = terminal.run("trove operation-list --instance orders", as_json=True).json
    assert [row["ID"] for row in older] == [row["ID"] for row in rows]


def test_errors_carry_code_and_request_id(client: Any, standing: dict[str, str]) -> None:
    with pytest.raises(exceptions.NotFound) as missing:
        client.instances.get(UNKNOWN)
    assert (missing.value.code, missing.value.http_status) == (404, 404)
    assert missing.value.request_id.startswith("req-")
    with pytest.raises(exceptions.HttpError) as unsupported:
        client.clusters.resize_volume(standing["shop"], 2)
    assert unsupported.value.code == 501
    with pytest.raises(exceptions.NotFound, match="has nothing at"):
        client.backups.list()
