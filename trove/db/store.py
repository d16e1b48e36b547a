"""The whole database: what `trove.domain.store.Store` asks for, put together from one part per noun."""

from __future__ import annotations

from contextlib import AbstractContextManager
from ipaddress import IPv4Network

from sqlalchemy.engine import URL

from trove.db import schema
from trove.db.addresses import AddressStore
from trove.db.engine import Database
from trove.db.journal import JournalStore
from trove.db.quotas import QuotaStore
from trove.db.resources import ResourceStore
from trove.db.secrets import SecretStore
from trove.domain import store as contract

DEFAULT_POOL = "127.88.0.0/16"


class Store(ResourceStore, AddressStore, SecretStore, QuotaStore, JournalStore):
    """All parts over one database; safe for threads. `address_pool` is an IPv4 network."""

    def __init__(self, database: Database, address_pool: str = DEFAULT_POOL) -> None:
        super().__init__(database)
        self._pool = IPv4Network(address_pool)

    @property
    def database(self) -> Database:
        """The connection under the store."""
        return self._db

    def reading(self) -> AbstractContextManager[None]:
        """Keep one connection for the reads of this thread meanwhile."""
        return self._db.reading()

    def now(self) -> float:
        """Database time, seconds since the epoch."""
        return self._db.now()

    def ping(self) -> None:
        """Raise Unavailable when the database does not answer."""
        self._db.now()

    def forget_catalogue(self) -> None:
        """Read datastores and flavors again at the next use."""
        self._forget_catalogue()

    def close(self) -> None:
        """Close the connections."""
        self._db.close()


def _keeps_the_contract(store: Store) -> contract.Store:
    """Nobody calls this; the type checker reads it."""
    return store


def open_store(url: str | URL, address_pool: str = DEFAULT_POOL) -> Store:
    """Open the database, bring its tables up to date and return the store; Unavailable when that cannot be done."""
    database = Database(url)
    try:
        schema.upgrade(database)
        return Store(database, address_pool)
    except BaseException:
        database.close()
        raise
