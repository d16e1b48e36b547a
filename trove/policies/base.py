"""Rules that all others build on."""

from __future__ import annotations

from oslo_policy import policy

ADMIN = "rule:admin"
ADMIN_OR_OWNER = "rule:admin_or_owner"
ANYBODY = ""
"""Everybody who has proved who he is."""

RULES = (
    policy.RuleDefault("context_is_admin", "role:admin", "Who counts as an administrator."),
    policy.RuleDefault("admin", "role:admin or is_admin:True", "Administrators only."),
    policy.RuleDefault("admin_or_owner", "rule:admin or project_id:%(tenant)s", "Administrators and the project."),
    policy.RuleDefault("default", "rule:admin_or_owner", "Rules that have no own entry."),
)


def rule(name: str, check: str, description: str, *routes: str) -> policy.DocumentedRuleDefault:
    """Define a rule; a route is `METHOD /path`."""
    operations: list[policy.Operation] = [
        {"method": method, "path": path} for method, path in (route.split(" ", 1) for route in routes)
    ]
    return policy.DocumentedRuleDefault(name, check, description, operations)
