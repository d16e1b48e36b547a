"""The same protocol over real sockets, and what only a server can do wrong."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

from trove.api.server import ApiServer
from trove.domain.errors import DriverError
from trove.tests.api.installation import Installation
from trove.tests.api.stories import Send, Story, load

HOST = "127.77.0.1"


@pytest.fixture
def server(make_app: Callable[..., Any]) -> Iterator[ApiServer]:
    server = ApiServer(make_app(), HOST, 0, threads=4)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def send(server: ApiServer) -> Iterator[Send]:
    connection = http.client.HTTPConnection(*server.address, timeout=20)

    def over_socket(method: str, url: str, headers: Any, body: bytes | None) -> Any:
        connection.request(method, url, body, dict(headers))
        answer = connection.getresponse()
        content = answer.read()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, content

    yield over_socket
    connection.close()


@pytest.mark.parametrize("story", load("protocol", "flavors", "quotas"), ids=lambda story: story.id)
def test_story(story: Story, installation: Installation, send: Send) -> None:
    story.run(installation, send)


def test_links_carry_the_address_in_use(server: ApiServer, send: Send) -> None:
    _, _, body = send("GET", "/v1.0/p-1/flavors/1", {}, None)
    assert json.loads(body)["flavor"]["links"][0]["href"] == f"{server.url}/v1.0/p-1/flavors/1"


def test_a_body_too_large_is_refused_in_json(send: Send) -> None:
    status, headers, body = send("POST", "/v1.0/p-1/instances", {"Content-Type": "application/json"}, b" " * 1_100_000)
    assert status == 413
    assert headers["content-type"] == "application/json"
    assert json.loads(body)["overLimit"]["code"] == 413


def test_a_chunked_body_is_read_like_any_other(server: ApiServer) -> None:
    document = json.dumps({"instance": {"name": "shop", "flavorRef": "1", "volume": {"size": 1}}}).encode()
    connection = http.client.HTTPConnection(*server.address, timeout=20)
    headers = {"Content-Type": "application/json", "Transfer-Encoding": "chunked"}
    connection.request(
        "POST", "/v1.0/p-1/instances", iter([document[:20], document[20:]]), headers, encode_chunked=True
    )
    answer = connection.getresponse()
    assert (answer.status, json.loads(answer.read())["instance"]["name"]) == (200, "shop")
    connection.request("GET", "/v1.0/p-1/instances")
    assert len(json.loads(connection.getresponse().read())["instances"]) == 1
    connection.close()


def test_a_chunked_body_too_large_is_refused(server: ApiServer) -> None:
    connection = http.client.HTTPConnection(*server.address, timeout=20)
    headers = {"Content-Type": "application/json", "Transfer-Encoding": "chunked"}
    chunks = iter([b" " * 100_000] * 11)
    connection.request("POST", "/v1.0/p-1/instances", chunks, headers, encode_chunked=True)
    answer = connection.getresponse()
    assert (answer.status, list(json.loads(answer.read()))) == (413, ["overLimit"])
    connection.close()


@pytest.mark.parametrize("path", ["/v1.0/p-1/nothing", "/v1.0/p-1/flavors"])
def test_an_unread_chunked_body_does_not_become_the_next_request(server: ApiServer, path: str) -> None:
    smuggled = b"GET /v1.0/p-1/limits HTTP/1.1\r\nHost: x\r\n\r\n"
    chunk = b"%x\r\n%s\r\n0\r\n\r\n" % (len(smuggled), smuggled)
    request = f"POST {path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".encode() + chunk
    with socket.create_connection(server.address, timeout=20) as sock:
        sock.sendall(request)
        sock.shutdown(socket.SHUT_WR)
        answers = b""
        while data := sock.recv(65536):
            answers += data
    assert answers.count(b"HTTP/1.1 ") == 1, answers


def test_silent_clients_keep_nobody_waiting(server: ApiServer, send: Send) -> None:
    silent = [socket.create_connection(server.address, timeout=20) for _ in range(20)]
    try:
        assert send("GET", "/healthcheck", {}, None)[0] == 200
    finally:
        for sock in silent:
            sock.close()


def test_a_client_that_asks_without_end_keeps_nobody_waiting(make_app: Callable[..., Any]) -> None:
    server = ApiServer(make_app(), HOST, 0, threads=1)
    server.start()
    asked = threading.Event()

    def ask_until_the_end() -> None:
        connection = http.client.HTTPConnection(*server.address, timeout=20)
        with suppress(OSError, http.client.HTTPException):
            while True:
                connection.request("GET", "/healthcheck")
                connection.getresponse().read()
                asked.set()

    client = threading.Thread(target=ask_until_the_end)
    client.start()
    assert asked.wait(20)
    for _ in range(5):
        other = http.client.HTTPConnection(*server.address, timeout=5)
        other.request("GET", "/healthcheck")
        assert other.getresponse().status == 200
        other.close()
    server.stop()
    client.join(20)
    assert not client.is_alive()


def test_sixteen_clients_at_once(installation: Installation, server: ApiServer) -> None:
    installation.instance("shop")
    failures: list[Any] = []

    def ask() -> None:
        connection = http.client.HTTPConnection(*server.address, timeout=30)
        for _ in range(10):
            connection.request("GET", "/v1.0/p-1/instances")
            answer = connection.getresponse()
            names = [instance["name"] for instance in json.loads(answer.read())["instances"]]
            if (answer.status, names) != (200, ["shop"]):
                failures.append((answer.status, names))
        connection.close()

    clients = [threading.Thread(target=ask) for _ in range(16)]
    for client in clients:
        client.start()
    for client in clients:
        client.join(60)
    assert not failures
    assert not any(client.is_alive() for client in clients)


def test_a_taken_port_is_said(server: ApiServer, make_app: Callable[..., Any]) -> None:
    with pytest.raises(DriverError, match=r"cannot listen on .* port"):
        ApiServer(make_app(), *server.address)


def test_the_port_is_free_after_stop(make_app: Callable[..., Any]) -> None:
    first = ApiServer(make_app(), HOST, 0)
    first.start()
    address = first.address
    first.stop()
    second = ApiServer(make_app(), *address)
    second.start()
    second.stop()
