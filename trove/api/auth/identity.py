"""Who somebody is, whatever told us."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Identity:
    """A user in a project with roles."""

    user_id: str
    project_id: str
    roles: frozenset[str]
