"""Reaches into the engine's own connections, for the one setting engines leave out."""

from __future__ import annotations

import contextlib
import os
import socket

PIDFD_GETFD = 438
"""Number of the system call; the same on every architecture, Linux 5.6 or later."""


def send_at_once(pid: int, port: int) -> int:
    """Let the process send small messages to that port of its peers at once (TCP_NODELAY); return on how many sockets.

    Without it the kernel holds a second message back until the first is acknowledged, and the other side takes 40 ms
    with that. Zero where the kernel does not let us: everything works as before, only slower.
    """
    # Imported when needed, as it costs as much as the rest of an operation.
    import ctypes

    library = ctypes.CDLL(None, use_errno=True)
    count = 0
    try:
        process = os.pidfd_open(pid)
    except OSError:
        return 0
    try:
        for name in os.listdir(f"/proc/{pid}/fd"):
            if not _is_socket(pid, name):
                continue
            copy = library.syscall(PIDFD_GETFD, process, int(name), 0)
            if copy < 0:
                return count
            with contextlib.closing(socket.socket(fileno=copy)) as connection, contextlib.suppress(OSError):
                if connection.family == socket.AF_INET and connection.getpeername()[1] == port:
                    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    count += 1
    except OSError:
        return count
    finally:
        os.close(process)
    return count


def _is_socket(pid: int, name: str) -> bool:
    try:
        return os.readlink(f"/proc/{pid}/fd/{name}").startswith("socket:")
    except OSError:
        return False
