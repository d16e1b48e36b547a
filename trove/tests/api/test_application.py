"""The application as a whole: several in one process, policy files, unexpected errors, the description of the API."""

from __future__ import annotations

import json
import logging
import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from jsonschema import Draft202012Validator

from trove.api.routes import PREFIXES, PUBLIC, ROUTES
from trove.policies import list_rules
from trove.tests.api.conftest import in_process
from trove.tests.api.installation import Installation

MakeApp = Callable[..., Any]


def get(app: Any, url: str, **headers: str) -> tuple[int, Any]:
    status, _, body = in_process(app)("GET", url, {key.replace("_", "-"): text for key, text in headers.items()}, None)
    return status, json.loads(body)


def test_three_applications_in_one_process(make_app: MakeApp) -> None:
    apps = [make_app(region=name, max_volume_gb=size) for name, size in (("one", 1), ("two", 2), ("three", 3))]
    document = {"instance": {"name": "a", "flavorRef": "1", "volume": {"size": 2}}}
    answers = []
    for app in apps:
        status, _, body = in_process(app)(
            "POST", "/v1.0/p-1/instances", {"Content-Type": "application/json"}, json.dumps(document).encode()
        )
        answers.append((status, json.loads(body).get("instance", {}).get("region")))
    assert answers == [(413, None), (200, "two"), (200, "three")]


def test_links_can_be_written_for_a_proxy(make_app: MakeApp) -> None:
    app = make_app(public_endpoint="https://db.example.net/")
    assert get(app, "/v1.0/p-1/flavors/1")[1]["flavor"]["links"][0]["href"] == (
        "https://db.example.net/v1.0/p-1/flavors/1"
    )
    assert get(app, "/")[1]["versions"][0]["links"][0]["href"] == "https://db.example.net/v1.0/"


def test_networks_are_shown_where_there_are_any(make_app: MakeApp, installation: Installation) -> None:
    installation.instance("shop")
    [instance] = get(make_app(network_id="net-1"), "/v1.0/p-1/instances")[1]["instances"]
    assert instance["addresses"][0]["network"] == "net-1"


def test_a_policy_file_counts_and_is_read_again(make_app: MakeApp, tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text('"flavor:index": "role:shopper"\n')
    app = make_app(policy_file=str(path))
    assert get(app, "/v1.0/p-1/flavors")[0] == 403
    assert get(app, "/v1.0/p-1/flavors", X_Roles="shopper")[0] == 200
    assert get(app, "/v1.0/p-1/datastores")[0] == 200
    path.write_text('"flavor:index": "role:visitor"\n')
    later = time.time() + 10
    os.utime(path, (later, later))
    assert get(app, "/v1.0/p-1/flavors", X_Roles="shopper")[0] == 403
    assert get(app, "/v1.0/p-1/flavors", X_Roles="visitor")[0] == 200


def test_a_policy_may_look_at_the_user(make_app: MakeApp, tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text('"flavor:index": "user_id:ann"\n')
    app = make_app(policy_file=str(path))
    assert get(app, "/v1.0/p-1/flavors", X_User_Id="ann")[0] == 200
    assert get(app, "/v1.0/p-1/flavors", X_User_Id="bob")[0] == 403


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_an_answer_takes_one_connection(make_app: MakeApp, installation: Installation, method: str) -> None:
    shop = installation.instance("shop")
    taken: list[int] = []
    sa.event.listen(installation.store.database.reader, "checkout", lambda *_: taken.append(1))
    status, _, body = in_process(make_app())(method, f"/v1.0/p-1/instances/{shop.id}", {}, None)
    assert (status, bool(body), taken) == (200, method == "GET", [1])


def test_a_bug_is_a_500_with_a_ticket_and_nothing_else(
    make_app: MakeApp, installation: Installation, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError("the secret inside")

    installation.store.flavors = broken  # type: ignore[method-assign]
    with caplog.at_level(logging.ERROR):
        status, fault = get(make_app(), "/v1.0/p-1/flavors")
    assert (status, list(fault)) == (500, ["instanceFault"])
    [ticket] = re.findall(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", fault["instanceFault"]["message"])
    assert "secret" not in json.dumps(fault)
    assert ticket in caplog.text
    assert "RuntimeError: the secret inside" in caplog.text


def test_a_database_that_is_away_is_503(make_app: MakeApp, installation: Installation, tmp_path: Path) -> None:
    installation.store.close()
    for path in tmp_path.glob("trove.db*"):
        path.unlink()
    (tmp_path / "trove.db").mkdir()
    for url in ("/healthcheck", "/v1.0/p-1/instances"):
        status, fault = get(make_app(), url)
        assert (status, list(fault)) == (503, ["serviceUnavailable"])


def test_passwords_are_not_repeated_in_errors(make_app: MakeApp) -> None:
    document = {"instance": {"name": "a", "users": [{"name": "u", "password": 123456789}]}}
    _, _, body = in_process(make_app())(
        "POST", "/v1.0/p-1/instances", {"Content-Type": "application/json"}, json.dumps(document).encode()
    )
    assert b"password" in body
    assert b"123456789" not in body


def test_a_deeply_nested_body(make_app: MakeApp) -> None:
    for raw in (b"[" * 100_000, b"[" * 100_000 + b"]" * 100_000, b'{"instance": ' + b"9" * 5000 + b"}"):
        status, _, body = in_process(make_app())(
            "POST", "/v1.0/p-1/instances", {"Content-Type": "application/json"}, raw
        )
        assert (status, list(json.loads(body))) == (400, ["badRequest"])


class TestOpenApi:
    @pytest.fixture
    def document(self, make_app: MakeApp) -> Any:
        status, document = get(make_app(), "/openapi.json")
        assert status == 200
        return document

    def test_every_route_is_in_it_and_nothing_else(self, document: Any) -> None:
        described = {(path, method.upper()) for path, item in document["paths"].items() for method in item}
        served = {(f"{prefix}/{{project}}{route.path}", route.method) for prefix in PREFIXES for route in ROUTES}
        assert described == served | {(public.path, "GET") for public in PUBLIC}

    def test_its_form(self, document: Any) -> None:
        assert document["openapi"] == "3.1.0"
        assert {"title", "version"} <= document["info"].keys()
        names = []
        for path, item in document["paths"].items():
            for operation in item.values():
                names.append(operation["operationId"])
                assert operation["summary"]
                assert operation["responses"]
                for response in operation["responses"].values():
                    assert "$ref" in response or response["description"]
                in_path = {each["name"] for each in operation.get("parameters", ()) if each["in"] == "path"}
                assert in_path == set(re.findall(r"{(\w+)}", path))
                if "requestBody" in operation:
                    Draft202012Validator.check_schema(operation["requestBody"]["content"]["application/json"]["schema"])
        assert len(names) == len(set(names))
        Draft202012Validator.check_schema(document["components"]["schemas"]["Fault"])

    def test_references_lead_somewhere(self, document: Any) -> None:
        for reference in set(re.findall(r'"\$ref":"?\s*"([^"]+)"', json.dumps(document))):
            node = document
            for part in reference.removeprefix("#/").split("/"):
                node = node[part]
            assert node


def test_every_route_has_a_rule_that_exists() -> None:
    names = {rule.name for rule in list_rules()}
    for route in ROUTES:
        assert route.rule is None or route.rule in names, route
        assert (route.body is not None) == (route.method in ("POST", "PUT", "PATCH")), route


def test_every_action_has_a_rule_and_a_schema() -> None:
    from trove.api.handlers import clusters, instances
    from trove.api.schemas import clusters as cluster_bodies
    from trove.api.schemas import instances as instance_bodies

    names = {rule.name for rule in list_rules()}
    for handlers, schema in ((clusters, cluster_bodies.ACTION), (instances, instance_bodies.ACTION)):
        assert handlers.ACTIONS.keys() == schema["properties"].keys()
        assert {rule for rule, _ in handlers.ACTIONS.values()} <= names
