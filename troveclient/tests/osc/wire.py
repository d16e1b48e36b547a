"""A recorded wire: a local HTTP server that notes every request and answers from `service`."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib import parse

from troveclient.tests.osc.service.application import Service


class Wire:
    """The server's address, what it was asked, and the service that answers."""

    def __init__(self) -> None:
        self.requests: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.service = Service()
        self.port = 0

    def endpoint(self, project: str) -> str:
        return f"http://127.0.0.1:{self.port}/v1.0/{project}"

    def reset(self) -> None:
        self.requests, self.headers, self.service = [], [], Service()

    def take(self, method: str, target: str, body: Any, headers: dict[str, str]) -> Any:
        url = parse.urlsplit(target)
        _empty, _version, project, *rest = url.path.split("/")
        path = "/" + "/".join(rest)
        line = f"{method} {path}"
        if url.query:
            line += f"?{url.query}"
        if body is not None:
            line += f" {json.dumps(body, sort_keys=True)}"
        self.requests.append(line)
        self.headers.append(headers)
        return self.service.answer(method, project, path, dict(parse.parse_qsl(url.query)), body)


def _handler(wire: Wire) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # one packet per answer: two would wait for each other

        def _serve(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            raw = self.rfile.read(length)
            body = json.loads(raw) if raw else None
            status, answer, headers = wire.take(self.command, self.path, body, dict(self.headers))
            data = b"" if answer is None else json.dumps(answer).encode()
            self.send_response(status)
            for name, value in {"Content-Type": "application/json", **headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve

        def log_message(self, *args: Any) -> None:
            """Say nothing: the requests are recorded."""

    return Handler


@contextmanager
def serve() -> Iterator[Wire]:
    wire = Wire()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(wire))
    server.daemon_threads = True
    wire.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield wire
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
