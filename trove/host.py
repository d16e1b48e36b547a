"""What we ask of this host beneath every driver: tools, commands with a deadline, file locks, atomic files."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from trove.domain.errors import DriverError, Unavailable

TOOL_PACKAGES: Mapping[str, str] = {
    "apt-get": "apt",
    "apt-config": "apt",
    "bwrap": "bubblewrap",
    "cp": "coreutils",
    "dpkg": "dpkg",
    "dpkg-deb": "dpkg",
    "haproxy": "haproxy",
    "setpriv": "util-linux",
    "tar": "tar",
}
"""Which package brings which program, for error messages."""


class CommandFailed(DriverError):
    """A program ended with an error or did not end in time; `output` is what it printed."""

    def __init__(self, message: str, output: str) -> None:
        super().__init__(message)
        self.output = output


@dataclass(frozen=True)
class Finished:
    """What a program printed."""

    stdout: str
    stderr: str


def tool(name: str) -> str:
    """Return the path of a program; DriverError names the package that has it."""
    path = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/bin:/sbin:/bin")
    if path is None:
        package = TOOL_PACKAGES.get(name, name)
        raise DriverError(f"the program '{name}' is missing on this host: install the package '{package}'")
    return path


def run(
    command: Sequence[str],
    *,
    what: str,
    timeout: float,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    keep_fds: Sequence[int] = (),
) -> Finished:
    """Run a program to its end, and its children with it; CommandFailed tells `what` failed and the last words.

    `timeout` is in seconds. `keep_fds` stay open in the program (a lock lives as long as its holder's children).
    """
    with subprocess.Popen(
        list(command),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=dict(env) if env is not None else None,
        cwd=cwd,
        pass_fds=tuple(keep_fds),
        start_new_session=True,
        text=True,
        errors="replace",
    ) as process:
        try:
            out, err = process.communicate(timeout=timeout)
        except BaseException as exc:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            out, err = process.communicate()
            if isinstance(exc, subprocess.TimeoutExpired):
                raise CommandFailed(f"{what} did not end within {timeout:.0f} seconds", out + err) from None
            raise
    if process.returncode != 0:
        last = last_words(err or out)
        raise CommandFailed(f"{what} failed ({last or f'exit status {process.returncode}'})", out + err)
    return Finished(out, err)


def flush(path: Path, *, what: str, keep_fds: Sequence[int] = ()) -> None:
    """Wait until everything below `path` survives a power failure; CommandFailed as `run`."""
    run([tool("sync"), "-f", str(path)], what=what, timeout=300, keep_fds=keep_fds)


def last_words(text: str, lines: int = 3) -> str:
    """Return the last lines that say something, in one line."""
    said = [line.strip() for line in text.splitlines() if line.strip()]
    return "; ".join(said[-lines:])


@contextlib.contextmanager
def file_lock(path: Path, *, timeout: float, shared: bool = False) -> Iterator[int]:
    """Hold a lock between threads and processes; yields its descriptor. Unavailable after `timeout` seconds.

    The lock ends with its last holder, however that dies.
    """
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        deadline = time.monotonic() + timeout
        while not try_lock(fd, shared=shared):
            if time.monotonic() > deadline:
                raise Unavailable(f"another process held '{path}' for more than {timeout:.0f} seconds; try again later")
            time.sleep(0.01)
        yield fd
    finally:
        os.close(fd)


def try_lock(fd: int, *, shared: bool = False) -> bool:
    """Take a file lock now or not at all."""
    try:
        fcntl.flock(fd, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except OSError as exc:
        if exc.errno in (errno.EAGAIN, errno.EACCES):
            return False
        raise
    return True


def write_atomic(path: Path, text: str, mode: int = 0o644, *, durable: bool = True) -> None:
    """Replace a file's content in one step; `durable` also makes it survive a power failure (and costs a flush)."""
    fd, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(fd, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fchmod(stream.fileno(), mode)
            if durable:
                os.fsync(stream.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def remove_tree(path: Path) -> None:
    """Remove a directory with all below it, also where a directory forbids writing; no error when it is gone."""

    def retry(function: Callable[[str], object], name: str, info: tuple[type, BaseException, object]) -> None:
        if isinstance(info[1], FileNotFoundError):
            return
        if not isinstance(info[1], PermissionError):
            raise info[1]
        Path(name).parent.chmod(0o700)
        if function in (os.unlink, os.rmdir):
            function(name)
        else:
            Path(name).chmod(0o700)
            remove_tree(Path(name))

    if path.is_symlink() or path.is_file():
        path.unlink(missing_ok=True)
    else:
        shutil.rmtree(path, onerror=retry)


def sandbox_advice(text: str) -> str:
    """Return what to do when bubblewrap said that, where we know; starts with `; `."""
    refused = ("No permissions to create a new namespace", "setting up uid map", "Creating new namespace failed")
    if not any(words in text for words in refused):
        return ""
    return (
        "; this host forbids user namespaces: allow them (sysctl kernel.unprivileged_userns_clone=1, "
        "user.max_user_namespaces above 0, kernel.apparmor_restrict_unprivileged_userns=0), or run as root"
    )


@contextlib.contextmanager
def disk_errors(doing: str, where: Path) -> Iterator[None]:
    """Turn a full disk, a quota or a forbidden directory into a DriverError that says what to do."""
    try:
        yield
    except CommandFailed as exc:
        if "No space left on device" in exc.output or "Disk quota exceeded" in exc.output:
            raise no_room(doing, where) from exc
        raise
    except OSError as exc:
        if exc.errno in (errno.ENOSPC, errno.EDQUOT):
            raise no_room(doing, where) from exc
        raise DriverError(f"{doing} failed: {exc.strerror or exc} ({exc.filename or where})") from exc


def no_room(doing: str, where: Path) -> DriverError:
    """The disk is full: say where and what to do."""
    return DriverError(f"no room on the disk while {doing}: free some space below '{where}' and try again")


def free_bytes(path: Path) -> int:
    """Return the room an ordinary user has left on the file system of `path` (or its nearest parent), bytes."""
    while not path.exists():
        path = path.parent
    stat = os.statvfs(path)
    return stat.f_bavail * stat.f_frsize


def tree_bytes(path: Path) -> int:
    """Return the disk use of everything below `path`, bytes; what vanishes meanwhile counts nothing."""
    total = 0
    pending = [str(path)]
    while pending:
        try:
            with os.scandir(pending.pop()) as entries:
                for entry in entries:
                    with contextlib.suppress(FileNotFoundError):
                        total += entry.stat(follow_symlinks=False).st_blocks * 512
                        if entry.is_dir(follow_symlinks=False):
                            pending.append(entry.path)
        except FileNotFoundError:
            continue
    return total
