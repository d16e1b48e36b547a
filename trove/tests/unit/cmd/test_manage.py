"""`trove-manage`: how its words are understood, and what it refuses."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from trove.cmd.installation import open_installation, sole_user
from trove.cmd.manage import main, split


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.mark.parametrize(
    ("line", "options", "command"),
    [
        ("status", "", "status"),
        ("--state-dir /x status", "--state-dir /x", "status"),
        ("--state-dir=/x image build all", "--state-dir=/x", "image build all"),
        ("--state-dir status status", "--state-dir status", "status"),
        ("--mirror m --images-dir purge purge --yes", "--mirror m --images-dir purge", "purge --yes"),
        ("--state-dir", "--state-dir", ""),
        ("--help", "", "--help"),
        ("--state-dir /x -h", "--state-dir /x", "-h"),
        ("", "", ""),
    ],
)
def test_options_go_before_the_command(line: str, options: str, command: str) -> None:
    assert split(line.split()) == (options.split(), command.split())


def refused(*args: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(args)
    return int(ended.value.code)  # type: ignore[arg-type]


def test_help_tells_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert refused("--help") == 0
    said = capsys.readouterr().out
    for word in ("status", "image", "purge", "--state-dir", "go before the command"):
        assert word in said


@pytest.mark.parametrize("words", [(), ("--state-dir", "/x"), ("nonsense",), ("image",), ("image", "build")])
def test_what_is_not_understood_is_said_in_the_words_used(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert refused(*words) == 2
    said = capsys.readouterr().err
    assert "error:" in said
    assert "/x" not in said
    if words == ("nonsense",):
        assert "'nonsense'" in said


@pytest.mark.parametrize("command", [["status"], ["purge"], ["purge", "--yes"]])
def test_nothing_there(command: list[str], state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--state-dir", str(state), *command]) == 1
    said = capsys.readouterr().err
    assert said == f"trove-manage: there is nothing in {state}; name another directory with --state-dir\n"
    assert not state.exists()


def test_unknown_recipe_names_those_there_are(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--state-dir", str(state), "image", "build", "mariadb-11.8", "oracle-23"]) == 1
    said = capsys.readouterr()
    assert "there is no recipe 'oracle-23'; there are " in said.err
    assert "valkey-9.1" in said.err
    assert said.out == ""


def test_unknown_image_is_named(state: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--state-dir", str(state), "--images-dir", str(tmp_path / "images")]
    assert main([*options, "image", "delete", "no-such-image"]) == 1
    assert "no-such-image" in capsys.readouterr().err
    assert main([*options, "image", "list"]) == 0
    assert capsys.readouterr().out.split() == ["IMAGE", "ENGINE", "VERSION", "SIZE", "CREATED"]


def test_status_of_an_empty_installation(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    open_installation(state)
    assert main(["--state-dir", str(state), "status"]) == 0
    assert capsys.readouterr().out.splitlines()[0] == "Server: none runs"


@pytest.mark.parametrize(("answer", "code"), [("no\n", 1), ("\n", 1), ("y\n", 1), ("", 130)])
def test_purge_asks_and_anything_but_yes_removes_nothing(
    answer: str, code: int, state: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    open_installation(state)
    monkeypatch.setattr("sys.stdin", io.StringIO(answer))
    assert main(["--state-dir", str(state), "purge"]) == code
    assert "This removes 0 instances" in capsys.readouterr().out
    assert (state / "installation.json").exists()


def test_purge_with_yes_removes_all_but_what_is_not_ours(
    state: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    open_installation(state)
    (state / "thesis.txt").write_text("precious")
    monkeypatch.setattr("sys.stdin", io.StringIO("yes\n"))
    assert main(["--state-dir", str(state), "purge"]) == 0
    assert f"{state} stays, for it has other files: thesis.txt." in capsys.readouterr().out
    assert [entry.name for entry in state.iterdir()] == ["thesis.txt"]


def test_purge_while_a_server_runs_is_refused(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    open_installation(state)
    with sole_user(state):
        assert main(["--state-dir", str(state), "purge", "--yes"]) == 1
    assert "another server (process" in capsys.readouterr().err
    assert (state / "installation.json").exists()
