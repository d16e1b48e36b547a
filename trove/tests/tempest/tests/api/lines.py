"""Command lines and what must be seen, written as YAML: `rows/` are independent lines, `stories/` go in order.

A line is a dictionary:

    run: openstack database instance show $orders    as typed; $values come from earlier lines or from the server
    code: 1                 exit code (default 0); an error is one line on standard error, and nothing else but `out`
    json: {...}             expected part of the output, read as JSON: dictionaries may have more keys, lists may not
    has: {...}              a row of a list (of which there may be more), read as JSON
    until: {...}            like json, but typed again and again until it is seen, for a minute
    out: [...]              texts on standard output
    err: [...]              texts on standard error; without them it is empty unless the line waits
    save: {id: id}          values for later lines

Expected text beginning with ~ is a regular expression for the whole text; "@list" is any list with something in it.
"""

from __future__ import annotations

import shlex
import time
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any

import yaml

from trove.tests.api.stories import check
from trove.tests.tempest.tests.api.terminal import Seen, Terminal

HERE = Path(__file__).parent
KNOWN = {"run", "code", "json", "has", "until", "out", "err", "save"}
UNTIL_SECONDS = 60.0


@dataclass(frozen=True)
class Line:
    """One command line of a table."""

    raw: dict[str, Any]

    def __post_init__(self) -> None:
        assert self.raw.keys() <= KNOWN, f"unknown {self.raw.keys() - KNOWN} in {self.raw}"

    @property
    def words(self) -> list[str]:
        return shlex.split(self.raw["run"])

    def play(self, terminal: Terminal, values: dict[str, str]) -> Seen:
        """Run it and compare; AssertionError shows all that was seen."""
        wanted: dict[str, Any] = _fill(self.raw, values)
        parsed = not {"json", "has", "until", "save"}.isdisjoint(wanted)
        seen = terminal.run(wanted["run"], as_json=parsed)
        deadline = time.monotonic() + UNTIL_SECONDS
        while "until" in wanted and not _fits(wanted["until"], seen.json, "") and time.monotonic() < deadline:
            time.sleep(0.1)
            seen = terminal.run(wanted["run"], as_json=True)
        shown = f"\n{seen}"
        assert seen.code == wanted.get("code", 0), f"expected exit code {wanted.get('code', 0)}: {shown}"
        for key in {"json", "until"} & wanted.keys():
            check(wanted[key], seen.json, "", shown)
        if "has" in wanted:
            assert any(_fits(wanted["has"], row, shown) for row in seen.json), f"no row like {wanted['has']}: {shown}"
        for text in wanted.get("out", ()):
            assert text in seen.out, f"{text!r} is not in the output: {shown}"
        for text in wanted.get("err", ()):
            assert text in seen.err, f"{text!r} is not in the errors: {shown}"
        if seen.code and "out" not in wanted:
            assert seen.out == "", f"unexpected: {shown}"
            one_readable_line(seen)
        elif "--wait" not in self.words and "err" not in wanted:
            assert seen.err == "", f"unexpected: {shown}"
        for name, path in wanted.get("save", {}).items():
            found = seen.json
            for part in path.split("."):
                found = found[int(part)] if isinstance(found, list) else found[part]
            values[name] = str(found)
        return seen


def one_readable_line(seen: Seen) -> None:
    """A refusal is one sentence on standard error (lists of things add one line for each) and no output."""
    lines = [line.removeprefix("ERROR: ") for line in seen.err.splitlines()]
    if lines and lines[-1].startswith("Unable to delete"):
        lines = lines[:-1]
    if seen.code == 2:  # wrong usage: argparse shows how it is used first
        lines = lines[-1:]
    assert len(lines) == 1, f"expected one line: {seen}"
    assert len(lines[0].split()) >= 4, f"no sentence: {seen}"


@dataclass(frozen=True)
class Story:
    """Lines in order, each on what the ones before it left."""

    file: str
    name: str
    lines: tuple[Line, ...]

    def play(self, terminal: Terminal, values: dict[str, str]) -> None:
        for number, line in enumerate(self.lines, 1):
            try:
                line.play(terminal, values)
            except AssertionError as error:
                raise AssertionError(f"line {number} of '{self.name}': {error}") from None


def rows(file: str) -> list[Line]:
    """The independent lines of a file."""
    return [Line(raw) for raw in yaml.safe_load((HERE / "rows" / f"{file}.yaml").read_text())]


def stories() -> list[Story]:
    return [
        Story(path.stem, entry["name"], tuple(Line(raw) for raw in entry["lines"]))
        for path in sorted((HERE / "stories").glob("*.yaml"))
        for entry in yaml.safe_load(path.read_text())
    ]


def not_yet() -> dict[str, str]:
    """Command (an `openstack` name, or `trove` and a name) -> arguments; the server has nothing behind it yet."""
    found: dict[str, str] = yaml.safe_load((HERE / "rows" / "not_yet.yaml").read_text())
    return found


def _fits(expected: Any, found: Any, shown: str) -> bool:
    try:
        check(expected, found, "", shown)
    except AssertionError:
        return False
    return True


def _fill(value: Any, values: dict[str, str]) -> Any:
    if isinstance(value, str):
        return Template(value).safe_substitute(values)
    if isinstance(value, dict):
        return {key: _fill(item, values) for key, item in value.items()}
    if isinstance(value, list):
        return [_fill(item, values) for item in value]
    return value
