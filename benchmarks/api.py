"""Measure the API: requests per second, latency, CPU time, memory and start-up time of the real `trove-api`.

    python benchmarks/api.py [--sizes 1000 10000] [--clients 1 16] [--seconds 3] [--quick]

A database is filled with instances and a cluster, `trove-api` is started on it as a process of its own with HTTP basic
authentication and its default settings, and asked over kept-alive connections from one thread of this process, so that
asking costs little beside answering. CPU time is the server's own, from the kernel. The figures of one machine are
comparable only while nothing else runs there: the load before the start is written down with them.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import platform
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from trove.api.auth.basic import add_user
from trove.datastores.registry import ENGINES
from trove.db import rows
from trove.db.seeds import seed
from trove.db.store import open_store
from trove.db.tables import clusters, instances
from trove.domain.health import Health
from trove.domain.instances import Cluster, Instance
from trove.domain.states import ClusterTask, EngineStatus, InstanceTask

RESULTS = Path(__file__).parent / "results"
PROJECT, USER, PASSWORD = "main", "bench", "correct horse battery staple"
HOST = "127.77.9.1"
CLUSTER, MEMBER = str(uuid.UUID(int=1)), str(uuid.UUID(int=2))
TICKS = os.sysconf("SC_CLK_TCK")

GOALS = {"list": 480.0, "show": 1245.0, "cluster show": 520.0}
"""Requests per second of one process: thirty, five and ten times what the released Trove server answers."""
GOAL_RSS_MB, GOAL_START_S = 200, 3.0


@dataclass
class Figures:
    """One kind of request, so many clients, so many instances."""

    what: str
    instances: int
    clients: int
    per_second: float
    p50_ms: float
    p99_ms: float
    cpu_ms: float
    requests: int
    answer_bytes: int


@dataclass
class Startup:
    """What it takes to get going."""

    instances: int
    seconds: float
    cpu_seconds: float
    rss_mb_idle: float
    rss_mb_after: float


def main() -> int:
    """Measure, print, write. Exit code 1 when a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[1000, 10_000], help="instances in the database")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 16])
    parser.add_argument("--seconds", type=float, default=3.0, help="of each measurement")
    parser.add_argument("--threads", type=int, default=2, help="of the server")
    parser.add_argument("--no-write", action="store_true", help="print only")
    options = parser.parse_args()
    load = os.getloadavg()[0]
    figures: list[Figures] = []
    startups: list[Startup] = []
    for size in options.sizes:
        with tempfile.TemporaryDirectory(prefix="trove-bench-") as scratch:
            measured, startup = measure_size(Path(scratch), size, options)
            figures += measured
            startups.append(startup)
    print_tables(figures, startups, load)
    if not options.no_write:
        write(figures, startups, load, options)
    return 0 if goals_met(figures, startups) else 1


def measure_size(scratch: Path, size: int, options: argparse.Namespace) -> tuple[list[Figures], Startup]:
    """Fill a database, start a server on it, and ask."""
    fill(scratch, size)
    server, seconds, port = start(scratch, options.threads)
    try:
        startup = Startup(size, seconds, cpu_seconds(server.pid), rss_mb(server.pid), 0.0)
        base = f"/v1.0/{PROJECT}"
        create = {
            "instance": {
                "name": "new",
                "flavorRef": "1",
                "volume": {"size": 1},
                "datastore": {"type": "mariadb", "version": "10.11"},
            }
        }
        requests = {
            "list": request("GET", f"{base}/instances?limit=20", port),
            "show": request("GET", f"{base}/instances/{MEMBER}", port),
            "cluster show": request("GET", f"{base}/clusters/{CLUSTER}", port),
            "create": request("POST", f"{base}/instances", port, create),
        }
        figures = []
        for what, raw in requests.items():
            ask(server.pid, port, raw, clients=4, seconds=0.3)
            for clients in options.clients:
                latencies, taken, cpu, size_of_answer = ask(server.pid, port, raw, clients, options.seconds)
                figures.append(summarise(what, size, clients, latencies, taken, cpu, size_of_answer))
        startup.rss_mb_after = rss_mb(server.pid)
        return figures, startup
    finally:
        server.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            server.wait(15)
        server.kill()
        server.wait()


def fill(scratch: Path, size: int) -> None:
    """Make a state directory with a user and a database of `size` instances and a cluster of three members."""
    add_user(scratch / "htpasswd", scratch / "users.yaml", USER, PASSWORD, PROJECT, ["admin", "member"])
    store = open_store(f"sqlite:///{scratch / 'trove.sqlite'}")
    seed(store, ENGINES)
    version = next(each for each in store.datastore("mariadb").versions if each.name == "10.11")
    now = datetime.now(UTC).replace(tzinfo=None)
    # Observed in the future, so that the engines are not called silent half-way through.
    health = Health(
        EngineStatus.HEALTHY, "10.11.9-MariaDB", "10.11.9", "member", True, None, 3, 10**8, 10**10, "",
        (now + timedelta(days=1)).isoformat(timespec="microseconds"),
        {"wsrep_local_state_comment": "Synced", "wsrep_cluster_size": "3"},
    )  # fmt: skip

    def instance(key: str, name: str, cluster_id: str | None = None) -> Instance:
        return Instance(
            key, PROJECT, name, version, "1", 1, "127.99.0.1", 3306, InstanceTask.NONE,
            cluster_id=cluster_id, ram_mb=256, vcpus=1, health=health, created=now,
        )  # fmt: skip

    cluster = Cluster(
        CLUSTER, PROJECT, "shop", version, ClusterTask.NONE,
        endpoint_address="127.99.0.2", endpoint_port=3306, active_member_id=MEMBER, created=now,
    )  # fmt: skip
    singles = [rows.instance_values(instance(str(uuid.uuid4()), f"db-{n}"), 0, now) for n in range(size)]
    members = [
        rows.instance_values(instance(str(uuid.UUID(int=2 + n)), f"shop-member-{n + 1}", CLUSTER), n, now)
        for n in range(3)
    ]

    def write_rows(conn: sa.Connection) -> None:
        conn.execute(sa.insert(clusters).values(rows.cluster_values(cluster, now)))
        conn.execute(sa.insert(instances), singles + members)

    store.database.write(write_rows)
    unlimited = dict.fromkeys(("instances", "volumes", "ram"), -1)
    store.set_quota_limits(PROJECT, unlimited)
    store.close()


def start(scratch: Path, threads: int) -> tuple[subprocess.Popen[bytes], float, int]:
    """Start the server; return it, the seconds until it answered, and its port."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "trove.cmd.api", "--state-dir", str(scratch), "--bind-host", HOST]
    command += ["--bind-port", str(port), "--threads", str(threads), "--auth-strategy", "http_basic"]
    with (scratch / "log").open("wb") as log:
        begin = time.perf_counter()
        server = subprocess.Popen(command, stdout=log, stderr=log)
    deadline = begin + 60
    while time.perf_counter() < deadline and server.poll() is None:
        try:
            with socket.create_connection((HOST, port), timeout=5) as sock:
                sock.sendall(request("GET", "/healthcheck", port))
                if sock.recv(1024).startswith(b"HTTP/1.1 200"):
                    return server, time.perf_counter() - begin, port
        except OSError:
            time.sleep(0.01)
    server.kill()
    server.wait()
    raise SystemExit(f"the server did not start:\n{(scratch / 'log').read_text()[-2000:]}")


def request(method: str, path: str, port: int, body: Any = None) -> bytes:
    """Return a whole HTTP request."""
    data = b"" if body is None else json.dumps(body).encode()
    credentials = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    lines = [
        f"{method} {path} HTTP/1.1",
        f"Host: {HOST}:{port}",
        f"Authorization: Basic {credentials}",
        "Accept: application/json",
    ]
    if data:
        lines += ["Content-Type: application/json", f"Content-Length: {len(data)}"]
    return "\r\n".join([*lines, "", ""]).encode() + data


@dataclass
class _Connection:
    sock: socket.socket
    sent: float = 0.0
    received: bytes = b""


def ask(pid: int, port: int, raw: bytes, clients: int, seconds: float) -> tuple[list[float], float, float, int]:
    """Let clients send the same request again and again, each as soon as it has its answer.

    Returns latencies and time taken (seconds), CPU time of the server (seconds) and the size of an answer (bytes).
    """
    selector = selectors.DefaultSelector()
    latencies: list[float] = []
    size = 0
    for _ in range(clients):
        connection = _Connection(socket.create_connection((HOST, port), timeout=30))
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        selector.register(connection.sock, selectors.EVENT_READ, connection)
    used = cpu_seconds(pid)
    begin = time.perf_counter()
    for key in list(selector.get_map().values()):
        key.data.sent = time.perf_counter()
        key.data.sock.sendall(raw)
    end = begin + seconds
    while time.perf_counter() < end:
        ready = selector.select(10)
        if not ready:
            raise SystemExit("no answer for 10 seconds")
        for key, _ in ready:
            connection = key.data
            connection.received += connection.sock.recv(262_144)
            length = answer_length(connection.received)
            if length is None or len(connection.received) < length:
                continue
            now = time.perf_counter()
            latencies.append(now - connection.sent)
            size = length
            connection.received = b""
            connection.sent = now
            connection.sock.sendall(raw)
    taken = time.perf_counter() - begin
    used = cpu_seconds(pid) - used
    for key in list(selector.get_map().values()):
        key.data.sock.close()
    selector.close()
    return latencies, taken, used, size


def answer_length(received: bytes) -> int | None:
    """Return how many bytes the answer has, None while its head is incomplete. Anything but 200 ends everything."""
    head = received.find(b"\r\n\r\n")
    if head < 0:
        if not received:
            raise SystemExit("the server closed a connection")
        return None
    if received[9:12] != b"200":
        raise SystemExit(f"unexpected answer: {received[:500]!r}")
    lower = received[:head].lower()
    at = lower.find(b"content-length:")
    return head + 4 + int(lower[at + 15 :].split(b"\r\n", 1)[0])


def summarise(
    what: str, size: int, clients: int, latencies: list[float], taken: float, cpu: float, answer: int
) -> Figures:
    """Make figures of raw measurements."""
    latencies.sort()
    count = len(latencies)
    return Figures(
        what=what,
        instances=size,
        clients=clients,
        per_second=round(count / taken, 1),
        p50_ms=round(latencies[count // 2] * 1000, 2),
        p99_ms=round(latencies[int(count * 0.99)] * 1000, 2),
        cpu_ms=round(cpu / count * 1000, 3),
        requests=count,
        answer_bytes=answer,
    )


def cpu_seconds(pid: int) -> float:
    """Return the CPU time a process has used, in user and in kernel mode."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def rss_mb(pid: int) -> float:
    """Return the memory a process holds."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return round(int(line.split()[1]) / 1024, 1)
    return 0.0


def goals_met(figures: Iterable[Figures], startups: Iterable[Startup]) -> bool:
    """Tell whether every goal is reached, each kind of request by its best number of clients at every size."""
    best: dict[tuple[str, int], float] = {}
    for each in figures:
        key = (each.what, each.instances)
        best[key] = max(best.get(key, 0.0), each.per_second)
    fast = all(rate >= GOALS.get(what, 0.0) for (what, _), rate in best.items())
    return fast and all(each.rss_mb_after < GOAL_RSS_MB and each.seconds < GOAL_START_S for each in startups)


def print_tables(figures: Sequence[Figures], startups: Sequence[Startup], load: float) -> None:
    """Print what was measured beside the goals."""
    print(f"\n{machine()['cpu']}, {os.cpu_count()} cores, load before the start {load:.2f}\n")
    print(
        f"{'request':14}{'instances':>10}{'clients':>8}{'per s':>9}{'goal':>7}{'p50 ms':>9}{'p99 ms':>9}{'CPU ms':>8}"
    )
    for each in figures:
        goal = f"{GOALS[each.what]:.0f}" if each.what in GOALS else "-"
        print(
            f"{each.what:14}{each.instances:>10}{each.clients:>8}{each.per_second:>9.0f}{goal:>7}"
            f"{each.p50_ms:>9.2f}{each.p99_ms:>9.2f}{each.cpu_ms:>8.2f}"
        )
    print()
    for startup in startups:
        print(
            f"{startup.instances} instances: started in {startup.seconds:.2f} s (goal {GOAL_START_S:.0f}), "
            f"{startup.rss_mb_idle:.0f} MB then, {startup.rss_mb_after:.0f} MB at the end (goal {GOAL_RSS_MB})"
        )


def machine() -> dict[str, Any]:
    """Describe this machine."""
    cpu = platform.processor() or platform.machine()
    with suppress(OSError):
        names = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
        cpu = names[0].split(":", 1)[1].strip() if names else cpu
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
    return {
        "cpu": cpu,
        "cores": os.cpu_count(),
        "memory_mb": memory,
        "kernel": platform.release(),
        "python": platform.python_version(),
        "sqlite": __import__("sqlite3").sqlite_version,
    }


def write(figures: list[Figures], startups: list[Startup], load: float, options: argparse.Namespace) -> None:
    """Keep the results."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"api-{date.today().isoformat()}.json"
    document = {
        "machine": machine(),
        "load_before": round(load, 2),
        "niceness": os.nice(0),
        "options": {"seconds": options.seconds, "threads": options.threads, "authentication": "http_basic"},
        "goals": {"per_second": GOALS, "rss_mb": GOAL_RSS_MB, "start_seconds": GOAL_START_S},
        "startup": [asdict(each) for each in startups],
        "requests": [asdict(each) for each in figures],
    }
    path.write_text(json.dumps(document, indent=1) + "\n")
    print(f"\nwritten to {path}")


if __name__ == "__main__":
    sys.exit(main())
