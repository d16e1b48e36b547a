"""Operations: the long changes that somebody asked for, with plan and history. Our extension of the API."""

from __future__ import annotations

from typing import Any
from urllib import parse

from troveclient import base, common

FINAL = ("SUCCEEDED", "ROLLED_BACK", "FAILED")


def id_from(location: Any) -> str | None:
    """The operation id in a Location header, or None when it names no operation."""
    parts = parse.urlparse(location if isinstance(location, str) else "").path.rstrip("/").split("/")
    return parts[-1] if len(parts) > 1 and parts[-2] == "operations" else None


class Operation(base.Resource):
    def __repr__(self) -> str:
        return f"<Operation: {self.id}>"

    @property
    def is_final(self) -> bool:
        return self.status in FINAL


class Operations(base.Manager):
    resource_class = Operation

    def list(
        self,
        limit: Any = None,
        marker: Any = None,
        cluster_id: Any = None,
        instance_id: Any = None,
        status: str | None = None,
        kind: str | None = None,
    ) -> common.Paginated:
        """One page, newest first."""
        query = {
            "cluster_id": base.getid(cluster_id),
            "instance_id": base.getid(instance_id),
            "status": status,
            "kind": kind,
        }
        return self._paginated("/operations", "operations", limit, marker, query)

    def get(self, operation: Any) -> Operation:
        """One operation with its steps and events."""
        found: Operation = self._get(f"/operations/{base.getid(operation)}", "operation")
        return found

    def resume(self, operation: Any) -> Operation:
        """Let a held operation go on. 422 when its status does not allow it."""
        return self._act(operation, "resume")

    def rollback(self, operation: Any) -> Operation:
        """Return what the operation touched to the old version. 422 when its status does not allow it."""
        return self._act(operation, "rollback")

    def _act(self, operation: Any, verb: str) -> Operation:
        url = f"/operations/{base.getid(operation)}/action"
        _resp, body = self.api.client.post(url, body={verb: {}})
        return Operation(self, body["operation"], loaded=False)


def upgrade_body(
    datastore_version: Any,
    dry_run: bool = False,
    on_failure: str | None = None,
    hold: Any = None,
    accept_no_rollback: bool = False,
) -> dict[str, Any]:
    """The members of an upgrade request; extensions are sent only when asked for."""
    body: dict[str, Any] = {"datastore_version": base.getid(datastore_version)}
    if dry_run:
        body["dry_run"] = True
    if on_failure:
        body["on_failure"] = on_failure
    if hold:
        body["hold"] = [hold] if isinstance(hold, str) else list(hold)
    if accept_no_rollback:
        body["accept_no_rollback"] = True
    return body
