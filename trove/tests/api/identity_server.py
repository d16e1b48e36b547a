"""As much of an identity service as keystonemiddleware talks to: it knows a few tokens."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

EXPIRES = "2999-01-01T00:00:00.000000Z"
SERVICE_TOKEN = "token-of-the-service"


def _token(user: str, project: str | None, roles: list[str]) -> dict[str, Any]:
    token: dict[str, Any] = {
        "methods": ["password"],
        "user": {"id": user, "name": user, "domain": {"id": "default", "name": "Default"}},
        "expires_at": EXPIRES,
        "issued_at": "2020-01-01T00:00:00.000000Z",
        "audit_ids": ["a"],
    }
    if project:
        token |= {
            "project": {"id": project, "name": project, "domain": {"id": "default", "name": "Default"}},
            "roles": [{"id": role, "name": role} for role in roles],
            "catalog": [],
        }
    return {"token": token}


TOKENS = {
    "member-of-p-1": _token("ann", "p-1", ["member"]),
    "admin-of-p-1": _token("root", "p-1", ["admin", "member"]),
    "of-no-project": _token("bob", None, []),
}


class _Handler(BaseHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass

    def _answer(self, status: int, body: Any, **headers: str) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self) -> None:
        host, port = self.server.server_address[:2]
        version = {
            "id": "v3.14",
            "status": "stable",
            "links": [{"rel": "self", "href": f"http://{host}:{port}/v3/"}],
            "media-types": [{"base": "application/json", "type": "application/vnd.openstack.identity-v3+json"}],
        }
        if self.path.startswith("/v3/auth/tokens"):
            known = TOKENS.get(self.headers.get("X-Subject-Token", ""))
            self._answer(200 if known else 404, known or {"error": {"code": 404, "message": "no", "title": "no"}})
        elif self.path.startswith("/v3"):
            self._answer(200, {"version": version})
        else:
            self._answer(300, {"versions": {"values": [version]}})

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        host, port = self.server.server_address[:2]
        token = _token("trove", "service", ["service"])
        endpoint = {
            "interface": "internal",
            "url": f"http://{host}:{port}/v3",
            "region": "R",
            "region_id": "R",
            "id": "e",
        }
        token["token"]["catalog"] = [{"type": "identity", "name": "keystone", "id": "i", "endpoints": [endpoint]}]
        self._answer(201, token, X_Subject_Token=SERVICE_TOKEN)


@contextmanager
def identity_server() -> Iterator[str]:
    """Serve, and give the URL."""
    server = ThreadingHTTPServer(("127.77.0.2", 0), _Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        host, port = server.server_address[:2]
        yield f"http://{host}:{port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
