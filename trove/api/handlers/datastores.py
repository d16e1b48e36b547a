"""Datastores and versions: read only."""

from __future__ import annotations

from trove.api.context import Call, Reply
from trove.api.handlers import common
from trove.api.views import datastores as view
from trove.api.views import flavors as flavor_view
from trove.domain.datastores import Datastore
from trove.domain.errors import NotFound


def index(call: Call) -> Reply:
    """List datastores with their versions; inactive ones for administrators only."""
    found = call.store.datastores(include_inactive=call.caller.is_admin)
    return Reply({"datastores": [view.datastore(call, item) for item in found]})


def show(call: Call) -> Reply:
    """Show a datastore by id or name."""
    return Reply({"datastore": view.datastore(call, _datastore(call))})


def version_index(call: Call) -> Reply:
    """List a datastore's versions."""
    return Reply({"versions": [view.version(call, item) for item in view.visible(call, _datastore(call))]})


def version_show(call: Call) -> Reply:
    """Show a version by id or name within its datastore."""
    return Reply({"version": view.version(call, common.find_version(_datastore(call), call.params["version"]))})


def version_show_by_uuid(call: Call) -> Reply:
    """Show a version by its id alone."""
    ref = call.params["version"]
    if not common.is_uuid(ref):
        raise NotFound("datastore version", ref[:80], "this URL takes an id")
    return Reply({"version": view.version(call, call.store.version(ref.lower()))})


def version_flavors(call: Call) -> Reply:
    """List the flavors a version can be built with: all of them."""
    common.find_version(_datastore(call), call.params["version"])
    return Reply({"flavors": [flavor_view.flavor(call, item) for item in call.store.flavors()]})


def _datastore(call: Call) -> Datastore:
    return common.find_datastore(call, call.params["datastore"])
