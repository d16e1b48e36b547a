"""Moving slots with their keys from node to node while clients use them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from trove.datastores.redis import guest_config
from trove.datastores.redis.guest_nodes import Node, even_moves
from trove.datastores.redis.guest_resp import ReplyError

if TYPE_CHECKING:
    from trove.datastores.redis.guest_cluster import Peers

BATCH = 64
"""Slots that are on their way at the same time."""
KEYS = 200
"""Keys that travel in one MIGRATE."""
MIGRATE_TIMEOUT_MS = 30_000


def spread(peers: Peers, contact: Any, without: str | None, progress: Callable[[str], None]) -> dict[str, Any]:
    """Spread all slots evenly over the primaries, except `without`, which is left with none.

    Slots that an interrupted run has left open are finished first.
    """
    finished = _finish_open(peers, contact, progress)
    primaries = {node.id: node for node in peers.nodes(contact) if node.primary and not node.ill}
    takers = [id_ for id_ in primaries if id_ != without]
    owned = {id_: node.slots for id_, node in primaries.items()}
    if without is not None:
        # Only what the leaving node has moves; the others keep what they have.
        moves = _hand_over(owned, without, takers) if owned.get(without) else []
    else:
        moves = even_moves(owned, takers)
    done = 0
    for source, target in sorted({(move[1], move[2]) for move in moves}):
        slots = [slot for slot, *way in moves if tuple(way) == (source, target)]
        for first in range(0, len(slots), BATCH):
            _move(peers, slots[first : first + BATCH], primaries[source], primaries[target], list(primaries.values()))
            done += len(slots[first : first + BATCH])
            progress(f"moved {done} of {len(moves)} slots")
    return {"moved": done, "finished": finished}


def _hand_over(owned: dict[str, list[int]], leaving: str, takers: list[str]) -> list[tuple[int, str, str]]:
    """Give the leaving node's slots to the takers that have fewest."""
    counts = {taker: len(owned[taker]) for taker in takers}
    moves = []
    for slot in owned[leaving]:
        taker = min(counts, key=lambda id_: (counts[id_], id_))
        counts[taker] += 1
        moves.append((slot, leaving, taker))
    return moves


def _finish_open(peers: Peers, contact: Any, progress: Callable[[str], None]) -> int:
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
