"""Ask engines which version they are."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from trove.workload.target import Kind, Node, Target


@dataclass(frozen=True)
class EngineVersion:
    """What one engine said of itself: `name` is `mariadb`, `redis` or `valkey`, `version` like `10.11.19`."""

    node: Node
    name: str
    version: str

    @property
    def release(self) -> str:
        """Major and minor number, `10.11`."""
        return ".".join(self.version.split(".")[:2])

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


def ask_version(kind: Kind, node: Node, user: str | None = None, password: str | None = None) -> EngineVersion:
    """Ask one engine; raises ConnectionError when it does not tell within some seconds."""
    target = Target(kind, (node,), "version", user, password, database="information_schema")
    return _ask_mariadb(target) if kind == "mariadb" else _ask_redis(target)


def ask_versions(
    kind: Kind, nodes: Sequence[Node], user: str | None = None, password: str | None = None
) -> list[EngineVersion]:
    """Ask each engine directly, in order; raises ConnectionError when one does not tell."""
    return [ask_version(kind, node, user, password) for node in nodes]


def _ask_mariadb(target: Target) -> EngineVersion:
    import pymysql

    from trove.workload.mariadb import connect

    node = target.nodes[0]
    try:
        with contextlib.closing(connect(target)) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT @@version")
            row = cursor.fetchone()
    except (pymysql.err.Error, OSError) as error:
        raise ConnectionError(f"MariaDB at {node[0]}:{node[1]} does not tell its version: {error}") from error
    said = str(row[0]) if row else ""
    return EngineVersion(node, "mariadb", _number(said, node))


def _ask_redis(target: Target) -> EngineVersion:
    from redis.exceptions import RedisError

    from trove.workload.redis_clients import open_connection

    node = target.nodes[0]
    connection = open_connection(target, node)
    try:
        connection.send_command("INFO", "server")
        info = str(connection.read_response())
    except (RedisError, OSError) as error:
        raise ConnectionError(f"the engine at {node[0]}:{node[1]} does not tell its version: {error}") from error
    finally:
        connection.disconnect()
    facts = dict(line.split(":", 1) for line in info.splitlines() if ":" in line)
    # Valkey also answers a redis_version, for old clients' sake.
    name = "valkey" if "valkey_version" in facts else "redis"
    return EngineVersion(node, name, _number(facts.get(f"{name}_version", ""), node))


def _number(said: str, node: Node) -> str:
    found = re.match(r"\d+\.\d+(\.\d+)?", said)
    if found is None:
        raise ConnectionError(f"the engine at {node[0]}:{node[1]} told no version but {said!r}")
    return found.group()
