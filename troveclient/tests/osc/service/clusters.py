"""Clusters, and what they are told to do."""

from __future__ import annotations

import copy

from troveclient.tests.osc.service.answers import (
    ID,
    Answer,
    Request,
    Routes,
    accepted,
    created,
    fault,
    listed,
    missing,
    shown,
)
from troveclient.tests.osc.service.ids import BROKEN, CACHE, HELD, OPERATION, SHOP, SHOP_MEMBERS, V118
from troveclient.tests.osc.service.plans import BLOCKED, PLAN

MEMBERS = [
    {
        "id": member_id,
        "name": f"shop-member-{at}",
        "type": "member",
        "status": "ACTIVE",
        "volume": {"size": 2},
        "flavor": {"id": "db.small", "links": []},
        "version": "10.11.11",
        "links": [],
    }
    for at, member_id in enumerate(SHOP_MEMBERS, 1)
]
CLUSTERS = [
    {
        "id": SHOP,
        "name": "shop",
        "task": {"id": 1, "name": "NONE", "description": "No tasks for the cluster."},
        "datastore": {"type": "mariadb", "version": "10.11"},
        "created": "2031-05-02T10:00:00",
        "updated": "2031-05-02T10:12:40",
        "ip": [{"address": "127.10.0.21", "type": "private", "network": None}],
        "endpoint": {"address": "127.10.0.2", "port": 3306},
        "instances": MEMBERS,
        "links": [],
    },
    {
        "id": CACHE,
        "name": "cache",
        "task": {"id": 7, "name": "UPGRADING_CLUSTER", "description": "Upgrading the cluster to new version."},
        "datastore": {"type": "valkey", "version": "8.1"},
        "created": "2031-05-02T11:00:00",
        "updated": "2031-05-02T11:12:40",
        "instances": [],
        "links": [],
    },
]


def told(request: Request) -> Answer:
    if request.id == CACHE:
        return fault(422, "unprocessableEntity", "Cluster cache is busy: UPGRADING_CLUSTER.")
    ((verb, value),) = request.body.items()
    found = {"cluster": {**copy.deepcopy(CLUSTERS[0]), "task": {"id": 7, "name": "BUSY", "description": "busy"}}}
    if verb == "upgrade":
        version = value["datastore_version"]
        if version == "9.9":
            return missing("Datastore version 9.9 cannot be found.")
        if value.get("dry_run"):
            return Answer(200, {"plan": BLOCKED if version == "10.5" else PLAN})
        started = BROKEN if version == V118 else HELD if value.get("hold") else OPERATION
        if request.project == "new":
            return Answer(202, found, {"Location": f"http://service/v1.0/new/operations/{started}"})
    return Answer(202, found)


ROUTES: Routes = [
    (r"/clusters", ("GET",), listed("clusters", CLUSTERS)),
    (rf"/clusters/{ID}", ("GET",), shown("cluster", CLUSTERS)),
    (r"/clusters", ("POST",), created("cluster", CLUSTERS[0])),
    (rf"/clusters/{ID}", ("POST",), told),
    (rf"/clusters/{ID}", ("PATCH", "DELETE"), accepted),
]
