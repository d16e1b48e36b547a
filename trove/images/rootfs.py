"""Turning archives into a root file system, without running any maintainer script."""

from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from trove import host
from trove.images.apt import Archive, verify
from trove.images.recipes import Recipe

USER = "database"
"""Name of the user that engine and agent run as; its number is decided when a sandbox starts."""
USER_ID = 990
"""The number the image itself gives that user; sandboxes lay their own passwd over it."""

MERGED = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
FOLDERS = ("data", "dev", "etc/trove", "home", "opt/trove", "proc", "root", "run", "sys", "tmp", "var/lib", "var/log")
UNPACK_TIMEOUT = 120.0

PASSWD = (
    "root:x:0:0:root:/root:/bin/sh\n"
    "{user}:x:{uid}:{gid}:database:/data:/bin/sh\n"
    "nobody:x:65534:65534:nobody:/:/bin/false\n"
)
GROUP = "root:x:0:\n{user}:x:{gid}:\nnogroup:x:65534:\n"
HOSTS = "127.0.0.1 localhost\n::1 localhost\n"


def make_skeleton(root: Path) -> None:
    """Lay out an empty tree in which /bin, /lib and so on are links into /usr, whatever the suite does itself."""
    for name in MERGED:
        (root / "usr" / name).mkdir(parents=True)
        (root / name).symlink_to(f"usr/{name}")
    for folder in FOLDERS:
        (root / folder).mkdir(parents=True, exist_ok=True)
    (root / "var/run").symlink_to("/run")


def unpack(archives: Sequence[Archive], cache: Path, root: Path, recipe: Recipe, lock: int) -> None:
    """Unpack all archives below `root`, some at a time; the programs that do it hold the build's lock too."""
    excludes = [f"--exclude={pattern}" for pattern in recipe.exclude]
    tar = [host.tool("tar"), "-x", "-C", str(root), "--keep-directory-symlink", "--no-same-owner", *excludes]
    tar += ["--warning=no-timestamp"]
    dpkg = host.tool("dpkg-deb")

    def one(archive: Archive) -> None:
        path = cache / archive.filename
        verify(path, archive)
        _pipe([dpkg, "--fsys-tarfile", str(path)], tar, lock, what=f"unpacking {archive.filename}")

    with ThreadPoolExecutor(max_workers=min(4, os.cpu_count() or 1)) as pool:
        for done in [pool.submit(one, archive) for archive in archives]:
            done.result()


def _pipe(producer: Sequence[str], consumer: Sequence[str], lock: int, *, what: str) -> None:
    with subprocess.Popen(producer, stdout=subprocess.PIPE, stderr=subprocess.PIPE, pass_fds=(lock,)) as source:
        try:
            sink = subprocess.run(
                consumer,
                stdin=source.stdout,
                capture_output=True,
                timeout=UNPACK_TIMEOUT,
                check=False,
                pass_fds=(lock,),
            )
        except subprocess.TimeoutExpired:
            source.kill()
            raise host.CommandFailed(f"{what} did not end within {UNPACK_TIMEOUT:.0f} seconds", "") from None
        assert source.stdout is not None
        assert source.stderr is not None
        source.stdout.close()
        complaint = source.stderr.read()
    if sink.returncode or source.returncode:
        text = (sink.stderr + complaint).decode(errors="replace")
        raise host.CommandFailed(f"{what} failed ({host.last_words(text)})", text)


def finish(root: Path, recipe: Recipe) -> None:
    """Do by hand what maintainer scripts would have done, and make everything readable for every instance."""
    for name, target in recipe.links.items():
        path = root / name.lstrip("/")
        if not os.path.lexists(path) and (path.parent / target).exists():
            path.symlink_to(target)
    files = {
        "etc/passwd": PASSWD.format(user=USER, uid=USER_ID, gid=USER_ID),
        "etc/group": GROUP.format(user=USER, gid=USER_ID),
        "etc/hosts": HOSTS,
        "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
        "etc/hostname": "database\n",
    }
    for name, text in files.items():
        (root / name).write_text(text)
    for name in MERGED:
        if not any((root / "usr" / name).iterdir()):
            (root / name).unlink()
            (root / "usr" / name).rmdir()
    open_up(root)


def open_up(root: Path) -> None:
    """Let everybody read, enter and run; drop set-id marks, since nothing here may gain rights."""

    def visit(path: str, mode: int) -> None:
        wanted = stat.S_IMODE(mode) & 0o777 | 0o444
        if stat.S_ISDIR(mode) or mode & 0o111:
            wanted |= 0o111
        wanted &= ~0o022
        wanted |= 0o200
        if wanted != stat.S_IMODE(mode):
            Path(path).chmod(wanted)

    _walk(root, visit)


def _walk(root: Path, visit: Callable[[str, int], None]) -> None:
    pending = [str(root)]
    while pending:
        folder = pending.pop()
        visit(folder, os.lstat(folder).st_mode)
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_symlink():
                    continue
                if entry.is_dir():
                    pending.append(entry.path)
                else:
                    visit(entry.path, entry.stat().st_mode)
