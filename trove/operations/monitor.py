"""Ask every engine how it is, again and again, so that reads are answered from the database alone."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

from trove.domain.errors import TroveError
from trove.domain.health import Health
from trove.domain.instances import Instance
from trove.domain.ports import GuestAddress
from trove.domain.states import EngineStatus, InstanceTask
from trove.operations.context import Tools

LOG = logging.getLogger(__name__)

PERIOD = 3.0
"""Seconds between two questions to the same engine."""
UNWATCHED = (InstanceTask.BUILDING, InstanceTask.DELETING, InstanceTask.BUILD_ERROR, InstanceTask.GROW_ERROR)


class Monitor:
    """One thread that watches, a few that ask."""

    def __init__(self, tools: Tools, period: float = PERIOD, askers: int = 4) -> None:
        self._tools, self._period = tools, period
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
                LOG.exception("looking at the engines")
            self._stop.wait(self._period)

    def look(self) -> None:
        """Ask all engines once and record what they say."""
        watched = [i for i in self._tools.store.all_instances() if i.task not in UNWATCHED]
        self._tools.store.record_health(self._ask_all(watched))

    def _ask_all(self, instances: Sequence[Instance]) -> dict[str, Health]:
        return dict(zip((i.id for i in instances), self._pool.map(self._ask, instances), strict=True))

    def _ask(self, instance: Instance) -> Health:
        try:
            return self._tools.guests.health(GuestAddress(instance.id, instance.address), timeout=2.0)
        except TroveError as error:
            # The engine said nothing; what it said last about itself stays readable beside this.
            last = instance.health
            return Health(
                status=EngineStatus.ERROR,
                version=last.version if last else "",
                version_number=last.version_number if last else "",
                role=last.role if last else "",
                reason=str(error),
                observed_at=datetime.now(UTC).replace(tzinfo=None).isoformat(),
                detail=last.detail if last else {},
            )
