"""Ask every engine how it is, again and again, so that reads are answered from the database alone."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

from trove.domain.errors import TroveError
from trove.domain.health import Health
from trove.domain.instances import Instance
from trove.domain.ports import GuestAddress
from trove.domain.states import InstanceTask
from trove.operations.context import Tools

LOG = logging.getLogger(__name__)

PERIOD = 3.0
"""Seconds between two questions to the same engine."""
ANSWER_SECONDS = 2.0
"""How long an agent may take to answer before it is called silent."""
UNWATCHED = (InstanceTask.BUILDING, InstanceTask.DELETING, InstanceTask.BUILD_ERROR, InstanceTask.GROW_ERROR)


class Monitor:
    """One thread that watches, a few that ask. `fallen_silent` is called when an agent has stopped answering."""

    def __init__(
        self,
        tools: Tools,
        period: float = PERIOD,
        askers: int = 4,
        fallen_silent: Callable[[], None] = lambda: None,
    ) -> None:
        self._tools, self._period, self._fallen_silent = tools, period, fallen_silent
        self._silent: set[str] = set()
        self._stop = threading.Event()
        self._pool = ThreadPoolExecutor(max_workers=askers, thread_name_prefix="monitor")
        self._thread = threading.Thread(target=self._loop, name="monitor", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(10)
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _loop(self) -> None:
        while not self._stop.is_set():
            try:
                self.look()
            except Exception:
                if not self._stop.is_set():
                    LOG.exception("looking at the engines")
            self._stop.wait(self._period)

    def look(self) -> None:
        """Ask all engines once and record what they say."""
        watched = [i for i in self._tools.store.all_instances() if i.task not in UNWATCHED]
        silent_before, self._silent = self._silent, set()
        said = dict(zip((i.id for i in watched), self._pool.map(self._ask, watched), strict=True))
        # An operation that has asked meanwhile knows better than an answer that was under way.
        since = {i.id: i.health.observed_at if i.health else "" for i in watched}
        self._tools.store.record_health(said, since)
        if self._silent - silent_before:
            self._fallen_silent()

    def _ask(self, instance: Instance) -> Health:
        guest = GuestAddress(instance.id, instance.address)
        try:
            return self._tools.guests.health(guest, timeout=ANSWER_SECONDS).after(instance.health)
        except TroveError as error:
            reason = str(error)
        except Exception as error:  # one agent that speaks nonsense must not hide all others
            LOG.exception("asking %s (%s)", instance.name, instance.id)
            reason = f"its agent's answer is not understood: {type(error).__name__}: {error}"
        self._silent.add(instance.id)
        return Health.silent(instance.health, reason, datetime.now(UTC).replace(tzinfo=None).isoformat())
