"""Start, find and end the HAProxy process of an endpoint."""

from __future__ import annotations

import errno
import grp
import os
import pwd
import resource
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from trove.domain.errors import DriverError, PortTaken
from trove.endpoints.config import SOCKET, Limits

CONFIG = "haproxy.cfg"
PIDFILE = "haproxy.pid"
LOG = "start.log"
START_TIMEOUT = 15.0
STOP_TIMEOUT = 5.0
SEARCH = os.pathsep.join(("/usr/local/sbin", "/usr/sbin", "/sbin"))


def program() -> str:
    """Return the path of haproxy; raises DriverError naming the package when it is missing."""
    found = shutil.which("haproxy") or shutil.which("haproxy", path=SEARCH)
    if found is None:
        raise DriverError(
            "haproxy was not found on this host, and clusters with one address need it; "
            "install the package 'haproxy' (apt-get install haproxy) and try again"
        )
    return found


def limits(linger: int) -> Limits:
    """Return what this host and account allow: connections by open files, an account without rights when root."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    maxconn = 4000 if hard == resource.RLIM_INFINITY else max(50, min(4000, (hard - 100) // 2))
    if os.geteuid() != 0:
        return Limits(maxconn, linger=linger)
    for name in ("haproxy", "nobody"):
        try:
            account = pwd.getpwnam(name)
        except KeyError:
            continue
        return Limits(maxconn, user=account.pw_name, group=_group(account.pw_gid), linger=linger)
    return Limits(maxconn, linger=linger)


def _group(gid: int) -> str | None:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return None


def find(directory: Path) -> list[int]:
    """Return the pids of all HAProxy processes that run on that directory's configuration, the newest last."""
    needle = os.fsencode(str(directory / CONFIG))
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            if needle in (entry / "cmdline").read_bytes().split(b"\0"):
                found.append((_started(int(entry.name)), int(entry.name)))
        except OSError:
            continue
    return [pid for started, pid in sorted(found) if started]


def current(directory: Path) -> int | None:
    """Return the pid of the process that serves, None when there is none."""
    try:
        words = (directory / PIDFILE).read_text().split()
        pid = int(words[-1])
        command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (OSError, ValueError, IndexError):
        return None
    # A number alone may belong to somebody else by now: the command line says whose process it is.
    return pid if os.fsencode(str(directory / CONFIG)) in command and _started(pid) else None


def _started(pid: int) -> int:
    """Return the start time of a process in clock ticks since boot; 0 for one that is gone or a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return 0 if fields[0] in "ZX" else int(fields[19])


def start(directory: Path, replaces: int | None = None) -> None:
    """Start HAProxy as a daemon; with `replaces` it takes over that process' listening sockets and lets it retire.

    Raises DriverError with HAProxy's words; the replaced process goes on serving then.
    """
    command = [program(), "-D", "-f", str(directory / CONFIG), "-p", str(directory / PIDFILE)]
    if replaces is not None:
        command += ["-x", SOCKET, "-sf", str(replaces)]
    log = directory / LOG
    try:
        # A file, not a pipe: the daemon would keep the pipe open.
        with log.open("wb") as words:
            done = subprocess.run(
                command,
                cwd=directory,
                stdin=subprocess.DEVNULL,
                stdout=words,
                stderr=words,
                timeout=START_TIMEOUT,
                start_new_session=True,
                check=False,
            )
    except subprocess.TimeoutExpired as error:
        raise DriverError(f"haproxy did not start within {START_TIMEOUT:.0f} s in {directory}") from error
    if done.returncode != 0:
        reason = " ".join(log.read_text(errors="replace").split())[-600:]
        raise DriverError(f"haproxy does not start in {directory}: {reason or f'exit code {done.returncode}'}")


def stop(pids: list[int]) -> None:
    """End the processes at once, their connections included; raises DriverError when one survives."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        for pid in pids:
            if _started(pid):
                _signal(pid, number)
        if wait_for(lambda: not any(_started(pid) for pid in pids), STOP_TIMEOUT):
            return
    raise DriverError(f"haproxy processes {pids} do not end; end them by hand and try again")


def _signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
    except PermissionError as error:
        raise DriverError(f"haproxy process {pid} belongs to another user; end it as that user") from error


def check_free(address: str, port: int) -> None:
    """Raise PortTaken when somebody listens there; DriverError when the address cannot be used at all."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
            probe.listen(1)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise PortTaken(address, port) from error
            raise DriverError(f"the endpoint cannot listen on {address}:{port}: {error.strerror}") from error


def wait_for(condition: Callable[[], bool], seconds: float) -> bool:
    """Poll until the condition holds; False when it does not within `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True
