"""Measure what reads and writes of the store cost: `python -m trove.tests.unit.db.measure [instances]`."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import cycle
from statistics import median
from threading import Thread
from typing import Any
from uuid import uuid4

import sqlalchemy as sa

from trove.db import rows
from trove.db.seeds import seed
from trove.db.store import Store, open_store
from trove.db.tables import instances
from trove.domain.health import Health
from trove.domain.states import EngineStatus, StepStatus
from trove.tests.unit.db.conftest import ENGINES, Builder

PROJECTS = 4
HEALTH = Health(
    EngineStatus.HEALTHY,
    "11.8.6-MariaDB",
    "11.8.6",
    "primary",
    True,
    used_bytes=10**9,
    free_bytes=10**10,
    observed_at="2031-05-02T10:00:00.123456",
    detail={f"wsrep_variable_{n}": f"value {n}" for n in range(20)},
)


@contextmanager
def filled(count: int) -> Iterator[tuple[Store, list[str], str]]:
    """Make a store with `count` instances in project p0, as many again in others, and 20 clusters of 6."""
    with tempfile.TemporaryDirectory() as directory:
        store = open_store(f"sqlite:///{directory}/trove.db")
        seed(store, ENGINES)
        make = Builder(store)
        clusters = [make.create_cluster(6, "p0") for _ in range(20)]
        one = make.instance()
        now = rows.utcnow()
        values = [rows.instance_values(one, 0, now) for _ in range(2 * count)]
        for number, value in enumerate(values):
            value |= {"id": str(uuid4()), "project_id": f"p{0 if number % 2 else 1 + number % PROJECTS}"}
        store.database.write(lambda conn: conn.execute(sa.insert(instances), values))
        store.record_health({instance.id: HEALTH for instance in store.all_instances()})
        yield store, [value["id"] for value in values if value["project_id"] == "p0"], clusters[0].id
        store.close()


def measure(name: str, call: Callable[[], Any], times: int = 1000) -> float:
    """Print what a call takes: processor time on average and median wall time, milliseconds; return the first."""
    call()
    taken = []
    before = time.process_time()
    for _ in range(times):
        start = time.perf_counter()
        call()
        taken.append(time.perf_counter() - start)
    processor = (time.process_time() - before) / times * 1e3
    print(f"{name:44} processor {processor:7.3f} ms   wall {median(taken) * 1e3:7.3f} ms", flush=True)
    return processor


def main(count: int) -> None:
    """Print the figures of a database with `count` instances in the measured project."""
    with filled(count) as (store, ids, cluster_id):
        markers = cycle(sorted(ids)[: len(ids) - 30])
        anybody = cycle(ids)
        print(f"{count} instances in the project, {2 * count + 120} in all; SQLite, {store.database.url.database}")
        measure("list, first page of 20", lambda: store.instances("p0", limit=20))
        measure("list, page of 20 after a marker", lambda: store.instances("p0", limit=20, marker=next(markers)))
        measure("list of 20 with clustered", lambda: store.instances("p0", limit=20, include_clustered=True))
        measure("list by name", lambda: store.instances("p0", limit=20, name="one"))
        measure("instance", lambda: store.instance(next(anybody), "p0"))
        measure("cluster with 6 members", lambda: store.cluster(cluster_id, "p0"))
        measure("list of 20 clusters with 6 members", lambda: store.clusters("p0", limit=20))
        measure("latest operations of 20 resources", lambda: store.latest_operations([*ids[:19], cluster_id]))
        measure("usage", lambda: store.usage("p0"), 100)
        make = Builder(store)
        measure("accept the creation of an instance", lambda: make.create(project="p9", finish=False), 200)
        measure("reserve an address", lambda: store.reserve_addresses(1), 100)
        measure("claim", lambda: store.claim("a", 60), 150)
        operation = make.accept(make.create(project="p8"))
        claims = iter(lambda: store.claim("a", 60), None)
        lease = next(claim for claim in claims if claim.operation_id == operation.id)
        measure("set_step", lambda: store.set_step(lease, 0, StepStatus.RUNNING, "x"), 300)
        measure("operation", lambda: store.operation(operation.id))
        measure("renew 8 leases", lambda: store.renew([lease] * 8, 60), 200)
        hundred = dict.fromkeys(ids[:100], HEALTH)
        measure("record the health of 100 instances", lambda: store.record_health(hundred), 50)
        threads(store, anybody)


def threads(store: Store, ids: Iterator[str], number: int = 16, seconds: float = 2.0) -> None:
    """Print how many reads 16 threads do together while one more writes."""
    done = [0] * number
    until = time.monotonic() + seconds
    keys = [next(ids) for _ in range(100)]

    def read(index: int) -> None:
        while time.monotonic() < until:
            store.instance(keys[done[index] % 100])
            done[index] += 1

    def write() -> None:
        while time.monotonic() < until:
            store.record_health({keys[0]: HEALTH})
            time.sleep(0.01)

    everybody = [Thread(target=read, args=(index,)) for index in range(number)] + [Thread(target=write)]
    for thread in everybody:
        thread.start()
    for thread in everybody:
        thread.join()
    print(f"{number} threads read {sum(done) / seconds:.0f} instances a second beside a writer")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)
