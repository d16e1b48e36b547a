"""Quotas and limits as JSON."""

from __future__ import annotations

from collections.abc import Mapping

from trove.api.views.common import Json


def quotas(limits: Mapping[str, int], usage: Mapping[str, int]) -> list[Json]:
    """Return limits with what is in use. Nothing is ever reserved: use is counted from rows."""
    return [
        {"resource": resource, "in_use": usage.get(resource, 0), "reserved": 0, "limit": limit}
        for resource, limit in sorted(limits.items())
    ]


def limits(values: Mapping[str, int]) -> list[Json]:
    """Return the one entry of absolute limits; there are no rate limits."""
    return [{"verb": "ABSOLUTE", **{f"max_{resource}": limit for resource, limit in sorted(values.items())}}]
