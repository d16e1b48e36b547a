"""The agent's journal on the data volume: what it was told, how far it came, which generation it has seen.

One small file an operation. A file that cannot be read counts as not there: operations are idempotent, so the worst
that follows is doing one again.
"""

from __future__ import annotations

import contextlib
import os
import threading
from typing import Any

from trove.guest import protocol
from trove.guest.agent.errors import Refused
from trove.guest.agent.files import read_json, write_json

KEPT = 200
"""How many finished operations are remembered."""


class Entry:
    """One operation; `done` is set when it has ended."""

    def __init__(self, id: str, kind: str, params: dict[str, Any], generation: int) -> None:
        self.id, self.kind, self.params, self.generation = id, kind, params, generation
        self.status = protocol.RUNNING
        self.progress = ""
        self.error = ""
        self.result: dict[str, Any] = {}
        self.taken = False
        """Whether a thread of this agent works on it; False after the agent has died in the middle."""
        self.done = threading.Event()

    def view(self) -> dict[str, Any]:
        """Return what the controller may see."""
        return {
            "id": self.id,
            "kind": self.kind,
            "status": self.status,
            "progress": self.progress,
            "error": self.error,
            "result": self.result,
        }


class Journal:
    """All remembered operations of one instance."""

    def __init__(self, directory: str) -> None:
        self._directory = os.path.join(directory, "operations")
        self._generation_file = os.path.join(directory, "generation.json")
        self._entries: dict[str, Entry] | None = None
        self._lock = threading.RLock()
        self.generation = int((read_json(self._generation_file) or {}).get("generation", 0))

    def find(self, id: str) -> Entry:
        """Return an operation; Refused (404) when there is none of that id."""
        with self._lock:
            entry = self._all().get(id)
        if entry is None:
            raise Refused(404, f"there is no operation {id}")
        return entry

    def take(self, id: str, kind: str, params: dict[str, Any], generation: int) -> tuple[Entry, bool]:
        """Find or note an operation; the second value tells whether the caller must run it now.

        Run again is only what an earlier agent left unfinished; a new try of what has failed has an id of its own.
        Refused: 409 for an older generation than seen, 422 for an id that names another kind of operation.
        """
        with self._lock:
            if generation < self.generation:
                raise Refused(409, f"generation {generation} is older than generation {self.generation} seen before")
            if generation > self.generation:
                self.generation = generation
                write_json(self._generation_file, {"generation": generation})
            entry = self._all().get(id)
            if entry is not None and entry.kind != kind:
                raise Refused(422, f"operation {id} is a {entry.kind}, not a {kind}")
            if entry is None:
                entry = self._all()[id] = Entry(id, kind, params, generation)
            elif entry.taken or entry.status != protocol.RUNNING:
                return entry, False
            entry.params, entry.generation, entry.taken = params, generation, True
            self._write(entry)
            return entry, True

    def finish(self, entry: Entry, error: str | None, result: dict[str, Any] | None) -> None:
        """Note the end of an operation and wake who waits for it."""
        with self._lock:
            entry.status = protocol.SUCCEEDED if error is None else protocol.FAILED
            entry.error = error or ""
            entry.result = result or {}
            entry.taken = False
            self._write(entry)
            entry.done.set()
            self._prune()

    def _all(self) -> dict[str, Entry]:
        """Read the directory the first time somebody asks: the agent's start must not wait for it."""
        if self._entries is None:
            os.makedirs(self._directory, mode=0o700, exist_ok=True)
            found = []
            for name in os.listdir(self._directory):
                noted = read_json(os.path.join(self._directory, name)) if name.endswith(".json") else None
                if noted is not None and {"id", "kind", "generation", "status"} <= noted.keys():
                    found.append(noted)
            self._entries = {}
            for noted in sorted(found, key=lambda noted: int(noted.get("order", 0))):
                entry = Entry(noted["id"], noted["kind"], {}, noted["generation"])
                entry.status, entry.error = noted["status"], noted.get("error", "")
                entry.progress, entry.result = noted.get("progress", ""), noted.get("result", {})
                if entry.status != protocol.RUNNING:
                    entry.done.set()
                self._entries[entry.id] = entry
            self._order = max((int(noted.get("order", 0)) for noted in found), default=0)
        return self._entries

    def _write(self, entry: Entry) -> None:
        self._order += 1
        # Parameters are not written down: they hold passwords, and who asks again brings them again.
        write_json(self._file(entry.id), {**entry.view(), "generation": entry.generation, "order": self._order})

    def _prune(self) -> None:
        finished = [entry for entry in self._all().values() if entry.done.is_set()]
        for entry in finished[: max(0, len(finished) - KEPT)]:
            del self._all()[entry.id]
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._file(entry.id))

    def _file(self, id: str) -> str:
        return os.path.join(self._directory, id + ".json")
