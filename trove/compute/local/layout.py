"""Where a server's files are, and the two records kept of it.

instances/<id>/server.json   what the server is: specification, user, limits
               data/         bound at /data
               data.<name>/  copies of it
               etc/          bound at /etc/trove: who it is and its key
               passwd, group, hosts    laid over the image's own
               console.log   what the agent's loop and the engine's start printed
               sandbox.json  process id of the sandbox, written by bubblewrap itself
               lock          held by the sandbox as long as any process of it lives
instances/.orders/<id>       lock of whoever changes the server, and the newest generation seen (survives deletion)
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from trove import host
from trove.domain.errors import DriverError, StaleGeneration, Unavailable
from trove.domain.ports import Order, ServerSpec

ID = re.compile(r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")
COPY_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")
ORDER_WAIT = 120.0
"""Seconds an order waits for another one that works on the same server."""
REMEMBERED = 7 * 86400
"""Seconds for which the generation of a deleted server is remembered."""


@dataclass(frozen=True)
class Credentials:
    """What an agent shows and trusts, each as PEM text."""

    ca_pem: str
    cert_pem: str
    key_pem: str


@dataclass(frozen=True)
class Record:
    """What a server was made as. `uid` is None where it runs as the controller's own user, in a user namespace."""

    spec: ServerSpec
    uid: int | None
    limits: dict[str, bool] = field(default_factory=dict)
    groups: tuple[str, ...] = ()
    """Control groups made for it, to be removed with it."""


@dataclass(frozen=True)
class Home:
    """The directory of one server."""

    path: Path

    @property
    def data(self) -> Path:
        return self.path / "data"

    @property
    def etc(self) -> Path:
        return self.path / "etc"

    @property
    def console(self) -> Path:
        return self.path / "console.log"

    @property
    def pid_file(self) -> Path:
        return self.path / "sandbox.json"

    @property
    def lock(self) -> Path:
        return self.path / "lock"

    def copy(self, name: str) -> Path:
        """Return where the copy of that name is kept; DriverError when it cannot be a name."""
        if not COPY_NAME.match(name):
            raise DriverError(f"'{name}' cannot name a copy of data: use letters, digits, '.', '_' and '-'")
        return self.path / f"data.{name}"

    def read(self) -> Record | None:
        """Return what is recorded, or None where nothing (readable) is."""
        try:
            told = json.loads((self.path / "server.json").read_text(encoding="utf-8"))
            spec = ServerSpec(**told["spec"])
            return Record(spec, told["uid"], dict(told["limits"]), tuple(told["groups"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def write(self, record: Record) -> None:
        """Replace the record."""
        host.write_atomic(
            self.path / "server.json", json.dumps(asdict(record), indent=1) + "\n", mode=0o600, durable=False
        )


class Layout:
    """All servers of one installation, below `state_dir`."""

    def __init__(self, state_dir: Path) -> None:
        self.state_dir = state_dir.absolute()
        self.instances = self.state_dir / "instances"
        self._orders = self.instances / ".orders"

    def home(self, instance_id: str) -> Home:
        """Return the server's directory, whether it exists or not."""
        if not ID.match(instance_id):
            raise DriverError(f"'{instance_id}' cannot be the id of an instance")
        return Home(self.instances / instance_id)

    def ids(self) -> list[str]:
        """Return the ids of all servers that have a directory."""
        try:
            return sorted(entry.name for entry in self.instances.iterdir() if ID.match(entry.name))
        except FileNotFoundError:
            return []

    @contextlib.contextmanager
    def order(self, instance_id: str, order: Order) -> Iterator[Home]:
        """Hold the server for one order; StaleGeneration for an older generation than one seen before."""
        home = self.home(instance_id)
        self._orders.mkdir(parents=True, exist_ok=True)
        path = self._orders / instance_id
        with self._lock(path) as fd:
            text = os.pread(fd, 64, 0).decode(errors="replace").strip()
            seen = int(text) if text.isdigit() else 0
            if order.generation < seen:
                raise StaleGeneration(
                    f"order {order.id} of generation {order.generation} is older than generation {seen} seen before"
                )
            if order.generation > seen:
                os.pwrite(fd, f"{order.generation:020d}\n".encode(), 0)
            yield home

    @contextlib.contextmanager
    def _lock(self, path: Path) -> Iterator[int]:
        deadline = time.monotonic() + ORDER_WAIT
        while time.monotonic() < deadline:
            with host.file_lock(path, timeout=ORDER_WAIT) as fd:
                # `forget_old` may have removed it between opening and locking: then it guards nothing any more.
                if path.exists() and os.fstat(fd).st_ino == path.stat().st_ino:
                    yield fd
                    return
        raise Unavailable(f"the orders of '{path.name}' change too quickly; try again")

    def forget_old(self) -> None:
        """Drop the remembered generations of servers deleted long ago."""
        limit = time.time() - REMEMBERED
        for path in self._orders.iterdir():
            if path.stat().st_mtime < limit and not (self.instances / path.name).exists():
                with host.file_lock(path, timeout=0.1):
                    path.unlink(missing_ok=True)

    def free_uid(self) -> int:
        """Return a user number no server of this installation has; call it while holding `uid_lock`."""
        taken = {record.uid for name in self.ids() if (record := self.home(name).read())}
        base = 700_000_000 + 100_000 * (int(self.digest, 16) % 1000)
        return next(uid for uid in range(base, base + 100_000) if uid not in taken)

    @contextlib.contextmanager
    def uid_lock(self) -> Iterator[None]:
        """Hold while choosing a user number and writing it down."""
        self.instances.mkdir(parents=True, exist_ok=True)
        with host.file_lock(self.instances / ".uids", timeout=30):
            yield

    @property
    def digest(self) -> str:
        """Eight characters that tell this installation from others on the host."""
        return hashlib.sha256(str(self.state_dir).encode()).hexdigest()[:8]
