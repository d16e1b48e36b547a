"""The one tree of errors a user can see; `trove.api.errors` maps each class to its HTTP fault."""

from __future__ import annotations


class TroveError(Exception):
    """Base of everything that is answered to a user: the text says what, why and what to do."""


class BadRequest(TroveError):
    """The request is not understood or cannot be done as asked; carries every reason at once."""

    def __init__(self, *reasons: str) -> None:
        self.reasons = tuple(reasons)
        super().__init__("; ".join(self.reasons))


class NotFound(TroveError):
    """Nothing of that kind has that name or id in the caller's project."""

    def __init__(self, kind: str, ref: str, hint: str = "") -> None:
        self.kind, self.ref = kind, ref
        super().__init__(f"{kind} '{ref}' was not found{': ' + hint if hint else ''}")


class Forbidden(TroveError):
    """The caller may not do this."""


class Conflict(TroveError):
    """Somebody else changed the thing in the meantime; read it again and retry."""


class Unprocessable(TroveError):
    """The thing is busy or unhealthy: the same request may succeed later."""

    def __init__(self, *reasons: str) -> None:
        self.reasons = tuple(reasons)
        super().__init__("; ".join(self.reasons))


class OverLimit(TroveError):
    """A quota or a ceiling would be exceeded; nothing was changed."""


class NotSupported(TroveError):
    """The datastore or this kind of instance cannot do it."""


class DriverError(TroveError):
    """A driver (compute, endpoint, images, guest) could not do what was asked; says what to do next."""


class Unavailable(DriverError):
    """The other side does not answer now; asking again may help."""


class StaleGeneration(DriverError):
    """The order carries an older generation than one already seen, so its sender has been replaced."""


class PortTaken(DriverError):
    """Another process already listens where an instance should."""

    def __init__(self, address: str, port: int) -> None:
        super().__init__(
            f"port {port} of {address} is taken by another process; "
            f"stop that process, or choose another --address-pool, and try again"
        )
