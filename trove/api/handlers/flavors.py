"""Flavors: read only."""

from __future__ import annotations

from trove.api.context import Call, Reply
from trove.api.views import flavors as view


def index(call: Call) -> Reply:
    """List flavors."""
    return Reply({"flavors": [view.flavor(call, item) for item in call.store.flavors()]})


def show(call: Call) -> Reply:
    """Show a flavor by id or name."""
    return Reply({"flavor": view.flavor(call, call.store.flavor(call.params["flavor"]))})
