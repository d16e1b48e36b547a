"""Bodies of quota requests."""

from __future__ import annotations

from trove.api.schemas.common import Schema, wrapped

UPDATE: Schema = {
    **wrapped(
        "quotas",
        {
            "type": "object",
            "description": 'an object like {"instances": 20}',
            "additionalProperties": {
                "type": ["integer", "null"],
                "minimum": -1,
                "maximum": 2**31 - 1,
                "description": "an integer of -1 (no limit) or more",
            },
        },
    ),
    "additionalProperties": False,
}
"""Which resources exist is judged by the handler: an unknown one is a 404 of its own."""
