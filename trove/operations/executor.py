"""Take operations by lease and drive them; any number of executors may do so side by side."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from trove.domain.errors import StaleGeneration, TroveError
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
        self._lock = threading.Lock()
        self._leases: dict[str, Lease] = {}
        self._threads: list[threading.Thread] = []
        self._pool: ThreadPoolExecutor | None = None

    def start(self) -> None:
        """Begin to take operations."""
        self._pool = ThreadPoolExecutor(max_workers=self._workers, thread_name_prefix="operation")
        for target in (self._claim_loop, self._renew_loop):
            thread = threading.Thread(target=target, name=target.__name__.strip("_"), daemon=True)
            thread.start()
            self._threads.append(thread)

    def wake(self) -> None:
        """Look for work now rather than at the next turn."""
        self._wake.set()

    def stop(self, timeout: float = 10.0) -> None:
        """Stop taking and driving; what is unfinished is released so that another executor goes on at once."""
        self._stop.set()
        self._wake.set()
        for thread in self._threads:
            thread.join(timeout)
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def _claim_loop(self) -> None:
        while not self._stop.is_set():
            self._wake.clear()
            lease = None
            try:
                if len(self._leases) < self._workers:
                    lease = self._tools.store.claim(self._name, self._lease_seconds)
            except TroveError as error:
                LOG.warning("cannot look for operations now: %s", error)
            except Exception:
                LOG.exception("looking for operations")
            if lease is None:
                self._wake.wait(IDLE_SECONDS)
                continue
            with self._lock:
                self._leases[lease.operation_id] = lease
            assert self._pool is not None
            self._pool.submit(self._drive, lease)

    def _drive(self, lease: Lease) -> None:
        try:
            Drive(self._tools, lease, self._stop, self._find).run()
        except Stopping:
            LOG.info("operation %s is left to the next executor", lease.operation_id)
        except StaleGeneration:
            LOG.warning("operation %s was taken over by another executor", lease.operation_id)
        except Exception:
            LOG.exception("driving operation %s", lease.operation_id)
        finally:
            with self._lock:
                self._leases.pop(lease.operation_id, None)
            try:
                self._tools.store.release(lease)
            except TroveError as error:
                LOG.warning("cannot release operation %s: %s", lease.operation_id, error)
            self._wake.set()

    def _renew_loop(self) -> None:
        while not self._stop.wait(self._lease_seconds / 4):
            with self._lock:
                leases = list(self._leases.values())
            try:
                if leases:
                    self._tools.store.renew(leases, self._lease_seconds)
            except Exception as error:  # the next turn tries again; a lease lost for good shows at the next write
                LOG.warning("cannot renew leases: %s", error)
