"""Where a workload writes: one description that crosses process borders as JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

Kind = Literal["mariadb", "redis", "redis_cluster"]
Node = tuple[str, int]


@dataclass(frozen=True)
class Target:
    """An engine or a cluster as its clients see it.

    `nodes` are (address, port): for `mariadb` and `redis` the one address clients use, for `redis_cluster` some or all
    of its nodes. `run` is part of every table and key name, so that runs never meet.
    """

    kind: Kind
    nodes: tuple[Node, ...]
    run: str
    user: str | None = None
    password: str | None = None
    database: str | None = None

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise ValueError(f"unknown kind of workload {self.kind!r}: choose one of {', '.join(get_args(Kind))}")
        if not self.nodes:
            raise ValueError("a workload needs at least one (address, port) to write to")
        if self.kind == "mariadb" and not self.database:
            raise ValueError("a mariadb workload needs the name of an existing database")

    @property
    def table(self) -> str:
        """Name of the MariaDB table that holds this run's rows."""
        return f"workload_{self.run}"

    def key(self, writer: int, seq: int) -> str:
        """Name of the Redis key of one write; without a hash tag, so that a run's keys spread over all slots."""
        return f"workload:{self.run}:{writer}:{seq}"

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Target:
        nodes = tuple((str(address), int(port)) for address, port in data["nodes"])
        return cls(**{**data, "nodes": nodes})
