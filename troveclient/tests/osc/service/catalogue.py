"""What a project may use: datastores with their versions and parameters, flavors, volume types, limits."""

from __future__ import annotations

from troveclient.tests.osc.service.answers import ID, Answer, Request, Routes, accepted, fixed, listed, missing, shown
from troveclient.tests.osc.service.ids import MARIADB, V118, V1011, VALKEY, uuid

DATASTORES = [
    {
        "id": MARIADB,
        "name": "mariadb",
        "default_version": V118,
        "links": [],
        "versions": [{"id": V1011, "name": "10.11", "links": []}, {"id": V118, "name": "11.8", "links": []}],
    },
    {"id": VALKEY, "name": "valkey", "default_version": uuid(999), "links": [], "versions": []},
]
VERSIONS = [
    {"id": V1011, "name": "10.11", "version": "10.11.11", "datastore": MARIADB, "links": []},
    {"id": V118, "name": "11.8", "version": "11.8.2", "datastore": MARIADB, "links": []},
]
FLAVORS = [
    {"id": None, "str_id": "db.small", "name": "small", "ram": 512, "vcpus": 1, "disk": 0, "ephemeral": 0, "links": []},
    {"id": 2, "str_id": "2", "name": "large", "ram": 2048, "vcpus": 2, "disk": 0, "ephemeral": 0, "links": []},
]
VOLUME_TYPES = [{"id": "fast", "name": "fast", "is_public": True, "description": None}]
PARAMETERS = [
    {
        "name": "max_connections",
        "type": "integer",
        "min": 1,
        "max": 65535,
        "restart_required": False,
        "datastore_version_id": V1011,
    },
    {"name": "sql_mode", "type": "string", "restart_required": False, "datastore_version_id": V1011},
]
LIMITS = [
    {"verb": "ABSOLUTE", "max_instances": 10, "max_backups": 50},
    {"verb": "GET", "uri": "*", "regex": ".*", "value": 200, "remaining": 187, "unit": "MINUTE"},
]
QUOTAS = [{"resource": "instances", "in_use": 3, "reserved": 0, "limit": 10}]


def parameter(request: Request) -> Answer:
    for item in PARAMETERS:
        if item["name"] == request.match["key"]:
            return Answer(200, item)
    return missing(f"Parameter {request.match['key']} cannot be found.")


ROUTES: Routes = [
    (r"/datastores", ("GET",), listed("datastores", DATASTORES)),
    (rf"/datastores/{ID}", ("GET",), shown("datastore", DATASTORES, "name")),
    (rf"/datastores/{ID}", ("DELETE",), accepted),
    (rf"/datastores/versions/{ID}", ("GET",), fixed("version", VERSIONS[0])),
    (rf"/datastores/{ID}/versions", ("GET",), listed("versions", VERSIONS)),
    (rf"/datastores/{ID}/versions/[^/]+", ("GET",), fixed("version", VERSIONS[0])),
    (r"/datastores/.*/parameters", ("GET",), fixed("configuration-parameters", PARAMETERS)),
    (r"/datastores/.*/parameters/(?P<key>[^/]+)", ("GET",), parameter),
    (r"/datastores/.*/flavors", ("GET",), fixed("flavors", FLAVORS[:1])),
    (r"/datastores/.*/volume-types", ("GET",), fixed("volume_types", VOLUME_TYPES)),
    (r"/flavors", ("GET",), listed("flavors", FLAVORS)),
    (rf"/flavors/{ID}", ("GET",), shown("flavor", FLAVORS, "str_id")),
    (r"/volume-types", ("GET",), listed("volume_types", VOLUME_TYPES)),
    (rf"/volume-types/{ID}", ("GET",), shown("volume_type", VOLUME_TYPES)),
    (r"/limits", ("GET",), fixed("limits", LIMITS)),
    (rf"/mgmt/quotas/{ID}", ("GET",), fixed("quotas", QUOTAS)),
    (rf"/mgmt/quotas/{ID}", ("PUT",), fixed("quotas", {"instances": 20})),
    (r"/mgmt/datastore-versions", ("POST",), accepted),
    (rf"/mgmt/datastore-versions/{ID}", ("PATCH", "DELETE"), accepted),
]
