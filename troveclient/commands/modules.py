"""Commands of modules."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from troveclient import exceptions
from troveclient.commands.instances import TROVE_COLUMNS, trove_row
from troveclient.commands.model import INSTANCE, LIMIT, MARKER, arg, define, flag, follow, positive, whole
from troveclient.commands.shapes import record

MODULE = arg("module", metavar="<module>", help="Name or ID of the module.")
ORDER = arg(
    "--apply-order",
    "--apply_order",
    dest="apply_order",
    metavar="{0..9}",
    type=whole,
    choices=range(10),
    default=None,
    help="Order of application among the modules, 0 to 9 (5).",
)
CLUSTERED = flag(
    "--include-clustered", "--include_clustered", dest="include_clustered", help="Members of clusters, too."
)
APPLIED = ("Name", "Type", "Datastore", "Version", "Status", "Message")
_APPLIED_FIELDS = ("name", "type", "datastore", "datastore_version", "status", "message")
RECORDED = ("ID", "Name", "Type", "md5", "created", "updated")
_RECORDED_FIELDS = ("id", "name", "type", "md5", "created", "updated")


def _row(item: Any, names: tuple[str, ...]) -> tuple[Any, ...]:
    return tuple(item._info.get(name) for name in names)


def contents_of(file: str) -> bytes:
    """Read a module's file. Raises CommandError when it cannot be read, ValidationError when it is empty."""
    try:
        found = Path(file).read_bytes()
    except OSError as error:
        raise exceptions.CommandError(f"Cannot read the module's file {file!r}: {error.strerror}") from error
    if not found:
        raise exceptions.ValidationError(f"The file {file!r} must contain some data.")
    return found


@define(
    arg(
        "--datastore",
        metavar="<datastore>",
        default=None,
        help="Only modules for this datastore (name or ID), or the word 'all' for those that fit every one.",
    ),
    columns=("ID", "Name", "Type", "Datastore", "Version", "Auto Apply", "Priority", "Order", "Admin"),
    admin_columns=(
        "ID",
        "Name",
        "Type",
        "Datastore",
        "Version",
        "Auto Apply",
        "Priority",
        "Order",
        "Admin",
        "Tenant",
        "Visible",
    ),
)
def list_modules(ctx: Any, a: Any) -> Any:
    datastore = a.datastore
    if datastore and datastore.lower() != "all":
        datastore = ctx.ref(ctx.client.datastores, datastore)
    found = ctx.client.modules.list(datastore=datastore)
    names = (
        "id",
        "name",
        "type",
        "datastore",
        "datastore_version",
        "auto_apply",
        "priority_apply",
        "apply_order",
        "is_admin",
    )
    if ctx.is_admin():
        return ctx.wide([_row(item, (*names, "tenant", "visible")) for item in found])
    return [_row(item, names) for item in found]


@define(MODULE)
def show_module(ctx: Any, a: Any) -> Any:
    return record(ctx.find(ctx.client.modules, a.module))


@define(
    arg("name", metavar="<name>", help="Name of the module."),
    arg("type", metavar="<type>", help="Type of the module: the driver that applies it."),
    arg("file", metavar="<filename>", help="File with the contents."),
    arg("--description", metavar="<description>", default=None, help="Description of the module."),
    arg("--datastore", metavar="<datastore>", default=None, help="Name or ID of the datastore it is for; all without."),
    arg(
        "--datastore-version",
        "--datastore_version",
        dest="datastore_version",
        metavar="<version>",
        default=None,
        help="Name or ID of the datastore version it is for; all without.",
    ),
    flag("--auto-apply", "--auto_apply", dest="auto_apply", help="Apply it to every new instance (administrators)."),
    flag("--all-tenants", "--all_tenants", dest="all_tenants", help="For every project (administrators)."),
    flag("--hidden", help="Do not show it to others (administrators)."),
    flag("--live-update", "--live_update", dest="live_update", help="It may change while it is applied."),
    flag(
        "--priority-apply",
        "--priority_apply",
        dest="priority_apply",
        help="Apply it before the others (administrators).",
    ),
    ORDER,
    flag("--full-access", "--full_access", dest="full_access", help="Only administrators may touch it."),
)
def create_module(ctx: Any, a: Any) -> Any:
    made = ctx.client.modules.create(
        a.name,
        a.type,
        contents_of(a.file),
        description=a.description,
        all_tenants=a.all_tenants,
        datastore=a.datastore,
        datastore_version=a.datastore_version,
        auto_apply=a.auto_apply,
        visible=not a.hidden,
        live_update=a.live_update,
        priority_apply=a.priority_apply,
        apply_order=5 if a.apply_order is None else a.apply_order,
        full_access=None if not a.full_access else True,
    )
    return record(made)


def _pair(name: str, text: str) -> tuple[Any, Any]:
    """The options --X and --no-X."""
    old, new = name, name.replace("_", "-")
    spell = (f"--{new}", f"--{old}") if new != old else (f"--{new}",)
    negated = (f"--no-{new}", f"--no_{old}")
    return (
        arg(*spell, dest=name, action="store_const", const=True, default=None, group=name, help=text),
        arg(*negated, dest=name, action="store_const", const=False, default=None, group=name, help=f"Not: {text}"),
    )


@define(
    MODULE,
    arg("--name", metavar="<name>", default=None, help="New name."),
    arg("--type", metavar="<type>", default=None, help="New type."),
    arg("--file", metavar="<filename>", default=None, help="File with the new contents."),
    arg("--description", metavar="<description>", default=None, help="New description."),
    arg("--datastore", metavar="<datastore>", default=None, group="datastore", help="Datastore it is for."),
    flag("--all-datastores", "--all_datastores", dest="all_datastores", group="datastore", help="For every datastore."),
    arg(
        "--datastore-version",
        "--datastore_version",
        dest="datastore_version",
        metavar="<version>",
        default=None,
        group="version",
        help="Datastore version it is for.",
    ),
    flag(
        "--all-datastore-versions",
        "--all_datastore_versions",
        dest="all_datastore_versions",
        group="version",
        help="For every datastore version.",
    ),
    *_pair("auto_apply", "Apply it to every new instance (administrators)."),
    *_pair("all_tenants", "For every project (administrators)."),
    *_pair("hidden", "Hide it from others (administrators)."),
    *_pair("live_update", "It may change while it is applied."),
    *_pair("priority_apply", "Apply it before the others (administrators)."),
    *_pair("full_access", "Only administrators may touch it."),
    ORDER,
)
def update_module(ctx: Any, a: Any) -> Any:
    from troveclient.v1.modules import Module

    given = {
        "name": a.name,
        "module_type": a.type,
        "contents": contents_of(a.file) if a.file else None,
        "description": a.description,
        "all_tenants": a.all_tenants,
        "auto_apply": a.auto_apply,
        "visible": None if a.hidden is None else not a.hidden,
        "live_update": a.live_update,
        "all_datastores": a.all_datastores or None,
        "all_datastore_versions": a.all_datastore_versions or None,
        "priority_apply": a.priority_apply,
        "apply_order": a.apply_order,
        "full_access": a.full_access,
    }
    given = {key: value for key, value in given.items() if value is not None}
    if not given and not a.datastore and not a.datastore_version:
        raise exceptions.CommandError("Nothing to change. Give at least one option (see --help).")
    made = ctx.client.modules.update(
        ctx.ref(ctx.client.modules, a.module),
        datastore=a.datastore or Module.NO_CHANGE_TO_ARG,
        datastore_version=a.datastore_version or Module.NO_CHANGE_TO_ARG,
        **given,
    )
    return record(made)


@define(MODULE)
def delete_module(ctx: Any, a: Any) -> None:
    ctx.client.modules.delete(ctx.ref(ctx.client.modules, a.module))


@define(MODULE, CLUSTERED, LIMIT, MARKER, columns=TROVE_COLUMNS, admin_columns=(*TROVE_COLUMNS, "Tenant ID"))
def list_module_instances(ctx: Any, a: Any) -> Any:
    found = follow(
        ctx.client.modules.instances,
        ctx.ref(ctx.client.modules, a.module),
        limit=a.limit,
        marker=a.marker,
        include_clustered=a.include_clustered,
    )
    if ctx.is_admin():
        return ctx.wide([(*trove_row(item), item._info.get("tenant_id", "")) for item in found])
    return [trove_row(item) for item in found]


@define(
    arg(
        "module",
        metavar="<module or instance>",
        help="Name or ID of a module, to list its instances; with --status of an instance, to ask its guest.",
    ),
    flag("--status", help="The argument is an instance; show the modules that its guest reports."),
    CLUSTERED,
    LIMIT,
    MARKER,
    columns=TROVE_COLUMNS,
    admin_columns=(*TROVE_COLUMNS, "Tenant ID"),
)
def list_module_instances_or_status(ctx: Any, a: Any) -> Any:
    """The specification has one name for two things, told apart by --status."""
    if not a.status:
        return list_module_instances(ctx, a)
    a.instance = a.module
    ctx.use_columns(query_modules.definition.columns)
    return query_modules(ctx, a)


@define(
    MODULE, CLUSTERED, columns=("Module Name", "Min Updated Date", "Max Updated Date", "Module MD5", "Current", "Count")
)
def count_instances(ctx: Any, a: Any) -> Any:
    found = ctx.client.modules.instances(
        ctx.ref(ctx.client.modules, a.module), include_clustered=a.include_clustered, count_only=True
    )
    names = ("module_name", "min_updated_date", "max_updated_date", "module_md5", "current", "instance_count")
    return [_row(item, names) for item in found]


@define(
    MODULE,
    arg("--md5", metavar="<md5>", default=None, help="Only where these contents are applied."),
    CLUSTERED,
    arg(
        "--batch-size",
        "--batch_size",
        dest="batch_size",
        metavar="<batch_size>",
        type=positive,
        default=None,
        help="How many instances at a time.",
    ),
    arg("--delay", metavar="<seconds>", type=whole, default=None, help="Seconds between batches."),
    flag("--force", help="Also where the contents are current."),
)
def reapply(ctx: Any, a: Any) -> None:
    ctx.client.modules.reapply(
        ctx.ref(ctx.client.modules, a.module),
        md5=a.md5,
        include_clustered=a.include_clustered or None,
        batch_size=a.batch_size,
        delay=a.delay,
        force=a.force or None,
    )


@define(INSTANCE, columns=RECORDED)
def list_of_instance(ctx: Any, a: Any) -> Any:
    found = ctx.client.instances.modules(ctx.ref(ctx.client.instances, a.instance))
    return [_row(item, _RECORDED_FIELDS) for item in found]


@define(INSTANCE, columns=(*APPLIED, "created", "updated"))
def query_modules(ctx: Any, a: Any) -> Any:
    found = ctx.client.instances.module_query(ctx.ref(ctx.client.instances, a.instance))
    return [_row(item, (*_APPLIED_FIELDS, "created", "updated")) for item in found]


@define(
    INSTANCE,
    arg("modules", metavar="<module>", nargs="+", help="Name or ID of a module; several may be given."),
    columns=APPLIED,
)
def apply_modules(ctx: Any, a: Any) -> Any:
    refs = [ctx.ref(ctx.client.modules, value) for value in a.modules]
    found = ctx.client.instances.module_apply(ctx.ref(ctx.client.instances, a.instance), refs)
    return [_row(item, _APPLIED_FIELDS) for item in found]


@define(INSTANCE, MODULE)
def remove_module(ctx: Any, a: Any) -> None:
    target = ctx.ref(ctx.client.instances, a.instance)
    ctx.client.instances.module_remove(target, ctx.ref(ctx.client.modules, a.module))


@define(
    INSTANCE,
    arg("--directory", metavar="<directory>", default=None, help="Where to write the files; made when missing."),
    arg("--prefix", metavar="<prefix>", default=None, help="Begin the file names with this."),
)
def retrieve_modules(ctx: Any, a: Any) -> None:
    target = ctx.ref(ctx.client.instances, a.instance)
    try:
        saved = ctx.client.instances.module_retrieve(target, a.directory, a.prefix)
    except OSError as error:
        raise exceptions.CommandError(f"Cannot write the modules: {error}") from error
    for name, file in saved.items():
        ctx.say(f"Module contents of {name} written to {file}")
