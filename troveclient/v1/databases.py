"""Databases on an instance."""

from __future__ import annotations

import builtins
from typing import Any
from urllib import parse

from troveclient import base, common


class Database(base.Resource):
    """A database; its name is its identity."""

    def __repr__(self) -> str:
        return f"<Database: {self.name}>"


class Databases(base.ManagerWithFind):
    resource_class = Database

    def create(self, instance: Any, databases: builtins.list[dict[str, Any]]) -> None:
        """Create databases: `[{"name": …, "character_set": …, "collate": …}]`."""
        url = f"/instances/{base.getid(instance)}/databases"
        resp, body = self.api.client.post(url, body={"databases": databases})
        self._check(resp, body, url)

    def delete(self, instance: Any, dbname: str) -> None:
        self._delete(f"/instances/{base.getid(instance)}/databases/{parse.quote(dbname, safe='')}")

    def list(self, instance: Any, limit: Any = None, marker: Any = None) -> common.Paginated:
        return self._paginated(f"/instances/{base.getid(instance)}/databases", "databases", limit, marker)
