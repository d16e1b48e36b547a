"""Builds and finds images. An image appears under its name in one step, complete, and never changes again."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from trove import host
from trove.domain.errors import DriverError
from trove.domain.ports import Image, Progress
from trove.images import apt, recipes, rootfs, sources, store, template
from trove.images.apt import AptTree, Archive, MissingArchive
from trove.images.recipes import Recipe

BUILD_WAIT = 900.0
"""Seconds to wait for another process that builds the same image, or reads the same index."""
GROWTH = 5
"""An unpacked tree with its template needs at most that many times the room of its archives."""


class Builder:
    """Implements `trove.domain.ports.Images`.

    Images are kept in `images_dir` (default: `images` below `state_dir`), downloads in `cache/apt` beside it. `mirror`
    is one address, or two with the security archive's second; without it the host's own apt sources tell. `users`
    tells which instances need an image (they may be stopped).
    """

    def __init__(
        self,
        state_dir: Path,
        mirror: str | None = None,
        *,
        images_dir: Path | None = None,
        users: Callable[[str], Sequence[str]] = lambda image_id: (),
        etc_apt: Path = Path("/etc/apt"),
        keyring: Path = apt.KEYRING,
    ) -> None:
        self.images_dir = (images_dir or state_dir / "images").absolute()
        self._cache = self.images_dir.parent / "cache/apt"
        self._mirror, self._users, self._etc_apt, self._keyring = mirror, users, etc_apt, keyring

    def recipes(self) -> tuple[str, ...]:
        """Return the names of everything that can be built."""
        return recipes.names()

    def list(self) -> Sequence[Image]:
        return [image for image, _ in store.scan(self.images_dir)]

    def get(self, image_id: str) -> Image | None:
        if "/" in image_id or image_id.startswith("."):
            return None
        found = store.read(self.images_dir / image_id)
        return found[0] if found else None

    def find(self, recipe: str) -> Image | None:
        """Return the newest image made by the recipe as it is today; one made by an older recipe is only in `list`."""
        return self._find(recipes.load(recipe))

    def ensure(self, recipe: str, progress: Progress, *, refresh: bool = False) -> Image:
        """Return the image, building it where it is missing; `refresh` builds a new one if packages have moved on."""
        definition = recipes.load(recipe)
        image = self._find(definition)
        if image is not None and not refresh:
            return image
        with host.disk_errors(f"building the image {recipe}", self.images_dir):
            self.images_dir.mkdir(parents=True, exist_ok=True)
            with host.file_lock(self.images_dir / f".lock-{recipe}", timeout=BUILD_WAIT) as lock:
                image = self._find(definition)
                if image is not None and not refresh:
                    return image
                self._clean(recipe)
                return self._build(definition, progress, lock)

    def delete(self, image_id: str) -> None:
        folder = self.images_dir / image_id
        if self.get(image_id) is None:
            return
        users = self._users(image_id)
        if users:
            raise DriverError(f"image {image_id} is in use by {', '.join(users)}; upgrade or delete those first")
        # A running sandbox holds a shared lock on its image's record, whichever installation it belongs to.
        fd = os.open(folder / store.META, os.O_RDONLY)
        try:
            if not host.try_lock(fd):
                raise DriverError(f"image {image_id} is in use by a running instance; stop or delete that first")
            doomed = self.images_dir / f".delete-{image_id}"
            host.remove_tree(doomed) if doomed.exists() else None
            folder.rename(doomed)
        finally:
            os.close(fd)
        host.remove_tree(doomed)

    def _find(self, recipe: Recipe) -> Image | None:
        newest = None
        for image, meta in store.scan(self.images_dir):
            if image.recipe == recipe.name and meta.get("recipe_digest") == recipe.digest:
                newest = image
        return newest

    def _clean(self, recipe: str) -> None:
        """Remove what an interrupted build of that recipe left; the recipe's lock says that none is running."""
        for left in self.images_dir.glob(f".build-{recipe}-*"):
            host.remove_tree(left)

    def _build(self, recipe: Recipe, progress: Progress, lock: int) -> Image:
        for name in ("apt-get", "dpkg-deb", "tar", "bwrap"):
            host.tool(name)
        archives, cache = self._fetch(recipe, progress)
        wanted = [archive for archive in archives if not recipe.skips(archive.package)]
        image_id = f"{recipe.name}-{image_digest(recipe, wanted)}"
        existing = self.get(image_id)
        if existing is not None:
            return existing
        need = GROWTH * sum(archive.size for archive in wanted)
        if host.free_bytes(self.images_dir) < need:
            raise host.no_room(f"building the image {recipe.name} (it needs {need >> 20} MB)", self.images_dir)
        work = Path(tempfile.mkdtemp(dir=self.images_dir, prefix=f".build-{recipe.name}-"))
        try:
            return self._assemble(recipe, wanted, cache, work, lock, image_id, progress)
        finally:
            if work.exists():
                host.remove_tree(work)

    def _fetch(self, recipe: Recipe, progress: Progress) -> tuple[tuple[Archive, ...], Path]:
        mirror = (
            sources.parse_mirror(self._mirror)
            if self._mirror
            else sources.find_mirror(sources.read_host(self._etc_apt))
        )
        root = self._cache / recipe.suite
        root.mkdir(parents=True, exist_ok=True)
        tree = AptTree(
            root,
            recipe.suite,
            mirror,
            optional_suites=recipe.optional_suites,
            check_valid_until=recipe.check_valid_until,
            keyring=self._keyring,
            proxy=apt.host_proxy(),
        )
        with host.file_lock(tree.lock_path, timeout=BUILD_WAIT) as lock:
            tree.holding(lock)
            progress(f"Reading the package index of {recipe.suite} for {recipe.name}")
            tree.update()
            try:
                return self._resolve_and_fetch(tree, recipe, progress)
            except MissingArchive:
                # The mirror has moved on since the index was read: read it again, once.
                tree.update(force=True)
                return self._resolve_and_fetch(tree, recipe, progress)

    def _resolve_and_fetch(self, tree: AptTree, recipe: Recipe, progress: Progress) -> tuple[tuple[Archive, ...], Path]:
        archives = tree.resolve(recipe.packages)
        wanted = [archive for archive in archives if not recipe.skips(archive.package)]
        size = sum(archive.size for archive in wanted) / 1e6
        progress(f"Fetching {len(wanted)} packages ({size:.0f} MB) for {recipe.name}")
        return archives, tree.fetch(wanted)

    def _assemble(
        self,
        recipe: Recipe,
        archives: Sequence[Archive],
        cache: Path,
        work: Path,
        lock: int,
        image_id: str,
        progress: Progress,
    ) -> Image:
        """Make the image below `work` and give it its name.

        Every program started holds the recipe's lock as well: should we be killed, the next build waits for them.
        """
        root = work / store.ROOTFS
        root.mkdir()
        work.chmod(0o755)
        progress(f"Unpacking {len(archives)} packages for {recipe.name}")
        rootfs.make_skeleton(root)
        rootfs.unpack(archives, cache, root, recipe, lock)
        rootfs.finish(root, recipe)
        progress(f"Preparing {recipe.name}")
        template.compile_python(root, lock)
        template.make_template(root, work / "template", recipe, lock)
        packages = {archive.package: archive.version for archive in archives}
        meta = {
            "recipe": recipe.name,
            "recipe_digest": recipe.digest,
            "suite": recipe.suite,
            "engine_version": recipes.engine_version(packages[recipe.engine_package]),
            "size_mb": host.tree_bytes(root) >> 20,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "packages": packages,
        }
        host.write_atomic(work / store.META, json.dumps(meta, indent=1) + "\n")
        # A power failure must not leave a complete-looking image with empty files.
        host.flush(root, what="writing the image to disk", keep_fds=[lock])
        work.rename(self.images_dir / image_id)
        progress(f"Image {image_id} is ready")
        image = self.get(image_id)
        assert image is not None
        return image


def image_digest(recipe: Recipe, archives: Sequence[Archive]) -> str:
    """Name exactly what an image is made of: recipe and package versions, 12 characters."""
    lines = sorted(archive.pin for archive in archives)
    return hashlib.sha256("\n".join([recipe.digest, *lines]).encode()).hexdigest()[:12]
