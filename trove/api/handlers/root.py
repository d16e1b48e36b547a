"""Routes that need no token: version documents, health, the description of the API."""

from __future__ import annotations

from trove.api.context import PublicCall, Reply
from trove.api.views import versions as view


def versions(call: PublicCall) -> Reply:
    """List the versions of the API."""
    return Reply({"versions": [view.version(call.base)]})


def version(call: PublicCall) -> Reply:
    """Show the one version there is."""
    return Reply({"version": view.version(call.base)})


def healthcheck(call: PublicCall) -> Reply:
    """Tell whether the service can answer: its database does. Unavailable when not."""
    call.store.ping()
    return Reply({"status": "ok"})


def openapi(call: PublicCall) -> Reply:
    """Describe every route."""
    return Reply(call.description())
