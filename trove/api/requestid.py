"""The id every answer carries and every log line of its request shows."""

from __future__ import annotations

from uuid import uuid4

HEADER = "X-OpenStack-Request-Id"


def new_request_id() -> str:
    """Return a fresh id."""
    return f"req-{uuid4()}"
