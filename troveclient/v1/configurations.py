"""Configuration groups and the parameters that they may set."""

from __future__ import annotations

import builtins
import json
from typing import Any

from troveclient import base, common, exceptions


class Configuration(base.Resource):
    def __repr__(self) -> str:
        return f"<Configuration: {self.name}>"


class ConfigurationParameter(base.Resource):
    def __repr__(self) -> str:
        return f"<ConfigurationParameter: {self.name}>"


def _values(text: Any) -> Any:
    """Values are JSON text by contract; a dictionary is taken too. Raises ValidationError."""
    if isinstance(text, dict):
        return text
    try:
        found = json.loads(text)
    except (TypeError, ValueError) as error:
        raise exceptions.ValidationError(f"The values are not readable as JSON ({error}): {text!r}") from error
    if not isinstance(found, dict):
        raise exceptions.ValidationError(f'The values must be a JSON object such as {{"name": 1}}, not {text!r}.')
    return found


class Configurations(base.ManagerWithFind):
    resource_class = Configuration
    find_url = "/configurations"
    find_key = "configurations"

    def get(self, configuration: Any) -> Configuration:
        found: Configuration = self._get(f"/configurations/{base.getid(configuration)}", "configuration")
        return found

    def list(self, limit: Any = None, marker: Any = None) -> common.Paginated:
        return self._paginated("/configurations", "configurations", limit, marker)

    def instances(self, configuration: Any, limit: Any = None, marker: Any = None) -> common.Paginated:
        """The instances a group is attached to."""
        url = f"/configurations/{base.getid(configuration)}/instances"
        return self._paginated(url, "instances", limit, marker)

    def create(
        self,
        name: str,
        values: Any,
        description: str | None = None,
        datastore: Any = None,
        datastore_version: Any = None,
        datastore_version_number: str | None = None,
    ) -> Configuration:
        """Create a group; `values` is JSON text."""
        record: dict[str, Any] = {"name": name, "values": _values(values)}
        if description:
            record["description"] = description
        store = {
            "type": datastore and base.getid(datastore),
            "version": datastore_version and base.getid(datastore_version),
            "version_number": datastore_version_number,
        }
        store = {key: value for key, value in store.items() if value}
        if store:
            record["datastore"] = store
        created: Configuration = self._create("/configurations", {"configuration": record}, "configuration")
        return created

    def update(self, configuration: Any, values: Any, name: str | None = None, description: str | None = None) -> None:
        """Replace all values; `values` is JSON text."""
        record: dict[str, Any] = {"values": _values(values)}
        if name:
            record["name"] = name
        if description:
            record["description"] = description
        self._change("put", configuration, record)

    def edit(self, configuration: Any, values: Any) -> None:
        """Set some values and keep the others; `values` is JSON text."""
        self._change("patch", configuration, {"values": _values(values)})

    def _change(self, verb: str, configuration: Any, record: dict[str, Any]) -> None:
        url = f"/configurations/{base.getid(configuration)}"
        resp, body = getattr(self.api.client, verb)(url, body={"configuration": record})
        self._check(resp, body, url)

    def delete(self, configuration: Any) -> None:
        self._delete(f"/configurations/{base.getid(configuration)}")


class ConfigurationParameters(base.ManagerWithFind):
    resource_class = ConfigurationParameter

    def parameters(self, datastore: Any, version: Any) -> builtins.list[ConfigurationParameter]:
        url = f"/datastores/{datastore}/versions/{version}/parameters"
        return self._list(url, "configuration-parameters")

    def get_parameter(self, datastore: Any, version: Any, key: str) -> ConfigurationParameter:
        found: ConfigurationParameter = self._get(f"/datastores/{datastore}/versions/{version}/parameters/{key}")
        return found

    def parameters_by_version(self, version: Any) -> builtins.list[ConfigurationParameter]:
        return self._list(f"/datastores/versions/{version}/parameters", "configuration-parameters")

    def get_parameter_by_version(self, version: Any, key: str) -> ConfigurationParameter:
        found: ConfigurationParameter = self._get(f"/datastores/versions/{version}/parameters/{key}")
        return found

    def list(self, *args: Any, **kwargs: Any) -> Any:
        """Parameters belong to a version: see parameters()."""
        return []
