"""Who may follow and steer operations."""

from __future__ import annotations

from trove.policies.base import ADMIN_OR_OWNER, rule

ONE = "/v1.0/{project}/operations/{operation}"

RULES = (
    rule("operation:index", ADMIN_OR_OWNER, "List operations.", "GET /v1.0/{project}/operations"),
    rule("operation:show", ADMIN_OR_OWNER, "Show an operation.", f"GET {ONE}"),
    rule("operation:resume", ADMIN_OR_OWNER, "Resume a held operation.", f"POST {ONE}/action"),
    rule("operation:rollback", ADMIN_OR_OWNER, "Roll an operation back.", f"POST {ONE}/action"),
)
