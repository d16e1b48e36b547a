"""Backup strategies: where the backups of a project or instance go."""

from __future__ import annotations

import builtins
from typing import Any

from troveclient import base, common


class BackupStrategy(base.Resource):
    def __repr__(self) -> str:
        return f"<BackupStrategy: {self.project_id}[{self.instance_id}]>"


class BackupStrategiesManager(base.ManagerWithFind):
    resource_class = BackupStrategy

    def list(self, instance_id: Any = None, project_id: str | None = None) -> builtins.list[BackupStrategy]:
        return self._list(self._url(instance_id, project_id), "backup_strategies")

    def create(self, instance_id: Any = None, swift_container: str | None = None) -> BackupStrategy:
        record: dict[str, Any] = {}
        if instance_id:
            record["instance_id"] = base.getid(instance_id)
        if swift_container:
            record["swift_container"] = swift_container
        created: BackupStrategy = self._create("/backup_strategies", {"backup_strategy": record}, "backup_strategy")
        return created

    def delete(self, instance_id: Any = None, project_id: str | None = None) -> None:
        self._delete(self._url(instance_id, project_id))

    @staticmethod
    def _url(instance_id: Any, project_id: str | None) -> str:
        return common.append_query_strings(
            "/backup_strategies", instance_id=base.getid(instance_id) or None, project_id=project_id or None
        )
