"""A small client for the protocol of Redis and Valkey (RESP2).

Not redis-py: importing it takes longer than the engine takes to start, and that time is part of each member's absence
(docs/decisions/agent-redis-client.md). No retries either: a SHUTDOWN that is sent again waits for nothing.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from typing import Any, NoReturn

from trove.guest.agent.errors import EngineDown, GuestError

NOT_READY = ("LOADING", "MASTERDOWN", "BUSY ")
"""First words of errors that pass by themselves."""


class ReplyError(GuestError):
    """The engine refused a command; the text is the engine's own."""


class Connection:
    """One connection; after EngineDown it is of no more use."""

    def __init__(
        self, address: str, port: int, user: str | None = None, password: str = "", timeout: float = 2.0
    ) -> None:
        self.where = f"{address}:{port}"
        try:
            self._socket = socket.create_connection((address, port), timeout)
        except OSError as error:
            raise EngineDown(f"{self.where} does not answer: {error.strerror or error}") from None
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._reader = self._socket.makefile("rb")
        if user is not None:
            try:
                self.call("AUTH", user, password)
            except GuestError:
                self.close()
                raise

    def call(self, *words: Any) -> Any:
        """Send one command and return its reply, texts as str; raises ReplyError, EngineDown."""
        reply = self.calls([words])[0]
        if isinstance(reply, ReplyError):
            raise reply
        return reply

    def calls(self, commands: Sequence[Sequence[Any]]) -> list[Any]:
        """Send several commands in one go; a refused one has its ReplyError in place of a reply."""
        self.tell(commands)
        return self.told(len(commands))

    def tell(self, commands: Sequence[Sequence[Any]]) -> None:
        """Send commands; their replies are to be fetched with `told`."""
        try:
            self._socket.sendall(b"".join(_command(words) for words in commands))
        except OSError as error:
            self._broken(error)

    def told(self, count: int) -> list[Any]:
        """Fetch so many replies."""
        try:
            return [self._reply() for _ in range(count)]
        except (OSError, ValueError) as error:
            self._broken(error)

    def _broken(self, error: Exception) -> NoReturn:
        self.close()
        raise EngineDown(f"{self.where} does not answer: {error}") from None

    def patience(self, seconds: float) -> None:
        """Let each following command take so long."""
        self._socket.settimeout(seconds)

    def close(self) -> None:
        """Close the connection; may be called twice."""
        self._reader.close()
        self._socket.close()

    def _reply(self) -> Any:
        line = self._reader.readline()
        if not line.endswith(b"\r\n"):
            raise ValueError("the connection was closed")
        mark, rest = line[:1], line[1:-2]
        if mark == b"+":
            return rest.decode("utf-8", "replace")
        if mark == b":":
            return int(rest)
        if mark == b"$":
            return None if rest == b"-1" else self._text(int(rest))
        if mark == b"*":
            return None if rest == b"-1" else [self._reply() for _ in range(int(rest))]
        if mark == b"-":
            text = rest.decode("utf-8", "replace")
            if text.startswith(NOT_READY):
                raise EngineDown(f"{self.where} says: {text}")
            return ReplyError(f"{self.where} says: {text}")
        raise ValueError(f"not a reply: {line[:40]!r}")

    def _text(self, length: int) -> Any:
        data = self._reader.read(length + 2)
        if len(data) != length + 2:
            raise ValueError("the connection was closed")
        try:
            return data[:-2].decode()
        except UnicodeDecodeError:
            # Keys and values may be any bytes.
            return data[:-2]


def _command(words: Sequence[Any]) -> bytes:
    parts = [f"*{len(words)}\r\n".encode()]
    for word in words:
        data = word if isinstance(word, bytes) else str(word).encode()
        parts.append(b"$%d\r\n%s\r\n" % (len(data), data))
    return b"".join(parts)


def fields(text: Any) -> dict[str, str]:
    """Read the `name:value` lines of INFO and CLUSTER INFO."""
    return dict(line.split(":", 1) for line in str(text).splitlines() if ":" in line and not line.startswith("#"))
