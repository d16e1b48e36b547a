"""Who may read and set quotas and limits."""

from __future__ import annotations

from trove.policies.base import ADMIN, ADMIN_OR_OWNER, rule

RULES = (
    rule("limits:index", ADMIN_OR_OWNER, "Show the project's limits.", "GET /v1.0/{project}/limits"),
    rule("quota:show", ADMIN_OR_OWNER, "Show a project's quotas.", "GET /v1.0/{project}/mgmt/quotas/{target}"),
    rule("quota:update", ADMIN, "Set a project's quotas.", "PUT /v1.0/{project}/mgmt/quotas/{target}"),
)
