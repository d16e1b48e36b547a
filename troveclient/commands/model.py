"""How a command is described, and what it is given when it runs."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from troveclient import exceptions, utils


class Arg(NamedTuple):
    """One argument, as argparse takes it. `group` names a set of options of which one may be given."""

    names: tuple[str, ...]
    options: dict[str, Any]
    group: str | None = None


def arg(*names: str, group: str | None = None, **options: Any) -> Arg:
    return Arg(names, options, group)


def flag(*names: str, group: str | None = None, **options: Any) -> Arg:
    return Arg(names, {"action": "store_true", "default": False, **options}, group)


class Definition(NamedTuple):
    """What a command takes and shows."""

    args: tuple[Arg, ...]
    columns: tuple[str, ...]
    admin_columns: tuple[str, ...]
    trove_columns: tuple[str, ...]
    intermixed: bool


def define(
    *args: Arg,
    columns: Sequence[str] = (),
    admin_columns: Sequence[str] = (),
    trove_columns: Sequence[str] = (),
    intermixed: bool = False,
) -> Callable[[Any], Any]:
    """Give a function its command line. `intermixed`: options may stand between optional positionals."""

    def decorate(func: Any) -> Any:
        func.definition = Definition(args, tuple(columns), tuple(admin_columns), tuple(trove_columns), intermixed)
        return func

    return decorate


def add_arguments(parser: argparse.ArgumentParser, definition: Definition) -> None:
    groups: dict[str, Any] = {}
    for item in definition.args:
        target: Any = parser
        if item.group:
            if item.group not in groups:
                groups[item.group] = parser.add_mutually_exclusive_group()
            target = groups[item.group]
        target.add_argument(*item.names, **item.options)
    if definition.intermixed:
        # argparse hands all positionals of an unbroken run out at once; this form collects them first.
        parser.parse_args = parser.parse_intermixed_args  # type: ignore[method-assign]


def positive(text: str) -> int:
    """A whole number from 1 on."""
    value = whole(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is too small: a whole number from 1 on is needed")
    return value


def whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from None


def seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds") from None
    if value <= 0:
        raise argparse.ArgumentTypeError(f"{text} seconds: more than 0 is needed")
    return value


class Context:
    """What a running command may use: the client, name lookup, and places to write to.

    Both shells make one per command line. `table` tells whether a person reads the output as a table.
    """

    table = True
    poll_seconds = 0.1
    poll_seconds_max = 2.0

    def __init__(self, client: Any, shell: str = "openstack") -> None:
        self.client = client
        self.shell = shell

    def say(self, text: str) -> None:
        """Write a line of the result."""
        print(text)

    def progress(self, text: str) -> None:
        """Write a line for the person who waits; never part of the result."""
        print(text, file=sys.stderr, flush=True)

    def command(self, openstack: str, trove: str) -> str:
        """How this shell spells another command, for hints."""
        return f"openstack {openstack}" if self.shell == "openstack" else f"trove {trove}"

    def ref(self, manager: Any, value: Any) -> Any:
        """The id (or object) for an id or name. A UUID costs no request."""
        return utils.get_resource_id(manager, value)

    def locate(self, manager: Any, value: Any) -> Any:
        """The id (or object), having made sure that it exists."""
        return utils.find_resource(manager, value).id

    def write(self, text: str) -> None:
        """Write text of the result as it is."""
        sys.stdout.write(text)

    def use_columns(self, columns: tuple[str, ...]) -> None:
        """Print the rows under other columns than the command's first ones."""
        self.chosen_columns = columns

    chosen_columns: tuple[str, ...] | None = None

    def is_admin(self) -> bool:
        return utils.is_admin(self.client)

    def find(self, manager: Any, value: Any) -> Any:
        """The whole record for an id or name."""
        if utils.is_uuid_like(value):
            return manager.get(value)
        found = utils.find_resource(manager, value)
        return found if getattr(found, "_loaded", True) else manager.get(found.id)

    def project_id(self, value: str) -> str:
        """The id of a project; without an identity service at hand the value is one already."""
        return value

    def wide(self, rows: Any) -> Any:
        """Say that rows are the administrator's, with further columns."""
        return rows

    def parse_members(self, options: list[str] | None, for_grow: bool = False) -> list[dict[str, Any]]:
        """The --instance options of cluster create and grow."""
        from troveclient.commands import instance_options

        return instance_options.members(self.client, options, for_grow)

    def require_operations(self, option: str) -> None:
        """Refuse an option that another server would not understand, before it does something else instead."""
        try:
            self.client.operations.list(limit=1)
        except exceptions.NotFound:
            raise exceptions.CommandError(
                f"This server has no operations and does not know {option}. Nothing was sent."
            ) from None


def follow(method: Callable[..., Any], *args: Any, limit: Any = None, marker: Any = None, **kwargs: Any) -> list[Any]:
    """All objects of a list method, over every page; with a limit only what one request returns."""
    page = method(*args, limit=limit, marker=marker, **kwargs)
    if limit:
        return list(page)
    found = list(page)
    seen = set()
    while getattr(page, "next", None) and page.next not in seen:
        seen.add(page.next)
        page = method(*args, limit=limit, marker=page.next, **kwargs)
        found += page
    return found


def everything(method: Callable[..., Any], *args: Any) -> list[Any]:
    """All objects of a list method, over every page."""
    page = method(*args)
    found, seen = list(page), set()
    while getattr(page, "next", None) and page.next not in seen:
        seen.add(page.next)
        page = method(*args, marker=page.next)
        found += page
    return found


LIMIT = arg(
    "--limit",
    metavar="<limit>",
    type=positive,
    default=None,
    help="Show at most this many, from one request. Without it every page is followed.",
)
MARKER = arg("--marker", metavar="<id>", default=None, help="Begin after this item (the last one shown before).")
WAIT = (
    flag("--wait", help="Wait until it is done; progress goes to stderr, exit code 1 when it ends badly."),
    arg(
        "--timeout",
        metavar="<seconds>",
        type=seconds,
        default=3600.0,
        help="Give up waiting after this many seconds (3600); what was started goes on.",
    ),
)
INSTANCE = arg("instance", metavar="<instance>", help="Name or ID of the instance.")
CLUSTER = arg("cluster", metavar="<cluster>", help="Name or ID of the cluster.")
