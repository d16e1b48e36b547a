"""The engine's process: started in a session of its own, so that it outlives the agent, and found again by it."""

from __future__ import annotations

import contextlib
import functools
import os
import select
import signal
import threading
import time
from collections.abc import Mapping, Sequence

from trove.guest.agent.files import read_json, write_json


class EngineProcess:
    """At most one engine process, known by its process id and start time.

    `engine_dir` is where the process works (its current directory): by that a process is found whose starter died
    before it could write down the process id.
    """

    def __init__(self, pid_file: str, engine_dir: str) -> None:
        self._pid_file = pid_file
        self._engine_dir = engine_dir
        self._lock = threading.Lock()
        self._pid: int | None = None
        self._started: str | None = None
        self.exit_reason = ""

    @property
    def pid(self) -> int | None:
        """Process id of the living engine, or None."""
        return self._pid if self.alive() else None

    def adopt(self) -> bool:
        """Find an engine that an earlier agent started; True when there is one."""
        noted = read_json(self._pid_file) or {}
        pid, started = noted.get("pid"), noted.get("started")
        with self._lock:
            if isinstance(pid, int) and started is not None and _start_time(pid) == started:
                self._pid, self._started = pid, started
                return True
            pid = self._search()
            if pid is None:
                return False
            self._note(pid)
            return True

    def start(self, argv: Sequence[str], env: Mapping[str, str], output: str) -> None:
        """Start the engine; OSError where the program cannot be run. The caller has made sure that none runs.

        What it prints goes to the file `output`, which begins anew with each start: an engine has a log of its own,
        and prints only why it cannot even open that.
        """
        with self._lock:
            os.makedirs(self._engine_dir, mode=0o700, exist_ok=True)
            _end_session((read_json(self._pid_file) or {}).get("pid"))
            self.exit_reason = ""
            self._note(_spawn(argv, env, self._engine_dir, output))

    def alive(self) -> bool:
        """Whether the engine's process runs."""
        with self._lock:
            pid, started = self._pid, self._started
            if pid is None:
                return False
            # A process that ended before its start could be noted has no start time, now or later.
            if started is not None and _start_time(pid) == started:
                return True
            self._bury(pid)
            return False

    def wait(self, timeout: float) -> bool:
        """Wait for the end of the process; True when it has ended, False after `timeout` seconds."""
        deadline = time.monotonic() + timeout
        while self.alive():
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            pid = self._pid
            if pid is not None:
                _wait_for_exit(pid, left)
        return True

    def signal(self, number: int) -> None:
        """Send the process a signal; nothing happens when it has ended."""
        pid = self.pid
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def kill(self) -> None:
        """End the process without asking."""
        self.signal(signal.SIGKILL)
        self.wait(10.0)

    def _note(self, pid: int) -> None:
        self._pid, self._started = pid, _start_time(pid)
        write_json(self._pid_file, {"pid": pid, "started": self._started})

    def _bury(self, pid: int) -> None:
        try:
            found, status = os.waitpid(pid, os.WNOHANG)
            if found == pid:
                self.exit_reason = _describe(status)
        except OSError:
            self.exit_reason = self.exit_reason or "the process is gone"
        if self._pid == pid:
            self._pid = self._started = None

    def _search(self) -> int | None:
        for name in os.listdir("/proc"):
            if not name.isdigit():
                continue
            pid = int(name)
            try:
                # A session leader in the engine's directory: helpers the engine starts lead no session.
                if os.readlink(f"/proc/{pid}/cwd") == self._engine_dir and os.getsid(pid) == pid != os.getpid():
                    return pid
            except OSError:
                continue
        return None


def _end_session(leader: int | None) -> None:
    """End what an engine that died has left running: a helper may hold ports and files that the next one needs."""
    if leader is None or leader == os.getsid(0):
        return
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            if os.getsid(int(name)) == leader:
                os.kill(int(name), signal.SIGKILL)


def _spawn(argv: Sequence[str], env: Mapping[str, str], directory: str, output: str) -> int:
    """Start a program in a session of its own, with `directory` as its current one; return its process id."""
    # posix_spawn knows no directory; the agent's own is changed for the moment, as nothing here uses relative paths.
    before = os.open(".", os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.chdir(directory)
        return os.posix_spawn(
            argv[0],
            list(argv),
            dict(env),
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600),
                (os.POSIX_SPAWN_DUP2, 1, 2),
            ],
            setsid=True,
            setsigmask=[],
            setsigdef=[signal.SIGPIPE, signal.SIGINT, signal.SIGTERM],
        )
    finally:
        os.fchdir(before)
        os.close(before)


def _start_time(pid: int) -> str | None:
    """Return when the process started (boot and ticks since), or None when it has ended."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            fields = file.read().rpartition(")")[2].split()
    except OSError:
        return None
    if fields[0] in ("Z", "X"):
        return None
    return f"{_boot()}/{fields[19]}"


@functools.lru_cache(maxsize=1)
def _boot() -> str:
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.read().strip()


def _wait_for_exit(pid: int, timeout: float) -> None:
    try:
        descriptor = os.pidfd_open(pid)
    except OSError:
        time.sleep(min(timeout, 0.005))
        return
    try:
        select.select([descriptor], [], [], timeout)
    finally:
        os.close(descriptor)


def _describe(status: int) -> str:
    if os.WIFSIGNALED(status):
        return f"the process was ended by signal {signal.Signals(os.WTERMSIG(status)).name}"
    return f"the process ended with code {os.WEXITSTATUS(status)}"


def output_of(argv: Sequence[str]) -> str:
    """Run a program that only tells something and return what it wrote; OSError where it cannot be run.

    Not `subprocess`: importing that costs more than running the program.
    """
    reader, writer = os.pipe()
    try:
        pid = os.posix_spawn(
            argv[0], list(argv), {"LC_ALL": "C"}, file_actions=[(os.POSIX_SPAWN_DUP2, writer, 1)], setsigmask=[]
        )
    finally:
        os.close(writer)
    with os.fdopen(reader, encoding="utf-8", errors="replace") as file:
        said = file.read()
    os.waitpid(pid, 0)
    return said
