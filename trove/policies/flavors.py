"""Who may read flavors."""

from __future__ import annotations

from trove.policies.base import ANYBODY, rule

RULES = (
    rule("flavor:index", ANYBODY, "List flavors.", "GET /v1.0/{project}/flavors"),
    rule("flavor:show", ANYBODY, "Show a flavor.", "GET /v1.0/{project}/flavors/{flavor}"),
)
