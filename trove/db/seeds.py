"""What a fresh installation offers: the engines' releases as datastore versions, and a few flavors."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID, uuid5

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from trove.db.store import Store
from trove.db.tables import datastore_versions, datastores, flavors
from trove.domain.datastores import Engine, Flavor, Release

NAMESPACE = UUID("6f0d1d1c-4a0b-5d53-9f0e-7a9c3c1e8b52")
"""Makes ids that are the same in every installation."""

FLAVORS = (
    Flavor("1", "db.tiny", 256, 1, 1),
    Flavor("2", "db.small", 512, 1, 5),
    Flavor("3", "db.medium", 1024, 2, 10),
    Flavor("4", "db.large", 2048, 2, 20),
)


def datastore_id(name: str) -> str:
    """Return the id of the datastore of that name."""
    return str(uuid5(NAMESPACE, name))


def version_id(datastore: str, name: str) -> str:
    """Return the id of a datastore version, for example ("mariadb", "10.11")."""
    return str(uuid5(NAMESPACE, f"{datastore}/{name}"))


def seed(store: Store, engines: Iterable[Engine]) -> None:
    """Add what is missing and bring recipes up to date; numbers, flags and flavors somebody changed stay."""
    engines = tuple(engines)
    store.database.write(lambda conn: _seed(conn, engines))
    store.forget_catalogue()


def _seed(conn: Connection, engines: tuple[Engine, ...]) -> None:
    known = {row.id: row for row in conn.execute(sa.select(datastores))}
    versions = {row.id: row for row in conn.execute(sa.select(datastore_versions))}
    names = tuple(dict.fromkeys(name for engine in engines for name in engine.datastores))
    for position, name in enumerate(names):
        releases = sorted(
            (release for engine in engines for release in engine.releases if release.datastore == name), key=_age
        )
        newest = version_id(name, releases[-1].name)
        # An operator's choice of default stays until a newer release comes.
        default = {} if newest in versions else {"default_version_id": newest}
        _put(conn, datastores, datastore_id(name), known, {"position": position} | default, {"name": name})
        for place, release in enumerate(releases):
            _put(
                conn,
                datastore_versions,
                version_id(name, release.name),
                versions,
                {"recipe": release.recipe, "position": place},
                {"datastore_id": datastore_id(name), "name": release.name, "number": release.name, "active": 1},
            )
    present = {row.id for row in conn.execute(sa.select(flavors.c.id))}
    for flavor in FLAVORS:
        if flavor.id not in present:
            conn.execute(sa.insert(flavors).values(**vars(flavor)))


def _put(
    conn: Connection,
    table: sa.Table,
    key: str,
    known: Mapping[str, Any],
    kept_up: Mapping[str, Any],
    at_first: Mapping[str, Any],
) -> None:
    row = known.get(key)
    if row is None:
        conn.execute(sa.insert(table).values(id=key, **kept_up, **at_first))
    elif any(getattr(row, name) != value for name, value in kept_up.items()):
        conn.execute(sa.update(table).where(table.c.id == key).values(**kept_up))


def _age(release: Release) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", release.name))
