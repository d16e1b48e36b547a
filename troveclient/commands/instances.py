"""Commands of instances."""

from __future__ import annotations

from typing import Any

from troveclient import exceptions
from troveclient.commands import instance_options, instance_update, upgrades, waiting
from troveclient.commands.model import INSTANCE, LIMIT, MARKER, WAIT, arg, define, flag, follow, positive, whole
from troveclient.commands.several import each
from troveclient.commands.shapes import instance, instance_row

COLUMNS = (
    "ID",
    "Name",
    "Datastore",
    "Datastore Version",
    "Status",
    "Operating Status",
    "Public",
    "Addresses",
    "Flavor ID",
    "Size",
    "Role",
)
TROVE_COLUMNS = ("ID", "Name", "Datastore", "Datastore Version", "Status", "Flavor ID", "Size", "Region")
INSTANCES = arg("instance", metavar="<instance>", nargs="+", help="Name or ID of the instance; several may be given.")


def trove_row(item: Any) -> tuple[Any, ...]:
    row = instance_row(item)
    return (row[0], row[1], row[2], row[3], row[4], row[8], row[9], item._info.get("region", ""))


@define(
    LIMIT,
    MARKER,
    flag(
        "--include-clustered",
        "--include_clustered",
        dest="include_clustered",
        help="Show the members of clusters too.",
    ),
    flag("--all-projects", help="Show the instances of every project (administrators)."),
    arg(
        "--project-id",
        metavar="<project>",
        default=None,
        help="Show the instances of this project (administrators).",
    ),
    columns=COLUMNS,
    admin_columns=(*COLUMNS, "Server ID", "Tenant ID"),
    trove_columns=TROVE_COLUMNS,
)
def list_instances(ctx: Any, a: Any) -> Any:
    query: dict[str, Any] = {"include_clustered": a.include_clustered}
    if a.project_id:
        query["project_id"] = a.project_id
    admin = bool(a.all_projects or a.project_id)
    manager = ctx.client.mgmt_instances if admin else ctx.client.instances
    found = follow(manager.list, limit=a.limit, marker=a.marker, **query)
    if ctx.shell == "trove" and not admin:
        return [trove_row(item) for item in found]
    rows = [instance_row(item, admin) for item in found]
    return ctx.wide(rows) if admin else rows


@define(INSTANCE)
def show_instance(ctx: Any, a: Any) -> Any:
    return instance(ctx.find(ctx.client.instances, a.instance))


NIC = arg(
    "--nic",
    metavar="<net-id=<id>,subnet-id=<id>,ip-address=<address>>",
    dest="nics",
    default=None,
    help="Network interface; subnet and address may be left out.",
)
NICS = arg(
    "--nic",
    metavar="<net-id=<id>,v4-fixed-ip=<address>,port-id=<id>>",
    dest="nics",
    action="append",
    default=None,
    help="Network interface, with exactly one of net-id and port-id (repeat).",
)


def _create_args(nic: Any) -> tuple[Any, ...]:
    return (
        arg("name", metavar="<name>", help="Name of the instance."),
        arg(
            "flavor_word",
            metavar="<flavor>",
            nargs="?",
            default=None,
            help="Name or ID of the flavor (or --flavor).",
        ),
        arg(
            "--flavor",
            metavar="<flavor>",
            default=None,
            help="Name or ID of the flavor; needed unless a replica is made.",
        ),
        arg("--size", metavar="<size>", type=whole, default=None, help="Size of the volume in GB."),
        arg(
            "--volume-type",
            "--volume_type",
            metavar="<volume_type>",
            default=None,
            help="Type of the volume.",
        ),
        arg("--databases", metavar="<database>", nargs="+", default=[], help="Create these databases."),
        arg(
            "--users",
            metavar="<user:password>",
            nargs="+",
            default=[],
            help="Create these users; each may use the databases of --databases.",
        ),
        arg("--backup", metavar="<backup>", default=None, help="Name or ID of a backup to restore."),
        arg(
            "--availability-zone",
            "--availability_zone",
            metavar="<availability_zone>",
            default=None,
            help="Zone to put it in.",
        ),
        arg("--datastore", metavar="<datastore>", default=None, help="Name or ID of the datastore."),
        arg(
            "--datastore-version",
            "--datastore_version",
            metavar="<datastore_version>",
            default=None,
            help="Name or ID of the datastore version.",
        ),
        arg(
            "--datastore-version-number",
            metavar="<datastore_version_number>",
            default=None,
            help="Number of the datastore version, when several have the same name.",
        ),
        nic,
        arg(
            "--configuration",
            metavar="<configuration>",
            default=None,
            help="ID of a configuration group to attach.",
        ),
        arg(
            "--replica-of",
            "--replica_of",
            metavar="<source_instance>",
            default=None,
            help="Name or ID of the instance to replicate.",
        ),
        arg(
            "--replica-count",
            "--replica_count",
            metavar="<count>",
            type=positive,
            default=None,
            help="Number of replicas to make (1).",
        ),
        arg(
            "--module",
            metavar="<module>",
            dest="modules",
            action="append",
            default=[],
            help="Name or ID of a module to apply (repeat).",
        ),
        arg(
            "--locality",
            metavar="<policy>",
            choices=("affinity", "anti-affinity"),
            default=None,
            help="Put replicas together with the instance (affinity) or apart (anti-affinity).",
        ),
        arg("--region", metavar="<region>", default=None, help="==SUPPRESS=="),
        flag("--is-public", help="The service can be reached from outside."),
        arg(
            "--allowed-cidr",
            metavar="<cidr>",
            dest="allowed_cidrs",
            action="append",
            default=None,
            help="Addresses from which the service can be reached (repeat); everywhere when not given.",
        ),
        *WAIT,
    )


@define(*_create_args(NIC))
def create_instance(ctx: Any, a: Any) -> Any:
    client = ctx.client
    flavor = a.flavor or a.flavor_word
    if a.size is not None and a.size <= 0:
        raise exceptions.ValidationError(f"Volume size {a.size}: a whole number of GB from 1 on is needed.")
    replica_of = None
    count = a.replica_count
    if a.replica_of:
        if a.locality:
            raise exceptions.ValidationError("--locality belongs to the source and cannot be given with --replica-of.")
        if flavor:
            ctx.progress("Warning: a replica has its source's flavor; the one given is ignored.")
            flavor = None
        replica_of = ctx.ref(client.instances, a.replica_of)
        count = count or 1
    elif not flavor:
        raise exceptions.CommandError("A flavor is needed: --flavor <name or ID> (see the flavor list).")
    volume: dict[str, Any] | None = None
    if a.size:
        volume = {"size": a.size, "type": a.volume_type}
    databases = [{"name": name} for name in a.databases]
    access: dict[str, Any] = {"is_public": True} if a.is_public else {"is_public": False}
    if a.allowed_cidrs:
        access["allowed_cidrs"] = a.allowed_cidrs
    nics = []
    if a.nics:
        given = [a.nics] if isinstance(a.nics, str) else a.nics
        nics = [instance_options.nic(text) for text in given]
    restore = (
        {"backupRef": getattr(ref, "id", ref)} if a.backup and (ref := ctx.ref(client.backups, a.backup)) else None
    )
    made = client.instances.create(
        a.name,
        flavor_id=ctx.ref(client.flavors, flavor) if flavor else None,
        volume=volume,
        databases=databases,
        users=instance_options.users(a.users, databases),
        restorePoint=restore,
        availability_zone=a.availability_zone,
        datastore=a.datastore,
        datastore_version=a.datastore_version,
        datastore_version_number=a.datastore_version_number,
        nics=nics,
        configuration=a.configuration,
        replica_of=replica_of,
        replica_count=count,
        modules=[ctx.ref(client.modules, name) for name in a.modules],
        locality=a.locality,
        region_name=a.region,
        access=access,
    )
    if a.wait:
        waiting.after(ctx, a, "instance", made)
        made = client.instances.get(made.id)
    return instance(made)


@define(*_create_args(NICS))
def create_with_nics(ctx: Any, a: Any) -> Any:
    """The older form: several interfaces."""
    return create_instance(ctx, a)


@define(
    INSTANCES,
    flag("--force", help="Reset the status first, so that nothing keeps it from being deleted."),
    *WAIT,
)
def delete_instance(ctx: Any, a: Any) -> None:
    def act(value: str) -> None:
        target = ctx.ref(ctx.client.instances, value)
        if getattr(a, "force", False):
            ctx.client.instances.force_delete(target)
        else:
            ctx.client.instances.delete(target)
        waiting.after(ctx, a, "instance", target, gone=True)

    each(ctx, a.instance, "instance", act)


@define(INSTANCE, *WAIT)
def force_delete(ctx: Any, a: Any) -> None:
    target = ctx.ref(ctx.client.instances, a.instance)
    ctx.client.instances.reset_status(target)
    ctx.client.instances.delete(target)
    if ctx.shell == "trove":
        ctx.say(f"Request to delete instance {a.instance} has been accepted.")
    waiting.after(ctx, a, "instance", target, gone=True)


@define(INSTANCE, *instance_update.UPDATE)
def update_instance(ctx: Any, a: Any) -> None:
    instance_update.apply_update(ctx, ctx.ref(ctx.client.instances, a.instance), a)


@define(INSTANCE, *upgrades.UPGRADE)
def upgrade(ctx: Any, a: Any) -> int | None:
    return upgrades.upgrade(ctx, a, "instance", ctx.client.instances, a.instance)


def _action(method: str, *extra: Any, help_wait: bool = True) -> Any:
    """A command that tells an instance to do one thing."""

    @define(INSTANCE, *extra, *WAIT)
    def run(ctx: Any, a: Any) -> None:
        target = ctx.ref(ctx.client.instances, a.instance)
        getattr(ctx.client.instances, method)(target)
        waiting.after(ctx, a, "instance", target)

    return run


restart = _action("restart")
promote = _action("promote_to_replica_source")
eject = _action("eject_replica_source")


@define(INSTANCE)
def reset_status(ctx: Any, a: Any) -> None:
    ctx.client.instances.reset_status(ctx.ref(ctx.client.instances, a.instance))


@define(INSTANCE)
def detach_replica(ctx: Any, a: Any) -> None:
    ctx.client.instances.update(ctx.ref(ctx.client.instances, a.instance), detach_replica_source=True)


@define(INSTANCE, *WAIT)
def reboot(ctx: Any, a: Any) -> None:
    target = ctx.ref(ctx.client.instances, a.instance)
    ctx.client.mgmt_instances.reboot(target)
    waiting.after(ctx, a, "instance", target)


@define(INSTANCE, arg("image", metavar="<image>", help="ID of the new guest image."), *WAIT)
def rebuild(ctx: Any, a: Any) -> None:
    target = ctx.ref(ctx.client.instances, a.instance)
    ctx.client.mgmt_instances.rebuild(target, a.image)
    waiting.after(ctx, a, "instance", target)


FLAVOR = arg("flavor", metavar="<flavor>", help="Name or ID of the new flavor.")
SIZE = arg("size", metavar="<size>", type=positive, help="New size of the volume in GB.")


@define(INSTANCE, FLAVOR, *WAIT)
def resize_flavor(ctx: Any, a: Any) -> None:
    target = ctx.ref(ctx.client.instances, a.instance)
    ctx.client.instances.resize_instance(target, ctx.ref(ctx.client.flavors, a.flavor))
    waiting.after(ctx, a, "instance", target)


@define(INSTANCE, SIZE, *WAIT)
def resize_volume(ctx: Any, a: Any) -> None:
    target = ctx.ref(ctx.client.instances, a.instance)
    ctx.client.instances.resize_volume(target, a.size)
    waiting.after(ctx, a, "instance", target)
