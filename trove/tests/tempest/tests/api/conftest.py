"""One real server with real engines, made and used through the commands."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest

from trove.images.store import default_images_dir
from trove.tests.service.conftest import started
from trove.tests.tempest.tests.api.lines import Line
from trove.tests.tempest.tests.api.terminal import Terminal
from trove.workload.standalone import Standalone

# What openstackclient and its libraries say on import is not ours to mend; it also takes its name from the program.
with warnings.catch_warnings(), mock.patch("sys.argv", ["openstack"]):
    warnings.simplefilter("ignore")
    import osc_lib.shell  # noqa: F401

NOT_OURS = ("DeprecationWarning", "PendingDeprecationWarning", "UserWarning", "ResourceWarning")
SIX = " --instance flavor=db.small,volume=1" * 6


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents and isinstance(item, pytest.Function):
            if "service" in item.fixturenames:
                item.add_marker(pytest.mark.engine)
            for name in NOT_OURS:
                item.add_marker(pytest.mark.filterwarnings(f"ignore::{name}"))


@pytest.fixture(scope="package")
def service() -> Iterator[Standalone]:
    with started(default_images_dir()) as server:
        yield server


@pytest.fixture(scope="package")
def terminal(service: Standalone, tmp_path_factory: pytest.TempPathFactory) -> Terminal:
    return Terminal(service, tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="package")
def standing(terminal: Terminal) -> dict[str, str]:
    """Databases that lines may look at but not change: `shop`, `orders`, `ledger`; their ids by these names."""
    values = {"project": terminal.service.cloud["auth"]["endpoint"].rsplit("/", 1)[1]}
    create = "openstack database instance create"
    for name, line in {
        "shop": f"openstack database cluster create shop valkey 8.1{SIX}",
        "orders": f"{create} orders --flavor db.tiny --size 1 --datastore redis --datastore-version 7.0 --wait",
        "ledger": f"{create} ledger db.small --size 1 --datastore mariadb --datastore-version 10.11 "
        "--databases books --users app:a-pass-word --wait",
    }.items():
        Line({"run": line, "save": {name: "id"}}).play(terminal, values)
    [building] = terminal.run("openstack database operation list --cluster shop", as_json=True).json
    terminal.service.done(building["ID"], 60)
    values["creation"] = building["ID"]
    [primary, *_] = terminal.run("openstack database cluster list instances shop", as_json=True).json
    values["member"] = primary["ID"]
    [version] = [
        row["ID"]
        for row in terminal.run("openstack datastore version list valkey", as_json=True).json
        if row["Name"] == "9.1"
    ]
    values["newer"] = version
    return values
