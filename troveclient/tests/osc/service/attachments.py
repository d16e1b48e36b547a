"""What instances are given: backups, configuration groups, modules, security groups."""

from __future__ import annotations

import base64
import copy

from troveclient.tests.osc.service.answers import ID, Answer, Request, Routes, accepted, created, fixed, listed, shown
from troveclient.tests.osc.service.ids import BACKUP, GROUP, MODULE, NEW_RULE, ORDERS, RULE, SECGROUP, V1011
from troveclient.tests.osc.service.instances import INSTANCES

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
STRATEGIES = [{"project_id": "new", "instance_id": "", "backend": "swift", "swift_container": "here"}]
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
SECGROUPS = [
    {
        "id": SECGROUP,
        "name": "SecGroup_orders",
        "instance_id": ORDERS,
        "rules": [{"id": RULE, "protocol": "tcp", "from_port": 3306, "to_port": 3306, "cidr": "10.0.0.0/8"}],
        "links": [],
    }
]
ADDED_RULE = {
    "id": NEW_RULE,
    "security_group_id": SECGROUP,
    "protocol": "tcp",
    "from_port": 3306,
    "to_port": 3306,
    "cidr": "10.1.0.0/16",
    "created": "2031-04-09",
}


def module_instances(request: Request) -> Answer:
    if request.query.get("count_only"):
        count = {
            "module_name": "licence",
            "module_md5": "0cc175b9",
            "instance_count": 1,
            "current": True,
            "min_updated_date": "2031-04-09",
            "max_updated_date": "2031-04-09",
        }
        return Answer(200, {"instances": [count]})
    return Answer(200, {"instances": [copy.deepcopy(INSTANCES[0])]})


ROUTES: Routes = [
    (rf"/instances/{ID}/backups", ("GET",), listed("backups", BACKUPS)),
    (
        rf"/instances/{ID}/configuration",
        ("GET",),
        fixed("instance", {"configuration": {"max_connections": 100, "tmpdir": "/tmp"}}),
    ),
    (rf"/instances/{ID}/modules", ("GET", "POST"), fixed("modules", APPLIED)),
    (rf"/instances/{ID}/modules/[^/]+", ("DELETE",), accepted),
    (r"/backups", ("GET",), listed("backups", BACKUPS)),
    (rf"/backups/{ID}", ("GET",), shown("backup", BACKUPS)),
    (r"/backups", ("POST",), created("backup", {**BACKUPS[0], "status": "NEW"}, 202)),
    (rf"/backups/{ID}", ("DELETE",), accepted),
    (r"/backup_strategies", ("GET",), fixed("backup_strategies", STRATEGIES)),
    (r"/backup_strategies", ("POST",), created("backup_strategy", STRATEGIES[0], 202)),
    (r"/backup_strategies", ("DELETE",), accepted),
    (r"/configurations", ("GET",), listed("configurations", GROUPS)),
    (rf"/configurations/{ID}", ("GET",), shown("configuration", GROUPS)),
    (r"/configurations", ("POST",), created("configuration", GROUPS[0])),
    (rf"/configurations/{ID}/instances", ("GET",), listed("instances", [{"id": ORDERS, "name": "orders"}])),
    (rf"/configurations/{GROUP}", ("PUT", "PATCH", "DELETE"), accepted),
    (r"/modules", ("GET",), listed("modules", MODULES)),
    (rf"/modules/{ID}", ("GET",), shown("module", MODULES)),
    (r"/modules", ("POST",), created("module", MODULES[0])),
    (rf"/modules/{ID}", ("PUT",), created("module", MODULES[0])),
    (rf"/modules/{ID}", ("DELETE",), accepted),
    (rf"/modules/{ID}/instances", ("PUT",), accepted),
    (rf"/modules/{ID}/instances", ("GET",), module_instances),
    (r"/security-groups", ("GET",), listed("security_groups", SECGROUPS)),
    (rf"/security-groups/{ID}", ("GET",), shown("security_group", SECGROUPS)),
    (r"/security-group-rules", ("POST",), created("security_group_rule", [ADDED_RULE])),
    (rf"/security-group-rules/{ID}", ("DELETE",), accepted),
]
