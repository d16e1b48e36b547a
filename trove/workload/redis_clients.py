"""Write to and read from Redis and Valkey: one server, or a cluster with or without retries."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.cluster import ClusterNode, RedisCluster
from redis.crc import key_slot
from redis.exceptions import AskError, MovedError, RedisError, ResponseError
from redis.retry import Retry

from trove.workload.errors import AnswerLost, Refused, WriteError
from trove.workload.target import Node, Target

CONNECT_TIMEOUT = 3.0
ANSWER_TIMEOUT = 10.0
_MAX_REDIRECTS = 5
_connection: Any = redis.Connection  # redis-py's own calls are not annotated
_cluster_node: Any = ClusterNode
_IDLE_CHECK_AFTER = 0.05  # seconds; pools of real clients look whether an idle connection is still open before use


def open_connection(target: Target, node: Node, timeout: float = CONNECT_TIMEOUT) -> Any:
    """Return a redis-py connection to one node that is made when first used and never retries anything."""
    return _connection(
        host=node[0],
        port=node[1],
        username=target.user if target.password else None,
        password=target.password,
        socket_connect_timeout=timeout,
        socket_timeout=ANSWER_TIMEOUT,
        retry=Retry(NoBackoff(), 0),
        protocol=2,
        decode_responses=True,
    )


class _Line:
    """One connection to one node, reopened when found closed while idle, as connection pools do."""

    def __init__(self, target: Target, node: Node) -> None:
        self._connection = open_connection(target, node)
        self._used = 0.0
        self._open = False

    def ask(self, *command: str) -> Any:
        """Send one command; Refused when the node cannot be reached, AnswerLost when the line breaks after that.

        Answers that are errors are raised as redis-py's ResponseError.
        """
        if self._open and time.monotonic() - self._used > _IDLE_CHECK_AFTER and self._closed_by_peer():
            self.close()
        if not self._open:
            try:
                self._connection.connect()
            except (RedisError, OSError) as error:
                self.close()
                raise Refused(f"connect: {error}") from error
            self._open = True
        try:
            self._connection.send_command(*command)
            answer = self._connection.read_response()
        except ResponseError:
            self._used = time.monotonic()
            raise
        except (RedisError, OSError) as error:
            self.close()
            raise AnswerLost(f"{command[0]}: {error}") from error
        self._used = time.monotonic()
        return answer

    def _closed_by_peer(self) -> bool:
        try:
            return bool(self._connection.can_read())  # nothing was asked, so readable means closed
        except (RedisError, OSError):
            return True

    def close(self) -> None:
        self._open = False
        self._connection.disconnect()


class SingleClient:
    """One server, one connection, no retries."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._line = _Line(target, target.nodes[0])

    def _ask(self, *command: str) -> Any:
        try:
            return self._line.ask(*command)
        except ResponseError as error:
            raise Refused(f"{command[0]}: {error}") from error

    def write(self, writer: int, seq: int, value: str, again: bool) -> None:
        _expect_ok(self._ask("SET", self._target.key(writer, seq), value))

    def read(self, writer: int, seq: int) -> str | None:
        answer = self._ask("GET", self._target.key(writer, seq))
        return None if answer is None else str(answer)

    def close(self) -> None:
        self._line.close()


class ClusterClient:
    """Follows MOVED and ASK, reads the slot table again after a redirection or a broken line, retries nothing."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._lines: dict[Node, _Line] = {}
        self._known: list[Node] = list(target.nodes)
        self._slots: list[tuple[int, int, Node]] = []

    def write(self, writer: int, seq: int, value: str, again: bool) -> None:
        key = self._target.key(writer, seq)
        _expect_ok(self._ask(key, "SET", key, value))

    def read(self, writer: int, seq: int) -> str | None:
        key = self._target.key(writer, seq)
        answer = self._ask(key, "GET", key)
        return None if answer is None else str(answer)

    def close(self) -> None:
        for line in self._lines.values():
            line.close()
        self._lines.clear()
        self._slots = []

    def _line(self, node: Node) -> _Line:
        if node not in self._lines:
            self._lines[node] = _Line(self._target, node)
        return self._lines[node]

    def _ask(self, key: str, *command: str) -> Any:
        if not self._slots and not self._learn(self._known):
            raise Refused("no node of the cluster tells the slot table")
        slot = key_slot(key.encode())
        node, asking = self._owner(slot), False
        for _ in range(_MAX_REDIRECTS):
            try:
                if asking:
                    self._line(node).ask("ASKING")
                return self._line(node).ask(*command)
            except MovedError as moved:
                node, asking = (moved.host, moved.port), False
                self._learn([node])
            except AskError as ask:
                node, asking = (ask.host, ask.port), True
            except ResponseError as error:
                raise Refused(f"{command[0]} at {node[0]}: {error}") from error
            except WriteError as error:
                # Who cannot reach a node asks the others who has taken over; the error stays an error.
                self._learn([other for other in self._known if other != node])
                raise type(error)(f"{node[0]}: {error}") from error
        raise Refused(f"redirected {_MAX_REDIRECTS} times, last to {node[0]}")

    def _owner(self, slot: int) -> Node:
        for first, last, node in self._slots:
            if first <= slot <= last:
                return node
        self._slots = []
        raise Refused(f"slot {slot} has no owner")

    def _learn(self, nodes: list[Node]) -> bool:
        """Read the slot table from the first of the nodes that tells it."""
        for node in nodes:
            try:
                table = self._line(node).ask("CLUSTER", "SLOTS")
            except (WriteError, ResponseError):
                continue
            slots = [(int(first), int(last), (str(owner[0]), int(owner[1]))) for first, last, owner, *_ in table]
            if slots:
                self._slots = slots
                seen = {(str(n[0]), int(n[1])) for _, _, *all_nodes in table for n in all_nodes if n[0]}
                self._known = sorted(seen | set(self._target.nodes))
                return True
        return False


class RetryingClusterClient:
    """redis-py's cluster client as applications use it, with its own retries."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._client: RedisCluster | None = None

    def _call(self, call: Callable[[RedisCluster], Any]) -> Any:
        try:
            if self._client is None:
                self._client = RedisCluster(
                    startup_nodes=[_cluster_node(address, port) for address, port in self._target.nodes],
                    username=self._target.user if self._target.password else None,
                    password=self._target.password,
                    socket_connect_timeout=CONNECT_TIMEOUT,
                    socket_timeout=ANSWER_TIMEOUT,
                    retry=Retry(NoBackoff(), 3),
                    protocol=2,
                    decode_responses=True,
                )
            return call(self._client)
        except AttributeError as error:
            # redis-py 8.1 does this when it is redirected to a node it has not heard of yet: it must look again.
            self.close()
            raise AnswerLost(f"redirected to an unknown node: {error}") from error
        except (RedisError, OSError) as error:
            raise AnswerLost(f"{type(error).__name__}: {error}") from error

    def write(self, writer: int, seq: int, value: str, again: bool) -> None:
        key = self._target.key(writer, seq)
        if self._call(lambda client: client.set(key, value)) is not True:
            raise Refused("SET was not answered with OK")

    def read(self, writer: int, seq: int) -> str | None:
        key = self._target.key(writer, seq)
        answer = self._call(lambda client: client.get(key))
        return None if answer is None else str(answer)

    def close(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None


def _expect_ok(answer: Any) -> None:
    if answer != "OK":
        raise Refused(f"SET was answered with {answer!r} instead of OK")
