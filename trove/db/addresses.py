"""The installation's pool of addresses: an address is taken exactly while a row says so."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from ipaddress import IPv4Network

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from trove.db import tables
from trove.db.counters import ADDRESSES, next_number
from trove.db.engine import Part, database_time, transaction
from trove.domain.errors import Conflict, OverLimit

taken = tables.addresses

RESERVED_SECONDS = 600.0
"""How long an address waits for its owner; after that whoever reserved it has died on the way."""


class AddressStore(Part):
    """Hands out addresses of the pool, lowest first."""

    _pool: IPv4Network

    @transaction
    def reserve_addresses(self, conn: Connection, count: int) -> list[str]:
        """Take free addresses; they are free again unless something accepted within 10 minutes owns them.

        OverLimit when the pool has too few.
        """
        next_number(conn, ADDRESSES)
        conn.execute(sa.delete(taken).where(taken.c.owner_id.is_(None), taken.c.reserved_until <= database_time()))
        known = set(conn.execute(sa.select(taken.c.address)).scalars())
        found: list[str] = []
        for address in self._hosts():
            if len(found) == count:
                break
            if address not in known:
                found.append(address)
        if len(found) < count:
            raise OverLimit(
                f"the address pool {self._pool} has {len(found)} free addresses and {count} are needed; "
                f"delete instances or choose a larger --address-pool"
            )
        until = database_time() + RESERVED_SECONDS
        for address in found:
            conn.execute(sa.insert(taken).values(address=address, owner_id=None, reserved_until=until))
        return found

    @transaction
    def release_addresses(self, conn: Connection, addresses: Sequence[str]) -> None:
        """Give addresses back; no error when they are free already."""
        conn.execute(sa.delete(taken).where(taken.c.address.in_(list(addresses))))

    def _hosts(self) -> Iterator[str]:
        """Addresses of the pool without those that end in 0 or 255, which look like networks to people."""
        return (str(host) for host in self._pool.hosts() if host.packed[3] not in (0, 255))


def own_address(conn: Connection, address: str | None, owner_id: str) -> None:
    """Make a reserved address (or one from outside the pool) that of its owner; Conflict when it has another one."""
    if not address:
        return
    row = conn.execute(sa.select(taken.c.owner_id).where(taken.c.address == address).with_for_update()).first()
    if row is None:
        conn.execute(sa.insert(taken).values(address=address, owner_id=owner_id))
    elif row.owner_id not in (None, owner_id):
        raise Conflict(f"address {address} belongs to {row.owner_id} already; try again")
    else:
        conn.execute(sa.update(taken).where(taken.c.address == address).values(owner_id=owner_id, reserved_until=None))


def free_addresses_of(conn: Connection, owner_id: str) -> None:
    """Free what belongs to an owner that is deleted."""
    conn.execute(sa.delete(taken).where(taken.c.owner_id == owner_id))
