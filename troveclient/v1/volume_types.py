"""Volume types."""

from __future__ import annotations

import builtins
from typing import Any

from troveclient import base


class VolumeType(base.Resource):
    def __repr__(self) -> str:
        return f"<VolumeType: {self.name}>"


class VolumeTypes(base.ManagerWithFind):
    resource_class = VolumeType
    find_url = "/volume-types"
    find_key = "volume_types"

    def list(self) -> builtins.list[VolumeType]:
        return self._list("/volume-types", "volume_types")

    def list_datastore_version_associated_volume_types(
        self, datastore: Any, version_id: Any
    ) -> builtins.list[VolumeType]:
        """The volume types that fit a datastore version."""
        url = f"/datastores/{base.getid(datastore)}/versions/{base.getid(version_id)}/volume-types"
        return self._list(url, "volume_types")

    def get(self, volume_type: Any) -> VolumeType:
        found: VolumeType = self._get(f"/volume-types/{base.getid(volume_type)}", "volume_type")
        return found
