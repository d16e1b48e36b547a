"""What a guest agent reports of its engine: facts said by the engine, with the time they were said."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from trove.domain.states import EngineStatus


@dataclass(frozen=True)
class Health:
    """One observation of one engine.

    `version` is the engine's own text (`11.8.6-MariaDB`), `version_number` its leading dotted number (`11.8.6`).
    `in_sync` means: has all data, accepts its part of the work. `role` is `primary`, `standby`, `replica` or
    `member`. `lag_bytes` is how far a replica is behind, None where the idea does not apply. `detail` holds the
    engine's own words (wsrep status, INFO fields). Times are naive UTC ISO-8601 with fraction: `observed_at` that of
    `status` and all that changes with it, `said_at` that of version and role, which are remembered while an engine is
    down or its agent silent. `said_at` is `observed_at` unless given, and empty as long as no version is known.
    """

    status: EngineStatus
    version: str = ""
    version_number: str = ""
    role: str = ""
    in_sync: bool = False
    lag_bytes: int | None = None
    members_seen: int | None = None
    used_bytes: int = 0
    free_bytes: int = 0
    reason: str = ""
    observed_at: str = ""
    detail: Mapping[str, Any] = field(default_factory=dict)
    said_at: str = ""

    def __post_init__(self) -> None:
        if self.version and not self.said_at:
            object.__setattr__(self, "said_at", self.observed_at)

    def after(self, last: Health | None) -> Health:
        """Return this observation with version and role as the engine said them last, where it says nothing now."""
        if self.version or last is None:
            return self
        return replace(
            self, version=last.version, version_number=last.version_number, role=last.role, said_at=last.said_at
        )

    @classmethod
    def silent(cls, last: Health | None, reason: str, at: str) -> Health:
        """Return what is known when nobody answers at a time: that, and what the engine said last of itself."""
        seen = cls(EngineStatus.ERROR, reason=reason, observed_at=at)
        if last is None:
            return seen
        return replace(seen, used_bytes=last.used_bytes, free_bytes=last.free_bytes, detail=last.detail).after(last)

    @property
    def healthy(self) -> bool:
        """Whether the engine serves and has all data."""
        return self.status is EngineStatus.HEALTHY and self.in_sync

    def follows(self, other: Health) -> bool:
        """Whether this engine is a replica of that one, by the ids nodes of a Redis Cluster have."""
        primary = self.detail.get("master_id")
        return self.role == "replica" and primary is not None and primary == other.detail.get("node_id")
