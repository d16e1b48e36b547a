from __future__ import annotations

from pathlib import Path

import pytest

from trove.api.context import Caller
from trove.policies import list_rules
from trove.policies.enforcer import Enforcer

MEMBER = Caller("ann", "p-1", frozenset({"member"}))
READER = Caller("bob", "p-1", frozenset({"reader"}))
NOBODY = Caller("eve", "p-1", frozenset())
ADMIN = Caller("root", "p-0", frozenset({"admin"}))

ADMIN_ONLY = {"context_is_admin", "admin", "instance:reset_status", "cluster:reset-status", "quota:update"}
ANYBODY = {rule.name for rule in list_rules() if rule.name.startswith(("datastore:", "flavor:"))}


@pytest.fixture(scope="module")
def enforcer() -> Enforcer:
    return Enforcer()


@pytest.mark.parametrize("rule", [rule.name for rule in list_rules()])
def test_defaults(enforcer: Enforcer, rule: str) -> None:
    owner = rule not in ADMIN_ONLY
    for _ in range(2):  # decided, and remembered
        assert enforcer.allows(rule, MEMBER, "p-1") is owner
        assert enforcer.allows(rule, NOBODY, "p-1") is owner
        assert enforcer.allows(rule, MEMBER, "p-2") is (rule in ANYBODY)
        assert enforcer.allows(rule, ADMIN, "p-1") is True


def test_rules_of_the_reference_have_their_names() -> None:
    names = {rule.name for rule in list_rules()}
    assert {"instance:force_delete", "instance:edit", "cluster:reset-status", "datastore:version_show_by_uuid"} <= names


def test_an_unknown_rule_is_a_bug_not_a_permission(enforcer: Enforcer) -> None:
    with pytest.raises(KeyError):
        enforcer.allows("instance:explode", ADMIN, "p-0")


def test_a_file_replaces_single_rules(tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text('"instance:restart": "role:member and project_id:%(tenant)s"\n')
    enforcer = Enforcer(str(path))
    assert enforcer.allows("instance:restart", MEMBER, "p-1")
    assert not enforcer.allows("instance:restart", READER, "p-1")
    assert not enforcer.allows("instance:restart", MEMBER, "p-2")
    assert enforcer.allows("instance:show", READER, "p-1")


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trove.policies.enforcer.REMEMBERED", 10)
    enforcer = Enforcer()
    for number in range(50):
        assert enforcer.allows("instance:show", Caller(f"u{number}", "p", frozenset()), "p")
    assert len(enforcer._decisions) <= 10
