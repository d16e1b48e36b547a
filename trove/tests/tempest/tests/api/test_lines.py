"""Every command that the server has something behind, and every one it has not, typed at a real service."""

from __future__ import annotations

import pytest

from trove.tests.tempest.tests.api import lines
from trove.tests.tempest.tests.api.lines import Line, Story, one_readable_line
from trove.tests.tempest.tests.api.terminal import Terminal
from troveclient.commands.index import TABLE, Row

READING, REFUSED, STORIES, NOT_YET = lines.rows("reading"), lines.rows("refused"), lines.stories(), lines.not_yet()
TYPED = [
    line.words for line in [*READING, *(line for story in STORIES for line in story.lines)] if not line.raw.get("code")
]
ABSENT = ("has nothing at ", "does not take this method", "HTTP 501", "install python-mistralclient")
"""How a missing feature is called: by the server, or by the client for schedules, which another service keeps."""


def named(line: Line) -> str:
    return line.raw["run"]


@pytest.mark.parametrize("line", READING, ids=named)
def test_reading(terminal: Terminal, standing: dict[str, str], line: Line) -> None:
    line.play(terminal, dict(standing))


@pytest.mark.parametrize("line", REFUSED, ids=named)
def test_refused(terminal: Terminal, standing: dict[str, str], line: Line) -> None:
    line.play(terminal, dict(standing))


def test_nothing_was_changed_by_what_was_refused(terminal: Terminal, standing: dict[str, str]) -> None:
    for name in ("orders", "ledger"):
        found = terminal.run(f"openstack database instance show {name}", as_json=True).json
        assert (found["id"], found["status"], found["operation"]["kind"]) == (
            standing[name],
            "ACTIVE",
            "instance_create",
        )
    shop = terminal.run("openstack database cluster show shop", as_json=True).json
    assert (shop["task_name"], shop["datastore_version"], shop["operation"]["id"]) == (
        "NONE",
        "8.1",
        standing["creation"],
    )
    names = {row["Name"] for row in terminal.run("openstack database instance list", as_json=True).json}
    assert names == {"orders", "ledger"}


@pytest.mark.parametrize("story", STORIES, ids=lambda story: f"{story.file}: {story.name}")
def test_story(terminal: Terminal, standing: dict[str, str], story: Story) -> None:
    story.play(terminal, dict(standing))


def shells(row: Row) -> list[str]:
    """The names of a command, as typed."""
    return [f"openstack {row.name}"] * bool(row.name) + [f"trove {name}" for name in row.trove.split()]


NOT_YET_NAMES = [
    (typed, NOT_YET[key])
    for row in TABLE
    for key in (row.name or f"trove {row.trove}",)
    if key in NOT_YET
    for typed in shells(row)
]


@pytest.mark.parametrize(("command", "arguments"), NOT_YET_NAMES, ids=[typed for typed, _ in NOT_YET_NAMES])
def test_a_feature_the_server_has_not_yet_is_refused_in_a_sentence(
    terminal: Terminal, standing: dict[str, str], command: str, arguments: str
) -> None:
    (terminal.home / "m.dat").write_text("a module")
    typed = f"{command} {arguments}".replace("$newer", standing["newer"])
    seen = terminal.run(typed)
    assert seen.code == 1, f"it works now: move it to another file: {seen}"
    assert seen.out == "", f"{seen}"
    one_readable_line(seen)
    assert any(word in seen.err for word in ABSENT), f"{seen}"


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name or row.trove)
def test_every_command_has_a_line(row: Row) -> None:
    absent = (row.name or f"trove {row.trove}") in NOT_YET
    for name in shells(row):
        words = name.split()
        assert any(typed[: len(words)] == words for typed in TYPED) is not absent, (
            f"{name} needs a line that works in reading.yaml or stories/, or one in not_yet.yaml; not both"
        )


def test_lines_of_missing_features_name_commands() -> None:
    assert NOT_YET.keys() <= {row.name or f"trove {row.trove}" for row in TABLE}
