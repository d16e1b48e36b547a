"""Who may still write: the fence of a lease is compared with the row in the transaction that writes."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from trove.db.tables import operations
from trove.domain.errors import StaleGeneration
from trove.domain.states import OperationStatus
from trove.domain.store import Lease


def held(lease: Lease) -> tuple[sa.ColumnElement[bool], ...]:
    """Return the condition that the lease is still that of its owner."""
    return (
        operations.c.id == lease.operation_id,
        operations.c.lease_owner == lease.owner,
        operations.c.fence == lease.fence,
    )


_HELD = (
    sa.select(operations.c.status)
    .where(
        operations.c.id == sa.bindparam("operation"),
        operations.c.lease_owner == sa.bindparam("owner"),
        operations.c.fence == sa.bindparam("fence"),
    )
    .with_for_update()
)


def check_lease(conn: Connection, lease: Lease) -> OperationStatus:
    """Return the operation's status; StaleGeneration unless the lease is held. Neither changes until the end of the
    transaction."""
    who = {"operation": lease.operation_id, "owner": lease.owner, "fence": lease.fence}
    status = conn.execute(_HELD, who).scalar()
    if status is None:
        raise StaleGeneration(
            f"operation {lease.operation_id} is no longer run by {lease.owner} (fence {lease.fence}); "
            f"nothing was written"
        )
    return OperationStatus(status)
