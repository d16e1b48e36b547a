"""Who may do what: oslo.policy rules, one file per noun."""

from __future__ import annotations

from oslo_policy import policy

from trove.policies import base, clusters, datastores, flavors, instances, operations, quotas


def list_rules() -> tuple[policy.RuleDefault, ...]:
    """Return every rule with its default, for the enforcer and for oslopolicy-sample-generator."""
    return (
        *base.RULES,
        *instances.RULES,
        *clusters.RULES,
        *datastores.RULES,
        *flavors.RULES,
        *quotas.RULES,
        *operations.RULES,
    )
