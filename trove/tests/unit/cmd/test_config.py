"""Options and their help."""

from __future__ import annotations

from pathlib import Path

import pytest

from trove.cmd import api, executor, standalone
from trove.cmd.config import OPTIONS, default_state_dir, make_config, quota_defaults


def test_every_option_has_help() -> None:
    for option in OPTIONS:
        assert option.help, option.name
        assert option.help.endswith("."), option.name


@pytest.mark.parametrize("program", [standalone, api, executor])
def test_help_names_every_option_and_exits_well(program: object, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        program.main(["--help"])  # type: ignore[attr-defined]
    assert ended.value.code == 0
    said = capsys.readouterr().out
    for option in OPTIONS:
        assert f"--{option.name}" in said
    if program is standalone:
        assert "Run the database service in this one process" in said
        assert "trove-manage" in said


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--no-such-option"], "--no-such-option"),
        (["--bind-port", "99999"], "99999"),
        (["--bind-port", "x"], "x"),
        (["--auth-strategy", "trust"], "trust"),
        (["--workers", "0"], "0"),
        (["--config-file", "/nowhere/trove.conf"], "/nowhere/trove.conf"),
    ],
)
def test_what_is_not_understood_ends_with_a_sentence(
    args: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No traceback, nothing made, and not exit code 0."""
    state = tmp_path / "state"
    with pytest.raises(SystemExit) as ended:
        standalone.main(["--state-dir", str(state), *args])
    assert ended.value.code not in (0, None)
    words = capsys.readouterr().err + str(ended.value.code)
    assert said in words
    assert "Traceback" not in words
    assert not state.exists()


def test_configuration_files_are_read(tmp_path: Path) -> None:
    file = tmp_path / "trove.conf"
    file.write_text("[DEFAULT]\nbind_port = 7000\nmax_volumes_per_tenant = 3\n")
    conf = make_config(["--config-file", str(file)], "trove-standalone")
    assert conf.bind_port == 7000
    assert quota_defaults(conf)["volumes"] == 3
    assert make_config(["--config-file", str(file), "--bind-port", "7001"], "x").bind_port == 7001
    assert make_config([], "x").bind_port == 8779


def test_state_directory_of_users_follows_their_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    assert default_state_dir() == tmp_path / ".local/state/trove-anywhere"
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "xdg"))
    assert default_state_dir() == tmp_path / "xdg/trove-anywhere"
    monkeypatch.setattr("os.geteuid", lambda: 0)
    assert default_state_dir() == Path("/var/lib/trove-anywhere")
