"""Runs what the controller tells, one changing operation at a time, and keeps the engine as it is desired."""

from __future__ import annotations

import sys
import threading
import time
from typing import Any

from trove.guest import protocol
from trove.guest.agent.errors import GuestError, Refused
from trove.guest.agent.journal import Entry, Journal
from trove.guest.agent.manager import Manager

BACK_OFF = (0.0, 1.0, 2.0, 5.0, 10.0, 30.0)
"""Seconds before the engine is started again after its first, second... unexpected end."""
STEADY = 60.0
"""Seconds an engine must have run for its earlier ends to be forgotten."""

TIDY_EVERY = 60.0


class Runner:
    """The agent between its server and its engine's manager."""

    def __init__(self, manager: Manager, journal: Journal) -> None:
        self._manager = manager
        self._journal = journal
        self._turn = threading.Lock()
        self._current: Entry | None = None
        self._ending = threading.Event()

    # -- operations ---------------------------------------------------------------------------------------------------

    def put(self, id: str, told: Any) -> Entry:
        """Start or find an operation; Refused with the reason where the request is wrong or late."""
        if not protocol.OPERATION_ID.fullmatch(id):
            raise Refused(400, "an operation id has letters, digits, '.', '_' and '-', at most 200 of them")
        if not isinstance(told, dict):
            raise Refused(400, "the body must be a JSON object with kind, params and generation")
        kind, params, generation = told.get("kind"), told.get("params", {}), told.get("generation")
        if not isinstance(kind, str) or kind not in self._manager.operations():
            raise Refused(400, f"kind must be one of {', '.join(sorted(self._manager.operations()))}")
        if not isinstance(params, dict):
            raise Refused(400, "params must be a JSON object")
        if not isinstance(generation, int) or isinstance(generation, bool) or generation < 0:
            raise Refused(400, "generation must be a whole number from 0")
        if self._ending.is_set():
            raise Refused(503, "the agent is ending")
        entry, new = self._journal.take(id, kind, params, generation)
        if new:
            threading.Thread(target=self._run, args=(entry,), name=entry.id, daemon=True).start()
        return entry

    def get(self, id: str) -> Entry:
        """Find an operation; Refused (404)."""
        return self._journal.find(id)

    def _run(self, entry: Entry) -> None:
        operation = self._manager.operations()[entry.kind]
        started = time.monotonic()

        def progress(sentence: str) -> None:
            entry.progress = sentence
            say(f"{entry.kind} {entry.id}: {sentence}")

        def work() -> dict[str, Any]:
            if entry.kind in self._manager.unlocked:
                return operation(entry.params, progress)
            self._manager.make_way(entry.kind, entry.params)
            if self._turn.locked() and self._current is not None:
                progress(f"waiting for {self._current.kind} {self._current.id} to end")
            with self._turn:
                self._current = entry
                try:
                    return operation(entry.params, progress)
                finally:
                    self._current = None

        error, result = None, None
        try:
            result = work()
        except GuestError as problem:
            error = str(problem)
        except Exception as problem:
            import traceback

            traceback.print_exc()
            error = f"{entry.kind} failed unexpectedly: {type(problem).__name__}: {problem}"
        self._journal.finish(entry, error, result)
        say(f"{entry.kind} {entry.id}: {error or 'done'} ({time.monotonic() - started:.3f} s)")

    # -- health -------------------------------------------------------------------------------------------------------

    def health(self) -> dict[str, Any]:
        """Return the engine's health and, under `agent`, how the agent itself is."""
        current = self._current
        return {
            **self._manager.health(),
            "agent": {
                "instance_id": self._manager.settings.instance_id,
                "image_id": self._manager.settings.image_id,
                "generation": self._journal.generation,
                "desired": self._manager.desired,
                "operation": current.view() if current is not None else None,
            },
        }

    # -- supervision --------------------------------------------------------------------------------------------------

    def adopt(self) -> None:
        """Find the engine that an earlier agent has started; before anybody may ask for it."""
        if self._manager.engine.adopt():
            say(f"found the engine running as process {self._manager.engine.pid}")

    def supervise(self) -> None:
        """Start the engine whenever it is desired running and does not run; returns at the end."""
        ends, since = 0, time.monotonic()
        tidied = since
        while not self._ending.is_set():
            if time.monotonic() - tidied > TIDY_EVERY:
                tidied = time.monotonic()
                self._manager.tidy()
            if self._manager.engine.wait(0.5):
                if not self._wanted():
                    self._ending.wait(0.2)
                    continue
                ends = 0 if time.monotonic() - since > STEADY else ends
                if self._ending.wait(BACK_OFF[min(ends, len(BACK_OFF) - 1)]):
                    return
                with self._turn:
                    # While this waited for its turn an operation may have started the engine, or stopped it for good.
                    if self._wanted() and not self._manager.engine.alive() and not self._ending.is_set():
                        ends, since = ends + 1, time.monotonic()
                        self._start()

    def _wanted(self) -> bool:
        return self._manager.starts_by_itself

    def _start(self) -> None:
        try:
            reason = self._manager.last_words()
            say(f"starting the engine, which is to run and does not: {reason}")
            self._manager.write_config()
            self._manager.launch()
            self._manager.wait_ready(self._manager.start_timeout)
        except GuestError as problem:
            say(str(problem))

    def end(self) -> None:
        """Stop the engine cleanly within its time; what is desired stays as it is, so that the next agent starts it."""
        self._ending.set()
        taken = self._turn.acquire(timeout=2.0)
        try:
            self._manager.stop_engine(say)
        finally:
            if taken:
                self._turn.release()


def say(sentence: str) -> None:
    """Write one line to the console."""
    print(sentence, file=sys.stderr, flush=True)
