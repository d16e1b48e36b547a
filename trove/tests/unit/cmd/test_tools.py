"""The two scripts behind `make`: what they say where they cannot do it themselves."""

from __future__ import annotations

import runpy
import subprocess
import sys
from pathlib import Path

import pytest

TOOLS = Path(__file__).parents[4] / "tools"


def system(tmp_path: Path, uid: int, *packages: str, apt: str = "exit 1") -> subprocess.CompletedProcess[str]:
    """Run install_system.sh as that user, with an apt-get of our own that writes down what it was asked."""
    programs = {"id": f"echo {uid}", "apt-get": f'echo "$@" >> {tmp_path}/asked\n{apt}', "dpkg": "exit 1"}
    for name, text in programs.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    return subprocess.run(
        ["/bin/sh", str(TOOLS / "install_system.sh"), *packages],
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_ordinary_user_is_told_the_packages(tmp_path: Path) -> None:
    done = system(tmp_path, 1000, "no-such-thing", "nor-this")
    assert done.returncode == 1
    assert done.stdout == ""
    assert "apt-get install no-such-thing nor-this" in done.stderr
    assert not (tmp_path / "asked").exists()


def test_nothing_missing_is_nothing_said(tmp_path: Path) -> None:
    done = system(tmp_path, 1000)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_root_installs_with_an_index_that_is_fresh_enough(tmp_path: Path) -> None:
    # The first attempt fails, as with an old index; the second, after an update, succeeds.
    apt = f'test "$1" = update && touch {tmp_path}/fresh; test -e {tmp_path}/fresh'
    done = system(tmp_path, 0, "no-such-thing", apt=apt)
    assert done.returncode == 0, done.stderr
    asked = (tmp_path / "asked").read_text().splitlines()
    assert [line.split()[0] for line in asked] == ["install", "update", "install"]


def test_root_reads_apts_own_words_when_it_fails(tmp_path: Path) -> None:
    done = system(tmp_path, 0, "no-such-thing", apt='echo "E: cannot find it" >&2; exit 100')
    assert done.returncode == 1
    assert "E: cannot find it" in done.stderr
    assert "could not install no-such-thing" in done.stderr


def test_old_python_is_told_what_to_do(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    script = runpy.run_path(str(TOOLS / "install_python.py"))
    monkeypatch.setattr(sys, "version_info", (3, 9, 2, "final", 0))
    monkeypatch.setattr(sys, "argv", ["install_python.py", str(tmp_path / "venv")])
    assert script["main"]() == 1
    said = capsys.readouterr().err
    assert "Python 3.11 or later is needed, this is 3.9" in said
    assert "make PYTHON=python3.11" in said
    assert not (tmp_path / "venv").exists()
