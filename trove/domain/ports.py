"""What the core asks of the outside world. Drivers implement these protocols; nothing here does I/O.

Every order to compute and guests carries an `Order`: told twice it happens once, told late it is refused
(`StaleGeneration`). All calls are idempotent: calling again after a crash leads to the same end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from trove.domain.health import Health

Progress = Callable[[str], None]
"""Takes one sentence that a user may read: what is being done now."""


@dataclass(frozen=True)
class Order:
    """Who tells: operation, index of the step, number of the try, and the fence under which its executor acts."""

    operation_id: str
    step: int
    generation: int
    attempt: int = 0

    @property
    def id(self) -> str:
        """Key under which the receiver remembers that it has done this; a new try is a new order."""
        return f"{self.operation_id}-{self.step}-{self.attempt}"


# -- images ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Image:
    """A read-only root file system with one engine release and the guest agent's interpreter.

    `id` is recipe name and digest of exact package versions; `engine_version` the engine's package version without
    epoch and Debian revision (`10.11.19`); `path` the root directory; `size_mb` megabytes on disk.
    """

    id: str
    recipe: str
    engine_version: str
    path: str
    packages: Mapping[str, str] = field(default_factory=dict)
    size_mb: int = 0
    created: str = ""


class Images(Protocol):
    """Builds and finds images."""

    def find(self, recipe: str) -> Image | None:
        """Return the newest image built from that recipe, or None."""

    def get(self, image_id: str) -> Image | None:
        """Return that very image, or None."""

    def ensure(self, recipe: str, progress: Progress) -> Image:
        """Return the recipe's image, building it first where it is missing. DriverError says what to do."""

    def list(self) -> Sequence[Image]:
        """Return all complete images."""

    def delete(self, image_id: str) -> None:
        """Remove an image; DriverError when it is in use."""


# -- compute -----------------------------------------------------------------------------------------------------


class ServerState(StrEnum):
    ABSENT = "ABSENT"
    STOPPED = "STOPPED"
    RUNNING = "RUNNING"


@dataclass(frozen=True)
class ServerSpec:
    """What a server should be: one instance's image, address, limits and the engine family its agent manages."""

    instance_id: str
    name: str
    image_id: str
    family: str
    address: str
    engine_port: int
    ram_mb: int
    vcpus: int
    volume_gb: int


@dataclass(frozen=True)
class Server:
    """What a server is. `limits` tells which limits are enforced: {"memory": true, "cpu": false, "disk": false}."""

    instance_id: str
    state: ServerState
    image_id: str | None = None
    address: str | None = None
    limits: Mapping[str, bool] = field(default_factory=dict)
    reason: str = ""


class Compute(Protocol):
    """Where instances live."""

    def stage(self, image_id: str) -> None:
        """Have ready on this host whatever a server of that image needs: `ensure` neither waits nor fails for it then.

        Called before anything stops; touches no server. A server of an image that was not staged is made all the
        same. DriverError says what to do.
        """

    def ensure(self, spec: ServerSpec, order: Order) -> Server:
        """Make the server run as specified.

        Absent: create it with an empty data volume. Stopped: start it. Running on another image: stop it and start
        it on the specified image with the same data (rebuild). Returns when the server's agent process was started;
        whether the agent answers is the guest's business. Raises PortTaken, DriverError (disk full, image missing).
        """

    def stop(self, instance_id: str, order: Order, timeout: float = 30.0) -> None:
        """Stop the server: agent and engine are asked to end, then forced after `timeout` seconds."""

    def delete(self, instance_id: str, order: Order) -> None:
        """Stop the server and remove its data, copies and address; no error when it is gone already."""

    def copy_data(self, instance_id: str, name: str, order: Order, progress: Progress) -> None:
        """Keep a copy of the data volume under `name`. The engine must be stopped. DriverError when no room."""

    def restore_data(self, instance_id: str, name: str, order: Order) -> None:
        """Stop the server and put the copy back in place of the data; the copy stays. No-op if there is no copy."""

    def discard_copy(self, instance_id: str, name: str, order: Order) -> None:
        """Remove the copy; no error when it is gone already."""

    def inspect(self, instance_id: str) -> Server:
        """Tell what the server is now (looks at the processes, not at records)."""

    def list(self) -> Sequence[str]:
        """Return ids of all servers that have anything on this host: process, directory or limit."""

    def free_bytes(self, instance_id: str | None = None) -> int:
        """Return the room left for data, bytes."""

    def data_bytes(self, instance_id: str) -> int:
        """Return how much data the instance has, bytes."""

    def console(self, instance_id: str, lines: int = 20) -> str:
        """Return the end of the server's console output, for error messages."""


# -- guests ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class GuestAddress:
    """Where an instance's agent listens; the certificate it shows must carry the instance id."""

    instance_id: str
    address: str


@dataclass(frozen=True)
class GuestOperation:
    """State of one thing an agent does: `status` is RUNNING, SUCCEEDED or FAILED; `progress` one sentence."""

    id: str
    kind: str
    status: str
    progress: str = ""
    error: str = ""
    result: Mapping[str, Any] = field(default_factory=dict)


class Guests(Protocol):
    """The agents beside the engines."""

    def health(self, guest: GuestAddress, timeout: float = 5.0) -> Health:
        """Ask the engine how it is; raises Unavailable when the agent does not answer in `timeout` seconds."""

    def run(
        self, guest: GuestAddress, kind: str, params: Mapping[str, Any], order: Order, wait: float = 0.0
    ) -> GuestOperation:
        """Start an operation or find it (by `order.id`), and wait up to `wait` seconds for its end.

        Raises Unavailable when the agent does not answer, StaleGeneration when it has seen a newer generation.
        """


# -- endpoints ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Backend:
    """A member behind an endpoint; `state` is `ready` (may take traffic) or `maint` (takes none)."""

    name: str
    address: str
    port: int
    state: str = "ready"


@dataclass(frozen=True)
class EndpointSpec:
    """The stable address of a cluster: exactly one backend is active, ready ones take over when it dies."""

    cluster_id: str
    address: str
    port: int
    active: str
    backends: tuple[Backend, ...] = ()


class Endpoints(Protocol):
    """The stable addresses of clusters."""

    def ensure(self, spec: EndpointSpec) -> None:
        """Make the endpoint run as specified, without refusing or cutting any connection. Raises PortTaken."""

    def set_state(self, cluster_id: str, backend: str, state: str) -> None:
        """Set one backend `ready` or `maint`; maint also ends its connections."""

    def switch(self, cluster_id: str, to: str) -> None:
        """Send new connections to `to` from now on; connections to the old one live on until they are ended."""

    def connections(self, cluster_id: str, backend: str) -> int:
        """Return how many client connections go to that backend through this endpoint."""

    def delete(self, cluster_id: str) -> None:
        """End the endpoint; no error when it is gone already."""

    def running(self, cluster_id: str) -> bool:
        """Tell whether the endpoint's process serves."""

    def list(self) -> Sequence[str]:
        """Return ids of all clusters that have anything of an endpoint on this host."""


def names(backends: Iterable[Backend]) -> tuple[str, ...]:
    """Return the names of the backends."""
    return tuple(backend.name for backend in backends)
