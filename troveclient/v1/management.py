"""Calls for administrators."""

from __future__ import annotations

from typing import Any

from troveclient import base, common, exceptions
from troveclient.v1 import clusters, configurations, datastores, flavors, instances


class RootHistory(base.Resource):
    def __repr__(self) -> str:
        return f"<Root History: Instance {self.id} enabled at {self.created} by {self.user}>"


class Management(base.ManagerWithFind):
    """Instances of every project."""

    resource_class = instances.Instance
    find_url = "/mgmt/instances"
    find_key = "instances"

    def list(self, limit: Any = None, marker: Any = None, deleted: Any = False, **filters: Any) -> common.Paginated:
        """One page. Further keywords are sent as filters (project_id, include_clustered…)."""
        query = {"deleted": deleted, **filters}
        return self._paginated("/mgmt/instances", "instances", limit, marker, query_strings=query)

    def index(self, *args: Any, **kwargs: Any) -> common.Paginated:
        return self.list(*args, **kwargs)

    def show(self, instance: Any) -> instances.Instance:
        found: instances.Instance = self._get(f"/mgmt/instances/{base.getid(instance)}", "instance")
        return found

    get = show

    def root_enabled_history(self, instance: Any) -> RootHistory:
        url = f"/mgmt/instances/{base.getid(instance)}/root"
        _resp, body = self.api.client.get(url)
        if not body:
            raise exceptions.ResponseFormatError(f"GET {url} answered without a body")
        return RootHistory(self, body["root_history"])

    def _action(self, instance_id: Any, body: Any) -> None:
        url = f"/mgmt/instances/{instance_id}/action"
        resp, answer = self.api.client.post(url, body=body)
        self._check(resp, answer, url)

    def stop(self, instance_id: Any) -> None:
        """Stop the engine."""
        self._action(base.getid(instance_id), {"stop": {}})

    def reboot(self, instance_id: Any) -> None:
        """Reboot the server."""
        self._action(base.getid(instance_id), {"reboot": {}})

    def migrate(self, instance_id: Any, host: str | None = None) -> None:
        self._action(base.getid(instance_id), {"migrate": {"host": host} if host else {}})

    def update(self, instance_id: Any) -> None:
        self._action(base.getid(instance_id), {"update": {}})

    def reset_task_status(self, instance_id: Any) -> None:
        self._action(base.getid(instance_id), {"reset-task-status": {}})

    def rebuild(self, instance_id: Any, image_id: str) -> None:
        """Rebuild the server on another guest image; the data stay."""
        self._action(base.getid(instance_id), {"rebuild": {"image_id": image_id}})


class MgmtClusters(base.ManagerWithFind):
    resource_class = clusters.Cluster
    find_url = "/mgmt/clusters"
    find_key = "clusters"

    def list(self, *args: Any, **kwargs: Any) -> common.Paginated:
        return self.index(*args, **kwargs)

    def show(self, cluster: Any) -> clusters.Cluster:
        found: clusters.Cluster = self._get(f"/mgmt/clusters/{base.getid(cluster)}", "cluster")
        return found

    get = show

    def index(self, deleted: Any = None, limit: Any = None, marker: Any = None) -> common.Paginated:
        query = None if deleted is None else {"deleted": str(bool(deleted)).lower()}
        return self._paginated("/mgmt/clusters", "clusters", limit, marker, query_strings=query)

    def _action(self, cluster_id: Any, body: Any) -> None:
        url = f"/mgmt/clusters/{cluster_id}/action"
        resp, answer = self.api.client.post(url, body=body)
        self._check(resp, answer, url)

    def reset_task(self, cluster_id: Any) -> None:
        self._action(base.getid(cluster_id), {"reset-task": {}})


class MgmtFlavors(base.ManagerWithFind):
    """Flavors of older services."""

    resource_class = flavors.Flavor

    def create(
        self,
        name: str,
        ram: int,
        disk: int,
        vcpus: int,
        flavorid: Any = "auto",
        ephemeral: int | None = None,
        swap: int | None = None,
        rxtx_factor: float | None = None,
        service_type: str | None = None,
    ) -> flavors.Flavor:
        record: dict[str, Any] = {
            "name": name,
            "ram": ram,
            "disk": disk,
            "vcpu": vcpus,
            "flavor_id": flavorid,
            "ephemeral": ephemeral or 0,
            "swap": swap or 0,
            "rxtx_factor": rxtx_factor or 1.0,
        }
        if service_type:
            record["service_type"] = service_type
        created: flavors.Flavor = self._create("/mgmt/flavors", {"flavor": record}, "flavor")
        return created

    def list(self, *args: Any, **kwargs: Any) -> Any:
        return self._list("/mgmt/flavors", "flavors")


class MgmtConfigurationParameters(configurations.ConfigurationParameters):
    """The parameters that a datastore version accepts."""

    def create(
        self,
        version: Any,
        name: str,
        restart_required: Any,
        data_type: str,
        max_size: Any = None,
        min_size: Any = None,
    ) -> None:
        record: dict[str, Any] = {
            "name": name,
            "restart_required": int(restart_required),
            "data_type": data_type,
        }
        self._send("post", self._url(version), record, max_size, min_size)

    def modify(
        self,
        version: Any,
        name: str,
        restart_required: Any,
        data_type: str,
        max_size: Any = None,
        min_size: Any = None,
    ) -> None:
        record: dict[str, Any] = {
            "name": name,
            "restart_required": int(restart_required),
            "data_type": data_type,
        }
        self._send("put", self._url(version, name), record, max_size, min_size)

    def _send(self, verb: str, url: str, record: dict[str, Any], max_size: Any, min_size: Any) -> None:
        if max_size is not None:
            record["max_size"] = max_size
        if min_size is not None:
            record["min_size"] = min_size
        resp, answer = getattr(self.api.client, verb)(url, body={"configuration-parameter": record})
        self._check(resp, answer, url)

    def list_all_parameter_by_version(self, version: Any) -> list[configurations.ConfigurationParameter]:
        return self._list(self._url(version), "configuration-parameters")

    def get_any_parameter_by_version(self, version: Any, key: str) -> configurations.ConfigurationParameter:
        found: configurations.ConfigurationParameter = self._get(self._url(version, key))
        return found

    def delete(self, version: Any, name: str) -> None:
        self._delete(self._url(version, name))

    @staticmethod
    def _url(version: Any, name: str | None = None) -> str:
        url = f"/mgmt/datastores/versions/{base.getid(version)}/parameters"
        return f"{url}/{name}" if name else url


class MgmtDatastoreVersions(base.ManagerWithFind):
    resource_class = datastores.DatastoreVersion
    find_url = "/mgmt/datastore-versions"
    find_key = "versions"

    def list(self, limit: Any = None, marker: Any = None) -> common.Paginated:
        return self._paginated("/mgmt/datastore-versions", "versions", limit, marker)

    def get(self, datastore_version_id: Any) -> datastores.DatastoreVersion:
        found: datastores.DatastoreVersion = self._get(f"/mgmt/datastore-versions/{datastore_version_id}", "version")
        return found

    def create(
        self,
        name: str,
        datastore_name: str,
        datastore_manager: str,
        image: str | None,
        packages: Any = None,
        registry_ext: str | None = None,
        repl_strategy: str | None = None,
        active: str = "true",
        default: str = "false",
        image_tags: Any = (),
        version: str | None = None,
    ) -> Any:
        """Create a version (and its datastore when there is none); `active`, `default` are "true" or "false"."""
        record: dict[str, Any] = {
            "name": name,
            "datastore_name": datastore_name,
            "datastore_manager": datastore_manager,
            "active": _truth(active),
            "default": _truth(default),
        }
        optional = {
            "image": image,
            "image_tags": list(image_tags) if image_tags else None,
            "packages": packages,
            "registry_ext": registry_ext,
            "repl_strategy": repl_strategy,
            "version": version,
        }
        record.update({key: value for key, value in optional.items() if value})
        # The service answers 202 without a body.
        return self._create("/mgmt/datastore-versions", {"version": record}, None, True)

    def _create(self, url: str, body: Any, response_key: Any, return_raw: bool = False, **kwargs: Any) -> Any:
        resp, answer = self.api.client.post(url, body=body)
        self._check(resp, answer, url)
        return answer

    def edit(
        self,
        datastore_version_id: Any,
        datastore_manager: str | None = None,
        image: str | None = None,
        packages: Any = None,
        image_tags: Any = None,
        registry_ext: str | None = None,
        repl_strategy: str | None = None,
        active: str | None = None,
        default: str | None = None,
        name: str | None = None,
    ) -> None:
        """Change what is given; the body has no wrapper."""
        values: dict[str, Any] = {
            "datastore_manager": datastore_manager,
            "image": image,
            "packages": packages,
            "image_tags": image_tags,
            "registry_ext": registry_ext,
            "repl_strategy": repl_strategy,
            "active": None if active is None else _truth(active),
            "default": None if default is None else _truth(default),
            "name": name,
        }
        url = f"/mgmt/datastore-versions/{datastore_version_id}"
        body = {key: value for key, value in values.items() if value is not None}
        resp, answer = self.api.client.patch(url, body=body)
        self._check(resp, answer, url)

    def delete(self, datastore_version_id: Any) -> None:
        self._delete(f"/mgmt/datastore-versions/{datastore_version_id}")


def _truth(text: Any) -> bool:
    return str(text).lower() == "true"
