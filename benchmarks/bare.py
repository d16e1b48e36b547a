"""The bare recipe: rolling upgrades by hand, without the service, with the same writers.

    python benchmarks/bare.py galera-10.11-11.8 cluster-7.0-8.0 --runs 3

It is the yardstick for `benchmarks/upgrade.py`: the same engines, images, timers, load and order of work, and nothing
else: no plan, no journal, no agent, no checks beyond what the next action needs. Times are from the first stop to the
last member's return, with images built beforehand.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from trove.images.builder import Builder
from trove.images.store import default_images_dir
from trove.workload import Report, Workload, ask_versions
from trove.workload import bare_engines as bare
from trove.workload.bare_engines import DATABASE, PASSWORD, USER, Engine, Lab, mariadb_ask, redis_ask, wait_for

MEMBERS = 3
_SESSIONS = "SELECT id, command FROM information_schema.processlist"
_IDLE_SECONDS = 1.0  # load before the first stop and after the last return


@dataclass(frozen=True)
class Hop:
    """One upgrade from one release to the next."""

    source: str
    target: str
    seconds: float


@dataclass(frozen=True)
class Run:
    """One run of a scenario: hops, what the writers saw over all of it, what the engines said at the end."""

    scenario: str
    hops: list[Hop]
    report: Report
    versions: list[str]

    @property
    def seconds(self) -> float:
        return sum(hop.seconds for hop in self.hops)


# -- Galera ------------------------------------------------------------------------------------------------------


class Galera:
    """Three nodes behind HAProxy; upgrades "direct": rejoin by IST, then mariadb-upgrade on the live node."""

    def __init__(self, lab: Lab, root: Path) -> None:
        self._lab = lab
        self.root = root
        self.nodes = [lab.engine(number, 3306) for number in range(1, MEMBERS + 1)]
        self.address = (lab.address(9), 3306)
        self._addresses = [node.node[0] for node in self.nodes]
        self._active = 0
        for number, node in enumerate(self.nodes):
            bare.start_mariadb(node, root, self._addresses, bootstrap=number == 0)
            bare.wait_mariadb(node, galera=True)
        self._start_haproxy()

    def upgrade(self, root: Path) -> None:
        """Upgrade the nodes that take no traffic, move the traffic, upgrade the last one."""
        first = self._active
        others = [number for number in range(MEMBERS) if number != first]
        for number in others:
            self._upgrade_node(self.nodes[number], root)
        self._move(others[-1])
        self._upgrade_node(self.nodes[first], root)
        self.root = root

    def workload(self) -> Workload:
        address, port = self.address
        return Workload.start(
            kind="mariadb", address=address, port=port, user=USER, password=PASSWORD, database=DATABASE
        )

    def read_back(self, workload: Workload) -> None:
        workload.verify(members=[node.node for node in self.nodes])

    def versions(self) -> list[str]:
        return [str(said) for said in ask_versions("mariadb", [node.node for node in self.nodes], USER, PASSWORD)]

    def _upgrade_node(self, node: Engine, root: Path) -> None:
        bare.stop_mariadb(node)
        bare.start_mariadb(node, root, self._addresses)
        bare.wait_mariadb(node, galera=True)
        program = "mariadb-upgrade" if (root / "usr/bin/mariadb-upgrade").exists() else "mysql_upgrade"
        login = [f"--host={node.node[0]}", f"--port={node.node[1]}", f"--user={USER}", f"--password={PASSWORD}"]
        bare.run_inside(root, node.data, [program, "--no-defaults", *login])

    def _start_haproxy(self) -> None:
        self._socket = self._lab.directory / "haproxy.sock"
        lines = [
            *("global", f"  stats socket {self._socket} mode 600 level admin", "defaults", "  mode tcp"),
            *("  timeout connect 3s", "  timeout client 1h", "  timeout server 1h"),
            *("listen db", "  bind {}:{}".format(*self.address)),
        ]
        for number, node in enumerate(self.nodes):
            off = "" if number == self._active else " disabled"
            lines.append(f"  server n{number} {node.node[0]}:{node.node[1]}{off}")
        config = self._lab.directory / "haproxy.cfg"
        config.write_text("\n".join(lines) + "\n")
        self._lab.run_beside(["haproxy", "-db", "-f", str(config)])
        wait_for("HAProxy", lambda: mariadb_ask(self.address, "SELECT 1"), 10)

    def _haproxy(self, command: str) -> None:
        with socket.socket(socket.AF_UNIX) as control:
            control.connect(str(self._socket))
            control.sendall(command.encode() + b"\n")
            answer = control.recv(4096).decode().strip()
        if answer:
            raise RuntimeError(f"HAProxy answered {answer!r} to {command!r}")

    def _move(self, to: int) -> None:
        """Make before break: new connections go to the new node, old ones are ended while they sleep."""
        old = self._active
        self._haproxy(f"set server db/n{to} state ready")
        self._haproxy(f"set server db/n{old} state drain")
        node = self.nodes[old].node

        def emptied() -> bool:
            sessions = mariadb_ask(node, f"{_SESSIONS} WHERE user = '{USER}' AND id <> CONNECTION_ID()")
            for session, command in sessions or []:
                if command == "Sleep":
                    mariadb_ask(node, f"KILL {session}")
            return sessions == []

        wait_for("sessions to end on the old node", emptied, 10, pause=0.001)
        self._haproxy(f"set server db/n{old} state maint")
        self._active = to


# -- Redis Cluster -----------------------------------------------------------------------------------------------


class RedisCluster:
    """Three primaries with a replica each; per shard the replica first, CLUSTER FAILOVER, then the old primary."""

    def __init__(self, lab: Lab, root: Path) -> None:
        self.root = root
        self.nodes = [lab.engine(number, 6379) for number in range(1, 2 * MEMBERS + 1)]
        self._by_address = {node.node[0]: node for node in self.nodes}
        for node in self.nodes:
            bare.start_redis(node, root, cluster=True)
        for node in self.nodes:
            wait_for(f"{node.node[0]} to answer", partial(self._answers, node), 10)
        addresses = [f"{node.node[0]}:{node.node[1]}" for node in self.nodes]
        create = [bare.redis_program(root, "cli"), "--cluster", "create", *addresses]
        bare.run_inside(root, self.nodes[0].data, [*create, "--cluster-replicas", "1", "--cluster-yes"])
        wait_for("the cluster to form", self._all_linked, 30)
        for _, replica in self._shards():
            wait_for("replicas to be in sync", partial(self._in_sync, replica), 30)

    def upgrade(self, root: Path) -> None:
        for old, replica in self._shards():
            self._restart(replica, root)
            wait_for("all links of the cluster", self._all_linked, 30)
            self._catch_up(old, replica)
            redis_ask(replica.node, "CLUSTER", "FAILOVER")
            wait_for("the replica to be primary", partial(self._is, "master", replica), 10, 0.002)
            wait_for("the old primary to follow", partial(self._is, "slave", old), 10, 0.002)
            time.sleep(0.1)  # clients that write all the time learn the new owner before the old one goes
            self._restart(old, root)
            wait_for("all links of the cluster", self._all_linked, 30)
        self.root = root

    def workload(self) -> Workload:
        return Workload.start(kind="redis_cluster", nodes=[node.node for node in self.nodes])

    def read_back(self, workload: Workload) -> None:
        workload.verify()

    def versions(self) -> list[str]:
        return [str(said) for said in ask_versions("redis_cluster", [node.node for node in self.nodes])]

    def _restart(self, node: Engine, root: Path) -> None:
        bare.stop_redis(node)
        bare.start_redis(node, root, cluster=True)
        wait_for(f"{node.node[0]} to be in sync", lambda: self._in_sync(node), 60)

    def _replication(self, node: Engine) -> dict[str, str]:
        info = redis_ask(node.node, "INFO", "replication") or ""
        return dict(line.split(":", 1) for line in str(info).splitlines() if ":" in line)

    def _answers(self, node: Engine) -> bool:
        return bool(redis_ask(node.node, "PING") == "PONG")

    def _is(self, role: str, node: Engine) -> bool:
        return self._replication(node).get("role") == role

    def _in_sync(self, node: Engine) -> bool:
        """Tell whether a replica has all; a node just started calls itself a primary until it has read its table."""
        facts = self._replication(node)
        return facts.get("master_link_status") == "up" and facts.get("master_sync_in_progress") == "0"

    def _catch_up(self, primary: Engine, replica: Engine) -> None:
        """Wait until the replica has what the primary has now.

        With its link just up it may receive nothing for up to a second, until its first acknowledgement; a failover
        in that time keeps writers waiting.
        """
        goal = int(self._replication(primary)["master_repl_offset"])

        def caught_up() -> bool:
            return int(self._replication(replica).get("slave_repl_offset", -1)) >= goal

        wait_for("the replica to catch up", caught_up, 30, 0.005)

    def _view(self, node: Engine) -> list[list[str]]:
        return [line.split() for line in str(redis_ask(node.node, "CLUSTER", "NODES") or "").splitlines()]

    def _all_linked(self) -> bool:
        """Tell whether every node sees every node connected and without a failure flag."""
        for node in self.nodes:
            view = self._view(node)
            if len(view) != len(self.nodes):
                return False
            for _, _, flags, *rest in view:
                if rest[4] != "connected" or any(word in flags for word in ("fail", "handshake", "noaddr")):
                    return False
        return all("cluster_state:ok" in str(redis_ask(node.node, "CLUSTER", "INFO")) for node in self.nodes)

    def _shards(self) -> list[tuple[Engine, Engine]]:
        """Return (primary, replica) of each shard."""
        address = {}
        pairs = []
        for name, where, *_ in self._view(self.nodes[0]):
            address[name] = where.split(":")[0]
        for name, _, flags, primary, *_ in self._view(self.nodes[0]):
            if "slave" in flags:
                pairs.append((self._by_address[address[primary]], self._by_address[address[name]]))
        return pairs


# -- scenarios ---------------------------------------------------------------------------------------------------

SCENARIOS: dict[str, tuple[Callable[[Lab, Path], Galera | RedisCluster], tuple[str, ...]]] = {
    "galera-10.11-11.8": (Galera, ("mariadb-10.11", "mariadb-11.8")),
    "galera-10.5-10.11-11.8": (Galera, ("mariadb-10.5", "mariadb-10.11", "mariadb-11.8")),
    "cluster-7.0-8.0": (RedisCluster, ("redis-7.0", "redis-8.0")),
    "cluster-7.0-valkey-8.1": (RedisCluster, ("redis-7.0", "valkey-8.1")),
    "cluster-valkey-8.1-9.1": (RedisCluster, ("valkey-8.1", "valkey-9.1")),
}
"""Name: kind of cluster, and the recipes of its images from the first release to the last."""


@contextlib.contextmanager
def _loaded(workload: Workload) -> Iterator[Workload]:
    """Give the writers a moment before and after."""
    with workload:
        time.sleep(_IDLE_SECONDS)
        yield workload


def run(scenario: str, images: Builder) -> Run:
    """Run one scenario once; raises what went wrong, after everything started has been ended."""
    kind, recipes = SCENARIOS[scenario]
    roots = [Path(images.ensure(recipe, _say).path) for recipe in recipes]
    hops = []
    with Lab() as lab:
        cluster = kind(lab, roots[0])
        with _loaded(cluster.workload()) as workload:
            for before, after, root in zip(recipes, recipes[1:], roots[1:], strict=False):
                began = time.monotonic()
                cluster.upgrade(root)
                hops.append(Hop(before, after, round(time.monotonic() - began, 2)))
            time.sleep(_IDLE_SECONDS)
            workload.stop()
            cluster.read_back(workload)
            return Run(scenario, hops, workload.report(), cluster.versions())


def _say(text: str) -> None:
    print(f"  {text}", file=sys.stderr)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Upgrade clusters by hand while clients write, and measure it.")
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", help=f"any of {', '.join(SCENARIOS)} (all)")
    parser.add_argument("--runs", type=int, default=1, help="how often each (1)")
    parser.add_argument("--json", action="store_true", help="print one JSON document per run")
    options = parser.parse_args(arguments)
    unknown = [name for name in options.scenarios if name not in SCENARIOS]
    if unknown:
        parser.error(f"unknown scenario {unknown[0]!r}; choose from {', '.join(SCENARIOS)}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # leave nothing behind
    images = Builder(Path.cwd(), images_dir=default_images_dir())
    bad = False
    for scenario in options.scenarios or SCENARIOS:
        for _ in range(options.runs):
            result = run(scenario, images)
            bad = bad or bool(result.report.lost or result.report.differing)
            print(json.dumps(to_dict(result)) if options.json else to_line(result), flush=True)
    return 1 if bad else 0


def to_dict(result: Run) -> dict[str, Any]:
    return {**asdict(result), "seconds": round(result.seconds, 2)}


def to_line(result: Run) -> str:
    """Return the run in one line."""
    report = result.report
    hops = " + ".join(f"{hop.seconds:.1f}" for hop in result.hops)
    return (
        f"{result.scenario}: {hops} s; longest gap {report.longest_gap_ms:.0f} ms; errors "
        f"{report.errors_without_retry} without retry, {report.errors_with_retry} with; lost {report.lost} of "
        f"{report.acknowledged} acknowledged ({report.writes_per_second:.0f}/s), {report.unknown} unknown; slowest "
        f"write {report.slowest_write_ms:.0f} ms; now {', '.join(sorted(set(result.versions)))}"
    )


if __name__ == "__main__":
    sys.exit(main())
