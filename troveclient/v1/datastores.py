"""Datastores and their versions."""

from __future__ import annotations

from typing import Any

from troveclient import base, common


def _id(value: Any) -> Any:
    return getattr(value, "id", value)


class Datastore(base.Resource):
    def __repr__(self) -> str:
        return f"<Datastore: {self.name}>"


class DatastoreVersion(base.Resource):
    def __repr__(self) -> str:
        return f"<DatastoreVersion: {self.name}>"


class DatastoreVersionMember(base.Resource):
    def __repr__(self) -> str:
        return f"<DatastoreVersionMember: {self.id}>"


class Datastores(base.ManagerWithFind):
    resource_class = Datastore
    find_url = "/datastores"
    find_key = "datastores"

    def list(self, limit: Any = None, marker: Any = None) -> common.Paginated:
        return self._paginated("/datastores", "datastores", limit, marker)

    def get(self, datastore: Any) -> Datastore:
        """One datastore by id or name."""
        found: Datastore = self._get(f"/datastores/{base.getid(datastore)}", "datastore")
        return found

    def delete(self, datastore: Any) -> None:
        self._delete(f"/datastores/{base.getid(datastore)}")


class DatastoreVersions(base.ManagerWithFind):
    resource_class = DatastoreVersion

    def list(self, datastore: Any, limit: Any = None, marker: Any = None) -> common.Paginated:
        return self._paginated(f"/datastores/{_id(datastore)}/versions", "versions", limit, marker)

    def get(self, datastore: Any, datastore_version: Any) -> DatastoreVersion:
        """One version, by id or name, of a datastore."""
        url = f"/datastores/{_id(datastore)}/versions/{base.getid(datastore_version)}"
        found: DatastoreVersion = self._get(url, "version")
        return found

    def get_by_uuid(self, datastore_version: Any) -> DatastoreVersion:
        found: DatastoreVersion = self._get(f"/datastores/versions/{base.getid(datastore_version)}", "version")
        return found

    def update_visibility(self, datastore: Any, datastore_version: Any, visibility: Any) -> None:
        """Show a version to everybody, or hide it (old management call)."""
        url = f"/mgmt/datastores/{_id(datastore)}/versions/{base.getid(datastore_version)}"
        resp, body = self.api.client.put(url, body={"visibility": visibility})
        self._check(resp, body, url)

    update = update_visibility


class DatastoreVersionMembers(base.ManagerWithFind):
    """Which projects may use a hidden version (old management calls)."""

    resource_class = DatastoreVersionMember

    def _url(self, datastore: Any, datastore_version: Any, member: Any = None) -> str:
        url = f"/mgmt/datastores/{_id(datastore)}/versions/{_id(datastore_version)}/members"
        return f"{url}/{member}" if member else url

    def add(self, datastore: Any, datastore_version: Any, tenant: str) -> Any:
        body = {"member": tenant}
        return self._create(self._url(datastore, datastore_version), body, "datastore_version_member")

    def delete(self, datastore: Any, datastore_version: Any, member_id: Any) -> None:
        return self._delete(self._url(datastore, datastore_version, _id(member_id)))

    def list(self, datastore: Any, datastore_version: Any, limit: Any = None, marker: Any = None) -> Any:
        return self._list(self._url(datastore, datastore_version), "datastore_version_members", limit, marker)

    def _list(self, url: str, response_key: str, limit: Any = None, marker: Any = None) -> Any:
        return super()._list(common.append_query_strings(url, limit=limit, marker=marker), response_key)

    def get(self, datastore: Any, datastore_version: Any, member_id: Any) -> Any:
        return self._get(self._url(datastore, datastore_version, _id(member_id)), "datastore_version_member")

    def get_by_tenant(self, datastore: Any, tenant: str, limit: Any = None, marker: Any = None) -> Any:
        url = f"/mgmt/datastores/{_id(datastore)}/versions/members/{tenant}"
        return self._list(url, "datastore_version_members", limit, marker)
