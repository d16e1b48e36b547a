"""Steps of a build that run the image's own programs, in a sandbox without network and rights."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from trove import host
from trove.images import rootfs
from trove.images.recipes import Recipe

TEMPLATE = "usr/share/trove/template"
"""Where an image keeps an initialised data directory, relative to its root."""

NOT_COMPILED = r"/(dist-packages|distutils|ensurepip|lib2to3|test|tests|unittest|venv|wsgiref|xmlrpc|turtle\.py)"
TIMEOUT = 180.0


def sandbox(root: Path, writable: Sequence[tuple[Path, str]], command: Sequence[str]) -> list[str]:
    """Return the command line that runs `command` as user `database` in the tree, with some directories writable."""
    line = [host.tool("bwrap"), "--unshare-all", "--unshare-user", "--new-session", "--die-with-parent"]
    line += ["--uid", str(rootfs.USER_ID), "--gid", str(rootfs.USER_ID), "--ro-bind", str(root), "/"]
    line += ["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--tmpfs", "/run"]
    for outside, inside in writable:
        line += ["--bind", str(outside), inside]
    line += [
        "--chdir",
        "/",
        "--clearenv",
        "--setenv",
        "PATH",
        "/usr/sbin:/usr/bin:/sbin:/bin",
        "--setenv",
        "LC_ALL",
        "C",
    ]
    return [*line, *command]


def run_inside(
    root: Path, writable: Sequence[tuple[Path, str]], command: Sequence[str], lock: int, *, what: str
) -> str:
    """Run a program of the image; CommandFailed with its last words."""
    try:
        return host.run(sandbox(root, writable, command), what=what, timeout=TIMEOUT, keep_fds=[lock]).stdout
    except host.CommandFailed as exc:
        raise host.CommandFailed(f"{exc}{host.sandbox_advice(exc.output)}", exc.output) from exc


def compile_python(root: Path, lock: int) -> None:
    """Compile the standard library once, as the package's own script would, so that agents start quickly."""
    folders = [path for path in (root / "usr/lib").glob("python3.*") if path.is_dir()]
    for folder in folders:
        inside = f"/usr/lib/{folder.name}"
        command = ["/usr/bin/python3", "-m", "compileall", "-q", "-j0", "--invalidation-mode", "unchecked-hash"]
        command += ["-x", NOT_COMPILED, inside]
        run_inside(root, [(folder, inside)], command, lock, what="compiling the Python library")


def make_template(root: Path, scratch: Path, recipe: Recipe, lock: int) -> None:
    """Run the recipe's template command on an empty data directory and keep the result in the image."""
    if not recipe.template:
        return
    scratch.mkdir()
    run_inside(root, [(scratch, "/data")], recipe.template, lock, what=f"preparing the data template of {recipe.name}")
    target = root / TEMPLATE
    target.parent.mkdir(parents=True)
    # Mostly zeros: with holes it is quicker to copy for every new instance.
    copy = [host.tool("cp"), "-r", "--sparse=always", "--preserve=mode,timestamps", str(scratch), str(target)]
    host.run(copy, what="keeping the data template", timeout=TIMEOUT, keep_fds=[lock])
    shutil.rmtree(scratch)
    rootfs.open_up(target)


def has_template(root: str | os.PathLike[str]) -> bool:
    """Tell whether an image brings an initialised data directory."""
    return (Path(root) / TEMPLATE).is_dir()
