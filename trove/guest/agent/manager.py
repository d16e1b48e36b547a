"""What every engine's guest side has in common; `trove.datastores.<family>.guest` has one `Manager` each.

A subclass says how its engine is started, asked and stopped (the hooks below); the operations that every engine has are
here, made of those hooks, and each leads to the same end when it is run again. A subclass adds its own in `operations`.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from trove.guest import protocol
from trove.guest.agent.errors import EngineDown, GuestError
from trove.guest.agent.files import read_json, read_tail, write_json
from trove.guest.agent.process import EngineProcess
from trove.guest.agent.settings import Settings

__all__ = ["EngineDown", "GuestError", "Manager", "Operation", "Progress", "Settings"]

Progress = Callable[[str], None]
Operation = Callable[[dict[str, Any], Progress], "dict[str, Any]"]

POLL = 0.01
"""Seconds between two questions to the engine while waiting for it."""


class Manager:
    """One engine and what is done to it.

    The state kept on the data volume: `desired` (running, stopped, upgrading), the `cluster` the instance was last
    told it belongs to (None for a single instance), and whatever a subclass keeps with `keep`.
    """

    start_timeout = 60.0
    """Seconds an engine may take from its start to its first answer."""
    stop_timeout = 20.0
    """Seconds an engine may take to end before it is killed; below what the sandbox grants the agent."""
    unlocked = frozenset({"await_sync"})
    """Operations that change nothing and so need not wait for others."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._state_file = settings.kept("state.json")
        self._state: dict[str, Any] = read_json(self._state_file) or {}
        self.engine = EngineProcess(settings.kept("engine.pid.json"), settings.engine_dir)
        self._started_at = time.monotonic()
        self._used: tuple[float, int] = (0.0, 0)

    # -- hooks: what a subclass must or may say ---------------------------------------------------------------------

    def argv(self) -> Sequence[str]:
        """Return program (absolute path) and arguments that start the engine in the foreground."""
        raise NotImplementedError

    def env(self) -> Mapping[str, str]:
        """Return the engine's environment."""
        return {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "LC_ALL": "C",
            "HOME": "/data",
            "TMPDIR": self.settings.tmp_dir,
        }

    def initialise(self, params: dict[str, Any], progress: Progress) -> None:
        """Make the engine's data where there is none; called before each `prepare`."""

    def write_config(self) -> None:
        """Write the engine's configuration from settings and kept state."""
        raise NotImplementedError

    def apply_config(self) -> None:
        """Make a running engine take over what `write_config` wrote, as far as it can without a restart."""

    def populate(self, params: dict[str, Any], progress: Progress) -> None:
        """Make users and databases in the running engine; called at the end of each `prepare`."""

    def ping(self) -> None:
        """Return when the engine serves; raise EngineDown with its reason while it does not."""
        raise NotImplementedError

    def observe(self) -> dict[str, Any]:
        """Ask the engine how it is: the fields of domain.health.Health that are the engine's to say.

        Keys: version, version_number, role, in_sync, lag_bytes, members_seen, reason, detail. Raises EngineDown.
        """
        raise NotImplementedError

    def request_stop(self) -> None:
        """Ask the engine to end cleanly; it has until `stop_timeout` from the beginning of this."""
        self.engine.signal(signal.SIGTERM)

    def make_way(self, kind: str, params: dict[str, Any]) -> None:
        """End what an order must not wait for; called before it waits for its turn."""

    def before_upgrade(self, params: dict[str, Any], progress: Progress) -> None:
        """Get the running engine ready for its last stop on the old version."""

    def upgrade(self, params: dict[str, Any], progress: Progress) -> None:
        """Bring the data to the new version and start the engine (the default only starts it)."""
        self.start_engine(progress)

    def wipe(self) -> None:
        """Throw away the stopped engine's data, but not its identity in the cluster."""
        raise NotImplementedError

    def copy_from_peers(self, params: dict[str, Any], progress: Progress) -> None:
        """Start the wiped engine so that it gets a full copy from its peers (the default only starts it)."""
        self.start_engine(progress)

    def drain(self, params: dict[str, Any], progress: Progress) -> dict[str, Any]:
        """End client sessions politely within `timeout` seconds; nothing to do where clients follow by themselves."""
        return {}

    def console(self) -> str:
        """Return the last words of the engine's own log, for error messages; empty where there are none."""
        return ""

    def tidy(self) -> None:
        """Keep logs small; called about once a minute."""

    # -- kept state ---------------------------------------------------------------------------------------------------

    @property
    def desired(self) -> str | None:
        """What the engine is to be kept at; None before the first `prepare`."""
        return self._state.get("desired")

    @property
    def cluster(self) -> dict[str, Any] | None:
        """Topology the instance was last told, None for a single instance."""
        return self._state.get("cluster")

    @property
    def state(self) -> Mapping[str, Any]:
        """Everything kept."""
        return self._state

    def keep(self, **values: Any) -> None:
        """Keep values on the data volume, safe against a power cut."""
        changed = {**self._state, **values}
        if changed != self._state:
            write_json(self._state_file, changed, durable=True)
            self._state = changed

    def _keep_running(self, **values: Any) -> None:
        self.keep(desired=protocol.DESIRED_RUNNING, image_id=self.settings.image_id, **values)

    @property
    def starts_by_itself(self) -> bool:
        """Whether the engine is to run, on the image it ran on last.

        On another image only an order may start it: an old engine must not open what a newer one has written.
        """
        return self.desired == protocol.DESIRED_RUNNING and self.state.get("image_id") == self.settings.image_id

    def learn_cluster(self, params: Mapping[str, Any]) -> None:
        """Keep the topology of an operation that carries one; what it leaves out (the secret) stays as it was."""
        if "cluster" in params:
            told = params["cluster"]
            self.keep(cluster=None if told is None else {**(self.cluster or {}), **told})

    # -- operations ---------------------------------------------------------------------------------------------------

    def operations(self) -> dict[str, Operation]:
        """Return every kind of operation by name."""
        return {
            "prepare": self.prepare,
            "start": self.start,
            "stop": self.stop,
            "restart": self.restart,
            "configure": self.configure,
            "pre_upgrade": self.pre_upgrade,
            "post_upgrade": self.post_upgrade,
            "reseed": self.reseed,
            "await_sync": self.await_sync,
            "drain": self.drain,
        }

    def prepare(self, params: dict[str, Any], progress: Progress) -> dict[str, Any]:
        """Make the engine's data, configuration and users, and start it."""
        self.learn_cluster(params)
        self.keep(users=params.get("users") or [], version=params.get("version", ""))
        if not self.engine.alive():
            progress("making the engine's data")
            self.initialise(params, progress)
        self.write_config()
        self.start_engine(progress)
        self.populate(params, progress)
        self._keep_running()
        return self.said()

    def start(self, params: dict[str, Any], progress: Progress) -> dict[str, Any]:
        """Start the engine where it does not run."""
        self.learn_cluster(params)
        self.write_config()
        self.start_engine(progress)
        self._keep_running()
        return self.said()

    def stop(self, params: dict[str, Any], progress: Progress) -> dict[str, Any]:
        """Stop the engine and keep it stopped."""
        self.keep(desired=protocol.DESIRED_STOPPED)
        self.stop_engine(progress)
        return {}

    def restart(self, params: dict[str, Any], progress: Progress) -> dict[str, Any]:
        """Stop the engine and start it."""
        self.stop_engine(progress)
        return self.start(params, progress)

    def configure(self, params: dict[str, Any], progress: Progress) -> dict[str, Any]:
        """Write the configuration anew; a running engine keeps running."""
        self.learn_cluster(params)
        self.write_config()
        if self.engine.alive():
            self.apply_config()
        return {}

    def pre_upgrade(self, params: dict[str, Any], progress: Progress) -> dict[str, Any]:
        """Get ready for the next version: stop cleanly, and stay down until `post_upgrade` or `start`."""
        if self.engine.alive():
            self.before_upgrade(params, progress)
        self.keep(desired=protocol.DESIRED_UPGRADING)
        self.stop_engine(progress)
        return {}

    def post_upgrade(self, params: dict[str, Any], progress: Progress) -> dict[str, Any]:
        """On the image of the next version: bring the data along and start."""
        self.learn_cluster(params)
        self.write_config()
        self.upgrade(params, progress)
        self._keep_running(version=params.get("target", self.state.get("version", "")))
        return self.said()

    def reseed(self, params: dict[str, Any], progress: Progress) -> dict[str, Any]:
        """Throw the engine's data away and get a full copy from its peers."""
        self.learn_cluster(params)
        self.keep(desired=protocol.DESIRED_STOPPED)
        self.stop_engine(progress)
        progress("removing the engine's data")
        self.wipe()
        self.write_config()
        self.copy_from_peers(params, progress)
        self._keep_running()
        return self.said()

    def await_sync(self, params: dict[str, Any], progress: Progress) -> dict[str, Any]:
        """Wait until the engine runs the version (`version_prefix`), has the `role` and has all data; what it said.

        Raises GuestError with the engine's last reason after `timeout` seconds.
        """
        prefix, role = str(params.get("version_prefix") or ""), params.get("role")
        deadline = time.monotonic() + float(params.get("timeout", 60.0))
        told = ""
        while True:
            seen = self.health()
            reason = _unsynced(seen, prefix, role)
            if not reason:
                return seen
            if time.monotonic() >= deadline:
                raise GuestError(f"the engine is not ready: {reason}")
            if reason != told:
                progress(f"waiting: {reason}")
                told = reason
            time.sleep(POLL)

    # -- the engine's process -----------------------------------------------------------------------------------------

    def start_engine(self, progress: Progress, extra: Sequence[str] = ()) -> None:
        """Start the engine where it does not run and wait for its first answer. `extra` are further arguments."""
        if not self.engine.alive():
            progress("starting the engine")
            self.launch(extra)
        self.wait_ready(self.start_timeout)

    def launch(self, extra: Sequence[str] = ()) -> None:
        """Start the engine's process without waiting for its answer."""
        argv = [*self.argv(), *extra]
        self._started_at = time.monotonic()
        try:
            self.engine.start(argv, self.env(), self.settings.kept("engine.out"))
        except OSError as error:
            raise GuestError(f"{argv[0]} cannot be started: {error.strerror}") from None

    def wait_ready(self, timeout: float, poll: float = POLL / 2) -> None:
        """Wait until the engine answers; GuestError when it ends or does not answer in `timeout` seconds."""
        deadline = time.monotonic() + timeout
        while True:
            try:
                return self.ping()
            except EngineDown as error:
                if not self.engine.alive():
                    raise GuestError(f"the engine ended while starting: {self.last_words()}") from None
                if time.monotonic() >= deadline:
                    raise GuestError(f"the engine does not answer after {timeout:.0f} s: {error}") from None
            time.sleep(poll)

    def stop_engine(self, progress: Progress, timeout: float | None = None) -> None:
        """Stop the engine: asked first, killed after `timeout` seconds."""
        if not self.engine.alive():
            return
        progress("stopping the engine")
        limit = self.stop_timeout if timeout is None else timeout
        deadline = time.monotonic() + limit
        self.request_stop()
        if not self.engine.wait(max(1.0, deadline - time.monotonic())):
            progress(f"the engine did not end in {limit:.0f} s and is killed")
            self.engine.kill()

    def last_words(self) -> str:
        """Return why the engine ended, as far as it can be told."""
        return "; ".join(part for part in (self.engine.exit_reason, self.said_last()) if part) or "no reason known"

    def said_last(self) -> str:
        """Return the engine's own last words, printed or in its log; empty where there are none."""
        return tail(self.settings.kept("engine.out")) or self.console()

    # -- health -------------------------------------------------------------------------------------------------------

    def health(self) -> dict[str, Any]:
        """Return the fields of domain.health.Health, from the engine itself; never raises, never waits long."""
        seen: dict[str, Any] = {
            "status": "HEALTHY",
            "version": "",
            "version_number": "",
            "role": "",
            "in_sync": False,
            "lag_bytes": None,
            "members_seen": None,
            "used_bytes": self.used_bytes(),
            "free_bytes": self.free_bytes(),
            "reason": "",
            "observed_at": _now(),
            "detail": {},
        }
        if not self.engine.alive():
            return {**seen, **self._down()}
        try:
            return {**seen, **self.observe()}
        except EngineDown as error:
            late = time.monotonic() - self._started_at > self.start_timeout
            return {**seen, "status": "ERROR" if late else "RESTARTING", "reason": str(error)}

    def said(self) -> dict[str, Any]:
        """Return what the engine says, as the result of an operation that has started it."""
        return self.health()

    def _down(self) -> dict[str, Any]:
        if self.desired is None:
            return {"status": "NEW", "reason": "the engine has not been prepared yet"}
        if self.desired == protocol.DESIRED_RUNNING:
            return {"status": "RESTARTING", "reason": f"the engine does not run: {self.last_words()}"}
        why = "stopped for an upgrade" if self.desired == protocol.DESIRED_UPGRADING else "stopped on request"
        return {"status": "SHUTDOWN", "reason": f"the engine is {why}"}

    def used_bytes(self) -> int:
        """Return the size of the engine's data, bytes; measured at most every ten seconds."""
        measured, size = self._used
        if measured == 0.0 or time.monotonic() - measured > 10.0:
            size = _tree_size(self.settings.engine_dir)
            self._used = (time.monotonic(), size)
        return size

    def free_bytes(self) -> int:
        """Return the room left on the data volume, bytes."""
        try:
            volume = os.statvfs(self.settings.data_dir)
        except OSError:
            return 0
        return volume.f_bavail * volume.f_frsize


def tail(path: str, lines: int = 3) -> str:
    """Return the last lines of a log in one line; empty where there is no log."""
    return " | ".join(read_tail(path).strip().splitlines()[-lines:])


def _unsynced(seen: Mapping[str, Any], prefix: str, role: Any) -> str:
    """Return why this observation does not yet pass, empty when it does."""
    if seen["status"] != "HEALTHY":
        return str(seen["reason"] or f"the engine is {seen['status']}")
    number = str(seen["version_number"])
    if prefix and number != prefix and not number.startswith(prefix.rstrip(".") + "."):
        return f"the engine runs version {number}, not {prefix}"
    if role and seen["role"] != role:
        return f"the engine is {seen['role']}, not {role}"
    if not seen["in_sync"]:
        return str(seen["reason"] or "the engine is not in sync")
    return ""


def _now() -> str:
    """Return the time as naive UTC ISO-8601 with fraction."""
    seconds = time.time()
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f"{seconds % 1:.6f}"[1:]


def _tree_size(path: str) -> int:
    total = 0
    try:
        with os.scandir(path) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    total += _tree_size(entry.path)
                else:
                    total += entry.stat(follow_symlinks=False).st_size
    except OSError:
        # Files come and go under a running engine; the next look counts them.
        return total
    return total
