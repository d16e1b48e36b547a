"""Start writers against an engine, stop them, read everything back, report.

    with Workload.start(kind="mariadb", address="127.0.7.1", port=3306, user="app", password="…", database="shop") as w:
        ...                                  # upgrade the cluster
        report = w.stop()
        check = w.verify(members=[("127.0.7.2", 3306), ("127.0.7.3", 3306), ("127.0.7.4", 3306)])
        report = w.report()                  # the same figures, now with what was lost

Writers are processes of their own, so what they measure does not depend on what the caller's process is doing. One
half of them never retries: each failure is an error a user would see. The other half retries at once, and only what
still fails after `retry_seconds` is an error.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import IO

from trove.workload.ledger import LedgerReader, Outcome, Record, ledger_path
from trove.workload.reader import ReaderOrder
from trove.workload.report import Report, make_report
from trove.workload.target import Kind, Node, Target
from trove.workload.writer import PACE, WriterOrder

_STOP_BUDGET = 20.0  # seconds: one write in flight may wait for its answer, then the writer ends
_INTERPRETER_BUDGET = 20.0  # seconds a new process may need before it begins, on a busy machine
_READ_BACK_BUDGET = 600.0


class WorkloadError(Exception):
    """The workload itself failed (a writer could not start, or died); says nothing about the engine's writes."""


@dataclass(frozen=True)
class Verification:
    """What reading back found: for every place that was asked, the acknowledged writes that are not as written.

    `checked` counts lookups over all places. `lost` and `differing` hold (writer, sequence number) once each,
    however many places miss them; `at` tells them by place ("address:port").
    """

    checked: int
    lost: frozenset[tuple[int, int]]
    differing: frozenset[tuple[int, int]]
    at: dict[str, list[tuple[int, int]]] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        return not self.lost and not self.differing


class Workload:
    """A set of running writers; make it with `Workload.start`."""

    def __init__(
        self,
        target: Target,
        writers: int,
        retry_seconds: float,
        directory: Path,
        keep: bool,
        pace: tuple[float, float] = PACE,
    ) -> None:
        self._target = target
        self._pace = pace
        self._count = writers
        self._retry_seconds = retry_seconds
        self._directory = directory
        self._keep = keep
        self._processes: list[subprocess.Popen[str]] = []
        self._readers = [LedgerReader(ledger_path(directory, writer)) for writer in range(writers)]
        self._records: dict[int, list[Record]] = {writer: [] for writer in range(writers)}
        self._begin = 0.0
        self._end: float | None = None
        self._check: Verification | None = None

    @classmethod
    def start(
        cls,
        kind: Kind,
        *,
        address: str | None = None,
        port: int | None = None,
        nodes: Sequence[Node] = (),
        user: str | None = None,
        password: str | None = None,
        database: str | None = None,
        writers: int = 4,
        retry_seconds: float = 30.0,
        start_timeout: float = 20.0,
        directory: Path | None = None,
        pace: tuple[float, float] = PACE,
    ) -> Workload:
        """Start writers and return when all of them write.

        `mariadb` and `redis` take `address` and `port`, `redis_cluster` takes `nodes`. MariaDB rows go to a table of
        their own in `database`, which must exist. `pace` is the least and the most time between two writes of a writer,
        seconds. The first half of the writers never retries. Ledgers are kept in
        `directory` when one is given, otherwise removed at the end. Raises WorkloadError when the engine cannot be
        reached within `start_timeout` seconds, ValueError for bad arguments.
        """
        if writers < 1:
            raise ValueError("a workload needs at least one writer")
        if address is not None and port is not None:
            nodes = [(address, port), *nodes]
        target = Target(kind, tuple(nodes), secrets.token_hex(4), user, password, database)
        where = directory or Path(tempfile.mkdtemp(prefix="trove-workload-"))
        where.mkdir(parents=True, exist_ok=True)
        workload = cls(target, writers, retry_seconds, where, keep=directory is not None, pace=pace)
        try:
            workload._prepare(start_timeout)
            workload._spawn(start_timeout)
        except BaseException:
            workload.close()
            raise
        return workload

    @property
    def target(self) -> Target:
        """Where the writers write; names the table and keys of this run."""
        return self._target

    @property
    def began(self) -> float:
        """When the writers were told to go, monotonic seconds; reports count from here."""
        return self._begin

    @property
    def directory(self) -> Path:
        """Where the ledgers are."""
        return self._directory

    @property
    def pids(self) -> list[int]:
        """Process ids of the writers, in order."""
        return [process.pid for process in self._processes]

    def stop(self) -> Report:
        """End the writers and report; raises WorkloadError if one had ended before it was told to."""
        if self._end is None:
            dead = [n for n, process in enumerate(self._processes) if process.poll() is not None]
            self._end = time.monotonic()
            self._end_writers()
            if dead:
                raise WorkloadError(f"writers {dead} ended before they were told to: {self._complaints(dead[0])}")
        return self.report()

    def report(self, since: float | None = None, until: float | None = None) -> Report:
        """Report on all that was seen so far, or on a span of it (monotonic seconds); also while writers run.

        What was lost is known only after `verify`, and only tells of the whole run.
        """
        for writer, reader in enumerate(self._readers):
            self._records[writer].extend(reader.new())
        begin = max(self._begin, since or 0.0)
        last = max((records[-1].end for records in self._records.values() if records), default=0.0)
        end = until or (max(self._end, last) if self._end else time.monotonic())  # a write may outlast the stop
        whole = since is None and until is None and self._check is not None
        return make_report(
            self._records,
            self._begin,
            begin,
            end,
            self._errors(begin, end),
            lost=len(self._check.lost) if self._check and whole else None,
            differing=len(self._check.differing) if self._check and whole else None,
        )

    def verify(self, members: Sequence[Node] = (), answer_timeout: float = 20.0) -> Verification:
        """Read every acknowledged write back, one by one, where clients read, and on each of `members` directly.

        Call it after `stop`. `members` is for MariaDB; a Redis cluster has each key at one owner, which is asked.
        Raises WorkloadError when a place gives no answer for `answer_timeout` seconds.
        """
        if self._end is None:
            raise WorkloadError("stop the writers before reading back")
        orders: list[ReaderOrder]
        if self._target.kind == "mariadb":
            everyone = tuple(range(self._count))
            places = [self._target, *(replace(self._target, nodes=(member,)) for member in members)]
            orders = [ReaderOrder(place, everyone, self._directory, answer_timeout) for place in places]
        elif members:
            raise ValueError("members are read directly only for MariaDB")
        else:
            each = [(writer,) for writer in range(self._count)]
            orders = [ReaderOrder(self._target, one, self._directory, answer_timeout) for one in each]
        self._check = _read_back(orders)
        return self._check

    def clean_up(self) -> None:
        """Drop the run's MariaDB table; Redis keys are left to whoever owns the server."""
        if self._target.kind == "mariadb":
            from trove.workload.mariadb import drop_table

            drop_table(self._target)

    def close(self) -> None:
        """End the writers if they still run, and remove the ledgers unless they were to be kept."""
        if self._end is None:
            self._end = time.monotonic()
        self._end_writers()
        if not self._keep:
            shutil.rmtree(self._directory, ignore_errors=True)

    def __enter__(self) -> Workload:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _prepare(self, timeout: float) -> None:
        if self._target.kind != "mariadb":
            return
        import pymysql

        from trove.workload.mariadb import create_table

        deadline = time.monotonic() + timeout
        while True:
            try:
                create_table(self._target)
                return
            except (pymysql.err.Error, OSError) as error:
                if time.monotonic() > deadline:
                    raise WorkloadError(f"cannot create the workload's table: {error}") from error
            time.sleep(0.1)

    def _spawn(self, timeout: float) -> None:
        for writer in range(self._count):
            retries = self._retry_seconds if writer >= (self._count + 1) // 2 else 0.0
            order = WriterOrder(self._target, writer, retries, timeout, self._directory, self._pace)
            with self._stderr(writer).open("w") as stderr:
                process = subprocess.Popen(
                    [sys.executable, "-m", "trove.workload.writer"],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=stderr,
                    text=True,
                )
            self._processes.append(process)
            _tell(process, order.to_json())
        deadline = time.monotonic() + timeout + _INTERPRETER_BUDGET
        for writer, process in enumerate(self._processes):
            if _answer(process, deadline) != "ready":
                raise WorkloadError(f"writer {writer} did not start: {self._complaints(writer)}")
        self._begin = time.monotonic()
        for process in self._processes:
            _tell(process, "go")

    def _end_writers(self) -> None:
        for process in self._processes:
            if process.stdin is not None and not process.stdin.closed:
                with contextlib.suppress(BrokenPipeError):
                    process.stdin.close()
        deadline = time.monotonic() + _STOP_BUDGET
        for process in self._processes:
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stdout is not None:
                process.stdout.close()

    def _stderr(self, writer: int) -> Path:
        return self._directory / f"writer-{writer}.stderr"

    def _complaints(self, writer: int) -> str:
        lines = self._stderr(writer).read_text(errors="replace").strip().splitlines()
        return " / ".join(lines[-3:]) or f"exit status {self._processes[writer].poll()}, no message"

    def _errors(self, begin: float, end: float) -> dict[str, int]:
        seen: Counter[str] = Counter()
        for writer in range(self._count):
            path = self._directory / f"writer-{writer}.errors"
            with contextlib.suppress(FileNotFoundError):
                for line in path.read_text().splitlines():
                    with contextlib.suppress(json.JSONDecodeError):  # the last line of a killed writer
                        entry = json.loads(line)
                        if begin <= entry["at"] <= end:
                            seen[f"{Outcome[entry['outcome']].name.lower()}: {entry['error']}"] += 1
        return dict(seen.most_common(20))


def _tell(process: subprocess.Popen[str], line: str) -> None:
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError):  # it ended already; its answer, or the lack of it, will tell
        process.stdin.write(line + "\n")
        process.stdin.flush()


def _answer(process: subprocess.Popen[str], deadline: float) -> str:
    """Return one line of the process's output, or "" when none comes in time."""
    stream: IO[str] | None = process.stdout
    assert stream is not None
    readable, _, _ = select.select([stream], [], [], max(0.0, deadline - time.monotonic()))
    return stream.readline().strip() if readable else ""


def _read_back(orders: Sequence[ReaderOrder]) -> Verification:
    """Run one reader process per order, as many at once as there are cores."""
    waiting = list(orders)
    running: list[tuple[ReaderOrder, subprocess.Popen[str]]] = []
    checked = 0
    lost: set[tuple[int, int]] = set()
    differing: set[tuple[int, int]] = set()
    at: dict[str, list[tuple[int, int]]] = {}
    deadline = time.monotonic() + _READ_BACK_BUDGET
    try:
        while waiting or running:
            while waiting and len(running) < (os.cpu_count() or 1):
                order = waiting.pop(0)
                process = subprocess.Popen(
                    [sys.executable, "-m", "trove.workload.reader"],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                )
                running.append((order, process))
                _tell(process, order.to_json())
            order, process = running[0]
            try:
                out, problem = process.communicate(timeout=max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired as error:
                raise WorkloadError(f"reading back took longer than {_READ_BACK_BUDGET:.0f} s") from error
            running.pop(0)
            place = "{}:{}".format(*order.target.nodes[0])
            if process.returncode:
                raise WorkloadError(f"cannot read back at {place}: {problem.strip().splitlines()[-1:]}")
            found = json.loads(out)
            checked += found["checked"]
            lost.update((writer, seq) for writer, seq in found["lost"])
            differing.update((writer, seq) for writer, seq in found["differing"])
            bad = [(writer, seq) for writer, seq in found["lost"] + found["differing"]]
            at[place] = at.get(place, []) + bad
    finally:
        for _, process in running:
            process.kill()
            process.communicate()
    return Verification(checked, frozenset(lost), frozenset(differing), at)
