"""What writers did, kept in append-only files that outlive the writers.

One file per writer, one fixed-size record per attempt that matters, written with a single system call each: a writer
may be killed at any moment, and what was acknowledged before is still known. Times are CLOCK_MONOTONIC seconds, which
all processes of one host share.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

_RECORD = struct.Struct("<BxxxIdd8s")
PAYLOAD_BYTES = 8


class Outcome(IntEnum):
    """How an attempt to write ended, as the client saw it."""

    ACKNOWLEDGED = 1  # the engine said OK
    UNKNOWN = 2  # sent, but the answer was lost: may be there or not
    REFUSED = 3  # the engine said no, or could not be reached: not there
    RETRIED = 4  # failed, and the client tries again: no error for its user
    GAVE_UP = 5  # still failing when the time for retries was over: may be there or not


@dataclass(frozen=True, slots=True)
class Record:
    """One attempt: `start` is when the write's first try began, `end` when this outcome was known."""

    outcome: Outcome
    seq: int
    start: float
    end: float
    payload: bytes


def payload_text(payload: bytes) -> str:
    """Return the value that is stored for a payload: 64 characters, so that rows have an ordinary size."""
    return payload.hex() * 4


class LedgerFile:
    """The writer's side."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def append(self, outcome: Outcome, seq: int, start: float, end: float, payload: bytes) -> None:
        os.write(self._fd, _RECORD.pack(outcome, seq, start, end, payload))

    def close(self) -> None:
        os.close(self._fd)


class LedgerReader:
    """The reader's side; `new()` returns what was added since the last call, so a running ledger can be followed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0

    def new(self) -> list[Record]:
        try:
            with self._path.open("rb") as file:
                file.seek(self._offset)
                data = file.read()
        except FileNotFoundError:
            return []
        whole = len(data) - len(data) % _RECORD.size
        self._offset += whole
        return [Record(Outcome(kind), *rest) for kind, *rest in _RECORD.iter_unpack(data[:whole])]


def ledger_path(directory: Path, writer: int) -> Path:
    """Return where a writer keeps its ledger."""
    return directory / f"writer-{writer}.ledger"
