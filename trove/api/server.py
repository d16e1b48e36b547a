"""The embedded HTTP server: cheroot with our limits. Outside, any WSGI server serves `trove.api.wsgi`."""

from __future__ import annotations

import logging
import select
import socket
import threading
from collections.abc import Callable, Iterable
from typing import Any

from cheroot import wsgi
from cheroot.server import HTTPConnection

from trove.domain.errors import DriverError

LOG = logging.getLogger(__name__)

WSGI = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

HEADER_BYTES = 64 * 1024
"""All header lines of a request; tokens alone may have 16 KB."""
BODY_BYTES = 16 * 1024 * 1024
"""What the server itself refuses; the application refuses much less, in JSON."""
KEPT_ALIVE = 500
"""Connections kept open between requests."""
LINGER_MS = 1
"""Milliseconds a thread with nothing else to do waits for the next request of the client it has answered."""


class _Connection(HTTPConnection):
    """A connection whose client, while nobody else waits, may ask the thread that has just answered it.

    Each request would otherwise go through the thread that watches all connections and back: more than half of the
    time of a short answer. Clients that ask again do so within a fraction of a millisecond.
    """

    def communicate(self) -> bool:
        answer: Callable[[], bool] = super().communicate
        keep = answer()
        while keep and not self.server.requests.qsize and self._asked_again():
            keep = answer()
        return keep

    def _asked_again(self) -> bool:
        if self.rfile.has_data():
            return True
        poll = select.poll()
        poll.register(self.socket, select.POLLIN)
        return bool(poll.poll(LINGER_MS))


class _Cheroot(wsgi.Server):
    """Cheroot that speaks through logging, and leaves no socket open that it could not bind.

    It would give every new connection to a thread at once, so that a few clients which say nothing keep all threads
    waiting. Here a new connection waits with the kept-alive ones until it has something to say.
    """

    ConnectionClass = _Connection
    _connections: Any

    def process_conn(self, conn: Any) -> None:
        if conn.last_used is None:
            self._connections.put(conn)
        else:
            super().process_conn(conn)

    def error_log(self, msg: str = "", level: int = logging.INFO, traceback: bool = False) -> None:
        LOG.log(level, msg.strip(), exc_info=traceback)

    @staticmethod
    def bind_socket(socket_: socket.socket, bind_addr: tuple[str, int]) -> socket.socket:
        try:
            socket_.bind(bind_addr)
        except OSError:
            socket_.close()
            raise
        return socket_


class ApiServer:
    """Serves an application on one address until it is stopped."""

    def __init__(self, app: WSGI, host: str, port: int, *, threads: int = 10, timeout: int = 30) -> None:
        """Bind at once; port 0 takes any free one. `timeout` is how many seconds a silent connection is kept.

        Raises DriverError, which says what to do, when it cannot listen there.
        """
        self._server = _Cheroot(
            (host, port), app, numthreads=threads, request_queue_size=128, timeout=timeout, shutdown_timeout=5
        )
        self._server.nodelay = True
        self._server.max_request_header_size = HEADER_BYTES
        self._server.max_request_body_size = BODY_BYTES
        self._server.keep_alive_conn_limit = KEPT_ALIVE
        # A default that names the server's version helps nobody but attackers.
        self._server.server_name = "trove"
        self._thread: threading.Thread | None = None
        try:
            self._server.prepare()
        except OSError as error:
            raise DriverError(
                f"cannot listen on {host} port {port} ({error}); stop what listens there, or choose another address"
            ) from error

    @property
    def address(self) -> tuple[str, int]:
        """Host and port in use; tells the real port where 0 was asked for."""
        host, port = self._server.bind_addr[:2]
        return str(host), int(port)

    @property
    def url(self) -> str:
        """Scheme, host and port, as clients write them."""
        host, port = self.address
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    def serve(self) -> None:
        """Answer requests until `stop` is called from another thread."""
        self._server.serve()

    def start(self) -> None:
        """Answer requests in a thread of our own."""
        self._thread = threading.Thread(target=self.serve, name="api-server", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End requests in work (5 s at most) and give the port back."""
        self._server.stop()
        if self._thread is not None:
            self._thread.join(10)
