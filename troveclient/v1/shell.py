"""The `do_…` functions of the trove shell, for extensions that call them: `do_cluster_list(cs, args)`.

They are made from the index when asked for; `cs` is a client, `args` a namespace as the command's parser makes it.
"""

from __future__ import annotations

from typing import Any

from troveclient import exceptions, utils
from troveclient.commands import instance_options
from troveclient.commands.instance_options import (
    EXT_PROPS_HELP,
    EXT_PROPS_METAVAR,
    INSTANCE_HELP,
    INSTANCE_METAVAR,
)

__all__ = ["EXT_PROPS_HELP", "EXT_PROPS_METAVAR", "INSTANCE_HELP", "INSTANCE_METAVAR"]


def _find_instance(cs: Any, instance: str) -> Any:
    return utils.find_resource(cs.instances, instance)


def _find_cluster(cs: Any, cluster: str) -> Any:
    return utils.find_resource(cs.clusters, cluster)


def _find_instance_or_cluster(cs: Any, instance_or_cluster: str) -> tuple[Any, str]:
    """The object and the word "instance" or "cluster". Raises CommandError when there is neither."""
    try:
        return _find_instance(cs, instance_or_cluster), "instance"
    except exceptions.CommandError:
        return _find_cluster(cs, instance_or_cluster), "cluster"


def _strip_option(opts_str: str, opt_name: str, is_required: bool = True, quotes_required: bool = False) -> Any:
    """The value of one option in `opt=value,…` and the text without it. Raises MissingArgs, ValidationError."""
    found = instance_options.pairs(opts_str, opt_name) if opts_str else []
    values = [value for key, value in found if key == opt_name]
    if not values and is_required:
        raise exceptions.MissingArgs([opt_name], f"Missing option '{opt_name}' in {opts_str!r}.")
    if len(values) > 1:
        raise exceptions.ValidationError(f"{opt_name!r} is given twice in {opts_str!r}.")
    rest = ",".join(f"{key}='{value}'" if "," in value else f"{key}={value}" for key, value in found if key != opt_name)
    return (values[0] if values else None), rest


def _parse_instance_options(cs: Any, options: list[str], for_grow: bool = False) -> list[dict[str, Any]]:
    return instance_options.members(cs, options, for_grow)


def _parse_extended_properties(extended_properties: str) -> dict[str, str]:
    return instance_options.extended_properties(extended_properties)


def __getattr__(name: str) -> Any:
    if not name.startswith("do_"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from troveclient import shell

    command = name[3:].replace("_", "-")
    row = shell.commands().get(command)
    if row is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def do(cs: Any, args: Any) -> int:
        return shell.perform(row, shell.TroveContext(cs), args)

    do.__name__, do.__doc__ = name, row.help
    globals()[name] = do
    return do


def __dir__() -> list[str]:
    from troveclient import shell

    return sorted({*globals(), *(f"do_{name.replace('-', '_')}" for name in shell.commands())})
