"""The classes that `openstack` loads: thin covers over the commands of troveclient.commands.

openstackclient imports every class of every plugin on every call, so a class here is no more than its row of the
index. Its arguments are imported, and osc-lib's command class joined to it, when somebody makes an object of it.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any

from osc_lib.command import command as osc_command

from troveclient.commands.index import TABLE, Row

_LOG = logging.getLogger("troveclient.osc")
_BY_MODULE: dict[str, dict[str, Row]] = {}
_BY_NAME: dict[str, Row] = {}
for _row in TABLE:
    if _row.name:
        _module, _, _class = _row.cls.partition(":")
        _BY_MODULE.setdefault(_module, {})[_class] = _row
        _BY_NAME[_row.name] = _row


def function(row: Row) -> Any:
    """What a command runs; its `definition` holds the arguments."""
    module, _, name = row.run.partition(":")
    return getattr(import_module(f"troveclient.commands.{module}"), name)


class _Columns:
    """Column names as a class attribute, read from the definition when somebody asks."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, obj: Any, owner: Any) -> tuple[str, ...]:
        return tuple(getattr(function(owner.row).definition, self.name))


class Cover:
    """A command by its row alone. Objects of it are osc-lib commands of the row's kind as well."""

    row: Row
    columns = _Columns("columns")
    admin_columns = _Columns("admin_columns")
    given_back: tuple[str, ...] = ()

    def __new__(cls, app: Any, app_args: Any = None, cmd_name: str | None = None) -> Any:
        # `openstack database instance show mod`: the shell takes the abbreviation `mod` for the longer command
        # `… show module`. A word that is only an abbreviation is more likely a value, so it is given back.
        row = cls.row
        if row.shorter and cmd_name:
            typed, full = cmd_name.split()[-1], row.name.split()[-1]
            if typed != full and full.startswith(typed):
                made = class_of(_BY_NAME[row.shorter])(app, app_args, cmd_name=row.shorter)
                made.given_back = (typed,)
                return made
        return super().__new__(_complete(cls))

    def __init__(self, app: Any, app_args: Any = None, cmd_name: str | None = None) -> None:
        super().__init__(app, app_args, cmd_name=cmd_name)  # type: ignore[call-arg]

    def get_parser(self, prog_name: str) -> Any:
        from troveclient.commands import model

        parser = super().get_parser(prog_name)  # type: ignore[misc]
        model.add_arguments(parser, function(self.row).definition)
        if self.given_back:
            parse, words = parser.parse_args, self.given_back

            def with_words(args: Any = None, namespace: Any = None) -> Any:
                return parse([*words, *(sys.argv[1:] if args is None else args)], namespace)

            parser.parse_args = with_words
        return parser

    def perform(self, parsed_args: Any) -> tuple[Any, Any]:
        from troveclient.osc.v1 import context

        ctx = context.OscContext(self, parsed_args)
        return ctx, context.guarded(function(self.row), ctx, parsed_args)


class _List(osc_command.Lister):
    row: Row
    perform: Any

    def take_action(self, parsed_args: Any) -> Any:
        ctx, rows = self.perform(parsed_args)
        return ctx.columns_of(function(self.row).definition), ctx.cells(rows)


class _Show(osc_command.ShowOne):
    perform: Any

    def take_action(self, parsed_args: Any) -> Any:
        ctx, record = self.perform(parsed_args)
        names = tuple(sorted(record))
        return names, tuple(ctx.cell(record[name]) for name in names)


class _Do(osc_command.Command):
    perform: Any

    def take_action(self, parsed_args: Any) -> Any:
        return self.perform(parsed_args)[1]


_KINDS: dict[str, Any] = {"list": _List, "show": _Show, "do": _Do}
_COMPLETED: dict[type, type] = {}


def _complete(cls: Any) -> type:
    """The class of a cover's objects: the cover and osc-lib's command of its kind."""
    if issubclass(cls, osc_command.Command):
        return cls  # type: ignore[no-any-return]
    if cls not in _COMPLETED:
        kind = _KINDS[cls.row.kind]
        namespace = {"__module__": cls.__module__, "__doc__": cls.__doc__, "log": _LOG}
        _COMPLETED[cls] = type(kind)(cls.__name__, (cls, kind), namespace)
    return _COMPLETED[cls]


def class_of(row: Row) -> Any:
    module, _, name = row.cls.partition(":")
    return getattr(import_module(f"troveclient.osc.v1.{module}"), name)


def exports(module_name: str) -> Callable[[str], Any]:
    """The `__getattr__` of a module of commands: makes its classes from the index as they are asked for."""
    rows = _BY_MODULE.get(module_name.rpartition(".")[2], {})
    module = sys.modules[module_name].__dict__

    def get(name: str) -> Any:
        row = rows.get(name)
        if row is None:
            if name == "_parse_instance_options" and "ListDatabaseClusters" in rows:
                from troveclient.commands.instance_options import members

                return members
            raise AttributeError(f"module {module_name!r} has no attribute {name!r}")
        made = module[name] = type(name, (Cover,), {"__module__": module_name, "__doc__": row.help, "row": row})
        return made

    return get
