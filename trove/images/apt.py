"""A private apt tree for one Debian suite: it never looks at what the host has installed, and needs no root."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from trove import host
from trove.domain.errors import DriverError
from trove.images import sources

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
KEYRING_PACKAGE = "debian-archive-keyring"
INDEX_MAX_AGE = 3600.0
"""Seconds after which the package index is fetched again before a build."""
INDEX_ROOM = 120 << 20
"""Room that index and apt's own cache of it may need, bytes; apt itself may hang where the disk is full."""
UPDATE_TIMEOUT = 300.0
FETCH_TIMEOUT = 900.0


class MissingArchive(DriverError):
    """The index names an archive that the mirror does not have (any more)."""


@dataclass(frozen=True)
class Archive:
    """One package file; `size` is in bytes."""

    package: str
    version: str
    filename: str
    size: int
    sha256: str

    @property
    def pin(self) -> str:
        return f"{self.package}={self.version}"


class AptTree:
    """Everything apt keeps for one suite, below `root`. Use it only while holding its lock (`root/lock`)."""

    def __init__(
        self,
        root: Path,
        suite: str,
        mirror: sources.Mirror,
        *,
        optional_suites: frozenset[str] = frozenset(),
        check_valid_until: bool = True,
        keyring: Path = KEYRING,
        proxy: str = "",
    ) -> None:
        self._root, self._suite, self._mirror = root, suite, mirror
        self._optional, self._valid_until = optional_suites, check_valid_until
        self._keyring, self._proxy = keyring, proxy
        self._lock_fds: tuple[int, ...] = ()

    @property
    def lock_path(self) -> Path:
        return self._root / "lock"

    def holding(self, lock_fd: int) -> AptTree:
        """Let the programs we start hold the lock too, so that it outlives us as long as they run."""
        self._lock_fds = (lock_fd,)
        return self

    def update(self, *, force: bool = False) -> None:
        """Fetch the package index where it is missing, old, or from another mirror."""
        if not self._keyring.is_file():
            raise DriverError(f"'{self._keyring}' is missing: install the package '{KEYRING_PACKAGE}'")
        stamp = self._root / "updated"
        wanted = f"{self._root}\n" + sources.sources_list(self._mirror, self._suite, frozenset(), self._keyring)
        if not force and stamp.is_file() and stamp.read_text() == wanted:
            age = time.time() - stamp.stat().st_mtime
            if 0 <= age < INDEX_MAX_AGE:
                return
        if host.free_bytes(self._root) < INDEX_ROOM:
            raise host.no_room(f"fetching the package index of {self._suite}", self._root)
        stamp.unlink(missing_ok=True)
        without: frozenset[str] = frozenset()
        while True:
            self._configure(without)
            try:
                self._apt(
                    ["update", "--error-on=any"],
                    what=f"fetching the package index of {self._suite}",
                    timeout=UPDATE_TIMEOUT,
                )
                break
            except host.CommandFailed as exc:
                gone = frozenset(
                    pocket for pocket in self._optional - without if _names_missing(exc.output, self._suite, pocket)
                )
                if not gone:
                    raise self._explain_update(exc) from exc
                without |= gone
        host.write_atomic(stamp, wanted, mode=0o600)

    def resolve(self, packages: Sequence[str]) -> tuple[Archive, ...]:
        """Return the exact closure of the packages, each once, ordered by name."""
        with tempfile.TemporaryDirectory(dir=self._root) as empty:
            # Archives that are cached already are left out of the list, so show apt an empty cache.
            done = self._apt(
                ["-y", "--print-uris", "-o", f"Dir::Cache::archives={empty}", "install", *packages],
                what=f"resolving {', '.join(packages)} in {self._suite}",
                timeout=60,
            )
        archives = tuple(sorted(parse_uris(done.stdout), key=lambda archive: archive.package))
        if not archives:
            raise DriverError(f"apt resolved {', '.join(packages)} in {self._suite} to nothing: {done.stdout[-300:]}")
        return archives

    def fetch(self, archives: Sequence[Archive]) -> Path:
        """Download what is not there yet and return the directory that has all; MissingArchive where one is gone."""
        cache = self._root / "archives"
        cache.mkdir(exist_ok=True)
        missing = [one for one in archives if not _has_size(cache / one.filename, one.size)]
        if not missing:
            return cache
        for old in self._root.glob("fetch-*"):
            host.remove_tree(old)
        if host.free_bytes(self._root) < sum(one.size for one in missing):
            raise host.no_room(f"fetching packages of {self._suite}", self._root)
        with tempfile.TemporaryDirectory(dir=self._root, prefix="fetch-") as folder:
            try:
                self._apt(
                    ["download", *(one.pin for one in missing)],
                    what=f"fetching {len(missing)} packages of {self._suite}",
                    timeout=FETCH_TIMEOUT,
                    cwd=Path(folder),
                )
            except host.CommandFailed as exc:
                raise self._explain_fetch(exc) from exc
            for one in missing:
                got = Path(folder) / one.filename
                if not _has_size(got, one.size):
                    raise MissingArchive(f"the mirror gave no complete '{one.filename}'; try again, or another mirror")
                got.replace(cache / one.filename)
        return cache

    def _configure(self, without: frozenset[str]) -> None:
        root = self._root
        for folder in ("etc", "state/lists/partial", "cache/archives/partial"):
            (root / folder).mkdir(parents=True, exist_ok=True)
        (root / "status").write_text("")
        listed = sources.sources_list(self._mirror, self._suite, without, self._keyring)
        (root / "etc/sources.list").write_text(listed)
        (root / "etc/sources.list").chmod(0o600)
        (root / "etc/apt.conf").write_text(self._proxy + self._settings())
        (root / "etc/apt.conf").chmod(0o600)

    def _settings(self) -> str:
        root = self._root
        settings = {
            "Dir::Etc::main": "/dev/null",
            "Dir::Etc::parts": "/dev/null",
            "Dir::Etc::sourcelist": f"{root}/etc/sources.list",
            "Dir::Etc::sourceparts": "/dev/null",
            "Dir::Etc::preferences": "/dev/null",
            "Dir::Etc::preferencesparts": "/dev/null",
            "Dir::State": f"{root}/state",
            "Dir::State::status": f"{root}/status",
            "Dir::Cache": f"{root}/cache",
            "Dir::Cache::srcpkgcache": "",
            "APT::Install-Recommends": "false",
            "APT::Sandbox::User": "",
            "Acquire::Languages": "none",
            "Acquire::ForceHash": "SHA256",
            "Acquire::Check-Valid-Until": "true" if self._valid_until else "false",
            "Acquire::Retries": "2",
            "Acquire::http::Timeout": "30",
            "Acquire::https::Timeout": "30",
            "Debug::NoLocking": "true",
        }
        return "".join(f'{key} "{value}";\n' for key, value in settings.items())

    def _apt(self, args: Sequence[str], *, what: str, timeout: float, cwd: Path | None = None) -> host.Finished:
        env = {
            **os.environ,
            "APT_CONFIG": f"{self._root}/etc/apt.conf",
            "LC_ALL": "C",
            "DEBIAN_FRONTEND": "noninteractive",
        }
        return host.run(
            [host.tool("apt-get"), "-q", *args], what=what, timeout=timeout, env=env, cwd=cwd, keep_fds=self._lock_fds
        )

    def _explain_update(self, exc: host.CommandFailed) -> DriverError:
        said = sources.mask(host.last_words(_errors(exc.output)))
        if "No space left" in exc.output:
            return host.no_room(f"fetching the package index of {self._suite}", self._root)
        if "NO_PUBKEY" in exc.output or "not signed" in exc.output:
            advice = f"upgrade the package '{KEYRING_PACKAGE}', or use another mirror"
        elif "does not have a Release file" in exc.output or "404" in exc.output:
            advice = f"the mirror has no suite '{self._suite}'; give another one (--mirror)"
        else:
            advice = "check the host's network and apt settings, or give another mirror (--mirror)"
        return DriverError(f"the package index of {self._suite} cannot be fetched: {said}; {advice}")

    def _explain_fetch(self, exc: host.CommandFailed) -> DriverError:
        said = sources.mask(host.last_words(_errors(exc.output)))
        if "No space left" in exc.output:
            return host.no_room(f"fetching packages of {self._suite}", self._root)
        if "404" in exc.output or "Can't find a source" in exc.output:
            return MissingArchive(
                f"the mirror lists packages of {self._suite} that it does not have: {said}; "
                f"try again when the mirror has been updated, or give another one (--mirror)"
            )
        return DriverError(f"{exc}: {said}; check the host's network and apt settings, and try again")


def parse_uris(text: str) -> list[Archive]:
    """Read the lines of `apt-get --print-uris`: 'URI' FILE SIZE HASH."""
    found = []
    for line in text.splitlines():
        match = re.match(r"^'([^']+)' (\S+) (\d+) SHA256:([0-9a-f]{64})", line)
        if match:
            package, version, _ = match[2].removesuffix(".deb").rsplit("_", 2)
            found.append(Archive(package, unquote(version), match[2], int(match[3]), match[4]))
    return found


def verify(path: Path, archive: Archive) -> None:
    """Check an archive that is about to be unpacked; a damaged one is removed so that the next build fetches it."""
    with path.open("rb") as stream:
        if hashlib.file_digest(stream, "sha256").hexdigest() == archive.sha256:
            return
    path.unlink(missing_ok=True)
    raise DriverError(f"'{path}' was damaged and has been removed; try again")


def host_proxy() -> str:
    """Return the host's own apt settings for downloads."""
    if shutil.which("apt-config") is None:
        return ""
    dump = host.run([host.tool("apt-config"), "dump"], what="reading apt's settings", timeout=20).stdout
    return sources.proxy_settings(dump)


def _has_size(path: Path, size: int) -> bool:
    try:
        return path.stat().st_size == size
    except FileNotFoundError:
        return False


def _names_missing(output: str, suite: str, pocket: str) -> bool:
    lines = [line for line in output.splitlines() if line.startswith(("E:", "Err:"))]
    return any(f"{suite}-{pocket}" in line for line in lines)


def _errors(output: str) -> str:
    return "\n".join(line for line in output.splitlines() if line.startswith(("E:", "W:", "Err:"))) or output
