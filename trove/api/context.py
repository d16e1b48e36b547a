"""One call of the API as the handlers see it: who asks, for what, and what he may."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import unquote

from trove.api.services import Services
from trove.api.settings import ApiSettings
from trove.domain.errors import BadRequest, Forbidden
from trove.domain.operations import Operation
from trove.domain.store import Store
from trove.policies.enforcer import Enforcer


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody whose identity was checked."""

    user_id: str
    project_id: str
    roles: frozenset[str]
    is_admin: bool = False

    @property
    def scope(self) -> str | None:
        """Project to look things up in: the caller's own, or None (any) for an administrator."""
        return None if self.is_admin else self.project_id


class Reply(NamedTuple):
    """An answer. `body` None is an empty one, `status` None the success status of the route."""

    body: Mapping[str, Any] | None = None
    status: int | None = None
    operation: Operation | None = None
    """The operation that was started: becomes the Location header."""


@dataclass(slots=True)
class PublicCall:
    """A call of a route that needs no identity."""

    store: Store
    base: str
    description: Callable[[], Mapping[str, Any]]
    """Makes the OpenAPI document."""


@dataclass(slots=True)
class Call:
    """Everything a handler may look at."""

    store: Store
    services: Services
    settings: ApiSettings
    enforcer: Enforcer
    caller: Caller
    params: Mapping[str, str]
    query: Mapping[str, Any]
    base: str
    """Scheme, host and port of links."""
    path: str
    body: Any = None

    @property
    def project(self) -> str:
        """The caller's project, which is also the one in the URL."""
        return self.caller.project_id

    def enforce(self, rule: str, project_id: str | None = None) -> None:
        """Refuse (Forbidden) unless the policy lets the caller do it to a thing of that project (his own: None)."""
        target = project_id or self.caller.project_id
        if not self.enforcer.allows(rule, self.caller, target):
            raise Forbidden(f"policy does not allow {rule} to you; it takes another role")

    def text(self, name: str) -> str | None:
        """Return a query parameter, the last one where it was given twice, None where it is empty."""
        value = self.query.get(name)
        if isinstance(value, list):
            value = value[-1] if value else None
        if value and "\0" in value:
            raise BadRequest(f"query parameter {name} contains a NUL character")
        return value or None

    def flag(self, name: str) -> bool:
        """Return a boolean query parameter: `true` in any case."""
        return (self.text(name) or "").lower() == "true"

    def limit(self) -> int:
        """Return the page size that was asked for; above the maximum it is cut. BadRequest when it is no number."""
        text = self.text("limit")
        if text is None:
            return self.settings.page_size
        if not (text.isascii() and text.isdigit()) or not text.strip("0"):
            raise BadRequest(f"limit must be an integer of 1 or more, not '{text[:40]}'")
        return self.settings.page_size if len(text) > 9 else min(int(text), self.settings.page_size)

    def marker(self) -> str | None:
        """Return the id to continue after; clients may send it percent-encoded once more than needed."""
        text = self.text("marker")
        return unquote(text) if text and "%" in text else text
