"""What is said when the database cannot be used, and what happens around forks."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from trove.db.engine import Database
from trove.db.store import Store
from trove.domain.errors import Unavailable
from trove.tests.unit.db.conftest import Builder, sqlite_only


@sqlite_only
def test_a_database_that_is_gone(store: Store, tmp_path: Path) -> None:
    store.ping()
    store.close()
    tmp_path.rename(tmp_path.with_name("elsewhere"))
    for use in (store.ping, lambda: store.put_secret("a", {}), lambda: store.instances("p", limit=1)):
        with pytest.raises(Unavailable, match="the service database"):
            use()
    tmp_path.with_name("elsewhere").rename(tmp_path)
    store.ping()


@sqlite_only
def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_text("this is a letter, not a database, and it is long enough to be read as one" * 20)
    with pytest.raises(Unavailable, match="file is not a database"):
        Database(f"sqlite:///{tmp_path}/x.db").now()


def test_a_server_that_does_not_answer() -> None:
    pytest.importorskip("pymysql")
    database = Database(make_url("mysql+pymysql://nobody@127.88.251.1:3/x"))
    with pytest.raises(Unavailable, match="cannot be used now"):
        database.now()


@sqlite_only
def test_a_writer_that_does_not_end(url: str, store: Store) -> None:
    """Another process, and another thread of this one, hold the database longer than a write is ready to wait."""
    hasty = Database(url, patience=0.2)
    inside, leave = threading.Event(), threading.Event()

    def hold(_conn: object) -> None:
        inside.set()
        assert leave.wait(20)

    for holder in (store.database, hasty):
        inside.clear()
        leave.clear()
        with ThreadPoolExecutor(1) as pool:
            holding = pool.submit(holder.write, hold)
            assert inside.wait(20)
            with pytest.raises(Unavailable, match=r"locked|busy for 0\.2 s"):
                hasty.write(lambda conn: conn)
            leave.set()
            holding.result(20)
    hasty.close()


def test_a_write_that_fails_leaves_nothing(store: Store, make: Builder) -> None:
    instance = make.create()

    class BugError(Exception):
        pass

    def work(conn: object) -> None:
        conn.exec_driver_sql("UPDATE instances SET name = 'changed'")
        raise BugError

    with pytest.raises(BugError):
        store.database.write(work)
    assert store.instance(instance.id) == instance


def test_a_forked_child_opens_connections_of_its_own(store: Store, make: Builder) -> None:
    """The child neither uses nor closes what the parent has open."""
    instance = make.create()
    child = os.fork()
    if child == 0:
        try:
            store.update_instance(instance.id, name="from the child")
            os._exit(0 if store.instance(instance.id).name == "from the child" else 1)
        except BaseException:
            os._exit(2)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert store.instance(instance.id).name == "from the child"
    store.update_instance(instance.id, name="from the parent")
    assert store.instance(instance.id).name == "from the parent"
