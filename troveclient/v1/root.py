"""The superuser of an instance or cluster."""

from __future__ import annotations

from typing import Any

from troveclient import base
from troveclient.v1 import users


class Root(base.ManagerWithFind):
    resource_class = users.User
    instances_url = "/instances/%s/root"
    clusters_url = "/clusters/%s/root"

    def create(self, instance: Any) -> tuple[str, str]:
        """Enable the superuser with a new password; returns (name, password)."""
        return self.create_instance_root(instance)

    def create_instance_root(self, instance: Any, root_password: str | None = None) -> tuple[str, str]:
        return self._enable(self.instances_url % base.getid(instance), root_password)

    def create_cluster_root(self, cluster: Any, root_password: str | None = None) -> tuple[str, str]:
        return self._enable(self.clusters_url % base.getid(cluster), root_password)

    def _enable(self, url: str, root_password: str | None) -> tuple[str, str]:
        kwargs: dict[str, Any] = {"body": {"password": root_password}} if root_password else {}
        resp, body = self.api.client.post(url, **kwargs)
        self._check(resp, body, url)
        return body["user"]["name"], body["user"]["password"]

    def delete(self, instance: Any) -> None:
        self.disable_instance_root(instance)

    def disable_instance_root(self, instance: Any) -> None:
        self._delete(self.instances_url % base.getid(instance))

    def is_root_enabled(self, instance: Any) -> Any:
        """An object with `.rootEnabled`."""
        return self.is_instance_root_enabled(instance)

    def is_instance_root_enabled(self, instance: Any) -> Any:
        return self._get(self.instances_url % base.getid(instance))

    def is_cluster_root_enabled(self, cluster: Any) -> Any:
        return self._get(self.clusters_url % base.getid(cluster))

    def list(self, *args: Any, **kwargs: Any) -> Any:
        """There is one superuser per instance, so no list."""
        return []
