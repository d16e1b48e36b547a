"""Flavors as JSON."""

from __future__ import annotations

from trove.api.context import Call
from trove.api.views.common import Json, links
from trove.domain.datastores import Flavor


def flavor(call: Call, item: Flavor) -> Json:
    """Return a flavor. `id` is a number where the id looks like one, else null; `str_id` is always the id."""
    number = item.id.isascii() and item.id.isdigit() and (item.id == "0" or item.id[0] != "0")
    return {
        "id": int(item.id) if number and len(item.id) < 19 else None,
        "str_id": item.id,
        "name": item.name,
        "ram": item.ram,
        "vcpus": item.vcpus,
        "disk": item.disk,
        "ephemeral": 0,
        "links": links(call, "flavors", item.id),
    }
