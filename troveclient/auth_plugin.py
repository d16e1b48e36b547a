"""Login plugins of the non-session client (entry point group `openstack.client.auth_plugin`)."""

from __future__ import annotations

import argparse
from typing import Any

from troveclient import exceptions

_discovered: dict[str, Any] = {}


def _entry_points() -> Any:
    from importlib import metadata

    return metadata.entry_points(group="openstack.client.auth_plugin")


def discover_auth_systems() -> None:
    """Look for plugins installed beside us."""
    _discovered.clear()
    for entry in _entry_points():
        try:
            _discovered[entry.name] = entry.load()
        except (ImportError, AttributeError):
            continue


def load_auth_system_opts(parser: argparse.ArgumentParser) -> None:
    """Let every plugin add its options."""
    discover_auth_systems()
    for name, plugin in _discovered.items():
        add = getattr(plugin, "add_opts", None)
        if add is not None:
            add(parser.add_argument_group(f"Auth-system {name!r} options"))


def load_plugin(auth_system: str) -> Any:
    if auth_system in _discovered:
        return _discovered[auth_system]()
    return None


class BaseAuthPlugin:
    """What a login plugin answers."""

    def __init__(self) -> None:
        self.opts: dict[str, Any] = {}

    def get_auth_url(self) -> str | None:
        return None

    @staticmethod
    def add_opts(parser: Any) -> Any:
        return parser

    def parse_opts(self, args: argparse.Namespace) -> dict[str, Any]:
        return {}

    def authenticate(self, cls: Any, auth_url: str) -> None:
        raise exceptions.AuthSystemNotFound(self.__class__.__name__)
