"""The first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0001"
down_revision = None

LONG = sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")
MOMENT = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Change the tables."""
    op.create_table(
        "addresses",
        sa.Column("address", sa.String(length=45), nullable=False),
        sa.Column("owner_id", sa.String(length=36), nullable=True),
        sa.Column(
            "reserved_until", sa.Double(), nullable=True, comment="database time; NULL once the address has an owner"
        ),
        sa.PrimaryKeyConstraint("address", name=op.f("pk_addresses")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )
    op.create_index(op.f("ix_addresses_owner_id"), "addresses", ["owner_id"], unique=False)
    op.create_table(
        "counters",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_counters")),
        comment="Counters whose row lock also puts transactions of one kind into a queue",
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )
    op.create_table(
        "datastores",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("default_version_id", sa.String(length=36), nullable=True),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_datastores")),
        sa.UniqueConstraint("name", name=op.f("uq_datastores_name")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )
    op.create_table(
        "flavors",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("ram", sa.Integer(), nullable=False),
        sa.Column("vcpus", sa.Integer(), nullable=False),
        sa.Column("disk", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_flavors")),
        sa.UniqueConstraint("name", name=op.f("uq_flavors_name")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )
    op.create_table(
        "operations",
        sa.Column(
            "seq",
            SERIAL,
            autoincrement=True,
            nullable=False,
            comment="order of acceptance",
        ),
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=64), nullable=False),
        sa.Column("resource_type", sa.String(length=64), nullable=False),
        sa.Column("resource_id", sa.String(length=36), nullable=False),
        sa.Column("resource_name", sa.String(length=255), nullable=False),
        sa.Column(
            "plan",
            LONG,
            nullable=False,
            comment="the plan without its steps, which are operation_steps",
        ),
        sa.Column("status", sa.String(length=64), nullable=False),
        sa.Column("status_text", LONG, nullable=False),
        sa.Column("on_failure", sa.String(length=64), nullable=False),
        sa.Column("error", LONG, nullable=True),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.Column("lease_owner", sa.String(length=255), nullable=True),
        sa.Column("lease_until", sa.Double(), nullable=True, comment="database time, seconds since the epoch"),
        sa.Column("created", MOMENT, nullable=False),
        sa.Column("started", MOMENT, nullable=True),
        sa.Column("updated", MOMENT, nullable=False),
        sa.Column("finished", MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_operations")),
        sa.UniqueConstraint("id", name=op.f("uq_operations_id")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )
    op.create_index(op.f("ix_operations_project_id_seq"), "operations", ["project_id", "seq"], unique=False)
    op.create_index(
        op.f("ix_operations_project_id_status_seq"), "operations", ["project_id", "status", "seq"], unique=False
    )
    op.create_index(op.f("ix_operations_resource_id_seq"), "operations", ["resource_id", "seq"], unique=False)
    op.create_index(op.f("ix_operations_status_seq"), "operations", ["status", "seq"], unique=False)
    op.create_table(
        "quotas",
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("resource", sa.String(length=64), nullable=False),
        sa.Column("hard_limit", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("project_id", "resource", name=op.f("pk_quotas")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )
    op.create_table(
        "secrets",
        sa.Column("owner_id", sa.String(length=36), nullable=False),
        sa.Column("value", LONG, nullable=False),
        sa.PrimaryKeyConstraint("owner_id", name=op.f("pk_secrets")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )
    op.create_table(
        "datastore_versions",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("datastore_id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("number", sa.String(length=255), nullable=False),
        sa.Column("recipe", sa.String(length=255), nullable=False),
        sa.Column("active", sa.SmallInteger(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["datastore_id"], ["datastores.id"], name=op.f("fk_datastore_versions_datastore_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_datastore_versions")),
        sa.UniqueConstraint("datastore_id", "name", name=op.f("uq_datastore_versions_datastore_id_name")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )
    op.create_table(
        "operation_events",
        sa.Column("id", SERIAL, autoincrement=True, nullable=False),
        sa.Column("operation_id", sa.String(length=36), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("level", sa.String(length=64), nullable=False),
        sa.Column("text", LONG, nullable=False),
        sa.ForeignKeyConstraint(["operation_id"], ["operations.id"], name=op.f("fk_operation_events_operation_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_operation_events")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )
    op.create_index(
        op.f("ix_operation_events_operation_id_id"), "operation_events", ["operation_id", "id"], unique=False
    )
    op.create_table(
        "operation_steps",
        sa.Column("operation_id", sa.String(length=36), nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("undo", sa.SmallInteger(), nullable=False),
        sa.Column("step", LONG, nullable=False),
        sa.Column("status", sa.String(length=64), nullable=False),
        sa.Column("status_text", LONG, nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("started", MOMENT, nullable=True),
        sa.Column("finished", MOMENT, nullable=True),
        sa.Column("error", LONG, nullable=True),
        sa.Column("result", LONG, nullable=True),
        sa.ForeignKeyConstraint(["operation_id"], ["operations.id"], name=op.f("fk_operation_steps_operation_id")),
        sa.PrimaryKeyConstraint("operation_id", "position", name=op.f("pk_operation_steps")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )
    op.create_table(
        "clusters",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("version_id", sa.String(length=36), nullable=False),
        sa.Column("task", sa.String(length=64), nullable=False),
        sa.Column("endpoint_address", sa.String(length=45), nullable=True),
        sa.Column("endpoint_port", sa.Integer(), nullable=True),
        sa.Column("active_member_id", sa.String(length=36), nullable=True),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("options", LONG, nullable=False),
        sa.Column("created", MOMENT, nullable=False),
        sa.Column("updated", MOMENT, nullable=False),
        sa.Column("deleted", sa.SmallInteger(), nullable=False),
        sa.Column("deleted_at", MOMENT, nullable=True),
        sa.ForeignKeyConstraint(["version_id"], ["datastore_versions.id"], name=op.f("fk_clusters_version_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_clusters")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )
    op.create_index(op.f("ix_clusters_deleted_id"), "clusters", ["deleted", "id"], unique=False)
    op.create_index(
        op.f("ix_clusters_project_id_deleted_id"), "clusters", ["project_id", "deleted", "id"], unique=False
    )
    op.create_index(
        op.f("ix_clusters_project_id_deleted_name_id"),
        "clusters",
        ["project_id", "deleted", "name", "id"],
        unique=False,
    )
    op.create_table(
        "instances",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("version_id", sa.String(length=36), nullable=False),
        sa.Column("flavor_id", sa.String(length=36), nullable=False),
        sa.Column("volume_gb", sa.Integer(), nullable=False),
        sa.Column("address", sa.String(length=45), nullable=False),
        sa.Column("port", sa.Integer(), nullable=False),
        sa.Column("task", sa.String(length=64), nullable=False),
        sa.Column("cluster_id", sa.String(length=36), nullable=True),
        sa.Column("ordinal", sa.Integer(), nullable=False, comment="place among those accepted together"),
        sa.Column("ram_mb", sa.Integer(), nullable=False),
        sa.Column("vcpus", sa.Integer(), nullable=False),
        sa.Column("image_id", sa.String(length=255), nullable=True),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("fault", LONG, nullable=True),
        sa.Column("configuration", LONG, nullable=True),
        sa.Column("created", MOMENT, nullable=False),
        sa.Column("updated", MOMENT, nullable=False),
        sa.Column("deleted", sa.SmallInteger(), nullable=False),
        sa.Column("deleted_at", MOMENT, nullable=True),
        sa.Column("health_status", sa.String(length=64), nullable=True),
        sa.Column("health_version", sa.String(length=255), nullable=True),
        sa.Column("health_version_number", sa.String(length=64), nullable=True),
        sa.Column("health_role", sa.String(length=64), nullable=True),
        sa.Column("health_in_sync", sa.SmallInteger(), nullable=True),
        sa.Column("health_lag_bytes", sa.BigInteger(), nullable=True),
        sa.Column("health_members_seen", sa.Integer(), nullable=True),
        sa.Column("health_used_bytes", sa.BigInteger(), nullable=True),
        sa.Column("health_free_bytes", sa.BigInteger(), nullable=True),
        sa.Column("health_reason", LONG, nullable=True),
        sa.Column("health_observed_at", sa.String(length=64), nullable=True),
        sa.Column("health_detail", LONG, nullable=True),
        sa.ForeignKeyConstraint(["cluster_id"], ["clusters.id"], name=op.f("fk_instances_cluster_id")),
        sa.ForeignKeyConstraint(["version_id"], ["datastore_versions.id"], name=op.f("fk_instances_version_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_instances")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )
    op.create_index(op.f("ix_instances_cluster_id_deleted"), "instances", ["cluster_id", "deleted"], unique=False)
    op.create_index(op.f("ix_instances_deleted_id"), "instances", ["deleted", "id"], unique=False)
    op.create_index(
        op.f("ix_instances_project_id_deleted_cluster_id_id"),
        "instances",
        ["project_id", "deleted", "cluster_id", "id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_instances_project_id_deleted_id"), "instances", ["project_id", "deleted", "id"], unique=False
    )
    op.create_index(
        op.f("ix_instances_project_id_deleted_name_id"),
        "instances",
        ["project_id", "deleted", "name", "id"],
        unique=False,
    )
    op.create_index("ix_instances_usage", "instances", ["project_id", "deleted", "volume_gb", "ram_mb"], unique=False)
    op.bulk_insert(
        sa.table("counters", sa.column("name", sa.String), sa.column("value", sa.BigInteger)),
        [{"name": "fence", "value": 0}, {"name": "accepted", "value": 0}, {"name": "addresses", "value": 0}],
    )
