"""The classes that `openstack` loads: thin covers over the commands of troveclient.commands.

openstackclient imports every class of every plugin on every call, so a class is made from its row of the index
alone; the module with its arguments is imported when the command is used.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any

from osc_lib.command import command as osc_command

from troveclient.commands.index import TABLE, Row

_BY_MODULE: dict[str, dict[str, Row]] = {}
_BY_NAME: dict[str, Row] = {}
for _row in TABLE:
    if _row.name:
        _module, _, _class = _row.cls.partition(":")
        # Aliases may share a class; the first row, the released one, describes it.
        _BY_MODULE.setdefault(_module, {}).setdefault(_class, _row)
        _BY_NAME.setdefault(_row.name, _row)


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


class _Command:
    row: Row
    columns = _Columns("columns")
    admin_columns = _Columns("admin_columns")

    def __new__(cls, app: Any, app_args: Any = None, cmd_name: str | None = None) -> Any:
        # `openstack database instance show mod`: the shell takes the abbreviation `mod` for the longer command
        # `… show module`. A word that is only an abbreviation is more likely a value, so it is given back.
        row = cls.row
        if row.shorter and cmd_name:
            typed, full = cmd_name.split()[-1], row.name.split()[-1]
            if typed != full and full.startswith(typed):
                shorter = class_of(_BY_NAME[row.shorter])
                made = shorter(app, app_args, cmd_name=row.shorter)
                made.given_back = [typed]
                return made
        return super().__new__(cls)

    given_back: list[str] = []

    def get_parser(self, prog_name: str) -> Any:
        from troveclient.commands import model

        parser = super().get_parser(prog_name)  # type: ignore[misc]
        model.add_arguments(parser, function(self.row).definition)
        if self.given_back:
            parse, words = parser.parse_args, self.given_back

            def with_word(args: Any = None, namespace: Any = None) -> Any:
                return parse([*words, *(args if args is not None else sys.argv[1:])], namespace)

            parser.parse_args = with_word
        return parser

    def _run(self, parsed_args: Any) -> Any:
        from troveclient.osc.v1 import context

        # Fields that an older caller did not set have their defaults.
        ctx = context.OscContext(self, parsed_args)
        return ctx, context.guarded(function(self.row), ctx, parsed_args)


class ListCommand(_Command, osc_command.Lister):
    def take_action(self, parsed_args: Any) -> Any:
        ctx, rows = self._run(parsed_args)
        return ctx.columns_of(function(self.row).definition), ctx.cells(rows)


class ShowCommand(_Command, osc_command.ShowOne):
    def take_action(self, parsed_args: Any) -> Any:
        ctx, record = self._run(parsed_args)
        if isinstance(record, tuple):
            return record
        names = tuple(sorted(record))
        return names, tuple(ctx.cell(record[name]) for name in names)


class DoCommand(_Command, osc_command.Command):
    def take_action(self, parsed_args: Any) -> Any:
        _ctx, code = self._run(parsed_args)
        return code


_KINDS = {"list": ListCommand, "show": ShowCommand, "do": DoCommand}
_LOG = logging.getLogger("troveclient.osc")


def _make(module_name: str, class_name: str, row: Row) -> Any:
    kind: Any = _KINDS[row.kind]
    namespace = {"__module__": module_name, "__doc__": row.help, "row": row, "log": _LOG}
    return type(kind)(class_name, (kind,), namespace)


def class_of(row: Row) -> Any:
    module, _, name = row.cls.partition(":")
    return getattr(import_module(f"troveclient.osc.v1.{module}"), name)


def exports(module_name: str) -> Callable[[str], Any]:
    """The `__getattr__` of a module of commands: makes its classes from the index as they are asked for."""
    rows = _BY_MODULE.get(module_name.rpartition(".")[2], {})

    def get(name: str) -> Any:
        row = rows.get(name)
        if row is None:
            if name == "_parse_instance_options" and module_name.endswith(".database_clusters"):
                from troveclient.commands.instance_options import members

                return members
            raise AttributeError(f"module {module_name!r} has no attribute {name!r}")
        made = _make(module_name, name, row)
        setattr(sys.modules[module_name], name, made)
        return made

    return get
