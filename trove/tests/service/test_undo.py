"""Upgrades in which nothing goes wrong are taken back while clients write, and then asked for again."""

from __future__ import annotations

import time

import pytest

from trove.tests.service.databases import (
    Database,
    create_cluster,
    create_instance,
    idle,
    member_statuses,
    more_writes,
    until,
)
from trove.workload.controller import Workload
from trove.workload.ledger import LedgerReader, Outcome, ledger_path
from trove.workload.standalone import Standalone


@pytest.mark.parametrize(
    ("datastore", "version", "target", "members"), [("mariadb", "10.11", "11.8", 3), ("redis", "7.0", "8.0", 6)]
)
def test_cluster_goes_back_twice_and_then_all_the_way(
    service: Standalone, datastore: str, version: str, target: str, members: int
) -> None:
    """One cluster, so that whatever an undone upgrade leaves behind is in the way of the next.

    The next writers begin before those whose writes are read back end: the cluster is written to at every moment.
    """
    database = create_cluster(service, f"undo-{datastore}", datastore, version, members)
    with database.workload() as first:
        more_writes(first)
        undo_while_it_runs(database, version, target)
        more_writes(first)
        with database.workload() as second:
            first.stop()
            assert_all_there(database, first)
            undo_while_it_is_held(database, second, version, target)
            more_writes(second)
            with database.workload() as third:
                second.stop()
                assert_all_there(database, second)
                service.done(database.upgrade(target))
                assert_at_rest(database, target)
                more_writes(third)
                third.stop()
                # The first two again: now the nodes answer that were given a full copy when they went back.
                for writers in (first, second, third):
                    assert_all_there(database, writers)
    database.delete()


def test_single_instance_goes_back_and_then_all_the_way(service: Standalone) -> None:
    """What the old engine has acknowledged is there again; what was written to the new one is not, as the plan says."""
    database = create_instance(service, "undo-one", "mariadb", "10.5")
    with database.workload() as writers:
        more_writes(writers)
        asked = time.monotonic()
        operation_id = database.upgrade("11.8", hold=["finalize"])
        old_engine_until = last_moment_before(database, operation_id, "guest.post_upgrade", asked)
        assert service.wait(operation_id)["status"] == "HELD"
        assert database.releases() == {"mariadb 11.8"}
        more_writes(writers)
        roll_back_by_command(database, operation_id)
        assert_undone(database, operation_id, "10.5")
        more_writes(writers)
        writers.stop()
        found = writers.verify()
        assert not found.differing
        assert not found.lost & acknowledged_until(writers, old_engine_until)
        with database.workload() as again:
            more_writes(again)
            service.done(database.upgrade("11.8"))
            assert_at_rest(database, "11.8")
            more_writes(again)
            again.stop()
            assert_all_there(database, again)
        assert writers.verify().lost == found.lost
    database.delete()


def undo_while_it_runs(database: Database, version: str, target: str) -> None:
    """Ask for the rollback as soon as a member says that it runs the target, while the next one is being upgraded."""
    service = database.service
    # It is not to get there; but should this process be slow, it would find the point of no return passed.
    operation_id = database.upgrade(target, hold=["switchover"])

    def first_on_target() -> bool:
        told = [member["version"] for member in service.operation(operation_id)["members"]]
        return any(number.startswith(f"{target}.") for number in told if number)

    until(first_on_target, f"a member on {target}")
    answer = service.request("POST", f"/operations/{operation_id}/action", {"rollback": {}})
    assert answer.status_code == 202, answer.text
    assert answer.json()["operation"]["status"] == "ROLLING_BACK"
    assert_undone(database, operation_id, version)


def undo_while_it_is_held(database: Database, writers: Workload, version: str, target: str) -> None:
    """Let a mixture of releases serve for a while, then ask for the rollback."""
    operation_id = database.upgrade(target, hold=["switchover"])
    operation = database.service.wait(operation_id)
    assert operation["status"] == "HELD", operation["status_text"]
    assert {engine.release for engine in database.engine_versions()} == {version, target}
    more_writes(writers)
    roll_back_by_command(database, operation_id)
    assert_undone(database, operation_id, version)


def roll_back_by_command(database: Database, operation_id: str) -> None:
    answer = database.service.openstack("database", "operation", "rollback", operation_id)
    assert answer.returncode == 0, answer.stderr


def assert_undone(database: Database, operation_id: str, version: str) -> None:
    """The operation ends as taken back, an upgraded member with it, and everything is as before."""
    operation = database.service.wait(operation_id)
    assert operation["status"] == "ROLLED_BACK", operation["status_text"]
    assert "UNDONE" in {step["status"] for step in operation["steps"] if step["name"] == "guest.post_upgrade"}
    assert_at_rest(database, version)


def assert_at_rest(database: Database, version: str) -> None:
    """Idle and healthy, and on this version by the engines' word as by the record."""
    until(lambda: idle(database), "a healthy database at rest")
    assert {engine.release for engine in database.engine_versions()} == {version}
    assert database.record()["datastore"]["version"] == version
    assert member_statuses(database) == {"ACTIVE"}


def assert_all_there(database: Database, writers: Workload) -> None:
    """Every acknowledged write is read back, on every member where each has all; a cluster always took the next try.

    A single instance is away for as long as its engine takes, which on a busy machine is longer than clients try.
    """
    cluster = database.resource == "cluster"
    found = writers.verify(database.nodes if cluster and database.kind == "mariadb" else ())
    assert found.ok, found.at
    report = writers.report()
    assert not cluster or report.errors_with_retry == 0, report.errors


def last_moment_before(database: Database, operation_id: str, name: str, moment: float) -> float:
    """Wait until the first step of this name begins; return the last moment, from this one on, when it had not."""

    def begun() -> bool:
        nonlocal moment
        asked = time.monotonic()
        steps = database.service.operation(operation_id)["steps"]
        waits = next(step["status"] for step in steps if step["name"] == name) == "WAITING"
        moment = asked if waits else moment
        return not waits

    until(begun, f"the begin of {name}")
    return moment


def acknowledged_until(writers: Workload, moment: float) -> set[tuple[int, int]]:
    """Writer and number of every write that was acknowledged until this moment."""
    ledgers = {writer: LedgerReader(ledger_path(writers.directory, writer)) for writer in range(len(writers.pids))}
    return {
        (writer, record.seq)
        for writer, ledger in ledgers.items()
        for record in ledger.new()
        if record.outcome is Outcome.ACKNOWLEDGED and record.end <= moment
    }
