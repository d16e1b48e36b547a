"""Talk to a running HAProxy through its admin socket."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from pathlib import Path

from trove.domain.errors import DriverError, Unavailable
from trove.endpoints.config import BACKEND, SOCKET

TIMEOUT = 3.0
MAINTENANCE = 0x01 | 0x02 | 0x04 | 0x20
"""Bits of `srv_admin_state` that mean: takes no traffic because somebody said so."""


@dataclass(frozen=True)
class ServerRow:
    """A line of `show servers state`: number and name of the server, whether checks find it up, whether in maint."""

    id: int
    name: str
    up: bool
    maint: bool


class Runtime:
    """The admin socket in an endpoint's directory; every command has a time limit of `timeout` seconds."""

    def __init__(self, directory: Path, timeout: float = TIMEOUT) -> None:
        self._directory = directory
        self._timeout = timeout

    def ask(self, *commands: str) -> str:
        """Send commands in one line and return all they print; raises Unavailable when nobody answers in time."""
        reply = bytearray()
        try:
            # Through the directory's descriptor the path is short, however deep the state directory lies.
            directory = os.open(self._directory, os.O_PATH | os.O_DIRECTORY)
            try:
                with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as channel:
                    channel.settimeout(self._timeout)
                    channel.connect(f"/proc/self/fd/{directory}/{SOCKET}")
                    channel.sendall("; ".join(commands).encode() + b"\n")
                    while chunk := channel.recv(65536):
                        reply += chunk
            finally:
                os.close(directory)
        except OSError as error:
            raise Unavailable(f"the endpoint's haproxy in {self._directory} does not answer: {error}") from error
        return reply.decode(errors="replace").strip()

    def tell(self, *commands: str) -> None:
        """Send commands that print nothing when they succeed; raises DriverError with HAProxy's words otherwise."""
        reply = self.ask(*commands)
        if reply:
            raise DriverError(f"haproxy refused '{'; '.join(commands)}': {reply}")

    def answers(self) -> bool:
        """Tell whether the process behind the socket is alive and well."""
        try:
            return "Pid:" in self.ask("show info")
        except DriverError:
            return False

    def servers(self) -> dict[str, ServerRow]:
        """Return the servers by HAProxy's name for them."""
        rows = {}
        for line in self.ask(f"show servers state {BACKEND}").splitlines():
            fields = line.split()
            # be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state ...
            if len(fields) > 6 and fields[1] == BACKEND:
                row = ServerRow(int(fields[2]), fields[3], fields[5] != "0", bool(int(fields[6]) & MAINTENANCE))
                rows[row.name] = row
        return rows

    def stuck_to(self) -> int | None:
        """Return the number of the server new connections stick to, None before the first one."""
        for word in self.ask(f"show table {BACKEND}").split():
            key, _, value = word.partition("=")
            if key == "server_id":
                return int(value) or None
        return None

    def stick(self, address: str, server_id: int) -> None:
        """Let new connections to the endpoint's `address` go to that server from now on."""
        self.tell(f"clear table {BACKEND}", f"set table {BACKEND} key {address} data.server_id {server_id}")

    def sessions(self, name: str) -> int:
        """Return how many connections go to the server now."""
        lines = self.ask("show stat").lstrip("# ").splitlines()
        header = lines[0].split(",")
        for line in lines[1:]:
            row = dict(zip(header, line.split(","), strict=False))
            if row.get("pxname") == BACKEND and row.get("svname") == name:
                return int(row["scur"] or 0)
        return 0
