"""Recipes: which packages of which Debian suite make an image. The recipes themselves are `recipes/*.yaml`."""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from importlib import resources

import yaml

from trove.domain.errors import DriverError

FORMAT = 1
"""Rises when the builder makes other trees of the same recipe and packages."""

COMMON = "_common"


@dataclass(frozen=True)
class Recipe:
    """How one image is made; `digest` changes with anything written in the recipe."""

    name: str
    suite: str
    engine_package: str
    packages: tuple[str, ...]
    skip: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    links: Mapping[str, str] = field(default_factory=dict)
    optional_suites: frozenset[str] = frozenset()
    """Of `security` and `updates`: those the mirror may lack."""
    check_valid_until: bool = True
    template: tuple[str, ...] = ()
    """Command that fills an empty /data once, as user `database`; its result is kept in the image."""
    digest: str = ""

    def skips(self, package: str) -> bool:
        """Tell whether that package is left out of the tree."""
        return any(fnmatchcase(package, pattern) for pattern in self.skip)


def names() -> tuple[str, ...]:
    """Return the names of all recipes."""
    files = resources.files("trove.images") / "recipes"
    found = (entry.name.removesuffix(".yaml") for entry in files.iterdir() if entry.name.endswith(".yaml"))
    return tuple(sorted(name for name in found if name != COMMON))


@functools.cache
def load(name: str) -> Recipe:
    """Read a recipe; DriverError when there is none of that name."""
    known = names()
    if name not in known:
        raise DriverError(f"there is no image recipe '{name}'; known recipes: {', '.join(known)}")
    folder = resources.files("trove.images") / "recipes"
    common_text = (folder / f"{COMMON}.yaml").read_text(encoding="utf-8")
    text = (folder / f"{name}.yaml").read_text(encoding="utf-8")
    common, own = yaml.safe_load(common_text), yaml.safe_load(text)
    return Recipe(
        name=name,
        suite=own["suite"],
        engine_package=own["engine_package"],
        packages=(*own["packages"], *common["packages"]),
        skip=(*common["skip"], *own.get("skip", ())),
        exclude=(*common["exclude"], *own.get("exclude", ())),
        links={**common["links"], **own.get("links", {})},
        optional_suites=frozenset(own.get("optional_suites", ())),
        check_valid_until=own.get("valid_until") != "ignore",
        template=tuple(own.get("template", ())),
        digest=hashlib.sha256(f"{FORMAT}\n{_canonical(common)}\n{_canonical(own)}".encode()).hexdigest()[:12],
    )


def _canonical(data: object) -> str:
    """Return the data without comments and layout, so that only meaning changes a digest."""
    return str(yaml.safe_dump(data, sort_keys=True))


def engine_version(package_version: str) -> str:
    """Return the engine's own version: no epoch, no Debian revision, no repacking mark.

    >>> engine_version("5:8.1.1+dfsg1-3+deb13u2")
    '8.1.1'
    """
    without_epoch = package_version.split(":", 1)[-1]
    upstream = without_epoch.rsplit("-", 1)[0]
    return re.split(r"[+~]", upstream, maxsplit=1)[0]
