"""The engine's process: real ones, of programs that every machine has."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from trove.guest.agent.process import EngineProcess


def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


def runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_helpers_of_a_dead_engine_end_before_the_next_one_starts(tmp_path: Path) -> None:
    work, helper = tmp_path / "engine", tmp_path / "engine" / "helper"
    engine = EngineProcess(str(tmp_path / "pid.json"), str(work))
    script = "sleep 300 & echo $! > new; mv new helper; exec sleep 300"

    def start() -> int:
        helper.unlink(missing_ok=True)
        engine.start(["/bin/sh", "-c", script], {"PATH": os.environ["PATH"]}, str(tmp_path / "out"))
        until(helper.exists, "the helper's process id")
        return int(helper.read_text())

    first = start()
    engine.kill()
    assert not engine.alive()
    assert runs(first), "only the engine was killed"
    # Also when another agent has died with the engine.
    engine = EngineProcess(str(tmp_path / "pid.json"), str(work))
    second = start()
    until(lambda: not runs(first), "the end of the first helper")
    assert engine.alive()
    assert runs(second)
    engine.kill()
    engine.start(["/bin/true"], {}, str(tmp_path / "out"))
    until(lambda: not runs(second), "the end of the second helper")
    engine.wait(10)
