"""Modules: payloads that a driver applies to instances."""

from __future__ import annotations

from typing import Any

from troveclient import base, common, utils


class Module(base.Resource):
    NO_CHANGE_TO_ARG = "no_change_to_argument"
    ALL_KEYWORD = "all"

    def __repr__(self) -> str:
        return f"<Module: {self.name}>"

    def __hash__(self) -> int:  # type: ignore[override]
        return hash((self.id, repr(sorted(self._info.items(), key=str))))


class Modules(base.ManagerWithFind):
    resource_class = Module
    find_url = "/modules"
    find_key = "modules"

    def _encode_string(self, data: bytes | str) -> str:
        return utils.encode_data(data)

    def create(
        self,
        name: str,
        module_type: str,
        contents: Any,
        description: str | None = None,
        all_tenants: Any = None,
        datastore: Any = None,
        datastore_version: Any = None,
        auto_apply: Any = None,
        visible: Any = None,
        live_update: Any = None,
        priority_apply: Any = None,
        apply_order: Any = None,
        full_access: Any = None,
    ) -> Module:
        """Create a module; `contents` are bytes."""
        record: dict[str, Any] = {
            "name": name,
            "module_type": module_type,
            "contents": self._encode_string(contents),
        }
        store = {
            key: base.getid(value) for key, value in (("type", datastore), ("version", datastore_version)) if value
        }
        if store:
            record["datastore"] = store
        flags = {
            "all_tenants": all_tenants,
            "auto_apply": auto_apply,
            "visible": visible,
            "live_update": live_update,
            "priority_apply": priority_apply,
            "full_access": full_access,
        }
        record.update({key: int(value) for key, value in flags.items() if value is not None})
        if description is not None:
            record["description"] = description
        if apply_order is not None:
            record["apply_order"] = apply_order
        created: Module = self._create("/modules", {"module": record}, "module")
        return created

    def update(
        self,
        module: Any,
        name: str | None = None,
        module_type: str | None = None,
        contents: Any = None,
        description: str | None = None,
        all_tenants: Any = None,
        datastore: Any = Module.NO_CHANGE_TO_ARG,
        datastore_version: Any = Module.NO_CHANGE_TO_ARG,
        auto_apply: Any = None,
        visible: Any = None,
        live_update: Any = None,
        all_datastores: Any = None,
        all_datastore_versions: Any = None,
        priority_apply: Any = None,
        apply_order: Any = None,
        full_access: Any = None,
    ) -> Module:
        """Change what is given. `datastore=None` means every datastore."""
        record: dict[str, Any] = {}
        plain = {"name": name, "type": module_type, "description": description, "apply_order": apply_order}
        record.update({key: value for key, value in plain.items() if value is not None})
        if contents is not None:
            record["contents"] = self._encode_string(contents)
        store: dict[str, Any] = {}
        if datastore is not None and datastore != Module.NO_CHANGE_TO_ARG:
            store["type"] = base.getid(datastore)
        if datastore_version is not None and datastore_version != Module.NO_CHANGE_TO_ARG:
            store["version"] = base.getid(datastore_version)
        if store:
            record["datastore"] = store
        flags = {
            "all_tenants": all_tenants,
            "auto_apply": auto_apply,
            "visible": visible,
            "live_update": live_update,
            "all_datastores": True if datastore is None else all_datastores,
            "all_datastore_versions": True if datastore_version is None else all_datastore_versions,
            "priority_apply": priority_apply,
            "full_access": full_access,
        }
        record.update({key: int(value) for key, value in flags.items() if value is not None})
        url = f"/modules/{base.getid(module)}"
        resp, body = self.api.client.put(url, body={"module": record})
        self._check(resp, body, url)
        return Module(self, body["module"] or {}, loaded=True)

    def list(self, limit: Any = None, marker: Any = None, datastore: Any = None) -> common.Paginated:
        query = {"datastore": base.getid(datastore)} if datastore else None
        return self._paginated("/modules", "modules", limit, marker, query_strings=query)

    def get(self, module: Any) -> Module:
        found: Module = self._get(f"/modules/{base.getid(module)}", "module")
        return found

    def delete(self, module: Any) -> None:
        self._delete(f"/modules/{base.getid(module)}")

    def instances(
        self,
        module: Any,
        limit: Any = None,
        marker: Any = None,
        include_clustered: Any = None,
        count_only: Any = None,
    ) -> common.Paginated:
        """The instances a module is applied to, or with `count_only` how many by contents."""
        query = {}
        if include_clustered is not None:
            query["include_clustered"] = include_clustered
        if count_only is not None:
            query["count_only"] = count_only
        url = f"/modules/{base.getid(module)}/instances"
        return self._paginated(url, "instances", limit, marker, query_strings=query)

    def reapply(
        self,
        module: Any,
        md5: str | None = None,
        include_clustered: Any = None,
        batch_size: Any = None,
        delay: Any = None,
        force: Any = None,
    ) -> None:
        """Apply the current contents again, in batches; `delay` is seconds between batches."""
        values = {
            "md5": md5,
            "include_clustered": None if include_clustered is None else int(include_clustered),
            "batch_size": batch_size,
            "batch_delay": delay,
            "force": None if force is None else int(force),
        }
        url = f"/modules/{base.getid(module)}/instances"
        body = {"reapply": {key: value for key, value in values.items() if value is not None}}
        resp, answer = self.api.client.put(url, body=body)
        self._check(resp, answer, url)
