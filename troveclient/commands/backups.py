"""Commands of backups, backup strategies and schedules."""

from __future__ import annotations

from typing import Any

from troveclient import exceptions, utils
from troveclient.commands.model import INSTANCE, LIMIT, MARKER, arg, define, flag, follow
from troveclient.commands.several import each
from troveclient.commands.shapes import backup, record

BACKUP = arg("backup", metavar="<backup>", help="Name or ID of the backup.")
COLUMNS = ("ID", "Instance ID", "Name", "Status", "Parent ID", "Updated")
FIELDS = ("id", "instance_id", "name", "status", "parent_id", "updated")


def _row(item: Any, *more: str) -> tuple[Any, ...]:
    return tuple(item._info.get(name) for name in (*FIELDS, *more))


FILTERS = (
    LIMIT,
    MARKER,
    arg("--datastore", metavar="<datastore>", default=None, help="Only backups of this datastore (name or ID)."),
    arg(
        "-i",
        "--instance",
        "--instance-id",
        dest="instance",
        metavar="<instance>",
        default=None,
        help="Only backups of this instance (name or ID).",
    ),
    flag("--all-projects", help="Show the backups of every project (administrators)."),
    arg("--project-id", metavar="<project>", default=None, help="Show the backups of this project (administrators)."),
)


@define(
    *FILTERS,
    arg(
        "instance_word",
        metavar="<instance>",
        nargs="?",
        default=None,
        help="Only backups of this instance (name or ID); the same as --instance.",
    ),
    columns=(*COLUMNS, "Project ID"),
    trove_columns=COLUMNS,
    intermixed=True,
)
def list_backups(ctx: Any, a: Any) -> Any:
    given = a.instance or getattr(a, "instance_word", None)
    found = follow(
        ctx.client.backups.list,
        limit=a.limit,
        marker=a.marker,
        datastore=a.datastore,
        instance_id=utils.get_resource_id(ctx.client.instances, given) if given else None,
        all_projects=a.all_projects,
        project_id=a.project_id,
    )
    return [_row(item, "project_id") for item in found]


@define(INSTANCE, LIMIT, MARKER, columns=COLUMNS, trove_columns=("ID", "Name", "Status", "Parent ID", "Updated"))
def list_instance_backups(ctx: Any, a: Any) -> Any:
    target = ctx.ref(ctx.client.instances, a.instance)
    rows = [_row(item) for item in follow(ctx.client.instances.backups, target, limit=a.limit, marker=a.marker)]
    return [(row[0], *row[2:]) for row in rows] if ctx.shell == "trove" else rows


@define(BACKUP)
def show_backup(ctx: Any, a: Any) -> Any:
    return backup(ctx.find(ctx.client.backups, a.backup))


@define(arg("backup", metavar="<backup>", nargs="+", help="Name or ID of the backup; several may be given."))
def delete_backup(ctx: Any, a: Any) -> None:
    each(ctx, a.backup, "backup", lambda value: ctx.client.backups.delete(ctx.ref(ctx.client.backups, value)))


@define(
    arg(
        "instance_word",
        metavar="<instance>",
        nargs="?",
        default=None,
        help="Name or ID of the instance to back up (or --instance).",
    ),
    arg("name", metavar="<name>", help="Name of the backup."),
    arg(
        "-i",
        "--instance",
        dest="instance",
        metavar="<instance>",
        default=None,
        help="Name or ID of the instance to back up; not with --restore-from.",
    ),
    arg("--description", metavar="<description>", default=None, help="Description of the backup."),
    arg("--parent", metavar="<parent>", default=None, help="ID of the backup that an incremental one builds on."),
    flag("--incremental", help="Back up what changed since the last backup only."),
    arg(
        "--swift-container",
        "--swift_container",
        metavar="<swift_container>",
        default=None,
        help="Container of object storage that takes the backup.",
    ),
    arg("--storage-driver", metavar="<storage_driver>", default=None, help="Where the backup goes."),
    arg(
        "--restore-from",
        metavar="<restore_from>",
        default=None,
        help="Location of a backup that exists already; makes a record for it.",
    ),
    arg(
        "--restore-datastore-version",
        metavar="<version>",
        default=None,
        help="ID of the datastore version of that backup.",
    ),
    arg("--restore-size", metavar="<size>", type=float, default=None, help="Size of that backup in GB."),
    intermixed=True,
)
def create_backup(ctx: Any, a: Any) -> Any:
    instance = a.instance or a.instance_word
    if a.restore_from:
        if instance:
            raise exceptions.CommandError("--restore-from records a backup that exists: give no instance with it.")
        if not a.restore_datastore_version or a.restore_size is None:
            raise exceptions.CommandError(
                "--restore-from needs --restore-datastore-version and --restore-size as well."
            )
        made = ctx.client.backups.create(
            a.name,
            None,
            restore_from=a.restore_from,
            restore_ds_version=a.restore_datastore_version,
            restore_size=a.restore_size,
        )
        return backup(made)
    if not instance:
        raise exceptions.CommandError("An instance is needed: <instance> <name>, or <name> --instance <instance>.")
    made = ctx.client.backups.create(
        a.name,
        ctx.ref(ctx.client.instances, instance),
        description=a.description,
        parent_id=a.parent,
        incremental=a.incremental,
        storage_driver=a.storage_driver,
        swift_container=a.swift_container,
    )
    return backup(made)


# Strategies.

STRATEGY = (
    arg("--instance-id", metavar="<instance>", default=None, help="ID of the instance; the project without it."),
    arg("--project-id", metavar="<project>", default=None, help="ID of another project (administrators)."),
)


@define(*STRATEGY, columns=("Project ID", "Instance ID", "Swift Container"))
def list_strategies(ctx: Any, a: Any) -> Any:
    found = ctx.client.backup_strategies.list(instance_id=a.instance_id, project_id=a.project_id)
    return [
        (item._info.get("project_id"), item._info.get("instance_id"), item._info.get("swift_container"))
        for item in found
    ]


@define(
    *STRATEGY,
    arg(
        "--swift-container",
        metavar="<swift_container>",
        default=None,
        help="Container of object storage that takes the backups.",
    ),
)
def create_strategy(ctx: Any, a: Any) -> Any:
    if a.project_id:
        # The request has no place for a project: saying nothing would set the caller's own.
        own = getattr(ctx.client.client, "get_project_id", lambda: None)()
        if own != a.project_id:
            raise exceptions.CommandError(
                "A strategy can only be made in the project of the login: log in to that project instead of "
                "--project-id."
            )
    made = ctx.client.backup_strategies.create(instance_id=a.instance_id, swift_container=a.swift_container)
    return record(made)


@define(*STRATEGY)
def delete_strategy(ctx: Any, a: Any) -> None:
    ctx.client.backup_strategies.delete(instance_id=a.instance_id, project_id=a.project_id)


# Schedules: cron triggers of the workflow service.

SCHEDULE = arg("id", metavar="<schedule>", help="ID of the schedule.")


def _schedule(item: Any) -> dict[str, Any]:
    names = ("id", "name", "instance", "parent_id", "created_at", "next_execution_time", "pattern", "input")
    return {name: item._info.get(name) for name in names}


@define(
    INSTANCE,
    arg("pattern", metavar="<pattern>", help="When to back up, as cron text such as '0 3 * * *'."),
    arg("name", metavar="<name>", help="Name of the backups."),
    arg("--description", metavar="<description>", default=None, help="Description of the backups."),
    flag("--incremental", help="Make incremental backups."),
)
def create_schedule(ctx: Any, a: Any) -> Any:
    made = ctx.client.backups.schedule_create(
        ctx.ref(ctx.client.instances, a.instance),
        a.pattern,
        a.name,
        description=a.description,
        incremental=a.incremental,
    )
    return _schedule(made)


@define(INSTANCE, columns=("ID", "Name", "Pattern", "Next Execution Time"))
def list_schedules(ctx: Any, a: Any) -> Any:
    found = ctx.client.backups.schedule_list(ctx.ref(ctx.client.instances, a.instance))
    return [tuple(item._info.get(name) for name in ("id", "name", "pattern", "next_execution_time")) for item in found]


@define(SCHEDULE)
def show_schedule(ctx: Any, a: Any) -> Any:
    return _schedule(ctx.client.backups.schedule_show(a.id))


@define(SCHEDULE)
def delete_schedule(ctx: Any, a: Any) -> None:
    ctx.client.backups.schedule_delete(a.id)


@define(SCHEDULE, LIMIT, MARKER, columns=("ID", "Execution Time", "State", "Output"))
def list_executions(ctx: Any, a: Any) -> Any:
    found = ctx.client.backups.execution_list(a.id, marker=a.marker or "", limit=a.limit)
    return [tuple(item._info.get(name) for name in ("id", "created_at", "state", "output")) for item in found]


@define(arg("execution", metavar="<execution>", help="ID of the execution."))
def delete_execution(ctx: Any, a: Any) -> None:
    ctx.client.backups.execution_delete(a.execution)
