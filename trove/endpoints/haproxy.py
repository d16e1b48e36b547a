"""The stable addresses of clusters: one small HAProxy process per cluster, driven through its admin socket.

A process lives in `<state_dir>/endpoints/<cluster_id>/`, outlives whoever started it and is found again by its
directory. New connections stick to one member, the leader: at the start the active one, after its death the one that
took over, and only `switch` (or a spec with another active member) moves them back. So there is one writer at a time.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from trove.domain.errors import DriverError, Unavailable
from trove.domain.ports import Backend, EndpointSpec, names
from trove.endpoints import config, process
from trove.endpoints.runtime import Runtime, ServerRow

RECORD = "endpoint.json"
LOCK = "lock"
STATES = ("ready", "maint")
CONNECT_TIMEOUT = 2.0
ANSWER_TIMEOUT = 5.0
LOCK_TIMEOUT = 60.0


class HAProxyEndpoints:
    """Implements `trove.domain.ports.Endpoints` on this host.

    `linger` is how many seconds connections may live on in a retired process after the set of members has changed.
    """

    def __init__(self, state_dir: Path, linger: int = 3600) -> None:
        self._root = state_dir.absolute() / "endpoints"
        self._linger = linger

    # -- the port ------------------------------------------------------------------------------------------------

    def ensure(self, spec: EndpointSpec) -> None:
        """Make the endpoint run as specified; raises PortTaken, or DriverError saying what to do.

        States and the active member are changed in the running process; another set of members or another address
        takes a reload that hands the listening socket over. Nothing is cut but connections of members in maint.
        """
        _check(spec)
        with self._locked(spec.cluster_id, create=True) as directory:
            self._apply(directory, spec)

    def set_state(self, cluster_id: str, backend: str, state: str) -> None:
        """Set one backend `ready` or `maint`; maint also ends its connections."""
        with self._locked(cluster_id) as directory:
            spec = self._spec(directory, cluster_id)
            _backend(spec, backend)
            backends = tuple(replace(b, state=state) if b.name == backend else b for b in spec.backends)
            changed = replace(spec, backends=backends)
            _check(changed)
            self._apply(directory, changed)
            if state == "maint":
                Runtime(directory).tell(f"shutdown sessions server {_path(backend)}")

    def switch(self, cluster_id: str, to: str) -> None:
        """Send new connections to `to` from now on; connections to the old one live on until they are ended.

        Raises DriverError, and changes nothing, when `to` does not accept connections.
        """
        with self._locked(cluster_id) as directory:
            spec = self._spec(directory, cluster_id)
            target = _backend(spec, to)
            _check_accepts(target)
            backends = tuple(replace(b, state="ready") if b.name == to else b for b in spec.backends)
            self._apply(directory, replace(spec, active=to, backends=backends), move=True)

    def connections(self, cluster_id: str, backend: str) -> int:
        """Return how many client connections go to that backend; 0 when the endpoint does not run."""
        directory = self._directory(cluster_id)
        if not self.running(cluster_id):
            return 0
        return Runtime(directory).sessions(config.server_name(backend))

    def delete(self, cluster_id: str) -> None:
        """End the endpoint with its connections and remove its directory; no error when it is gone already."""
        directory = self._directory(cluster_id)
        if not directory.is_dir():
            return
        with self._locked(cluster_id):
            process.stop(process.find(directory))
            shutil.rmtree(directory)

    def running(self, cluster_id: str) -> bool:
        """Tell whether the endpoint's process is there and answers."""
        directory = self._directory(cluster_id)
        return process.current(directory) is not None and Runtime(directory).answers()

    def list(self) -> Sequence[str]:
        """Return ids of all clusters that have anything of an endpoint on this host."""
        if not self._root.is_dir():
            return []
        return sorted(entry.name for entry in self._root.iterdir() if entry.is_dir())

    # -- beyond the port -----------------------------------------------------------------------------------------

    def serving(self, cluster_id: str) -> str | None:
        """Return the backend that takes new connections now; None when the endpoint does not run or none is up."""
        directory = self._directory(cluster_id)
        if not self.running(cluster_id):
            return None
        spec = self._spec(directory, cluster_id)
        return _leader(Runtime(directory), spec)

    # -- inside --------------------------------------------------------------------------------------------------

    def _runtime(self, cluster_id: str) -> Runtime:
        return Runtime(self._directory(cluster_id))

    def _apply(self, directory: Path, spec: EndpointSpec, move: bool = False) -> None:
        process.program()
        before = self._read(directory)
        pid = process.current(directory)
        runtime = Runtime(directory)
        if pid is None or before is None or not runtime.answers():
            process.stop(process.find(directory))
            process.check_free(spec.address, spec.port)
            self._launch(directory, spec, None, spec.active)
            return
        if config.shape(spec) != config.shape(before):
            if (spec.address, spec.port) != (before.address, before.port):
                process.check_free(spec.address, spec.port)
            leader = spec.active
            if spec.active == before.active and not move:
                leader = _leader(runtime, before)
            ready = {b.name for b in spec.backends if b.state == "ready"}
            self._launch(directory, spec, pid, leader if leader in ready else spec.active)
            return
        self._steer(runtime, spec, move or spec.active != before.active)
        if spec != before:
            # The record comes last: after a crash before this line the same call does the same again.
            self._write(directory, spec, spec.active)
            _replace(directory / RECORD, config.dumps(spec))

    def _launch(self, directory: Path, spec: EndpointSpec, replaces: int | None, leader: str) -> None:
        before = _content(directory / process.CONFIG)
        self._write(directory, spec, leader)
        try:
            process.start(directory, replaces)
        except DriverError:
            if before is not None:
                _replace(directory / process.CONFIG, before)
            raise
        runtime = Runtime(directory)
        if not process.wait_for(runtime.answers, ANSWER_TIMEOUT):
            raise DriverError(f"haproxy in {directory} was started but does not answer; try again")
        runtime.stick(spec.address, _row(runtime.servers(), leader).id)
        # On disk stands who is wanted: a process started from nothing has nobody to stay with.
        self._write(directory, spec, spec.active)
        _replace(directory / RECORD, config.dumps(spec))

    def _steer(self, runtime: Runtime, spec: EndpointSpec, move: bool) -> None:
        rows = runtime.servers()
        for backend in spec.backends:
            row = _row(rows, backend.name)
            if row.maint == (backend.state == "ready"):
                runtime.tell(f"set server {_path(backend.name)} state {backend.state}")
            if backend.state == "maint" and not row.maint:
                runtime.tell(f"shutdown sessions server {_path(backend.name)}")
        if move:
            runtime.stick(spec.address, _row(rows, spec.active).id)

    def _write(self, directory: Path, spec: EndpointSpec, leader: str) -> None:
        _replace(directory / process.CONFIG, config.render(spec, process.limits(self._linger), leader))

    def _read(self, directory: Path) -> EndpointSpec | None:
        content = _content(directory / RECORD)
        try:
            return config.loads(content) if content is not None else None
        except ValueError:
            return None

    def _spec(self, directory: Path, cluster_id: str) -> EndpointSpec:
        spec = self._read(directory)
        if spec is None:
            raise DriverError(f"cluster {cluster_id} has no endpoint on this host; create it first")
        return spec

    def _directory(self, cluster_id: str) -> Path:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", cluster_id):
            raise DriverError(f"'{cluster_id}' cannot be the id of a cluster")
        return self._root / cluster_id

    @contextmanager
    def _locked(self, cluster_id: str, create: bool = False) -> Iterator[Path]:
        """Hold the endpoint against other threads and processes."""
        directory = self._directory(cluster_id)
        deadline = time.monotonic() + LOCK_TIMEOUT
        try:
            while True:
                if create:
                    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
                if not directory.is_dir():
                    raise DriverError(f"cluster {cluster_id} has no endpoint on this host; create it first")
                with (directory / LOCK).open("w") as lock:
                    if _try_lock(lock.fileno(), directory / LOCK):
                        yield directory
                        return
                if time.monotonic() > deadline:
                    raise DriverError(f"the endpoint of cluster {cluster_id} is being changed by somebody else")
                time.sleep(0.01)
        except OSError as error:
            raise DriverError(f"the endpoint's directory {directory} cannot be used: {error}") from error


def _try_lock(descriptor: int, path: Path) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    # Whoever held it before may have removed the directory.
    return path.exists() and os.fstat(descriptor).st_ino == path.stat().st_ino


def _check(spec: EndpointSpec) -> None:
    known = names(spec.backends)
    if spec.active not in known:
        raise DriverError(f"the active member '{spec.active}' is not among the endpoint's members {', '.join(known)}")
    if len(set(known)) != len(known):
        raise DriverError(f"two members of cluster {spec.cluster_id} have the same name: {', '.join(known)}")
    for backend in spec.backends:
        if backend.state not in STATES:
            raise DriverError(f"a member is 'ready' or 'maint', not '{backend.state}'")


def _backend(spec: EndpointSpec, name: str) -> Backend:
    for backend in spec.backends:
        if backend.name == name:
            return backend
    raise DriverError(f"'{name}' is not behind the endpoint of cluster {spec.cluster_id}; ensure the endpoint first")


def _path(backend: str) -> str:
    return f"{config.BACKEND}/{config.server_name(backend)}"


def _row(rows: dict[str, ServerRow], backend: str) -> ServerRow:
    row = rows.get(config.server_name(backend))
    if row is None:
        raise DriverError(f"the running haproxy knows no member '{backend}'; delete the endpoint and ensure it again")
    return row


def _leader(runtime: Runtime, spec: EndpointSpec) -> str:
    """Return who takes new connections, as the process would choose."""
    rows = runtime.servers()
    usable = [b.name for b in spec.backends if (row := _row(rows, b.name)).up and not row.maint]
    stuck = runtime.stuck_to()
    for backend in usable:
        if _row(rows, backend).id == stuck:
            return backend
    return spec.active if spec.active in usable or not usable else usable[0]


def _check_accepts(backend: Backend) -> None:
    try:
        socket.create_connection((backend.address, backend.port), timeout=CONNECT_TIMEOUT).close()
    except OSError as error:
        # It may be back in a moment: its agent or the service starts it again.
        raise Unavailable(
            f"member '{backend.name}' accepts no connections at {backend.address}:{backend.port} ({error}); "
            f"traffic stays where it is"
        ) from error


def _content(path: Path) -> str | None:
    try:
        return path.read_text()
    except FileNotFoundError:
        return None


def _replace(path: Path, content: str) -> None:
    fresh = path.with_name(path.name + ".new")
    fresh.write_text(content)
    fresh.replace(path)
