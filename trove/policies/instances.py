"""Who may do what with instances."""

from __future__ import annotations

from trove.policies.base import ADMIN, ADMIN_OR_OWNER, rule

ACTION = "POST /v1.0/{project}/instances/{instance}/action"

RULES = (
    rule("instance:index", ADMIN_OR_OWNER, "List instances.", "GET /v1.0/{project}/instances"),
    rule("instance:detail", ADMIN_OR_OWNER, "List with details.", "GET /v1.0/{project}/instances/detail"),
    rule("instance:create", ADMIN_OR_OWNER, "Create an instance.", "POST /v1.0/{project}/instances"),
    rule("instance:show", ADMIN_OR_OWNER, "Show an instance.", "GET /v1.0/{project}/instances/{instance}"),
    rule(
        "instance:update",
        ADMIN_OR_OWNER,
        "Rename or upgrade an instance.",
        "PUT /v1.0/{project}/instances/{instance}",
        "PATCH /v1.0/{project}/instances/{instance}",
    ),
    rule(
        "instance:edit",
        ADMIN_OR_OWNER,
        "Kept for policy files; nothing consults it.",
        "PATCH /v1.0/{project}/instances/{instance}",
    ),
    rule("instance:delete", ADMIN_OR_OWNER, "Delete an instance.", "DELETE /v1.0/{project}/instances/{instance}"),
    rule("instance:restart", ADMIN_OR_OWNER, "Restart the engine.", ACTION),
    rule("instance:resize_flavor", ADMIN_OR_OWNER, "Change the flavor.", ACTION),
    rule("instance:resize_volume", ADMIN_OR_OWNER, "Enlarge the volume.", ACTION),
    rule("instance:promote_to_replica_source", ADMIN_OR_OWNER, "Promote a replica.", ACTION),
    rule("instance:eject_replica_source", ADMIN_OR_OWNER, "Eject a replica source.", ACTION),
    rule("instance:reset_status", ADMIN, "Reset the status.", ACTION),
    rule("instance:force_delete", ADMIN_OR_OWNER, "Reset the status in order to delete.", ACTION),
    rule("instance:extension:user:create", ADMIN_OR_OWNER, "Create accounts.", "POST /v1.0/{project}/instances"),
    rule("instance:extension:database:create", ADMIN_OR_OWNER, "Create databases.", "POST /v1.0/{project}/instances"),
)
