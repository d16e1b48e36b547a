"""A real store in a file of its own, and operations whose steps are scripted."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

import pytest

from trove.datastores.registry import ENGINES, engine_of
from trove.db.seeds import seed, version_id
from trove.db.store import Store, open_store
from trove.domain.instances import Instance
from trove.domain.operations import Operation
from trove.domain.plans import Phase, Plan, Step
from trove.domain.ports import Order
from trove.domain.states import InstanceTask, OperationStatus
from trove.domain.store import Acceptance
from trove.operations.context import Done, Outcome, StepContext, StepFunction, Tools
from trove.operations.drive import Drive
from trove.operations.executor import Executor

PROJECT = "project-1"
PATIENCE = 20.0
"""Seconds after which a condition that should have come is given up; far more than it takes."""


def until(condition: Callable[[], Any], what: str = "the condition") -> Any:
    """Wait for a condition and return its value."""
    deadline = time.monotonic() + PATIENCE
    while not (value := condition()):
        assert time.monotonic() < deadline, f"{what} did not come true in {PATIENCE} s"
        threading.Event().wait(0.005)
    return value


def tools_of(store: Any) -> Tools:
    """Tools with a database only: scripted steps need no driver."""
    nothing = cast(Any, None)
    return Tools(store, nothing, nothing, nothing, nothing, lambda datastore: engine_of(datastore).family)


def step(
    name: str,
    *undo: str,
    deadline: float = 5.0,
    no_return: bool = False,
    commit: bool = False,
    params: dict[str, Any] | None = None,
) -> Step:
    back = tuple(Step(u, f"take back: {u}", Phase.ROLLBACK, deadline=deadline) for u in undo)
    return Step(name, f"do {name}", Phase.MEMBER, None, None, params or {}, deadline, back, no_return, commit)


@dataclass
class Script:
    """What each step answers, one after the other; Done when nothing is left to say. Knows who was called and how."""

    answers: dict[str, list[Any]] = field(default_factory=dict)
    calls: list[tuple[str, Order]] = field(default_factory=list)

    def find(self, name: str) -> StepFunction:
        def run(context: StepContext) -> Outcome:
            self.calls.append((name, context.order))
            waiting = self.answers.get(name, [])
            # The last answer stays: a step may wait for ever.
            answer = (waiting.pop(0) if len(waiting) > 1 else waiting[0]) if waiting else Done({"by": name})
            if isinstance(answer, BaseException):
                raise answer
            return answer(context) if callable(answer) else answer

        return run

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.calls]

    @property
    def order_ids(self) -> list[str]:
        return [order.id for _, order in self.calls]


class Bench:
    """Accepts and runs scripted operations in one store."""

    def __init__(self, store: Store) -> None:
        self.store, self.script = store, Script()
        self.executors: list[Executor] = []
        self._same: str | None = None

    def instance(self, name: str = "db") -> Instance:
        """A row of an instance that was built."""
        [address] = self.store.reserve_addresses(1)
        version = self.store.version(version_id("mariadb", "10.11"))
        new = Instance(str(uuid4()), PROJECT, name, version, "1", 1, address, 3306, task=InstanceTask.NONE)
        accepted = self.store.accept(
            Acceptance(Plan("instance_create", "instance", new.id, name, 0), PROJECT, new_instances=(new,))
        )
        self.drive(accepted.id)
        return self.store.instance(new.id)

    def same(self) -> Instance:
        """The same instance at every call, as it is now."""
        if self._same is None:
            self._same = self.instance().id
        return self.store.instance(self._same)

    def accept(
        self,
        *steps: Step,
        kind: str = "instance_upgrade",
        on_failure: str = "rollback",
        task: Any = None,
        on: Instance | None = None,
    ) -> Operation:
        """Accept an operation on an instance, by default a new one."""
        instance = on or self.instance()
        plan = Plan(kind, "instance", instance.id, instance.name, instance.generation, steps=tuple(steps))
        return self.store.accept(Acceptance(plan, PROJECT, on_failure, resource_task=task or InstanceTask.UPGRADING))

    def drive(self, operation_id: str, store: Any = None) -> None:
        """Run the operation here and now until its Drive comes back."""
        lease = self.store.claim("bench", 60.0)
        assert lease is not None
        assert lease.operation_id == operation_id
        try:
            Drive(tools_of(store or self.store), lease, threading.Event(), self.script.find).run()
        finally:
            self.store.release(lease)

    def executor(self, name: str = "one", lease_seconds: float = 10.0, script: Script | None = None) -> Executor:
        executor = Executor(tools_of(self.store), name, lease_seconds=lease_seconds, find=(script or self.script).find)
        self.executors.append(executor)
        executor.start()
        return executor

    def read(self, operation: Operation) -> Operation:
        return self.store.operation(operation.id)

    def reached(self, operation: Operation, *statuses: OperationStatus) -> Operation:
        return until(
            lambda: found if (found := self.read(operation)).status in statuses else None, f"one of {statuses}"
        )


def statuses(operation: Operation, undo: bool = False) -> list[str]:
    return [row.status.value for row in operation.steps if row.undo is undo]


def texts(operation: Operation) -> Sequence[str]:
    return [event.text for event in operation.events]


POOL = "127.91.0.0/24"


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A seeded database; making its tables takes longer than a test."""
    path = tmp_path_factory.mktemp("template") / "trove.db"
    opened = open_store(f"sqlite:///{path}", POOL)
    seed(opened, ENGINES)
    opened.close()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return path


@pytest.fixture
def url(template: Path) -> Iterator[str]:
    """A database of its own, in memory where there is such a file system: each write waits for the disk."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as directory:
        yield f"sqlite:///{shutil.copy(template, directory)}"


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    opened = open_store(url, POOL)
    yield opened
    opened.close()


@pytest.fixture
def bench(store: Store) -> Iterator[Bench]:
    bench = Bench(store)
    yield bench
    for executor in bench.executors:
        executor.stop(timeout=5.0)
