"""Take operations by lease and drive them; any number of executors may do so side by side."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from trove.domain.errors import StaleGeneration, TroveError, Unavailable
from trove.domain.store import Lease
from trove.operations.context import StepFunction, Tools
from trove.operations.drive import Drive, Stopping
from trove.operations.steps import step_function

LOG = logging.getLogger(__name__)

LEASE_SECONDS = 10.0
"""How long a dead executor's operation rests; within 15 s somebody goes on with it."""
IDLE_SECONDS = 0.5


class Executor:
    """Threads of one process that run operations. `name` must be unique among executors alive."""

    def __init__(
        self,
        tools: Tools,
        name: str,
        *,
        workers: int = 8,
        lease_seconds: float = LEASE_SECONDS,
        find: Callable[[str], StepFunction] = step_function,
    ) -> None:
        self._tools, self._name, self._workers = tools, name, workers
        self._lease_seconds, self._find = lease_seconds, find
        self._stop = threading.Event()
        self._wake = threading.Event()
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._drives: dict[Lease, threading.Thread] = {}
        self._loops: list[threading.Thread] = []

    def start(self) -> None:
        """Begin to take operations."""
        for target in (self._claim_loop, self._renew_loop):
            # Daemons: a step that does not come back must not keep the process from ending.
            thread = threading.Thread(target=target, name=target.__name__.strip("_"), daemon=True)
            thread.start()
            self._loops.append(thread)

    def wake(self) -> None:
        """Look for work now rather than at the next turn."""
        self._wake.set()

    def stop(self, timeout: float = 10.0) -> None:
        """Stop taking and driving; what is unfinished is released so that another executor goes on at once.

        Waits up to `timeout` seconds for steps that are being done. One that takes longer loses its lease: what it
        writes or tells after that is refused.
        """
        if not self._loops:
            return
        deadline = time.monotonic() + timeout
        self._stop.set()
        self._wake.set()
        claiming, renewing = self._loops
        claiming.join(max(0.0, deadline - time.monotonic()))
        for thread in self._running().values():
            thread.join(max(0.0, deadline - time.monotonic()))
        self._stopped.set()
        renewing.join(max(0.0, deadline - time.monotonic()))
        for lease in self._running():
            LOG.warning("operation %s is in a step that does not end now; its lease is given up", lease.operation_id)
            self._release(lease)

    def _running(self) -> dict[Lease, threading.Thread]:
        with self._lock:
            return dict(self._drives)

    def _claim_loop(self) -> None:
        while not self._stop.is_set():
            self._wake.clear()
            lease = None
            try:
                if len(self._running()) < self._workers:
                    lease = self._tools.store.claim(self._name, self._lease_seconds)
            except TroveError as error:
                LOG.warning("cannot look for operations now: %s", error)
            except Exception:
                LOG.exception("looking for operations")
            if lease is None:
                self._wake.wait(IDLE_SECONDS)
                continue
            name = f"operation-{lease.operation_id[:8]}"
            thread = threading.Thread(target=self._drive, args=(lease,), name=name, daemon=True)
            with self._lock:
                self._drives[lease] = thread
            thread.start()

    def _drive(self, lease: Lease) -> None:
        try:
            Drive(self._tools, lease, self._stop, self._find).run()
            self._release(lease)
        except Stopping:
            LOG.info("operation %s is left to the next executor", lease.operation_id)
            self._release(lease)
        except StaleGeneration as error:
            # Another executor has it, or reconciliation told a driver something since: then a new fence helps.
            LOG.warning("operation %s goes on under another fence: %s", lease.operation_id, error)
            self._release(lease)
        except Unavailable as error:
            LOG.warning("operation %s rests until its lease ends: %s", lease.operation_id, error)
        except Exception:  # not released: trying again at once would only fail as fast again
            LOG.exception("driving operation %s; it rests until its lease ends", lease.operation_id)
        finally:
            with self._lock:
                del self._drives[lease]
            self._wake.set()

    def _release(self, lease: Lease) -> None:
        try:
            self._tools.store.release(lease)
        except TroveError as error:
            LOG.warning("cannot release operation %s: %s", lease.operation_id, error)

    def _renew_loop(self) -> None:
        while not self._stopped.wait(self._lease_seconds / 4):
            leases = list(self._running())
            try:
                if leases:
                    self._tools.store.renew(leases, self._lease_seconds)
            except Exception as error:  # the next turn tries again; a lease lost for good shows at the next write
                LOG.warning("cannot renew leases: %s", error)
