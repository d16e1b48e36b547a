"""What every manager shares: pages, query strings, quoting."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib import parse

from troveclient import exceptions


class Paginated(list):  # type: ignore[type-arg]
    """One page of a list: a list with the marker of the next page (`next`, or None) and the `links` sent with it."""

    def __init__(
        self,
        items: Iterable[Any] | None = None,
        next_marker: str | None = None,
        links: list[dict[str, str]] | None = None,
    ) -> None:
        super().__init__(items or [])
        self.next = next_marker
        self.links = links or []


def limit_url(url: str, limit: Any = None, marker: Any = None) -> str:
    """Add paging to a URL."""
    return append_query_strings(url, limit=limit or None, marker=marker or None)


def append_query_strings(url: str, **query_strings: Any) -> str:
    """Add `k=v` pairs as they are (values are the caller's to escape); None is left out."""
    pairs = "&".join(f"{key}={value}" for key, value in query_strings.items() if value is not None)
    if not pairs:
        return url
    return f"{url}{'&' if '?' in url else '?'}{pairs}"


def check_for_exceptions(resp: Any, body: Any, url: str | None = None) -> None:
    """Raise when an answer that reached us says 400, 422 or 500."""
    if resp.status_code in (400, 422, 500):
        raise exceptions.from_response(resp, body, url)


def quote_user_host(user: str, host: str | None) -> str:
    """A user as one path segment: `name@host`, percent-encoded; dots too, so that no server takes them for a suffix."""
    full = f"{user}@{host}" if host else user
    return parse.quote(full).replace(".", "%2e")
