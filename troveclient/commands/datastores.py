"""Commands of datastores and their versions."""

from __future__ import annotations

from typing import Any

from troveclient import exceptions, utils
from troveclient.commands.model import arg, define, everything, flag
from troveclient.commands.shapes import record

DATASTORE = arg("datastore", metavar="<datastore>", help="ID or name of the datastore.")
VERSION = arg(
    "datastore_version",
    metavar="<datastore_version>",
    help="ID or name of the datastore version; a name needs --datastore.",
)
OF_DATASTORE = arg(
    "--datastore",
    metavar="<datastore>",
    default=None,
    help="ID or name of the datastore; needed when the version is given by name.",
)


@define(columns=("ID", "Name"))
def list_datastores(ctx: Any, a: Any) -> Any:
    return [(item.id, item.name) for item in everything(ctx.client.datastores.list)]


@define(DATASTORE)
def show_datastore(ctx: Any, a: Any) -> Any:
    found = ctx.client.datastores.get(a.datastore)
    out = record(found)
    versions = out.pop("versions", None) or []
    names = {item["id"]: item.get("name") for item in versions}
    # The default may be a version that this caller is not shown.
    if out.get("default_version"):
        out["default_version"] = names.get(out["default_version"], out["default_version"])
    out["versions (id)"] = "\n".join(f"{item.get('name')} ({item['id']})" for item in versions)
    return out


@define(DATASTORE, columns=("ID", "Name", "Version"), trove_columns=("ID", "Name"))
def list_versions(ctx: Any, a: Any) -> Any:
    found = everything(ctx.client.datastore_versions.list, a.datastore)
    return [(item.id, item.name, item._info.get("version", "")) for item in found]


def resolve_version(ctx: Any, datastore: str | None, version: str) -> Any:
    """The version record by UUID, or by name together with its datastore. Raises NoUniqueMatch."""
    if datastore:
        return ctx.client.datastore_versions.get(datastore, version)
    if utils.is_uuid_like(version):
        return ctx.client.datastore_versions.get_by_uuid(version)
    raise exceptions.NoUniqueMatch(
        f"The datastore version {version!r} is a name, and several datastores may have one of that name. "
        "Add --datastore, or use its ID."
    )


@define(VERSION, OF_DATASTORE)
def show_version(ctx: Any, a: Any) -> Any:
    return record(resolve_version(ctx, a.datastore, a.datastore_version))


@define(DATASTORE)
def delete_datastore(ctx: Any, a: Any) -> None:
    """The service takes a name as well as an id."""
    ctx.client.datastores.delete(a.datastore)


@define(arg("datastore_version", metavar="<datastore_version>", help="ID of the datastore version."))
def delete_version(ctx: Any, a: Any) -> None:
    ctx.client.mgmt_ds_versions.delete(a.datastore_version)


def _tags(text: str | None) -> list[str] | None:
    return text.split(",") if text else None


@define(
    arg("version_name", metavar="<version_name>", help="Name of the new version."),
    arg("datastore_name", metavar="<datastore_name>", help="Name of the datastore; made when there is none."),
    arg("datastore_manager", metavar="<datastore_manager>", help="Manager that runs on the guest, such as mariadb."),
    arg("image_id", metavar="<image_id>", help="ID of the image; '' when --image-tags chooses it."),
    arg("--registry-ext", metavar="<registry_ext>", default=None, help="Extension for the datastore registry."),
    arg("--repl-strategy", metavar="<repl_strategy>", default=None, help="Extension for the replication strategy."),
    flag("--active", help="Users may choose the version."),
    arg("--image-tags", metavar="<image_tags>", default=None, help="Tags of the image, separated by commas."),
    flag("--default", help="Make it the default version of its datastore."),
    arg("--version-number", metavar="<version_number>", default=None, help="Version number, the name by default."),
)
def create_version(ctx: Any, a: Any) -> None:
    if not a.image_id and not a.image_tags:
        raise exceptions.CommandError("Give an image id, or '' together with --image-tags.")
    ctx.client.mgmt_ds_versions.create(
        a.version_name,
        a.datastore_name,
        a.datastore_manager,
        a.image_id,
        image_tags=_tags(a.image_tags) or [],
        active="true" if a.active else "false",
        default="true" if a.default else "false",
        registry_ext=a.registry_ext,
        repl_strategy=a.repl_strategy,
        version=a.version_number,
    )


@define(
    arg("datastore_version_id", metavar="<datastore_version>", help="ID of the datastore version."),
    arg("--datastore-manager", metavar="<datastore_manager>", default=None, help="Manager on the guest."),
    arg("--image", metavar="<image>", default=None, help="ID of the image."),
    arg("--image-tags", metavar="<image_tags>", default=None, help="Tags of the image, separated by commas."),
    arg("--registry-ext", metavar="<registry_ext>", default=None, help="Extension for the datastore registry."),
    arg("--repl-strategy", metavar="<repl_strategy>", default=None, help="Extension for the replication strategy."),
    arg("--version-name", metavar="<version_name>", default=None, help="New name of the version."),
    arg(
        "--enable",
        dest="enable",
        action="store_const",
        const="true",
        default=None,
        group="enable",
        help="Users may choose the version.",
    ),
    arg(
        "--disable",
        dest="enable",
        action="store_const",
        const="false",
        default=None,
        group="enable",
        help="Users may not choose the version.",
    ),
    arg(
        "--default",
        dest="is_default",
        action="store_const",
        const="true",
        default=None,
        group="default",
        help="Make it the default version of its datastore.",
    ),
    arg(
        "--non-default",
        dest="is_default",
        action="store_const",
        const="false",
        default=None,
        group="default",
        help="It is not the default version of its datastore.",
    ),
)
def set_version(ctx: Any, a: Any) -> None:
    ctx.client.mgmt_ds_versions.edit(
        a.datastore_version_id,
        datastore_manager=a.datastore_manager,
        image=a.image,
        image_tags=_tags(a.image_tags),
        active=a.enable,
        default=a.is_default,
        registry_ext=a.registry_ext,
        repl_strategy=a.repl_strategy,
        name=a.version_name,
    )
