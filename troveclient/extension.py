"""An extension module: its manager and its hooks."""

from __future__ import annotations

from typing import Any

from troveclient import base, utils


class Extension(utils.HookableMixin):
    """A module that adds a manager to the client and functions to the shell."""

    SUPPORTED_HOOKS = ("__pre_parse_args__", "__post_parse_args__")

    def __init__(self, name: str, module: Any) -> None:
        self.name = name
        self.module = module
        self.manager_class: Any = None
        self._parse_extension_module()

    def _parse_extension_module(self) -> None:
        for attribute, value in self.module.__dict__.items():
            if attribute in self.SUPPORTED_HOOKS:
                self.add_hook(attribute, value)
            elif utils.safe_issubclass(value, base.Manager):
                self.manager_class = value

    def __repr__(self) -> str:
        return f"<Extension {self.name!r}>"
