"""Instances, their logs, modules and TLS."""

from __future__ import annotations

import builtins
from pathlib import Path
from typing import Any

from troveclient import base, common, exceptions, utils
from troveclient.v1 import modules as core_modules
from troveclient.v1 import operations

REBOOT_SOFT = "SOFT"
REBOOT_HARD = "HARD"


class Instance(base.Resource):
    """One database instance."""

    def __repr__(self) -> str:
        return f"<Instance: {self.name}>"

    def list_databases(self) -> Any:
        return self.manager.databases.list(self)

    def delete(self) -> None:
        self.manager.delete(self)

    def force_delete(self) -> None:
        self.manager.force_delete(self)

    def restart(self) -> None:
        self.manager.restart(self.id)

    def detach_replica(self) -> None:
        self.manager.edit(self.id, detach_replica_source=True)


class DatastoreLog(base.Resource):
    def __repr__(self) -> str:
        return f"<DatastoreLog: {self.name}>"


class Instances(base.ManagerWithFind):
    resource_class = Instance
    find_url = "/instances"
    find_key = "instances"
    # Members of clusters have names too, and people type them.
    find_query = {"include_clustered": True}

    @property
    def databases(self) -> Any:
        return self.api.databases

    def create(
        self,
        name: str,
        flavor_id: Any = None,
        volume: Any = None,
        databases: Any = None,
        users: Any = None,
        restorePoint: Any = None,
        availability_zone: str | None = None,
        datastore: Any = None,
        datastore_version: Any = None,
        nics: Any = None,
        configuration: Any = None,
        replica_of: Any = None,
        replica_count: int | None = None,
        modules: Any = None,
        locality: str | None = None,
        region_name: str | None = None,
        access: Any = None,
        datastore_version_number: str | None = None,
        **kwargs: Any,
    ) -> Instance:
        """Create an instance. Only what is given is sent."""
        store = {
            "type": base.getid(datastore),
            "version": base.getid(datastore_version),
            "version_number": datastore_version_number,
        }
        optional = {
            "flavorRef": base.getid(flavor_id),
            "volume": volume,
            "databases": databases,
            "users": users,
            "restorePoint": restorePoint,
            "availability_zone": availability_zone,
            "datastore": {key: value for key, value in store.items() if value},
            "nics": nics,
            "configuration": base.getid(configuration),
            "replica_of": base.getid(replica_of) or kwargs.get("slave_of"),
            "replica_count": replica_count,
            "modules": self._module_list(modules) if modules else None,
            "locality": locality,
            "region_name": region_name,
            "access": access,
        }
        body = {"instance": {"name": name, **{key: value for key, value in optional.items() if value}}}
        created: Instance = self._create("/instances", body, "instance")
        return created

    def _module_list(self, modules: Any) -> builtins.list[dict[str, Any]]:
        given = modules if isinstance(modules, list) else [modules]
        return [item if isinstance(item, dict) else {"id": base.getid(item)} for item in given]

    def list(
        self,
        limit: Any = None,
        marker: Any = None,
        include_clustered: bool = False,
        detailed: bool = False,
        search_opts: Any = None,
    ) -> common.Paginated:
        """One page of instances. `search_opts` is accepted because old callers pass it; the API has no such filter."""
        url = "/instances/detail" if detailed else "/instances"
        return self._paginated(url, "instances", limit, marker, {"include_clustered": include_clustered})

    def get(self, instance: Any) -> Instance:
        found: Instance = self._get(f"/instances/{base.getid(instance)}", "instance")
        return found

    def delete(self, instance: Any) -> None:
        self._delete(f"/instances/{base.getid(instance)}")

    def reset_status(self, instance: Any) -> None:
        self._action(instance, {"reset_status": {}})

    def force_delete(self, instance: Any) -> None:
        """Reset the status, then delete."""
        self.reset_status(instance)
        self.delete(instance)

    def _send(self, verb: str, instance: Any, body: dict[str, Any]) -> Any:
        url = f"/instances/{base.getid(instance)}"
        resp, answer = getattr(self.api.client, verb)(url, body=body)
        self._check(resp, answer, url)
        return resp, answer

    def modify(self, instance: Any, configuration: Any = None) -> None:
        """Attach a configuration group (or detach it, with None)."""
        self._send("put", instance, {"instance": {"configuration": base.getid(configuration)}})

    def update(
        self,
        instance: Any,
        configuration: Any = None,
        name: str | None = None,
        detach_replica_source: bool = False,
        remove_configuration: bool = False,
        is_public: bool | None = None,
        allowed_cidrs: Any = None,
    ) -> None:
        """Change name, configuration, replication source or access. Raises ValidationError on contradictions."""
        record = self._changes(configuration, name, detach_replica_source, remove_configuration)
        access = {
            key: value
            for key, value in (("is_public", is_public), ("allowed_cidrs", allowed_cidrs))
            if value is not None
        }
        if access:
            record["access"] = access
        self._send("put", instance, {"instance": record})

    def edit(
        self,
        instance: Any,
        configuration: Any = None,
        name: str | None = None,
        detach_replica_source: bool = False,
        remove_configuration: bool = False,
    ) -> None:
        """The older form of update (PATCH), which Heat still calls."""
        record = self._changes(configuration, name, detach_replica_source, remove_configuration)
        self._send("patch", instance, {"instance": record})

    @staticmethod
    def _changes(configuration: Any, name: str | None, detach: bool, remove: bool) -> dict[str, Any]:
        if configuration and remove:
            raise exceptions.ValidationError("Cannot attach and detach a configuration in one call.")
        record: dict[str, Any] = {}
        if configuration:
            record["configuration"] = base.getid(configuration)
        if remove:
            record["configuration"] = None
        if name:
            record["name"] = name
        if detach:
            record["replica_of"] = None
        return record

    def upgrade(
        self,
        instance: Any,
        datastore_version: Any,
        dry_run: bool = False,
        on_failure: str | None = None,
        hold: Any = None,
        accept_no_rollback: bool = False,
    ) -> Any:
        """Move an instance to another datastore version. Objects or ids (versions: names too).

        Returns the operation that was started (None on servers that do not tell), or with `dry_run` the plan.
        """
        body = operations.upgrade_body(datastore_version, dry_run, on_failure, hold, accept_no_rollback)
        resp, answer = self._send("patch", instance, {"instance": body})
        if dry_run and answer:
            return answer["plan"]
        started = operations.id_from(resp.headers.get("Location"))
        return operations.Operation(self.api.operations, {"id": started}) if started else None

    def _action(self, instance: Any, body: dict[str, Any]) -> Any:
        url = f"/instances/{base.getid(instance)}/action"
        resp, answer = self.api.client.post(url, body=body)
        self._check(resp, answer, url)
        if answer:
            return self.resource_class(self, answer, loaded=True)
        return answer

    def resize_volume(self, instance: Any, volume_size: int) -> None:
        """Grow the volume to `volume_size` GB."""
        self._action(instance, {"resize": {"volume": {"size": volume_size}}})

    def resize_instance(self, instance: Any, flavor_id: Any) -> None:
        self._action(instance, {"resize": {"flavorRef": base.getid(flavor_id)}})

    def restart(self, instance: Any) -> None:
        self._action(instance, {"restart": {}})

    def promote_to_replica_source(self, instance: Any) -> None:
        self._action(instance, {"promote_to_replica_source": {}})

    def eject_replica_source(self, instance: Any) -> None:
        self._action(instance, {"eject_replica_source": {}})

    def configuration(self, instance: Any) -> Instance:
        """The default configuration of the instance's version and flavor, in `.configuration`."""
        found: Instance = self._get(f"/instances/{base.getid(instance)}/configuration", "instance")
        return found

    def backups(self, instance: Any, limit: Any = None, marker: Any = None) -> common.Paginated:
        return self._paginated(f"/instances/{base.getid(instance)}/backups", "backups", limit, marker)

    # Modules on an instance.

    def modules(self, instance: Any) -> builtins.list[Any]:
        return self._modules_get(instance)

    def module_query(self, instance: Any) -> builtins.list[Any]:
        """What the guest says about its modules."""
        return self._modules_get(instance, from_guest=True)

    def _modules_get(self, instance: Any, from_guest: Any = None, include_contents: Any = None) -> builtins.list[Any]:
        url = common.append_query_strings(
            f"/instances/{base.getid(instance)}/modules",
            from_guest=from_guest,
            include_contents=include_contents,
        )
        resp, body = self.api.client.get(url)
        self._check(resp, body, url)
        return [core_modules.Module(self, item, loaded=True) for item in body["modules"]]

    def module_apply(self, instance: Any, modules: Any) -> builtins.list[Any]:
        url = f"/instances/{base.getid(instance)}/modules"
        resp, body = self.api.client.post(url, body={"modules": self._module_list(modules)})
        self._check(resp, body, url)
        return [core_modules.Module(self, item, loaded=True) for item in body["modules"]]

    def module_remove(self, instance: Any, module: Any) -> None:
        self._delete(f"/instances/{base.getid(instance)}/modules/{base.getid(module)}")

    def module_retrieve(self, instance: Any, directory: str | None = None, prefix: str | None = None) -> dict[str, str]:
        """Write each module's contents to `{prefix}_{name}_{datastore}_{version}.dat`; return {name: file}."""
        target = Path(directory or ".")
        target.mkdir(parents=True, exist_ok=True)
        saved: dict[str, str] = {}
        for module in self._modules_get(instance, from_guest=True, include_contents=True):
            parts = [module.name, module.datastore, module.datastore_version]
            file = target / ("_".join([prefix, *parts] if prefix else parts).replace("/", "-") + ".dat")
            file.write_bytes(utils.decode_data(module.contents))
            saved[module.name] = str(file)
        return saved

    # Guest logs.

    def log_list(self, instance: Any) -> builtins.list[DatastoreLog]:
        url = f"/instances/{base.getid(instance)}/log"
        resp, body = self.api.client.get(url)
        self._check(resp, body, url)
        return [DatastoreLog(self, item, loaded=True) for item in body["logs"]]

    def log_show(self, instance: Any, log_name: str) -> DatastoreLog:
        return self.log_action(instance, log_name)

    def log_action(
        self,
        instance: Any,
        log_name: str,
        enable: Any = None,
        disable: Any = None,
        publish: Any = None,
        discard: Any = None,
    ) -> DatastoreLog:
        body: dict[str, Any] = {"name": log_name}
        verbs = (("enable", enable), ("disable", disable), ("publish", publish), ("discard", discard))
        body.update({key: int(value) for key, value in verbs if value})
        url = f"/instances/{base.getid(instance)}/log"
        resp, answer = self.api.client.post(url, body=body)
        self._check(resp, answer, url)
        return DatastoreLog(self, answer["log"], loaded=True)

    def log_generator(self, instance: Any, log_name: str, lines: Any = 50, swift: Any = None) -> Any:
        """Return a function that yields the last `lines` lines of a published log (0 or None: all of it).

        `swift` has get_container, head_object and get_object; made from the session when not given.
        Raises GuestLogNotFoundError when nothing has been published.
        """
        from troveclient.v1 import guest_logs

        info = self.log_show(instance, log_name)
        return guest_logs.reader(info, lines, swift or guest_logs.store_for(self.api))

    def log_save(self, instance: Any, log_name: str, filename: str | None = None) -> str:
        """Write the whole published log to a file and return its name."""
        target = filename or f"trove-{base.getid(instance)}-{log_name}.log"
        generate = self.log_generator(instance, log_name, 0)
        with Path(target).open("w", encoding="utf-8") as file:
            for chunk in generate():
                file.write(chunk)
        return target

    # TLS.

    def ssl_show(self, instance: Any, include_certificate: bool = False) -> Instance:
        url = f"/instances/{base.getid(instance)}/ssl"
        if include_certificate:
            url += "?include_certificate=True"
        found: Instance = self._get(url, "ssl")
        return found

    def ssl_enable(self, instance: Any, mode: str, container_ref: str, password_ref: str | None = None) -> Any:
        body: dict[str, Any] = {"enable": True, "mode": mode, "container_ref": container_ref}
        if password_ref:
            body["password_ref"] = password_ref
        return self._ssl(instance, body)

    def ssl_disable(self, instance: Any) -> Any:
        return self._ssl(instance, {"disable": True})

    def ssl_rollback(self, instance: Any) -> Any:
        return self._ssl(instance, {"rollback": True})

    def _ssl(self, instance: Any, body: dict[str, Any]) -> Any:
        return self._create(f"/instances/{base.getid(instance)}/ssl", {"ssl": body}, "ssl", return_raw=True)


class InstanceStatus:
    ACTIVE = "ACTIVE"
    BLOCKED = "BLOCKED"
    BUILD = "BUILD"
    FAILED = "FAILED"
    REBOOT = "REBOOT"
    RESIZE = "RESIZE"
    SHUTDOWN = "SHUTDOWN"
    RESTART_REQUIRED = "RESTART_REQUIRED"
    PROMOTING = "PROMOTING"
    EJECTING = "EJECTING"
    LOGGING = "LOGGING"
