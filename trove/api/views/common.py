"""Parts that all answers share: times, links, pages."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from urllib.parse import quote, urlencode

from trove.api.context import Call

Json = dict[str, Any]


def timestamp(time: datetime | None) -> str | None:
    """Write a naive UTC time without fraction and zone, as clients of this API parse it."""
    return time.isoformat(timespec="seconds") if time else None


def links(call: Call, kind: str, ref: str) -> list[Json]:
    """Return the two links every object carries; `kind` is the piece of its URL."""
    base = call.base
    return [
        {"rel": "self", "href": f"{base}/v1.0/{call.caller.project_id}/{kind}/{ref}"},
        {"rel": "bookmark", "href": f"{base}/{kind}/{ref}"},
    ]


def page(call: Call, collection: str, items: Sequence[Json], next_marker: str | None) -> Json:
    """Return one page of a collection, with its `next` link under both names that clients look for."""
    body: Json = {collection: items}
    if next_marker is not None:
        query = {name: call.text(name) for name in call.query if name not in ("marker", "limit")}
        query = {name: text for name, text in query.items() if text is not None}
        query["limit"] = str(call.limit())
        query["marker"] = next_marker
        following = [{"rel": "next", "href": f"{call.base}{quote(call.path)}?{urlencode(query)}"}]
        body["links"] = body[f"{collection}_links"] = following
    return body
