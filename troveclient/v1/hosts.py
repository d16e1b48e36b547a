"""Hosts of older services (administrators)."""

from __future__ import annotations

import builtins
from typing import Any

from troveclient import base


class Host(base.Resource):
    def __repr__(self) -> str:
        return f"<Host: {self.name}>"


class Hosts(base.ManagerWithFind):
    resource_class = Host

    def _action(self, host_id: Any, body: Any) -> None:
        url = f"/mgmt/hosts/{host_id}/instances/action"
        resp, answer = self.api.client.post(url, body=body)
        self._check(resp, answer, url)

    def update_all(self, host_id: Any) -> None:
        self._action(host_id, {"update": ""})

    def index(self) -> builtins.list[Host]:
        return self._list("/mgmt/hosts", "hosts")

    def get(self, host: Any) -> Any:
        return self._get(f"/mgmt/hosts/{getattr(host, 'name', host)}", "host")

    def list(self, *args: Any, **kwargs: Any) -> Any:
        return self.index()
