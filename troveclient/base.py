"""Resources and the managers that fetch them."""

from __future__ import annotations

import contextlib
import copy
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib import parse

from troveclient import common, exceptions

_ESCAPED = re.compile(r"%[0-9A-Fa-f]{2}")


def getid(obj: Any) -> Any:
    """The id of an object, or the value itself when it has none."""
    return getattr(obj, "id", obj)


def escape_marker(marker: Any) -> Any:
    """Make a marker fit for a URL. Servers that escape markers twice hand them over still escaped: leave those."""
    if marker is None or _ESCAPED.search(str(marker)):
        return marker
    return parse.quote(str(marker), safe="")


class Resource:
    """A record of the service with its fields as attributes.

    An object that came from a list may be partial: reading an unknown attribute fetches the whole record once.
    """

    HUMAN_ID = False
    NAME_ATTR = "name"

    def __init__(self, manager: Any, info: dict[str, Any], loaded: bool = False) -> None:
        self.manager = manager
        self._info = info
        self._add_details(info)
        self._loaded = loaded
        cache = getattr(manager, "write_to_completion_cache", None)
        if cache is not None:
            if len(str(self.__dict__.get("id", ""))) == 36:
                cache("uuid", self.id)
            if self.human_id:
                cache("human_id", self.human_id)

    def _add_details(self, info: dict[str, Any]) -> None:
        for key, value in info.items():
            with contextlib.suppress(AttributeError):  # a property of the class wins
                setattr(self, key, value)

    @property
    def human_id(self) -> str | None:
        name = self.__dict__.get(self.NAME_ATTR)
        if not self.HUMAN_ID or name is None:
            return None
        return re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", str(name)).strip().lower())

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name in ("manager", "_info", "_loaded", "id"):
            raise AttributeError(name)
        if name not in self.__dict__ and not self.__dict__.get("_loaded", True):
            self.get()
        if name in self.__dict__:
            return self.__dict__[name]
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")

    def get(self) -> None:
        """Fetch the whole record."""
        self._loaded = True
        fetch = getattr(self.manager, "get", None)
        if fetch is None or "id" not in self.__dict__:
            return
        new = fetch(self.id)
        if new:
            self._add_details(new._info)

    _get = get

    @property
    def is_loaded(self) -> bool:
        return self._loaded

    def set_loaded(self, value: bool) -> None:
        self._loaded = value

    def to_dict(self) -> dict[str, Any]:
        return copy.deepcopy(self._info)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, self.__class__):
            return NotImplemented
        if "id" in self.__dict__ and "id" in other.__dict__:
            return bool(self.id == other.id)
        return self._info == other._info

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        names = sorted(key for key in self.__dict__ if key[0] != "_" and key != "manager")
        return f"<{type(self).__name__} {', '.join(f'{key}={getattr(self, key)}' for key in names)}>"


class Manager:
    """Requests for one kind of resource, through `api.client`."""

    resource_class: Any = None

    def __init__(self, api: Any) -> None:
        self.api = api

    # Writing ids of everything seen into the home directory is for those who ask for it.
    @contextlib.contextmanager
    def completion_cache(self, cache_type: str, obj_class: Any, mode: str) -> Iterator[None]:
        """Keep names for shell completion below TROVECLIENT_UUID_CACHE_DIR; nothing when that is not set."""
        directory = os.environ.get("TROVECLIENT_UUID_CACHE_DIR")
        if not directory:
            yield
            return
        attribute = f"_{cache_type}_cache"
        try:
            os.makedirs(directory, mode=0o755, exist_ok=True)  # noqa: PTH103 - replaced by callers under this name
            path = Path(directory) / f"{obj_class.__name__.lower()}-{cache_type.replace('_', '-')}-cache"
            setattr(self, attribute, path.open(mode))
        except OSError:
            yield
            return
        try:
            yield
        finally:
            getattr(self, attribute).close()
            delattr(self, attribute)

    def write_to_completion_cache(self, cache_type: str, value: Any) -> None:
        cache = getattr(self, f"_{cache_type}_cache", None)
        if cache:
            cache.write(f"{value}\n")

    def _list(self, url: str, response_key: str, obj_class: Any = None, body: Any = None) -> list[Any]:
        if body:
            _resp, answer = self.api.client.post(url, body=body)
        else:
            _resp, answer = self.api.client.get(url)
        cls = self.resource_class if obj_class is None else obj_class
        data = answer[response_key]
        if isinstance(data, dict):
            data = data.get("values", data)
        with self.completion_cache("human_id", cls, mode="w"), self.completion_cache("uuid", cls, mode="w"):
            return [cls(self, item, loaded=True) for item in data if item]

    def _paginated(
        self,
        url: str,
        response_key: str,
        limit: Any = None,
        marker: Any = None,
        query_strings: dict[str, Any] | None = None,
    ) -> common.Paginated:
        """Fetch one page; its `next` is the marker of the page that follows."""
        full = common.append_query_strings(
            url, **{"limit": limit, "marker": escape_marker(marker), **(query_strings or {})}
        )
        _resp, body = self.api.client.get(full)
        if not body:
            raise exceptions.ResponseFormatError(f"GET {url} answered without a body")
        links = body.get("links") or body.get(f"{response_key}_links") or []
        next_marker = None
        for link in links:
            if link.get("rel") == "next":
                query = parse.parse_qs(parse.urlparse(link["href"]).query)
                next_marker = query.get("marker", [None])[0]
        items = [self.resource_class(self, item) for item in body[response_key]]
        return common.Paginated(items, next_marker=next_marker, links=links)

    def _get(self, url: str, response_key: str | None = None) -> Any:
        _resp, body = self.api.client.get(url)
        return self.resource_class(self, body[response_key] if response_key else body, loaded=True)

    def _create(self, url: str, body: Any, response_key: str, return_raw: bool = False, **kwargs: Any) -> Any:
        _resp, answer = self.api.client.post(url, body=body)
        if return_raw:
            return answer[response_key]
        with (
            self.completion_cache("human_id", self.resource_class, mode="a"),
            self.completion_cache("uuid", self.resource_class, mode="a"),
        ):
            return self.resource_class(self, answer[response_key])

    def _delete(self, url: str) -> None:
        resp, body = self.api.client.delete(url)
        self._check(resp, body, url)

    def _update(self, url: str, body: Any, **kwargs: Any) -> Any:
        _resp, answer = self.api.client.put(url, body=body)
        return answer

    def _edit(self, url: str, body: Any) -> Any:
        resp, answer = self.api.client.patch(url, body=body)
        self._check(resp, answer, url)
        return answer

    def _check(self, resp: Any, body: Any, url: str) -> None:
        if hasattr(resp, "status_code"):
            common.check_for_exceptions(resp, body, url)


class ManagerWithFind(Manager):
    """A manager whose objects can be found by name.

    `find_url` and `find_key` name the collection; with them a search is one request to a server that filters by name,
    and goes through all pages of one that does not.
    """

    find_url: str | None = None
    find_key: str = ""
    find_query: dict[str, Any] = {}

    def find(self, **kwargs: Any) -> Any:
        """Return the one object with these attributes; raises NotFound or NoUniqueMatch (listing the candidates)."""
        found = self.findall(**kwargs)
        what = " ".join(f"{key} {value!r}" for key, value in kwargs.items())
        kind = getattr(self.resource_class, "__name__", "object").lower()
        if not found:
            raise exceptions.NotFound(f"No {kind} with {what}.", http_status=404)
        if len(found) > 1:
            raise exceptions.NoUniqueMatch(
                f"More than one {kind} with {what}: {', '.join(str(getid(item)) for item in found)}. Use the id."
            )
        return found[0]

    def findall(self, **kwargs: Any) -> list[Any]:
        """Return every object with these attributes, over all pages. Missing attributes count as different."""
        return [
            item
            for item in self._everything(kwargs.get("name"))
            # Not getattr: that would fetch every object that lacks the attribute.
            if all(vars(item).get(key) == value for key, value in kwargs.items())
        ]

    def _everything(self, name: Any = None) -> Iterator[Any]:
        if self.find_url is None:
            yield from self.list()
            return
        query = dict(self.find_query)
        if name is not None:
            query["name"] = parse.quote(str(name), safe="")
        marker: str | None = None
        seen: set[str] = set()
        while True:
            page = self._paginated(self.find_url, self.find_key, marker=marker, query_strings=query)
            yield from page
            marker = page.next
            if not marker or marker in seen:
                return
            seen.add(marker)

    def list(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError
