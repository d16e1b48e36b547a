"""Where Debian packages come from: the host's own apt sources, or a mirror somebody names."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from trove.domain.errors import DriverError

SUITES = frozenset(
    {"bullseye", "bookworm", "trixie", "forky", "duke", "sid"}
    | {"oldoldstable", "oldstable", "stable", "testing", "unstable"}
)
"""Suites by which an entry is known to be a Debian archive (others, such as Ubuntu's, have other names)."""


@dataclass(frozen=True)
class Source:
    """One entry of a host's apt sources."""

    uri: str
    suite: str
    components: tuple[str, ...]


@dataclass(frozen=True)
class Mirror:
    """A Debian archive and its security archive."""

    main: str
    security: str


def parse_one_line(text: str) -> Iterator[Source]:
    """Read the one-line format of sources.list(5)."""
    for line in text.splitlines():
        match = re.match(r"^\s*deb\s+(?:\[[^\]]*\]\s*)?(\S+)\s+(\S+)\s*([^#]*)", line)
        if match:
            yield Source(match[1], match[2], tuple(match[3].split()))


def parse_deb822(text: str) -> Iterator[Source]:
    """Read the deb822 format of sources.list(5)."""
    for stanza in re.split(r"\n[ \t]*\n", text.replace("\r\n", "\n")):
        fields = _fields(stanza)
        if "deb" not in fields.get("types", "").split() or fields.get("enabled", "yes").lower() in ("no", "false"):
            continue
        for uri in fields.get("uris", "").split():
            for suite in fields.get("suites", "").split():
                yield Source(uri, suite, tuple(fields.get("components", "").split()))


def _fields(stanza: str) -> dict[str, str]:
    fields: dict[str, str] = {}
    key = ""
    for line in stanza.splitlines():
        if line.startswith("#"):
            continue
        if line[:1] in (" ", "\t") and key:
            fields[key] += " " + line.strip()
        elif ":" in line:
            name, value = line.split(":", 1)
            key = name.strip().lower()
            fields[key] = value.strip()
    return fields


def read_host(etc_apt: Path) -> Iterator[Source]:
    """Read every source the host's apt uses; files that may not be read are left out."""
    parts = etc_apt / "sources.list.d"
    listed = sorted(parts.iterdir()) if parts.is_dir() else []
    for path in [etc_apt / "sources.list", *listed]:
        try:
            text = path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        if path.suffix == ".sources":
            yield from parse_deb822(text)
        elif path.suffix == ".list":
            yield from parse_one_line(text)


def find_mirror(sources: Iterable[Source]) -> Mirror:
    """Choose the archives among a host's sources; DriverError when none is Debian's."""
    main = security = None
    for source in sources:
        if source.uri.startswith(("cdrom:", "copy:")) or (source.components and "main" not in source.components):
            continue
        base, _, pocket = source.suite.replace("/", "-").partition("-")
        if base not in SUITES:
            continue
        if pocket in ("security", "updates") and source.suite.endswith(("-security", "/updates")):
            security = security or source.uri
        elif pocket == "":
            main = main or source.uri
    if main is None:
        raise DriverError(
            "the apt sources of this host name no Debian archive, and engine images are built from Debian packages: "
            "give the address of a Debian mirror (--mirror)"
        )
    return Mirror(main.rstrip("/"), (security or _security_beside(main)).rstrip("/"))


def parse_mirror(text: str) -> Mirror:
    """Read an operator's mirror: the archive's address, and optionally the security archive's after a space."""
    parts = text.split()
    if not 1 <= len(parts) <= 2 or not all(re.match(r"^[a-z+]+:/", part) for part in parts):
        raise DriverError(f"'{mask(text)}' is no mirror: give one or two addresses such as http://HOST/debian")
    main = parts[0].rstrip("/")
    return Mirror(main, parts[1].rstrip("/") if len(parts) == 2 else _security_beside(main))


def _security_beside(main: str) -> str:
    """Mirrors keep the security archive beside the main one, as `debian-security`."""
    return main.rstrip("/") + "-security"


def sources_list(mirror: Mirror, suite: str, without: frozenset[str], keyring: Path) -> str:
    """Write the one-line sources of a suite with its security and updates suites."""
    entries = {
        "": (mirror.main, suite),
        "updates": (mirror.main, f"{suite}-updates"),
        "security": (mirror.security, f"{suite}-security"),
    }
    option = f"[signed-by={keyring}]"
    return "".join(f"deb {option} {uri} {name} main\n" for key, (uri, name) in entries.items() if key not in without)


def proxy_settings(dump: str) -> str:
    """Pick what makes downloads work on this host out of `apt-config dump`: proxies, timeouts, certificates."""
    wanted = re.compile(r"^Acquire::(http|https|ftp|Retries|ForceIPv[46]|Proxy-Auto-Detect)\b", re.IGNORECASE)
    return "".join(f"{line}\n" for line in dump.splitlines() if wanted.match(line) and shlex.split(line)[-1] != ";")


def mask(text: str) -> str:
    """Hide user names and passwords in addresses."""
    return re.sub(r"(://)[^/@\s]+@", r"\1***@", text)
