"""Operations as they are seen from look to look."""

from __future__ import annotations

from typing import Any

from troveclient.tests.osc.service.answers import (
    ID,
    Answer,
    Handler,
    Request,
    Routes,
    fault,
    listed,
    missing,
    unknown_path,
)
from troveclient.tests.osc.service.clusters import MEMBERS
from troveclient.tests.osc.service.ids import BROKEN, HELD, OPERATION, SHOP
from troveclient.tests.osc.service.plans import PLAN


def operation(id: str, status: str, done: int, members: tuple[str, str, str], **more: Any) -> dict[str, Any]:
    """One sight of an upgrade: `members` are status and version of each, as in `ACTIVE 10.11`."""
    seen = [dict(zip(("status", "version"), text.split(), strict=True)) for text in members]
    return {
        "id": id,
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
            for at, step in enumerate(PLAN["steps"])
        ],
        "events": [{"at": "2031-05-02T12:00:01", "level": "info", "text": "started"}],
        **more,
    }


OLD3 = ("ACTIVE 10.11", "ACTIVE 10.11", "ACTIVE 10.11")
GOING = [
    operation(OPERATION, "RUNNING", 0, OLD3),
    operation(OPERATION, "RUNNING", 1, ("UPGRADE 10.11", *OLD3[1:]), status_text="shop-member-1: joining"),
    operation(OPERATION, "RUNNING", 1, ("ACTIVE 11.8", *OLD3[1:])),
    operation(OPERATION, "RUNNING", 2, ("ACTIVE 11.8",) * 3),
    operation(OPERATION, "SUCCEEDED", 3, ("ACTIVE 11.8",) * 3),
]
FAILING = [
    operation(BROKEN, "RUNNING", 1, ("UPGRADE 10.11", *OLD3[1:])),
    operation(BROKEN, "ROLLING_BACK", 1, OLD3),
    operation(BROKEN, "ROLLED_BACK", 1, OLD3, error="shop-member-1: the engine did not start: exit code 1"),
]
HOLDING = [operation(HELD, "HELD", 1, ("ACTIVE 11.8", *OLD3[1:]), status_text="hold after the canary", can_resume=True)]


def sights() -> dict[str, list[Any]]:
    """What is seen of each, from look to look."""
    return {OPERATION: list(GOING), HELD: list(HOLDING), BROKEN: list(FAILING)}


def of_new_servers(handler: Handler) -> Handler:
    return lambda request: unknown_path(request) if request.project == "old" else handler(request)


def look(request: Request) -> Answer:
    found = request.sight()
    return Answer(200, {"operation": found}) if found else missing(f"Operation {request.id} cannot be found.")


def told(request: Request) -> Answer:
    if request.id == OPERATION:
        return fault(422, "unprocessableEntity", "The operation has ended as SUCCEEDED.")
    if "resume" in request.body:
        end = operation(HELD, "SUCCEEDED", 3, OLD3)
    else:
        end = operation(HELD, "ROLLED_BACK", 3, OLD3, error="asked for")
    request.sights[HELD] = [end]
    return Answer(202, {"operation": operation(HELD, "RUNNING", 1, OLD3)})


ROUTES: Routes = [
    (r"/operations", ("GET",), of_new_servers(listed("operations", [GOING[-1], HOLDING[0]]))),
    (rf"/operations/{ID}", ("GET",), of_new_servers(look)),
    (rf"/operations/{ID}/action", ("POST",), told),
]
