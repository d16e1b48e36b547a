from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import falcon.testing
import pytest

from trove.api.app import create_app
from trove.api.settings import ApiSettings
from trove.tests.api.installation import Installation, make_template
from trove.tests.api.stories import Send


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_template(tmp_path_factory.mktemp("api") / "template.db")


@pytest.fixture
def installation(template: Path, tmp_path: Path) -> Iterator[Installation]:
    made = Installation.open(template, tmp_path)
    yield made
    made.store.close()


@pytest.fixture
def make_app(installation: Installation) -> Callable[..., Any]:
    def make(**settings: Any) -> Any:
        settings = {"auth_strategy": "noauth", "default_datastore": "mariadb"} | settings
        return create_app(installation.store, installation.service, ApiSettings(**settings))

    return make


def in_process(app: Any) -> Send:
    """Send requests to an application without a socket."""
    client = falcon.testing.TestClient(app)

    def send(method: str, url: str, headers: Any, body: bytes | None) -> Any:
        path, _, query = url.partition("?")
        result = client.simulate_request(
            method, path, query_string=query, headers=headers, body=body, host=headers.get("Host", "db.example.net")
        )
        answered = {name.lower(): value for name, value in result.headers.items()}
        return result.status_code, answered, result.content

    return send
