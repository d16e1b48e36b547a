"""Small functions that commands, extensions and other projects use."""

from __future__ import annotations

import base64
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

from troveclient import exceptions


class HookableMixin:
    """Lets extension modules hang functions on the steps of the shell."""

    _hooks_map: dict[str, list[Callable[..., Any]]] = {}

    @classmethod
    def add_hook(cls, hook_type: str, hook_func: Callable[..., Any]) -> None:
        cls._hooks_map.setdefault(hook_type, []).append(hook_func)

    @classmethod
    def run_hooks(cls, hook_type: str, *args: Any, **kwargs: Any) -> None:
        for hook_func in cls._hooks_map.get(hook_type) or []:
            hook_func(*args, **kwargs)


def env(*names: str, **kwargs: Any) -> Any:
    """Return the first of these environment variables that is set, else `default` ("")."""
    for name in names:
        value = os.environ.get(name)
        if value:
            return value
    return kwargs.get("default", "")


def arg(*args: Any, **kwargs: Any) -> Callable[[Any], Any]:
    """Decorate an extension's `do_…` function with one command line argument."""

    def decorate(func: Any) -> Any:
        add_arg(func, *args, **kwargs)
        return func

    return decorate


def add_arg(func: Any, *args: Any, **kwargs: Any) -> None:
    if not hasattr(func, "arguments"):
        func.arguments = []
    if (args, kwargs) not in func.arguments:
        func.arguments.insert(0, (args, kwargs))  # decorators apply from the bottom up


def unauthenticated(func: Any) -> Any:
    """Mark a `do_…` function as needing no login."""
    func.unauthenticated = True
    return func


def isunauthenticated(func: Any) -> bool:
    return bool(getattr(func, "unauthenticated", False))


def service_type(stype: str) -> Callable[[Any], Any]:
    """Mark a `do_…` function with the service type it talks to."""

    def decorate(func: Any) -> Any:
        func.service_type = stype
        return func

    return decorate


def get_service_type(func: Any) -> str | None:
    return getattr(func, "service_type", None)


def translate_keys(collection: Sequence[Any], convert: Sequence[tuple[str, str]]) -> None:
    """Give the objects of a list further attributes: (existing key, wanted attribute)."""
    for item in collection:
        for key, attribute in convert:
            if key in item.__dict__ and attribute not in item.__dict__:
                setattr(item, attribute, item._info[key])


def safe_issubclass(*args: Any) -> bool:
    """`issubclass` that answers False where it would raise TypeError."""
    try:
        return issubclass(*args)
    except TypeError:
        return False


def is_uuid_like(value: Any) -> bool:
    try:
        return bool(UUID(value).hex == value.lower().replace("-", ""))
    except (TypeError, ValueError, AttributeError):
        return False


def is_admin(client: Any) -> bool:
    """Whether the login has the role `admin`, as far as the client can tell."""
    http: Any = getattr(client, "client", None)
    try:
        auth = http.auth or http.session.auth
        roles = auth.get_access(http.session).role_names
    except Exception:
        return False
    return "admin" in roles


def encode_data(data: bytes | bytearray | str) -> str:
    """Bytes (or text, a byte per character where that is possible) as base64 text."""
    if isinstance(data, str):
        try:
            raw = data.encode("latin-1")
        except UnicodeEncodeError:
            raw = data.encode("utf-8")
    else:
        raw = bytes(data)
    return base64.b64encode(raw).decode("ascii")


def decode_data(data: str | bytes) -> bytes:
    return base64.b64decode(data)


def find_resource(manager: Any, name_or_id: Any) -> Any:
    """Return the object with this id or name. Raises CommandError when there is none, several, or no collection."""
    from troveclient import base

    value = str(name_or_id)
    kind = getattr(getattr(manager, "resource_class", None), "__name__", "object").lower()
    by_name_first = isinstance(manager, base.ManagerWithFind) and manager.find_url and not is_uuid_like(value)
    # Names are what people type, and one filtered request finds them; ids that are no UUIDs come second.
    steps = (_by_name, _by_id) if by_name_first else (_by_id, _by_name)
    nowhere: Exception | None = None
    for step in steps:
        try:
            found = step(manager, value)
        except exceptions.NotFound as error:
            nowhere = error
            continue
        if found is not None:
            return found
    if nowhere is not None:
        # The service has no such things at all; its own words say more than that this one is missing.
        raise exceptions.CommandError(str(nowhere)) from nowhere
    raise exceptions.CommandError(f"No {kind} with a name or ID of '{value}' exists; the list command shows what does.")


def _by_id(manager: Any, value: str) -> Any:
    try:
        return manager.get(value)
    except exceptions.NotFound:
        return None
    except exceptions.BadRequest:
        # Deployed services answer 400 for some ids they do not like the look of; a name may still fit.
        return None


def _by_name(manager: Any, value: str) -> Any:
    if not hasattr(manager, "find"):
        return None
    try:
        return manager.find(name=value)
    except exceptions.NotFound as error:
        if error.response is not None:
            raise  # no answer to the question: the collection itself is not there
    except exceptions.NoUniqueMatch as error:
        raise exceptions.CommandError(str(error)) from error
    if getattr(manager, "find_url", None) is None:
        try:
            return manager.find(display_name=value)
        except exceptions.NotFound:
            return None
    return None


def get_resource_id(manager: Any, id_or_name: Any) -> Any:
    """Return the id of what was given as id or name; a UUID costs no request."""
    if hasattr(id_or_name, "id"):
        return id_or_name.id
    if is_uuid_like(id_or_name):
        return id_or_name
    return get_resource_id_by_name(manager, id_or_name)


def get_resource_id_by_name(manager: Any, name: str) -> Any:
    """Return the id of the one object of this name. Raises CommandError when there is none, or several."""
    return find_resource(manager, name).id


def get_project_id(identity: Any, value: str) -> str:
    """Return the id of a project given by id or name; the value itself when the identity service does not tell."""
    if is_uuid_like(value):
        return value
    try:
        if hasattr(identity, "find_project"):
            return str(identity.find_project(value, ignore_missing=False).id)
        from osc_lib import utils as osc_utils

        return str(osc_utils.find_resource(identity.projects, value).id)
    except Exception:
        # A caller without the right to list projects names his own: the service decides.
        return value


def do_action_on_many(action: Callable[[Any], Any], resources: Sequence[Any], success_msg: str, error_msg: str) -> None:
    """Do something to each of several things; go on after a failure, and fail at the end."""
    failed = False
    for resource in resources:
        try:
            action(resource)
            print(success_msg % resource)
        except Exception as error:
            failed = True
            print(error, file=sys.stderr)
    if failed:
        raise exceptions.CommandError(error_msg)


def do_action_with_msg(action: Callable[..., Any], success_msg: str) -> None:
    action()
    print(success_msg)


def print_list(
    objs: Sequence[Any],
    fields: Sequence[str],
    formatters: dict[str, Any] | None = None,
    order_by: str | None = None,
    obj_is_dict: bool = False,
    labels: dict[str, str] | None = None,
) -> None:
    """Print objects or dictionaries as a table."""
    from troveclient.commands.output import table

    labels = labels or {}
    rows = []
    for obj in objs:
        row = []
        for field in fields:
            if formatters and field in formatters:
                row.append(formatters[field](obj))
                continue
            key = field.lower().replace(" ", "_")
            if obj_is_dict:
                row.append(obj.get(field, obj.get(key, "")))
            else:
                row.append(getattr(obj, field, getattr(obj, key, "")))
        rows.append(row)
    if order_by is not None and order_by in fields:
        at = list(fields).index(order_by)
        rows.sort(key=lambda row: str(row[at]))
    names = [labels.get(field, field.replace("_", " ").title() if field.islower() else field) for field in fields]
    print(table(names, rows))


def print_dict(d: dict[str, Any], key: str = "Property") -> None:
    """Print a dictionary as a table of two columns."""
    from troveclient.commands.output import table

    print(table([key, "Value"], [[name, d[name]] for name in sorted(d)]))
