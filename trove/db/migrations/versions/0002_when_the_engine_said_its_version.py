"""When the engine itself said its version, which is remembered while it says nothing."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("instances", sa.Column("health_said_at", sa.String(length=64), nullable=True))
    op.execute("UPDATE instances SET health_said_at = health_observed_at WHERE health_version <> ''")
