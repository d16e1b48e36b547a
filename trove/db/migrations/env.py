"""Alembic's environment: it works on the connection that `trove.db.schema` gives, within its transaction."""

from __future__ import annotations

from alembic import context

from trove.db.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    compare_type=True,
    render_as_batch=False,
)
with context.begin_transaction():
    context.run_migrations()
