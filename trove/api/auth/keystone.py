"""Keystone tokens, checked by keystonemiddleware around the application."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from keystonemiddleware import auth_token

from trove.api.auth.identity import Identity
from trove.api.errors import FAULT_NAMES, Unauthorized, fault_body
from trove.api.requestid import HEADER, new_request_id
from trove.domain.errors import Forbidden

WSGI = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class Keystone:
    """Read what the middleware found out; it removes such headers when a client sends them."""

    def identify(self, environ: Mapping[str, Any]) -> Identity:
        """Return the token's user and project. Unauthorized without a valid token, Forbidden without a project."""
        if environ.get("HTTP_X_IDENTITY_STATUS") != "Confirmed":
            raise Unauthorized("a valid token is needed in X-Auth-Token; get one from Keystone", "Keystone")
        project = environ.get("HTTP_X_PROJECT_ID")
        if not project:
            raise Forbidden("the token has no project; ask Keystone for a token scoped to one")
        return Identity(
            user_id=environ.get("HTTP_X_USER_ID", ""),
            project_id=project,
            roles=frozenset(filter(None, environ.get("HTTP_X_ROLES", "").split(","))),
        )


def protect(app: WSGI, options: Mapping[str, str]) -> WSGI:
    """Put keystonemiddleware around the application.

    Requests without a valid token still reach it, because some routes need none. What the middleware answers by
    itself (Keystone cannot be reached) is turned into the fault form of all our answers.
    """
    guarded = auth_token.AuthProtocol(
        app, {"delay_auth_decision": True, "oslo_config_config": None, **options, "log_name": __name__}
    )

    def call(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        foreign: list[int] = []

        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            if any(name.lower() == HEADER.lower() for name, _ in headers):
                return start_response(status, headers, exc_info) if exc_info else start_response(status, headers)
            foreign.append(int(status[:3]))
            return lambda data: None

        answer: Iterable[bytes] = guarded(environ, start)
        if not foreign:
            return answer
        code = foreign[0]
        body = json.dumps(
            fault_body(
                code, FAULT_NAMES.get(code, "serviceUnavailable"), "Keystone cannot check your token now; try again."
            )
        ).encode()
        headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body))), (HEADER, new_request_id())]
        start_response(f"{code} Keystone", headers)
        return [body]

    return call
