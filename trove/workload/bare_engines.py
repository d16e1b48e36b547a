"""Engines started by hand on image trees, without the service: what benchmarks compare with and tests kill.

Everything here is the shortest thing that works; nothing is supervised, nothing survives its `Lab`.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from trove.datastores.mariadb.guest_config import GROUP_TIMERS
from trove.workload.target import Node

USER = "bench"
PASSWORD = "bench"
DATABASE = "bench"
_TEMPLATE = "usr/share/trove/template"
_INSIDE_UID = "990"  # the images' own user

T = TypeVar("T")


def wait_for(what: str, test: Callable[[], T | None], timeout: float, pause: float = 0.01) -> T:
    """Return the test's first true answer; TimeoutError says what was waited for."""
    deadline = time.monotonic() + timeout
    while True:
        answer = test()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {timeout:.0f} s in vain: {what}")
        time.sleep(pause)


class Engine:
    """One engine process on one loopback address with its data directory; the image may change between starts."""

    def __init__(self, node: Node, data: Path) -> None:
        self.node = node
        self.data = data
        self._process: subprocess.Popen[bytes] | None = None
        self._pid = 0

    def start(self, root: Path, command: Sequence[str]) -> None:
        """Start the command inside the image tree; returns at once."""
        read, write = os.pipe()
        with (self.data.parent / f"{self.data.name}.log").open("ab") as log:
            self._process = subprocess.Popen(
                sandbox(root, self.data, ["--info-fd", str(write)], command),
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                pass_fds=(write,),
            )
        os.close(write)
        with os.fdopen(read) as info:
            reaper = int(json.loads(info.read())["child-pid"])
        children = Path(f"/proc/{reaper}/task/{reaper}/children")
        self._pid = int(wait_for("the engine's process", lambda: children.read_text().split(), 5)[0])

    def signal(self, number: int) -> None:
        """Send a signal to the engine itself, not to the sandbox around it."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._pid, number)

    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def wait(self, timeout: float) -> bool:
        """Wait for the end of the process; tells whether it came."""
        if self._process is None:
            return True
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            return False
        return True

    def kill(self) -> None:
        """End the process without asking."""
        if self.running():
            self.signal(signal.SIGKILL)
            if not self.wait(5) and self._process is not None:
                self._process.kill()
                self._process.wait()

    def log(self, lines: int = 15) -> str:
        """Return the end of what the engine printed."""
        text = (self.data.parent / f"{self.data.name}.log").read_text(errors="replace")
        return "\n".join(text.splitlines()[-lines:])


class Lab:
    """A temporary directory, a run of free loopback addresses and the processes in them; all gone at the end."""

    def __init__(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="trove-bare-"))
        self._net = _free_net()
        self._engines: list[Engine] = []
        self._helpers: list[subprocess.Popen[bytes]] = []

    def address(self, number: int) -> str:
        return f"{self._net}.{number}"

    def engine(self, number: int, port: int) -> Engine:
        """Return a new, not yet started engine with an empty data directory."""
        data = self.directory / f"node{number}"
        data.mkdir()
        engine = Engine((self.address(number), port), data)
        self._engines.append(engine)
        return engine

    def run_beside(self, command: Sequence[str]) -> None:
        """Start a helper process that ends with the lab, or with this process however that dies."""
        command = ["setpriv", "--pdeathsig", "KILL", *command]
        with (self.directory / "helpers.log").open("ab") as log:
            self._helpers.append(subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL))

    def __enter__(self) -> Lab:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for engine in self._engines:
            engine.kill()
        for helper in self._helpers:
            helper.kill()
            helper.wait()
        shutil.rmtree(self.directory, ignore_errors=True)


def sandbox(root: Path, data: Path, options: Sequence[str], command: Sequence[str]) -> list[str]:
    """Return the command line that runs a program of the image with /data, as root or as an ordinary user."""
    return [
        *("bwrap", "--die-with-parent", "--new-session", "--unshare-user", "--unshare-pid", "--unshare-ipc"),
        *("--unshare-uts", "--uid", _INSIDE_UID, "--gid", _INSIDE_UID, "--ro-bind", str(root), "/"),
        *("--bind", str(data), "/data", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--tmpfs", "/run"),
        *("--chdir", "/data", "--clearenv", "--setenv", "PATH", "/usr/sbin:/usr/bin:/sbin:/bin"),
        *("--setenv", "LC_ALL", "C", *options, *command),
    ]


def run_inside(root: Path, data: Path, command: Sequence[str], timeout: float = 60) -> str:
    """Run a program of the image to its end; RuntimeError with its last words."""
    done = subprocess.run(
        sandbox(root, data, [], command), capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL
    )
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed: {(done.stderr or done.stdout).strip()[-500:]}")
    return done.stdout


# -- MariaDB -----------------------------------------------------------------------------------------------------

_TIMERS = "; ".join(f"{name}={value}" for name, value in GROUP_TIMERS.items())


def start_mariadb(engine: Engine, root: Path, members: Sequence[str] = (), bootstrap: bool = False) -> None:
    """Start MariaDB; with `members` (addresses) as a node of their Galera cluster, which `bootstrap` founds."""
    address, port = engine.node
    lines = [
        *("[mysqld]", "datadir=/data/db", "socket=/data/db.sock", "pid-file=/data/db.pid", "skip-name-resolve"),
        *(f"bind-address={address}", f"port={port}", "innodb_log_file_size=48M", "binlog_format=ROW"),
        *("default_storage_engine=InnoDB", "innodb_autoinc_lock_mode=2", "innodb_fast_shutdown=1"),
    ]
    if not (engine.data / "db").exists():
        # A joiner gets its data from the cluster and needs only the empty directory.
        (engine.data / "db").mkdir()
        if not members or bootstrap:
            shutil.copytree(root / _TEMPLATE, engine.data / "db", dirs_exist_ok=True)
            (engine.data / "init.sql").write_text(
                f"CREATE DATABASE {DATABASE};\n"
                f"GRANT ALL ON *.* TO '{USER}'@'%' IDENTIFIED BY '{PASSWORD}' WITH GRANT OPTION;\n"
            )
            lines.append("init_file=/data/init.sql")
    if members:
        options = f"gmcast.listen_addr=tcp://{address}:4567; ist.recv_addr={address}:4568; gcache.size=128M; {_TIMERS}"
        provider = next(root.glob("usr/lib/**/libgalera_smm.so"))
        lines += [
            *("wsrep_on=ON", f"wsrep_provider=/{provider.relative_to(root)}", "wsrep_sst_method=rsync"),
            f"wsrep_cluster_address=gcomm://{','.join(f'{member}:4567' for member in members)}",
            *("wsrep_cluster_name=bare", f"wsrep_node_address={address}", "wsrep_slave_threads=4"),
            f"wsrep_sst_receive_address={address}:4444",
            f'wsrep_provider_options="{options}"',
        ]
    (engine.data / "my.cnf").write_text("\n".join(lines) + "\n")
    program = "mariadbd" if (root / "usr/sbin/mariadbd").exists() else "mysqld"
    engine.start(root, [program, "--defaults-file=/data/my.cnf", *(["--wsrep-new-cluster"] if bootstrap else [])])


def mariadb_ask(node: Node, sql: str) -> list[tuple[Any, ...]] | None:
    """Run one statement on a node of its own connection; None when it cannot be had now."""
    import pymysql

    try:
        with (
            contextlib.closing(
                pymysql.connect(
                    host=node[0], port=node[1], user=USER, password=PASSWORD, autocommit=True, connect_timeout=2
                )
            ) as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute(sql)
            return list(cursor.fetchall())
    except (pymysql.err.Error, OSError):
        return None


def wait_mariadb(engine: Engine, galera: bool, timeout: float = 60) -> None:
    """Wait until the engine serves and, in a cluster, is in sync; RuntimeError with its log when it ends instead."""

    def ready() -> bool:
        if not engine.running():
            raise RuntimeError(f"MariaDB on {engine.node[0]} ended:\n{engine.log()}")
        if not galera:
            return mariadb_ask(engine.node, "SELECT 1") is not None
        rows = mariadb_ask(
            engine.node, "SHOW STATUS WHERE Variable_name IN ('wsrep_local_state_comment', 'wsrep_ready')"
        )
        return rows is not None and {str(row[1]) for row in rows} == {"Synced", "ON"}

    wait_for(f"MariaDB on {engine.node[0]} in sync", ready, timeout, pause=0.05)


def stop_mariadb(engine: Engine) -> None:
    engine.signal(signal.SIGTERM)
    if not engine.wait(60):
        engine.kill()


# -- Redis and Valkey --------------------------------------------------------------------------------------------


def redis_program(root: Path, part: str) -> str:
    """Return `redis-server` or `valkey-server` (part `server`), whichever the image has."""
    return next(name for name in (f"valkey-{part}", f"redis-{part}") if (root / "usr/bin" / name).exists())


def start_redis(engine: Engine, root: Path, cluster: bool = False) -> None:
    address, port = engine.node
    lines = [f"bind {address}", f"port {port}", "dir /data", "appendonly yes", "save ''", "protected-mode no"]
    if cluster:
        lines += [
            *("cluster-enabled yes", "cluster-config-file /data/nodes.conf", "cluster-node-timeout 2000"),
            *(f"cluster-announce-ip {address}", "repl-diskless-sync-delay 0"),
        ]
    (engine.data / "redis.conf").write_text("\n".join(lines) + "\n")
    engine.start(root, [redis_program(root, "server"), "/data/redis.conf"])


def redis_ask(node: Node, *command: str) -> Any:
    """Send one command over a connection of its own; None when no answer can be had now."""
    from redis.exceptions import RedisError

    from trove.workload.redis_clients import open_connection
    from trove.workload.target import Target

    connection = open_connection(Target("redis", (node,), "control"), node, timeout=1.0)
    try:
        connection.send_command(*command)
        return connection.read_response()
    except (RedisError, OSError):
        return None
    finally:
        connection.disconnect()


def stop_redis(engine: Engine) -> None:
    """SHUTDOWN NOSAVE (the append-only file has all), then force: a signal alone was seen to be ignored."""
    redis_ask(engine.node, "SHUTDOWN", "NOSAVE")
    if not engine.wait(5):
        engine.kill()


def _free_net() -> str:
    """Find 127.x.y whose engine ports nobody uses."""
    for _ in range(50):
        net = f"127.{random.randint(200, 250)}.{random.randint(1, 250)}"
        with contextlib.suppress(OSError):
            for number in range(1, 10):
                for port in (3306, 4567, 6379, 16379):
                    with socket.socket() as probe:
                        probe.bind((f"{net}.{number}", port))
            return net
    raise RuntimeError("found no free run of loopback addresses")
