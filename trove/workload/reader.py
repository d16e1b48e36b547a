"""Read every acknowledged write back, as its own process: `python -m trove.workload.reader`.

Reads one line of JSON from standard input (see `ReaderOrder`) and answers with one line: what was looked up, what is
missing, what has another value. Each write is looked up by its own key in a request of its own.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trove.workload.clients import Client, make_client
from trove.workload.errors import WriteError
from trove.workload.ledger import LedgerReader, Outcome, ledger_path, payload_text
from trove.workload.target import Target


@dataclass(frozen=True)
class ReaderOrder:
    """Where to look, and for whose writes; one lookup may fail for `answer_timeout` seconds."""

    target: Target
    writers: tuple[int, ...]
    directory: Path
    answer_timeout: float

    def to_json(self) -> str:
        return json.dumps(
            {
                "target": self.target.to_dict(),
                "writers": self.writers,
                "directory": str(self.directory),
                "answer_timeout": self.answer_timeout,
            }
        )

    @classmethod
    def from_json(cls, text: str) -> ReaderOrder:
        data: dict[str, Any] = json.loads(text)
        data["target"], data["directory"] = Target.from_dict(data["target"]), Path(data["directory"])
        return cls(**data)


def _client(target: Target) -> Client:
    if target.kind == "mariadb":
        from trove.workload.mariadb import MariaDBClient

        return MariaDBClient(target, applied_first=True)
    return make_client(target)


def _read(client: Client, writer: int, seq: int, timeout: float) -> str | None:
    deadline = time.monotonic() + timeout
    while True:
        try:
            return client.read(writer, seq)
        except WriteError as error:
            if time.monotonic() > deadline:
                raise SystemExit(f"no answer for {timeout:.0f} s while reading back: {error}") from error
        time.sleep(0.02)


def main() -> None:
    order = ReaderOrder.from_json(sys.stdin.readline())
    client = _client(order.target)
    checked = 0
    lost: list[tuple[int, int]] = []
    differing: list[tuple[int, int]] = []
    for writer in order.writers:
        for record in LedgerReader(ledger_path(order.directory, writer)).new():
            if record.outcome is not Outcome.ACKNOWLEDGED:
                continue
            checked += 1
            found = _read(client, writer, record.seq, order.answer_timeout)
            if found is None:
                lost.append((writer, record.seq))
            elif found != payload_text(record.payload):
                differing.append((writer, record.seq))
    client.close()
    print(json.dumps({"checked": checked, "lost": lost, "differing": differing}), flush=True)


if __name__ == "__main__":
    main()
