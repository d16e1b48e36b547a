"""Keystone tokens, checked by keystonemiddleware around the application."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from http.client import responses
from typing import Any

from trove.api.auth.identity import Identity
from trove.api.errors import Unauthorized, classify, fault_body
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


def protect(app: WSGI, options: Mapping[str, Any], public: frozenset[str]) -> WSGI:
    """Put keystonemiddleware around the application, except for the paths that need no token.

    `options` are those of [keystone_authtoken], or `{"oslo_config_config": conf}`. What the middleware answers by
    itself (no valid token, Keystone cannot be reached) gets the form of all our answers.
    """
    # Here, because it is large and only installations with Keystone need it.
    from keystonemiddleware import auth_token

    guarded: WSGI = auth_token.AuthProtocol(app, {"oslo_config_config": None, **options, "delay_auth_decision": False})

    def call(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ.get("PATH_INFO") in public:
            return app(environ, start_response)
        refused: list[tuple[int, list[tuple[str, str]]]] = []

        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            if any(name.lower() == HEADER.lower() for name, _ in headers):
                return start_response(status, headers, exc_info) if exc_info else start_response(status, headers)
            refused.append((int(status[:3]), headers))
            return lambda data: None

        try:
            answer = guarded(environ, start)
        except Exception as error:
            # The application itself lets nothing out: this is the middleware, or how it is configured.
            code, name, message = classify(error)
            return _fault(start_response, code, name, message, [])
        if not refused:
            return answer
        code, headers = refused[0]
        _close(answer)
        name, message = REFUSALS.get(code, ("serviceUnavailable", "Keystone cannot check your token now; try again"))
        challenge = [header for header in headers if header[0].lower() == "www-authenticate"]
        return _fault(start_response, code, name, message, challenge)

    return call


REFUSALS = {401: ("unauthorized", "a valid token is needed in X-Auth-Token; get one from Keystone")}


def _fault(
    start_response: Callable[..., Any], code: int, name: str, message: str, more: list[tuple[str, str]]
) -> Iterable[bytes]:
    body = json.dumps(fault_body(code, name, message)).encode()
    headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body))), (HEADER, new_request_id())]
    start_response(f"{code} {responses.get(code, 'Keystone')}", headers + more)
    return [body]


def _close(answer: Iterable[bytes]) -> None:
    close = getattr(answer, "close", None)
    if close:
        close()
