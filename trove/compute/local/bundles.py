"""The agent's code as it is bound into sandboxes: written once per state of the code, compiled once per image."""

from __future__ import annotations

import contextlib
import functools
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from trove import host
from trove.compute.local import sandbox
from trove.domain.ports import Image

COMPILE_TIMEOUT = 60.0
IN_USE = ".in-use"
"""File on which every sandbox that runs the code holds a lock."""


@dataclass(frozen=True)
class Bundle:
    """The agent's pure Python code: `write` puts it below an empty directory, `digest` names its state."""

    write: Callable[[Path], None]
    digest: Callable[[], str]


class Bundles:
    """Keeps `<state_dir>/agents/<digest>-<image id>/`."""

    def __init__(self, folder: Path, bundle: Bundle) -> None:
        self._folder, self._bundle = folder, bundle
        self._digest = functools.cache(bundle.digest)

    def ensure(self, image: Image) -> Path:
        """Return the compiled bundle for an image, making it where it is missing."""
        target = self._folder / f"{self._digest()}-{image.id}"
        if target.is_dir():
            return target
        self._folder.mkdir(parents=True, exist_ok=True)
        with host.file_lock(self._folder / ".lock", timeout=2 * COMPILE_TIMEOUT):
            if target.is_dir():
                return target
            for left in self._folder.glob(".new-*"):
                host.remove_tree(left)
            work = Path(tempfile.mkdtemp(dir=self._folder, prefix=".new-"))
            self._bundle.write(work)
            work.chmod(0o755)
            command = sandbox.compile_command(host.tool("bwrap"), image.path, work)
            host.run(command, what="compiling the guest agent", timeout=COMPILE_TIMEOUT)
            _open_up(work)
            (work / IN_USE).touch(mode=0o644)
            # A power failure must not leave empty files under a name that promises whole ones.
            host.flush(work, what="writing the guest agent to disk")
            work.rename(target)
            self._prune(image, target)
        return target

    def _prune(self, image: Image, present: Path) -> None:
        """Remove older states of the code that no sandbox runs any more."""
        for folder in self._folder.glob(f"*-{image.id}"):
            if folder == present:
                continue
            with contextlib.suppress(FileNotFoundError):
                fd = os.open(folder / IN_USE, os.O_RDONLY | os.O_CLOEXEC)
                try:
                    unused = host.try_lock(fd)
                finally:
                    os.close(fd)
                if unused:
                    host.remove_tree(folder)


def _open_up(folder: Path) -> None:
    """Let every instance's user read the code, whatever the controller's umask is."""
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
