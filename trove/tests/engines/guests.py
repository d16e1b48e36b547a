"""Real sandboxes with the real agent in them, driven as the executor drives them."""

from __future__ import annotations

import itertools
import os
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from trove.compute.local import Bundle, Credentials, LocalCompute
from trove.domain.errors import Unavailable
from trove.domain.health import Health
from trove.domain.ports import GuestAddress, GuestOperation, Order, ServerSpec
from trove.guest.bundle import bundle_digest, write_bundle
from trove.guest.client import GuestClient
from trove.guest.pki import Authority
from trove.images.builder import Builder
from trove.images.store import default_images_dir

NETWORKS = itertools.count((os.getpid() % 90) * 250)
AGENT, REDIS = "/usr/bin/python3", "/usr/bin/redis-server"
TOPOLOGY = {"kind": "redis_cluster"}


class Failed(AssertionError):
    """An operation in a guest failed."""


class GuestLab:
    """One state directory with its compute, its certificates and a client; members are numbered from 1."""

    def __init__(self, state_dir: Path) -> None:
        network = next(NETWORKS)
        self.net = f"127.{20 + network // 250}.{network % 250}"
        self.authority = Authority(state_dir)
        self.images = Builder(state_dir, images_dir=default_images_dir())
        self.compute = LocalCompute(state_dir, self.images, self._issue, Bundle(write_bundle, bundle_digest))
        self.guests = GuestClient(self.authority.client_context())
        self._orders = itertools.count(1)

    def _issue(self, instance_id: str, address: str) -> Credentials:
        return Credentials(*(part.decode() for part in self.authority.issue(instance_id, address)))

    def address(self, number: int) -> str:
        return f"{self.net}.{number}"

    def node(self, number: int) -> dict[str, Any]:
        return {"address": self.address(number), "port": 6379}

    def nodes(self, numbers: Sequence[int]) -> list[dict[str, Any]]:
        return [self.node(number) for number in numbers]

    def guest(self, number: int) -> GuestAddress:
        return GuestAddress(f"inst-{number}", self.address(number))

    def order(self, generation: int = 1) -> Order:
        return Order(f"op{next(self._orders)}", 0, generation)

    def boot(self, recipe: str, number: int = 1, ram_mb: int = 256, wait: bool = True) -> None:
        """Run the member's server on an image; `wait` for its agent's first answer."""
        image = self.images.ensure(recipe, lambda sentence: None)
        spec = ServerSpec(f"inst-{number}", f"db-{number}", image.id, "redis", self.address(number), 6379, ram_mb, 1, 1)
        self.compute.ensure(spec, self.order())
        if wait:
            self.up(number)

    def stop(self, number: int = 1) -> None:
        self.compute.stop(f"inst-{number}", self.order())

    def up(self, number: int = 1) -> Health:
        """Wait for the agent's first answer."""
        deadline = time.monotonic() + 20
        while True:
            try:
                return self.guests.health(self.guest(number))
            except Unavailable:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.005)

    def health(self, number: int = 1) -> Health:
        return self.guests.health(self.guest(number))

    def operation(self, number: int, kind: str, *, order: Order | None = None, wait: float = 90.0, **params: Any):
        return self.guests.run(self.guest(number), kind, params, order or self.order(), wait)

    def run(self, number: int, kind: str, **params: Any) -> dict[str, Any]:
        """Do one operation to its end; Failed with the guest's sentence."""
        done: GuestOperation = self.operation(number, kind, **params)
        if done.status != "SUCCEEDED":
            raise Failed(f"{kind} at {number}: {done.status} {done.error or done.progress}")
        return dict(done.result)

    def prepare(self, number: int = 1, cluster: dict[str, Any] | None = None, **params: Any) -> dict[str, Any]:
        return self.run(number, "prepare", version="", cluster=cluster, bootstrap=cluster is None, **params)

    def make_cluster(self, recipe: str, numbers: Sequence[int], **params: Any) -> None:
        """Make servers with prepared engines and form one cluster of them, one replica for each primary."""
        topology = {**TOPOLOGY, "secret": 'a "secret" \\ with spaces'}
        for number in numbers:
            self.boot(recipe, number, wait=False)
        for number in numbers:
            self.up(number)
            self.prepare(number, topology, **params)

    def upgrade(self, number: int, source: str, target: str, everybody: Sequence[int] = ()) -> dict[str, Any]:
        """Move one member to another release, with the steps of a plan."""
        cluster = TOPOLOGY if everybody else None
        self.run(number, "pre_upgrade", source=source, target=target)
        self.boot(target, number)
        self.run(number, "post_upgrade", source=source, target=target, cluster=cluster)
        seen = self.run(number, "await_sync", version_prefix=target.partition("-")[2], timeout=60)
        if everybody:
            self.run(number, "await_cluster", nodes=self.nodes(everybody), timeout=60)
        return seen

    def pids(self, number: int, program: str) -> list[int]:
        """Return the host's ids of that member's processes whose command line begins like this."""
        found = []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                if (entry / "cmdline").read_bytes().startswith(program.encode()) and self._inside(entry, number):
                    found.append(int(entry.name))
            except OSError:
                continue
        return found

    def _inside(self, entry: Path, number: int) -> bool:
        """The file that the process sees in its sandbox tells whose it is."""
        told = entry / "root/etc/trove/agent.json"
        return f'"{self.address(number)}"' in told.read_text()

    def kill(self, number: int, program: str) -> None:
        """SIGKILL the one process of that member whose command line begins like this."""
        pids = self.pids(number, program)
        assert len(pids) == 1, f"{len(pids)} processes are {program}"
        os.kill(pids[0], signal.SIGKILL)

    def close(self) -> None:
        self.guests.close()
        for instance_id in self.compute.list():
            self.compute.delete(instance_id, self.order(1 << 30))


def wait_for(condition: Callable[[], Any], what: str, timeout: float = 20.0) -> Any:
    """Return the condition's value once it is true."""
    deadline = time.monotonic() + timeout
    while not (value := condition()):
        assert time.monotonic() < deadline, f"waited {timeout:.0f} s in vain: {what}"
        time.sleep(0.01)
    return value
