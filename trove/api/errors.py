"""Errors of the HTTP side, and the one table from any error to its HTTP status and fault name."""

from __future__ import annotations

import logging
import uuid
from typing import Any

import falcon

from trove.domain import errors

LOG = logging.getLogger(__name__)


class Unauthorized(errors.TroveError):
    """Nobody we know sent this."""

    def __init__(self, message: str, challenge: str | None = None) -> None:
        self.challenge = challenge
        super().__init__(message)


class Misconfigured(errors.TroveError):
    """The application cannot be made with these settings."""


class BadMethod(errors.TroveError):
    """The URL exists, the method does not."""


class NotAcceptable(errors.TroveError):
    """The client wants a version of the API that does not exist."""


class BodyTooLarge(errors.TroveError):
    """The body is larger than any request needs to be."""


class BadMediaType(errors.TroveError):
    """The body is not JSON."""


class Unexpected(errors.TroveError):
    """A bug of ours; the message carries the id to look for in the log."""


FAULTS: tuple[tuple[type[BaseException], int, str], ...] = (
    (errors.BadRequest, 400, "badRequest"),
    (Unauthorized, 401, "unauthorized"),
    (errors.Forbidden, 403, "forbidden"),
    (errors.NotFound, 404, "itemNotFound"),
    (BadMethod, 405, "badMethod"),
    (NotAcceptable, 406, "notAcceptable"),
    (errors.Conflict, 409, "conflict"),
    (errors.OverLimit, 413, "overLimit"),
    (BodyTooLarge, 413, "overLimit"),
    (BadMediaType, 415, "badMediaType"),
    (errors.Unprocessable, 422, "unprocessableEntity"),
    (errors.NotSupported, 501, "notImplemented"),
    (errors.Unavailable, 503, "serviceUnavailable"),
    (errors.DriverError, 500, "serverError"),
    (Unexpected, 500, "instanceFault"),
    (errors.TroveError, 400, "badRequest"),
)
"""First match wins, so subclasses stand before their bases."""

FAULT_NAMES = {status: name for _, status, name in reversed(FAULTS) if name != "instanceFault"}
"""Fault name of a status that comes without one of our exceptions."""


def fault_body(status: int, name: str, message: str) -> dict[str, Any]:
    """Return the one-key object every error answer consists of."""
    return {name: {"code": status, "message": message}}


def classify(error: BaseException, path: str = "this URL") -> tuple[int, str, str]:
    """Return status, fault name and message of any error; what nobody expected is logged under a fresh id."""
    if isinstance(error, falcon.HTTPError):
        return _of_framework(error, path)
    for kind, status, name in FAULTS:
        if isinstance(error, kind):
            return status, name, str(error)
    ticket = str(uuid.uuid4())
    LOG.error("Unexpected error %s", ticket, exc_info=error)
    return 500, "instanceFault", f"The service met an unexpected error; look for {ticket} in its log."


def _of_framework(error: falcon.HTTPError, path: str) -> tuple[int, str, str]:
    status = error.status_code
    if isinstance(error, falcon.HTTPRouteNotFound):
        told = f"This service has nothing at {path[:200]}; GET /openapi.json lists what it has."
        return 404, "itemNotFound", told
    if isinstance(error, falcon.HTTPMethodNotAllowed):
        allowed = (error.headers or {}).get("Allow", "") if isinstance(error.headers, dict) else ""
        return 405, "badMethod", f"This URL does not take this method; it takes {allowed or 'others'}."
    message = error.description or error.title or "The request is not understood."
    return status, FAULT_NAMES.get(status, "badRequest"), message
