"""What Galera leaves on disk: the saved position, the saved view, and the words in the log. Python 3.9 as well."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Mapping, Sequence
from typing import Any

from trove.guest.agent.files import read_text, write_text

GRASTATE = "grastate.dat"
VIEW = "gvwstate.dat"
UNKNOWN = "00000000-0000-0000-0000-000000000000"

COPY_NOTES = ("wsrep_sst.pid", "rsync_sst.pid", "stunnel.pid")
"""Where the helpers of a full copy note their process ids; another process may have one of them after a crash."""

LOG_LIMIT = 4 << 20
"""Bytes of log after which a new file is begun; one old file is kept."""

SIGNS = (
    (r"Receiving IST\.\.\.\s*([\d.]+)%", "receiving the missed writes, {0} % done"),
    (r"Prepared IST receiver", "receiving the missed writes"),
    (r"Running: 'wsrep_sst_(\w+) --role 'joiner'", "receiving a state transfer ({0})"),
    (r"Requesting state transfer: success, donor: (\d+)", "receiving a state transfer"),
    (r"State transfer required", "asking for a state transfer"),
    (r"discarding pending addr without UUID|connection to peer .* timed out", "looking for its peers"),
    (r"Shifting \w+[/\w]* -> (\S+)", "in state {0}"),
    (r"Failed to establish quorum", "in a group that cannot win its quorum back"),
    (r"Starting crash recovery", "recovering from a crash"),
    (r"failed to reach primary view", "finding no peers with quorum"),
)
"""What the engine does while it does not answer: pattern in its log, sentence."""


def position(datadir: str) -> dict[str, Any]:
    """Return uuid, seqno and safe_to_bootstrap that Galera saved, and whether it saved a view; {} without a file."""
    text = read_text(os.path.join(datadir, GRASTATE))
    if text is None:
        return {}
    found = dict(re.findall(r"^(uuid|seqno|safe_to_bootstrap):\s*(\S+)", text, re.MULTILINE))
    try:
        return {
            "uuid": found.get("uuid", UNKNOWN),
            "seqno": int(found.get("seqno", "-1")),
            "safe_to_bootstrap": found.get("safe_to_bootstrap") == "1",
            "view_saved": os.path.exists(os.path.join(datadir, VIEW)),
        }
    except ValueError:
        return {}


def reached(said: Mapping[str, str]) -> dict[str, Any]:
    """Return uuid and seqno that a running member has come to; seqno -1 while it has not applied all it received.

    {} when the engine does not say: that is not the same as having no data.
    """
    uuid = said.get("wsrep_local_state_uuid", UNKNOWN)
    try:
        waiting, seqno = int(said["wsrep_local_recv_queue"]), int(said["wsrep_last_committed"])
    except (KeyError, ValueError):
        return {}
    return {} if uuid == UNKNOWN else {"uuid": uuid, "seqno": -1 if waiting else seqno}


def forget(datadir: str, names: Sequence[str]) -> None:
    """Remove files, where they are."""
    for name in names:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(datadir, name))


def allow_bootstrap(datadir: str) -> None:
    """Tell Galera that this member may start the cluster, although it was not the last one to leave it."""
    path = os.path.join(datadir, GRASTATE)
    text = read_text(path)
    # A saved view would make it wait for the members of that view.
    forget(datadir, [VIEW])
    if text is not None:
        write_text(path, re.sub(r"^safe_to_bootstrap:.*$", "safe_to_bootstrap: 1", text, flags=re.MULTILINE), True)


def recovered(output: str) -> str | None:
    """Return the position that `--wsrep-recover` printed, None when there is none."""
    found = re.findall(r"Recovered position:\s*([0-9a-f-]{36}:-?\d+)", output)
    return found[-1] if found and not found[-1].startswith(UNKNOWN) else None


def doing(log: str) -> str:
    """Return what the engine is doing by the last telling words in its log since its start; empty when unknown."""
    for line in reversed(last_run(log).splitlines()):
        for sign, sentence in SIGNS:
            found = re.search(sign, line)
            if found:
                return sentence.format(*found.groups())
    return ""


def last_run(log: str) -> str:
    """Return what the log says since the engine's latest start."""
    begin = max(log.rfind("starting as process"), log.rfind("Starting MariaDB"), 0)
    return log[begin:]


def ended_cleanly(log: str) -> bool:
    """Tell whether the latest run ended with a complete shutdown."""
    return "Shutdown complete" in last_run(log)


def was_copied(log: str) -> bool:
    """Tell whether the latest run began with a full copy from a peer."""
    return re.search(r"SST completed on joiner", last_run(log)) is not None


def stuck(log: str) -> bool:
    """Tell whether the latest group is one of which nobody has complete data, and which takes no orders any more.

    Galera forms it when all members that knew the last group are back, but none of those who run had all data.
    """
    run = last_run(log)
    return run.rfind("Failed to establish quorum") > run.rfind("New COMPONENT")


def complaint(log: str) -> str:
    """Return the first and the last errors of the latest run, without times; nothing of a run that ended in order.

    The first is mostly the reason; the last words, "Aborting", tell nothing.
    """
    lines = [] if ended_cleanly(log) else last_run(log).splitlines()
    errors = [line.split("[ERROR]", 1)[1].strip() for line in lines if "[ERROR]" in line]
    errors = [error for error in errors if error != "Aborting"]
    return "; ".join([*errors[:1], *errors[1:][-2:]])


def end_of(path: str, size: int = 65536) -> str:
    """Return the last bytes of a file as text; empty where there is no file."""
    try:
        with open(path, "rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - size))
            return file.read().decode("utf-8", "replace")
    except OSError:
        return ""


def begin_run(path: str) -> None:
    """Mark a start in the log: until the engine writes, nothing of its run before is taken for this one's."""
    with contextlib.suppress(OSError), open(path, "a") as file:
        file.write("[Note] Starting MariaDB, as its agent wants it\n")


def begin_log(path: str) -> bool:
    """Put a log that has grown long aside; True when that was done."""
    try:
        if os.path.getsize(path) < LOG_LIMIT:
            return False
        os.replace(path, path + ".1")
    except OSError:
        return False
    return True
