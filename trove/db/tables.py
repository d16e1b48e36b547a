"""Tables of the service database, as SQLAlchemy Core; `docs/database.md` says why they are so.

Ids are UUID text, times naive UTC, `deleted` is 0 or 1 (an ordinary number, so that every database can use it in an
index), JSON is text. Version columns hold ids of `datastore_versions` and say what an engine proved to be.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import mysql

MYSQL: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin"}

Id = sa.String(36)
Project = sa.String(64)
Name = sa.String(255)
Word = sa.String(64)
Long = sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")
Moment = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
Serial = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

metadata = sa.MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
    }
)

counters = sa.Table(
    "counters",
    metadata,
    sa.Column("name", Word, primary_key=True),
    sa.Column("value", sa.BigInteger, nullable=False),
    comment="Counters whose row lock also puts transactions of one kind into a queue",
    **MYSQL,
)

datastores = sa.Table(
    "datastores",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("name", Name, nullable=False, unique=True),
    sa.Column("default_version_id", Id),
    sa.Column("position", sa.Integer, nullable=False, default=0),
    **MYSQL,
)

datastore_versions = sa.Table(
    "datastore_versions",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("datastore_id", Id, sa.ForeignKey("datastores.id"), nullable=False),
    sa.Column("name", Name, nullable=False),
    sa.Column("number", Name, nullable=False, default=""),
    sa.Column("recipe", Name, nullable=False, default=""),
    sa.Column("active", sa.SmallInteger, nullable=False, default=1),
    sa.Column("position", sa.Integer, nullable=False, default=0),
    sa.UniqueConstraint("datastore_id", "name"),
    **MYSQL,
)

flavors = sa.Table(
    "flavors",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("name", Name, nullable=False, unique=True),
    sa.Column("ram", sa.Integer, nullable=False),
    sa.Column("vcpus", sa.Integer, nullable=False),
    sa.Column("disk", sa.Integer, nullable=False, default=0),
    **MYSQL,
)

clusters = sa.Table(
    "clusters",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("project_id", Project, nullable=False),
    sa.Column("name", Name, nullable=False),
    sa.Column("version_id", Id, sa.ForeignKey("datastore_versions.id"), nullable=False),
    sa.Column("task", Word, nullable=False),
    sa.Column("endpoint_address", sa.String(45)),
    sa.Column("endpoint_port", sa.Integer),
    sa.Column("active_member_id", Id),
    sa.Column("generation", sa.Integer, nullable=False, default=0),
    sa.Column("options", Long, nullable=False, default="{}"),
    sa.Column("created", Moment, nullable=False),
    sa.Column("updated", Moment, nullable=False),
    sa.Column("deleted", sa.SmallInteger, nullable=False, default=0),
    sa.Column("deleted_at", Moment),
    sa.Index(None, "project_id", "deleted", "id"),
    sa.Index(None, "project_id", "deleted", "name", "id"),
    sa.Index(None, "deleted", "id"),
    **MYSQL,
)

instances = sa.Table(
    "instances",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("project_id", Project, nullable=False),
    sa.Column("name", Name, nullable=False),
    sa.Column("version_id", Id, sa.ForeignKey("datastore_versions.id"), nullable=False),
    sa.Column("flavor_id", Id, nullable=False),
    sa.Column("volume_gb", sa.Integer, nullable=False),
    sa.Column("address", sa.String(45), nullable=False),
    sa.Column("port", sa.Integer, nullable=False),
    sa.Column("task", Word, nullable=False),
    sa.Column("cluster_id", Id, sa.ForeignKey("clusters.id")),
    sa.Column("ordinal", sa.Integer, nullable=False, default=0, comment="place among those accepted together"),
    sa.Column("ram_mb", sa.Integer, nullable=False, default=0),
    sa.Column("vcpus", sa.Integer, nullable=False, default=0),
    sa.Column("image_id", Name),
    sa.Column("generation", sa.Integer, nullable=False, default=0),
    sa.Column("fault", Long),
    sa.Column("configuration", Long),
    sa.Column("created", Moment, nullable=False),
    sa.Column("updated", Moment, nullable=False),
    sa.Column("deleted", sa.SmallInteger, nullable=False, default=0),
    sa.Column("deleted_at", Moment),
    # What the engine last said; status NULL: it has not spoken yet.
    sa.Column("health_status", Word),
    sa.Column("health_version", Name),
    sa.Column("health_version_number", Word),
    sa.Column("health_role", Word),
    sa.Column("health_in_sync", sa.SmallInteger),
    sa.Column("health_lag_bytes", sa.BigInteger),
    sa.Column("health_members_seen", sa.Integer),
    sa.Column("health_used_bytes", sa.BigInteger),
    sa.Column("health_free_bytes", sa.BigInteger),
    sa.Column("health_reason", Long),
    sa.Column("health_observed_at", Word),
    sa.Column("health_detail", Long),
    sa.Column("health_said_at", Word),
    sa.Index(None, "project_id", "deleted", "id"),
    sa.Index(None, "project_id", "deleted", "cluster_id", "id"),
    sa.Index(None, "project_id", "deleted", "name", "id"),
    # Covers the count of a project's quota units.
    sa.Index("ix_instances_usage", "project_id", "deleted", "volume_gb", "ram_mb"),
    sa.Index(None, "deleted", "id"),
    sa.Index(None, "cluster_id", "deleted"),
    **MYSQL,
)

addresses = sa.Table(
    "addresses",
    metadata,
    sa.Column("address", sa.String(45), primary_key=True),
    sa.Column("owner_id", Id, index=True),
    sa.Column("reserved_until", sa.Double, comment="database time; NULL once the address has an owner"),
    **MYSQL,
)

secrets = sa.Table(
    "secrets",
    metadata,
    sa.Column("owner_id", Id, primary_key=True),
    sa.Column("value", Long, nullable=False),
    **MYSQL,
)

quotas = sa.Table(
    "quotas",
    metadata,
    sa.Column("project_id", Project, primary_key=True),
    sa.Column("resource", Word, primary_key=True),
    sa.Column("hard_limit", sa.Integer, nullable=False),
    **MYSQL,
)

operations = sa.Table(
    "operations",
    metadata,
    sa.Column("seq", Serial, primary_key=True, autoincrement=True, comment="order of acceptance"),
    sa.Column("id", Id, nullable=False, unique=True),
    sa.Column("project_id", Project, nullable=False),
    sa.Column("kind", Word, nullable=False),
    sa.Column("resource_type", Word, nullable=False),
    sa.Column("resource_id", Id, nullable=False),
    sa.Column("resource_name", Name, nullable=False),
    sa.Column("plan", Long, nullable=False, comment="the plan without its steps, which are operation_steps"),
    sa.Column("status", Word, nullable=False),
    sa.Column("status_text", Long, nullable=False),
    sa.Column("on_failure", Word, nullable=False),
    sa.Column("error", Long),
    sa.Column("fence", sa.BigInteger, nullable=False, default=0),
    sa.Column("lease_owner", Name),
    sa.Column("lease_until", sa.Double, comment="database time, seconds since the epoch"),
    sa.Column("created", Moment, nullable=False),
    sa.Column("started", Moment),
    sa.Column("updated", Moment, nullable=False),
    sa.Column("finished", Moment),
    sa.Index(None, "project_id", "seq"),
    sa.Index(None, "project_id", "status", "seq"),
    sa.Index(None, "resource_id", "seq"),
    sa.Index(None, "status", "seq"),
    **MYSQL,
)

operation_steps = sa.Table(
    "operation_steps",
    metadata,
    sa.Column("operation_id", Id, sa.ForeignKey("operations.id"), primary_key=True),
    sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("undo", sa.SmallInteger, nullable=False, default=0),
    sa.Column("step", Long, nullable=False),
    sa.Column("status", Word, nullable=False),
    sa.Column("status_text", Long, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False, default=0),
    sa.Column("started", Moment),
    sa.Column("finished", Moment),
    sa.Column("error", Long),
    sa.Column("result", Long),
    **MYSQL,
)

operation_events = sa.Table(
    "operation_events",
    metadata,
    sa.Column("id", Serial, primary_key=True, autoincrement=True),
    sa.Column("operation_id", Id, sa.ForeignKey("operations.id"), nullable=False),
    sa.Column("at", Moment, nullable=False),
    sa.Column("level", Word, nullable=False),
    sa.Column("text", Long, nullable=False),
    sa.Index(None, "operation_id", "id"),
    **MYSQL,
)
