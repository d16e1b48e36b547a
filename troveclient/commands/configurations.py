"""Commands of configuration groups and parameters."""

from __future__ import annotations

import json
from typing import Any

from troveclient import exceptions, utils
from troveclient.commands.model import INSTANCE, LIMIT, MARKER, arg, define, flag, follow
from troveclient.commands.shapes import record

GROUP = arg("configuration_group", metavar="<configuration_group>", help="Name or ID of the configuration group.")
VALUES = arg("values", metavar="<values>", help="The values as a JSON object, such as '{\"max_connections\": 250}'.")
VERSION = arg(
    "datastore_version",
    metavar="<datastore_version>",
    help="ID of the datastore version, or its name together with --datastore.",
)
OF_DATASTORE = arg(
    "--datastore",
    metavar="<datastore>",
    default=None,
    help="Name or ID of the datastore; needed when the version is given by name.",
)


def _group(obj: Any) -> dict[str, Any]:
    out = record(obj)
    out.pop("datastore_version_id", None)
    out["values"] = json.dumps(out.get("values", {}))
    return out


def _defaults(found: Any) -> dict[str, Any]:
    values: dict[str, Any] = found.configuration
    return values


@define(
    LIMIT,
    MARKER,
    arg(
        "--instance",
        metavar="<configuration_group>",
        dest="group",
        default=None,
        help="List the instances that this configuration group is attached to instead of the groups.",
    ),
    columns=("ID", "Name", "Description", "Datastore Name", "Datastore Version Name", "Datastore Version Number"),
    trove_columns=("ID", "Name", "Description", "Datastore Name", "Datastore Version Name"),
)
def list_groups(ctx: Any, a: Any) -> Any:
    if getattr(a, "group", None):
        a.configuration_group = a.group
        ctx.use_columns(list_group_instances.definition.columns)
        return list_group_instances(ctx, a)
    names = ("id", "name", "description", "datastore_name", "datastore_version_name", "datastore_version_number")
    found = follow(ctx.client.configurations.list, limit=a.limit, marker=a.marker)
    return [tuple(item._info.get(name) for name in names) for item in found]


@define(GROUP, LIMIT, MARKER, columns=("ID", "Name"))
def list_group_instances(ctx: Any, a: Any) -> Any:
    target = ctx.ref(ctx.client.configurations, a.configuration_group)
    found = follow(ctx.client.configurations.instances, target, limit=a.limit, marker=a.marker)
    return [(item.id, item.name) for item in found]


@define(GROUP)
def show_group(ctx: Any, a: Any) -> Any:
    return _group(ctx.find(ctx.client.configurations, a.configuration_group))


@define(
    arg(
        "configuration_group",
        metavar="<configuration_group or instance>",
        nargs="?",
        default=None,
        help="Name or ID of a configuration group; or of an instance, to show its default parameters.",
    ),
    arg(
        "--instance",
        metavar="<instance>",
        default=None,
        help="Show the default parameters of this instance (name or ID).",
    ),
)
def show_group_or_defaults(ctx: Any, a: Any) -> Any:
    """The specification has one name for two things: a group first, then an instance."""
    given = a.configuration_group
    if getattr(a, "instance", None):
        return _defaults(ctx.client.instances.configuration(ctx.ref(ctx.client.instances, a.instance)))
    if not given:
        raise exceptions.CommandError("Give a configuration group or an instance (name or ID).")
    try:
        return _group(ctx.find(ctx.client.configurations, given))
    except Exception as error:
        if type(error).__name__ not in ("CommandError", "NotFound") or "More than one" in str(error):
            raise
        try:
            target = ctx.ref(ctx.client.instances, given)
            return _defaults(ctx.client.instances.configuration(target))
        except Exception:
            raise error from None


@define(INSTANCE)
def show_defaults(ctx: Any, a: Any) -> Any:
    return _defaults(ctx.client.instances.configuration(ctx.ref(ctx.client.instances, a.instance)))


@define(
    arg("name", metavar="<name>", help="Name of the configuration group."),
    VALUES,
    arg("--datastore", metavar="<datastore>", default=None, help="Name or ID of the datastore it is for."),
    arg(
        "--datastore-version",
        "--datastore_version",
        metavar="<datastore_version>",
        default=None,
        help="ID of the datastore version it is for.",
    ),
    arg(
        "--datastore-version-number",
        metavar="<number>",
        default=None,
        help="Number of the datastore version, when several have the same name.",
    ),
    arg("--description", metavar="<description>", default=None, help="Description of the group."),
)
def create_group(ctx: Any, a: Any) -> Any:
    made = ctx.client.configurations.create(
        a.name,
        a.values,
        description=a.description,
        datastore=a.datastore,
        datastore_version=a.datastore_version,
        datastore_version_number=a.datastore_version_number,
    )
    return _group(made)


@define(GROUP)
def delete_group(ctx: Any, a: Any) -> None:
    try:
        ctx.client.configurations.delete(ctx.ref(ctx.client.configurations, a.configuration_group))
    except Exception as error:
        raise exceptions.CommandError(f"Failed to delete configuration {a.configuration_group}: {error}") from error


def _id_first(ctx: Any, value: str, act: Any) -> None:
    """Do something to a group: the value is tried as an id, then looked up as a name."""
    if utils.is_uuid_like(value):
        act(value)
        return
    try:
        act(value)
    except exceptions.NotFound:
        act(ctx.ref(ctx.client.configurations, value))


@define(
    arg("configuration_group_id", metavar="<configuration_group>", help="ID or name of the configuration group."),
    VALUES,
)
def patch_group(ctx: Any, a: Any) -> None:
    _id_first(ctx, a.configuration_group_id, lambda ref: ctx.client.configurations.edit(ref, a.values))


@define(
    arg("configuration_group_id", metavar="<configuration_group>", help="ID or name of the configuration group."),
    VALUES,
    arg("--name", metavar="<name>", default=None, help="New name of the group."),
    arg("--description", metavar="<description>", default=None, help="New description of the group."),
    flag("--patch", help="Set these values and keep the others, instead of replacing all."),
)
def set_group(ctx: Any, a: Any) -> None:
    if getattr(a, "patch", False):
        if a.name or a.description:
            raise exceptions.CommandError("--patch changes values only: set name and description without it.")
        patch_group(ctx, a)
        return
    _id_first(
        ctx,
        a.configuration_group_id,
        lambda ref: ctx.client.configurations.update(ref, a.values, name=a.name, description=a.description),
    )


@define(INSTANCE, arg("configuration", metavar="<configuration>", help="Name or ID of the configuration group."))
def attach(ctx: Any, a: Any) -> None:
    target = ctx.ref(ctx.client.instances, a.instance)
    ctx.client.instances.update(target, configuration=ctx.ref(ctx.client.configurations, a.configuration))


@define(INSTANCE)
def detach(ctx: Any, a: Any) -> None:
    ctx.client.instances.update(ctx.ref(ctx.client.instances, a.instance), remove_configuration=True)


def _need_datastore(a: Any) -> None:
    if not a.datastore and not utils.is_uuid_like(a.datastore_version):
        raise exceptions.NoUniqueMatch(
            f"The datastore version {a.datastore_version!r} is a name: add --datastore, or use its ID."
        )


@define(VERSION, OF_DATASTORE, columns=("Name", "Type", "Min Size", "Max Size", "Restart Required"))
def list_parameters(ctx: Any, a: Any) -> Any:
    _need_datastore(a)
    manager = ctx.client.configuration_parameters
    if a.datastore:
        found = manager.parameters(a.datastore, a.datastore_version)
    else:
        found = manager.parameters_by_version(a.datastore_version)
    rows = []
    for item in found:
        info = item._info
        low, high = (info.get(key, info.get(f"{key}_size", "-")) for key in ("min", "max"))
        rows.append((info["name"], info.get("type"), low, high, info.get("restart_required")))
    return rows


@define(VERSION, arg("parameter", metavar="<parameter>", help="Name of the parameter."), OF_DATASTORE)
def show_parameter(ctx: Any, a: Any) -> Any:
    _need_datastore(a)
    manager = ctx.client.configuration_parameters
    if a.datastore:
        return record(manager.get_parameter(a.datastore, a.datastore_version, a.parameter))
    return record(manager.get_parameter_by_version(a.datastore_version, a.parameter))
