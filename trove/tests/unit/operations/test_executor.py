"""Executors side by side: leases, take-over, stopping, and dying."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from trove.domain.errors import StaleGeneration
from trove.domain.operations import Operation
from trove.domain.states import InstanceTask, OperationStatus
from trove.operations.context import Again, Done
from trove.operations.drive import Drive
from trove.tests.unit.operations.conftest import Bench, Script, step, tools_of, until

S = OperationStatus


def test_operations_run_side_by_side(bench: Bench) -> None:
    """Both must be in their step at once to get on."""
    together = threading.Barrier(2, timeout=20)

    def meet(_: object) -> Done:
        together.wait()
        return Done()

    bench.script.answers["one"] = [meet]
    operations = [bench.accept(step("one"), on=instance) for instance in [bench.instance(), bench.instance()]]
    bench.executor()
    for operation in operations:
        bench.reached(operation, S.SUCCEEDED)


def test_wake_begins_at_once(bench: Bench) -> None:
    executor = bench.executor()
    operation = bench.accept(step("one"))
    executor.wake()
    bench.reached(operation, S.SUCCEEDED)


def test_a_lease_is_renewed_as_long_as_a_step_takes(bench: Bench) -> None:
    """Three times the lease in one step, and nobody else gets it."""
    lease = 0.4
    entered, go = threading.Event(), threading.Event()

    def long(_: object) -> Done:
        entered.set()
        assert go.wait(20)
        return Done()

    bench.script.answers["one"] = [long]
    operation = bench.accept(step("one"))
    bench.executor(lease_seconds=lease)
    assert entered.wait(20)
    end = bench.store.now() + 3 * lease
    while bench.store.now() < end:
        assert bench.store.claim("thief", 1.0) is None
        threading.Event().wait(0.01)
    go.set()
    bench.reached(operation, S.SUCCEEDED)


def taken_over(bench: Bench, late_answer) -> tuple[Operation, list[BaseException]]:
    """Executor `slow` sleeps in step `two` beyond its lease; `fast` takes over and ends the operation."""
    operation = bench.accept(step("one"), step("two"), step("three"))
    entered, wake_up = threading.Event(), threading.Event()
    slow, errors = Script(), []

    def asleep(context) -> Done:
        entered.set()
        assert wake_up.wait(20)
        return late_answer(context)

    slow.answers["two"] = [asleep]
    lease = bench.store.claim("slow", 0.2)
    assert lease is not None

    def drive() -> None:
        try:
            Drive(tools_of(bench.store), lease, threading.Event(), slow.find).run()
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=drive)
    thread.start()
    assert entered.wait(20)
    bench.executor("fast")
    before = until(lambda: found if (found := bench.read(operation)).events[-1].text == "SUCCEEDED" else None)
    instance = bench.store.instance(operation.resource_id)
    wake_up.set()
    thread.join(20)
    assert not thread.is_alive()
    assert bench.read(operation) == before, "the late one wrote to the journal"
    assert bench.store.instance(operation.resource_id) == instance, "the late one wrote to the instance"
    assert slow.names == ["one", "two"]
    fast = dict(bench.script.calls)
    assert list(fast) == ["two", "three"], "what was done is not done again"
    assert fast["two"].id == dict(slow.calls)["two"].id, "receivers find the order they know"
    assert fast["two"].generation > dict(slow.calls)["two"].generation
    return operation, errors


def test_who_has_lost_its_lease_writes_nothing_more(bench: Bench) -> None:
    operation, [error] = taken_over(bench, lambda _: Done())
    assert isinstance(error, StaleGeneration)
    events = [event.text for event in bench.read(operation).events]
    assert any("taken over by fast" in text for text in events)


def test_nor_does_its_step_write_rows(bench: Bench) -> None:
    refused = []

    def record(context) -> Done:
        with pytest.raises(StaleGeneration) as caught:
            context.tools.store.update_instance(
                context.operation.resource_id, lease=context.lease, task=InstanceTask.UPGRADING
            )
        refused.append(caught)
        raise caught.value

    _, [error] = taken_over(bench, record)
    assert refused
    assert isinstance(error, StaleGeneration)


def test_nor_does_it_settle_what_another_operation_holds_by_now(bench: Bench) -> None:
    """The last step is done, the executor sleeps, another one ends the operation, and the owner begins a new one."""
    operation = bench.accept(step("one"))
    lease = bench.store.claim("slow", 60.0)
    assert lease is not None

    class Sleepy:
        def __getattr__(self, name: str) -> object:
            return getattr(bench.store, name)

        def update_instance(self, instance_id: str, **fields: object) -> None:
            bench.store.release(lease)
            bench.drive(operation.id)
            again = bench.store.instance(operation.resource_id)
            from trove.domain.plans import Plan
            from trove.domain.store import Acceptance

            plan = Plan("instance_restart", "instance", again.id, again.name, again.generation, steps=(step("x"),))
            bench.store.accept(Acceptance(plan, again.project_id, resource_task=InstanceTask.RESTARTING))
            bench.store.update_instance(instance_id, **fields)

    with pytest.raises(StaleGeneration):
        Drive(tools_of(Sleepy()), lease, threading.Event(), bench.script.find).run()
    assert bench.store.instance(operation.resource_id).task is InstanceTask.RESTARTING


def test_stopping_gives_operations_up_at_once(bench: Bench) -> None:
    first, second = Script({"one": [Again(0.01, "waiting")]}), Script()
    operation = bench.accept(step("one", deadline=60.0))
    executor = bench.executor("first", lease_seconds=60.0, script=first)
    until(lambda: first.calls, "the first executor's step")
    began = time.monotonic()
    executor.stop()
    assert time.monotonic() - began < 5.0
    bench.executor("second", script=second)
    ended = bench.reached(operation, S.SUCCEEDED)
    assert second.names == ["one"]
    assert second.order_ids[0] == first.order_ids[0]
    assert ended.steps[0].attempts == 1


def test_stopping_does_not_wait_for_a_step_without_end(bench: Bench) -> None:
    entered, go, ended = threading.Event(), threading.Event(), []
    first = Script()

    def stuck(context) -> Done:
        entered.set()
        assert go.wait(20)
        try:
            context.say("I am back")
        except StaleGeneration as error:
            ended.append(error)
            raise
        return Done()

    first.answers["one"] = [stuck]
    operation = bench.accept(step("one", deadline=60.0))
    executor = bench.executor("first", lease_seconds=60.0, script=first)
    assert entered.wait(20)
    executor.stop(timeout=0.2)
    bench.executor("second")
    bench.reached(operation, S.SUCCEEDED)
    go.set()
    until(lambda: ended, "the stuck step's refusal")


def test_stopping_what_was_never_started(bench: Bench) -> None:
    from trove.operations.executor import Executor

    Executor(tools_of(bench.store), "idle").stop()


def test_a_newer_fence_elsewhere_costs_a_claim_and_no_more(bench: Bench) -> None:
    bench.script.answers["one"] = [StaleGeneration("generation 5 is older than 6"), Done()]
    operation = bench.accept(step("one", "back"))
    bench.executor(lease_seconds=60.0)
    bench.reached(operation, S.SUCCEEDED)
    assert len(bench.script.calls) == 2


def test_a_bug_in_a_drive_is_not_tried_in_a_circle(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What cannot be run at all rests until its lease ends, and other operations go on meanwhile."""
    instances = [bench.instance() for _ in range(3)]
    good, bad = (bench.accept(step("one"), on=instance) for instance in instances[:2])
    runs = []
    original = Drive.run

    def run(drive: Drive) -> None:
        runs.append(drive._lease.operation_id)
        if drive._lease.operation_id == bad.id:
            raise RuntimeError("a bug")
        original(drive)

    monkeypatch.setattr(Drive, "run", run)
    bench.executor(lease_seconds=60.0)
    bench.reached(good, S.SUCCEEDED)
    until(lambda: bad.id in runs)
    later = bench.accept(step("one"), on=instances[2])
    bench.executors[0].wake()
    bench.reached(later, S.SUCCEEDED)
    assert runs.count(bad.id) == 1
    assert "rests until its lease ends" in caplog.text


def test_killed_in_the_middle_of_a_step_another_one_goes_on(bench: Bench, url: str, tmp_path: Path) -> None:
    mark = tmp_path / "order"
    operation = bench.accept(step("one"), step("two", deadline=60.0), step("three"))
    command = [sys.executable, "-m", "trove.tests.unit.operations.child", url, str(mark)]
    child = subprocess.Popen(command)
    try:
        order = until(lambda: mark.exists() and mark.read_text(), "the child's step")
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait(20)
    killed = time.monotonic()
    held = bench.read(operation)
    assert [row.status.value for row in held.steps] == ["DONE", "RUNNING", "WAITING"]
    bench.executor("second", lease_seconds=1.0)
    ended = bench.reached(operation, S.SUCCEEDED)
    assert time.monotonic() - killed < 15.0
    assert bench.script.names == ["two", "three"]
    assert bench.script.order_ids[0] == order, "the agent finds the order it was given by the dead one"
    assert ended.steps[0].result == {"by": "child"}
