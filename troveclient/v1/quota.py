"""Quotas of a project."""

from __future__ import annotations

import builtins
from typing import Any

from troveclient import base


class Quotas(base.ManagerWithFind):
    resource_class = base.Resource

    def show(self, tenant_id: Any) -> builtins.list[base.Resource]:
        """One record per resource: resource, in_use, reserved, limit (-1 is unlimited)."""
        url = f"/mgmt/quotas/{base.getid(tenant_id)}"
        resp, body = self.api.client.get(url)
        self._check(resp, body, url)
        return [self.resource_class(self, item) for item in body["quotas"]]

    def update(self, id: Any, quotas: dict[str, int]) -> dict[str, int]:
        """Set limits: `{"instances": 20}`."""
        url = f"/mgmt/quotas/{base.getid(id)}"
        resp, body = self.api.client.put(url, body={"quotas": quotas})
        self._check(resp, body, url)
        answer: dict[str, int] = body["quotas"]
        return answer

    def list(self) -> Any:
        """Quotas belong to a project: see show()."""
        return []
