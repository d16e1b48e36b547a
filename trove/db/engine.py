"""The connection to the service database: how transactions begin, wait, are retried and are made durable.

A `Database` belongs to whoever made it; nothing here is global.
"""

from __future__ import annotations

import errno
import functools
import os
import sqlite3
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

import sqlalchemy as sa
from oslo_db import api as oslo_api
from oslo_db import exception as oslo_errors
from oslo_db.sqlalchemy import exc_filters
from sqlalchemy.engine import URL, Connection, Engine, make_url
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.expression import ColumnElement

from trove.domain.errors import Unavailable

P = ParamSpec("P")
T = TypeVar("T")

DEADLOCK_RETRIES = 10

SNAPSHOT = {
    "sqlite": "BEGIN",
    "postgresql": "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
    "mysql": "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
}
SNAPSHOT["mariadb"] = SNAPSHOT["mysql"]


class database_time(ColumnElement[float]):
    """The database's own clock, seconds since the epoch: the one clock that all executors share."""

    inherit_cache = True
    type = sa.Double()


@compiles(database_time, "sqlite")
def _sqlite_time(*_: Any, **__: Any) -> str:
    return "((julianday('now') - 2440587.5) * 86400.0)"


@compiles(database_time, "postgresql")
def _postgresql_time(*_: Any, **__: Any) -> str:
    return "CAST(EXTRACT(EPOCH FROM clock_timestamp()) AS DOUBLE PRECISION)"


@compiles(database_time, "mysql")
@compiles(database_time, "mariadb")
def _mysql_time(*_: Any, **__: Any) -> str:
    return "CAST(UNIX_TIMESTAMP(SYSDATE(6)) AS DOUBLE)"


class Database:
    """Two pools of connections to one database: reads run as single statements, writes as transactions.

    `url` is an SQLAlchemy URL: `sqlite:////path/trove.db`, `mysql+pymysql://…`, `postgresql+psycopg://…`.
    `patience` is how long, in seconds, a write waits for another one to end before it gives up (Unavailable).
    """

    def __init__(self, url: str | URL, *, pool_size: int = 16, patience: float = 15.0) -> None:
        self.url = make_url(url)
        self.dialect = self.url.get_backend_name()
        self.patience = patience
        self._turn = threading.Lock()
        self._kept = threading.local()
        self._process = os.getpid()
        options: dict[str, Any] = {"pool_size": pool_size, "max_overflow": pool_size, "pool_timeout": patience}
        if self.dialect == "sqlite":
            self._prepare_file()
            options["connect_args"] = {"timeout": patience, "check_same_thread": False}
        else:
            options |= {"pool_pre_ping": True, "pool_recycle": 1800}
            if self.dialect in ("mysql", "mariadb"):
                options["connect_args"] = {"init_command": "SET time_zone = '+00:00'", "charset": "utf8mb4"}
        write_options = {} if self.dialect == "sqlite" else {"isolation_level": "READ COMMITTED"}
        self.reader = sa.create_engine(self.url, isolation_level="AUTOCOMMIT", skip_autocommit_rollback=True, **options)
        self.writer = sa.create_engine(self.url, **write_options, **options)
        for engine in (self.reader, self.writer):
            exc_filters.register_engine(engine)
        if self.dialect == "sqlite":
            _tune_sqlite(self.reader, self.writer)

    def _prepare_file(self) -> None:
        name = self.url.database
        if not name or name == ":memory:":
            raise ValueError("the service database must be a file: every thread has a connection of its own")
        path = Path(name)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.exists():
                _make_sqlite_file(path)
        except (OSError, sqlite3.Error) as error:
            reason = getattr(error, "strerror", None) or error
            raise Unavailable(f"cannot make the service database {path}: {reason}") from error
        # Not by opening it: to close it again would end the locks of all other connections of this process.
        if not os.access(path, os.R_OK | os.W_OK):
            raise Unavailable(f"cannot use the service database {path}: {os.strerror(errno.EACCES)}")

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Give a connection on which each statement sees what is committed when it starts."""
        self._check_process()
        kept: Connection | None = getattr(self._kept, "conn", None)
        if kept is not None:
            with _translated():
                yield kept
            return
        with _translated(), self.reader.connect() as conn:
            yield conn

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Keep one connection for all reads of this thread meanwhile: taking one from the pool costs like a read."""
        outer = getattr(self._kept, "conn", None)
        with self.read() as conn:
            self._kept.conn = conn
            try:
                yield
            finally:
                self._kept.conn = outer

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """Give a connection on which all statements see the database at one moment."""
        self._check_process()
        with _translated(), self.reader.connect() as conn:
            conn.exec_driver_sql(SNAPSHOT[self.dialect])
            try:
                yield conn
            finally:
                conn.exec_driver_sql("COMMIT")

    def write(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in one transaction and commit it; again from its start when the database broke a deadlock."""
        self._check_process()
        with _translated():
            if self.dialect != "sqlite":
                result: T = _retried(self._commit)(work)
                return result
            # SQLite has one writer at a time; queueing here is fair, its own waiting is not.
            if not self._turn.acquire(timeout=self.patience):
                raise Unavailable(f"the service database was busy for {self.patience:g} s; try again")
            try:
                return self._commit(work)
            finally:
                self._turn.release()

    def _commit(self, work: Callable[[Connection], T]) -> T:
        with self.writer.begin() as conn:
            return work(conn)

    def _check_process(self) -> None:
        """After a fork, leave the parent's connections alone: two processes on one would corrupt it."""
        if self._process != os.getpid():
            self._process, self._turn = os.getpid(), threading.Lock()
            self.reader.dispose(close=False)
            self.writer.dispose(close=False)

    def now(self) -> float:
        """Database time, seconds since the epoch."""
        with self.read() as conn:
            return float(conn.execute(_NOW).scalar_one())

    def close(self) -> None:
        """Close all idle connections."""
        self.reader.dispose()
        self.writer.dispose()


_NOW = sa.select(database_time())
_retried = oslo_api.wrap_db_retry(
    max_retries=DEADLOCK_RETRIES, retry_interval=0.01, max_retry_interval=1, retry_on_deadlock=True
)


class Part:
    """Base of the parts of the store."""

    def __init__(self, database: Database) -> None:
        self._db = database


def transaction(method: Callable[Concatenate[Any, Connection, P], T]) -> Callable[Concatenate[Any, P], T]:
    """Make a method of a `Part` one write transaction; the method gets the connection as its first argument."""

    def run(part: Any, /, *args: P.args, **kwargs: P.kwargs) -> T:
        database: Database = part._db
        return database.write(lambda conn: method(part, conn, *args, **kwargs))

    functools.update_wrapper(run, method)
    return run


@contextmanager
def _translated() -> Iterator[None]:
    """Say in our own words that the database cannot be used now; other errors are bugs and stay what they are."""
    try:
        yield
    except (
        oslo_errors.DBConnectionError,
        oslo_errors.DBDeadlock,
        sa.exc.OperationalError,
        sa.exc.TimeoutError,
    ) as error:
        reason = str(getattr(error, "orig", None) or error).splitlines()[0]
        raise Unavailable(f"the service database cannot be used now: {reason}") from error
    except oslo_errors.DBNonExistentDatabase as error:
        raise Unavailable(f"the service database does not exist or cannot be opened: {error}") from error
    except oslo_errors.DBError as error:
        if type(error.inner_exception) is not sa.exc.DatabaseError:  # which SQLite raises for a file it cannot read
            raise
        raise Unavailable(f"the service database cannot be used now: {error.inner_exception.orig}") from error


def _make_sqlite_file(path: Path) -> None:
    """Make an empty database that is in WAL mode already, unless somebody else is faster.

    Nobody waits for the switch to that mode: of several first starts at once, all but one would fail.
    """
    # Secrets come in there: nobody else may read it, and SQLite gives its journal files the same mode.
    handle, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    os.close(handle)
    try:
        with closing(sqlite3.connect(name)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
        with suppress(FileExistsError):
            os.link(name, path)
    finally:
        Path(name).unlink()


def _tune_sqlite(reader: Engine, writer: Engine) -> None:
    """Set up SQLite: WAL so that readers never wait, commits that survive a power cut, writers that queue."""

    def connected(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # the driver starts no transactions of its own
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute("PRAGMA synchronous = FULL")
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.close()

    sa.event.listen(reader, "connect", connected)
    sa.event.listen(writer, "connect", connected)

    @sa.event.listens_for(writer, "begin")
    def begin(conn: Connection) -> None:
        # A transaction that begins as a reader cannot become a writer while another one writes.
        conn.exec_driver_sql("BEGIN IMMEDIATE")
