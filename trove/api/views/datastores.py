"""Datastores and their versions as JSON."""

from __future__ import annotations

from trove.api.context import Call
from trove.api.views.common import Json, links
from trove.domain.datastores import Datastore, DatastoreVersion


def datastore(call: Call, item: Datastore) -> Json:
    """Return a datastore with those of its versions that the caller may see."""
    body: Json = {
        "id": item.id,
        "name": item.name,
        "links": links(call, "datastores", item.id),
        "versions": [version(call, each, nested=True) for each in visible(call, item)],
    }
    if item.default_version_id:
        body["default_version"] = item.default_version_id
    return body


def version(call: Call, item: DatastoreVersion, nested: bool = False) -> Json:
    """Return a version; nested in its datastore it does not name it."""
    body: Json = {
        "id": item.id,
        "name": item.name,
        "version": item.number,
        "links": links(call, "datastores/versions", item.id),
    }
    if not nested:
        body["datastore"] = item.datastore_id
    if call.caller.is_admin:
        body |= {"active": item.active, "image": item.recipe, "image_tags": [], "packages": "", "repl_strategy": ""}
    return body


def visible(call: Call, item: Datastore) -> list[DatastoreVersion]:
    """Return the versions the caller may see: administrators also see inactive ones."""
    return [each for each in item.versions if each.active or call.caller.is_admin]
