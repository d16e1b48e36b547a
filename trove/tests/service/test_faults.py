"""Everything that can go wrong does: the cluster serves throughout, nothing acknowledged is lost, nobody is needed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import redis

from trove.tests.service.conftest import started
from trove.tests.service.databases import (
    Database,
    address_of,
    create_cluster,
    create_instance,
    idle,
    more_writes,
    until,
    write_and_read,
)
from trove.workload.controller import Workload
from trove.workload.standalone import FINAL, ServiceError, Standalone

BROKEN = """#!/bin/sh
case "$*" in *-version*|-V) exec /usr/lib/real/{name} "$@";; esac
echo "this engine is broken" >&2
exit 1
"""


def processes_of(instance_id: str, program: str = "") -> list[int]:
    """Process ids in an instance's sandbox whose command line has the program; never those of another sandbox."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or not instance_id:
            continue
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
            agent = json.loads((entry / "root/etc/trove/agent.json").read_text())
        except OSError:
            continue
        # The sandbox's first process has the agent's command line among its own words.
        is_first = words[0] == b"/bin/sh" and program
        if agent["instance_id"] == instance_id and not is_first and any(program.encode() in word for word in words):
            found.append(int(entry.name))
    return found


def ask(service: Standalone, operation_id: str, action: str, until: tuple[str, ...] = FINAL) -> dict[str, Any]:
    """Act on an operation that is held, and wait for what follows."""
    answer = service.request("POST", f"/operations/{operation_id}/action", {action: {}})
    assert answer.status_code == 202, answer.text
    return service.wait(operation_id, until=until)


def replication(address: str) -> dict[str, Any]:
    """What a Redis engine says of its replication."""
    with redis.Redis(host=address) as engine:
        said: dict[str, Any] = engine.info("replication")  # type: ignore[assignment]
        return said


def first_process(instance_id: str) -> list[int]:
    """The process with which a whole sandbox ends."""
    return sorted(processes_of(instance_id))[:1]


def kill_all(pids: list[int], number: int = signal.SIGKILL) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):  # the first process of a sandbox takes the others with it
            os.kill(pid, number)


def running_step(service: Standalone, operation_id: str) -> dict[str, Any]:
    """The step that is being done; empty between two."""
    operation = service.operation(operation_id)
    assert operation["status"] not in FINAL, "it ended before anything could be killed"
    return next((step for step in operation["steps"] if step["status"] == "RUNNING"), {})


def goes_on_by_itself(database: Database, operation_id: str, writers: Workload) -> None:
    """The operation ends one way or the other, everybody is well on one release, and nothing acknowledged is lost."""
    operation = database.service.wait(operation_id)
    assert operation["status"] in ("SUCCEEDED", "ROLLED_BACK"), operation["status_text"]
    until(lambda: idle(database), "a healthy cluster")
    writers.stop()
    found = writers.verify(database.nodes if database.kind == "mariadb" else ())
    assert found.ok, found.at
    assert writers.report().errors_with_retry == 0
    assert len(database.releases()) == 1


@pytest.fixture(scope="module")
def broken_images(images_dir: Path, service: Standalone, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """All images, but those of MariaDB 11.8 and Redis 8.0 have an engine that ends at once."""
    for recipe in ("mariadb-11.8", "redis-8.0"):
        assert service.manage("image", "build", recipe).returncode == 0
    # Beside the real ones, so that hard links work.
    broken = images_dir.with_name(f"broken-images-{os.getpid()}")
    shutil.rmtree(broken, ignore_errors=True)
    subprocess.run(["cp", "-al", str(images_dir), str(broken)], check=True)
    for pattern in ("mariadb-11.8-*/rootfs/usr/sbin/mariadbd", "redis-8.0-*/rootfs/usr/bin/redis-server"):
        for program in broken.glob(pattern):
            real = program.parent.parent / "lib" / "real" / program.name
            real.parent.mkdir()
            real.hardlink_to(program.resolve())
            program.unlink()
            program.write_text(BROKEN.format(name=program.name))
            program.chmod(0o755)
    yield broken
    shutil.rmtree(broken)


@pytest.mark.parametrize(
    ("datastore", "version", "target", "members"), [("mariadb", "10.11", "11.8", 3), ("redis", "7.0", "8.0", 6)]
)
def test_canary_that_fails_its_gate_is_rolled_back(
    broken_images: Path, datastore: str, version: str, target: str, members: int
) -> None:
    with started(broken_images) as service:
        database = create_cluster(service, "canary", datastore, version, members)
        with database.workload() as writers:
            more_writes(writers)
            operation = service.wait(database.upgrade(target))
            assert operation["status"] == "ROLLED_BACK"
            assert "ended while starting" in operation["error"]
            until(lambda: idle(database), "a healthy cluster after the rollback")
            writers.stop()
            found = writers.verify(database.nodes if datastore == "mariadb" else ())
        assert found.ok, found.at
        assert writers.report().errors_with_retry == 0
        assert database.releases() == {f"{datastore} {version}"}
        assert database.record()["datastore"]["version"] == version


def test_hold_waits_for_a_person(broken_images: Path) -> None:
    with started(broken_images) as service:
        database = create_cluster(service, "held", "redis", "7.0", 6)
        operation = service.wait(database.upgrade("8.0", on_failure="hold"))
        assert operation["status"] == "HELD"
        assert operation["can_rollback"]
        assert service.request("POST", f"/clusters/{database.id}", {"restart": {}}).status_code == 422
        answer = service.openstack("database", "operation", "rollback", operation["id"])
        assert answer.returncode == 0, answer.stderr
        assert service.wait(operation["id"], until=("ROLLED_BACK",))["can_resume"] is False
        until(lambda: idle(database), "a healthy cluster after the rollback")
        assert database.releases() == {"redis 7.0"}
        database.delete()


def test_upgraded_replica_that_had_to_take_over_leads_forward(own_service: Standalone) -> None:
    """Its primary stays away for longer than the engines wait: no way back any more, and no dead end either."""
    service = own_service
    database = create_cluster(service, "forward", "redis", "7.0", 6)
    write_and_read(database)
    operation = service.wait(database.upgrade("8.0", hold=["canary"]))
    assert operation["status"] == "HELD", operation["status_text"]
    canary = next(step["member"]["id"] for step in operation["steps"] if step["name"] == "server.ensure")

    def member(key: str, value: str) -> dict[str, Any]:
        database.record()
        return next(m for m in database.members if (m["id"] if key == "id" else address_of(m)) == value)

    def role_of(instance_id: str) -> str:
        return str(member("id", instance_id)["role"])

    address = address_of(member("id", canary))
    old = member("address", replication(address)["master_host"])["id"]
    # Without the service nobody brings the primary back before the engines have waited long enough.
    service.stop()
    kill_all(first_process(old))
    until(lambda: replication(address)["role"] == "master", "the canary taking over")
    service.start()
    until(lambda: role_of(canary) == "primary" and role_of(old) == "replica", "its old primary coming back")

    held = ask(service, operation["id"], "rollback", until=("HELD",))
    assert "no longer replica" in held["status_text"]
    assert "resume" in held["status_text"]
    ended = ask(service, operation["id"], "resume")
    assert ended["status"] == "SUCCEEDED", ended["status_text"]
    until(lambda: idle(database), "a healthy cluster")
    assert database.releases() == {"redis 8.0"}
    write_and_read(database)
    database.delete()


@pytest.mark.parametrize(
    ("datastore", "version", "target", "members"), [("mariadb", "10.11", "11.8", 3), ("redis", "7.0", "8.0", 6)]
)
def test_server_killed_in_the_middle_of_a_rebuild(
    own_service: Standalone, datastore: str, version: str, target: str, members: int
) -> None:
    database = create_cluster(own_service, "killed", datastore, version, members)
    with database.workload() as writers:
        more_writes(writers)
        operation_id = database.upgrade(target)
        rebuild = ("server.ensure", "guest.post_upgrade")
        until(lambda: running_step(own_service, operation_id).get("name") in rebuild, "a rebuild")
        own_service.kill()
        own_service.start()
        rested = own_service.operation(operation_id)["updated"]
        until(lambda: own_service.operation(operation_id)["updated"] > rested, "the operation going on", timeout=15)
        own_service.done(operation_id)
        writers.stop()
        found = writers.verify(database.nodes if datastore == "mariadb" else ())
    assert found.ok, found.at
    assert writers.report().errors_with_retry == 0
    assert database.releases() == {f"{datastore} {target}"}


@pytest.mark.parametrize("victim", ["trove.guest.agent", "redis-server", "/bin/sh"], ids=["agent", "engine", "sandbox"])
def test_killed_during_its_upgrade(service: Standalone, victim: str) -> None:
    database = create_cluster(service, "shot", "redis", "7.0", 6)
    with database.workload() as writers:
        more_writes(writers)
        operation_id = database.upgrade("8.0")

        def member_in_work() -> str:
            member = running_step(service, operation_id).get("member")
            return member["id"] if member else ""

        find = first_process if victim == "/bin/sh" else lambda instance_id: processes_of(instance_id, victim)
        kill_all(until(lambda: find(member_in_work()), f"a {victim} to kill"))
        goes_on_by_itself(database, operation_id, writers)
    database.delete()


@pytest.mark.parametrize(
    ("datastore", "version", "target", "members"), [("mariadb", "10.11", "11.8", 3), ("redis", "7.0", "8.0", 6)]
)
def test_who_serves_dies_while_another_is_away(
    service: Standalone, datastore: str, version: str, target: str, members: int
) -> None:
    """The one that is away has missed writes: it must not lead before it has them, whoever is left."""
    database = create_cluster(service, "thin", datastore, version, members)
    database.record()
    names = {address_of(member): member["id"] for member in database.members}
    if datastore == "mariadb":
        first, *others = names.values()
        # The active one leaves last, and has handed its traffic to the canary then.
        served_by = {**dict.fromkeys(others, first), first: others[0]}
    else:
        follows = {names[address]: replication(address).get("master_host") for address in names}
        served_by = {replica: names[primary] for replica, primary in follows.items() if primary}
        served_by |= {primary: replica for replica, primary in served_by.items()}
    sandboxes = {instance_id: first_process(instance_id) for instance_id in names.values()}
    with database.workload() as writers:
        more_writes(writers)
        operation_id = database.upgrade(target)

        def member_away() -> str:
            step = running_step(service, operation_id)
            # Early, so that it surely is not back in sync: an asynchronous primary could take unsent writes along then.
            return step["member"]["id"] if step.get("name") in ("guest.pre_upgrade", "server.ensure") else ""

        kill_all(sandboxes[served_by[until(member_away, "a member being taken out")]])
        goes_on_by_itself(database, operation_id, writers)
    database.delete()


@pytest.mark.parametrize("upgrade", [True, False], ids=["upgrade", "rest"])
def test_member_dies_in_the_moment_another_leaves(service: Standalone, upgrade: bool) -> None:
    """Galera then waits for ever for the one that left, which comes back under another identity."""
    database = create_cluster(service, "torn", "mariadb", "10.11", 3)
    database.record()
    dying, leaving, _ = (member["id"] for member in database.members)
    sandbox, [engine] = first_process(dying), processes_of(leaving, "mariadbd")
    with database.workload(patience=120.0) as writers:
        more_writes(writers)
        if upgrade:
            operation_id = database.upgrade("11.8")
            until(lambda: running_step(service, operation_id).get("name") == "guest.pre_upgrade", "a member leaving")
        # It cannot see any more that the other leaves.
        kill_all(processes_of(dying, "mariadbd"), signal.SIGSTOP)
        if not upgrade:
            kill_all([engine], signal.SIGTERM)
        until(lambda: engine not in processes_of(leaving, "mariadbd"), "a member leaving in order")
        kill_all(sandbox)
        if upgrade:
            goes_on_by_itself(database, operation_id, writers)
        else:
            until(lambda: not idle(database), "the loss to be seen")
            until(lambda: idle(database), "a healthy cluster")
            writers.stop()
            assert writers.verify(database.nodes).ok
            assert writers.report().errors_with_retry == 0
        print(writers.report())
    database.delete()


def test_both_others_die_while_one_catches_up(service: Standalone) -> None:
    """The three then form a group of which nobody has complete data, and which Galera never leaves by itself."""
    database = create_cluster(service, "bare", "mariadb", "10.11", 3)
    database.record()
    one, catching_up, other = (member["id"] for member in database.members)
    sandbox = first_process(other)
    log = service.state_dir / "instances" / catching_up / "data/agent/mariadb.log"
    with database.workload(patience=120.0) as writers:
        more_writes(writers)
        operation_id = database.upgrade("11.8")
        until(lambda: running_step(service, operation_id).get("name") == "guest.post_upgrade", "it joins again")
        until(lambda: "PRIMARY -> JOINER" in log.read_text().rpartition("Starting MariaDB")[2], "it catches up")
        kill_all([*sandbox, *processes_of(one, "mariadbd")])
        goes_on_by_itself(database, operation_id, writers)
    database.delete()


def test_databases_outlive_the_server_and_the_host(own_service: Standalone) -> None:
    single = create_instance(own_service, "alone", "redis", "7.0")
    cluster = create_cluster(own_service, "together", "mariadb", "10.11", 3)
    half = create_instance(own_service, "half-way", "redis", "7.0")
    held = own_service.wait(half.upgrade("8.0", hold=["finalize"]))
    assert held["status"] == "HELD", held["status_text"]
    own_service.stop()
    address, port = own_address(single), 6379
    assert serves(address, port), "the engine does not serve without its controller"
    kill_everything_of(own_service)
    until(lambda: not serves(address, port), "the end of all engines")
    own_service.start()
    until(lambda: idle(single) and idle(cluster), "all databases after the host restart", timeout=120)
    write_and_read(single)
    write_and_read(cluster)
    write_and_read(cluster)
    # One that waits for a person serves meanwhile, on the release it has reached.
    until(lambda: half.releases() == {"redis 8.0"}, "the held instance after the host restart")
    write_and_read(half)
    assert ask(own_service, held["id"], "resume")["status"] == "SUCCEEDED"


def serves(address: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(5)
        return probe.connect_ex((address, port)) == 0


def own_address(database: Database) -> str:
    return database.members[0]["ip"][0]


def kill_everything_of(service: Standalone) -> None:
    """Kill every process below the state directory, as a power cut would."""
    for instance in (service.state_dir / "instances").iterdir():
        if not instance.name.startswith("."):
            kill_all(processes_of(instance.name, ""))
    for pid_file in service.state_dir.glob("endpoints/*/*.pid"):
        os.kill(int(pid_file.read_text().split()[0]), signal.SIGKILL)


def test_image_that_cannot_be_built_changes_nothing(service: Standalone, tmp_path: Path) -> None:
    options = ("--mirror", f"file://{tmp_path}/no-such-mirror")
    with started(tmp_path / "images", *options) as poor:
        shutil.rmtree(tmp_path / "images", ignore_errors=True)
        answer = poor.submit(
            "POST",
            "/instances",
            {
                "instance": {
                    "name": "x",
                    "flavorRef": "1",
                    "volume": {"size": 1},
                    "datastore": {"type": "redis", "version": "7.0"},
                }
            },
        )
        operation = poor.wait(answer)
        assert operation["status"] == "ROLLED_BACK"
        assert "mirror" in operation["error"]
        [instance] = poor.get("/instances/detail")["instances"]
        assert instance["status"] == "ERROR"
        assert "mirror" in instance["fault"]["message"]
        assert list((tmp_path / "images").glob("redis*")) == []
        poor.done(poor.submit("DELETE", f"/instances/{instance['id']}"))


def test_port_taken_is_told_and_leaves_nothing(own_service: Standalone) -> None:
    first = create_instance(own_service, "first", "redis", "7.0")
    address = own_address(first)
    neighbour = address.rsplit(".", 1)[0] + f".{int(address.rsplit('.', 1)[1]) + 1}"
    with socket.socket() as squatter:
        squatter.bind((neighbour, 6379))
        squatter.listen()
        with pytest.raises(ServiceError, match="taken"):
            create_instance(own_service, "second", "redis", "7.0")
    [failed] = own_service.get("/instances?name=second")["instances"]
    own_service.done(own_service.submit("DELETE", f"/instances/{failed['id']}"))
    create_instance(own_service, "second", "redis", "7.0").delete()


@pytest.mark.parametrize(("datastore", "version", "members"), [("mariadb", "11.8", 3), ("redis", "8.0", 6)])
def test_lost_member_is_replaced(own_service: Standalone, datastore: str, version: str, members: int) -> None:
    """Its server is gone with its data; a new member takes its place, and it is removed, while clients write."""
    database = create_cluster(own_service, "lossy", datastore, version, members)
    with database.workload() as writers:
        more_writes(writers)
        database.record()
        # Where the traffic is not, and no writes are: what the loss of an asynchronous primary costs is the engine's.
        lost = next(m for m in reversed(database.members) if m["role"] != "primary")["id"]
        home = own_service.state_dir / "instances" / lost
        home.rename(home.with_name(f".lost-{lost}"))
        kill_all(first_process(lost))

        def said_sick() -> bool:
            database.record()
            return any(m["id"] == lost and m["health"]["status"] != "HEALTHY" for m in database.members)

        until(said_sick, "the loss being noticed")
        size = {"flavorRef": "2" if datastore == "mariadb" else "1", "volume": {"size": 1}}
        assert own_service.request("POST", f"/clusters/{database.id}", {"restart": {}}).status_code == 422
        database.action({"grow": [{"name": "in-its-place", **size}]})
        database.action({"shrink": [{"id": lost}]})
        until(lambda: idle(database), "a healthy cluster")
        assert len(database.members) == members
        more_writes(writers)
        writers.stop()
        found = writers.verify(database.nodes if datastore == "mariadb" else ())
    assert found.ok, found.at
    assert writers.report().errors_with_retry == 0
    database.action({"restart": {}})
    write_and_read(database)
