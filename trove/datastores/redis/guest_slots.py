"""Moving slots with their keys from node to node while clients use them."""

from __future__ import annotations

import time
from typing import Any

from trove.datastores.redis import guest_config
from trove.datastores.redis.guest_nodes import Node, even_moves, ranges
from trove.datastores.redis.guest_peers import Peers
from trove.datastores.redis.guest_resp import ReplyError
from trove.guest.agent.errors import GuestError
from trove.guest.agent.manager import POLL, Progress

BATCH = 64
"""Slots that are on their way at the same time."""
KEYS = 200
"""Keys that travel in one MIGRATE."""
MIGRATE_TIMEOUT_MS = 30_000
ENDED = {"success", "failed", "cancelled"}
LONGEST_JOB = 1500.0
"""Seconds one atomic migration may take."""


def spread(peers: Peers, contact: Any, without: str | None, progress: Progress) -> dict[str, Any]:
    """Spread all slots evenly over the primaries, except `without`, which is left with none.

    Slots that an interrupted run has left open are finished first.
    """
    whole = _can_move_whole(peers, contact)
    finished = _await_jobs(peers, contact, progress) if whole else _finish_open(peers, contact, progress)
    primaries = {node.id: node for node in peers.nodes(contact) if node.primary and not node.ill}
    owned = {id_: node.slots for id_, node in primaries.items()}
    if without is not None:
        moves = _hand_over(owned, without) if owned.get(without) else []
    else:
        moves = even_moves(owned, primaries)
    done = 0
    for source, target in sorted({(move[1], move[2]) for move in moves}):
        slots = [slot for slot, *way in moves if tuple(way) == (source, target)]
        step = len(slots) if whole else BATCH
        for first in range(0, len(slots), step):
            part = slots[first : first + step]
            if whole:
                _move_whole(peers, part, primaries[source], primaries[target])
            else:
                _move(peers, part, primaries[source], primaries[target], list(primaries.values()))
            done += len(part)
            progress(f"moved {done} of {len(moves)} slots")
    return {"moved": done, "finished": finished}


def _hand_over(owned: dict[str, list[int]], leaving: str) -> list[tuple[int, str, str]]:
    """Give the leaving node's slots to those that have fewest; the others keep what they have."""
    counts = {id_: len(slots) for id_, slots in owned.items() if id_ != leaving}
    if not counts:
        raise GuestError("there is no other primary that could take the slots")
    gets = dict.fromkeys(counts, 0)
    for _ in owned[leaving]:
        taker = min(counts, key=lambda id_: (counts[id_], id_))
        counts[taker] += 1
        gets[taker] += 1
    slots = iter(owned[leaving])
    return [(next(slots), leaving, taker) for taker, count in gets.items() for _ in range(count)]


# -- Valkey 9: whole ranges at once, with no moment at which clients are sent to and fro -------------------------------


def _can_move_whole(peers: Peers, contact: Any) -> bool:
    """Whether every primary knows atomic slot migration."""
    try:
        for node in peers.nodes(contact):
            if node.primary and not node.ill:
                peers.call(node.where, "CLUSTER", "GETSLOTMIGRATIONS")
    except ReplyError:
        return False
    return True


def _jobs(peers: Peers, place: Any) -> list[dict[str, Any]]:
    """Return the node's migrations, latest first; each is a flat list of names and values."""
    return [dict(zip(job[::2], job[1::2])) for job in peers.call(place, "CLUSTER", "GETSLOTMIGRATIONS")]


def _await_jobs(peers: Peers, contact: Any, progress: Progress) -> int:
    """Wait for migrations that an interrupted run has started; return how many there were."""
    count = 0
    for node in peers.nodes(contact):
        if node.primary and not node.ill:
            for job in _jobs(peers, node.where):
                if job["operation"] == "EXPORT" and job["state"] not in ENDED:
                    progress(f"waiting for the move of slots {job['slot_ranges']} that is under way")
                    _await_job(peers, node.where, job["name"])
                    count += 1
    return count


def _move_whole(peers: Peers, slots: list[int], source: Node, target: Node) -> None:
    before = {job["name"] for job in _jobs(peers, source.where)}
    ends = [end for first_last in ranges(slots) for end in first_last]
    peers.call(source.where, "CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", *ends, "NODE", target.id)
    started = [job["name"] for job in _jobs(peers, source.where) if job["name"] not in before]
    for name in started:
        job = _await_job(peers, source.where, name)
        if job["state"] != "success":
            raise GuestError(f"the slots {job['slot_ranges']} could not be moved: {job['message'] or job['state']}")


def _await_job(peers: Peers, place: Any, name: str) -> dict[str, Any]:
    deadline = time.monotonic() + LONGEST_JOB
    while True:
        job = next((job for job in _jobs(peers, place) if job["name"] == name), None)
        if job is None:
            raise GuestError(f"the node has forgotten the move {name} of its slots")
        if job["state"] in ENDED:
            return job
        if time.monotonic() >= deadline:
            raise GuestError(f"moving the slots {job['slot_ranges']} took longer than {LONGEST_JOB:.0f} s")
        time.sleep(POLL)


# -- everything older: slot by slot, key by key ------------------------------------------------------------------------


def _finish_open(peers: Peers, contact: Any, progress: Progress) -> int:
    """Finish the moves that were under way when an earlier run was interrupted."""
    nodes = {node.id: node for node in peers.nodes(contact) if not node.ill}
    primaries = [node for node in nodes.values() if node.primary]
    owner = {slot: node.id for node in primaries for slot in node.slots}
    ways: dict[int, tuple[str, str]] = {}
    for node in primaries:
        for me in peers.nodes(node.where):
            for slot, arrow, other in me.moving:
                ways.setdefault(slot, (me.id, other) if arrow == ">" else (other, me.id))
    for slot, (source, target) in sorted(ways.items()):
        progress(f"finishing the interrupted move of slot {slot}")
        if owner.get(slot) == source and target in nodes:
            _move(peers, [slot], nodes[source], nodes[target], primaries)
        else:
            for place in {nodes[id_].where for id_ in (source, target) if id_ in nodes}:
                peers.call(place, "CLUSTER", "SETSLOT", slot, "STABLE")
    return len(ways)


def _move(peers: Peers, slots: list[int], source: Node, target: Node, primaries: list[Node]) -> None:
    """Move the slots; at each moment every key is served by exactly one of the two nodes."""
    peers.spread(target.where, [("CLUSTER", "SETSLOT", slot, "IMPORTING", source.id) for slot in slots])
    peers.spread(source.where, [("CLUSTER", "SETSLOT", slot, "MIGRATING", target.id) for slot in slots])
    left = list(slots)
    while left:
        found = peers.calls(source.where, [("CLUSTER", "GETKEYSINSLOT", slot, KEYS) for slot in left])
        for keys in found:
            if keys:
                _migrate(peers, source, target, keys)
        left = [slot for slot, keys in zip(left, found) if len(keys) == KEYS]
    # The receiver first: were the sender first and this process to die then, nobody would own the slot.
    for place in [target.where, source.where]:
        peers.spread(place, [("CLUSTER", "SETSLOT", slot, "NODE", target.id) for slot in slots])
    for node in primaries:
        if node.id not in (source.id, target.id):
            try:
                peers.spread(node.where, [("CLUSTER", "SETSLOT", slot, "NODE", target.id) for slot in slots])
            except ReplyError:
                # It has heard of it by gossip already, or will; this only spares clients a redirection.
                continue


def _migrate(peers: Peers, source: Node, target: Node, keys: list[Any]) -> None:
    connection = peers.at(source.where)
    connection.patience(MIGRATE_TIMEOUT_MS / 1000 + 5)
    # REPLACE: a key that is on both sides after an interruption was only ever changed at the source.
    words = ["MIGRATE", *target.where, "", 0, MIGRATE_TIMEOUT_MS, "REPLACE"]
    peers.call(source.where, *words, "AUTH2", guest_config.CLUSTER_USER, peers.secret, "KEYS", *keys)
