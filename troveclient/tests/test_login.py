"""Logging in through what keystoneauth loads, against the answers of an identity service."""

from __future__ import annotations

import os
from typing import Any
from unittest import mock

import pytest
import requests_mock

from troveclient import exceptions, shell

AUTH_URL = "http://identity/v3"
DATASTORES = {"datastores": [{"id": "d-1", "name": "mariadb", "versions": [], "links": []}]}
SCOPE = {"OS_PROJECT_NAME": "demo", "OS_PROJECT_DOMAIN_NAME": "Default"}
PASSWORD = {"OS_USERNAME": "ann", "OS_PASSWORD": "pw", "OS_USER_DOMAIN_NAME": "Default", **SCOPE}
APPLICATION = {
    "OS_AUTH_TYPE": "v3applicationcredential",
    "OS_APPLICATION_CREDENTIAL_ID": "app",
    "OS_APPLICATION_CREDENTIAL_SECRET": "s3cret",
}


VERSION = {
    "version": {
        "id": "v3.14",
        "status": "stable",
        "updated": "2020-04-07T00:00:00Z",
        "links": [{"rel": "self", "href": AUTH_URL}],
        "media-types": [],
    }
}


def endpoint(interface: str, url: str) -> dict[str, str]:
    return {"id": interface, "interface": interface, "url": url, "region": "north", "region_id": "north"}


TOKEN = {
    "token": {
        "methods": ["password"],
        "expires_at": "2099-01-01T00:00:00.000000Z",
        "issued_at": "2031-01-01T00:00:00.000000Z",
        "user": {"id": "u", "name": "ann", "domain": {"id": "default", "name": "Default"}},
        "project": {"id": "p-1", "name": "demo", "domain": {"id": "default", "name": "Default"}},
        "roles": [{"id": "r", "name": "member"}],
        "catalog": [
            {
                "id": "s",
                "type": "database",
                "name": "trove",
                "endpoints": [
                    endpoint("public", "http://service/trove/v1.0/p-1"),
                    endpoint("internal", "http://inside/v1.0/p-1"),
                ],
            }
        ],
    }
}


def run(env: dict[str, str], *words: str) -> tuple[int, list[Any]]:
    """The exit code of a command line, and the requests that it sent."""
    with mock.patch.dict(os.environ, {"OS_AUTH_URL": AUTH_URL, **env}, clear=True), requests_mock.Mocker() as wire:
        wire.get(AUTH_URL, json=VERSION)
        wire.post(f"{AUTH_URL}/auth/tokens", json=TOKEN, headers={"X-Subject-Token": "tok-1"})
        for address in ("http://service/trove", "http://inside"):
            wire.get(f"{address}/v1.0/p-1/datastores", json=DATASTORES)
        code = shell.main([*words, "datastore-list"])
        return code, wire.request_history


@pytest.mark.parametrize(
    ("env", "words", "method"),
    [
        (PASSWORD, [], "password"),
        ({**PASSWORD, "OS_PASSWORD": ""}, ["--os-password", "pw"], "password"),
        ({**PASSWORD, "OS_AUTH_TYPE": "v3password"}, [], "password"),
        (APPLICATION, [], "application_credential"),
        ({"OS_AUTH_TYPE": "token", "OS_TOKEN": "old", **SCOPE}, [], "token"),
        ({"OS_AUTH_TOKEN": "old", **SCOPE}, [], "token"),
    ],
    ids=["password", "password option", "v3password", "application credential", "token", "auth token"],
)
def test_login(env: dict[str, str], words: list[str], method: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, sent = run(env, *words)
    captured = capsys.readouterr()
    assert (code, captured.err) == (0, "")
    assert "mariadb" in captured.out
    login = next(request for request in sent if request.method == "POST")
    assert login.json()["auth"]["identity"]["methods"] == [method]
    assert sent[-1].url == "http://service/trove/v1.0/p-1/datastores"
    assert sent[-1].headers["X-Auth-Token"] == "tok-1"


def test_endpoint_type_and_region_choose_in_the_catalogue(capsys: pytest.CaptureFixture[str]) -> None:
    code, sent = run(PASSWORD, "--endpoint-type", "internalURL", "--os-region-name", "north")
    assert code == 0
    assert sent[-1].url == "http://inside/v1.0/p-1/datastores"
    code, sent = run(PASSWORD, "--os-region-name", "south")
    assert code == 1
    assert "in south region not found. Check region" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("OS_USERNAME", shell.NO_USERNAME),
        ("OS_PASSWORD", shell.NO_PASSWORD),
        ("OS_AUTH_URL", shell.NO_AUTH_URL),
        ("OS_PROJECT_NAME", shell.NO_PROJECT),
    ],
)
def test_what_is_missing_is_named(missing: str, message: str) -> None:
    env = {key: value for key, value in {"OS_AUTH_URL": AUTH_URL, **PASSWORD}.items() if key != missing}
    with (
        mock.patch.dict(os.environ, env, clear=True),
        mock.patch("sys.stdin", None),
        pytest.raises(exceptions.CommandError) as caught,
    ):
        shell.OpenStackTroveShell().main(["list"])
    assert caught.value.args == (message,)


def test_a_refused_login_is_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    with mock.patch.dict(os.environ, {"OS_AUTH_URL": AUTH_URL, **PASSWORD}, clear=True), requests_mock.Mocker() as wire:
        wire.get(AUTH_URL, json=VERSION)
        wire.post(f"{AUTH_URL}/auth/tokens", status_code=401, json={"error": {"message": "no", "code": 401}})
        assert shell.main(["list"]) == 1
    told = capsys.readouterr().err
    assert told.startswith("ERROR: ")
    assert "check user, password and project" in told


def test_bypass_url_needs_no_catalogue(capsys: pytest.CaptureFixture[str]) -> None:
    env = {"OS_AUTH_TOKEN": "tok-9"}
    code, sent = run(env, "--bypass-url", "http://inside/v1.0/p-1")
    assert code == 0
    assert [request.method for request in sent] == ["GET"]
    assert sent[0].headers["X-Auth-Token"] == "tok-9"


def test_interrupting_ends_with_130(capsys: pytest.CaptureFixture[str]) -> None:
    with mock.patch.object(shell.OpenStackTroveShell, "main", side_effect=KeyboardInterrupt):
        assert shell.main(["list"]) == 130
    assert capsys.readouterr().err == "... terminating trove client\n"
