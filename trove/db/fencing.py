"""Who may still write: the fence of a lease is compared with the row in the transaction that writes."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from trove.db.tables import operations
from trove.domain.errors import StaleGeneration
from trove.domain.store import Lease


def held(lease: Lease) -> tuple[sa.ColumnElement[bool], ...]:
    """Return the condition that the lease is still that of its owner."""
    return (
        operations.c.id == lease.operation_id,
        operations.c.lease_owner == lease.owner,
        operations.c.fence == lease.fence,
    )


def check_lease(conn: Connection, lease: Lease) -> None:
    """Raise StaleGeneration unless the lease is held; nobody can take it until the transaction ends."""
    if conn.execute(sa.select(operations.c.id).where(*held(lease)).with_for_update()).first() is None:
        raise StaleGeneration(
            f"operation {lease.operation_id} is no longer run by {lease.owner} (fence {lease.fence}); "
            f"nothing was written"
        )
