"""What a guest says about its process and hardware (administrators)."""

from __future__ import annotations

from typing import Any

from troveclient import base


class Diagnostics(base.Resource):
    def __repr__(self) -> str:
        return f"<Diagnostics: {self.version}>"


class HwInfo(base.Resource):
    def __repr__(self) -> str:
        return f"<HwInfo: {self.version}>"


class _Interrogator(base.ManagerWithFind):
    word = ""

    def get(self, instance: Any) -> Any:
        return self._get(f"/mgmt/instances/{base.getid(instance)}/{self.word}", self.word)

    def list(self, *args: Any, **kwargs: Any) -> Any:
        """These belong to an instance: see get()."""
        return []


class DiagnosticsInterrogator(_Interrogator):
    resource_class = Diagnostics
    word = "diagnostics"


class HwInfoInterrogator(_Interrogator):
    resource_class = HwInfo
    word = "hwinfo"
