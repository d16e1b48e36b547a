"""Everything the client raises, in one tree.

Class names are part of the contract: osc-lib recognises `NotFound` and `NoUniqueMatch` by name, Heat and Horizon
catch by class.
"""

from __future__ import annotations

from typing import Any


class ClientException(Exception):
    """Base of every error of this client."""


class MissingArgs(ClientException):
    """An argument that a call needs was not given."""

    def __init__(self, missing: Any, message: str | None = None) -> None:
        self.missing = missing
        self.message = message or f"Missing arguments: {', '.join(str(item) for item in missing)}"
        super().__init__(self.message)


class ValidationError(ClientException):
    """A value was refused before anything was sent."""


class UnsupportedVersion(ClientException):
    """The client does not speak the version asked for."""


class CommandError(ClientException):
    """A command line cannot be carried out as written."""


class ConnectionRefused(ClientException):
    """Nobody answered."""


class NoUniqueMatch(ClientException):
    """A name fits several objects; the message lists their ids."""


class AuthorizationFailure(ClientException):
    """The login failed or cannot be tried."""


class AuthPluginOptionsMissing(AuthorizationFailure):
    def __init__(self, opt_names: list[str]) -> None:
        super().__init__(f"Authentication failed. Missing options: {', '.join(opt_names)}")
        self.opt_names = opt_names


class AuthSystemNotFound(AuthorizationFailure):
    def __init__(self, auth_system: str) -> None:
        super().__init__(f"AuthSystemNotFound: {auth_system!r}")
        self.auth_system = auth_system


class EndpointException(ClientException):
    """The address of the service cannot be told."""


class EndpointNotFound(EndpointException):
    """The service catalogue has no fitting endpoint."""


class AmbiguousEndpoints(EndpointException):
    def __init__(self, endpoints: Any = None) -> None:
        super().__init__(f"AmbiguousEndpoints: {endpoints!r}")
        self.endpoints = endpoints


class NoTokenLookupException(Exception):
    """The identity service cannot tell what a token stands for."""


class ResponseFormatError(Exception):
    """The answer could not be read."""


class GuestLogNotFoundError(Exception):
    """The log has not been published, or its container is empty."""


class HttpError(ClientException):
    """An answer that reports an error. `code` is an alias of `http_status`."""

    http_status = 0
    message = "HTTP Error"

    def __init__(
        self,
        message: str | None = None,
        details: Any = None,
        response: Any = None,
        request_id: str | None = None,
        url: str | None = None,
        method: str | None = None,
        http_status: int | None = None,
    ) -> None:
        self.http_status = http_status or type(self).http_status
        self.message = message or type(self).message
        self.details = details
        self.response = response
        self.request_id = request_id
        self.url = url
        self.method = method
        text = f"{self.message} (HTTP {self.http_status})"
        if request_id:
            text += f" (Request-ID: {request_id})"
        super().__init__(text)

    @property
    def code(self) -> int:
        return self.http_status


class HTTPClientError(HttpError):
    message = "HTTP Client Error"


class HttpServerError(HttpError):
    message = "HTTP Server Error"


class BadRequest(HTTPClientError):
    http_status = 400
    message = "Bad Request"


class Unauthorized(HTTPClientError):
    http_status = 401
    message = "Unauthorized"


class PaymentRequired(HTTPClientError):
    http_status = 402
    message = "Payment Required"


class Forbidden(HTTPClientError):
    http_status = 403
    message = "Forbidden"


class NotFound(HTTPClientError):
    http_status = 404
    message = "Not Found"


class MethodNotAllowed(HTTPClientError):
    http_status = 405
    message = "Method Not Allowed"


class NotAcceptable(HTTPClientError):
    http_status = 406
    message = "Not Acceptable"


class ProxyAuthenticationRequired(HTTPClientError):
    http_status = 407
    message = "Proxy Authentication Required"


class RequestTimeout(HTTPClientError):
    http_status = 408
    message = "Request Timeout"


class Conflict(HTTPClientError):
    http_status = 409
    message = "Conflict"


class Gone(HTTPClientError):
    http_status = 410
    message = "Gone"


class LengthRequired(HTTPClientError):
    http_status = 411
    message = "Length Required"


class PreconditionFailed(HTTPClientError):
    http_status = 412
    message = "Precondition Failed"


class RequestEntityTooLarge(HTTPClientError):
    """A quota or limit; `retry_after` is in seconds, 0 when the service did not say."""

    http_status = 413
    message = "Request Entity Too Large"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        try:
            self.retry_after = int(kwargs.pop("retry_after", 0))
        except (TypeError, ValueError):
            self.retry_after = 0
        super().__init__(*args, **kwargs)


class RequestUriTooLong(HTTPClientError):
    http_status = 414
    message = "Request-URI Too Long"


class UnsupportedMediaType(HTTPClientError):
    http_status = 415
    message = "Unsupported Media Type"


class RequestedRangeNotSatisfiable(HTTPClientError):
    http_status = 416
    message = "Requested Range Not Satisfiable"


class ExpectationFailed(HTTPClientError):
    http_status = 417
    message = "Expectation Failed"


class UnprocessableEntity(HTTPClientError):
    http_status = 422
    message = "Unprocessable Entity"


class InternalServerError(HttpServerError):
    http_status = 500
    message = "Internal Server Error"


class HttpNotImplemented(HttpServerError):
    http_status = 501
    message = "Not Implemented"


class BadGateway(HttpServerError):
    http_status = 502
    message = "Bad Gateway"


class ServiceUnavailable(HttpServerError):
    http_status = 503
    message = "Service Unavailable"


class GatewayTimeout(HttpServerError):
    http_status = 504
    message = "Gateway Timeout"


class HttpVersionNotSupported(HttpServerError):
    http_status = 505
    message = "HTTP Version Not Supported"


_BY_STATUS: dict[int, type[HttpError]] = {
    cls.http_status: cls for group in (HTTPClientError, HttpServerError) for cls in group.__subclasses__()
}


def _class_for(status: int) -> type[HttpError]:
    found = _BY_STATUS.get(status)
    if found is not None:
        return found
    if 500 <= status < 600:
        return HttpServerError
    if 400 <= status < 500:
        return HTTPClientError
    return HttpError


def _fault(body: Any) -> dict[str, Any]:
    """The members of a fault, which stand at the top or one level down (`{"itemNotFound": {…}}`)."""
    if not isinstance(body, dict) or not body:
        return {}
    first = next(iter(body.values()))
    return first if isinstance(first, dict) else body


def from_response(response: Any, method: Any, url: Any) -> HttpError:
    """Make the exception that fits an answer; never raises itself, whatever the body is."""
    status = response.status_code
    headers = response.headers or {}
    request_id = headers.get("x-compute-request-id") or headers.get("x-openstack-request-id")
    values: dict[str, Any] = {
        "http_status": status,
        "response": response,
        "method": method,
        "url": url,
        "request_id": request_id,
    }
    if status == 413 and "retry-after" in headers:
        values["retry_after"] = headers["retry-after"]
    content_type = headers.get("Content-Type", headers.get("content-type", "")) or ""
    if content_type.startswith("application/json"):
        try:
            fault = _fault(response.json())
        except ValueError:
            fault = {}
        values["message"] = fault.get("message")
        values["details"] = fault.get("details")
    elif content_type.startswith("text/"):
        values["details"] = response.text
        first_line = (response.text or "").strip().splitlines()[:1]
        if content_type.startswith("text/plain") and first_line:
            values["message"] = first_line[0]
    return _class_for(status)(**values)
