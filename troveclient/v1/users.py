"""Users on an instance."""

from __future__ import annotations

import builtins
from typing import Any
from urllib import parse

from troveclient import base, common, exceptions
from troveclient.v1 import databases as core_databases


class User(base.Resource):
    def __repr__(self) -> str:
        return f"<User: {self.name}>"


class Users(base.ManagerWithFind):
    resource_class = User

    def _url(self, instance: Any, username: str | None = None, hostname: str | None = None) -> str:
        url = f"/instances/{base.getid(instance)}/users"
        return f"{url}/{common.quote_user_host(username, hostname)}" if username else url

    def create(self, instance: Any, users: builtins.list[dict[str, Any]]) -> None:
        """Create users: `[{"name": …, "password": …, "host": …, "databases": [{"name": …}]}]`."""
        url = self._url(instance)
        resp, body = self.api.client.post(url, body={"users": users})
        self._check(resp, body, url)

    def delete(self, instance: Any, username: str, hostname: str | None = None) -> None:
        self._delete(self._url(instance, username, hostname))

    def list(self, instance: Any, limit: Any = None, marker: Any = None) -> common.Paginated:
        return self._paginated(self._url(instance), "users", limit, marker)

    def get(self, instance: Any, username: str, hostname: str | None = None) -> User:
        found: User = self._get(self._url(instance, username, hostname), "user")
        return found

    def update_attributes(
        self,
        instance: Any,
        username: str,
        newuserattr: dict[str, Any] | None = None,
        hostname: str | None = None,
    ) -> None:
        """Change name, password or host. Raises ValidationError when there is nothing to change."""
        if not newuserattr:
            raise exceptions.ValidationError("No updates specified for user attributes.")
        url = self._url(instance, username, hostname)
        resp, body = self.api.client.put(url, body={"user": newuserattr})
        self._check(resp, body, url)

    def list_access(
        self, instance: Any, username: str, hostname: str | None = None
    ) -> builtins.list[core_databases.Database]:
        """The databases that a user may use."""
        url = f"{self._url(instance, username, hostname)}/databases"
        resp, body = self.api.client.get(url)
        self._check(resp, body, url)
        return [core_databases.Database(self, item) for item in body["databases"]]

    def grant(self, instance: Any, username: str, databases: builtins.list[str], hostname: str | None = None) -> None:
        url = f"{self._url(instance, username, hostname)}/databases"
        resp, body = self.api.client.put(url, body={"databases": [{"name": name} for name in databases]})
        self._check(resp, body, url)

    def revoke(self, instance: Any, username: str, database: str, hostname: str | None = None) -> None:
        url = f"{self._url(instance, username, hostname)}/databases/{parse.quote(database, safe='')}"
        self._delete(url)

    def change_passwords(self, instance: Any, users: builtins.list[dict[str, Any]]) -> None:
        url = self._url(instance)
        resp, body = self.api.client.put(url, body={"users": users})
        self._check(resp, body, url)
