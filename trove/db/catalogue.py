"""Datastores, their versions and flavors: few rows, read by every request, so kept in memory for a few seconds."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from trove.db.engine import Database, Part, transaction
from trove.db.tables import datastore_versions, datastores, flavors
from trove.domain.datastores import Datastore, DatastoreVersion, Flavor
from trove.domain.errors import NotFound

T = TypeVar("T")

FRESH_SECONDS = 3.0
"""How long another process's change to the catalogue may stay unseen."""


@dataclass(frozen=True)
class _Snapshot:
    read_at: float
    datastores: tuple[Datastore, ...]
    versions: Mapping[str, DatastoreVersion]
    flavors: tuple[Flavor, ...]


class CatalogueStore(Part):
    """The catalogue. Threads replace the snapshot as a whole, so readers need no lock."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._catalogue: _Snapshot | None = None
        self._changes = 0

    def datastores(self, include_inactive: bool = False) -> Sequence[Datastore]:
        """Datastores with their versions; without `include_inactive` only what can be used for something new."""
        found = self._fresh().datastores
        if include_inactive:
            return found
        active = (replace(store, versions=tuple(v for v in store.versions if v.active)) for store in found)
        return tuple(store for store in active if store.versions)

    def datastore(self, ref: str) -> Datastore:
        """Find by id or name, with inactive versions too; NotFound."""
        for store in self._fresh().datastores:
            if ref in (store.id, store.name):
                return store
        raise NotFound("datastore", ref)

    def version(self, version_id: str) -> DatastoreVersion:
        """Find by id; NotFound."""
        known = self._fresh().versions.get(version_id)
        if known is None:
            # Another process may have added it a moment ago.
            known = self._refresh().versions.get(version_id)
        if known is None:
            raise NotFound("datastore version", version_id)
        return known

    def set_version_number(self, version_id: str, number: str) -> None:
        """Record the exact engine version of the image that was built."""
        self._set_version_number(version_id, number)
        self._forget_catalogue()

    @transaction
    def _set_version_number(self, conn: Connection, version_id: str, number: str) -> None:
        change = sa.update(datastore_versions).where(datastore_versions.c.id == version_id).values(number=number)
        if not conn.execute(change).rowcount:
            raise NotFound("datastore version", version_id)

    def flavors(self) -> Sequence[Flavor]:
        """All flavors, smallest first."""
        return self._fresh().flavors

    def flavor(self, ref: str) -> Flavor:
        """Find by id or name; NotFound."""
        for flavor in self._fresh().flavors:
            if ref in (flavor.id, flavor.name):
                return flavor
        raise NotFound("flavor", ref)

    def _with_versions(self, make: Callable[[Mapping[str, DatastoreVersion]], T]) -> T:
        """Call `make` with the versions by id, again after a fresh look when it misses one."""
        try:
            return make(self._fresh().versions)
        except KeyError:
            return make(self._refresh().versions)

    def _fresh(self) -> _Snapshot:
        known = self._catalogue
        if known is not None and time.monotonic() - known.read_at < FRESH_SECONDS:
            return known
        return self._refresh()

    def _forget_catalogue(self) -> None:
        self._changes += 1
        self._catalogue = None

    def _refresh(self) -> _Snapshot:
        read_at, changes = time.monotonic(), self._changes
        with self._db.snapshot() as conn:
            stores = conn.execute(sa.select(datastores).order_by(datastores.c.position, datastores.c.name)).all()
            rows = conn.execute(
                sa.select(datastore_versions).order_by(datastore_versions.c.position, datastore_versions.c.name)
            ).all()
            sizes = conn.execute(sa.select(flavors).order_by(flavors.c.ram, flavors.c.vcpus, flavors.c.id)).all()
        names = {store.id: store.name for store in stores}
        versions = {
            row.id: DatastoreVersion(
                row.id, row.datastore_id, names[row.datastore_id], row.name, row.number, row.recipe, bool(row.active)
            )
            for row in rows
        }
        snapshot = _Snapshot(
            read_at=read_at,
            datastores=tuple(
                Datastore(
                    store.id,
                    store.name,
                    store.default_version_id,
                    tuple(version for version in versions.values() if version.datastore_id == store.id),
                )
                for store in stores
            ),
            versions=versions,
            flavors=tuple(Flavor(row.id, row.name, row.ram, row.vcpus, row.disk) for row in sizes),
        )
        if changes == self._changes:  # else what was read may be older than the change
            self._catalogue = snapshot
        return snapshot
