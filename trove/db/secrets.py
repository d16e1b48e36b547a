"""What plans must not show, by the id of the instance or cluster it belongs to."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from trove.db.engine import Part, transaction
from trove.db.rows import dump
from trove.db.tables import secrets
from trove.domain.errors import NotFound


class SecretStore(Part):
    """Passwords and keys that steps fetch. They go with their owner."""

    @transaction
    def put_secret(self, conn: Connection, owner_id: str, value: Mapping[str, Any]) -> None:
        """Keep a value, in place of the one before."""
        keep_secret(conn, owner_id, value)

    def secret(self, owner_id: str) -> Mapping[str, Any]:
        """Return the value; NotFound."""
        with self._db.read() as conn:
            value = conn.execute(sa.select(secrets.c.value).where(secrets.c.owner_id == owner_id)).scalar()
        if value is None:
            raise NotFound("secret of", owner_id)
        known: Mapping[str, Any] = json.loads(value)
        return known

    @transaction
    def drop_secret(self, conn: Connection, owner_id: str) -> None:
        """Forget the value; no error when there is none."""
        drop_secret_of(conn, owner_id)


def keep_secret(conn: Connection, owner_id: str, value: Mapping[str, Any]) -> None:
    """Write a secret within the caller's transaction."""
    drop_secret_of(conn, owner_id)
    conn.execute(sa.insert(secrets).values(owner_id=owner_id, value=dump(dict(value))))


def drop_secret_of(conn: Connection, owner_id: str) -> None:
    """Remove a secret within the caller's transaction."""
    conn.execute(sa.delete(secrets).where(secrets.c.owner_id == owner_id))
