"""Instances with their logs and metadata, and the users and databases in them and in clusters."""

from __future__ import annotations

import copy
from typing import Any

from troveclient.tests.osc.service.answers import (
    ID,
    Answer,
    Request,
    Routes,
    accepted,
    fault,
    fixed,
    listed,
    missing,
    shown,
)
from troveclient.tests.osc.service.ids import OPERATION, ORDERS, REPORTS, TWIN1, TWIN2
from troveclient.tests.osc.service.plans import PLAN


def instance(id: str, name: str, **more: Any) -> dict[str, Any]:
    return {
        "id": id,
        "name": name,
        "status": "ACTIVE",
        "operating_status": "HEALTHY",
        "flavor": {"id": "db.small", "links": []},
        "datastore": {"type": "mariadb", "version": "10.11", "version_number": "10.11.11"},
        "region": "here",
        "volume": {"size": 2, "used": 0.31},
        "addresses": [{"address": "127.10.0.11", "type": "private"}],
        "access": {"is_public": False},
        "created": "2031-04-09T08:15:30",
        "updated": "2031-04-09T08:21:02",
        "links": [],
        **more,
    }


GONE = "GONE"
INSTANCES = [
    instance(ORDERS, "orders", replicas=[{"id": REPORTS, "links": []}]),
    instance(REPORTS, "reports", replica_of={"id": ORDERS, "links": []}),
    instance(TWIN1, "twin"),
    instance(TWIN2, "twin", status="ERROR", fault={"message": "disk full", "created": "2031-04-09T08:21:02"}),
]
OF_EVERYBODY = [{**INSTANCES[0], "server": {"id": "vm-1"}, "tenant_id": "p9"}]
LOGS = [
    {
        "name": "general",
        "type": "USER",
        "status": "Disabled",
        "published": 0,
        "pending": 128,
        "container": "None",
        "prefix": "None",
        "metafile": f"{ORDERS}/mariadb-general_metafile",
    }
]
SSL = {"status": "on", "mode": "basic", "certificate": {"cn": "orders"}}
USERS = [
    {"name": "ann", "host": "%", "databases": [{"name": "orders"}, {"name": "stock"}]},
    {"name": "bob", "host": "%", "databases": []},
    {"name": "cas", "host": "10.0.0.5", "databases": []},
]
DATABASES = [{"name": "orders"}, {"name": "stock"}, {"name": "x.y"}]


def look(request: Request) -> Answer:
    """As it is seen after what it was told; see `told`."""
    answer, status = shown("instance", INSTANCES)(request), request.sight()
    if answer.status != 200 or status is None:
        return answer
    if status == GONE:
        return missing(f"{request.id} cannot be found.")
    found = {**answer.body["instance"], "status": status}
    if status == "ERROR":
        found["fault"] = {"message": "the engine did not start", "created": "2031-04-09T08:21:02"}
    return Answer(200, {"instance": found})


def create(request: Request) -> Answer:
    if request.body["instance"]["name"] == "too-many":
        return fault(413, "overLimit", "Quota exceeded for resources: ['instances'].")
    return Answer(200, {"instance": {**copy.deepcopy(INSTANCES[0]), "status": "BUILD"}})


def told(request: Request) -> Answer:
    """An instance that is told to do something: it is busy for two looks, then rests."""
    if request.method == "DELETE":
        request.sights[request.id] = ["SHUTDOWN", GONE]
        return Answer(202)
    record = (request.body or {}).get("instance", {})
    if "datastore_version" in record and request.project == "new":
        if record["datastore_version"] == "9.9":
            return missing("Datastore version 9.9 cannot be found.")
        if record.get("dry_run"):
            return Answer(200, {"plan": {**PLAN, "kind": "instance_upgrade"}})
        return Answer(202, None, {"Location": f"http://service/v1.0/new/operations/{OPERATION}"})
    request.sights[request.id] = ["REBOOT", "REBOOT", "ERROR" if request.id == REPORTS else "ACTIVE"]
    return Answer(202)


PLACE = rf"/(?:instances|clusters)/{ID}"
ROUTES: Routes = [
    (r"/instances(?:/detail)?", ("GET",), listed("instances", INSTANCES)),
    (r"/instances", ("POST",), create),
    (rf"/instances/{ID}", ("GET",), look),
    (rf"/instances/{ID}", ("PUT", "PATCH", "DELETE"), told),
    (rf"/instances/{ID}/action", ("POST",), told),
    (rf"/instances/{ID}/log", ("GET",), fixed("logs", LOGS)),
    (rf"/instances/{ID}/log", ("POST",), fixed("log", LOGS[0])),
    (rf"/instances/{ID}/ssl", ("GET",), fixed("ssl", SSL)),
    (rf"/instances/{ID}/ssl", ("POST",), fixed("ssl", {"status": "on", "mode": "mtls", "restart_required": True})),
    (rf"/instances/{ID}/metadata", ("GET",), fixed("metadata", {"team": "shop", "tier": 1})),
    (rf"/instances/{ID}/metadata/[^/]+", ("GET", "POST"), fixed("metadata", {"team": "shop"})),
    (rf"/instances/{ID}/metadata/[^/]+", ("PUT", "PATCH", "DELETE"), accepted),
    (r"/mgmt/instances", ("GET",), listed("instances", OF_EVERYBODY)),
    (rf"/mgmt/instances/{ID}/action", ("POST",), accepted),
    (rf"{PLACE}/root", ("GET",), fixed("", {"rootEnabled": True})),
    (rf"{PLACE}/root", ("POST",), fixed("user", {"name": "root", "password": "s3cret"})),
    (rf"{PLACE}/root", ("DELETE",), accepted),
    (rf"{PLACE}/databases", ("GET",), listed("databases", DATABASES)),
    (rf"{PLACE}/databases", ("POST",), accepted),
    (rf"{PLACE}/databases/.*", ("DELETE",), accepted),
    (rf"{PLACE}/users", ("GET",), listed("users", USERS)),
    (rf"{PLACE}/users", ("POST",), accepted),
    (rf"{PLACE}/users/[^/]+", ("GET",), fixed("user", USERS[0])),
    (rf"{PLACE}/users/[^/]+", ("PUT", "DELETE"), accepted),
    (rf"{PLACE}/users/[^/]+/databases", ("GET",), fixed("databases", DATABASES[:2])),
    (rf"{PLACE}/users/[^/]+/databases", ("PUT",), accepted),
    (rf"{PLACE}/users/[^/]+/databases/.*", ("DELETE",), accepted),
]
