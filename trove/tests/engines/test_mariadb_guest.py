"""MariaDB through its agents: real images, sandboxes and engines; writers run wherever writes could be lost."""

from __future__ import annotations

import itertools
import json
import os
import signal
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pymysql
import pytest

from trove.compute.local.bundles import Bundle
from trove.compute.local.driver import LocalCompute
from trove.compute.local.layout import Credentials
from trove.datastores.mariadb.recovery import Remedy, remedy
from trove.domain.errors import Unavailable
from trove.domain.health import Health
from trove.domain.ports import Backend, EndpointSpec, GuestAddress, Order, ServerSpec, ServerState
from trove.domain.states import EngineStatus
from trove.endpoints.haproxy import HAProxyEndpoints
from trove.guest.bundle import bundle_digest, write_bundle
from trove.guest.client import GuestClient
from trove.guest.pki import Authority
from trove.images.builder import Builder
from trove.images.store import default_images_dir
from trove.workload.controller import Workload

pytestmark = pytest.mark.engine

NET = f"127.{140 + os.getpid() % 50}.{os.getpid() // 50 % 250}"
PASSWORD = "a'b\\%s \"c"
USERS = [
    {"name": "app", "password": PASSWORD, "host": "%", "databases": ["shop_1"]},
    {"name": "all", "password": PASSWORD},
]
DATABASES = [{"name": "shop_1"}, {"name": "we`ird %s_", "character_set": "latin1", "collate": "latin1_swedish_ci"}]
OLD, NEW = "10.11", "11.8"


class Lab:
    """One installation: images shared with other tests, its own certificates, sandboxes and endpoint."""

    def __init__(self, state_dir: Path) -> None:
        self.state_dir = state_dir
        authority = Authority(state_dir)
        authority.ensure()
        self.images = Builder(state_dir, images_dir=default_images_dir())

        def credentials(instance_id: str, address: str) -> Credentials:
            return Credentials(*(part.decode() for part in authority.issue(instance_id, address)))

        self.compute = LocalCompute(state_dir, self.images, credentials, Bundle(write_bundle, bundle_digest))
        self.guests = GuestClient(authority.client_context())
        self.endpoints = HAProxyEndpoints(state_dir)
        self._orders = itertools.count()

    def order(self) -> Order:
        return Order("op", next(self._orders), 1)

    def close(self) -> None:
        for cluster_id in self.endpoints.list():
            self.endpoints.delete(cluster_id)
        for instance_id in self.compute.list():
            self.compute.stop(instance_id, self.order(), timeout=0)
            self.compute.delete(instance_id, self.order())
        self.guests.close()


@dataclass
class Node:
    """One instance, driven as the executor does it."""

    lab: Lab
    name: str
    address: str
    version: str
    peers: list[str] = field(default_factory=list)

    @property
    def topology(self) -> dict[str, Any] | None:
        return {"kind": "galera", "name": "cluster-1", "node": self.name, "peers": self.peers} if self.peers else None

    @property
    def guest(self) -> GuestAddress:
        return GuestAddress(self.name, self.address)

    def up(self, version: str | None = None) -> None:
        """Start the server, on another version's image if one is given, and wait until its agent answers."""
        self.version = version or self.version
        image = self.lab.images.ensure(f"mariadb-{self.version}", lambda text: None)
        spec = ServerSpec(self.name, self.name, image.id, "mariadb", self.address, 3306, 512, 1, 1)
        assert self.lab.compute.ensure(spec, self.lab.order()).state is ServerState.RUNNING
        until(lambda: self.health() is not None, 20.0, f"the agent of {self.name} answers")

    def do(self, kind: str, within: float = 120.0, **params: Any) -> Mapping[str, Any]:
        """Let the agent do it; AssertionError with its words when it fails."""
        if kind in ("prepare", "start", "restart", "post_upgrade", "reseed"):
            params["cluster"] = self.topology
        order, deadline = self.lab.order(), time.monotonic() + within
        while True:
            operation = self.lab.guests.run(self.guest, kind, params, order, wait=5.0)
            if operation.status != "RUNNING":
                assert operation.status == "SUCCEEDED", f"{self.name}: {operation.error}\n{self.log()}"
                return operation.result
            assert time.monotonic() < deadline, f"{self.name}: {kind} takes too long: {operation.progress}"

    def health(self) -> Health | None:
        try:
            return self.lab.guests.health(self.guest)
        except Unavailable:
            return None

    def synced(self) -> Health:
        """Wait until the engine says that it runs its version and has all data."""
        self.do("await_sync", version_prefix=self.version, timeout=90.0)
        health = self.health()
        assert health is not None
        return health

    def upgrade(self, version: str) -> float:
        """Move to another version; returns the seconds it took."""
        begin = time.monotonic()
        self.do("pre_upgrade", source=self.version, target=version)
        self.up(version)
        self.do("post_upgrade", target=version)
        assert self.synced().version_number.startswith(version)
        return time.monotonic() - begin

    @property
    def directory(self) -> Path:
        return self.lab.state_dir / "instances" / self.name

    def first_process(self) -> int:
        return int(json.loads((self.directory / "sandbox.json").read_text())["child-pid"])

    def kill(self) -> None:
        """End everything in the sandbox at once, as a power cut would."""
        os.kill(self.first_process(), signal.SIGKILL)
        until(lambda: self.lab.compute.inspect(self.name).state is ServerState.STOPPED, 10.0, "the server is dead")

    def signal_engine(self, number: int) -> None:
        inside = Path(f"/proc/{self.first_process()}/ns/pid").readlink()
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                named = (process / "comm").read_text().strip() == "mariadbd"
                if named and (process / "ns/pid").readlink() == inside:
                    os.kill(int(process.name), number)

    def log(self, lines: int = 40) -> str:
        path = self.directory / "data/agent/mariadb.log"
        return "\n".join(path.read_text(errors="replace").splitlines()[-lines:]) if path.exists() else ""

    def sql(self, statement: str, values: Any = None, database: str | None = "shop_1") -> Any:
        with closing(connect(self.address, database)) as connection, connection.cursor() as cursor:
            cursor.execute(statement, values)
            return cursor.fetchall()


def connect(address: str, database: str | None = "shop_1", user: str = "app") -> Any:
    return pymysql.connect(
        host=address, port=3306, user=user, password=PASSWORD, database=database, autocommit=True,
        connect_timeout=5, read_timeout=30,
    )  # fmt: skip


def until(condition: Any, seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds} s until {what}"
        time.sleep(0.02)


@contextmanager
def together(nodes: Sequence[Node], work: Any) -> Iterator[None]:
    threads = [threading.Thread(target=work, args=(node,)) for node in nodes]
    for thread in threads:
        thread.start()
    yield
    for thread in threads:
        thread.join(120)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    made = Lab(tmp_path_factory.mktemp("mariadb"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def cluster(lab: Lab) -> list[Node]:
    peers = [f"{NET}.{number}" for number in (11, 12, 13)]
    nodes = [Node(lab, f"m{number}", peer, OLD, peers) for number, peer in enumerate(peers, start=1)]
    with together(nodes, Node.up):
        pass
    nodes[0].do("prepare", bootstrap=True, users=USERS, databases=DATABASES)
    for node in nodes[1:]:
        node.do("prepare", bootstrap=False)
        node.synced()
    return nodes


def front(cluster: list[Node]) -> EndpointSpec:
    backends = tuple(Backend(node.name, node.address, 3306) for node in cluster)
    return EndpointSpec("cluster-1", f"{NET}.1", 3306, cluster[0].name, backends)


def test_single_server_keeps_its_data_over_two_versions(lab: Lab) -> None:
    node = Node(lab, "single", f"{NET}.5", "10.5")
    node.up()
    before = node.health()
    assert before is not None
    assert before.status is EngineStatus.NEW
    node.do("prepare", bootstrap=True, users=USERS, databases=DATABASES)
    # Told again, as after a crash, it leads to the same.
    node.do("prepare", bootstrap=True, users=USERS, databases=DATABASES)
    state = (lab.state_dir / "instances/single/data/agent/state.json").read_text()
    assert "%s" not in state
    health = node.synced()
    assert (health.role, health.healthy, health.version_number[:5]) == ("primary", True, "10.5.")
    node.sql("CREATE TABLE kept (id INT PRIMARY KEY, word VARCHAR(20))")
    node.sql("INSERT INTO kept VALUES (1, 'größer')")
    with closing(connect(node.address, "we`ird %s_", "all")) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT @@character_set_database")
        assert cursor.fetchone() == ("latin1",)
    # The underscore in a grant is no wildcard, and a user sees only what was granted.
    assert [row[0] for row in node.sql("SHOW DATABASES")] == ["information_schema", "shop_1"]
    for version in ("10.11", "11.8"):
        taken = node.upgrade(version)
        print(f"single server to {version}: {taken:.2f} s")
        assert node.sql("SELECT word FROM kept WHERE id = 1") == (("größer",),)
    node.do("restart")
    node.do("stop")
    stopped = node.health()
    assert stopped is not None
    assert stopped.status is EngineStatus.SHUTDOWN
    node.do("start")
    assert node.sql("SELECT @@version")[0][0].startswith("11.8.")
    lab.compute.delete("single", lab.order())


def test_prepare_refuses_what_no_engine_takes(lab: Lab, cluster: list[Node]) -> None:
    for databases, word in (([{"name": "x" * 65}], "64"), ([{"name": "x", "character_set": "no;"}], "character set")):
        operation = lab.guests.run(
            cluster[0].guest, "prepare",
            {"cluster": cluster[0].topology, "bootstrap": True, "databases": databases}, lab.order(), wait=20.0,
        )  # fmt: skip
        assert operation.status == "FAILED"
        assert word in operation.error
        assert "Traceback" not in operation.error


def test_members_say_how_they_are(cluster: list[Node]) -> None:
    for node in cluster:
        health = node.synced()
        assert (health.role, health.members_seen, health.healthy) == ("member", 3, True)
        assert health.detail["wsrep_cluster_status"] == "Primary"
        assert health.detail["wsrep_local_state_comment"] == "Synced"
        # Every listener is on the member's own address: the peers use the same ports.
        assert node.sql("SELECT @@bind_address")[0][0] == node.address


def test_drain_ends_idle_sessions_and_spares_transactions(cluster: list[Node]) -> None:
    node = cluster[2]
    node.sql("CREATE TABLE IF NOT EXISTS drained (id INT PRIMARY KEY)")
    with closing(connect(node.address)) as idle, closing(connect(node.address)) as busy:
        with busy.cursor() as cursor:
            cursor.execute("BEGIN")
            cursor.execute("INSERT INTO drained VALUES (1)")
            begin = time.monotonic()
            result = node.do("drain", timeout=0.6)
            assert result == {"ended": 1, "left": 1}
            assert time.monotonic() - begin < 3.0
            with pytest.raises(pymysql.err.OperationalError):
                idle.ping(reconnect=False)
            cursor.execute("COMMIT")
        assert node.do("drain", timeout=10.0) == {"ended": 1, "left": 0}
    assert node.sql("SELECT id FROM drained") == ((1,),)
    with closing(connect(node.address)) as held, held.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("INSERT INTO drained VALUES (2)")
        assert node.do("drain", timeout=0.1, force=True) == {"ended": 1, "left": 0}
    assert node.sql("SELECT id FROM drained") == ((1,),)


def test_members_killed_at_once_come_back_by_themselves(lab: Lab, cluster: list[Node]) -> None:
    with Workload.start("mariadb", address=cluster[0].address, port=3306, user="app", password=PASSWORD,
                        database="shop_1", writers=2, retry_seconds=60.0) as writers:  # fmt: skip
        begin = time.monotonic()
        for node in cluster:
            node.kill()
        # What a restarted host does: start the servers. Nobody tells the agents anything.
        with together(cluster, Node.up):
            pass
        for node in cluster:
            node.synced()
        print(f"three killed members are back after {time.monotonic() - begin:.1f} s")
        writers.stop()
        assert writers.verify(members=[(node.address, 3306) for node in cluster]).ok


def test_cluster_that_was_stopped_as_a_whole_is_started_by_its_last_member(cluster: list[Node]) -> None:
    for node in cluster:
        node.do("stop")
    said = {node.name: node.health() for node in cluster}
    assert [health.detail["safe_to_bootstrap"] for health in said.values()] == [False, False, True]
    assert remedy({**said, cluster[0].name: None}, said) is None
    first = cluster[2]
    assert remedy(said, said) == Remedy(first.name, "start", bootstrap=True)
    first.do("start", bootstrap=True)
    # Told twice it happens once.
    first.do("start", bootstrap=True)
    for node in cluster:
        node.do("start")
        assert node.synced().healthy
    assert {node.synced().members_seen for node in cluster} == {3}


def begin_again(cluster: list[Node]) -> list[Remedy]:
    """Do what helps a cluster without quorum, as reconciliation does it, until there is one; what that was."""
    done: list[Remedy] = []

    def helped() -> bool:
        said = {node.name: node.health() for node in cluster}
        helps = remedy(said, said)
        if helps is not None:
            done.append(helps)
            node = next(node for node in cluster if node.name == helps.member_id)
            params = {"bootstrap": True} if helps.bootstrap else {}
            node.lab.guests.run(node.guest, helps.kind, params, node.lab.order(), wait=20.0 if params else 0.0)
        return any(health and health.in_sync for health in said.values())

    until(helped, 60.0, "some member has quorum")
    return done


def test_member_dies_in_the_moment_another_leaves(cluster: list[Node]) -> None:
    """Galera waits for ever for the one that left: it comes back under another identity."""
    staying, leaving, dying = cluster
    with Workload.start("mariadb", address=staying.address, port=3306, user="app", password=PASSWORD,
                        database="shop_1", writers=2, retry_seconds=60.0) as writers:  # fmt: skip
        dying.signal_engine(signal.SIGSTOP)
        leaving.do("stop")
        dying.kill()
        dying.up()
        until(lambda: (health := staying.health()) and health.members_seen == 2, 30.0, "the dead one is back")
        said = staying.health()
        assert said is not None
        assert said.detail["wsrep_cluster_status"] == "non-Primary"
        with closing(connect(staying.address)) as session:
            assert begin_again(cluster) == [Remedy(staying.name, "start", bootstrap=True)]
            session.ping(reconnect=False)  # It need not be started anew.
        assert dying.synced().healthy
        leaving.do("start")
        assert leaving.synced().members_seen == 3
        writers.stop()
        assert writers.verify(members=[(node.address, 3306) for node in cluster]).ok


def test_member_that_is_behind_does_not_begin(cluster: list[Node]) -> None:
    """The others went on without it and lost their quorum too: their writes must not be lost with them."""
    newest, leaving, behind = cluster
    behind.signal_engine(signal.SIGSTOP)
    until(
        lambda: (health := newest.health()) and health.in_sync and health.members_seen == 2, 30.0, "it is left behind"
    )
    with Workload.start("mariadb", address=newest.address, port=3306, user="app", password=PASSWORD,
                        database="shop_1", writers=2, retry_seconds=60.0) as writers:  # fmt: skip
        until(lambda: writers.report().acknowledged > 50, 30.0, "writes it does not know")
        leaving.do("stop")
        newest.kill()
        # Without the group it knew it cannot begin by itself.
        (newest.directory / "data/engine/gvwstate.dat").unlink()
        behind.signal_engine(signal.SIGCONT)
        until(lambda: (health := behind.health()) and not health.in_sync, 30.0, "it has noticed")
        newest.up()
        done = begin_again(cluster)
        assert done[-1] == Remedy(newest.name, "start", bootstrap=True)
        assert Remedy(behind.name, "restart") in done
        leaving.do("start")
        for node in cluster:
            assert node.synced().healthy
        writers.stop()
        assert writers.verify(members=[(node.address, 3306) for node in cluster]).ok


def test_newcomer_joins_in_the_moment_a_member_dies(lab: Lab, cluster: list[Node]) -> None:
    """Two changes of the group at once, one of which it has not noticed yet: the others must keep their quorum."""
    active, other, dying = cluster
    address = f"{NET}.14"
    newcomer = Node(lab, "m4", address, OLD, [*active.peers, address])
    newcomer.up()
    with Workload.start("mariadb", address=active.address, port=3306, user="app", password=PASSWORD,
                        database="shop_1", writers=2) as writers:  # fmt: skip
        dying.kill()
        newcomer.do("prepare", bootstrap=False, donors=[other.name])
        assert newcomer.synced().members_seen == 3
        report = writers.stop()
        print(f"longest gap {report.longest_gap_ms:.0f} ms while one died and one joined")
        assert writers.verify(members=[(node.address, 3306) for node in (active, other, newcomer)]).ok
    assert report.errors_with_retry == 0
    assert report.longest_gap_ms < 10_000
    newcomer.do("stop")
    lab.compute.stop(newcomer.name, lab.order(), timeout=10.0)
    lab.compute.delete(newcomer.name, lab.order())
    dying.up()
    assert dying.synced().members_seen == 3


def test_old_member_gets_a_full_copy_from_an_old_one_in_a_mixed_cluster(lab: Lab, cluster: list[Node]) -> None:
    active, canary, other = cluster
    table = active.sql("SELECT COUNT(*) FROM information_schema.columns WHERE table_schema = 'mysql'")
    with Workload.start("mariadb", address=active.address, port=3306, user="app", password=PASSWORD,
                        database="shop_1", writers=2) as writers:  # fmt: skip
        canary.upgrade(NEW)
        # The upgrade of its system tables stayed on the canary.
        assert active.sql("SELECT COUNT(*) FROM information_schema.columns WHERE table_schema = 'mysql'") == table
        begin = time.monotonic()
        other.do("reseed", donors=[active.name])
        assert other.synced().version_number.startswith(OLD)
        print(f"full copy for an old member in a mixed cluster: {time.monotonic() - begin:.1f} s")
        # And the canary goes back, as a rollback does it.
        canary.do("stop")
        canary.up(OLD)
        canary.do("reseed", donors=[other.name, active.name])
        assert canary.synced().version_number.startswith(OLD)
        report = writers.stop()
        print(f"longest gap {report.longest_gap_ms:.0f} ms with {active.name} and {other.name} as donors")
        assert writers.verify(members=[(node.address, 3306) for node in cluster]).ok


def test_rolling_upgrade_behind_the_endpoint(lab: Lab, cluster: list[Node]) -> None:
    spec = front(cluster)
    active, *others = cluster
    lab.endpoints.ensure(spec)
    with Workload.start("mariadb", address=spec.address, port=3306, user="app", password=PASSWORD,
                        database="shop_1", writers=2) as writers:  # fmt: skip
        begin = time.monotonic()
        for node in others:
            lab.endpoints.set_state("cluster-1", node.name, "maint")
            taken = node.upgrade(NEW)
            lab.endpoints.set_state("cluster-1", node.name, "ready")
            print(f"{node.name} to {NEW}: {taken:.1f} s")
        switch = time.monotonic()
        lab.endpoints.switch("cluster-1", others[0].name)
        assert active.do("drain", timeout=20.0)["left"] == 0
        assert lab.endpoints.connections("cluster-1", active.name) == 0
        print(f"traffic moved in {time.monotonic() - switch:.2f} s")
        lab.endpoints.set_state("cluster-1", active.name, "maint")
        active.upgrade(NEW)
        lab.endpoints.ensure(replace(spec, active=others[0].name))
        total = time.monotonic() - begin
        assert lab.endpoints.serving("cluster-1") == others[0].name
        report = writers.stop()
        print(f"rolling upgrade: {total:.1f} s, {report}")
        assert writers.verify(members=[(node.address, 3306) for node in cluster]).ok
    assert report.acknowledged > 100
    assert report.longest_gap_ms < 3000
    assert report.errors_with_retry == 0
    for node in cluster:
        health = node.synced()
        assert (health.version_number[:5], health.members_seen) == ("11.8.", 3)
        assert health.detail["wsrep_protocol_version"] == "11"


def test_agent_told_to_end_stops_its_engine_in_order(lab: Lab, cluster: list[Node]) -> None:
    node = cluster[2]
    begin = time.monotonic()
    lab.compute.stop(node.name, lab.order(), timeout=30.0)
    assert time.monotonic() - begin < 20.0
    assert "Shutdown complete" in node.log()
    # What it is to be has not changed: the next start of the server starts the engine.
    node.up()
    assert node.synced().members_seen == 3
