"""HTTP basic authentication for standalone use.

Passwords are in a file as `htpasswd -B` writes it (the format of oslo.middleware's basic_auth, which Ironic uses): one
`name:bcrypt digest` a line. Projects and roles are in a second file, YAML:

    users:
      admin: {project: 5d0c2f0e9b1a4c6f8e7d6c5b4a392817, roles: [admin, member]}

Both are read again when they change. bcrypt is slow on purpose, so a password that was right is remembered until the
files change, under a keyed hash whose key lives only in this process.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import re
import secrets
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import bcrypt
import yaml

from trove.api.auth.identity import Identity
from trove.api.errors import Unauthorized
from trove.domain.errors import Forbidden

CHALLENGE = 'Basic realm="trove", charset="UTF-8"'
REMEMBERED = 1000
"""Credentials kept at most; then all are forgotten."""
BCRYPT = re.compile(r"\$2[aby]\$\d\d\$[./A-Za-z0-9]{53}")
MAX_PASSWORD = 72
"""Bytes bcrypt looks at; longer passwords are cut as htpasswd does."""

Stamp = tuple[int, int, int, int]


@dataclass(frozen=True)
class _Memory:
    """What the files said, and whose password was right since they were read."""

    digests: Mapping[str, bytes]
    identities: Mapping[str, Identity]
    known: dict[bytes, Identity] = field(default_factory=dict)


class HttpBasic:
    """Knows who has which password, project and roles."""

    def __init__(self, htpasswd_file: str, users_file: str) -> None:
        """Raise ValueError when a file is not understood. While one is missing, nobody is known."""
        if not htpasswd_file or not users_file:
            raise ValueError("http_basic needs the settings htpasswd_file and users_file")
        self._htpasswd, self._users = htpasswd_file, users_file
        self._key = secrets.token_bytes(32)
        self._lock = threading.Lock()
        self._stamp = self._read_stamp()
        self._memory = self._read_files()
        # Compared with when the name is unknown, so that the time taken does not tell which names exist.
        self._decoy = bcrypt.hashpw(b"nobody", bcrypt.gensalt(_cost(self._memory.digests)))

    def identify(self, environ: Mapping[str, Any]) -> Identity:
        """Check the Authorization header. Unauthorized with a challenge; Forbidden for a user without a project."""
        header = environ.get("HTTP_AUTHORIZATION")
        if not header:
            raise Unauthorized("name and password are needed (HTTP basic authentication)", CHALLENGE)
        stamp = self._read_stamp()
        if stamp != self._stamp:
            self._reload(stamp)
        fingerprint = hashlib.blake2b(header.encode("latin-1", "replace"), key=self._key).digest()
        return self._memory.known.get(fingerprint) or self._check(header, fingerprint)

    def _check(self, header: str, fingerprint: bytes) -> Identity:
        name, password = _credentials(header)
        memory = self._memory
        digest = memory.digests.get(name)
        if not bcrypt.checkpw(password[:MAX_PASSWORD], digest or self._decoy) or digest is None:
            raise Unauthorized("name or password is wrong", CHALLENGE)
        identity = memory.identities.get(name)
        if identity is None:
            raise Forbidden(
                f"user '{name}' belongs to no project; its operator must add it to {Path(self._users).name}"
            )
        if len(memory.known) >= REMEMBERED:
            memory.known.clear()
        # Into the memory of the files this was checked against: a reload in between has put a new one in place.
        memory.known[fingerprint] = identity
        return identity

    def _reload(self, stamp: Stamp) -> None:
        with self._lock:
            if stamp == self._stamp:
                return
            try:
                self._memory = self._read_files()
            except ValueError as error:
                raise Unauthorized(f"the list of users cannot be read: {error}", CHALLENGE) from error
            self._stamp = stamp

    def _read_stamp(self) -> Stamp:
        # On every request: os.stat is several times faster than Path.stat.
        return (*_stamp_of(self._htpasswd), *_stamp_of(self._users))

    def _read_files(self) -> _Memory:
        return _Memory(_read_htpasswd(Path(self._htpasswd)), _read_users(Path(self._users)))


def _stamp_of(path: str) -> tuple[int, int]:
    try:
        found = os.stat(path)  # noqa: PTH116
    except OSError:
        return (0, 0)
    return (found.st_mtime_ns, found.st_size)


def _credentials(header: str) -> tuple[str, bytes]:
    scheme, _, token = header.strip().partition(" ")
    if scheme.lower() != "basic":
        raise Unauthorized("this service takes HTTP basic authentication only", CHALLENGE)
    try:
        name, found, password = base64.b64decode(token.strip(), validate=True).partition(b":")
        if found and b"\0" not in password:
            return name.decode(), password
    except (binascii.Error, UnicodeDecodeError, ValueError):
        pass
    raise Unauthorized("the Authorization header cannot be decoded", CHALLENGE)


def _cost(digests: Mapping[str, bytes]) -> int:
    for digest in digests.values():
        return int(digest[4:6])
    return 12


def _read_htpasswd(path: Path) -> dict[str, bytes]:
    digests = {}
    for number, line in enumerate(_text(path).splitlines(), 1):
        entry = line.strip()
        if not entry or entry.startswith("#"):
            continue
        name, _, digest = entry.partition(":")
        if not BCRYPT.fullmatch(digest):
            raise ValueError(f"{path} line {number}: only bcrypt passwords are understood (htpasswd -B)")
        digests[name] = digest.encode()
    return digests


def _read_users(path: Path) -> dict[str, Identity]:
    try:
        users = (yaml.safe_load(_text(path)) or {}).get("users") or {}
        return {
            str(name): Identity(str(name), str(entry["project"]), frozenset(map(str, entry.get("roles", ()))))
            for name, entry in users.items()
        }
    except (yaml.YAMLError, AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"{path}: expected `users: {{name: {{project: id, roles: [...]}}}}` ({error})") from error


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} cannot be read: {error}") from error


def add_user(
    htpasswd_file: Path, users_file: Path, name: str, password: str, project: str, roles: list[str], cost: int = 12
) -> None:
    """Add a user to both files (made when missing, readable by their owner only), or replace it.

    ValueError when name or password cannot be used.
    """
    if not name or ":" in name or name != name.strip() or name.startswith("#") or not password:
        raise ValueError(f"'{name}' cannot be a user name: no colon, no blanks around it, and a password are needed")
    if len(password.encode()) > MAX_PASSWORD:
        raise ValueError(f"the password is longer than {MAX_PASSWORD} bytes")
    digests = _read_htpasswd(htpasswd_file)
    users = yaml.safe_load(_text(users_file)) or {}
    digests[name] = bcrypt.hashpw(password.encode(), bcrypt.gensalt(cost))
    users.setdefault("users", {})[name] = {"project": project, "roles": roles}
    _write(users_file, yaml.safe_dump(users, sort_keys=True))
    _write(htpasswd_file, "".join(f"{who}:{digest.decode()}\n" for who, digest in digests.items()))


def _write(path: Path, text: str) -> None:
    draft = path.with_name(path.name + ".new")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    draft.replace(path)
