"""Who is let in, by each strategy."""

from __future__ import annotations

import base64
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bcrypt
import pytest
from oslo_config import cfg

from trove.api.auth.basic import add_user
from trove.api.errors import Misconfigured
from trove.api.settings import ApiSettings
from trove.tests.api.conftest import in_process
from trove.tests.api.identity_server import identity_server
from trove.tests.api.stories import Send

MakeApp = Callable[..., Any]


def basic(name: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()}


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    htpasswd, users = tmp_path / "htpasswd", tmp_path / "users.yaml"
    add_user(htpasswd, users, "ann", "right", "p-1", ["member"], cost=4)
    add_user(htpasswd, users, "root", "toor", "p-0", ["admin", "member"], cost=4)
    return htpasswd, users


@pytest.fixture
def send(make_app: MakeApp, files: tuple[Path, Path]) -> Send:
    htpasswd, users = files
    return in_process(make_app(auth_strategy="http_basic", htpasswd_file=str(htpasswd), users_file=str(users)))


def ask(send: Send, headers: dict[str, str], url: str = "/v1.0/p-1/flavors") -> tuple[int, Any, Any]:
    status, answered, body = send("GET", url, headers, None)
    return status, json.loads(body), answered


class TestHttpBasic:
    def test_the_right_password(self, send: Send) -> None:
        assert ask(send, basic("ann", "right"))[0] == 200
        assert ask(send, basic("ann", "right"))[0] == 200

    @pytest.mark.parametrize(
        "headers",
        [
            {},
            basic("ann", "wrong"),
            basic("ann", ""),
            basic("nobody", "right"),
            basic("", ""),
            basic("ann", "ri\0ght"),
            {"Authorization": "Basic"},
            {"Authorization": "Basic ???"},
            {"Authorization": "Basic YW5u"},
            {"Authorization": "Basic " + base64.b64encode(b"\xff:right").decode()},
            {"Authorization": "Bearer abc"},
            {"X-Project-Id": "p-1", "X-Roles": "admin"},
            {"X-Auth-Token": "abc"},
        ],
        ids=str,
    )
    def test_anything_else_is_401_with_a_challenge(self, send: Send, headers: dict[str, str]) -> None:
        status, fault, answered = ask(send, headers)
        assert status == 401
        assert fault["unauthorized"]["code"] == 401
        assert answered["www-authenticate"].startswith("Basic realm=")

    def test_roles_are_those_of_the_file(self, send: Send) -> None:
        claim = {"X-Roles": "admin", "X-Project-Id": "p-0"}
        assert ask(send, basic("ann", "right") | claim, "/v1.0/p-1/mgmt/quotas/p-0")[0] == 403
        assert ask(send, basic("root", "toor"), "/v1.0/p-0/mgmt/quotas/p-1")[0] == 200

    def test_the_project_of_the_url_is_the_users(self, send: Send) -> None:
        status, fault, _ = ask(send, basic("ann", "right"), "/v1.0/p-0/flavors")
        assert (status, list(fault)) == (403, ["forbidden"])

    @pytest.mark.parametrize("url", ["/", "/v1.0", "/v1.0/", "/v1", "/healthcheck", "/openapi.json"])
    def test_some_urls_need_nobody(self, send: Send, url: str) -> None:
        assert ask(send, {}, url)[0] == 200

    def test_a_password_that_was_right_is_not_computed_again(self, make_app: MakeApp, tmp_path: Path) -> None:
        htpasswd, users = tmp_path / "slow", tmp_path / "slow.yaml"
        add_user(htpasswd, users, "ann", "right", "p-1", ["member"], cost=12)
        send = in_process(make_app(auth_strategy="http_basic", htpasswd_file=str(htpasswd), users_file=str(users)))
        begin = time.process_time()
        assert ask(send, basic("ann", "right"))[0] == 200
        first = time.process_time() - begin
        begin = time.process_time()
        for _ in range(10):
            assert ask(send, basic("ann", "right"))[0] == 200
        assert time.process_time() - begin < first

    def test_changed_files_count_at_once(self, send: Send, files: tuple[Path, Path]) -> None:
        htpasswd, users = files
        assert ask(send, basic("ann", "right"))[0] == 200
        add_user(htpasswd, users, "ann", "changed", "p-1", ["member"], cost=4)
        assert ask(send, basic("ann", "right"))[0] == 401
        assert ask(send, basic("ann", "changed"))[0] == 200
        htpasswd.write_text("")
        assert ask(send, basic("ann", "changed"))[0] == 401

    def test_a_broken_file_lets_nobody_in(self, send: Send, files: tuple[Path, Path]) -> None:
        files[0].write_text("ann:plaintext\n")
        status, fault, _ = ask(send, basic("ann", "plaintext"))
        assert status == 401
        assert "only bcrypt" in fault["unauthorized"]["message"]
        files[0].write_text("")
        files[1].write_text("users: [what]")
        assert ask(send, basic("ann", "right"))[0] == 401

    def test_a_user_without_a_project_is_told_so(self, send: Send, files: tuple[Path, Path]) -> None:
        digest = bcrypt.hashpw(b"secret", bcrypt.gensalt(4)).decode()
        with files[0].open("a") as file:
            file.write(f"eve:{digest}\n")
        status, fault, _ = ask(send, basic("eve", "secret"))
        assert status == 403
        assert "users.yaml" in fault["forbidden"]["message"]

    def test_files_may_appear_later(self, make_app: MakeApp, tmp_path: Path) -> None:
        htpasswd, users = tmp_path / "new", tmp_path / "new.yaml"
        send = in_process(make_app(auth_strategy="http_basic", htpasswd_file=str(htpasswd), users_file=str(users)))
        assert ask(send, basic("ann", "right"))[0] == 401
        add_user(htpasswd, users, "ann", "right", "p-1", ["member"], cost=4)
        assert ask(send, basic("ann", "right"))[0] == 200

    def test_files_are_for_their_owner_only(self, files: tuple[Path, Path]) -> None:
        assert [os.stat(path).st_mode & 0o777 for path in files] == [0o600, 0o600]  # noqa: PTH116

    @pytest.mark.parametrize("name", ["", "a:b", " a", "#a"])
    def test_names_that_cannot_be(self, files: tuple[Path, Path], name: str) -> None:
        with pytest.raises(ValueError, match="cannot be a user name"):
            add_user(*files, name, "password", "p-1", [], cost=4)


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"auth_strategy": ""}, "must be one of"),
        ({"auth_strategy": "trust"}, "must be one of http_basic, keystone, noauth"),
        ({"auth_strategy": "http_basic"}, "htpasswd_file"),
        ({"auth_strategy": "noauth", "policy_file": "/nowhere/policy.yaml"}, "policy file"),
    ],
)
def test_settings_that_cannot_work(make_app: MakeApp, settings: dict[str, Any], match: str) -> None:
    with pytest.raises(Misconfigured, match=match):
        make_app(**settings)


def test_nobody_runs_open_by_accident() -> None:
    with pytest.raises(TypeError):
        ApiSettings()  # type: ignore[call-arg]


@pytest.mark.filterwarnings("ignore:'cgi' is deprecated:DeprecationWarning")
@pytest.mark.filterwarnings("ignore::DeprecationWarning:webob")
class TestKeystone:
    def options(self, url: str) -> dict[str, str]:
        return {
            "www_authenticate_uri": url,
            "auth_url": url,
            "auth_type": "password",
            "username": "trove",
            "password": "secret",
            "project_name": "service",
            "user_domain_name": "Default",
            "project_domain_name": "Default",
            "http_request_max_retries": "0",
            "service_token_roles_required": "true",
        }

    def test_tokens(self, make_app: MakeApp) -> None:
        with identity_server() as url:
            send = in_process(make_app(auth_strategy="keystone", keystone=self.options(url)))
            assert ask(send, {"X-Auth-Token": "member-of-p-1"})[0] == 200
            assert ask(send, {"X-Auth-Token": "member-of-p-1"}, "/v1.0/p-2/flavors")[0] == 403
            assert ask(send, {"X-Auth-Token": "member-of-p-1"}, "/v1.0/p-1/mgmt/quotas/p-2")[0] == 403
            assert ask(send, {"X-Auth-Token": "admin-of-p-1"}, "/v1.0/p-1/mgmt/quotas/p-2")[0] == 200
            status, fault, _ = ask(send, {"X-Auth-Token": "of-no-project"})
            assert (status, list(fault)) == (403, ["forbidden"])
            claim = {"X-Project-Id": "p-1", "X-Roles": "admin", "X-Identity-Status": "Confirmed"}
            for headers in ({}, {"X-Auth-Token": "unknown"}, claim):
                status, fault, answered = ask(send, headers)
                assert (status, list(fault)) == (401, ["unauthorized"]), headers
                assert answered["x-openstack-request-id"].startswith("req-")
            assert ask(send, {}, "/v1.0/")[0] == 200
            assert ask(send, {}, "/healthcheck")[0] == 200

    def test_options_of_a_configuration_file(self, make_app: MakeApp, tmp_path: Path) -> None:
        path = tmp_path / "trove.conf"
        with identity_server() as url:
            lines = (f"{name} = {value}" for name, value in self.options(url).items())
            path.write_text("\n".join(["[keystone_authtoken]", *lines, ""]))
            conf = cfg.ConfigOpts()
            conf(["--config-file", str(path)], project="trove")
            send = in_process(make_app(auth_strategy="keystone", keystone={"oslo_config_config": conf}))
            assert ask(send, {"X-Auth-Token": "member-of-p-1"})[0] == 200
            assert ask(send, {"X-Auth-Token": "unknown"})[0] == 401

    def test_when_keystone_is_away(self, make_app: MakeApp) -> None:
        send = in_process(make_app(auth_strategy="keystone", keystone=self.options("http://127.77.0.2:9")))
        status, fault, answered = ask(send, {"X-Auth-Token": "member-of-p-1"})
        assert (status, list(fault)) == (503, ["serviceUnavailable"])
        assert answered["content-type"] == "application/json"
        assert answered["x-openstack-request-id"].startswith("req-")
        assert ask(send, {}, "/healthcheck")[0] == 200
