"""Many threads and processes at one database: who wins, and what everybody sees."""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from trove.db.store import Store, open_store
from trove.domain.errors import Conflict, OverLimit, StaleGeneration, Unprocessable
from trove.domain.states import OperationStatus, StepStatus
from trove.domain.store import Lease
from trove.tests.unit.db.conftest import Builder

PATIENCE = 20.0


def until(met: Callable[[], Any]) -> Any:
    """Wait for a condition, at most PATIENCE seconds."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        found = met()
        if found:
            return found
        time.sleep(0.01)
    raise AssertionError("the condition was not met in time")


def outcomes(work: list[Callable[[], Any]]) -> list[Any]:
    """Run everything at once and return results and errors."""
    barrier = threading.Barrier(len(work))

    def run(one: Callable[[], Any]) -> Any:
        barrier.wait(PATIENCE)
        try:
            return one()
        except Exception as error:
            return error

    with ThreadPoolExecutor(len(work)) as pool:
        return list(pool.map(run, work))


def claim_all(url: str, owner: str, go: Any, out: Any) -> None:
    store = open_store(url)
    go.wait(PATIENCE)
    leases = []
    while (lease := store.claim(owner, 60)) is not None:
        leases.append((lease.operation_id, lease.fence))
    out.put(leases)
    store.close()


def create_some(url: str, go: Any, out: Any) -> None:
    store = open_store(url, "127.90.0.0/24")
    go.wait(PATIENCE)
    made = 0
    for _ in range(5):
        [address] = store.reserve_addresses(1)
        try:
            Builder(store).create(limits={"instances": 7}, finish=False, address=address)
            made += 1
        except OverLimit:
            store.release_addresses([address])
    out.put(made)
    store.close()


def in_processes(number: int, target: Callable[..., None], *args: Any) -> list[Any]:
    context = multiprocessing.get_context("spawn")
    go, out = context.Event(), context.Queue()
    processes = [
        context.Process(target=target, args=(*[a(n) if callable(a) else a for a in args], go, out))
        for n in range(number)
    ]
    for process in processes:
        process.start()
    go.set()
    found = [out.get(timeout=60) for _ in processes]
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    return found


def test_processes_claim_each_operation_once(url: str, store: Store, make: Builder) -> None:
    wanted = {make.create(finish=False).id for _ in range(12)}
    claims = [claim for owner in in_processes(3, claim_all, url, lambda n: f"owner-{n}") for claim in owner]
    assert len(claims) == len({operation for operation, _ in claims}) == len(wanted)
    assert len({fence for _, fence in claims}) == len(claims)
    assert store.claim("late", 60) is None


def test_processes_share_a_quota_and_a_pool(url: str, store: Store) -> None:
    assert sum(in_processes(3, create_some, url)) == 7
    assert store.usage("p")["instances"] == 7
    held = {instance.address for instance in store.all_instances()}
    assert len(held) == 7
    assert set(store.reserve_addresses(254 - 7)) == {f"127.90.0.{n}" for n in range(1, 255)} - held


def test_threads_race_for_one_resource(store: Store, make: Builder) -> None:
    cluster = make.create_cluster()
    resources = [cluster, *cluster.members] * 2
    found = outcomes([lambda r=resource: make.accept(r) for resource in resources])
    winners = [result for result in found if not isinstance(result, Exception)]
    assert len(winners) == 1
    assert {type(result) for result in found} - {type(winners[0])} <= {Unprocessable, Conflict}


def test_threads_race_for_the_last_quota_unit(store: Store, make: Builder) -> None:
    found = outcomes([lambda: make.create(limits={"instances": 3}, finish=False)] * 8)
    assert sum(isinstance(result, OverLimit) for result in found) == 5
    assert store.usage("p")["instances"] == 3


def test_threads_never_get_the_same_address(store: Store) -> None:
    found = outcomes([lambda: store.reserve_addresses(3)] * 10)
    addresses = [address for some in found for address in some]
    assert len(addresses) == len(set(addresses)) == 30


def test_a_dead_executor_is_replaced(store: Store, make: Builder, another: Callable[[], Store]) -> None:
    operation = make.accept(make.create())
    other = another()
    began = store.now()
    dead = store.claim("dead", 0.5)
    assert dead is not None
    store.set_status(dead, operation.id, OperationStatus.RUNNING)
    store.set_step(dead, 0, StepStatus.RUNNING, "half done")
    alive: Lease = until(lambda: other.claim("alive", 600))
    assert store.now() >= began + 0.5
    assert alive.operation_id == operation.id
    assert alive.fence > dead.fence
    before = store.operation(operation.id)
    for late in (
        lambda: store.set_step(dead, 0, StepStatus.DONE, "too late"),
        lambda: store.set_status(dead, operation.id, OperationStatus.SUCCEEDED),
        lambda: store.append_undo(dead, operation.plan.steps),
        lambda: store.update_instance(operation.resource_id, lease=dead, name="too late"),
        lambda: store.update_cluster(operation.resource_id, lease=dead, name="too late"),
    ):
        with pytest.raises(StaleGeneration, match="no longer run by dead"):
            late()
    assert store.renew([dead, alive], 5) == [alive]
    store.release(dead)
    assert store.operation(operation.id) == before
    assert "taken over by alive" in before.events[-1].text
    assert other.claim("third", 600) is None


def test_a_lease_lives_as_long_as_it_is_renewed(store: Store, make: Builder) -> None:
    make.create(finish=False)
    lease = store.claim("a", 2)
    assert lease is not None
    end = store.now() + 2.5
    while store.now() < end:
        assert store.renew([lease], 2) == [lease]
        assert store.claim("b", 2) is None
    assert until(lambda: store.claim("b", 5)).operation_id == lease.operation_id


def test_a_lease_nobody_took_is_still_good(store: Store, make: Builder) -> None:
    operation = make.accept(make.create())
    lease = store.claim("a", 0.01)
    assert lease is not None
    ends = store.now() + 0.02
    until(lambda: store.now() > ends)
    store.set_step(lease, 0, StepStatus.RUNNING, "slow")
    assert store.renew([lease], 60) == [lease]
    assert store.claim("b", 60) is None
    assert store.operation(operation.id).steps[0].status is StepStatus.RUNNING


def test_readers_do_not_wait_for_a_writer(store: Store, make: Builder) -> None:
    instance = make.create()
    inside, leave = threading.Event(), threading.Event()

    def hold(_conn: object) -> None:
        inside.set()
        assert leave.wait(PATIENCE)

    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(store.database.write, hold)
        assert inside.wait(PATIENCE)
        began = time.monotonic()
        assert store.instance(instance.id).id == instance.id
        assert store.claim("a", 60) is None
        assert time.monotonic() - began < 1
        leave.set()
        writing.result(PATIENCE)


def test_a_killed_process_leaves_what_it_was_told_is_written(url: str, store: Store, make: Builder) -> None:
    """SIGKILL in the middle of a transaction: what was acknowledged is there, what was not is not."""
    context = multiprocessing.get_context("spawn")
    out = context.Queue()
    process = context.Process(target=write_until_killed, args=(url, out))
    process.start()
    acknowledged = [out.get(timeout=60) for _ in range(5)]
    process.kill()
    process.join(60)
    while not out.empty():
        acknowledged.append(out.get(timeout=1))
    found = {operation.resource_id for operation in store.operations("p", limit=10_000).items}
    assert set(acknowledged) <= found
    assert found == {instance.id for instance in store.all_instances()}
    make.create()  # nobody holds the lock


def write_until_killed(url: str, out: Any) -> None:
    store = open_store(url)
    while True:
        out.put(Builder(store).create(finish=False).id)
