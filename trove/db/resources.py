"""Instances and clusters: snapshots out, single fields in. New rows come with an operation (`acceptance.py`)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from trove.db import reads, rows
from trove.db.addresses import free_addresses_of
from trove.db.catalogue import CatalogueStore
from trove.db.engine import transaction
from trove.db.fencing import check_lease
from trove.db.secrets import drop_secret_of
from trove.db.tables import clusters, instances
from trove.domain.errors import NotFound
from trove.domain.health import Health
from trove.domain.instances import Cluster, Instance
from trove.domain.states import InstanceTask, Task, check_cluster_transition, check_instance_transition
from trove.domain.store import Lease, Page

IDLE = InstanceTask.NONE.name
"""Clusters have the same name for it."""

Fields = Mapping[str, Callable[[Any], Mapping[str, Any]]]

INSTANCE_FIELDS: Fields = {
    "task": lambda task: {"task": task.name},
    "version": lambda version: {"version_id": version.id},
    "image_id": lambda image_id: {"image_id": image_id},
    "fault": lambda fault: {"fault": rows.dump_optional(fault)},
    "name": lambda name: {"name": name},
    "health": rows.health_values,
    "cluster_id": lambda cluster_id: {"cluster_id": cluster_id},
    "configuration": lambda configuration: {"configuration": rows.dump_optional(configuration)},
}
"""Which columns hold a field that may be set."""

CLUSTER_FIELDS: Fields = {
    "task": lambda task: {"task": task.name},
    "version": lambda version: {"version_id": version.id},
    "active_member_id": lambda instance_id: {"active_member_id": instance_id},
    "name": lambda name: {"name": name},
}


class _Noun(NamedTuple):
    """Where updates of instances and of clusters differ."""

    name: str
    table: sa.Table
    fields: Fields
    tasks: Mapping[str, Task]
    check_transition: Callable[[Task, Task], None]


_INSTANCE = _Noun("instance", instances, INSTANCE_FIELDS, rows.INSTANCE_TASKS, check_instance_transition)
_CLUSTER = _Noun("cluster", clusters, CLUSTER_FIELDS, rows.CLUSTER_TASKS, check_cluster_transition)

_HEARD = (
    sa.update(instances)
    .where(instances.c.id == sa.bindparam("key"), instances.c.deleted == 0)
    .values({name: sa.bindparam(name) for name in rows.HEALTH})
)
_HEARD_SINCE = _HEARD.where(sa.func.coalesce(instances.c.health_observed_at, "") == sa.bindparam("since"))


class ResourceStore(CatalogueStore):
    """Reads and changes of instances and clusters."""

    def instances(
        self,
        project_id: str | None,
        *,
        limit: int,
        marker: str | None = None,
        name: str | None = None,
        include_clustered: bool = False,
    ) -> Page[Instance]:
        """One page by ascending id. `health.detail` is empty here."""
        statement = reads.instance_page(project_id is not None, marker is not None, name is not None, include_clustered)
        found, next_marker = self._page(statement, project_id, limit, marker, name)
        return Page(self._instances(found), next_marker)

    def instance(self, instance_id: str, project_id: str | None = None) -> Instance:
        """Find by id; NotFound when unknown, deleted, or of another project (None: any project)."""
        with self._db.read() as conn:
            row = conn.execute(reads.INSTANCE, {"id": instance_id}).first()
        if row is None or project_id not in (None, row[1]):
            raise NotFound("instance", instance_id)
        return self._instances([row])[0]

    def clusters(
        self, project_id: str | None, *, limit: int, marker: str | None = None, name: str | None = None
    ) -> Page[Cluster]:
        """One page by ascending id, with members. `health.detail` of the members is empty here."""
        statement = reads.cluster_page(project_id is not None, marker is not None, name is not None)
        found, next_marker = self._page(statement, project_id, limit, marker, name)
        if not found:
            return Page([], None)
        with self._db.read() as conn:
            members = _by_cluster(conn.execute(reads.MEMBERS_SUMMARY, {"ids": [row[0] for row in found]}).all())
        return Page([self._cluster(row, members[row[0]]) for row in found], next_marker)

    def cluster(self, cluster_id: str, project_id: str | None = None) -> Cluster:
        """Find by id, with members; NotFound as for instances."""
        with self._db.read() as conn:
            found = conn.execute(reads.CLUSTER, {"id": cluster_id}).all()
        if not found or project_id not in (None, found[0][1]):
            raise NotFound("cluster", cluster_id)
        width = len(rows.CLUSTER)
        members = [row[width:] for row in found if row[width] is not None]
        return self._cluster(found[0], members)

    def all_instances(self) -> Sequence[Instance]:
        """Every instance that is not deleted."""
        with self._db.read() as conn:
            found = conn.execute(reads.ALL_INSTANCES).all()
        return self._instances(found)

    def all_clusters(self) -> Sequence[Cluster]:
        """Every cluster that is not deleted, with members."""
        with self._db.snapshot() as conn:
            found = conn.execute(reads.ALL_CLUSTERS).all()
            members = _by_cluster(conn.execute(reads.ALL_INSTANCES).all())
        return [self._cluster(row, members[row[0]]) for row in found]

    @transaction
    def update_instance(
        self, conn: Connection, /, instance_id: str, *, lease: Lease | None = None, **fields: Any
    ) -> None:
        """Set fields (INSTANCE_FIELDS), or delete with `deleted=True`, which may be told twice.

        A task must follow from the present one by the table of transitions (ValueError). StaleGeneration, and nothing
        is written, with a lease that is lost.
        """
        _update(conn, _INSTANCE, instance_id, lease, fields)

    @transaction
    def update_cluster(
        self, conn: Connection, /, cluster_id: str, *, lease: Lease | None = None, **fields: Any
    ) -> None:
        """Set fields (CLUSTER_FIELDS), or delete with `deleted=True`; as `update_instance`."""
        _update(conn, _CLUSTER, cluster_id, lease, fields)

    @transaction
    def reset_task(self, conn: Connection, instance_id: str | None = None, cluster_id: str | None = None) -> None:
        """Make something idle whatever it was doing, a cluster with its members; NotFound when there is no such row."""
        now = rows.utcnow()
        for noun, table, key in (("cluster", clusters, cluster_id), ("instance", instances, instance_id)):
            if key is None:
                continue
            change = sa.update(table).where(table.c.id == key, table.c.deleted == 0)
            if not conn.execute(change.values(task=IDLE, updated=now)).rowcount:
                raise NotFound(noun, key)
        if cluster_id is not None:
            members = sa.update(instances).where(instances.c.cluster_id == cluster_id, instances.c.deleted == 0)
            conn.execute(members.values(task=IDLE, updated=now))

    def record_health(self, observations: Mapping[str, Health], since: Mapping[str, str] | None = None) -> None:
        """Store what engines said, by instance id, in one transaction; unknown instances are passed over.

        `since` holds by instance id the `observed_at` ("" for none) that was known when the engine was asked: where
        somebody has recorded another observation meanwhile, this one is dropped.
        """
        if observations:
            self._record_health(observations, since)

    @transaction
    def _record_health(
        self, conn: Connection, observations: Mapping[str, Health], since: Mapping[str, str] | None
    ) -> None:
        known = since or {}
        # In the order of the ids, so that two writers cannot wait for each other in a circle.
        conn.execute(
            _HEARD if since is None else _HEARD_SINCE,
            [
                {"key": key, **rows.health_values(observations[key]), **({"since": known[key]} if known else {})}
                for key in sorted(observations)
            ],
        )

    def _page(
        self, statement: sa.Select[Any], project_id: str | None, limit: int, marker: str | None, name: str | None
    ) -> tuple[Sequence[Sequence[Any]], str | None]:
        wanted = {"project": project_id, "marker": marker, "name": name}
        parameters: dict[str, Any] = {key: value for key, value in wanted.items() if value is not None}
        with self._db.read() as conn:
            found = conn.execute(statement, parameters | {"count": limit + 1}).all()
        if len(found) <= limit:
            return found, None
        return found[:limit], found[limit - 1][0] if limit else None

    def _cluster(self, row: Sequence[Any], members: Sequence[Sequence[Any]]) -> Cluster:
        return self._with_versions(lambda versions: rows.to_cluster(row, rows.to_members(members, versions), versions))

    def _instances(self, found: Sequence[Sequence[Any]]) -> list[Instance]:
        return self._with_versions(lambda versions: [rows.to_instance(row, versions) for row in found])


def _by_cluster(found: Sequence[Sequence[Any]]) -> Mapping[str, list[Sequence[Any]]]:
    members: defaultdict[str, list[Sequence[Any]]] = defaultdict(list)
    for row in found:
        if row[9] is not None:
            members[row[9]].append(row)
    return members


def _update(conn: Connection, noun: _Noun, key: str, lease: Lease | None, fields: dict[str, Any]) -> None:
    table = noun.table
    before = conn.execute(sa.select(table.c.task, table.c.deleted).where(table.c.id == key).with_for_update()).first()
    if lease is not None:
        check_lease(conn, lease)
    deleted = bool(fields.pop("deleted", False))
    if before is None or (before.deleted and not deleted):
        raise NotFound(noun.name, key)
    if before.deleted:
        return
    values: dict[str, Any] = {}
    for name, value in fields.items():
        if name not in noun.fields:
            raise TypeError(f"{noun.name} has no field '{name}' that can be set")
        values |= noun.fields[name](value)
    if "task" in fields:
        noun.check_transition(noun.tasks[before.task], fields["task"])
    if deleted:
        values |= {"deleted": 1, "deleted_at": rows.utcnow()}
        free_addresses_of(conn, key)
        drop_secret_of(conn, key)
    if deleted or fields.keys() != {"health"}:  # what an engine says is no change of its instance
        values["updated"] = rows.utcnow()
    conn.execute(sa.update(table).where(table.c.id == key).values(**values))
