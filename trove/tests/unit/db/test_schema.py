"""Migrations make exactly the tables that the code uses."""

from __future__ import annotations

import stat
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from trove.db import schema
from trove.db.counters import NAMES
from trove.db.engine import Database
from trove.db.store import Store, open_store
from trove.db.tables import counters, metadata
from trove.domain.errors import Unavailable
from trove.tests.unit.db.conftest import SERVER, empty, sqlite_only


def test_migrations_make_the_tables_of_the_code(store: Store) -> None:
    with store.database.read() as conn:
        context = MigrationContext.configure(conn, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, metadata) == []
        assert {row.name for row in conn.execute(sa.select(counters))} == set(NAMES)


def test_head_is_the_newest_migration(store: Store) -> None:
    with store.database.read() as conn:
        script = ScriptDirectory.from_config(schema.alembic_config(conn))
        assert script.get_current_head() == schema.HEAD == schema.revision(conn)


def test_every_start_after_the_first_is_quick(url: str, store: Store) -> None:
    began = time.process_time()
    schema.upgrade(url)
    assert time.process_time() - began < 0.5


def test_first_starts_at_once(tmp_path: Path) -> None:
    url = SERVER or f"sqlite:///{tmp_path}/new/trove.db"
    if SERVER:
        empty(SERVER)
    barrier = threading.Barrier(4)

    def start(_: int) -> Store:
        barrier.wait(20)
        return open_store(url)

    with ThreadPoolExecutor(4) as pool:
        for store in pool.map(start, range(4)):
            assert store.flavors() == ()
            store.close()


@sqlite_only
def test_nobody_finds_the_new_file_half_made(tmp_path: Path) -> None:
    """SQLite lets nobody wait while a file is switched to the mode it is used in."""
    for turn in range(50):
        url, barrier = f"sqlite:///{tmp_path}/{turn}/trove.db", threading.Barrier(4)

        def start(_: int, url: str = url, barrier: threading.Barrier = barrier) -> str:
            barrier.wait(20)
            database = Database(url)
            try:
                return str(database.write(lambda conn: conn.exec_driver_sql("PRAGMA journal_mode").scalar()))
            finally:
                database.close()

        with ThreadPoolExecutor(4) as pool:
            assert set(pool.map(start, range(4))) == {"wal"}
        assert [path.name for path in (tmp_path / str(turn)).iterdir()] == ["trove.db"]


def test_a_database_of_a_newer_release_is_left_alone(url: str, store: Store) -> None:
    store.database.write(lambda conn: conn.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(Unavailable, match="made by a newer release"):
        open_store(url)


@sqlite_only
def test_nobody_else_can_read_the_file(tmp_path: Path, store: Store) -> None:
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.glob("trove.db*")}
    assert modes.keys() >= {"trove.db", "trove.db-wal"}
    assert set(modes.values()) == {0o600}


@sqlite_only
def test_how_sqlite_is_set_up(store: Store) -> None:
    def pragmas(conn: sa.Connection) -> list[object]:
        return [
            conn.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("journal_mode", "synchronous", "foreign_keys")
        ]

    assert store.database.write(pragmas) == ["wal", 2, 1]
    with store.database.read() as conn:
        assert pragmas(conn) == ["wal", 2, 1]


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:"])
def test_a_database_in_memory_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="must be a file"):
        Database(url)


def test_a_directory_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Unavailable, match="cannot make the service database"):
        open_store(f"sqlite:///{tmp_path}/file/trove.db")
