"""The client of API v1.0: one attribute per kind of resource."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from troveclient import client as trove_client

MANAGERS = {
    "instances": "instances.Instances",
    "clusters": "clusters.Clusters",
    "operations": "operations.Operations",
    "backups": "backups.Backups",
    "backup_strategies": "backup_strategy.BackupStrategiesManager",
    "databases": "databases.Databases",
    "users": "users.Users",
    "root": "root.Root",
    "configurations": "configurations.Configurations",
    "configuration_parameters": "configurations.ConfigurationParameters",
    "datastores": "datastores.Datastores",
    "datastore_versions": "datastores.DatastoreVersions",
    "flavors": "flavors.Flavors",
    "volume_types": "volume_types.VolumeTypes",
    "limits": "limits.Limits",
    "quota": "quota.Quotas",
    "metadata": "metadata.Metadata",
    "modules": "modules.Modules",
    "security_groups": "security_groups.SecurityGroups",
    "security_group_rules": "security_groups.SecurityGroupRules",
    "mgmt_instances": "management.Management",
    "mgmt_ds_versions": "management.MgmtDatastoreVersions",
    "mgmt_clusters": "management.MgmtClusters",
}


class Client:
    """Access to a Trove service.

    Give a keystoneauth session (the login happens in the constructor), or user and password for identity v2.0
    (nothing is sent until the first request). `endpoint` is an alias of keystoneauth's `endpoint_override`.
    """

    def __init__(
        self,
        username: str | None = None,
        password: str | None = None,
        project_id: str | None = None,
        auth_url: str = "",
        insecure: bool = False,
        timeout: float | None = None,
        tenant_id: str | None = None,
        proxy_tenant_id: str | None = None,
        proxy_token: str | None = None,
        region_name: str | None = None,
        endpoint_type: str = "publicURL",
        extensions: Any = None,
        service_type: str = "database",
        service_name: str | None = None,
        database_service_name: str | None = None,
        retries: int | None = None,
        http_log_debug: bool = False,
        cacert: str | None = None,
        bypass_url: str | None = None,
        auth_system: str = "keystone",
        auth_plugin: Any = None,
        session: Any = None,
        auth: Any = None,
        **kwargs: Any,
    ) -> None:
        self.projectid = project_id
        for extension in extensions or []:
            if getattr(extension, "manager_class", None):
                setattr(self, extension.name, extension.manager_class(self))
        if session:
            # Some callers name the API version here; the endpoint already says it.
            kwargs.pop("version", None)
        self.client = trove_client._construct_http_client(
            username=username,
            password=password,
            project_id=project_id,
            auth_url=auth_url,
            insecure=insecure,
            timeout=timeout,
            tenant_id=tenant_id,
            proxy_token=proxy_token,
            proxy_tenant_id=proxy_tenant_id,
            region_name=region_name,
            endpoint_type=endpoint_type,
            service_type=service_type,
            service_name=service_name,
            database_service_name=database_service_name,
            retries=retries,
            http_log_debug=http_log_debug,
            cacert=cacert,
            bypass_url=bypass_url,
            auth_system=auth_system,
            auth_plugin=auth_plugin,
            session=session,
            auth=auth,
            **kwargs,
        )

    def __getattr__(self, name: str) -> Any:
        # Managers are imported when first used: a command needs two or three of the twenty-odd.
        path = MANAGERS.get(name)
        if path is None:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        module, _, cls = path.partition(".")
        manager = getattr(import_module(f"troveclient.v1.{module}"), cls)(self)
        setattr(self, name, manager)
        return manager

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *MANAGERS})

    def authenticate(self) -> None:
        """Log in now (user and password mode). Raises Unauthorized, AuthorizationFailure."""
        login = getattr(self.client, "authenticate", None)
        if login is not None:
            login()

    def get_database_api_version_from_endpoint(self) -> str:
        return str(self.client.get_database_api_version_from_endpoint())
