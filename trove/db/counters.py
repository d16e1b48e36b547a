"""Counters. Counting locks the row until the transaction ends, so transactions that count the same thing queue."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from trove.db.tables import counters

FENCE = "fence"
ACCEPTED = "accepted"
ADDRESSES = "addresses"
NAMES = (FENCE, ACCEPTED, ADDRESSES)


def next_number(conn: Connection, name: str) -> int:
    """Return the next number, larger than any before in the order in which transactions commit."""
    conn.execute(sa.update(counters).where(counters.c.name == name).values(value=counters.c.value + 1))
    return int(conn.execute(sa.select(counters.c.value).where(counters.c.name == name)).scalar_one())
