"""The guest's pure parts: configuration, names in SQL, the engine's files and words, who starts a stopped cluster."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from trove.datastores.mariadb import guest_config, guest_sql, guest_wsrep
from trove.datastores.mariadb.recovery import Remedy, remedy
from trove.domain.health import Health
from trove.domain.states import EngineStatus
from trove.guest.agent.errors import GuestError

PATHS = {"datadir": "/d", "socket": "/s", "pid": "/p", "tmp": "/t", "log": "/l"}
CLUSTER = {"kind": "galera", "name": "c", "node": "n1", "peers": ["127.0.9.1", "127.0.9.2"]}
GRASTATE = "# GALERA saved state\nversion: 2.1\nuuid:    {}\nseqno:   {}\nsafe_to_bootstrap: {}\n"
UUID = "8459b5b0-e5f7-11f1-a75b-0aa774336d42"


def test_single_server_is_durable_and_knows_no_cluster() -> None:
    text = guest_config.render(PATHS, "127.0.9.1", 3306, 1024, 1, None)
    assert "wsrep" not in text
    assert "innodb-flush-log-at-trx-commit = 1\n" in text
    assert "bind-address = 127.0.9.1\n" in text


def test_member_listens_on_its_own_address_only() -> None:
    text = guest_config.render(PATHS, "127.0.9.1", 3306, 1024, 2, CLUSTER)
    for part in (
        "wsrep-cluster-address = gcomm://127.0.9.1,127.0.9.2\n",
        "gmcast.listen_addr=tcp://127.0.9.1:4567",
        "ist.recv_addr=127.0.9.1:4568",
        "wsrep-sst-receive-address = 127.0.9.1:4444\n",
        "evs.suspect_timeout=PT2S",
    ):
        assert part in text


def test_a_group_has_the_time_to_agree_on_who_is_dead() -> None:
    """A newcomer's suspicion begins when it comes, so both it and the others' must fit into the agreement's time."""
    seconds = {name: float(value[2:-1]) for name, value in guest_config.GROUP_TIMERS.items()}
    assert seconds["evs.install_timeout"] > 2 * seconds["evs.suspect_timeout"] + seconds["gmcast.peer_timeout"]
    assert seconds["evs.suspect_timeout"] > 3 * seconds["evs.keepalive_period"]


def test_names_of_members_are_made_fit_for_the_file() -> None:
    names = ["my db, 1", "my_db_1", "a#b", "a\nb", "ü", "my-db.1"]
    made = [guest_config.node_name(name) for name in names]
    assert len(set(made)) == len(names)
    assert made[-1] == "my-db.1"
    assert not set("".join(made)) & set(" ,#\n\"'")
    assert "wsrep-node-name = a_23_b\n" in guest_config.render(PATHS, "x", 1, 512, 1, {**CLUSTER, "node": "a#b"})


@pytest.mark.parametrize("ram", [64, 256, 512, 1024, 4096, 65536])
def test_memory_is_never_promised_twice(ram: int) -> None:
    pool = guest_config.buffer_pool_mb(ram)
    assert 32 <= pool <= max(32, ram * 6 // 10)
    assert pool < 128 or pool % 128 == 0
    assert 50 <= guest_config.max_connections(ram) <= 2000


def test_names_are_quoted_and_patterns_escaped() -> None:
    assert guest_sql.identifier("a`b") == "`a``b`"
    assert guest_sql.pattern("my_db%") == r"`my\_db\%`"
    for name in ("", "x" * 65, "a\0b"):
        with pytest.raises(GuestError):
            guest_sql.identifier(name)


def test_transactions_are_read_from_the_engines_words() -> None:
    status = (
        "TRANSACTIONS\n---TRANSACTION 421, not started\n0 lock struct(s)\nMariaDB thread id 9, OS thread handle 1\n"
        "---TRANSACTION 36, ACTIVE 0 sec\n1 lock struct(s)\nMariaDB thread id 12, OS thread handle 1, query id 5\n"
        "---TRANSACTION 37, ACTIVE (PREPARED) 0 sec\nMySQL thread id 13, OS thread handle 1\n"
        "---TRANSACTION 38, ACTIVE 0 sec recovered trx\nROLLING BACK 1 lock struct(s)\n"
    )
    assert guest_sql.transactions(status) == {12, 13}


def test_saved_position(tmp_path: Path) -> None:
    assert guest_wsrep.position(str(tmp_path)) == {}
    (tmp_path / "grastate.dat").write_text(GRASTATE.format(UUID, 17, 0))
    (tmp_path / "gvwstate.dat").write_text("x")
    assert guest_wsrep.position(str(tmp_path)) == {
        "uuid": UUID, "seqno": 17, "safe_to_bootstrap": False, "view_saved": True,
    }  # fmt: skip
    guest_wsrep.allow_bootstrap(str(tmp_path))
    after = guest_wsrep.position(str(tmp_path))
    assert (after["safe_to_bootstrap"], after["view_saved"], after["seqno"]) == (True, False, 17)
    (tmp_path / "grastate.dat").write_text(GRASTATE.format(UUID, "many", 0))
    assert guest_wsrep.position(str(tmp_path)) == {}


def test_recovered_position() -> None:
    assert guest_wsrep.recovered(f"x\n[Note] WSREP: Recovered position: {UUID}:12345,0-1-2\n") == f"{UUID}:12345"
    assert guest_wsrep.recovered(f"[Note] WSREP: Recovered position: {guest_wsrep.UNKNOWN}:-1\n") is None
    assert guest_wsrep.recovered("nothing") is None


def test_words_come_from_the_latest_run() -> None:
    first = "0 [Note] Starting MariaDB 10.11 as process 3\n[ERROR] old trouble\nmariadbd: Shutdown complete\n"
    assert guest_wsrep.ended_cleanly(first)
    log = first + "0 [Note] Starting MariaDB 10.11 as process 4\n[Note] WSREP: Receiving IST... 23.1% (1/2 events)\n"
    assert not guest_wsrep.ended_cleanly(log)
    assert guest_wsrep.doing(log) == "receiving the missed writes, 23.1 % done"
    assert guest_wsrep.complaint(log) == ""
    assert guest_wsrep.complaint(first) == "", "a run that ended in order complains of nothing"
    errors = "".join(f"0 [ERROR] trouble {number}\n" for number in range(1, 6)) + "0 [ERROR] Aborting\n"
    assert guest_wsrep.complaint(log + errors) == "trouble 1; trouble 4; trouble 5"
    assert guest_wsrep.complaint(log + "0 [ERROR] trouble\n") == "trouble"
    assert not guest_wsrep.was_copied(log)
    assert guest_wsrep.was_copied(log + "WSREP_SST: [INFO] rsync SST completed on joiner (20261121)\n")


def test_group_that_cannot_win_its_quorum_back() -> None:
    group = "0 [Note] WSREP: New COMPONENT: primary = yes, bootstrap = no, my_idx = 1, memb_num = 3\n"
    log = "0 [Note] Starting MariaDB 11.8 as process 3\n" + group
    assert not guest_wsrep.stuck(log)
    log += "0 [ERROR] WSREP: ./gcs/src/gcs_state_msg.cpp:948: Failed to establish quorum.\n"
    assert guest_wsrep.stuck(log)
    assert guest_wsrep.doing(log) == "in a group that cannot win its quorum back"
    assert not guest_wsrep.stuck(log + group), "somebody with all data has come"


def test_start_hides_the_run_before(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("Starting MariaDB\n0 [ERROR] WSREP: Failed to establish quorum.\n")
    assert guest_wsrep.stuck(guest_wsrep.end_of(str(log)))
    guest_wsrep.begin_run(str(log))
    assert not guest_wsrep.stuck(guest_wsrep.end_of(str(log)))
    assert guest_wsrep.complaint(guest_wsrep.end_of(str(log))) == ""


def test_long_log_is_put_aside(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert not guest_wsrep.begin_log(str(log))
    log.write_bytes(b"x" * (guest_wsrep.LOG_LIMIT + 1))
    assert guest_wsrep.begin_log(str(log))
    assert not log.exists()
    assert guest_wsrep.end_of(str(log) + ".1", 3) == "xxx"


def down(seqno: int = 5, safe: bool = False, uuid: str = UUID, **more: Any) -> Health:
    detail = {"uuid": uuid, "seqno": seqno, "safe_to_bootstrap": safe, "view_saved": False, "recovered": None, **more}
    return Health(EngineStatus.RESTARTING, detail=detail)


def alone(seqno: int = 5, uuid: str = UUID, status: str = "non-Primary", seen: int = 1) -> Health:
    """A member that runs and answers."""
    detail = {"uuid": uuid, "seqno": seqno, "wsrep_cluster_status": status}
    return Health(EngineStatus.ERROR, members_seen=seen, detail=detail)


def begin(member: str) -> Remedy:
    return Remedy(member, "start", bootstrap=True)


@pytest.mark.parametrize(
    ("members", "helps"),
    [
        # All were stopped.
        ({"a": down(), "b": down(), "c": down(safe=True)}, begin("c")),
        ({"a": down(7), "b": down(9), "c": down(8)}, begin("b")),
        ({"a": down(9), "b": down(7, safe=True)}, begin("a")),
        ({"a": down(-1, recovered=f"{UUID}:9"), "b": down(8)}, begin("a")),
        ({"a": down(9), "b": down(-1, uuid=guest_wsrep.UNKNOWN)}, begin("a")),
        ({"a": down(9, view_saved=True), "b": down(8)}, begin("a")),
        ({"a": down(9, view_saved=True), "b": down(8, view_saved=True)}, begin("a")),
        # Some run, in a group without quorum.
        ({"a": down(9, view_saved=True), "b": down(8), "c": alone(9)}, begin("c")),
        ({"a": down(9, safe=True), "b": alone(9), "c": alone(9)}, begin("b")),
        ({"a": alone(9, seen=3), "b": down(-1, recovered=f"{UUID}:8"), "c": down(-1, uuid="")}, None),
        ({"a": alone(9), "b": down(-1, recovered=f"{UUID}:8"), "c": Health(EngineStatus.SHUTDOWN)}, begin("a")),
        ({"a": alone(8), "b": down(9), "c": down(8)}, Remedy("a", "restart")),
        # One that has left its group and still runs lets go as it is started.
        ({"a": alone(9, status="Disconnected", seen=0), "b": down(8)}, begin("a")),
        # Nothing may be done as long as something is not known or somebody has quorum.
        ({"a": down(9), "b": None}, None),
        ({"a": alone(9), "b": None}, None),
        ({"a": down(9), "b": down(-1)}, None),
        ({"a": down(9), "b": alone(-1)}, None),
        ({"a": down(9), "b": Health(EngineStatus.HEALTHY, in_sync=True, members_seen=1)}, None),
        ({"a": down(9), "b": alone(8, status="Primary")}, None),
        ({"a": down(9), "b": down(9, uuid=UUID.replace("8", "9"))}, None),
        ({"a": down(9), "b": down(8, stuck=True)}, begin("a")),
        ({"a": Health(EngineStatus.NEW)}, None),
    ],
)
def test_who_begins_a_cluster_without_quorum(members: dict[str, Health | None], helps: Remedy | None) -> None:
    assert remedy(members, resting=members) == helps


def test_members_that_know_their_last_group_find_each_other() -> None:
    members = {"a": down(9, view_saved=True), "b": down(8, view_saved=True)}
    assert remedy(members, resting=members, by_themselves=True) is None
    assert remedy({**members, "c": alone(9)}, resting=[*members, "c"], by_themselves=True) == begin("c")


def test_member_that_is_stuck_leaves_its_group_first() -> None:
    members = {"a": down(9), "b": down(8, stuck=True)}
    assert remedy(members, resting=members, by_themselves=True) is None
    assert remedy({**members, "b": down(8, stuck=False)}, resting=members, by_themselves=True) == begin("a")


def test_an_operation_keeps_its_member() -> None:
    members = {"a": down(9), "b": down(9), "c": alone(8)}
    assert remedy(members, resting=["b", "c"]) == Remedy("c", "restart")
    assert remedy({**members, "b": down(8)}, resting=["b", "c"]) is None
    assert remedy(members, resting=["a"]) == begin("a"), "who is behind and not at rest is left alone"


def test_position_of_a_running_member() -> None:
    said = {"wsrep_local_state_uuid": UUID, "wsrep_last_committed": "7", "wsrep_local_recv_queue": "0"}
    assert guest_wsrep.reached(said) == {"uuid": UUID, "seqno": 7}
    assert guest_wsrep.reached({**said, "wsrep_local_recv_queue": "2"})["seqno"] == -1
    assert guest_wsrep.reached({}) == {}
    assert guest_wsrep.reached({**said, "wsrep_local_state_uuid": guest_wsrep.UNKNOWN}) == {}
