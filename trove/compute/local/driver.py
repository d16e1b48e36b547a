"""Implements `trove.domain.ports.Compute` with sandboxes on this host.

Who looks at a server looks at its processes and files; nothing is remembered in this process, so any number of
controllers may come and go.
"""

from __future__ import annotations

import errno
import json
import os
import socket
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from trove import host
from trove.compute.local import process, sandbox, volumes
from trove.compute.local.bundles import IN_USE, Bundle, Bundles
from trove.compute.local.layout import Credentials, Home, Layout, Record
from trove.compute.local.limits import ControlGroups
from trove.domain.errors import DriverError, PortTaken
from trove.domain.ports import Image, Images, Order, Progress, Server, ServerSpec, ServerState

AGENT_PORT = 9779
DELETE_GRACE = 10.0
"""Seconds an engine has to leave its cluster before its server is deleted."""
STOP_GRACE = 30.0
"""Seconds an engine has to end where a stop is part of another order."""
KEY_MAX_AGE = 30 * 86400.0
"""Seconds after which a starting server gets a new certificate."""
INFO_FD = "@info-fd@"


class LocalCompute:
    """Sandboxes below `<state_dir>/instances`.

    `credentials` makes an agent's certificate for an instance id and address; `bundle` is the agent's code. As root
    every server gets a user of its own; else, or where `own_users` is false or the host does not allow it, all run as
    the present user in user namespaces.
    """

    def __init__(
        self,
        state_dir: Path,
        images: Images,
        credentials: Callable[[str, str], Credentials],
        bundle: Bundle,
        *,
        own_users: bool | None = None,
        groups: ControlGroups | None = None,
    ) -> None:
        self._layout = Layout(state_dir)
        self._images, self._credentials = images, credentials
        self._agents = self._layout.state_dir / "agents"
        self._bundles = Bundles(self._agents, bundle)
        self._own_users = own_users
        self._groups = groups or ControlGroups(f"trove-{self._layout.digest}")

    # -- before anything stops ---------------------------------------------------------------------------------

    def stage(self, image_id: str) -> None:
        with host.disk_errors(f"preparing this host for servers of {image_id}", self._agents):
            image = self._require_image(image_id)
            host.tool("bwrap")
            self._code(image)

    # -- orders ------------------------------------------------------------------------------------------------

    def ensure(self, spec: ServerSpec, order: Order) -> Server:
        with (
            host.disk_errors(f"preparing the server of {spec.name}", self._layout.instances),
            self._layout.order(spec.instance_id, order) as home,
        ):
            record = home.read()
            if record is None or _identity(record.spec) != _identity(spec) or not process.running(home):
                return self._rebuild(home, record, spec)
            if record.spec != spec:
                # Name and size are no reason to stop it: limits change at once, the engine follows at its next start.
                limits = self._groups.apply(spec.instance_id, spec.ram_mb, spec.vcpus)
                record = Record(spec, record.uid, limits.enforced, limits.groups)
                home.write(record)
                self._write_etc(home, record)
            return self._server(home, record)

    def stop(self, instance_id: str, order: Order, timeout: float = 30.0) -> None:
        with self._layout.order(instance_id, order) as home:
            process.end(home, timeout)

    def delete(self, instance_id: str, order: Order) -> None:
        with (
            host.disk_errors(f"deleting the server {instance_id}", self._layout.instances),
            self._layout.order(instance_id, order) as home,
        ):
            process.end(home, DELETE_GRACE)
            stray = process.strays(self._layout.instances).get(instance_id)
            if stray is not None:
                process.kill_stray(stray)
            record = home.read()
            self._groups.remove([*(record.groups if record else ()), *self._groups.of(instance_id)])
            doomed = self._layout.instances / f".delete-{instance_id}"
            if home.path.exists():
                if doomed.exists():
                    host.remove_tree(doomed)
                home.path.rename(doomed)
            if doomed.exists():
                host.remove_tree(doomed)
        self._layout.forget_old()

    def copy_data(self, instance_id: str, name: str, order: Order, progress: Progress) -> None:
        with self._layout.order(instance_id, order) as home:
            record = self._require(home)
            self._require_engine_stopped(home, record)
            volumes.mend(home)
            volumes.copy(home, name, order, progress)

    def restore_data(self, instance_id: str, name: str, order: Order) -> None:
        with self._layout.order(instance_id, order) as home:
            self._require(home)
            if home.copy(name).exists():
                process.end(home, STOP_GRACE)
                volumes.mend(home)
                volumes.restore(home, name, order)

    def discard_copy(self, instance_id: str, name: str, order: Order) -> None:
        with (
            host.disk_errors(f"removing a copy of {instance_id}", self._layout.instances),
            self._layout.order(instance_id, order) as home,
        ):
            if home.path.exists():
                volumes.discard(home, name)

    # -- looking -----------------------------------------------------------------------------------------------

    def inspect(self, instance_id: str) -> Server:
        home = self._layout.home(instance_id)
        process.bound(home.console)
        return self._server(home, home.read())

    def list(self) -> Sequence[str]:
        found = {*self._layout.ids(), *self._groups.ids(), *process.strays(self._layout.instances)}
        return sorted(found)

    def free_bytes(self, instance_id: str | None = None) -> int:
        return host.free_bytes(self._layout.instances)

    def data_bytes(self, instance_id: str) -> int:
        return host.tree_bytes(self._layout.home(instance_id).data)

    def console(self, instance_id: str, lines: int = 20) -> str:
        return process.tail(self._layout.home(instance_id).console, lines)

    def image_users(self, image_id: str) -> Sequence[str]:
        """Return the names of the servers that run or would start on an image."""
        records = [self._layout.home(name).read() for name in self._layout.ids()]
        return [record.spec.name for record in records if record and record.spec.image_id == image_id]

    # -- making ------------------------------------------------------------------------------------------------

    def _rebuild(self, home: Home, old: Record | None, spec: ServerSpec) -> Server:
        """Stop what runs, if anything, and start the server as specified. All that can fail before does so before."""
        image = self._require_image(spec.image_id, f" of {spec.name}")
        bwrap = host.tool("bwrap")
        bundle = self._code(image)
        was_running = process.running(home)
        if not was_running:
            self._require_ports(spec)
        record = self._prepare(home, old, spec)
        if was_running:
            process.end(home, STOP_GRACE)
            self._require_ports(spec)
        volumes.mend(home)
        if old is not None:
            # A controller that was itself started elsewhere makes its groups elsewhere: nobody would find the old ones.
            self._groups.remove([group for group in old.groups if group not in record.groups], timeout=0.2)
        if old is not None and old.spec.address != spec.address:
            # The certificate names the address.
            (home.etc / "agent.key").unlink(missing_ok=True)
        home.write(record)
        self._write_etc(home, record)
        box = sandbox.Box(spec.name, image.path, home.path, bundle, record.uid)
        held = [Path(image.path).parent / "image.json", bundle / IN_USE]
        process.bound(home.console)
        process.start(home, sandbox.command(box, bwrap, info_fd=INFO_FD), INFO_FD, record.groups, held)
        return self._server(home, record)

    def _code(self, image: Image) -> Path:
        """Return the agent's code for an image, making it where it was not staged."""
        try:
            return self._bundles.ensure(image)
        except host.CommandFailed as exc:
            advice = host.sandbox_advice(exc.output) or (
                f"; try again, and if that does not help remove the image with `trove-manage image delete {image.id}` "
                f"and build it anew"
            )
            raise host.CommandFailed(f"{exc}{advice}", exc.output) from exc

    def _prepare(self, home: Home, record: Record | None, spec: ServerSpec) -> Record:
        """Make directory, user and limits; returns what is to be recorded."""
        if record is not None:
            uid = record.uid
        elif not self._can_give_users():
            uid = None
        elif home.data.exists():
            uid = home.data.stat().st_uid
        else:
            with self._layout.uid_lock():
                uid = self._layout.free_uid()
                home.path.mkdir(exist_ok=True, mode=0o700)
                home.write(Record(spec, uid))
        home.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        volumes.mend(home)
        if not home.data.exists():
            fresh = home.path / ".data.new"
            fresh.mkdir(exist_ok=True, mode=0o700)
            _give(fresh, uid)
            fresh.rename(home.data)
        limits = self._groups.apply(spec.instance_id, spec.ram_mb, spec.vcpus)
        return Record(spec, uid, limits.enforced, limits.groups)

    def _can_give_users(self) -> bool:
        """Tell whether we may make mounts and change users; root in a container often may not."""
        if self._own_users is None:
            self._own_users = os.geteuid() == 0 and process.succeeds(sandbox.probe_command(host.tool("bwrap")))
        return self._own_users

    def _write_etc(self, home: Home, record: Record) -> None:
        spec = record.spec
        home.etc.mkdir(exist_ok=True, mode=0o755)
        home.etc.chmod(0o755)
        for name, text in sandbox.account_files(spec.name, spec.address, record.uid).items():
            _write_changed(home.path / name, text, 0o644)
        told = {
            "instance_id": spec.instance_id, "name": spec.name, "address": spec.address, "family": spec.family,
            "engine_port": spec.engine_port, "ram_mb": spec.ram_mb, "vcpus": spec.vcpus, "volume_gb": spec.volume_gb,
            "image_id": spec.image_id,
        }  # fmt: skip
        _write_changed(home.etc / "agent.json", json.dumps(told, indent=1) + "\n", 0o644)
        key = home.etc / "agent.key"
        if not _younger(key, KEY_MAX_AGE):
            made = self._credentials(spec.instance_id, spec.address)
            host.write_atomic(home.etc / "ca.pem", made.ca_pem, durable=False)
            host.write_atomic(home.etc / "agent.pem", made.cert_pem, durable=False)
            fresh = home.etc / ".agent.key"
            host.write_atomic(fresh, made.key_pem, 0o400, durable=False)
            _give(fresh, record.uid)
            fresh.rename(key)

    def _server(self, home: Home, record: Record | None) -> Server:
        name = home.path.name
        runs = process.running(home)
        if record is None:
            if not home.path.exists():
                return Server(name, ServerState.ABSENT)
            state = ServerState.RUNNING if runs else ServerState.STOPPED
            return Server(name, state, reason="its record is missing or damaged")
        state = ServerState.RUNNING if runs else ServerState.STOPPED
        return Server(name, state, record.spec.image_id, record.spec.address, record.limits)

    def _require_image(self, image_id: str, whose: str = "") -> Image:
        image = self._images.get(image_id)
        if image is None:
            raise DriverError(f"the image {image_id}{whose} is not on this host; build it and try again")
        return image

    def _require(self, home: Home) -> Record:
        record = home.read()
        if record is None:
            raise DriverError(f"there is no server {home.path.name} on this host")
        return record

    def _require_engine_stopped(self, home: Home, record: Record) -> None:
        if process.running(home) and _listens(record.spec.address, record.spec.engine_port):
            raise DriverError(f"the engine of {record.spec.name} runs, so its data cannot be copied: stop it first")

    def _require_ports(self, spec: ServerSpec) -> None:
        for port in (spec.engine_port, AGENT_PORT):
            _require_port(spec.address, port)


def _require_port(address: str, port: int, patience: float = 0.3) -> None:
    """Raise PortTaken when something listens there; what has just been killed may need a moment to let go."""
    deadline = time.monotonic() + patience
    while True:
        with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((address, port))
                probe.listen(1)
                return
            except OSError as exc:
                if exc.errno == errno.EADDRNOTAVAIL:
                    raise DriverError(f"{address} is no address of this host; choose another --address-pool") from exc
                if exc.errno != errno.EADDRINUSE:
                    raise DriverError(f"port {port} of {address} cannot be used: {exc.strerror}") from exc
                if time.monotonic() > deadline:
                    raise PortTaken(address, port) from exc
        time.sleep(0.01)


def _identity(spec: ServerSpec) -> tuple[str, str, str, int]:
    """Return what cannot change while a server runs."""
    return spec.image_id, spec.family, spec.address, spec.engine_port


def _listens(address: str, port: int) -> bool:
    try:
        with socket.create_connection((address, port), timeout=1):
            return True
    except OSError:
        return False


def _younger(path: Path, age: float) -> bool:
    """Tell whether the file is there, has content (a power failure may take it) and is younger than `age` seconds."""
    try:
        stat = path.stat()
    except FileNotFoundError:
        return False
    return stat.st_size > 0 and time.time() - stat.st_mtime < age


def _give(path: Path, uid: int | None) -> None:
    if uid is not None:
        os.chown(path, uid, uid)


def _write_changed(path: Path, text: str, mode: int) -> None:
    try:
        if path.read_text(encoding="utf-8") == text:
            return
    except FileNotFoundError:
        pass
    host.write_atomic(path, text, mode, durable=False)
