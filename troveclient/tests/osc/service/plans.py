"""The plans of upgrades: one that can be carried out, one that cannot."""

from __future__ import annotations

from typing import Any

from troveclient.tests.osc.service.ids import SHOP, SHOP_MEMBERS

PLAN: dict[str, Any] = {
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
            "member": {"id": SHOP_MEMBERS[0], "name": "shop-member-1"},
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
BLOCKED: dict[str, Any] = {
    **PLAN,
    "to_version": "10.5",
    "point_of_no_return": None,
    "expected_write_gap_ms": None,
    "warnings": [],
    "steps": [],
    "blockers": [
        {"code": 400, "member": None, "reason": "10.5 is older than 10.11"},
        {"code": 422, "member": {"id": SHOP_MEMBERS[1], "name": "shop-member-2"}, "reason": "the engine is joining"},
    ],
}
