"""Flavors."""

from __future__ import annotations

import builtins
from typing import Any

from troveclient import base


class Flavor(base.Resource):
    """A flavor. Its id is the text id where the service's numeric one is null."""

    def __init__(self, manager: Any, info: dict[str, Any], loaded: bool = False) -> None:
        super().__init__(manager, info, loaded)
        if self.__dict__.get("id") is None and info.get("str_id") is not None:
            self.id = info["str_id"]

    def __repr__(self) -> str:
        return f"<Flavor: {self.name}>"


class Flavors(base.ManagerWithFind):
    resource_class = Flavor
    find_url = "/flavors"
    find_key = "flavors"

    def list(self) -> builtins.list[Flavor]:
        return self._list("/flavors", "flavors")

    def list_datastore_version_associated_flavors(self, datastore: Any, version_id: Any) -> builtins.list[Flavor]:
        """The flavors that fit a datastore version."""
        return self._list(f"/datastores/{base.getid(datastore)}/versions/{base.getid(version_id)}/flavors", "flavors")

    def get(self, flavor: Any) -> Flavor:
        found: Flavor = self._get(f"/flavors/{base.getid(flavor)}", "flavor")
        return found
