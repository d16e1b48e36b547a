"""Guest side of Redis and Valkey: one engine, alone or as a node of a cluster."""

from __future__ import annotations

import os
import secrets
import signal
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from trove.datastores.redis import guest_config
from trove.datastores.redis.guest_nodes import myself, parse
from trove.datastores.redis.guest_resp import Connection, ReplyError, fields
from trove.guest.agent import files
from trove.guest.agent.errors import EngineDown, GuestError
from trove.guest.agent.manager import POLL, Operation, Progress, Settings, tail
from trove.guest.agent.manager import Manager as BaseManager
from trove.guest.agent.process import output_of

PROGRAMS = ("/usr/bin/valkey-server", "/usr/bin/redis-server")
"""The links, not what they point to: the program looks at its name to know what it is."""

DATA = ("appendonlydir", "appendonly.aof", "dump.rdb")
"""What reseed removes; `nodes.conf`, the node's identity, stays."""

LEAVE_QUIET, LEAVE_PATIENCE = 0.06, 0.3
"""Before a node leaves: seconds without a client being shown to another node, and at most to wait for that."""


class Manager(BaseManager):
    """See `trove.guest.agent.manager.Manager`; more kinds for clusters in `guest_cluster`."""

    start_timeout = 600.0
    """Reading a large append-only file takes its time; an engine that cannot start ends by itself."""
    unlocked = BaseManager.unlocked | {"await_cluster"}

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._local: Connection | None = None
        self._talking = threading.Lock()
        self._config_file = settings.kept("redis.conf")
        self._access_file = settings.kept("users.acl")

    def operations(self) -> dict[str, Operation]:
        """Return the kinds of every engine and those of clusters."""
        return {**super().operations(), **{kind: self._of_cluster(kind) for kind in CLUSTER_KINDS}}

    def _of_cluster(self, kind: str) -> Operation:
        def run(params: dict[str, Any], progress: Progress) -> dict[str, Any]:
            # Imported when needed: the agent's start is time in which an upgraded member is away.
            from trove.datastores.redis import guest_cluster

            if self.cluster is None:
                raise GuestError("this instance is not a node of a cluster")
            operation: Callable[..., dict[str, Any]] = getattr(guest_cluster, kind)
            return operation(self, params, progress)

        return run

    # -- hooks --------------------------------------------------------------------------------------------------------

    def argv(self) -> Sequence[str]:
        return [program(), self._config_file]

    def write_config(self) -> None:
        number = tuple(int(part) for part in _version_of(program()).split("."))
        internal = {guest_config.AGENT_USER: self.password()}
        if self.cluster is not None:
            internal[guest_config.CLUSTER_USER] = guest_config.secret_of(self.cluster)
        present = files.read_text(self._access_file) or ""
        users = guest_config.access_list(present, self.state.get("users") or [], internal, number)
        text = guest_config.config(self.settings, number, self.cluster, self._access_file)
        for path, content in ((self._access_file, users), (self._config_file, text)):
            if files.read_text(path) != content:
                files.write_text(path, content, durable=True)

    def apply_config(self) -> None:
        self.call("ACL", "LOAD")

    def populate(self, params: dict[str, Any], progress: Progress) -> None:
        # A second prepare finds the engine running with the users of the first.
        self.call("ACL", "LOAD")

    def launch(self, extra: Sequence[str] = ()) -> None:
        self.tidy()
        super().launch(extra)

    def ping(self) -> None:
        self.call("PING")

    def request_stop(self) -> None:
        """Send SHUTDOWN until the engine takes it.

        It refuses (and ignores SIGTERM, too) while it writes its first append-only file after a full copy. That passes
        in a moment, or with much data does not: then it is told not to mind, as it has to be copied again anyhow.
        NOSAVE: the append-only file has everything, and is flushed on the way out.
        """
        deadline = time.monotonic() + self.stop_timeout / 2
        while True:
            late = time.monotonic() >= deadline
            try:
                connection = self._connect()
                connection.patience(self.stop_timeout / 2)
                try:
                    connection.call("SHUTDOWN", "NOSAVE", *(["FORCE"] if late else []))
                finally:
                    connection.close()
            except ReplyError:
                if late:
                    return self.engine.signal(signal.SIGTERM)
                time.sleep(POLL)
            except EngineDown:
                # The closed connection is the answer. Where nothing listened the signal is the second way.
                if self.engine.alive() and not self.engine.wait(1.0):
                    self.engine.signal(signal.SIGTERM)
                return None

    def before_upgrade(self, params: dict[str, Any], progress: Progress) -> None:
        """Let clients of a node that was primary a moment ago find its successor before their connections end."""
        if self.cluster is None:
            return
        deadline = time.monotonic() + LEAVE_PATIENCE
        shown, quiet = 0, time.monotonic()
        while time.monotonic() < min(deadline, quiet + LEAVE_QUIET):
            count = redirections(fields(self.call("INFO", "errorstats")))
            if count == 0:
                return
            if count != shown:
                shown, quiet = count, time.monotonic()
            time.sleep(POLL)

    def wipe(self) -> None:
        """Remove the data, not the identity; refused where this node has become the one that has the data."""
        if leads(files.read_text(os.path.join(self.settings.engine_dir, "nodes.conf")) or ""):
            raise GuestError(
                "this node has become the primary of its shard in the meantime, so its data is the shard's and is kept"
            )
        for name in DATA:
            files.remove(os.path.join(self.settings.engine_dir, name))
        self._plain_identity()

    def copy_from_peers(self, params: dict[str, Any], progress: Progress) -> None:
        if self.cluster is None:
            raise GuestError("a single instance has no peer to copy from")
        self.start_engine(progress)
        progress("copying everything from the primary")
        self.await_sync({"timeout": params.get("timeout", 600.0)}, progress)

    def console(self) -> str:
        return tail(self.settings.kept("engine.log"))

    def tidy(self) -> None:
        files.rotate(self.settings.kept("engine.log"))

    def observe(self) -> dict[str, Any]:
        commands: list[tuple[str, ...]] = [("INFO",)]
        if self.cluster is not None:
            commands += [("CLUSTER", "INFO"), ("CLUSTER", "NODES")]
        replies = self.calls(commands)
        for reply in replies:
            if isinstance(reply, ReplyError):
                raise EngineDown(str(reply))
        return describe(fields(replies[0]), replies[1:])

    # -- talking to the engine ----------------------------------------------------------------------------------------

    def password(self) -> str:
        """Return the agent's own password at this engine; made once."""
        path = self.settings.kept("password")
        kept = files.read_text(path)
        if not kept:
            kept = secrets.token_hex(24)
            files.write_text(path, kept, durable=True)
        return kept

    def call(self, *words: Any) -> Any:
        """Send the engine one command; ReplyError, EngineDown."""
        reply = self.calls([words])[0]
        if isinstance(reply, ReplyError):
            raise reply
        return reply

    def calls(self, commands: Sequence[Sequence[Any]]) -> list[Any]:
        """Send the engine several commands over the kept connection, over a new one where that has gone stale."""
        with self._talking:
            kept = self._local
            if kept is not None:
                try:
                    return kept.calls(commands)
                except EngineDown:
                    self._drop()
            self._local = self._connect()
            try:
                return self._local.calls(commands)
            except EngineDown:
                self._drop()
                raise

    def _connect(self) -> Connection:
        where = self.settings.address, self.settings.engine_port
        try:
            return Connection(*where, guest_config.AGENT_USER, self.password())
        except ReplyError as error:
            raise EngineDown(f"the engine refuses the agent's password: {error}") from None

    def _drop(self) -> None:
        if self._local is not None:
            self._local.close()
            self._local = None

    def _plain_identity(self) -> None:
        """Strip from nodes.conf what newer releases add to addresses, as older ones take it for a host name."""
        path = os.path.join(self.settings.engine_dir, "nodes.conf")
        text = files.read_text(path)
        if text is None:
            return
        lines = []
        for line in text.splitlines():
            words = line.split(" ")
            if len(words) > 7:
                words[1] = words[1].split(",")[0]
            lines.append(" ".join(words))
        files.write_text(path, "\n".join(lines) + "\n", durable=True)


CLUSTER_KINDS = (
    "cluster_create",
    "cluster_failover",
    "await_cluster",
    "cluster_add",
    "cluster_rebalance",
    "cluster_drain",
    "cluster_remove",
)


def leads(nodes_conf: str) -> bool:
    """Tell whether a node is, by its own file, a primary that holds slots (words 2 and 8 on of its own line)."""
    for line in nodes_conf.splitlines():
        words = line.split(" ")
        if len(words) > 7 and "myself" in words[2].split(","):
            return "master" in words[2].split(",") and len(words) > 8
    return False


def program() -> str:
    """Return the engine's program in this image."""
    for path in PROGRAMS:
        if os.path.exists(path):
            return path
    raise GuestError(f"this image has neither {' nor '.join(PROGRAMS)}")


def _version_of(path: str) -> str:
    """Return the program's version number: it says `Redis server v=7.0.15 sha=...`."""
    said = output_of([path, "--version"])
    for word in said.split():
        if word.startswith("v="):
            return word[2:]
    raise GuestError(f"{path} does not tell its version: {said[:100]!r}")


def redirections(stats: dict[str, str]) -> int:
    """Return how often the engine has shown clients to another node (`errorstat_MOVED:count=5`); 0 before 6.2."""
    return int(stats.get("errorstat_MOVED", "count=0").partition("=")[2])


def describe(info: dict[str, str], cluster: Sequence[Any]) -> dict[str, Any]:
    """Make the health fields of INFO and, for a node, the replies to CLUSTER INFO and CLUSTER NODES."""
    number = info.get("valkey_version") or info.get("redis_version", "")
    replica = info.get("role") == "slave"
    detail: dict[str, Any] = {name: info[name] for name in TOLD if name in info}
    reasons = []
    if info.get("loading", "0") != "0":
        reasons.append("it is loading its data")
    if replica and info.get("master_link_status") != "up":
        reasons.append("its link to the primary is down")
    if replica and info.get("master_sync_in_progress", "0") != "0":
        reasons.append("it is copying from the primary")
    members: int | None = None
    if cluster:
        state = fields(cluster[0])
        nodes = parse(cluster[1])
        me = myself(nodes)
        members = sum(1 for node in nodes if (node.connected or node.myself) and not node.ill)
        detail.update(
            node_id=me.id,
            master_id=me.master_id,
            slots=me.slot_count,
            cluster_state=state.get("cluster_state", ""),
            cluster_slots_assigned=int(state.get("cluster_slots_assigned", 0)),
            current_epoch=int(state.get("cluster_current_epoch", 0)),
            shards=shards(nodes),
        )
        if state.get("cluster_state") != "ok":
            reasons.append(f"it says cluster_state {state.get('cluster_state', 'unknown')}")
        if not me.primary and not replica:
            # A node that has just started calls itself a primary until it has read its table.
            replica = True
            reasons.append("it is becoming a replica")
    lag: int | None = None
    if replica and "slave_read_repl_offset" in info:
        lag = max(0, int(info["slave_read_repl_offset"]) - int(info.get("slave_repl_offset", 0)))
    return {
        "version": number,
        "version_number": number,
        "role": "replica" if replica else "primary",
        "in_sync": not reasons,
        "lag_bytes": lag,
        "members_seen": members,
        "reason": "; ".join(reasons),
        "detail": detail,
    }


TOLD = (
    "server_name",
    "redis_version",
    "valkey_version",
    "run_id",
    "uptime_in_seconds",
    "role",
    "connected_slaves",
    "master_host",
    "master_port",
    "master_link_status",
    "master_sync_in_progress",
    "master_repl_offset",
    "slave_repl_offset",
    "connected_clients",
    "used_memory",
    "maxmemory",
    "aof_last_write_status",
    "aof_last_bgrewrite_status",
    "loading",
)
"""Fields of INFO that are passed on as the engine said them."""


def shards(nodes: Sequence[Any]) -> list[dict[str, Any]]:
    """Group the nodes by primary: id, address, slots and the replicas' ids."""
    return [
        {
            "primary": node.id,
            "address": f"{node.address}:{node.port}",
            "slots": ["-".join(str(end) for end in dict.fromkeys(ends)) for ends in node.ranges],
            "replicas": sorted(other.id for other in nodes if other.master_id == node.id),
        }
        for node in nodes
        if node.primary
    ]
