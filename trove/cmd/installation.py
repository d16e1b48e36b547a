"""The state directory: what the first start makes, and who may use it now."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import bcrypt
import yaml

from trove.domain.errors import DriverError

FIRST_USER = "admin"
PROJECT = "main"


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
    try:
        state_dir.mkdir(parents=True, exist_ok=True, mode=0o755)
        record = state_dir / "installation.json"
        if record.exists():
            known = json.loads(record.read_text())
            if address_pool and address_pool != known["address_pool"]:
                raise DriverError(
                    f"{state_dir} uses the addresses {known['address_pool']}, which cannot be changed to "
                    f"{address_pool} once it exists; use another --state-dir"
                )
            return Installation(state_dir, known["address_pool"])
        installation = Installation(state_dir, address_pool or free_pool(state_dir))
        _write(record, json.dumps({"address_pool": installation.address_pool}) + "\n")
        return installation
    except OSError as error:
        raise DriverError(
            f"the state directory {state_dir} cannot be used ({error.strerror}); choose another with --state-dir"
        ) from error


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
    """Hold the state directory for one server; DriverError tells who has it."""
    with (state_dir / "server.lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            lock.seek(0)
            who = lock.read().strip() or "unknown"
            raise DriverError(
                f"another server (process {who}) uses {state_dir}; stop it, or choose another --state-dir"
            ) from error
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


@dataclass(frozen=True)
class Access:
    """How a new user gets in."""

    user: str
    password: str
    endpoint: str


def ensure_access(installation: Installation, base_url: str) -> Access:
    """Have a first user with a random password, and a clouds.yaml that points at this server."""
    endpoint = f"{base_url}/v1.0/{PROJECT}"
    if not installation.htpasswd.exists() or not installation.clouds.exists():
        password = secrets.token_urlsafe(16)
        digest = bcrypt.hashpw(password.encode(), bcrypt.gensalt(rounds=10)).decode()
        _write(installation.htpasswd, f"{FIRST_USER}:{digest}\n", 0o600)
        users = {"users": {FIRST_USER: {"project": PROJECT, "roles": ["admin", "member", "reader"]}}}
        _write(installation.users, yaml.safe_dump(users), 0o600)
    else:
        cloud = yaml.safe_load(installation.clouds.read_text())["clouds"]["trove"]
        password = cloud["auth"]["password"]
    access = Access(FIRST_USER, password, endpoint)
    cloud = {
        "auth_type": "http_basic",
        "auth": {"endpoint": endpoint, "username": access.user, "password": password},
    }
    _write(installation.clouds, yaml.safe_dump({"clouds": {"trove": cloud}}), 0o600)
    return access


def greeting(installation: Installation, access: Access) -> str:
    """Three lines to paste, from a shell that has the client on its path."""
    return "\n".join(
        (
            f"export OS_CLIENT_CONFIG_FILE={installation.clouds}",
            "openstack --os-cloud trove datastore list",
            f"curl -u {access.user}:{access.password} {access.endpoint}/datastores",
        )
    )


def as_dict(installation: Installation) -> dict[str, str]:
    """For people and logs."""
    return {key: str(value) for key, value in asdict(installation).items()}


def _write(path: Path, text: str, mode: int = 0o644) -> None:
    temporary = path.with_name(f".{path.name}.new")
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
