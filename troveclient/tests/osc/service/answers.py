"""How requests are answered: pages, single records, faults, and what changes from look to look."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from typing import Any, NamedTuple

ID = r"(?P<id>[^/]+)"


class Request(NamedTuple):
    """One request, and what those before it have changed."""

    sights: dict[str, list[Any]]
    """By id, what is still to be seen of it."""
    method: str
    project: str
    match: re.Match[str]
    query: dict[str, str]
    body: Any

    @property
    def id(self) -> str:
        return self.match["id"]

    def sight(self) -> Any:
        """What is seen next of what the path names; the last sight stays. None where nothing has changed it."""
        left = self.sights.get(self.id)
        if not left:
            return None
        return left.pop(0) if len(left) > 1 else left[0]


class Answer(NamedTuple):
    status: int
    body: Any = None
    headers: dict[str, str] = {}


Handler = Callable[[Request], Answer]
Routes = list[tuple[str, tuple[str, ...], Handler]]
"""Pattern of the path, methods, who answers."""


def fault(status: int, key: str, message: str) -> Answer:
    return Answer(status, {key: {"code": status, "message": message}}, {"X-OpenStack-Request-Id": "req-1"})


def missing(message: str) -> Answer:
    return fault(404, "itemNotFound", message)


def unknown_path(_: Request) -> Answer:
    return missing("The resource could not be found.")


def accepted(_: Request) -> Answer:
    return Answer(202)


def created(key: str, record: Any, status: int = 200) -> Handler:
    return lambda _: Answer(status, {key: copy.deepcopy(record)})


def fixed(key: str, value: Any) -> Handler:
    return lambda _: Answer(200, {key: copy.deepcopy(value)} if key else copy.deepcopy(value))


def listed(key: str, items: list[Any]) -> Handler:
    return lambda request: page(request, key, items)


def shown(key: str, items: list[dict[str, Any]], also: str = "id") -> Handler:
    """One of the items, by its id or another field."""

    def handler(request: Request) -> Answer:
        for item in items:
            if request.id in (str(item["id"]), item[also]):
                return Answer(200, {key: copy.deepcopy(item)})
        return missing(f"Resource {request.id} cannot be found.")

    return handler


def page(request: Request, key: str, items: list[dict[str, Any]]) -> Answer:
    query, old = request.query, request.project == "old"
    if "name" in query and not old:
        items = [item for item in items if item["name"] == query["name"]]
    limit = int(query.get("limit", 2 if old else 20))
    ids = [str(item.get("id", item.get("name"))) for item in items]
    start = ids.index(query["marker"]) + 1 if query.get("marker") in ids else 0
    found, rest = items[start : start + limit], items[start + limit :]
    body: dict[str, Any] = {key: copy.deepcopy(found)}
    if rest:
        more = "".join(f"&{k}={v}" for k, v in query.items() if k not in ("marker", "limit"))
        href = f"http://service{request.match[0]}?marker={ids[start + limit - 1]}&limit={limit}{more}"
        body["links"] = [{"rel": "next", "href": href}]
    return Answer(200, body)
