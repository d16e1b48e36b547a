"""The state directory: what the first start makes, and who may use it now."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import shlex
import shutil
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import bcrypt
import yaml

from trove import host
from trove.domain.errors import DriverError

FIRST_USER = "admin"
PROJECT = "main"
RECORD = "installation.json"
LOCK = "installation.lock"
FILES = (
    "trove.sqlite*", "htpasswd", "users.yaml", "clouds.yaml", ".*.new", "ca", "instances", "endpoints", "agents",
    "server.lock", "server.log", LOCK, RECORD,
)  # fmt: skip
"""All that the service keeps in its state directory; the record of the installation goes last."""


@dataclass(frozen=True)
class Installation:
    """One state directory. `address_pool` is chosen once, so that two installations on a host do not meet."""

    state_dir: Path
    address_pool: str

    @property
    def database_url(self) -> str:
        return f"sqlite:///{self.state_dir / 'trove.sqlite'}"

    @property
    def htpasswd(self) -> Path:
        return self.state_dir / "htpasswd"

    @property
    def users(self) -> Path:
        return self.state_dir / "users.yaml"

    @property
    def clouds(self) -> Path:
        return self.state_dir / "clouds.yaml"


def open_installation(state_dir: Path, address_pool: str | None = None) -> Installation:
    """Find the installation in a directory, making it where there is none. DriverError when that cannot be done."""
    record = state_dir / RECORD
    try:
        state_dir.mkdir(parents=True, exist_ok=True, mode=0o755)
        # Several processes may start at once: only one of them chooses.
        with host.file_lock(state_dir / LOCK, timeout=30):
            if not record.exists():
                _write(record, json.dumps({"address_pool": _pool(address_pool) or free_pool(state_dir)}) + "\n")
        known = str(json.loads(record.read_text())["address_pool"])
    except OSError as error:
        raise DriverError(
            f"the state directory {state_dir} cannot be used ({error.strerror}); choose another with --state-dir"
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise DriverError(
            f'{record} is damaged; it should read {{"address_pool": "127.x.0.0/16"}}, the addresses of its databases'
        ) from error
    if address_pool and _pool(address_pool) != known:
        raise DriverError(
            f"{state_dir} uses the addresses {known}, which cannot be changed to {address_pool} once it exists; "
            "use another --state-dir"
        )
    return Installation(state_dir, known)


def _pool(text: str | None) -> str | None:
    """Return a network as it is written down; DriverError when it is none, or has no room."""
    if not text:
        return None
    try:
        network = IPv4Network(text)
    except ValueError as error:
        raise DriverError(f"'{text}' is no IPv4 network ({error}); write --address-pool as 127.88.0.0/16") from error
    if network.num_addresses < 16:
        raise DriverError(f"the network {text} has room for {network.num_addresses} addresses only; give 16 or more")
    return str(network)


def free_pool(state_dir: Path) -> str:
    """Choose a /16 of the loopback network on which nobody listens, starting from a hash of the directory's name."""
    start = zlib.crc32(str(state_dir.absolute()).encode())
    used = _listening_blocks()
    blocks = [16 + (start + offset) % 224 for offset in range(224)]
    return f"127.{next((block for block in blocks if block not in used), blocks[0])}.0.0/16"


def _listening_blocks() -> set[int]:
    try:
        lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    except OSError:
        return set()
    # Local addresses are little-endian hexadecimal: 127.88.0.1 is 0100587F.
    addresses = [line.split()[1].split(":")[0] for line in lines]
    return {int(address[4:6], 16) for address in addresses if address.endswith("7F")}


@contextmanager
def sole_user(state_dir: Path) -> Iterator[None]:
    """Hold the state directory for this process alone; DriverError tells who has it."""
    with _held(state_dir, fcntl.LOCK_EX):
        yield


@contextmanager
def shared_user(state_dir: Path) -> Iterator[None]:
    """Hold the state directory together with others that share it; DriverError tells who has it alone."""
    with _held(state_dir, fcntl.LOCK_SH):
        yield


def users_of(state_dir: Path) -> list[int]:
    """Return the process ids of the servers that use the state directory now."""
    try:
        text = (state_dir / "server.lock").read_text()
    except OSError:
        return []
    return [int(word) for word in text.split() if word.isdigit() and _holds(int(word), state_dir / "server.lock")]


@contextmanager
def _held(state_dir: Path, how: int) -> Iterator[None]:
    path = state_dir / "server.lock"
    try:
        lock = path.open("a+")
    except OSError as error:
        raise DriverError(f"{path} cannot be used ({error.strerror}); run this as the owner of {state_dir}") from error
    with lock:
        try:
            fcntl.flock(lock, how | fcntl.LOCK_NB)
        except OSError as error:
            who = ", ".join(str(pid) for pid in users_of(state_dir)) or "unknown"
            raise DriverError(
                f"another server (process {who}) uses {state_dir}; stop it, or choose another --state-dir"
            ) from error
        if how == fcntl.LOCK_EX:
            lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield


def _holds(pid: int, path: Path) -> bool:
    """Tell whether a process has the file open: a number alone may belong to somebody else by now."""
    try:
        return any(entry.readlink() == path for entry in Path(f"/proc/{pid}/fd").iterdir())
    except OSError:
        return False


@dataclass(frozen=True)
class Access:
    """How a new user gets in."""

    user: str
    password: str
    endpoint: str


def ensure_access(installation: Installation, base_url: str) -> Access:
    """Have a first user with a random password, and a clouds.yaml that points at this server.

    Other users, and other clouds in clouds.yaml, stay as they are. Whoever has lost the file gets a new password.
    """
    endpoint = f"{base_url}/v1.0/{PROJECT}"
    clouds = _read_yaml(installation.clouds, "clouds")
    password = _password(clouds.get("trove"))
    lines = installation.htpasswd.read_text().splitlines() if installation.htpasswd.exists() else []
    if password is None or not any(line.startswith(f"{FIRST_USER}:") for line in lines):
        password = secrets.token_urlsafe(16)
        digest = bcrypt.hashpw(password.encode(), bcrypt.gensalt(rounds=10)).decode()
        others = [line for line in lines if not line.startswith(f"{FIRST_USER}:")]
        _write(installation.htpasswd, "\n".join([f"{FIRST_USER}:{digest}", *others]) + "\n", 0o600)
    users = _read_yaml(installation.users, "users")
    if FIRST_USER not in users:
        users[FIRST_USER] = {"project": PROJECT, "roles": ["admin", "member", "reader"]}
        _write(installation.users, yaml.safe_dump({"users": users}), 0o600)
    access = Access(FIRST_USER, password, endpoint)
    clouds["trove"] = {
        "auth_type": "http_basic",
        "auth": {"endpoint": endpoint, "username": access.user, "password": password},
    }
    _write(installation.clouds, yaml.safe_dump({"clouds": clouds}), 0o600)
    return access


def _read_yaml(path: Path, key: str) -> dict[str, Any]:
    """Return what a file has under its one key; DriverError when it cannot be understood."""
    if not path.exists():
        return {}
    try:
        found = yaml.safe_load(path.read_text())
        return dict(found[key])
    except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError) as error:
        raise DriverError(f"{path} is not understood: mend it, or remove it to have it made anew") from error


def _password(cloud: Any) -> str | None:
    try:
        return str(cloud["auth"]["password"])
    except (KeyError, TypeError):
        return None


def greeting(installation: Installation, access: Access) -> str:
    """Three lines to paste; the client is named by its path where the shell would not find it, or another one."""
    beside = Path(sys.executable).with_name("openstack")
    found = shutil.which("openstack") == str(beside) or not beside.exists()
    client = "openstack" if found else shlex.quote(str(beside))
    return "\n".join(
        (
            f"export OS_CLIENT_CONFIG_FILE={shlex.quote(str(installation.clouds))}",
            f"{client} --os-cloud trove datastore list",
            f"curl -u {access.user}:{access.password} {access.endpoint}/datastores",
        )
    )


def remove_files(installation: Installation) -> list[str]:
    """Remove what the service made in the state directory, and the directory if nothing else is in it.

    Returns the names of what is left: the directory may have been somebody's before.
    """
    for pattern in FILES:
        for path in installation.state_dir.glob(pattern):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
    left = sorted(entry.name for entry in installation.state_dir.iterdir())
    if not left:
        installation.state_dir.rmdir()
    return left


def _write(path: Path, text: str, mode: int = 0o644) -> None:
    temporary = path.with_name(f".{path.name}.new")
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
