"""The server as a process: started twice, stopped, killed, restarted, its host shut down; and what `purge` leaves."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pymysql
import pytest
import redis

from trove.cmd.installation import Installation, open_installation
from trove.compute.local.layout import Layout
from trove.tests.service.conftest import started
from trove.tests.service.databases import (
    DATABASE,
    PASSWORD,
    USER,
    Database,
    create_cluster,
    create_instance,
    idle,
    until,
    write_and_read,
)
from trove.tests.service.test_faults import first_process, kill_all, kill_everything_of, processes_of, running_step
from trove.workload.standalone import Standalone

QUICK = ("--monitor-period", "0.5", "--reconcile-period", "1")
GROUPS = Path("/sys/fs/cgroup")


@pytest.fixture(scope="module")
def home(images_dir: Path) -> Iterator[Standalone]:
    """A server that looks often whether all is as it should be; the tests of this file share it."""
    with started(images_dir, *QUICK) as server:
        yield server


@pytest.fixture(scope="module")
def notes(home: Standalone) -> Database:
    return create_instance(home, "notes", "redis", "7.0")


@pytest.fixture(scope="module")
def shop(home: Standalone) -> Database:
    return create_cluster(home, "shop", "mariadb", "10.11", 3)


def address_in(database: Database) -> str:
    return database.nodes[0][0]


def run(*words: str, program: str = "trove.cmd.standalone") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", program, *words], capture_output=True, text=True, timeout=60, check=False
    )


def one_sentence(done: subprocess.CompletedProcess[str]) -> str:
    """What a process that could not start says: exit code 1 and a single line."""
    assert done.returncode == 1, done
    assert done.stdout == ""
    [line] = done.stderr.strip().splitlines()
    return line


def engine_run(address: str) -> str:
    """What tells one run of an engine from the next."""
    with redis.Redis(host=address, decode_responses=True) as client:
        return str(client.info("server")["run_id"])


# -- start and stop --------------------------------------------------------------------------------------------------


def test_second_server_on_a_directory_says_who_has_it(home: Standalone) -> None:
    said = one_sentence(run("--state-dir", str(home.state_dir), "--bind-port", "0"))
    assert said.startswith(f"trove-standalone: another server (process {home.pid}) uses {home.state_dir}; stop it")
    for program in ("trove.cmd.api", "trove.cmd.executor"):
        assert f"process {home.pid}" in one_sentence(run("--state-dir", str(home.state_dir), program=program))
    purge = home.manage("purge", "--yes")
    assert purge.returncode == 1
    assert f"process {home.pid}" in purge.stderr


def test_port_taken_says_so(home: Standalone, tmp_path: Path) -> None:
    said = one_sentence(run("--state-dir", str(tmp_path / "state"), "--bind-port", str(home.port)))
    assert f"cannot listen on 127.0.0.1 port {home.port}" in said
    assert "choose another" in said


def test_printed_lines_work_when_pasted(home: Standalone, tmp_path: Path) -> None:
    printed = home.log(200).split("\n\n")[1].splitlines()
    assert len(printed) == 3
    clean = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    script = "set -e\n" + "\n".join(printed) + "\n"
    done = subprocess.run(["sh", "-c", script], env=clean, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert {"mariadb", "redis", "valkey"} <= set(done.stdout.replace("|", " ").split())
    listed = json.loads(done.stdout[done.stdout.index('{"datastores"') :])
    assert {datastore["name"] for datastore in listed["datastores"]} == {"mariadb", "redis", "valkey"}


def test_databases_go_on_without_the_server(home: Standalone, notes: Database) -> None:
    address = address_in(notes)
    before = engine_run(address), processes_of(notes.id)
    write_and_read(notes)
    home.stop()
    with redis.Redis(host=address, decode_responses=True) as client:
        assert client.get("k") == "here"
    home.start()
    until(lambda: notes.record()["health"]["status"] == "HEALTHY", "the monitor's word")
    assert (engine_run(address), processes_of(notes.id)) == before


# -- what goes wrong with a database ------------------------------------------------------------------------------


def test_killed_sandbox_is_started_again(home: Standalone, notes: Database) -> None:
    version = notes.record()["version"]
    kill_all(first_process(notes.id))
    begun = time.monotonic()
    until(lambda: idle_instance(notes), "the database after its sandbox was killed", timeout=20)
    assert notes.record()["version"] == version
    write_and_read(notes)
    print(f"served again after {time.monotonic() - begun:.1f} s")


def idle_instance(database: Database) -> bool:
    with redis.Redis(host=address_in(database), socket_timeout=1) as client:
        return bool(client.ping()) and database.record()["health"]["status"] == "HEALTHY"


def test_silent_agent_is_not_taken_for_its_engine(home: Standalone, notes: Database) -> None:
    before = notes.record()
    agents = processes_of(notes.id, "trove.guest.agent")
    assert agents
    for pid in agents:
        os.kill(pid, signal.SIGSTOP)
    try:
        shown = until(
            lambda: (record := notes.record())["health"]["status"] == "ERROR" and record, "the agent's silence", 30
        )
        assert "agent does not answer" in shown["health"]["reason"]
        assert notes.id not in shown["health"]["reason"]
        assert (shown["version"], shown["role"]) == (before["version"], before["role"])
        silence = shown["health"]["observed_at"]
        later = until(
            lambda: (record := notes.record())["health"]["observed_at"] > silence and record, "more silence", 30
        )
        assert later["version_observed_at"] == shown["version_observed_at"] <= silence
        assert f"notes: {shown['health']['reason']}" in home.manage("status").stdout
    finally:
        for pid in agents:
            os.kill(pid, signal.SIGCONT)
    well = until(lambda: (record := notes.record())["health"]["status"] == "HEALTHY" and record, "the agent's answer")
    assert well["version_observed_at"] > later["version_observed_at"]


def test_killed_endpoint_is_served_again(home: Standalone, shop: Database) -> None:
    write_and_read(shop)
    pids = [int(word) for word in (home.state_dir / f"endpoints/{shop.id}/haproxy.pid").read_text().split()]
    kill_all(pids)
    until(lambda: write_and_read(shop) is None, "the address of the cluster", timeout=20)


def test_cluster_that_was_shut_down_with_its_host_comes_back(home: Standalone, shop: Database) -> None:
    until(lambda: idle(shop), "a healthy cluster")
    keep_rows(shop)
    home.stop()
    first = [pid for member in shop.members for pid in first_process(member["id"])]
    for pid in first:
        os.kill(pid, signal.SIGTERM)
    until(lambda: not any(alive(pid) for pid in first), "the end of all members", 60)
    home.start()
    until(lambda: idle(shop), "the cluster after the restart of its host", timeout=60)
    assert rows_at_each_member(shop) == [100, 100, 100]


def keep_rows(database: Database) -> None:
    """Have 100 rows in the cluster."""
    with closing(endpoint(database)) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE IF NOT EXISTS kept (n INT PRIMARY KEY)")
        for number in range(100):
            cursor.execute("INSERT IGNORE INTO kept VALUES (%s)", (number,))


def rows_at_each_member(database: Database) -> list[int]:
    found = []
    for address, port in database.nodes:
        with closing(connect(address, port)) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT COUNT(*) FROM kept")
            found.append(cursor.fetchone()[0])
    return found


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def connect(address: str, port: int) -> Any:
    return pymysql.connect(
        host=address, port=port, user=USER, password=PASSWORD, database=DATABASE, autocommit=True, connect_timeout=5
    )


def endpoint(database: Database) -> Any:
    found = database.record()["endpoint"]
    return connect(found["address"], found["port"])


def test_what_belongs_to_nobody_is_removed_and_nothing_else(home: Standalone, notes: Database, shop: Database) -> None:
    lone = [home.state_dir / "instances" / "nobody-1", home.state_dir / "endpoints" / "nobody-2"]
    for directory in lone:
        directory.mkdir()
    said = home.manage("status").stdout
    until(lambda: not any(directory.exists() for directory in lone), "their removal", timeout=20)
    assert not any("NO RECORD" in line and notes.id in line for line in said.splitlines())
    kept = {entry.name for entry in (home.state_dir / "instances").iterdir() if not entry.name.startswith(".")}
    assert kept == {notes.id, *(member["id"] for member in shop.members)}
    assert [entry.name for entry in (home.state_dir / "endpoints").iterdir()] == [shop.id]
    write_and_read(notes)
    write_and_read(shop)


def test_status_tells_all(home: Standalone, notes: Database, shop: Database) -> None:
    until(lambda: idle(shop), "a healthy cluster")
    done = home.manage("status")
    assert done.returncode == 0, done.stderr
    head, titles, *lines = done.stdout.splitlines()
    assert head == f"Server: process {home.pid}"
    assert titles.split()[:7] == ["INSTANCE", "CLUSTER", "ADDRESS", "SERVER", "ENGINE", "VERSION", "ROLE"]
    rows = {line.split()[0]: line.split() for line in lines}
    version = notes.record()["version"]
    assert rows["notes"][1:7] == ["-", f"{address_in(notes)}:6379", "RUNNING", "HEALTHY", version, "primary"]
    for member in shop.record()["instances"]:
        assert rows[member["name"]][1] == "shop"
        assert rows[member["name"]][3:7] == ["RUNNING", "HEALTHY", member["version"], "member"]
    found = shop.record()["endpoint"]
    assert rows["(endpoint)"][1:4] == ["shop", f"{found['address']}:{found['port']}", "RUNNING"]


# -- two processes ---------------------------------------------------------------------------------------------------


class Pair:
    """`trove-api` and `trove-executor` as two processes on one SQLite database."""

    def __init__(self, state_dir: Path, images_dir: Path) -> None:
        self.service = Standalone(state_dir, images_dir)
        self._options = ["--state-dir", str(state_dir), "--images-dir", str(images_dir)]
        self.processes: list[subprocess.Popen[bytes]] = []

    def start(self, program: str, *options: str) -> subprocess.Popen[bytes]:
        self.service.state_dir.mkdir(exist_ok=True)
        with (self.service.state_dir / "server.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", program, *self._options, *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self.processes.append(process)
        return process

    def close(self) -> None:
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            process.wait(30)
        self.service.purge()


def test_api_and_executor_as_two_processes(images_dir: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="trove-pair-") as directory:
        pair = Pair(Path(directory) / "state", images_dir)
        service = pair.service
        try:
            pair.start("trove.cmd.api", "--bind-port", str(service.port))
            first = pair.start("trove.cmd.executor")
            until(lambda: service.clouds.exists() and answers(service), "the API", timeout=30)
            size = {"flavorRef": "1", "volume": {"size": 1}}
            body = {"name": "two", "datastore": {"type": "redis", "version": "7.0"}, "instances": [size] * 6}
            operation_id = service.submit("POST", "/clusters", {"cluster": body})
            until(lambda: service.operation(operation_id)["progress"]["done"] >= 3, "some steps", timeout=30)
            first.kill()
            first.wait()
            stopped = service.operation(operation_id)["progress"]["done"]
            assert stopped < service.operation(operation_id)["progress"]["total"]
            pair.start("trove.cmd.executor")
            begun = time.monotonic()
            until(lambda: service.operation(operation_id)["progress"]["done"] > stopped, "the next step", timeout=15)
            print(f"went on after {time.monotonic() - begun:.1f} s")
            service.done(operation_id, timeout=60)
        finally:
            pair.close()


def answers(service: Standalone) -> bool:
    with socket.create_connection(("127.0.0.1", service.port), 1):
        service.log_in()
        return True


def test_two_installations_do_not_meet(home: Standalone, notes: Database, tmp_path: Path) -> None:
    mine: Installation = open_installation(home.state_dir)
    other = open_installation(tmp_path / "other")
    assert other.address_pool != mine.address_pool


# -- the end: the last tests of this file -----------------------------------------------------------------------------


def test_power_cut_in_the_middle_of_an_upgrade(home: Standalone, shop: Database) -> None:
    """Server, agents, engines and the address die at once; the operation and what it does not work on come back."""
    until(lambda: idle(shop), "a healthy cluster")
    keep_rows(shop)
    operation_id = shop.upgrade("11.8")
    until(lambda: running_step(home, operation_id).get("name") == "guest.post_upgrade", "a member's rebuild")
    home.kill()
    kill_everything_of(home)
    home.start()
    until(lambda: len(endpoint_rows(shop)) == 100, "the address, while the operation goes on", timeout=20)
    assert home.operation(operation_id)["status"] == "RUNNING"
    assert home.wait(operation_id, timeout=120)["status"] in ("SUCCEEDED", "ROLLED_BACK")
    until(lambda: idle(shop), "a healthy cluster", timeout=60)
    assert len(shop.releases()) == 1
    assert rows_at_each_member(shop) == [100, 100, 100]


def endpoint_rows(database: Database) -> Any:
    with closing(endpoint(database)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT n FROM kept")
        return cursor.fetchall()


def things_of(state_dir: Path, digest: str) -> list[str]:
    """Every process and control group of an installation: who has its directory in the command line, or is below."""
    found = [str(group) for group in GROUPS.rglob(f"trove-{digest}")]
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                words = (entry / "cmdline").read_bytes()
                mounts = (entry / "mountinfo").read_text()
            except OSError:
                continue
            if f"{state_dir}/".encode() in words or f"{state_dir}/" in mounts:
                found.append(f"{entry.name}: {words[:80]!r}")
    return found


def test_purge_leaves_nothing(home: Standalone, notes: Database, shop: Database) -> None:
    digest = Layout(home.state_dir).digest
    home.stop()
    assert len(things_of(home.state_dir, digest)) >= len([notes, *shop.members]) + 1
    home.purge()
    assert things_of(home.state_dir, digest) == []
    assert not home.state_dir.exists()
