"""What cluster nodes say of each other, and when their words make one healthy whole. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

SLOTS = 16384

NO_MEMBER = {"handshake", "noaddr"}
"""Flags of a node that is on its way in or out, and may not be there at all."""
ILL = {"fail", "fail?", *NO_MEMBER}
"""Flags of a node that is not (yet, any more) a full member in somebody's eyes."""


class Node:
    """One line of CLUSTER NODES."""

    def __init__(self, line: str) -> None:
        words = line.split()
        self.id = words[0]
        self.address, self.port = split_address(words[1])
        flags = words[2].split(",")
        self.myself = "myself" in flags
        self.primary = "master" in flags
        self.ill = sorted(ILL.intersection(flags))
        self.master_id = None if words[3] == "-" else words[3]
        self.epoch = int(words[6])
        self.connected = words[7] == "connected"
        self.ranges: list[tuple[int, int]] = []
        self.moving: list[tuple[int, str, str]] = []
        """Open slots, only said of oneself: (slot, ">" away or "<" hither, other node's id)."""
        for word in words[8:]:
            if word.startswith("["):
                slot, arrow, other = word.strip("[]").split("-", 2)
                self.moving.append((int(slot), arrow, other))
            else:
                first, _, last = word.partition("-")
                self.ranges.append((int(first), int(last or first)))

    @property
    def where(self) -> tuple[str, int]:
        """Address and port."""
        return self.address, self.port

    @property
    def slots(self) -> list[int]:
        """Slots the node owns."""
        return [slot for first, last in self.ranges for slot in range(first, last + 1)]

    @property
    def slot_count(self) -> int:
        """How many slots the node owns."""
        return sum(last - first + 1 for first, last in self.ranges)


def split_address(text: str) -> tuple[str, int]:
    """Read `address:port@busport[,hostname...]`."""
    address, _, port = text.split("@")[0].rpartition(":")
    return address, int(port or 0)


def parse(text: Any) -> list[Node]:
    """Read CLUSTER NODES."""
    return [Node(line) for line in str(text).splitlines() if line.strip()]


def myself(nodes: Iterable[Node]) -> Node:
    """Return the node that speaks."""
    return next(node for node in nodes if node.myself)


def disagreement(
    views: Mapping[tuple[str, int], list[Node]],
    states: Mapping[tuple[str, int], str],
    roles: bool = True,
    without: Iterable[tuple[str, int]] = (),
) -> str:
    """Return why these nodes are not one healthy cluster, empty when they are.

    `views` has each node's own view by its address, `states` its cluster_state. All must see exactly each other,
    connected and well, with the same owners of all slots and (`roles`) everybody as replica of the same primary. Nodes
    at the places `without` are out of service and do not matter.
    """
    expected, lost = set(views), set(without)
    common: Any = None
    for where, whole in sorted(views.items()):
        view = [node for node in whole if node.where not in lost]
        name = "{}:{}".format(*where)
        seen = {node.where for node in view if not (node.myself or "handshake" in node.ill)} | {where}
        if missing := expected - seen:
            return f"{name} does not know {_names(missing)}"
        if extra := seen - expected:
            return f"{name} still knows {_names(extra)}"
        if ill := [node for node in view if node.ill]:
            return f"{name} sees {ill[0].address}:{ill[0].port} as {','.join(ill[0].ill)}"
        if away := [node for node in view if not node.connected]:
            return f"{name} has no link to {away[0].address}:{away[0].port} yet"
        if states[where] != "ok":
            return f"{name} says cluster_state {states[where] or 'unknown'}"
        said = sorted((node.id, (node.master_id or "") if roles else "", node.ranges) for node in view)
        if common is None:
            common = said
        elif said != common:
            return f"{name} sees other roles or owners of slots than its peers"
    return ""


def _names(places: Iterable[tuple[str, int]]) -> str:
    return ", ".join("{}:{}".format(*place) for place in sorted(places))


def even_moves(owned: Mapping[str, list[int]], takers: Iterable[str]) -> list[tuple[int, str, str]]:
    """Plan the fewest moves (slot, from, to) after which the takers own all slots evenly and nobody else any."""
    takers = sorted(takers)
    total = sum(len(slots) for slots in owned.values())
    share, rest = divmod(total, len(takers))
    # Who has most already keeps the odd ones.
    ranked = sorted(takers, key=lambda taker: (-len(owned.get(taker, ())), taker))
    goal = {taker: share + (1 if index < rest else 0) for index, taker in enumerate(ranked)}
    spare = [(slot, owner) for owner, slots in sorted(owned.items()) for slot in sorted(slots)[goal.get(owner, 0) :]]
    moves = []
    for taker in ranked:
        for _ in range(goal[taker] - len(owned.get(taker, ()))):
            slot, source = spare.pop(0)
            moves.append((slot, source, taker))
    return moves


def ranges(slots: Iterable[int]) -> list[tuple[int, int]]:
    """Put slots together to ranges (first, last)."""
    found: list[tuple[int, int]] = []
    for slot in sorted(slots):
        if found and found[-1][1] == slot - 1:
            found[-1] = (found[-1][0], slot)
        else:
            found.append((slot, slot))
    return found
