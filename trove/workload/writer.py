"""One writer, as its own process: `python -m trove.workload.writer`.

Reads one line of JSON from standard input (see `WriterOrder`), connects, answers `ready`, begins at the next line it
reads and ends when it reads another one or when standard input is closed: a writer never outlives who started it.
"""

from __future__ import annotations

import json
import os
import random
import select
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from trove.workload.clients import Client, make_client
from trove.workload.errors import AnswerLost, WriteError
from trove.workload.ledger import PAYLOAD_BYTES, LedgerFile, Outcome, ledger_path, payload_text
from trove.workload.target import Target

PACE = (0.002, 0.004)  # seconds from the start of one write to the start of the next, when the engine keeps up
_RETRY_PAUSE = 0.002  # after the first, immediate retry: a refused connection must not become a busy loop


@dataclass(frozen=True)
class WriterOrder:
    """What one writer is to do: `retry_seconds` 0 means never retry, `start_timeout` is for its first connection."""

    target: Target
    writer: int
    retry_seconds: float
    start_timeout: float
    directory: Path
    pace: tuple[float, float] = PACE

    def to_json(self) -> str:
        return json.dumps(
            {
                "target": self.target.to_dict(),
                "writer": self.writer,
                "retry_seconds": self.retry_seconds,
                "start_timeout": self.start_timeout,
                "directory": str(self.directory),
                "pace": self.pace,
            }
        )

    @classmethod
    def from_json(cls, text: str) -> WriterOrder:
        data: dict[str, Any] = json.loads(text)
        data["target"], data["directory"] = Target.from_dict(data["target"]), Path(data["directory"])
        return cls(**data)


class Writer:
    """Writes one value after the other and keeps the ledger."""

    def __init__(self, order: WriterOrder, client: Client, ledger: LedgerFile, errors: TextIO) -> None:
        self._order = order
        self._client = client
        self._ledger = ledger
        self._errors = errors

    def write(self, seq: int, stopped: Callable[[], bool]) -> None:
        """Make one write, with retries where ordered, and record how it ended."""
        payload = os.urandom(PAYLOAD_BYTES)
        value = payload_text(payload)
        start = time.monotonic()
        tries = 0
        unclear = False
        while True:
            try:
                self._client.write(self._order.writer, seq, value, again=unclear)
            except WriteError as error:
                now = time.monotonic()
                unclear = unclear or isinstance(error, AnswerLost)
                outcome = self._failed(unclear, now - start)
                self._ledger.append(outcome, seq, start, now, payload)
                self._complain(now, seq, outcome, error)
                if outcome is not Outcome.RETRIED or stopped():
                    return
                tries += 1
                if tries > 1:
                    time.sleep(_RETRY_PAUSE)
            else:
                self._ledger.append(Outcome.ACKNOWLEDGED, seq, start, time.monotonic(), payload)
                return

    def _failed(self, unclear: bool, age: float) -> Outcome:
        if self._order.retry_seconds:
            return Outcome.RETRIED if age < self._order.retry_seconds else Outcome.GAVE_UP
        return Outcome.UNKNOWN if unclear else Outcome.REFUSED

    def _complain(self, now: float, seq: int, outcome: Outcome, error: WriteError) -> None:
        line = {"at": now, "writer": self._order.writer, "seq": seq, "outcome": outcome.name, "error": str(error)}
        self._errors.write(json.dumps(line) + "\n")
        self._errors.flush()


def _reach(client: Client, timeout: float) -> None:
    """Connect within `timeout` seconds by reading a value that is not there."""
    deadline = time.monotonic() + timeout
    while True:
        try:
            client.read(-1, 0)
            return
        except WriteError as error:
            if time.monotonic() > deadline:
                raise SystemExit(f"cannot reach the engine within {timeout:.0f} s: {error}") from error
        time.sleep(0.05)


def _told() -> bool:
    """Tell whether a line or the end of standard input is there to read."""
    return bool(select.select([sys.stdin], [], [], 0)[0])


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for who started us; we end with our standard input
    order = WriterOrder.from_json(sys.stdin.readline())
    client = make_client(order.target, retrying=order.retry_seconds > 0)
    ledger = LedgerFile(ledger_path(order.directory, order.writer))
    with (order.directory / f"writer-{order.writer}.errors").open("a") as errors:
        _reach(client, order.start_timeout)
        print("ready", flush=True)
        if not sys.stdin.readline():
            return
        writer = Writer(order, client, ledger, errors)
        seq = 0
        due = time.monotonic()
        while not _told():
            seq += 1
            writer.write(seq, _told)
            due = max(due + random.uniform(*order.pace), time.monotonic())
            time.sleep(max(0.0, due - time.monotonic()))
    client.close()


if __name__ == "__main__":
    main()
