"""The agent's HTTPS server: mutual TLS, keep-alive, a thread for each connection.

Our own request loop instead of `http.server`: the agent's start is time in which an upgraded member is away, and the
standard library's server costs several times what this one does (docs/decisions/agent-server.md has the figures).
"""

from __future__ import annotations

import json
import socket
import ssl
import threading
from typing import Any

from trove.guest import protocol
from trove.guest.agent.errors import Refused
from trove.guest.agent.runner import Runner
from trove.guest.agent.settings import Settings

IDLE = 300.0
"""Seconds after which a silent connection is closed."""
HANDSHAKE = 5.0
"""Seconds a new connection has for its TLS handshake."""
LARGEST_HEAD = 16 * 1024
MOST_CONNECTIONS = 64

PHRASES = {200: "OK", 400: "Bad Request", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed"}
PHRASES.update({409: "Conflict", 411: "Length Required", 413: "Content Too Large", 422: "Unprocessable Content"})
PHRASES.update({500: "Internal Server Error", 503: "Service Unavailable"})


class Server:
    """Listens on the instance's address; `serve` returns when the listening socket is closed."""

    def __init__(self, settings: Settings, runner: Runner) -> None:
        self._runner = runner
        self._slots = threading.Semaphore(MOST_CONNECTIONS)
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.minimum_version = ssl.TLSVersion.TLSv1_3
        self._tls.load_cert_chain(settings.config("agent.pem"), settings.config("agent.key"))
        self._tls.load_verify_locations(settings.config("ca.pem"))
        self._tls.verify_mode = ssl.CERT_REQUIRED
        # Tickets would only cost: connections are kept.
        self._tls.num_tickets = 0
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind((settings.address, protocol.PORT))
        self._socket.listen(32)

    def serve(self) -> None:
        """Take connections until `close`."""
        while True:
            self._slots.acquire()
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._connection, args=(connection,), daemon=True).start()

    def close(self) -> None:
        """Stop listening."""
        self._socket.close()

    def _connection(self, connection: socket.socket) -> None:
        try:
            connection.settimeout(HANDSHAKE)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._tls.wrap_socket(connection, server_side=True) as secure:
                secure.settimeout(IDLE)
                allowed = _is_controller(secure.getpeercert())
                with secure.makefile("rb") as reader:
                    while self._request(secure, reader, allowed):
                        pass
        except OSError:
            # The other side is gone, silent, or not one of ours: nobody is left to tell.
            pass
        finally:
            connection.close()
            self._slots.release()

    def _request(self, secure: ssl.SSLSocket, reader: Any, allowed: bool) -> bool:
        """Answer one request; False when the connection is to be closed."""
        line = reader.readline(LARGEST_HEAD)
        if not line.strip():
            return False
        # Until a request has been read whole nobody knows where the next one begins.
        keep = False
        try:
            method, target, headers = _head(line, reader)
            body = _body(headers, reader)
            keep = headers.get("connection", "").lower() != "close"
            if not allowed:
                raise Refused(403, "this certificate is not the controller's")
            status, answer = 200, self._answer(method, target, body)
        except Refused as refusal:
            status, answer = refusal.status, {"error": str(refusal)}
        except Exception as problem:
            import traceback

            traceback.print_exc()
            status, answer = 500, {"error": f"the agent failed: {type(problem).__name__}"}
        payload = json.dumps(answer).encode()
        head = (
            f"HTTP/1.1 {status} {PHRASES[status]}\r\nContent-Type: application/json\r\nContent-Length: {len(payload)}"
        )
        closing = "" if keep else "\r\nConnection: close"
        secure.sendall(f"{head}{closing}\r\n\r\n".encode("ascii") + payload)
        return keep

    def _answer(self, method: str, target: str, body: bytes) -> dict[str, Any]:
        path, _, query = target.partition("?")
        parts = path.strip("/").split("/")
        if parts == ["health"]:
            _only(method, "GET")
            return self._runner.health()
        if len(parts) != 2 or parts[0] != "operations":
            raise Refused(404, f"there is nothing at {path[:200]}")
        _only(method, "GET", "PUT")
        wait = _wait(query)
        if method == "PUT":
            try:
                told = json.loads(body)
            except ValueError:
                raise Refused(400, "the body is not JSON") from None
            entry = self._runner.put(parts[1], told)
        else:
            entry = self._runner.get(parts[1])
        entry.done.wait(wait)
        return entry.view()


def _is_controller(certificate: Any) -> bool:
    names = [value for group in (certificate or {}).get("subject", ()) for key, value in group if key == "commonName"]
    return names == [protocol.CONTROLLER_NAME]


def _only(method: str, *allowed: str) -> None:
    if method not in allowed:
        raise Refused(405, f"only {' and '.join(allowed)} can be done here")


def _wait(query: str) -> float:
    """Return the seconds of `wait=`, at most the longest a request may be held back."""
    for pair in query.split("&"):
        name, _, value = pair.partition("=")
        if name == "wait":
            try:
                return min(max(0.0, float(value)), protocol.LONGEST_WAIT)
            except ValueError:
                raise Refused(400, "wait must be a number of seconds") from None
    return 0.0


def _head(line: bytes, reader: Any) -> tuple[str, str, dict[str, str]]:
    words = line.decode("latin-1").split()
    if len(words) != 3 or not words[2].startswith("HTTP/1."):
        raise Refused(400, "this is not an HTTP/1 request")
    headers: dict[str, str] = {}
    size = len(line)
    while True:
        line = reader.readline(LARGEST_HEAD)
        size += len(line)
        if size > LARGEST_HEAD or not line:
            raise Refused(400, "the head of the request is too long or cut off")
        if line in (b"\r\n", b"\n"):
            return words[0], words[1], headers
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.strip().lower()] = value.strip()


def _body(headers: dict[str, str], reader: Any) -> bytes:
    if "transfer-encoding" in headers:
        raise Refused(411, "send the body with a Content-Length")
    length = headers.get("content-length", "0")
    if not length.isdigit():
        raise Refused(411, "Content-Length must be a number")
    if int(length) > protocol.LARGEST_BODY:
        raise Refused(413, f"the body may have at most {protocol.LARGEST_BODY} bytes")
    body = reader.read(int(length))
    if len(body) != int(length):
        raise Refused(400, "the body of the request was cut off")
    return bytes(body)
