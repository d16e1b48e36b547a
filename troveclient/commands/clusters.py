"""Commands of clusters."""

from __future__ import annotations

from typing import Any

from troveclient import exceptions
from troveclient.commands import instance_options, instance_update, upgrades, waiting
from troveclient.commands.model import CLUSTER, LIMIT, MARKER, WAIT, arg, define, flag, follow, positive
from troveclient.commands.shapes import cluster, flavor_id, instance, pick

MEMBERS = arg(
    "--instance",
    metavar=instance_options.INSTANCE_METAVAR,
    action="append",
    dest="instances",
    default=None,
    help=instance_options.INSTANCE_HELP,
)
MORE_MEMBERS = arg(
    "--instance",
    metavar=instance_options.INSTANCE_METAVAR,
    action="append",
    dest="instances",
    default=None,
    help=instance_options.GROW_HELP,
)


@define(LIMIT, MARKER, columns=("ID", "Name", "Datastore", "Datastore Version", "Task Name"))
def list_clusters(ctx: Any, a: Any) -> Any:
    return [
        (item.id, item.name, item.datastore["type"], item.datastore["version"], (item.task or {}).get("name"))
        for item in follow(ctx.client.clusters.list, limit=a.limit, marker=a.marker)
    ]


@define(CLUSTER)
def show_cluster(ctx: Any, a: Any) -> Any:
    kind, found = or_instance(ctx, a.cluster)
    return cluster(found) if kind == "cluster" else instance(found)


@define(
    arg("name", metavar="<name>", help="Name of the cluster."),
    arg("datastore", metavar="<datastore>", help="Name or ID of the datastore."),
    arg("datastore_version", metavar="<datastore_version>", help="Name or ID of the datastore version."),
    MEMBERS,
    arg(
        "--locality",
        metavar="<policy>",
        choices=("affinity", "anti-affinity"),
        default=None,
        help="Put the members together (affinity) or apart (anti-affinity).",
    ),
    arg(
        "--extended-properties",
        "--extended_properties",
        metavar=instance_options.EXT_PROPS_METAVAR,
        default=None,
        help=instance_options.EXT_PROPS_HELP,
    ),
    arg("--configuration", metavar="<configuration>", default=None, help="ID of the configuration group to attach."),
    arg(
        "--user",
        metavar="<name:password[:database]>",
        action="append",
        dest="users",
        default=None,
        help="Create this database user, with access to the database (repeat; where the server offers it).",
    ),
    arg(
        "--database",
        metavar="<name>",
        action="append",
        dest="databases",
        default=None,
        help="Create this database (repeat; where the server offers it).",
    ),
    *WAIT,
)
def create_cluster(ctx: Any, a: Any) -> Any:
    extra: dict[str, Any] = {}
    users = instance_options.users_with_databases(a.users)
    databases = [{"name": name} for name in a.databases or []]
    for user in users:
        databases += [item for item in user.get("databases", []) if item not in databases]
    if users:
        extra["users"] = users
    if databases:
        extra["databases"] = databases
    if extra:
        ctx.require_operations("--user and --database" if users else "--database")
    properties = instance_options.extended_properties(a.extended_properties) if a.extended_properties else None
    made = ctx.client.clusters.create(
        a.name,
        a.datastore,
        a.datastore_version,
        instances=ctx.parse_members(a.instances),
        locality=a.locality,
        extended_properties=properties,
        configuration=a.configuration,
        **extra,
    )
    if a.wait:
        waiting.after(ctx, a, "cluster", made)
        made = ctx.client.clusters.get(made.id)
    return cluster(made)


def or_instance(ctx: Any, value: str) -> tuple[str, Any]:
    """What a cluster's command line names: a cluster, else a standalone instance of exactly that name or id.

    The specification writes some commands of instances with the word "cluster"; both readings work.
    """
    try:
        return "cluster", ctx.find(ctx.client.clusters, value)
    except Exception as error:
        if not isinstance(error, exceptions.NotFound) and type(error).__name__ != "CommandError":
            raise
        first = error
    return "instance", standalone(ctx, value, first)


def standalone(ctx: Any, value: str, first: Exception) -> Any:
    """The instance that a cluster's command line means; raises `first` when there is none, or several clusters."""
    if "More than one" in str(first):
        raise first
    try:
        return ctx.find(ctx.client.instances, value)
    except Exception:
        raise first from None


@define(arg("clusters", metavar="<cluster>", nargs="+", help="Name or ID of the cluster; several may be given."), *WAIT)
def delete_cluster(ctx: Any, a: Any) -> None:
    waits: list[tuple[str, Any]] = []
    failed = []
    for value in a.clusters:
        try:
            kind, target = "cluster", None
            try:
                target = ctx.ref(ctx.client.clusters, value)
                ctx.client.clusters.delete(target)
            except Exception as error:
                if not _missing(error):
                    raise
                kind, target = "instance", standalone(ctx, value, error).id
                ctx.client.instances.delete(target)
                ctx.say(f"There is no cluster {value}; request to delete instance {value} has been accepted.")
            if kind == "cluster" and ctx.shell == "trove":
                ctx.say(f"Request to delete cluster {value} has been accepted.")
            waits.append((kind, target))
            waiting.after(ctx, a, kind, target, gone=True)
        except Exception as error:
            failed.append(f"{value}: {error}")
    if failed:
        raise exceptions.CommandError("Failed to delete cluster " + "; ".join(failed))


def _missing(error: Exception) -> bool:
    """Nothing of that name or id, as this client or osc-lib says it."""
    if isinstance(error, exceptions.NotFound):
        return True
    return type(error).__name__ == "CommandError" and "with a name or ID" in str(error)


@define(CLUSTER, *WAIT)
def force_delete(ctx: Any, a: Any) -> None:
    try:
        target = ctx.ref(ctx.client.clusters, a.cluster)
        ctx.client.clusters.reset_status(target)
        ctx.client.clusters.delete(target)
    except Exception as error:
        raise exceptions.CommandError(f"Failed to delete cluster {a.cluster}: {error}") from error
    if ctx.shell == "trove":
        ctx.say(f"Request to delete cluster {a.cluster} has been accepted.")
    waiting.after(ctx, a, "cluster", target, gone=True)


@define(CLUSTER)
def reset_status(ctx: Any, a: Any) -> None:
    ctx.client.clusters.reset_status(ctx.ref(ctx.client.clusters, a.cluster))


@define(CLUSTER, columns=("ID", "Name", "Flavor ID", "Size", "Status"))
def list_instances(ctx: Any, a: Any) -> Any:
    rows = []
    for member in ctx.find(ctx.client.clusters, a.cluster)._info.get("instances") or []:
        volume = pick(member, "volume")
        rows.append(
            (
                member["id"],
                member["name"],
                flavor_id(member),
                volume.get("size", "") if isinstance(volume, dict) else "",
                pick(member, "status"),
            )
        )
    return rows


@define(CLUSTER, MORE_MEMBERS, *WAIT)
def grow(ctx: Any, a: Any) -> None:
    members = ctx.parse_members(a.instances, for_grow=True)
    target = ctx.ref(ctx.client.clusters, a.cluster)
    ctx.client.clusters.grow(target, instances=members)
    waiting.after(ctx, a, "cluster", target)


@define(
    CLUSTER,
    arg("instances", metavar="<instance>", nargs="+", help="Name or ID of a member to remove; several may be given."),
    *WAIT,
)
def shrink(ctx: Any, a: Any) -> None:
    target = ctx.ref(ctx.client.clusters, a.cluster)
    members = [{"id": ctx.ref(ctx.client.instances, value)} for value in a.instances]
    ctx.client.clusters.shrink(target, members)
    waiting.after(ctx, a, "cluster", target)


@define(CLUSTER, *WAIT)
def restart(ctx: Any, a: Any) -> None:
    target = ctx.ref(ctx.client.clusters, a.cluster)
    ctx.client.clusters.restart(target)
    waiting.after(ctx, a, "cluster", target)


@define(CLUSTER, *upgrades.UPGRADE)
def upgrade(ctx: Any, a: Any) -> int | None:
    return upgrades.upgrade(ctx, a, "cluster", ctx.client.clusters, a.cluster)


@define(
    CLUSTER,
    arg("--name", metavar="<name>", default=None, help="New name."),
    arg(
        "--configuration",
        metavar="<configuration>",
        default=None,
        help="Name or ID of a configuration group to attach.",
    ),
    flag(
        "--remove-configuration",
        "--remove_configuration",
        dest="remove_configuration",
        help="Detach the configuration group.",
    ),
    flag(
        "--detach-replica-source",
        "--detach_replica_source",
        dest="detach_replica_source",
        help="Only where the name is an instance's: make the replica an instance of its own.",
    ),
    arg(
        "--is-public",
        dest="public",
        action="store_const",
        const=True,
        default=None,
        group="public",
        help="Only where the name is an instance's: it can be reached from outside.",
    ),
    arg(
        "--is-private",
        dest="public",
        action="store_const",
        const=False,
        default=None,
        group="public",
        help="Only where the name is an instance's: it can be reached from its network only.",
    ),
    arg(
        "--allowed-cidr",
        metavar="<cidr>",
        dest="allowed_cidrs",
        action="append",
        default=None,
        help="Only where the name is an instance's: addresses from which it can be reached (repeat).",
    ),
)
def set_cluster(ctx: Any, a: Any) -> None:
    kind, found = or_instance(ctx, a.cluster)
    if kind == "instance":
        instance_update.apply_update(ctx, found.id, a)
        return
    if a.detach_replica_source or a.public is not None or a.allowed_cidrs:
        raise exceptions.CommandError(f"{a.cluster} is a cluster: only name and configuration can be set.")
    if a.configuration and a.remove_configuration:
        raise exceptions.CommandError("--configuration and --remove-configuration contradict each other.")
    if not (a.name or a.configuration or a.remove_configuration):
        raise exceptions.CommandError("Nothing to change. Give at least one option (see --help).")
    if a.name:
        ctx.client.clusters.rename(found.id, a.name)
    if a.configuration:
        group = ctx.ref(ctx.client.configurations, a.configuration)
        ctx.client.clusters.configuration_attach(found.id, group)
    if a.remove_configuration:
        ctx.client.clusters.configuration_detach(found.id)


@define(CLUSTER, arg("flavor", metavar="<flavor>", help="Name or ID of the new flavor."), *WAIT)
def resize_flavor(ctx: Any, a: Any) -> None:
    target = ctx.ref(ctx.client.clusters, a.cluster)
    ctx.client.clusters.resize_instance(target, ctx.ref(ctx.client.flavors, a.flavor))
    waiting.after(ctx, a, "cluster", target)


@define(CLUSTER, arg("size", metavar="<size>", type=positive, help="New size of each member's volume in GB."), *WAIT)
def resize_volume(ctx: Any, a: Any) -> None:
    target = ctx.ref(ctx.client.clusters, a.cluster)
    ctx.client.clusters.resize_volume(target, a.size)
    waiting.after(ctx, a, "cluster", target)


@define(CLUSTER, columns=("instance_name", "Module Name", "Module Type", "md5", "created", "updated"))
def list_modules(ctx: Any, a: Any) -> Any:
    rows = []
    for member in ctx.find(ctx.client.clusters, a.cluster)._info.get("instances") or []:
        for module in ctx.client.instances.modules(member["id"]):
            rows.append((member["name"], module.name, module.type, module.md5, module.created, module.updated))
    return rows
