"""Storage devices of older services (administrators)."""

from __future__ import annotations

import builtins
from typing import Any

from troveclient import base


class Device(base.Resource):
    def __repr__(self) -> str:
        return f"<Device: {self.name}>"


class StorageInfo(base.ManagerWithFind):
    resource_class = Device

    def index(self) -> builtins.list[Device]:
        return self._list("/mgmt/storage", "devices")

    def list(self, *args: Any, **kwargs: Any) -> Any:
        return self.index()
