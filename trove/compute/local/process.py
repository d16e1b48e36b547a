"""The processes of a sandbox: starting them so that they outlive us, finding them again, ending them.

"Runs" means: the lock file of the server is held. Only processes of the sandbox hold it (they inherit it at their
start), so it is held exactly as long as one of them lives, whatever happened to whoever started them.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import select
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from trove import host
from trove.compute.local.layout import Home
from trove.domain.errors import DriverError

START_TIMEOUT = 30.0
KILL_TIMEOUT = 20.0
TELL_AGAIN = 2.0
OPEN_FILES = 65536
CONSOLE_MAX = 1 << 20
CONSOLE_KEEP = 1 << 16

# Enters the control groups (a group that refuses only costs the limit), then leaves the process to itself.
LAUNCH = r"""
ulimit -n "$1"
left=$2
shift 2
while [ "$left" -gt 0 ]; do
  (echo $$ > "$1/cgroup.procs") 2>/dev/null
  left=$((left - 1))
  shift
done
exec setsid -f "$@"
"""


def running(home: Home) -> bool:
    """Tell whether any process of the sandbox lives."""
    try:
        fd = os.open(home.lock, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        return not host.try_lock(fd, shared=True)
    finally:
        os.close(fd)


def start(home: Home, command: Sequence[str], info_fd_mark: str, groups: Sequence[str], held: Sequence[Path]) -> None:
    """Start a sandbox and return when its process 1 runs; DriverError with the console's end when it does not.

    `info_fd_mark` in the command is replaced by the descriptor of the file that gets the process number. The sandbox
    also holds shared locks on the files `held`, so that the image and the agent's code are not deleted under it.
    """
    with contextlib.ExitStack() as stack:
        lock = _descriptor(stack, home.lock, os.O_RDWR | os.O_CREAT)
        _acquire(lock, home)
        info = _descriptor(stack, home.pid_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        console = _descriptor(stack, home.console, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        kept = [lock, info]
        for path in held:
            with contextlib.suppress(OSError):
                fd = _descriptor(stack, path, os.O_RDONLY)
                if host.try_lock(fd, shared=True):
                    kept.append(fd)
        reader, writer = os.pipe()
        stack.callback(os.close, reader)
        line = [str(info) if word == info_fd_mark else word for word in command]
        try:
            launched = subprocess.run(
                ["/bin/sh", "-c", LAUNCH, "launch", str(_open_files()), str(len(groups)), *groups, *line],
                stdin=writer, stdout=console, stderr=console, pass_fds=kept, start_new_session=True,
                timeout=START_TIMEOUT, check=False, cwd="/", env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
            )  # fmt: skip
        finally:
            os.close(writer)
        ready, _, _ = select.select([reader], [], [], START_TIMEOUT)
        if launched.returncode == 0 and ready and os.read(reader, 16):
            return
    end(home, grace=0)
    said = host.last_words(tail(home.console, 5))
    raise DriverError(f"the sandbox did not start: {said or 'it said nothing'}{host.sandbox_advice(said)}")


def succeeds(command: Sequence[str]) -> bool:
    """Tell whether a command ends well."""
    try:
        host.run(command, what="trying a sandbox", timeout=START_TIMEOUT)
    except host.CommandFailed:
        return False
    return True


def _open_files() -> int:
    """Return how many files an engine may open: many, as far as this host lets us."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    return OPEN_FILES if most == resource.RLIM_INFINITY else min(most, OPEN_FILES)


def _descriptor(stack: contextlib.ExitStack, path: Path, flags: int) -> int:
    fd = os.open(path, flags | os.O_CLOEXEC, 0o600)
    stack.callback(os.close, fd)
    return fd


def _acquire(fd: int, home: Home) -> None:
    """Take the server's lock; whoever looks whether it runs holds it for a moment."""
    deadline = time.monotonic() + 2.0
    while not host.try_lock(fd):
        if time.monotonic() > deadline:
            raise DriverError(f"the server in '{home.path}' runs already")
        time.sleep(0.002)


def end(home: Home, grace: float) -> None:
    """Ask the sandbox to end, wait up to `grace` seconds, then kill it whole; returns when nothing of it is left."""
    with _process_one(home) as pidfd:
        if pidfd is None:
            return
        if grace > 0:
            deadline = time.monotonic() + grace
            while (left := deadline - time.monotonic()) > 0:
                # Told again because a sandbox that is just being made does not listen yet.
                _signal(pidfd, signal.SIGTERM)
                if _ended(pidfd, min(left, TELL_AGAIN)):
                    return
        # Process 1 of a pid namespace takes all others with it.
        _signal(pidfd, signal.SIGKILL)
        if not _ended(pidfd, KILL_TIMEOUT):
            raise DriverError(f"the processes of '{home.path}' do not end although killed; look at the host's disk")


@contextlib.contextmanager
def _process_one(home: Home) -> Iterator[int | None]:
    """Yield a descriptor of the sandbox's process 1, or None when none runs.

    The number on file was written for the present holder of the lock. Found held again after the process was opened,
    the lock proves that it is still that process and not another one with its number.
    """
    deadline = time.monotonic() + START_TIMEOUT
    while running(home):
        pid = read_pid(home)
        if pid is not None:
            try:
                pidfd = os.pidfd_open(pid)
            except ProcessLookupError:
                pidfd = -1
            if pidfd >= 0:
                try:
                    if running(home):
                        yield pidfd
                    else:
                        yield None
                    return
                finally:
                    os.close(pidfd)
        if time.monotonic() > deadline:
            raise DriverError(f"something holds '{home.lock}', but '{home.pid_file}' names no process of a sandbox")
        time.sleep(0.002)
    yield None


def read_pid(home: Home) -> int | None:
    """Return the number of process 1 that bubblewrap wrote down, or None where it has not (yet)."""
    try:
        return int(json.loads(home.pid_file.read_text())["child-pid"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _signal(pidfd: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        signal.pidfd_send_signal(pidfd, number)


def _ended(pidfd: int, timeout: float) -> bool:
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(timeout * 1000))


def tail(path: Path, lines: int) -> str:
    """Return the last lines of a file."""
    try:
        with path.open("rb") as stream:
            stream.seek(max(0, stream.seek(0, os.SEEK_END) - CONSOLE_KEEP))
            text = stream.read().decode(errors="replace")
    except FileNotFoundError:
        return ""
    return "\n".join(text.splitlines()[-lines:]) if lines > 0 else ""


def bound(path: Path) -> None:
    """Keep a console from growing for ever; its writers append, so they go on at the new end."""
    with contextlib.suppress(FileNotFoundError):
        if path.stat().st_size > CONSOLE_MAX:
            with path.open("r+b") as stream:
                stream.seek(-CONSOLE_KEEP, os.SEEK_END)
                kept = stream.read()
                stream.truncate(0)
                stream.seek(0)
                stream.write(kept)


def strays(instances: Path) -> dict[str, int]:
    """Return the monitors of running sandboxes of this installation by instance id, found by their command line."""
    wanted = f"{instances}/"
    found: dict[str, int] = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if not words[0].endswith(b"bwrap") or b"--as-pid-1" not in words:
            continue
        for word in words:
            path = word.decode(errors="replace")
            if path.startswith(wanted) and path.endswith("/data"):
                found[path[len(wanted) : -len("/data")]] = int(entry.name)
    return found


def kill_stray(monitor: int) -> None:
    """End a sandbox whose directory is gone: process 1 is the only child of its monitor."""
    try:
        children = Path(f"/proc/{monitor}/task/{monitor}/children").read_text().split()
    except OSError:
        return
    for child in children:
        with contextlib.suppress(ProcessLookupError):
            pidfd = os.pidfd_open(int(child))
            try:
                _signal(pidfd, signal.SIGKILL)
                _ended(pidfd, KILL_TIMEOUT)
            finally:
                os.close(pidfd)
