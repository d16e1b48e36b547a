"""Who may do what with clusters."""

from __future__ import annotations

from trove.policies.base import ADMIN, ADMIN_OR_OWNER, rule

ONE = "/v1.0/{project}/clusters/{cluster}"

RULES = (
    rule("cluster:index", ADMIN_OR_OWNER, "List clusters.", "GET /v1.0/{project}/clusters"),
    rule("cluster:create", ADMIN_OR_OWNER, "Create a cluster.", "POST /v1.0/{project}/clusters"),
    rule("cluster:show", ADMIN_OR_OWNER, "Show a cluster.", f"GET {ONE}"),
    rule("cluster:show_instance", ADMIN_OR_OWNER, "Show a member.", f"GET {ONE}/instances/{{instance}}"),
    rule(
        "cluster:action",
        ADMIN_OR_OWNER,
        "Grow, shrink, restart, upgrade and rename a cluster.",
        f"POST {ONE}",
        f"PATCH {ONE}",
    ),
    rule("cluster:delete", ADMIN_OR_OWNER, "Delete a cluster.", f"DELETE {ONE}"),
    rule("cluster:reset-status", ADMIN, "Reset the status.", f"POST {ONE}"),
    rule("cluster:force_delete", ADMIN_OR_OWNER, "Reset the status in order to delete.", f"POST {ONE}"),
)
