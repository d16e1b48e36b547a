"""Backups, and backups on a schedule (cron triggers of the workflow service)."""

from __future__ import annotations

import builtins
import json
import uuid
from typing import Any

from troveclient import base, common, exceptions

# Extensions and tests replace this; the workflow client is optional and imported when first needed.
mistral_client: Any = None


class Backup(base.Resource):
    def __repr__(self) -> str:
        return f"<Backup: {self.name}>"


class Schedule(base.Resource):
    def __repr__(self) -> str:
        return f"<Schedule: {self.name}>"


class ScheduleExecution(base.Resource):
    def __repr__(self) -> str:
        return f"<Execution: {self.id}>"


class Backups(base.ManagerWithFind):
    resource_class = Backup
    find_url = "/backups"
    find_key = "backups"
    backup_create_workflow = "trove.backup_create"

    def get(self, backup: Any) -> Backup:
        found: Backup = self._get(f"/backups/{base.getid(backup)}", "backup")
        return found

    def list(
        self,
        limit: Any = None,
        marker: Any = None,
        datastore: Any = None,
        instance_id: Any = None,
        all_projects: bool = False,
        project_id: str | None = None,
    ) -> common.Paginated:
        values = {
            "datastore": base.getid(datastore),
            "instance_id": base.getid(instance_id),
            "all_projects": all_projects,
            "project_id": project_id,
        }
        query = {key: value for key, value in values.items() if value}
        return self._paginated("/backups", "backups", limit, marker, query)

    def create(
        self,
        name: str,
        instance: Any,
        description: str | None = None,
        parent_id: Any = None,
        incremental: bool = False,
        storage_driver: str | None = None,
        swift_container: str | None = None,
        restore_from: str | None = None,
        restore_ds_version: Any = None,
        restore_size: Any = None,
    ) -> Backup:
        """Back an instance up, or with `restore_from` record a backup that lies somewhere already (size in GB)."""
        record: dict[str, Any]
        if restore_from:
            record = {
                "name": name,
                "restore_from": {
                    "remote_location": restore_from,
                    "local_datastore_version_id": base.getid(restore_ds_version),
                    "size": restore_size,
                },
            }
        else:
            record = {"name": name, "incremental": int(bool(incremental))}
            optional = {
                "instance": base.getid(instance),
                "description": description,
                "parent_id": base.getid(parent_id),
                "storage_driver": storage_driver,
                "swift_container": swift_container,
            }
            record.update({key: value for key, value in optional.items() if value})
        created: Backup = self._create("/backups", {"backup": record}, "backup")
        return created

    def delete(self, backup: Any) -> None:
        self._delete(f"/backups/{base.getid(backup)}")

    # Schedules.

    def _get_mistral_client(self) -> Any:
        """The workflow client with our login. Raises CommandError when its package is not installed."""
        global mistral_client
        if mistral_client is None:
            try:
                from mistralclient.api.client import client as mistral_client
            except ImportError as error:
                raise exceptions.CommandError(
                    "Schedules are kept by the workflow service: install python-mistralclient."
                ) from error
        http = self.api.client
        auth = http.auth
        if not hasattr(auth, "_password"):
            return mistral_client(session=http.session, auth=auth)
        return mistral_client(
            auth_url=auth.auth_url,
            username=auth._username,
            api_key=auth._password,
            project_name=auth._project_name,
        )

    def _build_schedule(self, cron_trigger: Any, wf_input: dict[str, Any]) -> Schedule:
        if isinstance(wf_input, str):
            wf_input = json.loads(wf_input)
        info = {
            "id": cron_trigger.name,
            "name": wf_input["name"],
            "instance": wf_input["instance"],
            "parent_id": wf_input.get("parent_id", None),
            "created_at": cron_trigger.created_at,
            "next_execution_time": cron_trigger.next_execution_time,
            "pattern": cron_trigger.pattern,
            "input": cron_trigger.workflow_input,
        }
        return Schedule(self, info, loaded=True)

    def schedule_create(
        self,
        instance: Any,
        pattern: str,
        name: str,
        description: str | None = None,
        incremental: Any = None,
        mistral_client: Any = None,
    ) -> Schedule:
        """Back up on a schedule; `pattern` is cron text."""
        mistral = mistral_client or self._get_mistral_client()
        inst = base.getid(instance)
        wf_input = {
            "instance": inst,
            "name": name,
            "description": description,
            "incremental": incremental,
        }
        trigger = mistral.cron_triggers.create(
            str(uuid.uuid4()), self.backup_create_workflow, pattern=pattern, workflow_input=wf_input
        )
        return self._build_schedule(trigger, wf_input)

    def schedule_list(self, instance: Any, mistral_client: Any = None) -> builtins.list[Schedule]:
        mistral = mistral_client or self._get_mistral_client()
        inst = base.getid(instance)
        found = []
        for trigger in mistral.cron_triggers.list():
            wf_input = json.loads(trigger.workflow_input)
            if wf_input.get("instance") == inst:
                found.append(self._build_schedule(trigger, wf_input))
        return found

    def schedule_show(self, schedule: Any, mistral_client: Any = None) -> Schedule:
        mistral = mistral_client or self._get_mistral_client()
        trigger = mistral.cron_triggers.get(base.getid(schedule))
        return self._build_schedule(trigger, json.loads(trigger.workflow_input))

    def schedule_delete(self, schedule: Any, mistral_client: Any = None) -> None:
        mistral = mistral_client or self._get_mistral_client()
        mistral.cron_triggers.delete(base.getid(schedule))

    def execution_list(
        self, schedule: Any, mistral_client: Any = None, marker: str = "", limit: int | None = None
    ) -> builtins.list[ScheduleExecution]:
        """What a schedule has run so far."""
        mistral = mistral_client or self._get_mistral_client()
        wanted = json.loads(mistral.cron_triggers.get(base.getid(schedule)).workflow_input)["instance"]
        found: list[ScheduleExecution] = []
        while True:
            page = mistral.executions.list(marker=marker, limit=limit, sort_dirs="desc")
            here = [
                ScheduleExecution(self, item.to_dict(), loaded=True)
                for item in page
                if item.workflow_name == self.backup_create_workflow
                and json.loads(item.input).get("instance") == wanted
            ]
            found += here
            if limit is not None and len(found) >= limit:
                return found[:limit]
            if not page or limit is None or not here:
                return found
            marker = page[-1].id

    def execution_delete(self, execution: Any, mistral_client: Any = None) -> None:
        mistral = mistral_client or self._get_mistral_client()
        exec_id = execution if isinstance(execution, str) else base.getid(execution)
        mistral.executions.delete(exec_id)
