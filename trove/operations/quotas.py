"""Limits of a project: the installation's defaults with what was set for the project. -1 is no limit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from trove.domain.store import Store

DEFAULT_LIMITS: Mapping[str, int] = {"instances": 10, "ram": -1, "volumes": 40, "backups": 50}
"""Units: count, MB, GB, count."""


@dataclass(frozen=True)
class Quotas:
    """Reads and sets limits."""

    store: Store
    defaults: Mapping[str, int] = field(default_factory=lambda: dict(DEFAULT_LIMITS))

    def limits(self, project_id: str) -> Mapping[str, int]:
        return {**self.defaults, **self.store.quota_limits(project_id)}

    def set_limits(self, project_id: str, limits: Mapping[str, int]) -> None:
        self.store.set_quota_limits(project_id, limits)
