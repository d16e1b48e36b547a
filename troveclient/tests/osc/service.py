"""What the recorded service answers: fixed records, a few that change from question to question, and faults.

Project `new` filters lists by name and has operations. Project `old` is a released server: it ignores `name`, pages
two at a time and knows no operations.
"""

from __future__ import annotations

import base64
import copy
import re
from typing import Any

Answer = tuple[int, Any, dict[str, str]]


def uuid(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012d}"


MARIADB, VALKEY = uuid(901), uuid(902)
V1011, V118, V81 = uuid(911), uuid(912), uuid(913)
SHOP, CACHE = uuid(1), uuid(2)
ORDERS, REPORTS, TWIN1, TWIN2 = uuid(11), uuid(12), uuid(13), uuid(14)
BACKUP, GROUP, MODULE = uuid(31), uuid(41), uuid(51)
OPERATION, HELD, BROKEN = uuid(61), uuid(62), uuid(63)

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
MEMBERS = [
    {
        "id": uuid(20 + at),
        "name": f"shop-member-{at}",
        "type": "member",
        "status": "ACTIVE",
        "volume": {"size": 2},
        "flavor": {"id": "db.small", "links": []},
        "version": "10.11.11",
        "links": [],
    }
    for at in (1, 2, 3)
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


def instance(number: int, name: str, **more: Any) -> dict[str, Any]:
    return {
        "id": uuid(number),
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


INSTANCES = [
    instance(11, "orders", replicas=[{"id": REPORTS, "links": []}]),
    instance(12, "reports", replica_of={"id": ORDERS, "links": []}),
    instance(13, "twin"),
    instance(14, "twin", status="ERROR", fault={"message": "disk full", "created": "2031-04-09T08:21:02"}),
]
BACKUPS = [
    {
        "id": BACKUP,
        "name": "nightly",
        "description": None,
        "instance_id": ORDERS,
        "locationRef": None,
        "parent_id": None,
        "size": 0.29,
        "status": "COMPLETED",
        "created": "2031-04-10T01:00:00",
        "updated": "2031-04-10T01:02:41",
        "project_id": "new",
        "datastore": {"type": "mariadb", "version": "10.11", "version_id": V1011},
    }
]
GROUPS = [
    {
        "id": GROUP,
        "name": "oltp",
        "description": None,
        "values": {"max_connections": 250},
        "instance_count": 1,
        "datastore_name": "mariadb",
        "datastore_version_id": V1011,
        "datastore_version_name": "10.11",
        "datastore_version_number": "10.11.11",
        "created": "2031-04-09T08:00:00",
        "updated": "2031-04-09T08:00:00",
    }
]
MODULES = [
    {
        "id": MODULE,
        "name": "licence",
        "type": "ping",
        "description": None,
        "tenant": "new",
        "tenant_id": "new",
        "datastore": "all",
        "datastore_version": "all",
        "auto_apply": False,
        "priority_apply": False,
        "visible": True,
        "is_admin": False,
        "apply_order": 5,
        "md5": "0cc175b9",
        "created": "2031-04-09T08:00:00",
        "updated": "2031-04-09T08:00:00",
        "links": [],
    }
]
APPLIED = [
    {
        "id": MODULE,
        "name": "licence",
        "type": "ping",
        "datastore": "mariadb",
        "datastore_version": "10.11",
        "md5": "0cc175b9",
        "status": "OK",
        "message": "pong",
        "created": "2031-04-09T08:00:00",
        "updated": "2031-04-09T08:00:00",
        "contents": base64.b64encode(b"a licence").decode(),
    }
]
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
STRATEGIES = [{"project_id": "new", "instance_id": "", "backend": "swift", "swift_container": "here"}]
VOLUME_TYPES = [{"id": "fast", "name": "fast", "is_public": True, "description": None}]
SECGROUPS = [
    {
        "id": uuid(71),
        "name": "SecGroup_orders",
        "instance_id": ORDERS,
        "rules": [{"id": uuid(72), "protocol": "tcp", "from_port": 3306, "to_port": 3306, "cidr": "10.0.0.0/8"}],
        "links": [],
    }
]
PLAN = {
    "kind": "cluster_upgrade",
    "resource": {"type": "cluster", "id": SHOP, "name": "shop"},
    "from_version": "10.11",
    "to_version": "11.8",
    "hops": ["10.11", "11.8"],
    "blockers": [],
    "warnings": ["member shop-member-3 has 1.2 GB free"],
    "point_of_no_return": 2,
    "expected_write_gap_ms": 450,
    "steps": [
        {
            "index": 0,
            "phase": "stage",
            "name": "image.stage",
            "title": "Build the image of mariadb 11.8",
            "member": None,
            "deadline_seconds": 900,
            "undo": False,
        },
        {
            "index": 1,
            "phase": "member",
            "name": "member.rebuild",
            "title": "Rebuild on the new image",
            "member": {"id": uuid(21), "name": "shop-member-1"},
            "deadline_seconds": 300,
            "undo": True,
        },
        {
            "index": 2,
            "phase": "finalize",
            "name": "image.forget",
            "title": "Give up the old image",
            "member": None,
            "deadline_seconds": 60,
            "undo": False,
        },
    ],
}
BLOCKED = {
    **PLAN,
    "to_version": "10.5",
    "point_of_no_return": None,
    "expected_write_gap_ms": None,
    "warnings": [],
    "steps": [],
    "blockers": [
        {"code": 400, "member": None, "reason": "10.5 is older than 10.11"},
        {"code": 422, "member": {"id": uuid(22), "name": "shop-member-2"}, "reason": "the engine is joining"},
    ],
}


def operation(number: int, status: str, done: int, members: tuple[str, str, str], **more: Any) -> dict[str, Any]:
    """One sight of an upgrade: `members` are status and version of each, as in `ACTIVE 10.11`."""
    seen = [dict(zip(("status", "version"), text.split(), strict=True)) for text in members]
    return {
        "id": uuid(number),
        "kind": "cluster_upgrade",
        "status": status,
        "status_text": "",
        "resource": {"type": "cluster", "id": SHOP, "name": "shop"},
        "from_version": "10.11",
        "to_version": "11.8",
        "on_failure": "rollback",
        "progress": {"done": done, "total": 3},
        "point_of_no_return": {"index": 2, "passed": False},
        "can_resume": False,
        "can_rollback": status == "HELD",
        "error": None,
        "created": "2031-05-02T12:00:00",
        "started": "2031-05-02T12:00:01",
        "updated": "2031-05-02T12:00:09",
        "finished": None,
        "members": [{"id": m["id"], "name": m["name"], **now} for m, now in zip(MEMBERS, seen, strict=True)],
        "steps": [
            {
                **step,
                "status": "DONE" if at < done else "RUNNING" if at == done else "WAITING",
                "status_text": "",
                "started": None,
                "finished": None,
                "error": None,
                "attempts": 1,
            }
            for at, step in enumerate(PLAN["steps"])  # type: ignore[arg-type]
        ],
        "events": [{"at": "2031-05-02T12:00:01", "level": "info", "text": "started"}],
        **more,
    }


OLD3 = ("ACTIVE 10.11", "ACTIVE 10.11", "ACTIVE 10.11")
GOING = [
    operation(61, "RUNNING", 0, OLD3),
    operation(61, "RUNNING", 1, ("UPGRADE 10.11", *OLD3[1:]), status_text="shop-member-1: joining"),
    operation(61, "RUNNING", 1, ("ACTIVE 11.8", *OLD3[1:])),
    operation(61, "RUNNING", 2, ("ACTIVE 11.8",) * 3),
    operation(61, "SUCCEEDED", 3, ("ACTIVE 11.8",) * 3),
]
FAILING = [
    operation(63, "RUNNING", 1, ("UPGRADE 10.11", *OLD3[1:])),
    operation(63, "ROLLING_BACK", 1, OLD3),
    operation(63, "ROLLED_BACK", 1, OLD3, error="shop-member-1: the engine did not start: exit code 1"),
]
HOLDING = [operation(62, "HELD", 1, ("ACTIVE 11.8", *OLD3[1:]), status_text="hold after the canary", can_resume=True)]

COLLECTIONS: dict[str, tuple[str, list[dict[str, Any]]]] = {
    "instances": ("instance", INSTANCES),
    "clusters": ("cluster", CLUSTERS),
    "backups": ("backup", BACKUPS),
    "configurations": ("configuration", GROUPS),
    "datastores": ("datastore", DATASTORES),
    "flavors": ("flavor", FLAVORS),
    "modules": ("module", MODULES),
    "security-groups": ("security_group", SECGROUPS),
    "volume-types": ("volume_type", VOLUME_TYPES),
}


class Service:
    """Answers one command line; made anew for each, so that sequences begin at their beginning."""

    def __init__(self) -> None:
        self.operation = "61"
        self.sights: dict[str, list[Any]] = {"61": list(GOING), "62": list(HOLDING), "63": list(FAILING)}
        self.statuses: dict[str, list[str]] = {}
        self.resting = 0

    def answer(self, method: str, project: str, path: str, query: dict[str, str], body: Any) -> Answer:
        for pattern, methods, handler in ROUTES:
            match = re.fullmatch(pattern, path)
            if match and method in methods:
                result = handler(self, project, match, query, body, method)
                return result if len(result) == 3 else (*result, {})
        return fault(404, "itemNotFound", f"{method} {path} is not here")

    def page(self, project: str, key: str, items: list[dict[str, Any]], query: dict[str, str], path: str) -> Any:
        if "name" in query and project != "old":
            items = [item for item in items if item["name"] == query["name"]]
        limit = int(query.get("limit", 2 if project == "old" else 20))
        ids = [str(item.get("id", item.get("name"))) for item in items]
        start = ids.index(query["marker"]) + 1 if query.get("marker") in ids else 0
        found, rest = items[start : start + limit], items[start + limit :]
        answer: dict[str, Any] = {key: copy.deepcopy(found)}
        if rest:
            more = "".join(f"&{k}={v}" for k, v in query.items() if k not in ("marker", "limit"))
            href = f"http://service{path}?marker={ids[start + limit - 1]}&limit={limit}{more}"
            answer["links"] = [{"rel": "next", "href": href}]
        return 200, answer


def fault(status: int, key: str, message: str) -> Answer:
    body = {key: {"code": status, "message": message}}
    return status, body, {"X-OpenStack-Request-Id": "req-1"}


def collection(service: Service, project: str, match: Any, query: Any, body: Any, method: str) -> Any:
    name = match["name"]
    key = name.replace("-", "_")
    return service.page(project, key, COLLECTIONS[name][1], query, f"/{name}")


def member(service: Service, project: str, match: Any, query: Any, body: Any, method: str) -> Any:
    name, wanted = match["name"], match["id"]
    key, items = COLLECTIONS[name]
    for item in items:
        known = {str(item["id"]), item.get("str_id")} | ({item["name"]} if name == "datastores" else set())
        if wanted in known:
            found = copy.deepcopy(item)
            if service.statuses.get(wanted):
                found["status"] = service.statuses[wanted].pop(0)
                if found["status"] == "ERROR":
                    found["fault"] = {"message": "the engine did not start", "created": "2031-04-09T08:21:02"}
            if service.statuses.get(wanted) == [] and service.resting == 404:
                return fault(404, "itemNotFound", f"{wanted} cannot be found.")
            return 200, {key: found}
    return fault(404, "itemNotFound", f"Resource {wanted} cannot be found.")


def accepted(service: Service, project: str, match: Any, query: Any, body: Any, method: str) -> Any:
    return 202, None


def changed(service: Service, project: str, match: Any, query: Any, body: Any, method: str) -> Any:
    """An instance that is told to do something: it is busy for two looks, then rests."""
    wanted = match["id"]
    if method == "DELETE":
        service.resting = 404
        service.statuses[wanted] = ["SHUTDOWN", "SHUTDOWN"]
        return 202, None
    record = (body or {}).get("instance", {})
    if "datastore_version" in record and project == "new":
        if record["datastore_version"] == "9.9":
            return fault(404, "itemNotFound", "Datastore version 9.9 cannot be found.")
        if record.get("dry_run"):
            return 200, {"plan": {**PLAN, "kind": "instance_upgrade"}}
        return 202, None, {"Location": f"http://service/v1.0/new/operations/{OPERATION}"}
    service.statuses[wanted] = ["REBOOT", "REBOOT", "ERROR" if wanted == REPORTS else "ACTIVE"]
    return 202, None


def cluster_action(service: Service, project: str, match: Any, query: Any, body: Any, method: str) -> Any:
    if match["id"] == CACHE:
        return fault(422, "unprocessableEntity", "Cluster cache is busy: UPGRADING_CLUSTER.")
    ((verb, value),) = body.items()
    found = {"cluster": {**copy.deepcopy(CLUSTERS[0]), "task": {"id": 7, "name": "BUSY", "description": "busy"}}}
    if verb == "upgrade":
        version = value["datastore_version"]
        if version == "9.9":
            return fault(404, "itemNotFound", "Datastore version 9.9 cannot be found.")
        if value.get("dry_run"):
            return 200, {"plan": BLOCKED if version == "10.5" else PLAN}
        number = 63 if version == V118 else 62 if value.get("hold") else 61
        if project == "new":
            return 202, found, {"Location": f"http://service/v1.0/new/operations/{uuid(number)}"}
    return 202, found


def created(key: str, record: Any, status: int = 200) -> Any:
    def handler(service: Service, project: str, match: Any, query: Any, body: Any, method: str) -> Any:
        return status, {key: copy.deepcopy(record)}

    return handler


def made_instance(service: Service, project: str, match: Any, query: Any, body: Any, method: str) -> Any:
    if body["instance"]["name"] == "too-many":
        return fault(413, "overLimit", "Quota exceeded for resources: ['instances'].")
    return 200, {"instance": {**copy.deepcopy(INSTANCES[0]), "status": "BUILD"}}


def fixed(key: str, value: Any) -> Any:
    def handler(service: Service, project: str, match: Any, query: Any, body: Any, method: str) -> Any:
        return 200, {key: copy.deepcopy(value)} if key else copy.deepcopy(value)

    return handler


def listed(key: str, items: list[Any]) -> Any:
    def handler(service: Service, project: str, match: Any, query: Any, body: Any, method: str) -> Any:
        return service.page(project, key, items, query, match.group(0))

    return handler


def look(service: Service, project: str, match: Any, query: Any, body: Any, method: str) -> Any:
    if project == "old":
        return fault(404, "itemNotFound", "The resource could not be found.")
    sights = service.sights.get(match["id"][-2:])
    if not sights:
        return fault(404, "itemNotFound", f"Operation {match['id']} cannot be found.")
    return 200, {"operation": sights.pop(0) if len(sights) > 1 else sights[0]}


def operations(service: Service, project: str, match: Any, query: Any, body: Any, method: str) -> Any:
    if project == "old":
        return fault(404, "itemNotFound", "The resource could not be found.")
    return service.page(project, "operations", [GOING[-1], HOLDING[0]], query, "/operations")


def act(service: Service, project: str, match: Any, query: Any, body: Any, method: str) -> Any:
    if match["id"] == OPERATION:
        return fault(422, "unprocessableEntity", "The operation has ended as SUCCEEDED.")
    verb = next(iter(body))
    end = "SUCCEEDED" if verb == "resume" else "ROLLED_BACK"
    service.sights["62"] = [operation(62, end, 3, OLD3, error=None if verb == "resume" else "asked for")]
    return 202, {"operation": operation(62, "RUNNING", 1, OLD3)}


def reads_parameter(service: Service, project: str, match: Any, query: Any, body: Any, method: str) -> Any:
    for item in PARAMETERS:
        if item["name"] == match["key"]:
            return 200, item
    return fault(404, "itemNotFound", f"Parameter {match['key']} cannot be found.")


USERS = [
    {"name": "ann", "host": "%", "databases": [{"name": "orders"}, {"name": "stock"}]},
    {"name": "bob", "host": "%", "databases": []},
    {"name": "cas", "host": "10.0.0.5", "databases": []},
]
SSL = {"status": "on", "mode": "basic", "certificate": {"cn": "orders"}}
OF_EVERYBODY = [{**INSTANCES[0], "server": {"id": "vm-1"}, "tenant_id": "p9"}]
RULE = {
    "id": uuid(73),
    "security_group_id": uuid(71),
    "protocol": "tcp",
    "from_port": 3306,
    "to_port": 3306,
    "cidr": "10.1.0.0/16",
    "created": "2031-04-09",
}
NAMES = [{"name": "orders"}, {"name": "stock"}, {"name": "x.y"}]
ID = r"(?P<id>[^/]+)"
PLACE = rf"/(?:instances|clusters)/{ID}"
ROUTES: list[tuple[str, tuple[str, ...], Any]] = [
    (r"/(?P<name>instances)/detail", ("GET",), collection),
    (rf"/datastores/versions/{ID}", ("GET",), fixed("version", VERSIONS[0])),
    (rf"/datastores/{ID}/versions", ("GET",), listed("versions", VERSIONS)),
    (rf"/datastores/{ID}/versions/[^/]+", ("GET",), fixed("version", VERSIONS[0])),
    (r"/datastores/.*/parameters", ("GET",), fixed("configuration-parameters", PARAMETERS)),
    (r"/datastores/.*/parameters/(?P<key>[^/]+)", ("GET",), reads_parameter),
    (r"/datastores/.*/flavors", ("GET",), fixed("flavors", FLAVORS[:1])),
    (r"/datastores/.*/volume-types", ("GET",), fixed("volume_types", VOLUME_TYPES)),
    (r"/instances", ("POST",), made_instance),
    (rf"/instances/{ID}", ("PUT", "PATCH", "DELETE"), changed),
    (rf"/instances/{ID}/action", ("POST",), changed),
    (rf"/instances/{ID}/backups", ("GET",), listed("backups", BACKUPS)),
    (
        rf"/instances/{ID}/configuration",
        ("GET",),
        fixed("instance", {"configuration": {"max_connections": 100, "tmpdir": "/tmp"}}),
    ),
    (rf"/instances/{ID}/modules", ("GET", "POST"), fixed("modules", APPLIED)),
    (rf"/instances/{ID}/modules/[^/]+", ("DELETE",), accepted),
    (rf"/instances/{ID}/log", ("GET",), fixed("logs", LOGS)),
    (rf"/instances/{ID}/log", ("POST",), fixed("log", LOGS[0])),
    (
        rf"/instances/{ID}/ssl",
        ("GET",),
        fixed("ssl", SSL),
    ),
    (rf"/instances/{ID}/ssl", ("POST",), fixed("ssl", {"status": "on", "mode": "mtls", "restart_required": True})),
    (rf"{PLACE}/root", ("GET",), fixed("", {"rootEnabled": True})),
    (rf"{PLACE}/root", ("POST",), fixed("user", {"name": "root", "password": "s3cret"})),
    (rf"{PLACE}/root", ("DELETE",), accepted),
    (rf"{PLACE}/databases", ("GET",), listed("databases", NAMES)),
    (rf"{PLACE}/databases", ("POST",), accepted),
    (rf"{PLACE}/databases/.*", ("DELETE",), accepted),
    (rf"{PLACE}/users", ("GET",), listed("users", USERS)),
    (rf"{PLACE}/users", ("POST",), accepted),
    (rf"{PLACE}/users/[^/]+", ("GET",), fixed("user", USERS[0])),
    (rf"{PLACE}/users/[^/]+", ("PUT", "DELETE"), accepted),
    (rf"{PLACE}/users/[^/]+/databases", ("GET",), fixed("databases", NAMES[:2])),
    (rf"{PLACE}/users/[^/]+/databases", ("PUT",), accepted),
    (rf"{PLACE}/users/[^/]+/databases/.*", ("DELETE",), accepted),
    (rf"/instances/{ID}/metadata", ("GET",), fixed("metadata", {"team": "shop", "tier": 1})),
    (rf"/instances/{ID}/metadata/[^/]+", ("GET", "POST"), fixed("metadata", {"team": "shop"})),
    (rf"/instances/{ID}/metadata/[^/]+", ("PUT", "PATCH", "DELETE"), accepted),
    (r"/clusters", ("POST",), created("cluster", CLUSTERS[0])),
    (rf"/clusters/{ID}", ("POST",), cluster_action),
    (rf"/clusters/{ID}", ("PATCH", "DELETE"), accepted),
    (r"/operations", ("GET",), operations),
    (rf"/operations/{ID}/action", ("POST",), act),
    (r"/backups", ("POST",), created("backup", {**BACKUPS[0], "status": "NEW"}, 202)),
    (rf"/backups/{ID}", ("DELETE",), accepted),
    (r"/backup_strategies", ("GET",), fixed("backup_strategies", STRATEGIES)),
    (r"/backup_strategies", ("POST",), created("backup_strategy", STRATEGIES[0], 202)),
    (r"/backup_strategies", ("DELETE",), accepted),
    (r"/configurations", ("POST",), created("configuration", GROUPS[0])),
    (rf"/configurations/{ID}/instances", ("GET",), listed("instances", [{"id": ORDERS, "name": "orders"}])),
    (rf"/configurations/{uuid(41)}", ("PUT", "PATCH", "DELETE"), accepted),
    (r"/modules", ("POST",), created("module", MODULES[0])),
    (rf"/modules/{ID}", ("PUT",), created("module", MODULES[0])),
    (rf"/modules/{ID}", ("DELETE",), accepted),
    (rf"/modules/{ID}/instances", ("PUT",), accepted),
    (rf"/modules/{ID}/instances", ("GET",), None),
    (r"/limits", ("GET",), fixed("limits", LIMITS)),
    (rf"/mgmt/quotas/{ID}", ("GET",), fixed("quotas", QUOTAS)),
    (rf"/mgmt/quotas/{ID}", ("PUT",), fixed("quotas", {"instances": 20})),
    (
        r"/mgmt/instances",
        ("GET",),
        listed("instances", OF_EVERYBODY),
    ),
    (rf"/mgmt/instances/{ID}/action", ("POST",), accepted),
    (r"/mgmt/datastore-versions", ("POST",), accepted),
    (rf"/mgmt/datastore-versions/{ID}", ("PATCH", "DELETE"), accepted),
    (rf"/datastores/{ID}", ("DELETE",), accepted),
    (
        r"/security-group-rules",
        ("POST",),
        created("security_group_rule", [RULE]),
    ),
    (rf"/security-group-rules/{ID}", ("DELETE",), accepted),
    (rf"/(?P<name>[a-z-]+)/{ID}", ("GET",), None),
    (r"/(?P<name>[a-z-]+)", ("GET",), None),
]


def one_of(service: Service, project: str, match: Any, query: Any, body: Any, method: str) -> Any:
    if match["name"] == "operations":
        return look(service, project, match, query, body, method)
    if match["name"] not in COLLECTIONS:
        return fault(404, "itemNotFound", "The resource could not be found.")
    return member(service, project, match, query, body, method)


def all_of(service: Service, project: str, match: Any, query: Any, body: Any, method: str) -> Any:
    if match["name"] == "limits":
        return 200, {"limits": LIMITS}
    if match["name"] not in COLLECTIONS:
        return fault(404, "itemNotFound", "The resource could not be found.")
    return collection(service, project, match, query, body, method)


def module_instances(service: Service, project: str, match: Any, query: Any, body: Any, method: str) -> Any:
    if query.get("count_only"):
        count = {
            "module_name": "licence",
            "module_md5": "0cc175b9",
            "instance_count": 1,
            "current": True,
            "min_updated_date": "2031-04-09",
            "max_updated_date": "2031-04-09",
        }
        return 200, {"instances": [count]}
    return 200, {"instances": [copy.deepcopy(INSTANCES[0])]}


_LATE = {
    rf"/(?P<name>[a-z-]+)/{ID}": one_of,
    r"/(?P<name>[a-z-]+)": all_of,
    rf"/modules/{ID}/instances": module_instances,
}
ROUTES = [(pattern, methods, handler or _LATE[pattern]) for pattern, methods, handler in ROUTES]
