"""Real engines that die, lose and change data while a workload runs: what it saw must be what was done."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from trove.images.builder import Builder
from trove.images.store import default_images_dir
from trove.workload import Workload, WorkloadError, ask_version, ask_versions
from trove.workload import bare_engines as bare
from trove.workload.bare_engines import DATABASE, PASSWORD, USER, Engine, Lab, mariadb_ask, redis_ask, wait_for

pytestmark = pytest.mark.engine

DOWN = 0.5  # seconds an engine is kept down


@pytest.fixture(scope="module")
def image() -> Callable[[str], Path]:
    images = Builder(Path("/nonexistent"), images_dir=default_images_dir())
    return lambda recipe: Path(images.ensure(recipe, lambda text: None).path)


@pytest.fixture
def lab() -> Iterator[Lab]:
    with Lab() as made:
        yield made


def start_redis(engine: Engine, root: Path, cluster: bool = False) -> None:
    bare.start_redis(engine, root, cluster)
    wait_for("Redis to answer", lambda: redis_ask(engine.node, "PING") == "PONG", 10)


@pytest.fixture
def redis(lab: Lab, image: Callable[[str], Path]) -> Engine:
    engine = lab.engine(1, 6379)
    start_redis(engine, image("redis-7.0"))
    return engine


@pytest.fixture
def mariadb(lab: Lab, image: Callable[[str], Path]) -> Engine:
    engine = lab.engine(1, 3306)
    bare.start_mariadb(engine, image("mariadb-10.11"))
    bare.wait_mariadb(engine, galera=False)
    return engine


def on_redis(engine: Engine, **options: float) -> Workload:
    address, port = engine.node
    return Workload.start(kind="redis", address=address, port=port, **options)  # type: ignore[arg-type]


def on_mariadb(engine: Engine) -> Workload:
    address, port = engine.node
    return Workload.start(kind="mariadb", address=address, port=port, user=USER, password=PASSWORD, database=DATABASE)


def writes(workload: Workload, more_than: int) -> None:
    """Wait until that many more writes are acknowledged."""
    goal = workload.report().acknowledged + more_than
    wait_for("writes to go on", lambda: workload.report().acknowledged >= goal, 20, pause=0.05)


def down_for(seconds: float, engine: Engine, start: Callable[[], None]) -> tuple[float, float]:
    """Kill the engine, start it after a while; returns when it was killed and when it served again."""
    killed = time.monotonic()
    engine.kill()
    wait_for("the time to pass", lambda: time.monotonic() > killed + seconds, seconds + 5)
    start()
    return killed, time.monotonic()


@pytest.mark.parametrize("kind", ["redis", "mariadb"])
def test_a_killed_engine_is_seen_as_gap_and_errors(
    kind: str, image: Callable[[str], Path], request: pytest.FixtureRequest
) -> None:
    engine: Engine = request.getfixturevalue(kind)

    def start_again() -> None:
        if kind == "redis":
            start_redis(engine, image("redis-7.0"))
        else:
            bare.start_mariadb(engine, image("mariadb-10.11"))
            bare.wait_mariadb(engine, galera=False)

    with on_redis(engine) if kind == "redis" else on_mariadb(engine) as workload:
        writes(workload, 300)
        before = workload.report()
        assert (before.errors_without_retry, before.errors_with_retry, before.retries) == (0, 0, 0)
        assert before.longest_gap_ms < DOWN * 1000
        began = workload.began
        killed, served = down_for(DOWN, engine, start_again)
        writes(workload, 300)
        workload.stop()
        check = workload.verify()
        report = workload.report()
    assert check.ok
    assert check.checked == report.acknowledged > 600
    assert (report.lost, report.differing) == (0, 0)
    # Two writers never retry and tried all the time; the two others had half a minute.
    assert report.errors_without_retry > 2
    assert report.errors_with_retry == 0
    assert report.retries > 2
    assert report.errors
    assert report.longest_gap_ms >= DOWN * 1000
    assert report.longest_gap_at_s == pytest.approx(killed - began, abs=0.2)
    assert report.longest_gap_at_s + report.longest_gap_ms / 1000 < served - began + 2
    assert report.slowest_retried_write_ms is not None
    assert report.slowest_retried_write_ms > DOWN * 900
    assert all(gap >= report.longest_gap_ms for gap in report.writer_gaps_ms.values())


def test_an_engine_that_stays_down_ends_the_patience_of_retries_and_the_gap_lasts_to_the_end(redis: Engine) -> None:
    with on_redis(redis, retry_seconds=0.3) as workload:
        writes(workload, 100)
        killed = time.monotonic()
        redis.kill()
        wait_for("retries to be given up", lambda: workload.report().errors_with_retry >= 2, 20, pause=0.05)
        report = workload.stop()
        stopped = time.monotonic()
        with pytest.raises(WorkloadError, match="cannot read back"):
            workload.verify(answer_timeout=0.5)
    assert report.errors_with_retry >= 2
    assert 300 <= report.longest_gap_ms <= (stopped - killed) * 1000 + 50


def test_redis_writes_taken_away_or_changed_are_found(redis: Engine) -> None:
    with on_redis(redis) as workload:
        writes(workload, 200)
        workload.stop()
        assert workload.verify().ok
        redis_ask(redis.node, "DEL", workload.target.key(0, 7))
        redis_ask(redis.node, "SET", workload.target.key(3, 9), "something else")
        check = workload.verify()
        report = workload.report()
    assert check.lost == {(0, 7)}
    assert check.differing == {(3, 9)}
    assert not check.ok
    assert (report.lost, report.differing) == (1, 1)


def test_mariadb_rows_taken_away_or_changed_are_found_at_their_place(mariadb: Engine) -> None:
    with on_mariadb(mariadb) as workload:
        writes(workload, 200)
        workload.stop()
        table = f"{DATABASE}.{workload.target.table}"
        assert mariadb_ask(mariadb.node, f"DELETE FROM {table} WHERE writer = 1 AND seq = 5") == []
        assert mariadb_ask(mariadb.node, f"UPDATE {table} SET value = 'x' WHERE writer = 2 AND seq = 6") == []
        check = workload.verify(members=[mariadb.node])
        report = workload.report()
        workload.clean_up()
        assert mariadb_ask(mariadb.node, f"SELECT 1 FROM {table}") is None
    assert check.lost == {(1, 5)}
    assert check.differing == {(2, 6)}
    assert check.checked == 2 * report.acknowledged
    assert sorted(check.at["{}:{}".format(*mariadb.node)]) == [(1, 5), (1, 5), (2, 6), (2, 6)]


def test_a_cluster_client_without_retries_follows_slots_on_the_move(lab: Lab, image: Callable[[str], Path]) -> None:
    root = image("redis-7.0")
    nodes = [lab.engine(number, 6379) for number in range(1, 4)]
    for node in nodes:
        start_redis(node, root, cluster=True)
    cli = bare.redis_program(root, "cli")
    places = [f"{node.node[0]}:{node.node[1]}" for node in nodes]
    bare.run_inside(root, nodes[0].data, [cli, "--cluster", "create", *places, "--cluster-yes"])
    wait_for(
        "the cluster to agree",
        lambda: all("cluster_state:ok" in str(redis_ask(node.node, "CLUSTER", "INFO")) for node in nodes),
        20,
    )
    ids = [redis_ask(node.node, "CLUSTER", "MYID") for node in nodes]
    # One node is enough to find the others.
    with Workload.start(kind="redis_cluster", nodes=[nodes[0].node]) as workload:
        writes(workload, 300)
        move = ["--cluster-from", ids[0], "--cluster-to", ids[1], "--cluster-slots", "300", "--cluster-yes"]
        bare.run_inside(root, nodes[0].data, [cli, "--cluster", "reshard", places[0], *move])
        writes(workload, 300)
        workload.stop()
        assert workload.verify().ok
        report = workload.report()
        assert all(int(redis_ask(node.node, "DBSIZE")) > report.acknowledged / 5 for node in nodes)
        key = workload.target.key(2, 4)
        assert sum(int(redis_ask(node.node, "DEL", key) or 0) for node in nodes if owns(node, key)) == 1
        assert workload.verify().lost == {(2, 4)}
    assert (report.errors_without_retry, report.errors_with_retry) == (0, 0), report.errors


def owns(node: Engine, key: str) -> bool:
    return redis_ask(node.node, "EXISTS", key) is not None


def test_what_a_killed_writer_had_acknowledged_is_still_known(redis: Engine) -> None:
    with on_redis(redis) as workload:
        writes(workload, 200)
        os.kill(workload.pids[1], signal.SIGKILL)
        writes(workload, 100)
        with pytest.raises(WorkloadError, match=r"writers \[1\] ended before"):
            workload.stop()
        report = workload.report()
        assert report.writer_gaps_ms[1] > report.writer_gaps_ms[0]
        assert workload.verify().checked == report.acknowledged


def test_writers_do_not_outlive_who_started_them(redis: Engine) -> None:
    address, port = redis.node
    script = (
        "import os; from trove.workload import Workload; "
        f"w = Workload.start(kind='redis', address='{address}', port={port}); "
        "print(*w.pids, w.directory, flush=True); os._exit(1)"
    )
    started = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    *pids, directory = started.stdout.split()
    assert len(pids) == 4, started.stderr
    wait_for("the writers to end", lambda: not any(Path(f"/proc/{pid}/cmdline").exists() for pid in pids), 20)
    for file in Path(directory).iterdir():
        file.unlink()
    Path(directory).rmdir()


def test_nobody_there_is_a_clear_error(lab: Lab) -> None:
    with pytest.raises(WorkloadError, match="cannot reach the engine"):
        Workload.start(kind="redis", address=lab.address(5), port=6379, start_timeout=0.5)
    with pytest.raises(WorkloadError, match="cannot create the workload's table"):
        Workload.start(kind="mariadb", address=lab.address(5), port=3306, user="u", database="d", start_timeout=0.5)
    with pytest.raises(ConnectionError, match="does not tell its version"):
        ask_version("redis", (lab.address(5), 6379))
    with pytest.raises(ConnectionError, match="does not tell its version"):
        ask_version("mariadb", (lab.address(5), 3306), "u", "p")


def test_engines_tell_their_versions(lab: Lab, image: Callable[[str], Path], mariadb: Engine) -> None:
    redis, valkey = lab.engine(2, 6379), lab.engine(3, 6379)
    start_redis(redis, image("redis-7.0"))
    start_redis(valkey, image("valkey-8.1"))
    said = ask_versions("redis", [redis.node, valkey.node])
    assert [(answer.name, answer.release, answer.node) for answer in said] == [
        ("redis", "7.0", redis.node),
        ("valkey", "8.1", valkey.node),
    ]
    maria = ask_version("mariadb", mariadb.node, USER, PASSWORD)
    assert (maria.name, maria.release) == ("mariadb", "10.11")
    assert str(maria) == f"mariadb {maria.version}"
    with pytest.raises(ConnectionError):
        ask_version("mariadb", mariadb.node, USER, "wrong")
