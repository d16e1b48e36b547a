"""The select statements of lists and shows, made once: making one costs more than running it."""

from __future__ import annotations

from functools import cache
from typing import Any

import sqlalchemy as sa

from trove.db import rows
from trove.db.tables import clusters, instances

INSTANCE = sa.select(*rows.INSTANCE).where(instances.c.id == sa.bindparam("id"), instances.c.deleted == 0)

ALL_INSTANCES = sa.select(*rows.INSTANCE).where(instances.c.deleted == 0).order_by(instances.c.id)

CLUSTER = (
    sa.select(*rows.CLUSTER, *rows.INSTANCE)
    .select_from(clusters.outerjoin(instances, (instances.c.cluster_id == clusters.c.id) & (instances.c.deleted == 0)))
    .where(clusters.c.id == sa.bindparam("id"), clusters.c.deleted == 0)
)
"""One row per member, so that cluster and members are of the same moment."""

ALL_CLUSTERS = sa.select(*rows.CLUSTER).where(clusters.c.deleted == 0).order_by(clusters.c.id)

MEMBERS_SUMMARY = sa.select(*rows.INSTANCE_SUMMARY).where(
    instances.c.cluster_id.in_(sa.bindparam("ids", expanding=True)), instances.c.deleted == 0
)


@cache
def instance_page(project: bool, marker: bool, name: bool, include_clustered: bool) -> sa.Select[Any]:
    """Return the statement of one page of instances; the flags say which parameters it takes."""
    statement = _page(instances, rows.INSTANCE_SUMMARY, project, marker, name)
    return statement if include_clustered else statement.where(instances.c.cluster_id.is_(None))


@cache
def cluster_page(project: bool, marker: bool, name: bool) -> sa.Select[Any]:
    """Return the statement of one page of clusters."""
    return _page(clusters, rows.CLUSTER, project, marker, name)


def _page(
    table: sa.Table, columns: tuple[sa.ColumnElement[Any], ...], project: bool, marker: bool, name: bool
) -> sa.Select[Any]:
    """Continue after the marker along an index: the cost of a page does not depend on the number of rows."""
    statement = sa.select(*columns).where(table.c.deleted == 0)
    if project:
        statement = statement.where(table.c.project_id == sa.bindparam("project"))
    if marker:
        statement = statement.where(table.c.id > sa.bindparam("marker"))
    if name:
        statement = statement.where(table.c.name == sa.bindparam("name"))
    return statement.order_by(table.c.id).limit(sa.bindparam("count", type_=sa.Integer))
