"""Asking all nodes of a Redis or Valkey cluster, over connections that are kept."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

from trove.datastores.redis import guest_config
from trove.datastores.redis.guest_nodes import Node, disagreement, parse
from trove.datastores.redis.guest_resp import Connection, ReplyError, fields
from trove.guest.agent.errors import EngineDown, GuestError
from trove.guest.agent.manager import POLL, Progress

PATIENCE = 5.0
"""Seconds a node may take to answer."""
WIDTH = 32
"""Connections over which commands to one node are spread."""


class Peers:
    """Connections to all nodes, made when needed, made again when broken."""

    def __init__(self, secret: str, wide: bool) -> None:
        self.secret = secret
        self._width = WIDTH if wide else 1
        self._open: dict[Any, Connection] = {}
        self._wide: dict[Any, list[Connection]] = {}

    def __enter__(self) -> Peers:
        return self

    def __exit__(self, *_: object) -> None:
        for connection in [*self._open.values(), *(one for wide in self._wide.values() for one in wide)]:
            connection.close()

    def at(self, place: Any) -> Connection:
        """Return the connection to a node; EngineDown when it does not answer."""
        if place not in self._open:
            self._open[place] = self._connect(place)
        return self._open[place]

    def _connect(self, place: Any) -> Connection:
        return Connection(place[0], place[1], guest_config.CLUSTER_USER, self.secret, timeout=PATIENCE)

    def calls(self, place: Any, commands: list[tuple[Any, ...]]) -> list[Any]:
        """Send one node several commands; EngineDown when it does not answer, ReplyError for the first refusal."""
        try:
            replies = self.at(place).calls(commands)
        except EngineDown:
            self._open.pop(place, None)
            raise
        for reply in replies:
            if isinstance(reply, ReplyError):
                raise reply
        return replies

    def spread(self, place: Any, commands: list[tuple[Any, ...]]) -> None:
        """Send one node commands whose order does not matter, all at once; raises like `calls`.

        Valkey holds each SETSLOT back until the replicas have it, but only the connection it came on: it gets them over
        several. Redis writes its table to disk for each group that arrives together: it gets them over one.
        """
        if self._width == 1:
            self.calls(place, commands)
            return
        wide = self._wide.setdefault(place, [])
        while len(wide) < min(self._width, len(commands)):
            wide.append(self._connect(place))
        shares = [
            (connection, commands[index :: self._width]) for index, connection in enumerate(wide[: len(commands)])
        ]
        try:
            for connection, share in shares:
                connection.tell(share)
            replies = [reply for connection, share in shares for reply in connection.told(len(share))]
        except EngineDown:
            # What the other connections still have to say must not be taken for answers to later commands.
            for connection in self._wide.pop(place):
                connection.close()
            raise
        for reply in replies:
            if isinstance(reply, ReplyError):
                raise reply

    def call(self, place: Any, *words: Any) -> Any:
        """Send one node one command."""
        return self.calls(place, [words])[0]

    def nodes(self, place: Any) -> list[Node]:
        """Return how one node sees the cluster."""
        return parse(self.call(place, "CLUSTER", "NODES"))

    def disagreement(self, places: Iterable[Any], roles: bool = True, without: Iterable[Any] = ()) -> str:
        """Ask all nodes; return why they are not one healthy cluster, empty when they are."""
        views, states = {}, {}
        for place in places:
            try:
                info, nodes = self.calls(place, [("CLUSTER", "INFO"), ("CLUSTER", "NODES")])
            except GuestError as error:
                return str(error)
            views[place], states[place] = parse(nodes), fields(info).get("cluster_state", "")
        return disagreement(views, states, roles, without)

    def await_agreement(
        self,
        places: list[Any],
        deadline: float,
        progress: Progress,
        roles: bool = True,
        poll: float = POLL,
        without: Iterable[Any] = (),
    ) -> None:
        """Wait until all nodes are one healthy cluster; GuestError with the last reason at the deadline."""
        told = 0.0
        while True:
            reason = self.disagreement(places, roles, without)
            if not reason:
                return
            now = time.monotonic()
            if now >= deadline:
                raise GuestError(f"the nodes do not agree: {reason}")
            if now - told > 1.0:
                progress(f"waiting for all nodes to agree: {reason}")
                told = now
            time.sleep(poll)
