"""Commands of databases, users and the superuser on an instance (or, where the server has it, a cluster)."""

from __future__ import annotations

from typing import Any

from troveclient import exceptions
from troveclient.commands.model import arg, define, everything, flag
from troveclient.commands.shapes import record

INSTANCE = arg("instance", metavar="<instance>", help="Name or ID of the instance.")
EITHER = arg("instance_or_cluster", metavar="<instance_or_cluster>", help="Name or ID of the instance or cluster.")
NAME = arg("name", metavar="<name>", help="Name of the user.")
HOST = arg("--host", metavar="<host>", default=None, help="Host of the user, where the engine knows hosts.")


def target_of(ctx: Any, value: str) -> Any:
    """An instance, or in the trove shell a cluster of that name or id."""
    if ctx.shell != "trove":
        return ctx.ref(ctx.client.instances, value)
    return instance_or_cluster(ctx, value)[1]


def instance_or_cluster(ctx: Any, value: str) -> tuple[str, Any]:
    """Look for an instance first, then for a cluster. Raises CommandError when there is neither."""
    try:
        return "instance", ctx.locate(ctx.client.instances, value)
    except Exception as error:
        if type(error).__name__ not in ("CommandError", "NotFound") or "More than one" in str(error):
            raise
    try:
        return "cluster", ctx.locate(ctx.client.clusters, value)
    except Exception as error:
        if type(error).__name__ not in ("CommandError", "NotFound"):
            raise
        raise exceptions.CommandError(f"No instance or cluster with a name or ID of '{value}' exists.") from error


@define(
    INSTANCE,
    arg("name", metavar="<name>", help="Name of the database."),
    arg(
        "--character-set",
        "--character_set",
        dest="character_set",
        metavar="<character_set>",
        default=None,
        help="Character set of the database.",
    ),
    arg("--collate", metavar="<collate>", default=None, help="Collation of the database."),
)
def create_database(ctx: Any, a: Any) -> None:
    entry = {"name": a.name}
    if a.collate:
        entry["collate"] = a.collate
    if a.character_set:
        entry["character_set"] = a.character_set
    ctx.client.databases.create(target_of(ctx, a.instance), [entry])


@define(INSTANCE, columns=("Name",))
def list_databases(ctx: Any, a: Any) -> Any:
    return [(item.name,) for item in everything(ctx.client.databases.list, target_of(ctx, a.instance))]


@define(INSTANCE, arg("database", metavar="<database>", help="Name of the database."))
def delete_database(ctx: Any, a: Any) -> None:
    try:
        ctx.client.databases.delete(target_of(ctx, a.instance), a.database)
    except Exception as error:
        raise exceptions.CommandError(f"Failed to delete database {a.database}: {error}") from error


# Users.


@define(
    INSTANCE,
    NAME,
    arg(
        "password",
        metavar="<password>",
        nargs="?",
        default=None,
        help="Password of the user; asked for when left out, so that nobody reads it in the process list.",
    ),
    HOST,
    arg("--databases", metavar="<database>", nargs="+", default=[], help="Databases that the user may use."),
)
def create_user(ctx: Any, a: Any) -> None:
    user: dict[str, Any] = {"name": a.name, "password": a.password or ask_password(f"Password of {a.name}")}
    if a.host:
        user["host"] = a.host
    user["databases"] = [{"name": name} for name in a.databases]
    ctx.client.users.create(target_of(ctx, a.instance), [user])


def ask_password(prompt: str) -> str:
    """Ask at the terminal; without one, read a line of standard input. Raises CommandError when empty."""
    import getpass
    import sys

    if sys.stdin is not None and sys.stdin.isatty():
        found = getpass.getpass(f"{prompt}: ")
    else:
        found = (sys.stdin.readline() if sys.stdin is not None else "").rstrip("\n")
    if not found:
        raise exceptions.CommandError("A password is needed: as argument, at the prompt or on standard input.")
    return found


@define(INSTANCE, columns=("Name", "Host", "Databases"))
def list_users(ctx: Any, a: Any) -> Any:
    rows = []
    for item in everything(ctx.client.users.list, target_of(ctx, a.instance)):
        names = [entry["name"] for entry in item._info.get("databases") or []]
        rows.append((item.name, item._info.get("host"), ", ".join(names)))
    return rows


@define(INSTANCE, NAME, HOST, flag("--access", help="Show the databases that the user may use."))
def show_user(ctx: Any, a: Any) -> Any:
    target = target_of(ctx, a.instance)
    if getattr(a, "access", False):
        found = ctx.client.users.list_access(target, a.name, hostname=a.host)
        return {"databases": ", ".join(item.name for item in found)}
    return record(ctx.client.users.get(target, a.name, hostname=a.host))


@define(INSTANCE, NAME, HOST, columns=("Name",))
def show_access(ctx: Any, a: Any) -> Any:
    found = ctx.client.users.list_access(target_of(ctx, a.instance), a.name, hostname=a.host)
    return [(item.name,) for item in found]


@define(INSTANCE, NAME, HOST)
def delete_user(ctx: Any, a: Any) -> None:
    try:
        ctx.client.users.delete(target_of(ctx, a.instance), a.name, a.host)
    except Exception as error:
        raise exceptions.CommandError(f"Failed to delete user {a.name}: {error}") from error


DATABASES = arg("databases", metavar="<database>", nargs="+", help="Name of a database; several may be given.")
DATABASE = arg("databases", metavar="<database>", help="Name of the database.")
ACCESS = flag("--access", help="Change the access to databases (the only thing this command does).")


@define(INSTANCE, NAME, DATABASES, HOST)
def grant(ctx: Any, a: Any) -> None:
    ctx.client.users.grant(target_of(ctx, a.instance), a.name, a.databases, hostname=a.host)


@define(INSTANCE, NAME, DATABASE, HOST)
def revoke(ctx: Any, a: Any) -> None:
    ctx.client.users.revoke(target_of(ctx, a.instance), a.name, a.databases, hostname=a.host)


def _need_flag(a: Any, name: str) -> None:
    if not getattr(a, name):
        raise exceptions.CommandError(f"Say what to change: --{name}.")


@define(ACCESS, INSTANCE, NAME, DATABASES, HOST)
def add_to_user(ctx: Any, a: Any) -> None:
    _need_flag(a, "access")
    grant(ctx, a)


@define(ACCESS, INSTANCE, NAME, DATABASE, HOST)
def remove_from_user(ctx: Any, a: Any) -> None:
    _need_flag(a, "access")
    revoke(ctx, a)


ATTRIBUTES = (
    arg("--new-name", "--new_name", dest="new_name", metavar="<new_name>", default=None, help="New name."),
    arg(
        "--new-password",
        "--new_password",
        dest="new_password",
        metavar="<new_password>",
        default=None,
        help="New password; '-' asks for it.",
    ),
    arg("--new-host", "--new_host", dest="new_host", metavar="<new_host>", default=None, help="New host."),
)


@define(INSTANCE, NAME, HOST, *ATTRIBUTES)
def update_user(ctx: Any, a: Any) -> None:
    values = {"name": a.new_name, "password": a.new_password, "host": a.new_host}
    if values["password"] == "-":
        values["password"] = ask_password(f"New password of {a.name}")
    values = {key: value for key, value in values.items() if value}
    if not values:
        raise exceptions.ValidationError("Nothing to change: give --new-name, --new-password or --new-host.")
    ctx.client.users.update_attributes(target_of(ctx, a.instance), a.name, newuserattr=values, hostname=a.host)


@define(
    flag("--attributes", help="Change name, password or host (the only thing this command does)."),
    INSTANCE,
    NAME,
    HOST,
    *ATTRIBUTES,
)
def set_user(ctx: Any, a: Any) -> None:
    _need_flag(a, "attributes")
    update_user(ctx, a)


# The superuser.

PASSWORD = arg(
    "--root-password",
    "--root_password",
    dest="root_password",
    metavar="<root_password>",
    default=None,
    help="Password to set; the server makes one when left out, '-' asks for it.",
)
ROOT = flag("--root", help="The superuser (the only thing this command is about).")


@define(EITHER, PASSWORD)
def enable_root(ctx: Any, a: Any) -> Any:
    kind, target = instance_or_cluster(ctx, a.instance_or_cluster)
    password = a.root_password
    if password == "-":
        password = ask_password("Password of the superuser")
    enable = ctx.client.root.create_cluster_root if kind == "cluster" else ctx.client.root.create_instance_root
    made = enable(target, root_password=password)
    return {"name": made[0], "password": made[1]}


@define(EITHER)
def show_root(ctx: Any, a: Any) -> Any:
    kind, target = instance_or_cluster(ctx, a.instance_or_cluster)
    root = ctx.client.root
    found = root.is_cluster_root_enabled(target) if kind == "cluster" else root.is_instance_root_enabled(target)
    return {"is_root_enabled": found.rootEnabled}


@define(INSTANCE)
def disable_root(ctx: Any, a: Any) -> None:
    ctx.client.root.disable_instance_root(ctx.ref(ctx.client.instances, a.instance))


@define(ROOT, EITHER, PASSWORD)
def set_root(ctx: Any, a: Any) -> Any:
    if not a.root:
        raise exceptions.CommandError("Say what to set: --root enables the superuser.")
    return enable_root(ctx, a)


@define(ROOT, EITHER)
def show_with_root(ctx: Any, a: Any) -> Any:
    if not a.root:
        raise exceptions.CommandError("Say what to show: --root tells whether the superuser is enabled.")
    return show_root(ctx, a)
