"""Who may read datastores and their versions."""

from __future__ import annotations

from trove.policies.base import ANYBODY, rule

ALL = "/v1.0/{project}/datastores"
VERSIONS = f"{ALL}/{{datastore}}/versions"

RULES = (
    rule("datastore:index", ANYBODY, "List datastores.", f"GET {ALL}"),
    rule("datastore:show", ANYBODY, "Show a datastore.", f"GET {ALL}/{{datastore}}"),
    rule("datastore:version_index", ANYBODY, "List versions.", f"GET {VERSIONS}"),
    rule("datastore:version_show", ANYBODY, "Show a version.", f"GET {VERSIONS}/{{version}}"),
    rule("datastore:version_show_by_uuid", ANYBODY, "Show a version by its id.", f"GET {ALL}/versions/{{version}}"),
    rule("datastore:list_associated_flavors", ANYBODY, "List its flavors.", f"GET {VERSIONS}/{{version}}/flavors"),
)
