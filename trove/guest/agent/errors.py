"""What can be wrong in a guest, as sentences a user may read."""

from __future__ import annotations


class GuestError(Exception):
    """The operation cannot be done: the text says what, why and, where it helps, what to do."""


class EngineDown(GuestError):
    """The engine does not answer now."""


class Refused(Exception):
    """The request itself is refused: HTTP status and a sentence."""

    def __init__(self, status: int, reason: str) -> None:
        self.status = status
        super().__init__(reason)
