"""Run stories: requests and what must be answered, written as YAML in `cases/`, one file per noun.

A story has a `name` and `steps`. A step either does something to the installation (`do: {instance: {name: shop}}`, see
installation.py; `save_as` keeps the id) or sends a request:

    - POST: /v1.0/p-1/instances      method and path
      as: admin                      roles (default: member)
      project: p-2                   project of the caller (default: that of the URL)
      headers: {...}                 more request headers
      body: {...}                    sent as JSON; `raw` sends text as it is
      status: 200                    expected; with `fault: [name, regex]` also the form of the error and its message
      json: {...}                    expected part of the answer: dictionaries may have more keys, lists may not
      exactly: {...}                 expected answer, nothing more
      empty: true                    expected: no body at all
      absent: [instance.fault]       keys that must not be there
      answers: {Location: "~..."}    expected response headers
      save: {id: instance.id}        values for later steps, used as $id

Expected text beginning with ~ is a regular expression for the whole text; "@list" is any list with something in it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from string import Template
from typing import Any

import yaml

from trove.tests.api.installation import Installation

CASES = Path(__file__).parent / "cases"
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
REQUEST_ID = re.compile(r"req-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
EXPECTED = ("status", "fault", "json", "exactly", "empty", "absent", "answers", "save")
KNOWN = {*METHODS, *EXPECTED, "do", "save_as", "as", "project", "headers", "body", "raw"}

Send = Callable[[str, str, Mapping[str, str], bytes | None], tuple[int, Mapping[str, str], bytes]]
"""Takes method, URL, headers and body; returns status, headers (names in lower case) and body."""


@dataclass
class Story:
    """One story of a file."""

    file: str
    name: str
    steps: list[dict[str, Any]]
    values: dict[str, str] = field(default_factory=dict)

    @property
    def id(self) -> str:
        return f"{self.file}: {self.name}"

    def run(self, installation: Installation, send: Send) -> None:
        """Play all steps; AssertionError names the step."""
        for number, raw in enumerate(self.steps, 1):
            assert raw.keys() <= KNOWN, f"step {number}: unknown {raw.keys() - KNOWN}"
            # What is expected may use what this very step saves, so it is filled in after the request.
            if "do" in raw:
                ((what, arguments),) = self._fill(raw["do"]).items()
                made = installation.do(what, arguments or {})
                if "save_as" in raw:
                    self.values[raw["save_as"]] = made if isinstance(made, str) else made.id
                continue
            try:
                self._request(raw, send)
            except AssertionError as error:
                raise AssertionError(f"step {number} of '{self.name}': {error}") from None

    def _request(self, raw: dict[str, Any], send: Send) -> None:
        method = next(name for name in METHODS if name in raw)
        step = {key: self._fill(raw[key]) for key in raw if key in (method, "headers", "body", "raw", "as", "project")}
        headers = {"X-Roles": step.get("as", "member"), "Host": "db.example.net:8779", **step.get("headers", {})}
        if "project" in step:
            headers["X-Project-Id"] = step["project"]
        payload: bytes | None = None
        if "body" in step:
            payload = json.dumps(step["body"]).encode()
            headers.setdefault("Content-Type", "application/json")
        elif "raw" in step:
            payload = step["raw"].encode("utf-8", "surrogateescape")
            headers.setdefault("Content-Type", "application/json")
        status, answered, body = send(method, step[method], headers, payload)
        shown = f"{method} {step[method]} -> {status} {body[:2000].decode()}"
        assert status == raw["status"], f"expected {raw['status']}: {shown}"
        assert REQUEST_ID.fullmatch(answered.get("x-openstack-request-id", "")), f"no request id: {answered}"
        assert answered.get("content-type") == "application/json", f"content type: {answered}"
        document = json.loads(body) if body else None
        for name, path in raw.get("save", {}).items():
            self.values[name] = str(_dig(document, path) if not path.startswith("header:") else answered[path[7:]])
        expected = {key: self._fill(raw[key]) for key in raw if key in ("json", "exactly", "answers", "fault")}
        if "fault" in expected:
            _check_fault(document, status, *expected["fault"])
        if "json" in expected:
            check(expected["json"], document, "", shown)
        if "exactly" in expected:
            assert document == expected["exactly"], f"expected exactly {expected['exactly']}: {shown}"
        if raw.get("empty"):
            assert body == b"", f"expected no body: {shown}"
        for path in raw.get("absent", ()):
            assert not _has(document, path), f"{path} must not be there: {shown}"
        for name, value in expected.get("answers", {}).items():
            check(value, answered.get(name.lower()), f"header {name}", shown)

    def _fill(self, value: Any) -> Any:
        if isinstance(value, str):
            return Template(value).safe_substitute(self.values)
        if isinstance(value, dict):
            return {self._fill(key): self._fill(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self._fill(item) for item in value]
        return value


def load(*files: str) -> list[Story]:
    """Read stories, of all files or of these."""
    stories = []
    for path in sorted(CASES.glob("*.yaml")):
        if not files or path.stem in files:
            stories += [Story(path.stem, **entry) for entry in yaml.safe_load(path.read_text())]
    assert len({story.id for story in stories}) == len(stories), "two stories have the same name"
    return stories


def check(expected: Any, got: Any, where: str, shown: str) -> None:
    if isinstance(expected, dict):
        assert isinstance(got, dict), f"{where}: expected an object, got {got!r} in {shown}"
        for key, value in expected.items():
            assert key in got, f"{where}.{key} is missing in {shown}"
            check(value, got[key], f"{where}.{key}", shown)
    elif isinstance(expected, list):
        assert isinstance(got, list), f"{where}: expected a list, got {got!r}"
        assert len(got) == len(expected), f"{where}: expected {len(expected)} items, got {len(got)} in {shown}"
        for index, (one, other) in enumerate(zip(expected, got, strict=True)):
            check(one, other, f"{where}[{index}]", shown)
    elif expected == "@list":
        assert isinstance(got, list), f"{where}: expected a list, got {got!r}"
        assert got, f"{where}: the list is empty in {shown}"
    elif isinstance(expected, str) and expected.startswith("~"):
        assert isinstance(got, str), f"{where}: expected text, got {got!r} in {shown}"
        assert re.fullmatch(expected[1:], got, re.DOTALL), f"{where}: {got!r} is not {expected} in {shown}"
    else:
        assert got == expected, f"{where}: expected {expected!r}, got {got!r} in {shown}"


def _check_fault(document: Any, status: int, name: str, pattern: str) -> None:
    assert isinstance(document, dict), f"no fault: {document!r}"
    assert list(document) == [name], f"expected the one key {name}: {document}"
    assert document[name].keys() == {"code", "message"}, document
    assert document[name]["code"] == status, document
    assert re.search(pattern, document[name]["message"]), f"message is not like {pattern!r}: {document}"


def _dig(document: Any, path: str) -> Any:
    for part in path.split("."):
        document = document[int(part)] if isinstance(document, list) else document[part]
    return document


def _has(document: Any, path: str) -> bool:
    try:
        _dig(document, path)
    except (KeyError, IndexError):
        return False
    return True
