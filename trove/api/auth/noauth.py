"""No authentication at all, for tests: every caller is believed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trove.api.auth.identity import Identity


class NoAuth:
    """Take project and roles from X-Project-Id, X-Roles and X-User-Id; the project of the URL stands in for the first.

    Roles default to `member`.
    """

    def identify(self, environ: Mapping[str, Any]) -> Identity:
        """Believe the headers."""
        project = environ.get("HTTP_X_PROJECT_ID") or environ["PATH_INFO"].split("/", 3)[2]
        roles = environ.get("HTTP_X_ROLES", "member")
        return Identity(
            user_id=environ.get("HTTP_X_USER_ID", "nobody"),
            project_id=project,
            roles=frozenset(filter(None, (role.strip() for role in roles.split(",")))),
        )
