"""Decide by the policy rules; one enforcer per application, nothing global."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from oslo_config import cfg
from oslo_policy import policy

from trove.policies import list_rules

REMEMBERED = 10_000
"""Decisions kept at most; then all are forgotten."""


class Who(Protocol):
    """The part of a caller that rules look at."""

    @property
    def user_id(self) -> str: ...
    @property
    def project_id(self) -> str: ...
    @property
    def roles(self) -> frozenset[str]: ...


class Enforcer:
    """Policy decisions, remembered.

    A decision depends on nothing but the rule, the caller's user, project and roles, and the target's project, because
    those are all that rules are given; so it can be remembered under these until the policy file changes.
    """

    def __init__(self, policy_file: str | None = None) -> None:
        """Raise ValueError when the policy file was named and cannot be read."""
        self._file = Path(policy_file).resolve() if policy_file else None
        if self._file and not self._file.is_file():
            raise ValueError(f"policy file {self._file} cannot be read; create it or leave the setting out")
        conf = cfg.ConfigOpts()
        conf([], project="trove", default_config_files=[], default_config_dirs=[])
        self._enforcer = policy.Enforcer(
            conf, policy_file=str(self._file or "none"), default_rule="default", use_conf=self._file is not None
        )
        self._enforcer.suppress_default_change_warnings = True
        rules = list_rules()
        self._enforcer.register_defaults(rules)
        if self._file:
            conf.set_override("policy_dirs", [], group="oslo_policy")
            self._enforcer.load_rules()
        else:
            # Without a file nothing is searched for on this host: the built-in rules alone decide.
            self._enforcer.set_rules({rule.name: rule.check for rule in rules}, use_conf=False)
        self._names = frozenset(rule.name for rule in rules)
        self._stamp = self._file_stamp()
        self._decisions: dict[tuple[str, str, str, frozenset[str], str], bool] = {}

    def allows(self, rule: str, who: Who, project_id: str) -> bool:
        """Tell whether the caller may do this to a thing of that project. KeyError for a rule that does not exist."""
        if self._file:
            self._forget_when_changed()
        key = (rule, who.user_id, who.project_id, who.roles, project_id)
        known = self._decisions.get(key)
        if known is None:
            known = self._decide(rule, who, project_id)
            if len(self._decisions) >= REMEMBERED:
                self._decisions.clear()
            self._decisions[key] = known
        return known

    def _decide(self, rule: str, who: Who, project_id: str) -> bool:
        if rule not in self._names:
            raise KeyError(rule)
        target = {"project_id": project_id, "tenant": project_id, "tenant_id": project_id, "user_id": who.user_id}
        creds = {
            "user_id": who.user_id,
            "project_id": who.project_id,
            "tenant": who.project_id,
            "roles": sorted(who.roles),
        }
        return bool(self._enforcer.enforce(rule, target, creds))

    def _file_stamp(self) -> int:
        try:
            return self._file.stat().st_mtime_ns if self._file else 0
        except OSError:
            return 0

    def _forget_when_changed(self) -> None:
        stamp = self._file_stamp()
        if stamp != self._stamp:
            self._stamp = stamp
            self._decisions.clear()
