"""Bringing the tables up to date, at the first start and after every upgrade of the service."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection

from trove.db.engine import Database
from trove.domain.errors import Unavailable

HEAD = "0002"
"""The newest migration. A database that has it is left alone without even loading Alembic."""

MIGRATIONS = Path(__file__).parent / "migrations"
LOCK_SECONDS = 60
LOCK_KEY = 7_305_112


def upgrade(target: Database | str | URL) -> None:
    """Bring the tables to HEAD; does nothing when they are there. Several processes may call it at once.

    Raises Unavailable when a newer release has made the tables.
    """
    if isinstance(target, Database):
        target.write(_upgrade)
        return
    database = Database(target)
    try:
        database.write(_upgrade)
    finally:
        database.close()


def revision(conn: Connection) -> str | None:
    """Return the migration the tables are at, None for an empty database."""
    if not sa.inspect(conn).has_table("alembic_version"):
        return None
    return conn.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()


def _upgrade(conn: Connection) -> None:
    _lock(conn)
    try:
        found = revision(conn)
        if found != HEAD:
            _migrate(conn, found)
    finally:
        if conn.dialect.name in ("mysql", "mariadb"):
            conn.execute(sa.text("SELECT RELEASE_LOCK('trove-schema')"))


def _lock(conn: Connection) -> None:
    """Let one process at a time migrate. SQLite has done so when the transaction began."""
    if conn.dialect.name == "postgresql":
        conn.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK_KEY})
    elif conn.dialect.name in ("mysql", "mariadb"):
        got = conn.execute(sa.text("SELECT GET_LOCK('trove-schema', :seconds)"), {"seconds": LOCK_SECONDS}).scalar()
        if got != 1:
            raise Unavailable(f"another process has been migrating the service database for {LOCK_SECONDS} s")


def _migrate(conn: Connection, found: str | None) -> None:
    from alembic import command
    from alembic.script import ScriptDirectory

    config = alembic_config(conn)
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if found is not None and found not in known:
        raise Unavailable(
            f"the service database was made by a newer release (schema {found}, this release knows up to {HEAD}); "
            f"install that release again"
        )
    command.upgrade(config, "head")


def alembic_config(conn: Connection):  # type: ignore[no-untyped-def]
    """Return the configuration with which Alembic works on this connection."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = conn
    return config
