"""Write to and read from MariaDB, one autocommitted row per write."""

from __future__ import annotations

import contextlib
from typing import Any

import pymysql

from trove.workload.errors import AnswerLost, Refused, WriteError
from trove.workload.target import Node, Target

CONNECT_TIMEOUT = 3.0
ANSWER_TIMEOUT = 10.0

_DUPLICATE = 1062
# Answers after which the row may be there all the same: shutdown or kill in the middle, failed commit, line cut.
_UNCLEAR = frozenset({1053, 1180, 1317, 1927, 2006, 2013, 2014})


def connect(target: Target, node: Node | None = None, timeout: float = CONNECT_TIMEOUT) -> pymysql.Connection[Any]:
    """Open a connection to a node (by default the target's address); raises pymysql.err.Error or OSError."""
    address, port = node or target.nodes[0]
    return pymysql.connect(
        host=address,
        port=port,
        user=target.user or "",
        password=target.password or "",
        database=target.database,
        autocommit=True,
        connect_timeout=max(1, round(timeout)),
        read_timeout=ANSWER_TIMEOUT,
        write_timeout=ANSWER_TIMEOUT,
    )


def create_table(target: Target) -> None:
    """Create the run's table; raises pymysql.err.Error."""
    with contextlib.closing(connect(target)) as connection, connection.cursor() as cursor:
        cursor.execute(
            f"CREATE TABLE {target.table} (writer INT NOT NULL, seq BIGINT NOT NULL, value CHAR(64) NOT NULL, "
            "PRIMARY KEY (writer, seq)) ENGINE=InnoDB"
        )


def drop_table(target: Target) -> None:
    """Drop the run's table; raises pymysql.err.Error."""
    with contextlib.closing(connect(target)) as connection, connection.cursor() as cursor:
        cursor.execute(f"DROP TABLE IF EXISTS {target.table}")


def wait_applied(connection: pymysql.Connection[Any]) -> None:
    """Wait until this member has applied all the cluster committed so far, so that reads are not early."""
    with connection.cursor() as cursor:
        cursor.execute("SET SESSION wsrep_sync_wait=1")
        cursor.execute("SELECT 1 FROM information_schema.schemata LIMIT 1")
        cursor.execute("SET SESSION wsrep_sync_wait=0")


class MariaDBClient:
    """One connection with autocommit; after an error the next use opens a new one."""

    def __init__(self, target: Target, applied_first: bool = False) -> None:
        self._target = target
        self._applied_first = applied_first
        self._connection: Any = None

    def _cursor(self) -> Any:
        if self._connection is None:
            try:
                self._connection = connect(self._target)
                if self._applied_first:
                    wait_applied(self._connection)
            except (pymysql.err.Error, OSError) as error:
                self.close()
                raise Refused(f"connect: {error}") from error
        return self._connection.cursor()

    def write(self, writer: int, seq: int, value: str, again: bool) -> None:
        cursor = self._cursor()
        try:
            cursor.execute(f"INSERT INTO {self._target.table} (writer, seq, value) VALUES ({writer}, {seq}, '{value}')")
        except pymysql.err.MySQLError as error:
            code = error.args[0] if error.args else 0
            if code == _DUPLICATE and again and self.read(writer, seq) == value:
                return  # an earlier try had arrived, only its answer was lost
            self.close()
            if code in _UNCLEAR or not isinstance(code, int) or code == 0:
                raise AnswerLost(f"write: {error}") from error
            raise Refused(f"write: {error}") from error
        except OSError as error:
            self.close()
            raise AnswerLost(f"write: {error}") from error

    def read(self, writer: int, seq: int) -> str | None:
        cursor = self._cursor()
        try:
            cursor.execute(f"SELECT value FROM {self._target.table} WHERE writer={writer} AND seq={seq}")
            row = cursor.fetchone()
        except (pymysql.err.Error, OSError) as error:
            self.close()
            raise WriteError(f"read: {error}") from error
        return None if row is None else str(row[0])

    def close(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(pymysql.err.Error, OSError):
                self._connection._force_close()  # a polite goodbye could block on a dead line
            self._connection = None
