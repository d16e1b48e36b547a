"""The agent as files: what a sandbox or server needs beside its image's Python to run `trove.guest.agent`."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from importlib import util
from pathlib import Path

from trove.domain.errors import DriverError

_ROOT = Path(__file__).resolve().parent.parent

FILES = (
    "__init__.py",
    "guest/__init__.py",
    "guest/protocol.py",
    "guest/agent/*.py",
    "datastores/__init__.py",
    "datastores/*/__init__.py",
    "datastores/*/guest*.py",
)
"""What travels, as patterns below the package `trove`; nothing else of it may be imported by these."""

LIBRARIES = ("pymysql",)
"""Pure-Python packages that travel along."""


def contents() -> Iterator[tuple[str, Path]]:
    """Yield every file of the bundle: its name inside and where it is now, in a fixed order."""
    for pattern in FILES:
        for path in sorted(_ROOT.glob(pattern)):
            yield f"trove/{path.relative_to(_ROOT)}", path
    for name in LIBRARIES:
        found = util.find_spec(name)
        if found is None or not found.submodule_search_locations:
            raise DriverError(f"the Python package {name} is not installed, and guests need it; install it with pip")
        package = Path(found.submodule_search_locations[0])
        for path in sorted(package.rglob("*.py")):
            yield f"{name}/{path.relative_to(package)}", path


def bundle_digest() -> str:
    """Name exactly what the bundle is made of; changes when any file of it does."""
    digest = hashlib.sha256()
    for name, path in contents():
        digest.update(name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]


def write_bundle(target: Path) -> None:
    """Write the bundle below `target` (made when missing), readable for every instance's user.

    The caller compiles it for the Python of each image where it can: `python3 -m compileall` there halves the start.
    """
    for name, path in contents():
        destination = target / name
        destination.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        shutil.copyfile(path, destination)
        destination.chmod(0o644)
