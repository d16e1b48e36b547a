"""One standalone server for the whole run; every test makes its own databases and removes them."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from trove.images.store import default_images_dir
from trove.workload.standalone import Standalone

GENEROUS = ("--max-instances-per-tenant", "60", "--max-volumes-per-tenant", "200")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.engine)


@pytest.fixture(scope="session")
def images_dir() -> Path:
    """Images are built once per machine."""
    return default_images_dir()


@pytest.fixture(scope="session")
def service(images_dir: Path) -> Iterator[Standalone]:
    """A server most tests share."""
    with started(images_dir) as server:
        yield server


@pytest.fixture
def own_service(images_dir: Path) -> Iterator[Standalone]:
    """A server of the test's own, to kill and to break."""
    with started(images_dir) as server:
        yield server


class started:
    """A server in a temporary directory; everything it made is removed at the end."""

    def __init__(self, images_dir: Path, *options: str) -> None:
        self._directory = Path(tempfile.mkdtemp(prefix="trove-test-"))
        self.server = Standalone(self._directory / "state", images_dir, [*GENEROUS, *options])

    def __enter__(self) -> Standalone:
        self.server.start()
        return self.server

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is not None:
            print(self.server.log(80))
        self.server.purge()
        shutil.rmtree(self._directory)
