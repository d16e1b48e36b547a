"""Read JSON bodies, however malformed, and write JSON answers."""

from __future__ import annotations

import json
from typing import Any

import falcon

from trove.api.errors import BadMediaType, BodyTooLarge
from trove.domain.errors import BadRequest

CHUNKS = "trove.chunked_body"
"""Key of the request's environment for a body that came in chunks."""

SWALLOWED = 8
"""Times the limit up to which a body that is refused is received nevertheless."""
PIECE = 64 * 1024

# Answers are trees that we have just made: looking for circles in them would take a quarter of the time.
_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, check_circular=False).encode


def dump(body: Any) -> bytes:
    """Write an answer."""
    return _encode(body).encode("utf-8")


def receive_chunks(request: falcon.Request, most: int) -> None:
    """Take a body whose length was not announced off the connection, whether or not anybody wants it.

    What is left there would be taken for the next request. BodyTooLarge, BadRequest.
    """
    request.env[CHUNKS] = _receive(request.stream, most + 1)
    if len(request.env[CHUNKS]) > most:
        raise BodyTooLarge(f"this service reads at most {most} bytes of a body")


def check_length(request: falcon.Request, most: int) -> None:
    """Raise BodyTooLarge for a body that announces more bytes than are ever read.

    A body that is not huge is taken off the connection first: a client that is still sending would otherwise see a
    broken connection instead of the answer.
    """
    length = request.content_length or 0
    if length <= most:
        return
    if length <= most * SWALLOWED:
        while _receive(request.bounded_stream, PIECE):
            pass
    raise BodyTooLarge(f"the body has {length} bytes; this service reads at most {most}")


def read(request: falcon.Request) -> Any:
    """Return the JSON of the body, None when there is none. BadMediaType, BadRequest."""
    raw = request.env.get(CHUNKS)
    if raw is None:
        raw = _receive(request.bounded_stream, -1) if request.content_length else b""
    if not raw:
        return None
    kind = (request.content_type or "application/json").partition(";")[0].strip().lower()
    if kind not in ("application/json", "application/vnd.openstack.trove+json"):
        raise BadMediaType(f"the body is {kind[:80]}; this service reads application/json only")
    return parse(raw)


def _receive(stream: Any, size: int) -> bytes:
    try:
        data: bytes = stream.read(size)
    except (OSError, ValueError) as error:
        raise BadRequest(f"the body did not arrive as announced: {error}") from error
    return data


def parse(raw: bytes) -> Any:
    """Return the JSON value; BadRequest says what is wrong with it."""
    try:
        value = json.loads(raw.decode("utf-8"), parse_constant=_refuse_constant)
        if b"\\u" in raw:
            # Half a surrogate pair is valid JSON, but no text that could be stored or sent back.
            dump(value)
    except RecursionError:
        raise BadRequest("the body is nested too deeply") from None
    except json.JSONDecodeError as error:
        raise BadRequest(f"the body is not JSON: {error}") from None
    except UnicodeError:
        raise BadRequest("the body is not UTF-8 text") from None
    except ValueError as error:
        raise BadRequest(f"the body is not JSON: {error}") from None
    return value


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON number")
