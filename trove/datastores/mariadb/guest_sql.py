"""What the agent says to the engine in SQL, over the local socket; runs on Python 3.9 as well."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pymysql

from trove.guest.agent.errors import EngineDown, GuestError

ACCOUNT = "database"
"""The account of the operating system that agent and engine run as; the template lets it in without a password."""

CONNECT_TIMEOUT = 2
ANSWER_TIMEOUT = 5

NAME = re.compile(r"[A-Za-z0-9_]+")


class _BySocket:
    """The engine looks at the socket's owner; the client has nothing to say."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def authenticate(self, packet: Any) -> Any:
        return self._connection._read_packet()


@contextmanager
def connect(socket_path: str, answer_timeout: float = ANSWER_TIMEOUT) -> Iterator[Any]:
    """Open a cursor as the engine's administrator; EngineDown with the engine's words when it does not answer."""
    try:
        connection = pymysql.connect(
            unix_socket=socket_path,
            user=ACCOUNT,
            autocommit=True,
            connect_timeout=CONNECT_TIMEOUT,
            read_timeout=answer_timeout,
            write_timeout=answer_timeout,
            auth_plugin_map={"unix_socket": _BySocket},
        )
    except (pymysql.err.Error, OSError) as error:
        silent = isinstance(error, OSError) or error.args[:1] in ((2002,), (2003,))
        raise EngineDown("the engine does not accept connections yet" if silent else words(error)) from None
    try:
        with connection.cursor() as cursor:
            yield cursor
    except (pymysql.err.OperationalError, pymysql.err.InterfaceError, OSError) as error:
        raise EngineDown(words(error)) from None
    except pymysql.err.Error as error:
        raise GuestError(words(error)) from None
    finally:
        connection.close()


def words(error: BaseException) -> str:
    """Return what the engine or the system said, without numbers and tuples around it."""
    text = str(error.args[-1]) if error.args else str(error)
    return text if text.startswith("the engine") else f"the engine says: {text}"


def pairs(cursor: Any, statement: str) -> dict[str, str]:
    """Return the answer of a SHOW STATUS or SHOW VARIABLES."""
    cursor.execute(statement)
    return {str(name): str(value) for name, value in cursor.fetchall()}


# -- users and databases ---------------------------------------------------------------------------------------------


def create_databases(cursor: Any, databases: Iterable[Any]) -> list[str]:
    """Make the databases that are missing; returns the names of all."""
    made = []
    for told in databases:
        database = {"name": told} if isinstance(told, str) else dict(told)
        statement = f"CREATE DATABASE IF NOT EXISTS {identifier(database['name'])}"
        for key, clause in (("character_set", "CHARACTER SET"), ("collate", "COLLATE")):
            value = database.get(key)
            if value:
                if not NAME.fullmatch(str(value)):
                    raise GuestError(f"'{value}' is not the name of a {clause.lower()}")
                statement += f" {clause} {value}"
        _execute(cursor, f"database '{database['name']}'", statement)
        made.append(str(database["name"]))
    return made


def create_users(cursor: Any, users: Iterable[Mapping[str, Any]], databases: list[str]) -> None:
    """Make the accounts that are missing; one that names no databases may use all of `databases`."""
    literal = cursor.connection.escape
    for user in users:
        name, host = str(user["name"]), str(user.get("host") or "%")
        what, account = f"user '{name}'", f"{literal(name)}@{literal(host)}"
        password = literal(str(user["password"]))
        _execute(cursor, what, f"CREATE USER IF NOT EXISTS {account} IDENTIFIED BY {password}")
        for told in user.get("databases") or databases:
            database = str(told if isinstance(told, str) else told["name"])
            _execute(cursor, what, f"GRANT ALL PRIVILEGES ON {pattern(database)}.* TO {account}")


def identifier(name: str) -> str:
    """Quote a name; GuestError for one no engine takes."""
    if not name or len(name) > 64 or "\0" in name:
        raise GuestError(f"{name!r} cannot be the name of a database: 1 to 64 characters")
    return "`" + name.replace("`", "``") + "`"


def pattern(name: str) -> str:
    """Quote a name where GRANT reads a pattern."""
    return re.sub(r"([\\_%])", r"\\\1", identifier(name))


def _execute(cursor: Any, what: str, statement: str) -> None:
    try:
        cursor.execute(statement)
    except pymysql.err.Error as error:
        raise GuestError(f"{what} could not be made: {words(error)}") from None


# -- sessions --------------------------------------------------------------------------------------------------------


class Drain:
    """Ends client sessions between two statements and outside transactions.

    A session must have been idle for a while, because a statement may be on its way; the while gets shorter for those
    that are never idle for long (seconds since the start, idle seconds wanted).
    """

    PATIENCE = ((0.15, 0.010), (0.3, 0.005), (0.5, 0.002))
    POLL = 0.002

    def __init__(self, cursor: Any) -> None:
        self._cursor = cursor
        self._idle: dict[tuple[int, int], float] = {}
        self.ended = 0

    def run(self, timeout: float) -> int:
        """Work until no session is left or `timeout` seconds are over; returns how many are left."""
        start = time.monotonic()
        while True:
            now = time.monotonic()
            sessions = self.sessions()
            if not sessions or now - start > timeout:
                return len(sessions)
            self._end_idle(sessions, now, self._wanted(now - start))
            time.sleep(self.POLL)

    def force(self) -> int:
        """End every session, whatever it does; returns how many."""
        sessions = self.sessions()
        for number, _, _ in sessions:
            self._kill(number)
        return len(sessions)

    def sessions(self) -> list[tuple[int, int, str]]:
        """Return the sessions of clients: id, number of the last statement, command."""
        self._cursor.execute(
            "SELECT ID, QUERY_ID, COMMAND FROM information_schema.PROCESSLIST WHERE ID <> CONNECTION_ID() "
            "AND USER NOT IN ('system user', 'event_scheduler') AND COMMAND NOT IN ('Daemon', 'Killed') "
            f"AND NOT (USER = '{ACCOUNT}' AND HOST = 'localhost')"
        )
        return [(int(row[0]), int(row[1]), str(row[2])) for row in self._cursor.fetchall()]

    def _wanted(self, elapsed: float) -> float:
        for until, idle in self.PATIENCE:
            if elapsed < until:
                return idle
        return 0.0

    def _end_idle(self, sessions: list[tuple[int, int, str]], now: float, wanted: float) -> None:
        asleep = [(number, query) for number, query, command in sessions if command == "Sleep"]
        self._idle = {key: self._idle.get(key, now) for key in asleep}
        ripe = [key[0] for key, since in self._idle.items() if now - since >= wanted]
        if not ripe:
            return
        busy = self._in_transaction()
        for number in ripe:
            if number not in busy:
                self.ended += self._kill(number)

    def _in_transaction(self) -> set[int]:
        # Not from information_schema.innodb_trx: what that shows is up to 0.1 s old, or older when asked often.
        self._cursor.execute("SHOW ENGINE INNODB STATUS")
        return transactions(str(self._cursor.fetchone()[2]))

    def _kill(self, number: int) -> int:
        try:
            self._cursor.execute(f"KILL CONNECTION {number}")
        except pymysql.err.Error as error:
            # Gone by itself in the meantime.
            if error.args[0] != 1094:
                raise
            return 0
        return 1


def transactions(status: str) -> set[int]:
    """Return the session ids that have a transaction open, from the text of SHOW ENGINE INNODB STATUS."""
    found = set()
    for part in status.split("---TRANSACTION ")[1:]:
        head = part.split("\n", 1)[0]
        number = re.search(r"thread id (\d+)", part)
        if "not started" not in head and number:
            found.add(int(number.group(1)))
    return found
