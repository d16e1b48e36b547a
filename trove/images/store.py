"""Images on disk: `<recipe>-<digest>/` with `rootfs/` and `image.json`; whatever else is there is no image."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from trove.domain.ports import Image

META = "image.json"
ROOTFS = "rootfs"


def default_images_dir(environ: Mapping[str, str] | None = None) -> Path:
    """Return where images are kept so that several installations of one user share them.

    `TROVE_TEST_IMAGES` overrides it; else below /var/cache for root, below the user's cache directory for others.
    """
    env = os.environ if environ is None else environ
    if env.get("TROVE_TEST_IMAGES"):
        return Path(env["TROVE_TEST_IMAGES"]).absolute()
    if os.geteuid() == 0:
        return Path("/var/cache/trove-anywhere/images")
    cache = (
        Path(env["XDG_CACHE_HOME"]) if env.get("XDG_CACHE_HOME") else Path(env.get("HOME", "~")).expanduser() / ".cache"
    )
    return cache / "trove-anywhere/images"


def read(folder: Path) -> tuple[Image, dict[str, Any]] | None:
    """Return the image in that directory and all that is recorded of it, or None when it is no complete image."""
    try:
        meta = json.loads((folder / META).read_text(encoding="utf-8"))
        image = Image(
            id=folder.name,
            recipe=meta["recipe"],
            engine_version=meta["engine_version"],
            path=str(folder / ROOTFS),
            packages=dict(meta["packages"]),
            size_mb=int(meta["size_mb"]),
            created=str(meta["created"]),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return image, meta


def scan(images_dir: Path) -> Iterator[tuple[Image, dict[str, Any]]]:
    """Return all complete images with their records, oldest first."""
    try:
        names = [entry.name for entry in images_dir.iterdir() if not entry.name.startswith(".")]
    except FileNotFoundError:
        return
    found = [entry for name in names if (entry := read(images_dir / name)) is not None]
    yield from sorted(found, key=lambda entry: (entry[0].created, entry[0].id))
