"""Read published guest logs from object storage."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from urllib import parse

from troveclient import exceptions


class SessionObjectStore:
    """The three calls that reading a log needs, through the session that the client already has."""

    def __init__(self, session: Any, **kwargs: Any) -> None:
        from keystoneauth1 import adapter

        self._http = adapter.Adapter(session, service_type="object-store", **kwargs)

    def _fetch(self, method: str, path: str, **params: Any) -> Any:
        resp = self._http.request(f"/{path}", method, params=params, raise_exc=False)
        if resp.status_code == 404:
            raise exceptions.GuestLogNotFoundError()
        if resp.status_code >= 400:
            raise exceptions.from_response(resp, method, path)
        return resp

    def get_container(self, container: str, prefix: str = "", **_unused: Any) -> Any:
        items: list[Any] = []
        while True:
            marker = items[-1]["name"] if items else ""
            resp = self._fetch("GET", parse.quote(container), format="json", prefix=prefix, marker=marker)
            page = resp.json()
            items += page
            if not page:
                return dict(resp.headers), items

    def head_object(self, container: str, name: str) -> Any:
        return dict(self._fetch("HEAD", parse.quote(f"{container}/{name}")).headers)

    def get_object(self, container: str, name: str) -> Any:
        resp = self._fetch("GET", parse.quote(f"{container}/{name}"))
        return dict(resp.headers), resp.content


def store_for(api: Any) -> Any:
    """The object storage that belongs to a client's login. Raises CommandError without a session."""
    session = getattr(api.client, "session", None)
    if session is None:
        raise exceptions.CommandError(
            "Reading a published log needs object storage, which needs a keystone login. Log in with a session."
        )
    http = api.client
    return SessionObjectStore(session, auth=http.auth, region_name=http.region_name, interface=http.interface)


def reader(info: Any, lines: Any, swift: Any) -> Callable[[], Iterator[str]]:
    """Return a function that yields the text of a published log, or of its last `lines` lines."""
    container, prefix = info.container, info.prefix
    if not container or container == "None":
        raise exceptions.GuestLogNotFoundError()

    def names() -> list[str]:
        try:
            _headers, objects = swift.get_container(container, prefix=prefix)
        except Exception as error:
            if getattr(error, "http_status", None) == 404:
                raise exceptions.GuestLogNotFoundError() from error
            raise
        wanted = [item["name"] for item in objects if not item["name"].endswith("_metafile")]
        if not wanted:
            raise exceptions.GuestLogNotFoundError()
        return sorted(wanted)

    def text(name: str) -> str:
        _headers, body = swift.get_object(container, name)
        return body.decode("utf-8", errors="replace") if isinstance(body, bytes) else str(body)

    def everything() -> Iterator[str]:
        for name in names():
            yield text(name)

    def tail() -> Iterator[str]:
        chosen: list[str] = []
        missing = int(lines)
        # From the newest object back, until enough lines are known; the header saves fetching what is not needed.
        for name in reversed(names()):
            if missing <= 0:
                break
            headers = swift.head_object(container, name)
            chosen.insert(0, name)
            missing -= int(headers.get("x-object-meta-lines", 0) or 0)
        kept = "".join(text(name) for name in chosen).splitlines(keepends=True)
        yield from kept[-int(lines) :]

    return tail if lines and int(lines) > 0 else everything
