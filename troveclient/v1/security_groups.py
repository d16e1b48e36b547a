"""Database security groups of older services."""

from __future__ import annotations

from typing import Any

from troveclient import base, common


class SecurityGroup(base.Resource):
    def __repr__(self) -> str:
        return f"<SecurityGroup: {self.name}>"


class SecurityGroupRule(base.Resource):
    def __repr__(self) -> str:
        return (
            f"<SecurityGroupRule: ( Security Group id: {self.group_id}, Protocol: {self.protocol}, "
            f"From_Port: {self.from_port}, To_Port: {self.to_port},  CIDR: {self.cidr} )>"
        )


class SecurityGroups(base.ManagerWithFind):
    resource_class = SecurityGroup
    find_url = "/security-groups"
    find_key = "security_groups"

    def list(self, limit: Any = None, marker: Any = None) -> common.Paginated:
        return self._paginated("/security-groups", "security_groups", limit, marker)

    def get(self, security_group: Any) -> SecurityGroup:
        found: SecurityGroup = self._get(f"/security-groups/{base.getid(security_group)}", "security_group")
        return found


class SecurityGroupRules(base.ManagerWithFind):
    resource_class = SecurityGroupRule

    def create(self, group_id: Any, cidr: str) -> Any:
        """Open a group to addresses; returns the rules as a list of dictionaries."""
        body = {"security_group_rule": {"group_id": group_id, "cidr": cidr}}
        return self._create("/security-group-rules", body, "security_group_rule", return_raw=True)

    def delete(self, security_group_rule: Any) -> None:
        self._delete(f"/security-group-rules/{base.getid(security_group_rule)}")

    def list(self, *args: Any, **kwargs: Any) -> Any:
        """Rules belong to a group: see SecurityGroup.rules."""
        return []
