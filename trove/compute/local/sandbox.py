"""The command line of a sandbox, as data. Nothing here runs anything."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

USER = "database"
"""Name of the user inside; matches the user of the images."""
INSIDE_ID = 990
"""Its number where the sandbox has a user namespace."""

ENVIRONMENT: Mapping[str, str] = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/data",
    "LC_ALL": "C",
    "PYTHONPATH": "/opt/trove",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONUNBUFFERED": "1",
}

AGENT = ("/usr/bin/python3", "-S", "-m", "trove.guest.agent")

# Process 1 of a sandbox. It tells its starter through standard input that it runs, starts the agent, and starts it
# again when it dies, so that a killed agent does not take the engine along: engines are children of the agent in a
# session of their own and come to process 1 when it dies. SIGTERM goes to the agent, which stops the engine; where
# there is no agent to do so, everything left is asked itself. When process 1 ends, so does all else in the sandbox.
LOOP = r"""
stopping=
pid=
told() { stopping=1; [ -z "$pid" ] || kill -TERM "$pid" 2>/dev/null; }
trap told TERM
trap '' PIPE
trap '' INT
echo up >&0
exec 0</dev/null
cd /
while [ -z "$stopping" ]; do
  "$@" &
  pid=$!
  # A signal that came just before the agent had a number was not passed on.
  [ -z "$stopping" ] || kill -TERM "$pid" 2>/dev/null
  while :; do
    wait "$pid"
    code=$?
    kill -0 "$pid" 2>/dev/null || break
  done
  pid=
  [ "$code" != 0 ] || exit 0
  [ -n "$stopping" ] && break
  echo "the agent ended with code $code, starting it again"
  sleep 0.2
done
kill -TERM -1 2>/dev/null
while kill -0 -1 2>/dev/null; do sleep 0.02; done
exit 1
"""


@dataclass(frozen=True)
class Box:
    """Everything a sandbox is made of. `uid` is None where it gets a user namespace instead of a user of its own."""

    name: str
    rootfs: str
    home: Path
    bundle: Path
    uid: int | None


def hostname(name: str) -> str:
    """Return what of an instance's name may be a host name."""
    return re.sub(r"[^A-Za-z0-9-]+", "-", name).strip("-")[:63] or USER


def command(
    box: Box, bwrap: str, *, info_fd: str, agent: Sequence[str] = AGENT, environment: Mapping[str, str] = ENVIRONMENT
) -> list[str]:
    """Return the command line that makes the sandbox and runs the agent's loop in it.

    Standard input must be the write end of a pipe: the loop says `up` there. bubblewrap writes the number of process
    1 to the descriptor `info_fd`.
    """
    line = [bwrap, "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--hostname", hostname(box.name), "--as-pid-1"]
    if box.uid is None:
        line += ["--unshare-user", "--uid", str(INSIDE_ID), "--gid", str(INSIDE_ID)]
    line += ["--ro-bind", box.rootfs, "/", "--proc", "/proc", "--dev", "/dev"]
    for folder in ("/dev/shm", "/tmp", "/run"):
        line += ["--perms", "1777", "--tmpfs", folder]
    for name in ("passwd", "group", "hosts"):
        line += ["--ro-bind", str(box.home / name), f"/etc/{name}"]
    line += ["--ro-bind", str(box.home / "etc"), "/etc/trove", "--ro-bind", str(box.bundle), "/opt/trove"]
    line += ["--bind", str(box.home / "data"), "/data", "--chdir", "/", "--clearenv"]
    for key, value in environment.items():
        line += ["--setenv", key, value]
    line += ["--info-fd", info_fd, "--"]
    if box.uid is not None:
        # The mounts are made as root, so nobody else need be able to enter the directories above; then all is dropped.
        who = str(box.uid)
        line += ["/usr/bin/setpriv", "--reuid", who, "--regid", who, "--clear-groups"]
        line += ["--bounding-set=-all", "--inh-caps=-all", "--no-new-privs"]
    return [*line, "/bin/sh", "-c", LOOP, "trove-sandbox", *agent]


def probe_command(bwrap: str) -> list[str]:
    """Return a command line that succeeds where sandboxes with users of their own can be made."""
    line = [bwrap, "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--hostname", "probe", "--as-pid-1"]
    line += ["--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev", "--perms", "1777", "--tmpfs", "/tmp", "--"]
    line += ["setpriv", "--reuid", "700000000", "--regid", "700000000", "--clear-groups", "--bounding-set=-all"]
    return [*line, "true"]


def account_files(name: str, address: str, uid: int | None) -> dict[str, str]:
    """Return the content of passwd, group and hosts inside."""
    number = INSIDE_ID if uid is None else uid
    return {
        "passwd": f"root:x:0:0:root:/root:/bin/sh\n{USER}:x:{number}:{number}:database:/data:/bin/sh\n"
        "nobody:x:65534:65534:nobody:/:/bin/false\n",
        "group": f"root:x:0:\n{USER}:x:{number}:\nnogroup:x:65534:\n",
        "hosts": f"127.0.0.1 localhost\n::1 localhost\n{address} {hostname(name)}\n",
    }


def compile_command(bwrap: str, rootfs: str, bundle: Path) -> list[str]:
    """Return the command line that compiles an agent bundle with an image's own Python."""
    line = [bwrap, "--unshare-all", "--unshare-user", "--uid", str(INSIDE_ID), "--gid", str(INSIDE_ID)]
    line += ["--die-with-parent", "--new-session", "--ro-bind", rootfs, "/", "--proc", "/proc", "--dev", "/dev"]
    line += ["--tmpfs", "/tmp", "--bind", str(bundle), "/opt/trove", "--chdir", "/", "--clearenv"]
    line += ["--setenv", "LC_ALL", "C", "--"]
    # Found by content, not by time: the bundle never changes under its name.
    return [*line, "/usr/bin/python3", "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", "/opt/trove"]
