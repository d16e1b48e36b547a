"""The stable address, with a real HAProxy in front of small servers that say their name."""

from __future__ import annotations

import os
import socket
import socketserver
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from trove.domain.errors import DriverError, PortTaken, Unavailable
from trove.domain.ports import Backend, EndpointSpec
from trove.endpoints import process
from trove.endpoints.haproxy import HAProxyEndpoints

pytestmark = pytest.mark.engine

NET = f"127.{90 + os.getpid() % 100}.{os.getpid() // 100 % 250}"
FRONT = (f"{NET}.1", 3306)


class Member:
    """A server that greets with its name and echoes lines; can be stopped like a killed engine."""

    def __init__(self, name: str, address: str) -> None:
        self.name, self.address = name, address
        self._open: set[socket.socket] = set()
        self.start()

    def start(self) -> None:
        member = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                member._open.add(self.request)
                try:
                    self.wfile.write(member.name.encode() + b"\n")
                    while line := self.rfile.readline():
                        self.wfile.write(line)
                except OSError:
                    return

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = True
            daemon_threads = True
            request_queue_size = 512

        self._server = Server((self.address, 3306), Handler)
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        for connection in list(self._open):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
        self._open.clear()


class Client:
    """One connection through the endpoint."""

    def __init__(self, front: tuple[str, int] = FRONT, timeout: float = 5.0) -> None:
        self.socket = socket.create_connection(front, timeout=timeout)
        self._file = self.socket.makefile("rwb")
        self.member = self._file.readline().decode().strip()

    def alive(self) -> bool:
        try:
            self._file.write(b"ping\n")
            self._file.flush()
            return self._file.readline() == b"ping\n"
        except OSError:
            return False

    def close(self) -> None:
        self._file.close()
        self.socket.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def member_of_new() -> str:
    try:
        with Client() as client:
            return client.member
    except OSError:
        return ""


def until(condition: Callable[[], bool], seconds: float = 10.0) -> float:
    start = time.monotonic()
    assert process.wait_for(condition, seconds)
    return time.monotonic() - start


@pytest.fixture(scope="module")
def members() -> Iterator[dict[str, Member]]:
    found = {name: Member(name, f"{NET}.{number}") for number, name in enumerate(("a", "b", "c", "d"), start=11)}
    yield found
    for member in found.values():
        member.stop()


@pytest.fixture
def spec(members: dict[str, Member]) -> EndpointSpec:
    return EndpointSpec("c1", *FRONT, "a", tuple(Backend(n, members[n].address, 3306) for n in ("a", "b", "c")))


@pytest.fixture
def endpoints(tmp_path: Path) -> Iterator[HAProxyEndpoints]:
    # Longer than a socket path may be.
    made = HAProxyEndpoints(tmp_path / ("deep" * 30), linger=2)
    yield made
    for cluster_id in made.list():
        made.delete(cluster_id)


def test_life(endpoints: HAProxyEndpoints, spec: EndpointSpec, tmp_path: Path) -> None:
    assert not endpoints.running("c1")
    assert endpoints.connections("c1", "a") == 0
    endpoints.ensure(spec)
    assert endpoints.running("c1")
    assert endpoints.list() == ["c1"]
    with Client() as client:
        assert client.member == "a"
        until(lambda: endpoints.connections("c1", "a") == 1)
        again = HAProxyEndpoints(tmp_path / ("deep" * 30))
        again.ensure(spec)
        assert again.connections("c1", "a") == 1
        assert client.alive()
    directory = tmp_path / ("deep" * 30) / "endpoints" / "c1"
    pids = process.find(directory)
    assert len(pids) == 1
    if os.geteuid() == 0:
        assert Path(f"/proc/{pids[0]}").stat().st_uid != 0
    endpoints.delete("c1")
    endpoints.delete("c1")
    assert process.find(directory) == []
    assert endpoints.list() == []
    assert not endpoints.running("c1")


def test_switch_makes_before_it_breaks(endpoints: HAProxyEndpoints, spec: EndpointSpec, tmp_path: Path) -> None:
    endpoints.ensure(spec)
    with Client() as old:
        assert old.member == "a"
        endpoints.switch("c1", "c")
        assert member_of_new() == "c"
        assert old.alive()
        endpoints.switch("c1", "c")
        assert endpoints.serving("c1") == "c"
        endpoints.set_state("c1", "a", "maint")
        assert not old.alive()
    endpoints.set_state("c1", "a", "ready")
    for _ in range(20):
        assert member_of_new() == "c"
    # The file says so too: a process started from nothing goes to the new one.
    directory = tmp_path / ("deep" * 30) / "endpoints" / "c1"
    process.stop(process.find(directory))
    assert not endpoints.running("c1")
    endpoints.ensure(replace(spec, active="c"))
    assert member_of_new() == "c"


def test_switch_to_a_member_that_does_not_answer_changes_nothing(
    endpoints: HAProxyEndpoints, spec: EndpointSpec
) -> None:
    gone = replace(spec, backends=(*spec.backends, Backend("gone", f"{NET}.99", 3306)))
    endpoints.ensure(gone)
    with pytest.raises(Unavailable, match="traffic stays"):
        endpoints.switch("c1", "gone")
    with pytest.raises(DriverError, match="not behind"):
        endpoints.switch("c1", "nobody")
    assert member_of_new() == "a"


def test_takeover_does_not_flap_back(
    endpoints: HAProxyEndpoints, spec: EndpointSpec, members: dict[str, Member]
) -> None:
    endpoints.ensure(spec)
    assert member_of_new() == "a"
    members["a"].stop()
    try:
        took = until(lambda: member_of_new() == "b")
        assert took < 3.0
    finally:
        members["a"].start()
    with Client() as client:
        until(lambda: endpoints._runtime("c1").servers()["a"].up)
        for _ in range(20):
            assert member_of_new() == "b"
        endpoints.ensure(spec)
        assert member_of_new() == "b"
        # A reload keeps to it as well.
        endpoints.ensure(replace(spec, backends=spec.backends[:2]))
        assert member_of_new() == "b"
        assert client.alive()
    endpoints.switch("c1", "a")
    assert member_of_new() == "a"


def test_reloads_refuse_nobody(
    endpoints: HAProxyEndpoints, spec: EndpointSpec, members: dict[str, Member], tmp_path: Path
) -> None:
    endpoints.ensure(spec)
    wide = replace(spec, backends=(*spec.backends, Backend("d", members["d"].address, 3306)))
    stop = threading.Event()
    failures: list[str] = []
    times: list[float] = []

    def hammer() -> None:
        while not stop.is_set():
            start = time.monotonic()
            try:
                with Client() as client:
                    if client.member != "a" or not client.alive():
                        failures.append(client.member)
            except OSError as error:
                failures.append(str(error))
            times.append(time.monotonic() - start)

    threads = [threading.Thread(target=hammer) for _ in range(3)]
    for thread in threads:
        thread.start()
    for number in range(20):
        endpoints.ensure(wide if number % 2 == 0 else spec)
    stop.set()
    for thread in threads:
        thread.join(10)
    assert failures == []
    assert len(times) > 100
    assert statistics.quantiles(times, n=100)[98] < 1.0
    print(f"{len(times)} connections during 20 reloads, slowest {max(times) * 1000:.0f} ms")
    # Nothing of the twenty old processes stays, even if a client holds on to one.
    directory = tmp_path / ("deep" * 30) / "endpoints" / "c1"
    with Client():
        endpoints.ensure(wide)
        until(lambda: len(process.find(directory)) == 1, 10.0)


def test_port_taken(endpoints: HAProxyEndpoints, spec: EndpointSpec) -> None:
    with socket.create_server(FRONT), pytest.raises(PortTaken, match="3306"):
        endpoints.ensure(spec)
    endpoints.ensure(spec)
    # Another endpoint on the same address is refused too, although HAProxy could share the port.
    with pytest.raises(PortTaken):
        endpoints.ensure(replace(spec, cluster_id="c2"))
    assert member_of_new() == "a"


def test_dead_process_is_started_again_by_any_call(
    endpoints: HAProxyEndpoints, spec: EndpointSpec, tmp_path: Path
) -> None:
    endpoints.ensure(spec)
    directory = tmp_path / ("deep" * 30) / "endpoints" / "c1"
    process.stop(process.find(directory))
    endpoints.set_state("c1", "b", "maint")
    assert endpoints.running("c1")
    process.stop(process.find(directory))
    endpoints.switch("c1", "b")
    assert member_of_new() == "b"


def test_missing_haproxy_names_the_package(
    endpoints: HAProxyEndpoints, spec: EndpointSpec, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(process, "SEARCH", str(tmp_path))
    with pytest.raises(DriverError, match="apt-get install haproxy"):
        endpoints.ensure(spec)
