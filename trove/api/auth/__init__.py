"""Ways to find out who sends a request; `make_strategy` picks the configured one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from trove.api.auth.basic import HttpBasic
from trove.api.auth.identity import Identity
from trove.api.auth.keystone import Keystone
from trove.api.auth.noauth import NoAuth
from trove.api.settings import ApiSettings


class Strategy(Protocol):
    """Finds out who sends a request."""

    def identify(self, environ: Mapping[str, Any]) -> Identity:
        """Return who it is. Unauthorized when it cannot be told, Forbidden when he belongs nowhere."""


STRATEGIES: Mapping[str, Callable[[ApiSettings], Strategy]] = {
    "http_basic": lambda settings: HttpBasic(settings.htpasswd_file, settings.users_file),
    "keystone": lambda settings: Keystone(),
    "noauth": lambda settings: NoAuth(),
}


def make_strategy(settings: ApiSettings) -> Strategy:
    """Return the configured strategy. ValueError for an unknown one or unusable files."""
    make = STRATEGIES.get(settings.auth_strategy)
    if make is None:
        raise ValueError(f"auth_strategy is '{settings.auth_strategy}'; it must be one of {', '.join(STRATEGIES)}")
    return make(settings)


__all__ = ["STRATEGIES", "Identity", "Strategy", "make_strategy"]
