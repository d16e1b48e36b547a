"""The WSGI application: routes, identity, policy and errors put together. Nothing here is global."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import Any

import falcon
from oslo_context.context import RequestContext

from trove.api import bodies, openapi
from trove.api.auth import Identity, Strategy, make_strategy
from trove.api.auth.keystone import protect
from trove.api.context import Call, Caller, PublicCall, Reply
from trove.api.errors import Misconfigured, NotAcceptable, Unauthorized, classify, fault_body
from trove.api.requestid import HEADER, new_request_id
from trove.api.routes import PREFIXES, PUBLIC, ROUTES, PublicRoute, Route
from trove.api.services import Services
from trove.api.settings import ApiSettings
from trove.api.validation import BodyValidator
from trove.domain.errors import Forbidden
from trove.domain.store import Store
from trove.policies.enforcer import Enforcer

LOG = logging.getLogger(__name__)

WSGI = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
Responder = Callable[..., None]
CONTEXT = "trove.context"
"""Key of the request's environment for what log lines show of it."""
MEDIA_TYPE = "application/vnd.openstack.trove+json"


def create_app(store: Store, services: Services, settings: ApiSettings) -> WSGI:
    """Make a WSGI application; call it as often as applications are needed.

    Raises Misconfigured when the settings cannot work (unknown strategy, files that are not understood).
    """
    try:
        return Application(store, services, settings).wsgi
    except ValueError as error:
        raise Misconfigured(str(error)) from error


class Application:
    """Holds what all calls share, and turns routes into responders."""

    def __init__(self, store: Store, services: Services, settings: ApiSettings) -> None:
        self._store, self._services, self._settings = store, services, settings
        self._strategy: Strategy = make_strategy(settings)
        self._enforcer = Enforcer(settings.policy_file)
        self._describe = cache(openapi.document)
        app = falcon.App(middleware=[_Envelope(settings.max_body_bytes)])
        app.req_options.keep_blank_qs_values = True
        # The default handlers answer in another form; one table of ours (errors.FAULTS) covers everything.
        app.add_error_handler(Exception, self._answer_error)
        app.add_error_handler(falcon.HTTPError, self._answer_error)
        for path, responders in self._responders().items():
            app.add_route(path, _Resource(responders))
        self.wsgi: WSGI = app
        if settings.auth_strategy == "keystone":
            self.wsgi = protect(app, settings.keystone, frozenset(route.path for route in PUBLIC))

    def _responders(self) -> Mapping[str, dict[str, Responder]]:
        table: defaultdict[str, dict[str, Responder]] = defaultdict(dict)
        for public in PUBLIC:
            table[public.path]["GET"] = self._public(public)
        for route in ROUTES:
            responder = self._private(route)
            for prefix in PREFIXES:
                table[f"{prefix}/{{project}}{route.path}"][route.method] = responder
        for responders in table.values():
            if "GET" in responders:
                responders["HEAD"] = responders["GET"]
        return table

    def _public(self, route: PublicRoute) -> Responder:
        handler = route.handler

        def respond(request: falcon.Request, response: falcon.Response) -> None:
            call = PublicCall(self._store, self._base(request), self._describe)
            response.data = bodies.dump(handler(call).body)

        return respond

    def _private(self, route: Route) -> Responder:
        handler, rule, status = route.handler, route.rule, route.status
        validator = BodyValidator(route.body) if route.body is not None else None
        # One connection for the whole answer, to HEAD too, which has the same responder.
        reading: Callable[[], AbstractContextManager[None]] = (
            self._store.reading if route.method == "GET" else nullcontext
        )

        def respond(request: falcon.Request, response: falcon.Response, **params: str) -> None:
            caller = self._caller(request, params["project"])
            call = Call(
                self._store,
                self._services,
                self._settings,
                self._enforcer,
                caller,
                params,
                request.params,
                self._base(request),
                request.path,
            )
            if rule is not None:
                call.enforce(rule)
            if validator is not None:
                call.body = bodies.read(request)
                validator.check(call.body)
            with reading():
                reply = handler(call)
            response.status = reply.status or status
            if reply.operation is not None:
                response.set_header("Location", _location(call, reply))
            if reply.body is not None:
                response.data = bodies.dump(reply.body)

        return respond

    def _caller(self, request: falcon.Request, project: str) -> Caller:
        """Find out who calls, and that the project of the URL is his."""
        identity: Identity = self._strategy.identify(request.env)
        is_admin = self._enforcer.allows("context_is_admin", identity, identity.project_id)
        caller = Caller(identity.user_id, identity.project_id, identity.roles, is_admin)
        context: RequestContext = request.env[CONTEXT]
        context.user_id, context.project_id, context.is_admin = caller.user_id, caller.project_id, is_admin
        if project != caller.project_id:
            raise Forbidden(f"your project is {caller.project_id}, not {project[:80]}; use your own in the URL")
        return caller

    def _base(self, request: falcon.Request) -> str:
        accept = request.env.get("HTTP_ACCEPT", "")
        if MEDIA_TYPE in accept:
            _check_version(accept)
        return (self._settings.public_endpoint or request.prefix).rstrip("/")

    def _answer_error(
        self, request: falcon.Request, response: falcon.Response, error: Exception, params: Mapping[str, Any]
    ) -> None:
        status, name, message = classify(error, request.path)
        response.status = status
        response.data = bodies.dump(fault_body(status, name, message))
        if isinstance(error, falcon.HTTPError) and error.headers:
            response.set_headers(error.headers)
        if isinstance(error, Unauthorized) and error.challenge:
            response.set_header("WWW-Authenticate", error.challenge)
        LOG.info("%s %s %s: %d %s", request.env.get(HEADER), request.method, request.path, status, message)


class _Resource:
    """What falcon asks for the methods of a URL."""

    def __init__(self, responders: Mapping[str, Responder]) -> None:
        for method, responder in responders.items():
            setattr(self, f"on_{method.lower()}", responder)


class _Envelope:
    """What every request and every answer has, on known routes and others."""

    def __init__(self, max_body_bytes: int) -> None:
        self._most = max_body_bytes

    def process_request(self, request: falcon.Request, response: falcon.Response) -> None:
        request_id = new_request_id()
        request.env[HEADER] = request_id
        response.set_header(HEADER, request_id)
        request.env[CONTEXT] = RequestContext(request_id=request_id)
        bodies.check_length(request, self._most)
        if request.env.get("wsgi.input_terminated") and request.content_length is None:
            bodies.receive_chunks(request, self._most)


def _location(call: Call, reply: Reply) -> str:
    assert reply.operation is not None
    return f"{call.base}/v1.0/{call.project}/operations/{reply.operation.id}"


def _check_version(accept: str) -> None:
    """Raise NotAcceptable when a client wants a version there is not."""
    for part in accept.split(","):
        media, *options = (piece.strip() for piece in part.split(";"))
        if media != MEDIA_TYPE:
            continue
        for option in options:
            name, _, value = option.partition("=")
            if name == "version" and value.removeprefix("v") != "1.0":
                raise NotAcceptable(f"version {value[:40]} of the API does not exist; there is 1.0")
