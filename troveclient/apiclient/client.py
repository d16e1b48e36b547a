"""Choose a client class by API version."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from troveclient import exceptions


class BaseClient:
    @staticmethod
    def get_class(api_name: str, version: Any, version_map: dict[str, str]) -> Any:
        """Return the class that `version_map` names for a version; raises UnsupportedVersion."""
        path = version_map.get(str(version))
        if path is None:
            known = ", ".join(sorted(version_map))
            raise exceptions.UnsupportedVersion(
                f"Invalid {api_name} client version {str(version)!r}. Must be one of: {known}"
            )
        module, _, name = path.rpartition(".")
        return getattr(import_module(module), name)
