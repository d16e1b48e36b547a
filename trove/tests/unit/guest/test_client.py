"""What the controller makes of an agent's answers."""

from __future__ import annotations

import json
import socket
import threading
import time

import pytest

from trove.domain.errors import DriverError, StaleGeneration, Unavailable
from trove.domain.ports import GuestAddress, Order
from trove.domain.states import EngineStatus
from trove.guest import client as module
from trove.guest.client import GuestClient
from trove.guest.pki import Authority
from trove.tests.unit.guest.fake import TlsPeer

GUEST = GuestAddress("inst-1", "127.0.0.1")
HEALTHY = {"status": "HEALTHY", "version": "7.0.15", "version_number": "7.0.15", "in_sync": True, "unknown": 1}
DONE = {"id": "op-0-0", "kind": "start", "status": "SUCCEEDED", "result": {"x": 1}}


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path)


@pytest.fixture
def peer(authority, monkeypatch):
    """Something that listens with the certificate of inst-1 and answers what a test has laid out."""
    made = TlsPeer(authority)
    monkeypatch.setattr(module.protocol, "PORT", made.port)
    yield made
    made.close()


@pytest.fixture
def guests(authority):
    made = GuestClient(authority.client_context())
    yield made
    made.close()


def run(guests, wait=0.0):
    return guests.run(GUEST, "start", {}, Order("op", 0, 1), wait)


def test_answers_become_facts(guests, peer):
    peer.answers += [(200, HEALTHY), (200, DONE), (200, {**HEALTHY, "agent": {"generation": 3}})]
    seen = guests.health(GUEST)
    assert (seen.status, seen.in_sync, seen.version) == (EngineStatus.HEALTHY, True, "7.0.15")
    assert run(guests).result == {"x": 1}
    assert guests.agent(GUEST) == {"generation": 3}
    assert peer.requests[1][0] == "PUT /operations/op-0-0?wait=0.000 HTTP/1.1"
    assert json.loads(peer.requests[1][1]) == {"kind": "start", "params": {}, "generation": 1}
    assert peer.connections == 1


@pytest.mark.parametrize(
    ("status", "error"), [(409, StaleGeneration), (503, Unavailable), (400, DriverError), (500, DriverError)]
)
def test_refusals_become_errors_with_the_reason(guests, peer, status, error):
    peer.answers.append((status, {"error": "because"}))
    with pytest.raises(error, match="because"):
        run(guests)


@pytest.mark.parametrize("answer", ["[]", "no json", '{"status": "STRANGE"}', "{}"])
def test_an_answer_that_is_not_understood_is_said(guests, peer, answer):
    peer.answers.append((200, answer))
    with pytest.raises(DriverError, match="not understood"):
        guests.health(GUEST)


def test_a_connection_that_went_stale_is_made_again_once(guests, peer):
    peer.answers += [(200, HEALTHY), None, (200, HEALTHY)]
    guests.health(GUEST)
    assert guests.health(GUEST).in_sync
    assert peer.connections == 2
    peer.answers += [None, None]
    with pytest.raises(Unavailable):
        guests.health(GUEST)


def test_waiting_goes_on_over_several_requests_and_ends_in_time(guests, peer, monkeypatch):
    monkeypatch.setattr(module.protocol, "LONGEST_WAIT", 0.1)
    peer.answers += [(200, {**DONE, "status": "RUNNING"})] * 2 + [(200, DONE)]
    assert run(guests, wait=5).status == "SUCCEEDED"
    assert len(peer.requests) == 3
    peer.answers += [(200, {**DONE, "status": "RUNNING"})]
    assert run(guests).status == "RUNNING"


def test_an_agent_that_hangs_is_not_waited_for(guests, peer):
    peer.answers.append("hang")
    started = time.monotonic()
    with pytest.raises(Unavailable, match=r"does not answer in 0\.2 s"):
        guests.health(GUEST, timeout=0.2)
    assert time.monotonic() - started < 2


def test_something_that_speaks_no_tls_is_not_the_agent(guests, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as plain:
        monkeypatch.setattr(module.protocol, "PORT", plain.getsockname()[1])

        def speak() -> None:
            connection, _ = plain.accept()
            with connection:
                connection.sendall(b"220 mail ready\r\n")

        thread = threading.Thread(target=speak)
        thread.start()
        with pytest.raises(Unavailable):
            guests.health(GUEST)
        thread.join()


def test_nobody_there_is_unavailable(guests, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    monkeypatch.setattr(module.protocol, "PORT", port)
    with pytest.raises(Unavailable, match="refused"):
        guests.health(GUEST)


def test_threads_do_not_share_connections(guests, peer):
    peer.answers += [(200, HEALTHY)] * 40
    threads = [threading.Thread(target=lambda: [guests.health(GUEST) for _ in range(10)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(peer.requests) == 40
    assert peer.connections <= 5
