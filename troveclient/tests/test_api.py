"""The Python API against the recorded wire: what is sent, what comes back, what is raised."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from keystoneauth1 import session as ks_session
from keystoneauth1.identity import generic
from keystoneauth1.noauth import NoAuth

import troveclient
import troveclient.apiclient.exceptions
from troveclient import base, client, common, exceptions, extension, service_catalog, utils
from troveclient.tests.osc.service.ids import BACKUP, GROUP, MODULE, OPERATION, ORDERS, REPORTS, SHOP, V118
from troveclient.tests.osc.wire import Wire, serve
from troveclient.v1 import guest_logs, instances, management
from troveclient.v1 import shell as v1_shell
from troveclient.v1.client import MANAGERS

Made = tuple[Any, Wire]


def connect(wire: Wire, project: str = "new", **kwargs: Any) -> Any:
    session = ks_session.Session(auth=NoAuth(endpoint=wire.endpoint(project)))
    return client.Client("1.0", session=session, **kwargs)


@pytest.fixture
def made() -> Iterator[Made]:
    with serve() as wire:
        yield connect(wire), wire


def test_every_manager_and_its_alias_is_there(made: Made) -> None:
    api, _wire = made
    for name in MANAGERS:
        assert isinstance(getattr(api, name), base.Manager)
        assert name in dir(api)
    with pytest.raises(AttributeError, match="nosuch"):
        _ = api.nosuch


def test_upgrade_takes_objects_and_ids(made: Made) -> None:
    api, wire = made
    cluster = api.clusters.get(SHOP)
    version = api.datastore_versions.list("mariadb")[1]
    wire.requests.clear()
    upgraded = api.clusters.upgrade(cluster, version)
    api.clusters.upgrade(SHOP, V118)
    api.instances.upgrade(api.instances.resource_class(api.instances, {"id": ORDERS}), version)
    body = {"upgrade": {"datastore_version": V118}}
    assert wire.requests == [
        f"POST /clusters/{SHOP} {json.dumps(body)}",
        f"POST /clusters/{SHOP} {json.dumps(body)}",
        f"PATCH /instances/{ORDERS} {json.dumps({'instance': body['upgrade']})}",
    ]
    assert upgraded.task["name"] == "BUSY"
    assert upgraded.operation_id.endswith("63")


def test_upgrade_extensions_are_sent_when_asked_for(made: Made) -> None:
    api, wire = made
    plan = api.clusters.upgrade(SHOP, "11.8", dry_run=True)
    assert [step["phase"] for step in plan["steps"]] == ["stage", "member", "finalize"]
    started = api.instances.upgrade(ORDERS, "11.8", on_failure="hold", hold="canary", accept_no_rollback=True)
    assert started.id == OPERATION
    assert json.loads(wire.requests[-1].split(" ", 2)[2]) == {
        "instance": {"datastore_version": "11.8", "on_failure": "hold", "hold": ["canary"], "accept_no_rollback": True}
    }
    assert started.status == "RUNNING"  # read when asked for


def test_edit_is_the_older_update(made: Made) -> None:
    api, wire = made
    api.instances.edit(ORDERS, name="x", detach_replica_source=True)
    assert wire.requests == [f'PATCH /instances/{ORDERS} {{"instance": {{"name": "x", "replica_of": null}}}}']
    with pytest.raises(exceptions.ValidationError):
        api.instances.update(ORDERS, configuration=GROUP, remove_configuration=True)


def test_resource_is_fetched_when_an_unknown_attribute_is_read(made: Made) -> None:
    api, wire = made
    partial = api.instances.resource_class(api.instances, {"id": ORDERS, "name": "orders"})
    assert partial.name == "orders"
    assert wire.requests == []
    assert partial.region == "here"
    assert not hasattr(partial, "nosuch")
    assert wire.requests == [f"GET /instances/{ORDERS}"]
    assert partial == api.instances.get(ORDERS)
    assert partial != 5
    assert repr(partial) == "<Instance: orders>"
    copy = partial.to_dict()
    copy["name"] = "changed"
    assert partial._info["name"] == "orders"


def test_pages_carry_marker_and_links() -> None:
    with serve() as wire:
        api = connect(wire, "old")
        page = api.instances.list(limit=1)
        assert isinstance(page, common.Paginated)
        assert (len(page), page.next) == (1, ORDERS)
        assert page.links[0]["rel"] == "next"
        page += api.instances.list(limit=1, marker=page.next)
        assert [item.id for item in page] == [ORDERS, REPORTS]


@pytest.mark.parametrize(
    ("marker", "sent"), [("bob@%", "bob%40%25"), ("bob%40%25", "bob%40%25"), (None, None), ("a b", "a%20b")]
)
def test_markers_are_escaped_once(marker: Any, sent: Any) -> None:
    assert base.escape_marker(marker) == sent


def test_names_are_found_on_every_page_of_a_server_that_does_not_filter() -> None:
    with serve() as wire:
        api = connect(wire, "old")
        assert api.instances.find(name="reports").id == REPORTS
        with pytest.raises(exceptions.NoUniqueMatch, match="013, 0000"):
            api.instances.find(name="twin")
        with pytest.raises(exceptions.NotFound, match="nosuch"):
            api.instances.find(name="nosuch")


def test_a_name_costs_one_request_and_an_id_none(made: Made) -> None:
    api, wire = made
    assert utils.get_resource_id(api.instances, ORDERS) == ORDERS
    assert wire.requests == []
    assert utils.get_resource_id(api.instances, "orders") == ORDERS
    assert wire.requests == ["GET /instances?include_clustered=True&name=orders"]


def test_errors_have_class_code_message_and_request_id(made: Made) -> None:
    api, _wire = made
    with pytest.raises(exceptions.NotFound) as caught:
        api.clusters.get("nosuch")
    error = caught.value
    assert (error.code, error.http_status, error.request_id) == (404, 404, "req-1")
    assert str(error) == "Resource nosuch cannot be found. (HTTP 404) (Request-ID: req-1)"
    assert troveclient.apiclient.exceptions.NotFound is exceptions.NotFound is client.exceptions.NotFound
    with pytest.raises(exceptions.RequestEntityTooLarge):
        api.instances.create("too-many", flavor_id="1")


@pytest.mark.parametrize(
    ("status", "cls"),
    [
        (400, "BadRequest"),
        (418, "HTTPClientError"),
        (422, "UnprocessableEntity"),
        (599, "HttpServerError"),
        (302, "HttpError"),
    ],
)
def test_status_chooses_the_exception(status: int, cls: str) -> None:
    response = SimpleNamespace(status_code=status, headers={"Content-Type": "application/json"}, json=lambda: [1])
    assert type(exceptions.from_response(response, "GET", "/x")).__name__ == cls


def test_unreadable_error_bodies_do_not_hide_the_status() -> None:
    def broken() -> Any:
        raise ValueError("no JSON")

    response = SimpleNamespace(status_code=500, headers={"Content-Type": "application/json"}, json=broken)
    assert exceptions.from_response(response, "GET", "/x").code == 500
    text = SimpleNamespace(status_code=415, headers={"Content-Type": "text/plain"}, text="Only JSON.\nmore")
    assert exceptions.from_response(text, "POST", "/x").message == "Only JSON."


def test_client_is_made_as_others_make_it() -> None:
    with serve() as wire:
        address = wire.endpoint("new")
        session = ks_session.Session(auth=NoAuth(endpoint="http://127.0.0.1:9/v1.0/x"))
        for made in (
            client.Client(1, session=session, endpoint=address),
            client.Client("1.0", session=session, endpoint_override=address, endpoint_type="internalURL", retries=2),
            client.Client("1.0", session=session, bypass_url=address),
        ):
            assert [item.name for item in made.datastores.list()] == ["mariadb", "valkey"]
            assert made.get_database_api_version_from_endpoint() == "1.0"
        plain = client.Client("1.0", "user", "token", project_id="p", auth_url="http://127.0.0.1:9")
        plain.client.auth_token, plain.client.management_url = "token", address
        assert plain.flavors.get("2").name == "large"
        assert wire.headers[-1]["X-Auth-Token"] == "token"
        assert wire.headers[-1]["User-Agent"] == "python-troveclient"
    with pytest.raises(exceptions.UnsupportedVersion):
        client.Client("2.0")
    assert client.Client("1.0", "fake_user", "fake_passwd").client.auth_token is None
    assert troveclient.__version__


@pytest.mark.parametrize("path", ["/v1.0/p", "/trove/v1.0/p", "/v1/p"])
def test_version_is_read_anywhere_in_the_endpoint(path: str) -> None:
    http = client.HTTPClient("u", "p", "t", "http://127.0.0.1:9", bypass_url=f"http://host{path}")
    assert http.get_database_api_version_from_endpoint() == "1.0"


def test_endpoint_without_version_is_refused() -> None:
    http = client.HTTPClient("u", "p", "t", "http://127.0.0.1:9", bypass_url="http://host/p")
    with pytest.raises(exceptions.UnsupportedVersion, match=r"v1\.0"):
        http.get_database_api_version_from_endpoint()


def test_nobody_answering_is_a_sentence() -> None:
    with pytest.raises(exceptions.ConnectionRefused, match="Unable to establish connection"):
        client.Client("1.0", "u", "p", auth_url="http://127.0.0.1:9").instances.list()
    password = generic.Password("http://127.0.0.1:9", username="u", password="p", user_domain_id="d")
    with pytest.raises(Exception, match=r"127\.0\.0\.1:9"):
        client.Client("1.0", session=ks_session.Session(auth=password))


def test_real_tokens_stay_out_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG", "troveclient.client")
    http = client.HTTPClient("u", "p", "t", "http://127.0.0.1:9", http_log_debug=True)
    http.http_log_req(("/x", "GET"), {"headers": {"X-Auth-Token": "0123456789abcdef0123456789"}})
    assert "X-Auth-Token: ***" in caplog.text


def test_catalogue_chooses_by_type_name_and_region() -> None:
    def service(name: str, region: str) -> dict[str, Any]:
        endpoint = {"region": region, "publicURL": f"http://{name}/v1.0/p"}
        return {"type": "database", "name": name, "endpoints": [endpoint]}

    services = [service("a", "north"), service("b", "south")]
    catalog = service_catalog.ServiceCatalog({"access": {"token": {"id": "t"}, "serviceCatalog": services}})
    assert catalog.get_token() == "t"
    assert catalog.url_for("region", "south", service_type="database") == "http://b/v1.0/p"
    assert catalog.url_for(service_type="database", database_service_name="a") == "http://a/v1.0/p"
    with pytest.raises(exceptions.AmbiguousEndpoints):
        catalog.url_for(service_type="database")
    with pytest.raises(exceptions.EndpointNotFound):
        catalog.url_for(service_type="image")


def test_extension_module_adds_a_manager_and_hooks(made: Made) -> None:
    _api, wire = made
    module = ModuleType("things")

    class Things(base.Manager):
        resource_class = base.Resource

    module.Things = Things  # type: ignore[attr-defined]
    module.__pre_parse_args__ = lambda argv: None  # type: ignore[attr-defined]
    found = extension.Extension("things", module)
    assert found.manager_class is Things
    assert isinstance(connect(wire, extensions=[found]).things, Things)


def test_user_names_with_hosts_and_dots_are_one_path_segment() -> None:
    assert common.quote_user_host("app", "10.0.0.5") == "app%4010%2e0%2e0%2e5"
    assert common.quote_user_host("a.b", None) == "a%2eb"


def test_modules_are_encoded_and_retrieved(made: Made, tmp_path: Path) -> None:
    api, wire = made
    api.modules.create("licence", "ping", b"a licence", visible=False, datastore="mariadb")
    sent = json.loads(wire.requests[-1].split(" ", 2)[2])["module"]
    assert utils.decode_data(sent["contents"]) == b"a licence"
    assert (sent["visible"], sent["datastore"]) == (0, {"type": "mariadb"})
    saved = api.instances.module_retrieve(ORDERS, str(tmp_path / "new"), "p")
    assert Path(saved["licence"]).read_bytes() == b"a licence"
    assert hash(api.modules.get(MODULE)) == hash(api.modules.get(MODULE))


def test_parameters_of_management_calls(made: Made) -> None:
    api, wire = made
    api.mgmt_instances.stop(ORDERS)
    api.mgmt_instances.migrate(ORDERS, host="n7")
    management.MgmtClusters(api)
    assert wire.requests == [
        f'POST /mgmt/instances/{ORDERS}/action {{"stop": {{}}}}',
        f'POST /mgmt/instances/{ORDERS}/action {{"migrate": {{"host": "n7"}}}}',
    ]
    assert api.mgmt_instances.list()[0].server["id"] == "vm-1"


class Store:
    """Object storage as a caller may bring it."""

    objects = {"p/log-1": b"one\ntwo\n", "p/log-2": b"three\nfour\n", "p/x_metafile": b"{}"}

    def __init__(self) -> None:
        self.fetched: list[str] = []

    def get_container(self, container: str, prefix: str = "") -> Any:
        return {}, [{"name": name} for name in self.objects]

    def head_object(self, container: str, name: str) -> Any:
        return {"x-object-meta-lines": "2"}

    def get_object(self, container: str, name: str) -> Any:
        self.fetched.append(name)
        return {}, self.objects[name]


@pytest.mark.parametrize(
    ("lines", "text", "fetched"),
    [
        (0, "one\ntwo\nthree\nfour\n", 2),
        (1, "four\n", 1),
        (3, "two\nthree\nfour\n", 2),
        (50, "one\ntwo\nthree\nfour\n", 2),
    ],
)
def test_log_is_read_from_its_end(lines: int, text: str, fetched: int) -> None:
    store = Store()
    info = instances.DatastoreLog(None, {"name": "general", "container": "logs", "prefix": "p/"}, loaded=True)
    assert "".join(guest_logs.reader(info, lines, store)()) == text
    assert len(store.fetched) == fetched


def test_unpublished_log_is_told(made: Made) -> None:
    api, _wire = made
    with pytest.raises(exceptions.GuestLogNotFoundError):
        api.instances.log_generator(ORDERS, "general", swift=Store())


class Workflow:
    """The workflow service's client, as far as schedules use it."""

    def __init__(self) -> None:
        self.kept: dict[str, Any] = {}
        self.cron_triggers = SimpleNamespace(
            create=self.create, list=lambda: list(self.kept.values()), get=self.kept.get, delete=self.kept.pop
        )

    def create(self, name: str, workflow: str, pattern: str, workflow_input: Any) -> Any:
        self.kept[name] = SimpleNamespace(
            name=name,
            pattern=pattern,
            workflow_input=json.dumps(workflow_input),
            created_at="c",
            next_execution_time="n",
            workflow_name=workflow,
        )
        return self.kept[name]


def test_schedules_are_cron_triggers(made: Made) -> None:
    api, _wire = made
    workflow = Workflow()
    schedule = api.backups.schedule_create(ORDERS, "0 3 * * *", "nightly", mistral_client=workflow)
    assert (schedule.name, schedule.instance, schedule.pattern) == ("nightly", ORDERS, "0 3 * * *")
    assert [item.id for item in api.backups.schedule_list(ORDERS, workflow)] == [schedule.id]
    assert api.backups.schedule_list(REPORTS, workflow) == []
    assert api.backups.schedule_show(schedule, workflow).name == "nightly"
    api.backups.schedule_delete(schedule, workflow)
    assert workflow.kept == {}


def test_functions_of_the_older_shell_are_there(made: Made, capsys: pytest.CaptureFixture[str]) -> None:
    api, wire = made
    assert v1_shell.do_backup_show(api, SimpleNamespace(backup=BACKUP)) == 0
    assert "| nightly" in capsys.readouterr().out
    assert v1_shell._find_instance_or_cluster(api, "shop")[1] == "cluster"
    assert v1_shell._strip_option("flavor=1,nic='net-id=a,ip-address=b'", "flavor")[0] == "1"
    assert "do_cluster_upgrade" in dir(v1_shell)
    with pytest.raises(AttributeError):
        _ = v1_shell.do_nosuch
    assert wire.requests[0] == f"GET /backups/{BACKUP}"


def test_completion_cache_is_written_only_for_those_who_ask(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    api, _wire = made
    monkeypatch.setenv("TROVECLIENT_UUID_CACHE_DIR", str(tmp_path))
    api.flavors.list()
    assert (tmp_path / "flavor-uuid-cache").exists()


def test_tables_are_as_wide_as_their_text(capsys: pytest.CaptureFixture[str]) -> None:
    utils.print_list([{"name": "数据库", "size": 1}], ["name", "size"], obj_is_dict=True)
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == "| Name   | Size |"
    assert lines[3] == "| 数据库 | 1    |"
    utils.print_dict({"b": [1, {"c": None, "d": 2}], "a": "x"})
    assert "| b        | 1, d=2 |" in capsys.readouterr().out
