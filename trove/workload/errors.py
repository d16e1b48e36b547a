"""How a write or a read can fail."""

from __future__ import annotations


class WriteError(Exception):
    """A write failed; the text says how."""


class Refused(WriteError):
    """The write is surely not there: not sent, or the engine said no."""


class AnswerLost(WriteError):
    """The write was sent and no answer came back: it may be there or not."""
