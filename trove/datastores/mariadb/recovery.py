"""Who starts a Galera cluster again that was stopped as a whole: pure, from what the members' agents say."""

from __future__ import annotations

from collections.abc import Mapping

from trove.domain.health import Health

_NEVER = "00000000-0000-0000-0000-000000000000"


def first_to_start(members: Mapping[str, Health | None]) -> str | None:
    """Return the member that may be started with `bootstrap`, None as long as nobody may.

    Invariant: no acknowledged write is lost and no second cluster begins. So every member must have answered (None
    is one that has not), none may be in a cluster with quorum, all must come from the same cluster, and the one that
    is returned has the highest position of all. A cluster whose members all saved their last view needs nobody: they
    find each other by themselves. A member that ended without order tells its position only once it was recovered,
    which its next start does.
    """
    positions: dict[str, tuple[bool, int]] = {}
    clusters = set()
    if all(health is not None and health.detail.get("view_saved") for health in members.values()):
        return None
    for name, health in members.items():
        if health is None or health.members_seen or health.in_sync:
            return None
        detail = health.detail
        cluster, seqno = _position(detail)
        if cluster == _NEVER:
            # It has no data of the cluster yet, so nothing that could be lost.
            continue
        if seqno < 0:
            return None
        clusters.add(cluster)
        positions[name] = (bool(detail.get("safe_to_bootstrap")), seqno)
    if len(clusters) != 1:
        return None
    highest = max(seqno for _, seqno in positions.values())
    return max((name for name, (_, seqno) in positions.items() if seqno == highest), key=lambda n: positions[n][0])


def _position(detail: Mapping[str, object]) -> tuple[str, int]:
    cluster, seqno = str(detail.get("uuid", _NEVER)), int(str(detail.get("seqno", -1)))
    recovered = str(detail.get("recovered") or "")
    if seqno < 0 and ":" in recovered:
        found, _, number = recovered.rpartition(":")
        return found, int(number)
    return cluster, seqno
