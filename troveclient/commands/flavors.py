"""Commands of flavors, volume types and limits."""

from __future__ import annotations

from typing import Any

from troveclient import exceptions
from troveclient.commands import output
from troveclient.commands.model import arg, define
from troveclient.commands.shapes import flavor, pick, record

OF_VERSION = (
    arg(
        "--datastore-type",
        "--datastore_type",
        metavar="<datastore_type>",
        default=None,
        help="Only what fits a version of this datastore (name or ID); needs --datastore-version-id.",
    ),
    arg(
        "--datastore-version-id",
        "--datastore_version_id",
        metavar="<datastore_version_id>",
        default=None,
        help="Only what fits this datastore version (ID); needs --datastore-type.",
    ),
)


def _both_or_none(a: Any) -> bool:
    if bool(a.datastore_type) != bool(a.datastore_version_id):
        missing = "datastore_version_id" if a.datastore_type else "datastore_type"
        raise exceptions.MissingArgs([missing])
    return bool(a.datastore_type)


@define(*OF_VERSION, columns=("ID", "Name", "RAM", "vCPUs", "Disk", "Ephemeral"))
def list_flavors(ctx: Any, a: Any) -> Any:
    manager = ctx.client.flavors
    if _both_or_none(a):
        found = manager.list_datastore_version_associated_flavors(
            datastore=a.datastore_type, version_id=a.datastore_version_id
        )
    else:
        found = manager.list()
    rows = [
        (item.id, item.name, item.ram, pick(item, "vcpus"), pick(item, "disk"), pick(item, "ephemeral"))
        for item in found
    ]
    return sorted(rows, key=lambda row: row[2] if isinstance(row[2], int) else 0) if ctx.shell == "trove" else rows


@define(arg("flavor", metavar="<flavor>", help="Name or ID of the flavor."))
def show_flavor(ctx: Any, a: Any) -> Any:
    return flavor(ctx.find(ctx.client.flavors, a.flavor))


@define(*OF_VERSION, columns=("ID", "Name", "Is Public", "Description"))
def list_volume_types(ctx: Any, a: Any) -> Any:
    manager = ctx.client.volume_types
    if _both_or_none(a):
        found = manager.list_datastore_version_associated_volume_types(
            datastore=a.datastore_type, version_id=a.datastore_version_id
        )
    else:
        found = manager.list()
    return [(item.id, item.name, pick(item, "is_public"), pick(item, "description")) for item in found]


@define(arg("volume_type", metavar="<volume_type>", help="Name or ID of the volume type."))
def show_volume_type(ctx: Any, a: Any) -> Any:
    return record(ctx.find(ctx.client.volume_types, a.volume_type))


@define(columns=("Value", "Verb", "Remaining", "Unit"))
def list_limits(ctx: Any, a: Any) -> Any:
    found = ctx.client.limits.list()
    absolute = [item for item in found if pick(item, "verb") == "ABSOLUTE"]
    rest = [item for item in found if item not in absolute]
    if absolute and ctx.table:
        # Beside a machine-readable list there is no place for a second table.
        values = {key: value for key, value in record(absolute[0]).items() if key != "verb"}
        ctx.say(output.table(("Property", "Value"), sorted(values.items())))
    return [tuple(pick(item, name) for name in ("value", "verb", "remaining", "unit")) for item in rest]
