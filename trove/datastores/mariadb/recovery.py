"""How a Galera cluster without quorum gets one again: pure, from what the members' agents say.

Galera itself brings a lost quorum back only once every member of the last group is there under its old identity, and a
member gives that up when it stops in order. So a member that dies in the moment in which another leaves can cost the
rest their quorum for good, although nobody's data is lost; and nobody begins by himself where all were stopped.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from trove.domain.health import Health

_NEVER = "00000000-0000-0000-0000-000000000000"


@dataclass(frozen=True)
class Remedy:
    """An order for the agent of one member.

    `start` with bootstrap: it begins the cluster, from where it is if its engine runs. `restart`: it lets go of a group
    without quorum, because another member has newer data and begins.
    """

    member_id: str
    kind: str
    bootstrap: bool = False


def lost_quorum(members: Mapping[str, Health | None]) -> bool:
    """Tell whether all members have answered (None is one that has not) and none of them is in a group with quorum."""
    return all(health is not None and not _has_quorum(health) for health in members.values())


def remedy(
    members: Mapping[str, Health | None], resting: Collection[str], by_themselves: bool = False
) -> Remedy | None:
    """Return what helps a cluster without quorum, None as long as nothing may be done.

    Invariant: no acknowledged write is lost and no second cluster begins. So every member must have answered, none may
    be in a group with quorum, all must come from the same cluster, and the one that begins has the highest position of
    all and is `resting`: no operation works on it. A member that ended without order tells its position only once it
    was recovered, which its next start does; one that runs, once it has applied all that it received. With
    `by_themselves` members are given time: those that all saved their last group find each other, and one that is stuck
    in a group that would let no other one be leaves it.
    """
    known = {name: health for name, health in members.items() if health is not None}
    if not lost_quorum(members) or (by_themselves and _helps_itself([health.detail for health in known.values()])):
        return None
    positions = {name: _position(health) for name, health in known.items()}
    # One that has no data of the cluster yet has nothing that could be lost.
    positions = {name: (cluster, seqno) for name, (cluster, seqno) in positions.items() if cluster != _NEVER}
    if len({cluster for cluster, _ in positions.values()}) != 1 or any(seqno < 0 for _, seqno in positions.values()):
        return None
    highest = max(seqno for _, seqno in positions.values())
    newest = [name for name, (_, seqno) in positions.items() if seqno == highest and name in resting]
    if not newest:
        return None
    first = max(newest, key=lambda name: (_in_group(known[name]), known[name].detail.get("safe_to_bootstrap") is True))
    behind = [name for name, health in known.items() if _in_group(health) and name in resting]
    if behind and not _in_group(known[first]):
        return Remedy(behind[0], "restart")
    return Remedy(first, "start", bootstrap=True)


def _helps_itself(details: Collection[Mapping[str, object]]) -> bool:
    return all(detail.get("view_saved") for detail in details) or any(detail.get("stuck") for detail in details)


def _has_quorum(health: Health) -> bool:
    return health.in_sync or health.detail.get("wsrep_cluster_status") == "Primary"


def _in_group(health: Health) -> bool:
    """Tell whether a member still runs, in a group without quorum."""
    return bool(health.members_seen) and not _has_quorum(health)


def _position(health: Health) -> tuple[str, int]:
    detail = health.detail
    cluster, seqno = str(detail.get("uuid", _NEVER)), int(str(detail.get("seqno", -1)))
    recovered = str(detail.get("recovered") or "")
    if seqno < 0 and ":" in recovered:
        found, _, number = recovered.rpartition(":")
        return found, int(number)
    return cluster, seqno
