"""Metadata of an instance: keys with JSON values."""

from __future__ import annotations

import json
from typing import Any

from troveclient import base


class MetadataResource(base.Resource):
    """The answer, with its values as items."""

    def __getitem__(self, item: str) -> Any:
        return self.__dict__[item]

    def __contains__(self, item: str) -> bool:
        return item in self.__dict__


class Metadata(base.ManagerWithFind):
    resource_class = MetadataResource

    def list(self, instance_id: Any) -> Any:
        return self._get(self._url(instance_id), "metadata")

    def show(self, instance_id: Any, key: str) -> Any:
        return self._get(self._url(instance_id, key), "metadata")

    def create(self, instance_id: Any, key: str, value: Any) -> Any:
        body = {"metadata": {"value": self._parse_value(value)}}
        return self._create(self._url(instance_id, key), body, "metadata")

    def update(self, instance_id: Any, key: str, newkey: str, value: Any) -> Any:
        """Replace a key and its value."""
        body = {"metadata": {"key": newkey, "value": self._parse_value(value)}}
        return self._update(self._url(instance_id, key), body=body)

    def edit(self, instance_id: Any, key: str, value: Any) -> Any:
        """Change the value of a key."""
        body = {"metadata": {"value": self._parse_value(value)}}
        return self._edit(self._url(instance_id, key), body=body)

    def delete(self, instance_id: Any, key: str) -> Any:
        return self._delete(self._url(instance_id, key))

    @staticmethod
    def _url(instance_id: Any, key: str | None = None) -> str:
        url = f"/instances/{base.getid(instance_id)}/metadata"
        return f"{url}/{key}" if key else url

    @staticmethod
    def _parse_value(value: Any) -> Any:
        """Text that is JSON is sent as what it says."""
        try:
            return json.loads(value)
        except (TypeError, ValueError):
            return value
