"""What a command is given when `openstack` runs it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from cliff import columns
from osc_lib import exceptions as osc_exceptions
from osc_lib import utils as osc_utils

from troveclient import base, exceptions, utils
from troveclient.commands import errors, model, output

# Formats without structure of their own: a list is one word among others there.
_FLAT = ("value", "csv", "shell")


class Structured(columns.FormattableColumn[Any]):
    """A list or dictionary: words for people, itself for programs."""

    def human_readable(self) -> str:
        return output.plain(self._value)

    def machine_readable(self) -> Any:
        return self._value

    def __eq__(self, other: object) -> bool:
        return bool(self._value == (other._value if isinstance(other, Structured) else other))

    __hash__ = None  # type: ignore[assignment]

    def __str__(self) -> str:
        return self.human_readable()


class _Lookup:
    """A manager as osc-lib's find_resource wants it, with our search behind `get`.

    osc-lib hides why its first question failed and then looks at one page of names. Here the first question is the
    whole answer, and its error comes out again where osc-lib would begin to list.
    """

    def __init__(self, manager: Any, search: Any = None) -> None:
        self.manager = manager
        self.search = search or utils.get_resource_id_by_name
        self.resource_class = getattr(manager, "resource_class", object)
        self.error: Exception | None = None

    def get(self, value: Any) -> Any:
        if self.error is not None:
            raise self.error
        try:
            return self.search(self.manager, value)
        except Exception as error:
            self.error = error
            raise

    def find(self, **_unused: Any) -> Any:
        raise self.error or exceptions.CommandError("nothing was asked")

    def list(self) -> Any:
        raise self.error or exceptions.CommandError("nothing was asked")


class OscContext(model.Context):
    """Client, lookup and output through the running openstack shell."""

    def __init__(self, command: Any, parsed_args: Any) -> None:
        super().__init__(command.app.client_manager.database, "openstack")
        self.app = command.app
        self.row = command.row
        self.module = command.__class__.__module__
        self.formatter = getattr(parsed_args, "formatter", "table")
        self.table = self.formatter == "table"
        self.admin = False

    def say(self, text: str) -> None:
        stream = getattr(self.app, "stdout", None)
        if stream is None:
            super().say(text)
        else:
            stream.write(f"{text}\n")

    def ref(self, manager: Any, value: Any) -> Any:
        if utils.is_uuid_like(value):
            return value
        return base.getid(osc_utils.find_resource(_Lookup(manager), value))

    def write(self, text: str) -> None:
        (getattr(self.app, "stdout", None) or sys.stdout).write(text)

    def locate(self, manager: Any, value: Any) -> Any:
        if utils.is_uuid_like(value):
            manager.get(value)
            return value
        return osc_utils.find_resource(_Lookup(manager), value)

    def parse_members(self, options: list[str] | None, for_grow: bool = False) -> list[dict[str, Any]]:
        # Looked up where it always was, because extensions and tests replace it there.
        parse = getattr(sys.modules[self.module], "_parse_instance_options", None)
        if parse is None:
            return super().parse_members(options, for_grow)
        found: list[dict[str, Any]] = parse(self.client, options, for_grow)
        return found

    def find(self, manager: Any, value: Any) -> Any:
        if utils.is_uuid_like(value):
            return manager.get(value)
        found = osc_utils.find_resource(_Lookup(manager, utils.find_resource), value)
        # What a list showed of it may be a part only.
        partial = getattr(found, "manager", None) is manager and not found.is_loaded
        return manager.get(found.id) if partial else found

    def project_id(self, value: str) -> str:
        return utils.get_project_id(self.app.client_manager.identity, value)

    def wide(self, rows: Any) -> Any:
        """Say that the rows are the administrator's, with further columns."""
        self.admin = True
        return rows

    def columns_of(self, definition: model.Definition) -> tuple[str, ...]:
        if self.chosen_columns is not None:
            return self.chosen_columns
        return definition.admin_columns if self.admin else definition.columns

    def cell(self, value: Any) -> Any:
        if not isinstance(value, (list, dict, tuple)):
            return value
        return output.plain(value) if self.formatter in _FLAT else Structured(value)

    def cells(self, rows: Sequence[Sequence[Any]]) -> list[tuple[Any, ...]]:
        return [tuple(self.cell(value) for value in row) for row in rows]


class CommandError(exceptions.CommandError, osc_exceptions.CommandError):
    """A failed command, for callers that catch ours as well as for those that catch osc-lib's."""


def guarded(run: Any, ctx: OscContext, parsed_args: Any) -> Any:
    """Run a command. The shell prints our errors and exits with 1."""
    try:
        return run(ctx, parsed_args)
    except exceptions.CommandError as error:
        raise CommandError(str(error)) from error
    except Exception as error:
        told = errors.explain(error)
        if told is None:
            raise
        raise CommandError(told) from error
