"""How an instance is changed, by its own command or by a cluster's that names it."""

from __future__ import annotations

from typing import Any

from troveclient import exceptions
from troveclient.commands.model import arg, flag

UPDATE = (
    arg("--name", metavar="<name>", default=None, help="New name."),
    arg(
        "--configuration",
        metavar="<configuration>",
        default=None,
        help="ID of a configuration group to attach.",
    ),
    flag(
        "--detach-replica-source",
        "--detach_replica_source",
        dest="detach_replica_source",
        help="Make the replica an instance of its own.",
    ),
    flag(
        "--remove-configuration",
        "--remove_configuration",
        dest="remove_configuration",
        help="Detach the configuration group.",
    ),
    arg(
        "--is-public",
        dest="public",
        action="store_const",
        const=True,
        default=None,
        group="public",
        help="The service can be reached from outside.",
    ),
    arg(
        "--is-private",
        dest="public",
        action="store_const",
        const=False,
        default=None,
        group="public",
        help="The service can be reached from its network only.",
    ),
    arg(
        "--allowed-cidr",
        metavar="<cidr>",
        dest="allowed_cidrs",
        action="append",
        default=None,
        help="Addresses from which the service can be reached (repeat).",
    ),
)


def apply_update(ctx: Any, target: Any, a: Any) -> None:
    """Change an instance; nothing to change is an error."""
    if not any(
        (
            a.name,
            a.configuration,
            a.detach_replica_source,
            a.remove_configuration,
            a.public is not None,
            a.allowed_cidrs,
        )
    ):
        raise exceptions.CommandError("Nothing to change. Give at least one option (see --help).")
    if a.configuration and a.remove_configuration:
        raise exceptions.CommandError("--configuration and --remove-configuration contradict each other.")
    ctx.client.instances.update(
        target,
        a.configuration,
        a.name,
        a.detach_replica_source,
        a.remove_configuration,
        is_public=a.public,
        allowed_cidrs=a.allowed_cidrs,
    )
