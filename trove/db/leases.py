"""Leases: which executor may run which operation until when, by the clock of the database.

A claim gives the operation a new fence, larger than any before. The fence is the truth: whoever took over has changed
it, so a lease that ran out without anybody taking over can still be renewed and written under.
"""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from trove.db import rows
from trove.db.acceptance import write_event
from trove.db.counters import FENCE, next_number
from trove.db.engine import Part, database_time, transaction
from trove.db.fencing import held
from trove.db.tables import operations
from trove.domain.states import ACTIVE_OPERATION_STATUSES
from trove.domain.store import Lease

_free = sa.and_(
    operations.c.status.in_(sorted(status.value for status in ACTIVE_OPERATION_STATUSES)),
    sa.or_(operations.c.lease_until.is_(None), operations.c.lease_until <= database_time()),
)
_NEXT = sa.select(operations.c.id, operations.c.lease_owner).where(_free).order_by(operations.c.seq).limit(1)


class LeaseStore(Part):
    """Claims of executors."""

    def claim(self, owner: str, seconds: float) -> Lease | None:
        """Take the oldest active operation that nobody holds, for `seconds`; None when there is none."""
        with self._db.read() as conn:
            # Executors ask again and again: only a write when there is something to take.
            if conn.execute(_NEXT).first() is None:
                return None
        return self._take(owner, seconds)

    @transaction
    def _take(self, conn: Connection, owner: str, seconds: float) -> Lease | None:
        fence = next_number(conn, FENCE)
        row = conn.execute(_NEXT).first()
        if row is None:
            return None
        taken = conn.execute(
            sa.update(operations)
            .where(operations.c.id == row.id, _free)
            .values(fence=fence, lease_owner=owner, lease_until=database_time() + seconds)
        )
        if not taken.rowcount:
            return None
        if row.lease_owner is not None:
            text = f"taken over by {owner}: {row.lease_owner} did not renew its lease"
            write_event(conn, row.id, "warning", text, rows.utcnow())
        return Lease(row.id, owner, fence)

    @transaction
    def next_fence(self, conn: Connection) -> int:
        """Return a number larger than any fence before, for orders outside of operations."""
        return next_number(conn, FENCE)

    @transaction
    def renew(self, conn: Connection, leases: Sequence[Lease], seconds: float) -> Sequence[Lease]:
        """Extend the leases to `seconds` from now; returns those still ours."""
        return [
            lease
            for lease in sorted(leases, key=lambda lease: lease.operation_id)
            if conn.execute(
                sa.update(operations).where(*held(lease)).values(lease_until=database_time() + seconds)
            ).rowcount
        ]

    @transaction
    def release(self, conn: Connection, lease: Lease) -> None:
        """Give the lease up so that another executor can take the operation at once; no error when it is lost."""
        conn.execute(sa.update(operations).where(*held(lease)).values(lease_owner=None, lease_until=None))
