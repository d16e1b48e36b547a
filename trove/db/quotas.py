"""Quota units in use, counted from rows, and the limits that differ from the configured ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from trove.db.engine import Part, transaction
from trove.db.tables import instances, quotas
from trove.domain.errors import OverLimit
from trove.domain.instances import Instance

_USAGE = sa.select(
    sa.func.count(),
    sa.func.coalesce(sa.func.sum(instances.c.volume_gb), 0),
    sa.func.coalesce(sa.func.sum(instances.c.ram_mb), 0),
).where(instances.c.project_id == sa.bindparam("project"), instances.c.deleted == 0)

UNITS = {"instances": "", "volumes": " GB", "ram": " MB"}


class QuotaStore(Part):
    """Usage and limits of projects."""

    def usage(self, project_id: str) -> Mapping[str, int]:
        """Return what is in use: instances, volumes (GB), ram (MB)."""
        with self._db.read() as conn:
            return count_usage(conn, project_id)

    def quota_limits(self, project_id: str) -> Mapping[str, int]:
        """Return limits that were set for the project, by resource; what is missing follows the configuration."""
        with self._db.read() as conn:
            found = conn.execute(sa.select(quotas).where(quotas.c.project_id == project_id)).all()
        return {row.resource: row.hard_limit for row in found}

    @transaction
    def set_quota_limits(self, conn: Connection, project_id: str, limits: Mapping[str, int]) -> None:
        """Set these limits of the project, -1 for none; other resources stay as they are."""
        for resource, limit in limits.items():
            where = (quotas.c.project_id == project_id, quotas.c.resource == resource)
            conn.execute(sa.delete(quotas).where(*where))
            conn.execute(sa.insert(quotas).values(project_id=project_id, resource=resource, hard_limit=limit))


def count_usage(conn: Connection, project_id: str) -> dict[str, int]:
    """Count a project's units."""
    number, volumes, ram = conn.execute(_USAGE, {"project": project_id}).one()
    return {"instances": int(number), "volumes": int(volumes), "ram": int(ram)}


def check_limits(conn: Connection, project_id: str, new: Sequence[Instance], limits: Mapping[str, int]) -> None:
    """Raise OverLimit, with every resource that is exceeded, when the new instances do not fit."""
    if not new:
        return
    wanted = {
        "instances": len(new),
        "volumes": sum(instance.volume_gb for instance in new),
        "ram": sum(instance.ram_mb for instance in new),
    }
    used = count_usage(conn, project_id)
    exceeded = [
        f"{resource}: {used[resource]}{unit} in use and {wanted[resource]}{unit} asked for, the limit is {limit}{unit}"
        for resource, unit in UNITS.items()
        if (limit := limits.get(resource, -1)) >= 0 and wanted[resource] and used[resource] + wanted[resource] > limit
    ]
    if exceeded:
        raise OverLimit(
            f"quota exceeded ({'; '.join(exceeded)}); delete something, or ask the operator for a larger quota"
        )
