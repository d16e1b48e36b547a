"""`make demo`: upgrade a live MariaDB cluster and a live Valkey cluster, and show what was seen.

Nothing in the table at the end is assumed: versions come from the engines, writes are read back one by one, gaps are
what the writers measured. Exits 1 if anything is not as promised.
"""

from __future__ import annotations

import secrets
import shutil
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from typing import Any

from demo.report import Outcome, print_report
from trove.cmd.config import default_state_dir
from trove.workload.controller import Workload
from trove.workload.standalone import FINAL, ServiceError, Standalone
from trove.workload.target import Kind
from trove.workload.versions import ask_versions

STEADY_SECONDS = 3.0
"""How long writers run before and after an upgrade, so that a gap at its edges is seen."""
PACE = (0.004, 0.008)
"""Seconds between two writes of a writer: every one is read back at each member, which takes most of the time."""


@dataclass(frozen=True)
class Exhibit:
    """A cluster of the demo and the upgrade it goes through."""

    name: str
    datastore: str
    before: str
    after: str
    members: int
    flavor: str
    kind: Kind
    promised_gap_ms: float
    options: tuple[str, ...] = ()
    user: str | None = None
    password: str | None = None
    database: str | None = None


@dataclass
class Running:
    """What is known of an exhibit while it runs."""

    exhibit: Exhibit
    cluster: dict[str, Any] = field(default_factory=dict)

    @property
    def nodes(self) -> list[tuple[str, int]]:
        port = 3306 if self.exhibit.kind == "mariadb" else 6379
        return [(member["ip"][0]["address"], port) for member in self.cluster["instances"]]


def exhibits() -> list[Exhibit]:
    password = secrets.token_urlsafe(12)
    return [
        Exhibit(
            name="shop",
            datastore="mariadb",
            before="10.11",
            after="11.8",
            members=3,
            flavor="2",
            kind="mariadb",
            promised_gap_ms=1000,
            options=("--database", "shop", "--user", f"app:{password}:shop"),
            user="app",
            password=password,
            database="shop",
        ),
        Exhibit(
            name="cache",
            datastore="valkey",
            before="8.1",
            after="9.1",
            members=6,
            flavor="1",
            kind="redis_cluster",
            promised_gap_ms=100,
        ),
    ]


def main() -> int:
    begun = time.monotonic()
    state_dir = default_state_dir().with_name("trove-anywhere-demo")
    service = Standalone(state_dir)
    if (state_dir / "installation.json").exists():
        say("Removing what an earlier demo left")
        service.purge()
    shutil.rmtree(state_dir, ignore_errors=True)
    try:
        return _run(service, begun)
    except (ServiceError, subprocess.SubprocessError, ConnectionError, OSError) as error:
        say(f"The demo failed: {error}")
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        say("Removing the demo's databases")
        service.purge()


def _run(service: Standalone, begun: float) -> int:
    say("Starting the service")
    service.start()
    running = [Running(exhibit) for exhibit in exhibits()]
    say("Creating a MariaDB Galera cluster and a Valkey cluster (the first time, their images are built)")
    threads = [threading.Thread(target=_create, args=(service, one)) for one in running]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if not all(one.cluster for one in running):
        return 1
    outcomes = [_upgrade(service, one) for one in running]
    return print_report(outcomes, time.monotonic() - begun)


def _create(service: Standalone, one: Running) -> None:
    exhibit = one.exhibit
    words = ["database", "cluster", "create", exhibit.name, exhibit.datastore, exhibit.before, *exhibit.options]
    for _ in range(exhibit.members):
        words += ["--instance", f"flavor={exhibit.flavor},volume=1"]
    if _stream(service, exhibit.name, [*words, "--wait", "-f", "value", "-c", "id"]) == 0:
        one.cluster = _cluster(service, exhibit.name)


def _upgrade(service: Standalone, one: Running) -> Outcome:
    exhibit = one.exhibit
    credentials = (exhibit.user, exhibit.password)
    before = ask_versions(exhibit.kind, one.nodes, *credentials)
    endpoint = one.cluster.get("endpoint")
    where: dict[str, Any] = {"address": endpoint["address"], "port": endpoint["port"]} if endpoint else {}
    if not endpoint:
        where = {"nodes": one.nodes}
    say(f"{exhibit.name}: starting four writers")
    with Workload.start(
        exhibit.kind, **where, user=exhibit.user, password=exhibit.password, database=exhibit.database, pace=PACE
    ) as workload:
        time.sleep(STEADY_SECONDS)
        begun = time.monotonic()
        if exhibit.kind == "mariadb":
            code = _stream(
                service, exhibit.name, ["database", "cluster", "upgrade", exhibit.name, exhibit.after, "--wait"]
            )
            problem = "" if code == 0 else f"the upgrade ended with exit code {code}"
        else:
            problem = _upgrade_by_specification(service, one)
        took = time.monotonic() - begun
        time.sleep(STEADY_SECONDS)
        workload.stop()
        members = one.nodes if exhibit.kind == "mariadb" else ()
        where_read = f"through the endpoint and on each of {len(members)} members" if members else "where it belongs"
        say(f"{exhibit.name}: reading every acknowledged write back, {where_read}")
        workload.verify(members)
        report = workload.report()
    after = ask_versions(exhibit.kind, one.nodes, *credentials)
    names = [member["name"] for member in one.cluster["instances"]]
    return Outcome(
        exhibit.name,
        exhibit.datastore,
        exhibit.after,
        exhibit.promised_gap_ms,
        names,
        before,
        after,
        report,
        took,
        problem,
    )


def _upgrade_by_specification(service: Standalone, one: Running) -> str:
    """Send the specification's own request, and watch the operation it starts."""
    exhibit = one.exhibit
    versions = service.get(f"/datastores/{exhibit.datastore}/versions")["versions"]
    target = next(version["id"] for version in versions if version["name"] == exhibit.after)
    path = f"/cluster/{one.cluster['id']}"
    say(f'{exhibit.name}: PATCH /v1/…{path} {{"cluster": {{"datastore_version": "{target}"}}}}')
    operation_id = service.submit("PATCH", path, {"cluster": {"datastore_version": target}}, prefix="v1")
    seen: dict[str, str] = {}
    while True:
        operation = service.operation(operation_id)
        for member in operation["members"]:
            now = f"{member['version']} {member['status']}"
            if seen.get(member["name"]) != now:
                seen[member["name"]] = now
                say(f"{exhibit.name}: {member['name']} {now}")
        if operation["status"] in FINAL:
            break
        time.sleep(0.2)
    if operation["status"] == "SUCCEEDED":
        return ""
    return f"the upgrade ended {operation['status']}: {operation['error'] or operation['status_text']}"


def _cluster(service: Standalone, name: str) -> dict[str, Any]:
    [found] = service.get(f"/clusters?name={name}")["clusters"]
    cluster: dict[str, Any] = service.get(f"/clusters/{found['id']}")["cluster"]
    return cluster


def _stream(service: Standalone, name: str, words: list[str]) -> int:
    """Run an `openstack` command and show what it says as it says it."""
    shown = " ".join(word if "app:" not in word else "app:…:shop" for word in words)
    say(f"{name}: $ openstack {shown}")
    process = subprocess.Popen(
        service.command(*words),
        env=service.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    for line in process.stdout:
        if line.strip():
            say(f"{name}: {line.rstrip()}")
    return process.wait()


_begun = time.monotonic()


def say(text: str) -> None:
    print(f"[{time.monotonic() - _begun:6.1f} s] {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
