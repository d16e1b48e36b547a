"""What a guest agent reports of its engine: facts said by the engine, with the time they were said."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from trove.domain.states import EngineStatus


@dataclass(frozen=True)
class Health:
    """One observation of one engine.

    `version` is the engine's own text (`11.8.6-MariaDB`), `version_number` its leading dotted number (`11.8.6`).
    `in_sync` means: has all data, accepts its part of the work. `role` is `primary`, `standby`, `replica` or
    `member`. `lag_bytes` is how far a replica is behind, None where the idea does not apply. `detail` holds the
    engine's own words (wsrep status, INFO fields). `observed_at` is naive UTC ISO-8601 with fraction.
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

    @property
    def healthy(self) -> bool:
        """Whether the engine serves and has all data."""
        return self.status is EngineStatus.HEALTHY and self.in_sync
