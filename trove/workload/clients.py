"""The clients that write and read back, one interface over engines and ways of using them.

A client never hides a failure: `write` returns only after the engine's OK and otherwise raises `Refused` (surely not
done) or `AnswerLost` (sent, result unknown). Trying again is the writer's business, not the client's, except for
`redis_cluster` writers that retry: they use redis-py's own cluster client with its usual retries, as applications do.
"""

from __future__ import annotations

from typing import Protocol

from trove.workload.target import Target


class Client(Protocol):
    """One connection, or one set of connections to the nodes of a cluster; connects when first used."""

    def write(self, writer: int, seq: int, value: str, again: bool) -> None:
        """Write one value; `again` tells that an earlier try of the same write may have succeeded."""

    def read(self, writer: int, seq: int) -> str | None:
        """Read one value; None when it is not there. Raises WriteError when no answer can be had."""

    def close(self) -> None:
        """Drop all connections; the next use connects again."""


def make_client(target: Target, retrying: bool = False) -> Client:
    """Return a client for the target. Raises ModuleNotFoundError that names the extra to install."""
    if target.kind == "mariadb":
        from trove.workload.mariadb import MariaDBClient

        return MariaDBClient(target)
    try:
        from trove.workload import redis_clients
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"writing to Redis or Valkey needs the Python package {error.name!r}: install trove-anywhere[demo]"
        ) from error
    if target.kind == "redis":
        return redis_clients.SingleClient(target)
    if retrying:
        return redis_clients.RetryingClusterClient(target)
    return redis_clients.ClusterClient(target)
