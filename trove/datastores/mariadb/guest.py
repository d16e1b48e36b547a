"""MariaDB, alone or as a member of a Galera cluster, as its agent handles it; runs on Python 3.9 as well.

Invariants: only one member of a cluster is ever started with `bootstrap`, and only because the order says so; a data
directory goes to a new version only after a complete shutdown of the old one.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import time
from collections.abc import Sequence
from typing import Any

from trove.datastores.mariadb import guest_config, guest_sql, guest_wsrep
from trove.guest.agent import manager as base
from trove.guest.agent.files import write_text
from trove.guest.agent.manager import EngineDown, GuestError, Progress, Settings

TEMPLATE = "/usr/share/trove/template"
SERVER = "/usr/sbin/mariadbd"
UPGRADE = "/usr/bin/mariadb-upgrade"

RECOVER_TIMEOUT = 900.0
UPGRADE_TIMEOUT = 840.0
"""Seconds `mariadb-upgrade` may take."""

BEGIN_TIMEOUT = 20.0
"""Seconds a member that runs without quorum has to go on as the cluster; it is started anew otherwise."""

LET_GO_TIMEOUT = 5.0
"""Seconds an engine that has not come to serve may take to stop."""

SILENCE = 90.0
"""Seconds without any sign of life after which a starting member is given up."""

ISOLATED = ("--wsrep-on=OFF", "--wsrep-provider=none", "--skip-networking")
"""A start in which only the agent reaches the engine, and nothing it writes reaches its peers."""

PAUSE = 0.03
"""Seconds between two questions to an engine: asked more often it has less time for what it is waited for."""

SHOWN = (
    "wsrep_local_state_comment",
    "wsrep_ready",
    "wsrep_cluster_size",
    "wsrep_cluster_status",
    "wsrep_protocol_version",
    "wsrep_connected",
    "wsrep_last_committed",
    "wsrep_flow_control_paused",
)


class Manager(base.Manager):
    """One MariaDB server."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.datadir = settings.engine_dir
        self.socket = os.path.join(settings.tmp_dir, "engine.sock")
        self.log = settings.kept("mariadb.log")
        self.config = settings.kept("my.cnf")
        self._start_as: list[str] = []
        self._seen: tuple[float, dict[str, Any]] | None = None
        self._doing: tuple[float, str, bool] = (0.0, "", False)

    # -- start and stop -----------------------------------------------------------------------------------------------

    def argv(self) -> Sequence[str]:
        return [SERVER, f"--defaults-file={self.config}"]

    def initialise(self, params: dict[str, Any], progress: Progress) -> None:
        """Put the template in place; a member that joins gets everything from its peers and needs none."""
        if self.cluster is not None and not params.get("bootstrap"):
            return
        if os.path.exists(os.path.join(self.datadir, "ibdata1")):
            return
        fresh = os.path.join(self.settings.data_dir, "engine.new")
        shutil.rmtree(fresh, ignore_errors=True)
        if not os.path.isdir(TEMPLATE):
            raise GuestError(f"the image has no {TEMPLATE}; build the image again")
        try:
            # cp keeps the holes in files that are mostly zeros.
            _run(["/bin/cp", "-r", "--sparse=always", TEMPLATE, fresh], self.env(), 120.0, "copying the template")
            _run(["/bin/chmod", "-R", "u+rwX,go-rwx", fresh], self.env(), 30.0, "opening the template")
            shutil.rmtree(self.datadir, ignore_errors=True)
            os.rename(fresh, self.datadir)
        except OSError as error:
            raise GuestError(f"the engine's data cannot be made in {self.datadir}: {error.strerror}") from None

    def write_config(self) -> None:
        paths = {
            "datadir": self.datadir,
            "socket": self.socket,
            "pid": os.path.join(self.settings.tmp_dir, "engine.pid"),
            "tmp": self.settings.tmp_dir,
            "log": self.log,
        }
        said = self.settings
        text = guest_config.render(paths, said.address, said.engine_port, said.ram_mb, said.vcpus, self.cluster)
        write_text(self.config, text)

    def prepare(self, params: dict[str, Any], progress: Progress) -> dict[str, Any]:
        with self._remembering(params):
            result = super().prepare(params, progress)
        # Passwords have no business on the data volume once the accounts are made.
        self.keep(users=[], tables=self.settings.image_id)
        return result

    def make_way(self, kind: str, params: dict[str, Any]) -> None:
        """An engine that looks for peers with quorum hears nothing for half a minute, and has opened no data yet."""
        if kind == "start" and params.get("bootstrap") and self.cluster is not None and self.engine.alive():
            try:
                self.observe()
            except EngineDown:
                self.engine.kill()

    def start(self, params: dict[str, Any], progress: Progress) -> dict[str, Any]:
        """Start the engine; with `bootstrap` as the one that begins a cluster in which nobody has quorum any more."""
        self.learn_cluster(params)
        if self.cluster is not None and params.get("bootstrap"):
            if self.engine.alive() and not self._begin_group(progress):
                self.stop_engine(progress)
            if not self.engine.alive():
                guest_wsrep.allow_bootstrap(self.datadir)
        with self._remembering(params):
            return super().start(params, progress)

    def _begin_group(self, progress: Progress) -> bool:
        """Let a running member that has lost its quorum go on as the cluster; False when it is in no group at all."""
        deadline = time.monotonic() + BEGIN_TIMEOUT
        with contextlib.suppress(EngineDown):
            while (seen := self.observe())["status"] != "HEALTHY":
                if not seen.get("members_seen") or time.monotonic() > deadline:
                    return False
                progress("going on without the members that have left")
                # Ignored while the group is changing, and by one that has quorum.
                self._set("wsrep_provider_options = 'pc.bootstrap=YES'")
                time.sleep(PAUSE)
            return True
        return False

    @contextlib.contextmanager
    def _remembering(self, params: dict[str, Any]) -> Any:
        """Let `launch` know how this operation wants a member started; later starts are ordinary ones again."""
        if params.get("bootstrap"):
            self._start_as = ["--wsrep-new-cluster"]
        elif params.get("donors"):
            # The comma at the end: others will do where none of these can.
            self._start_as = [f"--wsrep-sst-donor={_names(params['donors'])},"]
        try:
            yield
        finally:
            self._start_as = []

    def start_engine(self, progress: Progress, extra: Sequence[str] = ()) -> None:
        if self.engine.alive() and self.state.get("isolated"):
            # An upgrade was cut short; nobody but the agent reaches this engine.
            self.stop_engine(progress)
        super().start_engine(progress, extra)

    def launch(self, extra: Sequence[str] = ()) -> None:
        guest_wsrep.begin_log(self.log)
        guest_wsrep.begin_run(self.log)
        guest_wsrep.forget(self.datadir, guest_wsrep.COPY_NOTES)
        self._seen = None
        alone = "--wsrep-provider=none" in extra
        self.keep(isolated=alone)
        if self.cluster is not None and not alone:
            extra = [*self._start_position(), *extra]
            # A member that is catching up is worth nothing if it falls again: it need not wait for the disk meanwhile.
            extra = [*extra, "--innodb-flush-log-at-trx-commit=0"]
        super().launch(extra)

    def wait_ready(self, timeout: float, poll: float = PAUSE) -> None:
        """Wait for the engine; a member may take as long as it shows signs of life: a copy may be large."""
        if self.cluster is None:
            return super().wait_ready(timeout, poll)
        sign, since = self._sign_of_life(), time.monotonic()
        while True:
            try:
                self.ping()
                return None if self.state.get("isolated") else self._joined()
            except EngineDown as error:
                if not self.engine.alive():
                    raise GuestError(f"the engine ended while starting: {self.last_words()}") from None
                if time.monotonic() - since > 1.0 and self._sign_of_life() != sign:
                    sign, since = self._sign_of_life(), time.monotonic()
                if self._stuck():
                    self._let_go()
                    raise GuestError(
                        "the member was in a group that cannot win its quorum back, and has left it"
                    ) from None
                if time.monotonic() - since > SILENCE:
                    raise GuestError(f"the engine does not answer: {error}") from None
            time.sleep(poll)

    def _stuck(self) -> bool:
        self._what_it_does()
        return self._doing[2]

    def _let_go(self) -> None:
        """Leave the group for good: with its saved view this member would come back to it, and keep it alive."""
        self.stop_engine(lambda sentence: None, LET_GO_TIMEOUT)
        guest_wsrep.forget(self.datadir, [guest_wsrep.VIEW])

    def before_upgrade(self, params: dict[str, Any], progress: Progress) -> None:
        self._set("innodb_fast_shutdown = 1")

    def pre_upgrade(self, params: dict[str, Any], progress: Progress) -> dict[str, Any]:
        result = super().pre_upgrade(params, progress)
        if not self._clean():
            # The next version refuses data that needs recovery: let this one recover it and end in order.
            progress("the engine did not end in order: starting it once more to recover its data")
            self.launch(ISOLATED)
            self.wait_ready(self.start_timeout)
            self.stop_engine(progress, 120.0)
            if not self._clean():
                raise GuestError(f"the engine does not end in order: {self.last_words()}")
        return result

    # -- upgrade ------------------------------------------------------------------------------------------------------

    def upgrade(self, params: dict[str, Any], progress: Progress) -> None:
        """Bring the system tables to this version: a single server alone, a member beside its peers.

        A member catches up first and is still out of the endpoint then; docs/decisions/galera-direct-upgrade.md.
        """
        if self.cluster is not None:
            self.start_engine(progress)
            if not self._tables_current():
                self._upgrade_member(progress)
            return
        if not self._tables_current():
            self.stop_engine(progress)
            progress("starting the engine for its agent alone")
            self.launch(ISOLATED)
            self.wait_ready(self.start_timeout)
            progress("bringing the system tables to the new version")
            self._upgrade_tables()
            self.stop_engine(progress)
        self.start_engine(progress)

    def _upgrade_member(self, progress: Progress) -> None:
        progress("bringing the system tables to the new version")
        # Its peers need not wait for this member, however far it falls behind meanwhile.
        with contextlib.suppress(GuestError):
            self._set("wsrep_desync = ON")
        try:
            self._upgrade_tables()
        finally:
            with contextlib.suppress(GuestError):
                self._set("wsrep_desync = OFF")

    def _upgrade_tables(self) -> None:
        for name in ("mysql_upgrade_info", "mariadb_upgrade_info"):
            # What it says is not true of tables that came from a peer.
            with contextlib.suppress(FileNotFoundError):
                os.unlink(os.path.join(self.datadir, name))
        # Nothing of it may reach the peers, which need their own tables: without binary log it switches wsrep_on off.
        command = [UPGRADE, "--no-defaults", f"--socket={self.socket}", f"--user={guest_sql.ACCOUNT}"]
        _run([*command, "--skip-write-binlog", "--silent"], self.env(), UPGRADE_TIMEOUT, "mariadb-upgrade")
        self.keep(tables=self.settings.image_id)

    def _tables_current(self) -> bool:
        return bool(self.state.get("tables") == self.settings.image_id)

    def _joined(self) -> None:
        """Finish what a start has left over, now that the member has all data."""
        self._set("innodb_flush_log_at_trx_commit = 1")
        self.keep(recovered=None)
        if self._tables_current() and guest_wsrep.was_copied(guest_wsrep.end_of(self.log, 1 << 20)):
            # A full copy brings the system tables of its donor, which may run an older version.
            self.keep(tables=None)
            self._upgrade_member(lambda sentence: None)

    # -- copies from peers --------------------------------------------------------------------------------------------

    def wipe(self) -> None:
        for entry in os.scandir(self.datadir):
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path)
            else:
                os.unlink(entry.path)
        self.keep(tables=None, recovered=None)

    def copy_from_peers(self, params: dict[str, Any], progress: Progress) -> None:
        donors = _names(params.get("donors") or [])
        progress("getting a full copy" + (f" from {donors.replace(',', ' or ')}" if donors else ""))
        # Without a comma at the end nobody else will do: only a member of the same version can be the donor here.
        self.start_engine(progress, [f"--wsrep-sst-donor={donors}"] if donors else [])
        self.keep(tables=self.settings.image_id)

    # -- sessions -----------------------------------------------------------------------------------------------------

    def drain(self, params: dict[str, Any], progress: Progress) -> dict[str, Any]:
        """End idle client sessions for up to `timeout` seconds, all that are left then with `force`."""
        if not self.engine.alive():
            return {"ended": 0, "left": 0}
        with self._sql() as cursor:
            work = guest_sql.Drain(cursor)
            left = work.run(float(params.get("timeout", 20.0)))
            forced = work.force() if left and params.get("force") else 0
        return {"ended": work.ended + forced, "left": left - forced}

    # -- users --------------------------------------------------------------------------------------------------------

    def populate(self, params: dict[str, Any], progress: Progress) -> None:
        users, databases = params.get("users") or [], params.get("databases") or []
        if users or databases:
            progress("making databases and users")
            with self._sql() as cursor:
                guest_sql.create_users(cursor, users, guest_sql.create_databases(cursor, databases))

    # -- health -------------------------------------------------------------------------------------------------------

    def ping(self) -> None:
        with self._sql() as cursor:
            if self.cluster is None or self.state.get("isolated"):
                cursor.execute("SELECT 1")
                return
            said = guest_sql.pairs(cursor, "SHOW GLOBAL STATUS LIKE 'wsrep_%'")
        if said.get("wsrep_ready") != "ON":
            raise EngineDown(_unready(said))

    def observe(self) -> dict[str, Any]:
        if self._seen is None or time.monotonic() - self._seen[0] > PAUSE:
            self._seen = (time.monotonic(), self._observe())
        return dict(self._seen[1])

    def _observe(self) -> dict[str, Any]:
        with self._sql() as cursor:
            version = guest_sql.pairs(cursor, "SHOW GLOBAL VARIABLES LIKE 'version'").get("version", "")
            said = guest_sql.pairs(cursor, "SHOW GLOBAL STATUS LIKE 'wsrep_%'") if self.cluster is not None else {}
            if guest_wsrep.begin_log(self.log):
                cursor.execute("FLUSH LOCAL ERROR LOGS")
        number = re.match(r"[\d.]*", version)
        seen: dict[str, Any] = {"version": version, "version_number": number.group().rstrip(".") if number else ""}
        if self.state.get("isolated"):
            return {**seen, "status": "RESTARTING", "reason": "the engine is being upgraded, alone"}
        if self.cluster is None:
            return {**seen, "role": "primary", "in_sync": True}
        reason = _unready(said)
        primary = said.get("wsrep_cluster_status") == "Primary"
        return {
            **seen,
            "status": "HEALTHY" if primary else "ERROR" if said.get("wsrep_connected") == "ON" else "RESTARTING",
            "role": "member",
            "in_sync": not reason,
            "members_seen": int(said.get("wsrep_cluster_size") or 0),
            "reason": reason,
            "detail": {**{name: said[name] for name in SHOWN if name in said}, **guest_wsrep.reached(said)},
        }

    def health(self) -> dict[str, Any]:
        seen = super().health()
        if self.cluster is not None:
            # Enough for the controller to choose who begins a cluster without quorum.
            if "uuid" not in seen["detail"]:
                saved = {**guest_wsrep.position(self.datadir), "recovered": self.state.get("recovered")}
                seen["detail"] = {**seen["detail"], **saved}
            if not seen["in_sync"]:
                seen["detail"]["stuck"] = self.engine.alive() and self._stuck()
        return seen

    def said_last(self) -> str:
        # What the engine prints besides are notes from before it has opened its log, unless it did not come so far.
        return self.console() or super().said_last()

    def console(self) -> str:
        return guest_wsrep.complaint(guest_wsrep.end_of(self.log))

    # -- inside -------------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _sql(self) -> Any:
        try:
            with guest_sql.connect(self.socket) as cursor:
                yield cursor
        except EngineDown as error:
            raise EngineDown(self._what_it_does() or str(error)) from None

    def _what_it_does(self) -> str:
        """Return what a member that does not answer is doing, from its log, read at most four times a second."""
        if self.cluster is None:
            return ""
        if time.monotonic() - self._doing[0] > 0.25:
            log = guest_wsrep.end_of(self.log)
            doing = guest_wsrep.doing(log)
            self._doing = (time.monotonic(), f"the engine is {doing}" if doing else "", guest_wsrep.stuck(log))
        return self._doing[1]

    def _start_position(self) -> list[str]:
        """Return how to start a member: from the position its data has, as a new cluster only when ordered so."""
        extra = self._start_as
        saved = guest_wsrep.position(self.datadir)
        if not saved or not os.path.exists(os.path.join(self.datadir, "ibdata1")):
            self.keep(recovered=None)
            return extra
        if saved["seqno"] != -1:
            # The file forgets it at the start; while the member looks for its peers the controller may want to know.
            self.keep(recovered=f"{saved['uuid']}:{saved['seqno']}")
            return extra
        # It did not end in order: only the engine can tell from its data how far it had come.
        found = self._recover()
        self.keep(recovered=found)
        return [*extra, f"--wsrep-start-position={found}"] if found else extra

    def _recover(self) -> str | None:
        # Without a log file it tells the position on its standard error.
        command = [*self.argv(), "--wsrep-recover", "--log-error=", "--disable-log-error"]
        try:
            done = subprocess.run(
                command,
                env=self.env(),
                cwd=self.datadir,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=RECOVER_TIMEOUT,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired):
            return None
        # Data that is half a copy cannot be recovered; the member then asks for a full copy by itself.
        return guest_wsrep.recovered(done.stdout.decode("utf-8", "replace"))

    def _set(self, assignment: str) -> None:
        with self._sql() as cursor:
            cursor.execute(f"SET GLOBAL {assignment}")

    def _sign_of_life(self) -> tuple[int, int]:
        try:
            size = os.path.getsize(self.log)
        except OSError:
            size = 0
        return size, base._tree_size(self.datadir)

    def _clean(self) -> bool:
        return guest_wsrep.ended_cleanly(guest_wsrep.end_of(self.log))


def _unready(said: dict[str, str]) -> str:
    """Return why a member does not do its part, empty when it does."""
    if said.get("wsrep_cluster_status") != "Primary":
        return f"the member has no quorum (wsrep_cluster_status {said.get('wsrep_cluster_status', 'unknown')})"
    state = said.get("wsrep_local_state_comment", "unknown")
    if state != "Synced":
        return f"the member is not in sync (wsrep_local_state_comment {state})"
    if said.get("wsrep_ready") != "ON":
        return f"the member takes no statements (wsrep_ready {said.get('wsrep_ready', 'unknown')})"
    return ""


def _names(donors: Sequence[Any]) -> str:
    return ",".join(guest_config.node_name(str(name)) for name in donors)


def _run(command: Sequence[str], env: Any, timeout: float, what: str) -> None:
    """Run a program; GuestError with its last words."""
    try:
        done = subprocess.run(
            command,
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise GuestError(f"{what} did not end within {timeout:.0f} s") from None
    except OSError as error:
        raise GuestError(f"{what} failed: {command[0]}: {error.strerror}") from None
    if done.returncode != 0:
        last = " | ".join(done.stdout.decode("utf-8", "replace").strip().splitlines()[-3:])
        raise GuestError(f"{what} failed: {last or f'exit code {done.returncode}'}")
