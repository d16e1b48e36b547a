"""What is done to a Redis or Valkey cluster as a whole, from one of its nodes. Every function may be run again.

Done with plain commands at all nodes, not with `redis-cli --cluster`: that refuses to go on where it was interrupted,
sleeps whole seconds, and needs passwords in its environment.
"""

from __future__ import annotations

import time
from typing import Any

from trove.datastores.redis import guest_config, guest_slots
from trove.datastores.redis.guest_nodes import NO_MEMBER, SLOTS, Node, myself
from trove.datastores.redis.guest_peers import Peers
from trove.datastores.redis.guest_resp import ReplyError, fields
from trove.guest.agent.errors import GuestError
from trove.guest.agent.manager import POLL, Manager, Progress
from trove.guest.agent.sockets import send_at_once

FAST_POLL = 0.002
BUS = 10_000
"""Nodes talk to each other on the clients' port plus this."""
STREAM_PATIENCE = 3.0
"""Seconds to wait for the stream of writes before a failover; the engine waits by itself after that."""
FAILOVER_AGAIN = 2.0
"""Seconds without a result after which a failover is asked for again; a healthy one takes some milliseconds."""


def await_cluster(manager: Manager, params: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Wait until each of `nodes` sees all of them connected and well, with the same roles and slots.

    Nodes `without` are out of service and do not matter.
    """
    places = [_place(node) for node in params["nodes"]]
    lost = [_place(node) for node in params.get("without", ())]
    with _peers(manager) as peers:
        peers.await_agreement(places, _deadline(params), progress, without=lost)
    return {"nodes": len(places)}


def cluster_create(manager: Manager, params: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Form one cluster of `nodes`: the first ones become primaries, the others their replicas, `replicas` for each.

    Every part is done only where it is missing, so that an interrupted creation goes on where it was.
    """
    places = [_place(node) for node in params["nodes"]]
    replicas = int(params.get("replicas", 1))
    count = len(places) // (replicas + 1)
    if count < 3:
        raise GuestError(f"{len(places)} nodes with {replicas} replicas each give {count} primaries; 3 are needed")
    deadline = _deadline(params)
    with _peers(manager) as peers:
        views = {place: peers.nodes(place) for place in places}
        for place, view in views.items():
            if strangers := [node for node in view if not node.myself and node.where not in views]:
                raise GuestError(f"{_name(place)} already belongs to a cluster with {_name(strangers[0].where)}")
        progress(f"giving {SLOTS} slots to {count} primaries")
        owned = {slot for view in views.values() for node in view for slot in node.slots}
        for index, place in enumerate(places[:count]):
            _take_slots(peers, place, index, count, owned)
        progress("introducing the nodes to each other")
        _introduce(peers, places, places, deadline)
        ids = {place: myself(peers.nodes(place)).id for place in places}
        progress("appointing replicas")
        for index, place in enumerate(places[count:]):
            _replicate(peers, place, ids[places[index % count]], deadline)
        peers.await_agreement(places, deadline, progress)
    return {"primaries": [ids[place] for place in places[:count]]}


def cluster_failover(manager: Manager, params: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Make this replica the primary of its shard without losing a write, and wait until every node has seen it.

    With `nodes`, all of them must see each other first: votes do not travel over links that are not up.
    """
    here = _here(manager)
    deadline = _deadline(params, 30.0)
    with _peers(manager) as peers:
        places = [_place(node) for node in params.get("nodes", ())] or [node.where for node in peers.nodes(here)]
        links = 0
        view = peers.nodes(here)
        old = next((node for node in view if node.id == myself(view).master_id), None)
        if old is not None:
            peers.await_agreement(places, deadline, progress, roles=False)
            _await_link(peers, here, deadline)
            _await_stream(peers, here, old.where, deadline)
            links = _hurry(manager)
            progress("taking over as primary")
        tries, asked = 0, 0.0
        while not myself(peers.nodes(here)).primary:
            now = time.monotonic()
            if now >= deadline:
                raise GuestError(f"the failover did not succeed in {tries} tries")
            if now - asked > FAILOVER_AGAIN:
                tries, asked = tries + 1, now
                peers.call(here, "CLUSTER", "FAILOVER")
            time.sleep(FAST_POLL)
        # That everybody knows the new owner of the slots is what clients need; that the others also know the old
        # primary as a replica takes gossip up to a second more, and nothing depends on it.
        peers.await_agreement(places, deadline, progress, roles=False, poll=FAST_POLL)
        while old is not None and myself(peers.nodes(old.where)).primary:
            if time.monotonic() >= deadline:
                raise GuestError(f"{_name(old.where)} still believes that it is the primary")
            time.sleep(FAST_POLL)
    return {"tries": tries, "links": links}


def cluster_add(manager: Manager, params: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Add `node` to this node's cluster as `role` master or replica, then of `master` (address) or `master_id`.

    Nodes `without` are out of service and do not matter, even if this node has not noticed it yet.
    """
    new, here = _place(params["node"]), _here(manager)
    deadline = _deadline(params)
    with _peers(manager) as peers:
        view = [node for node in peers.nodes(here) if node.where != new]
        lost = [*(node.where for node in view if node.ill), *(_place(node) for node in params.get("without", ()))]
        places = [node.where for node in view if node.where not in lost]
        strangers = [n for n in peers.nodes(new) if not n.myself and n.where not in (*places, *lost)]
        if strangers:
            raise GuestError(f"{_name(new)} already belongs to a cluster with {_name(strangers[0].where)}")
        progress(f"introducing {_name(new)} to the cluster")
        _introduce(peers, [new], places, deadline)
        if params.get("role", "master") == "replica":
            master = params.get("master_id") or myself(peers.nodes(_place(params["master"]))).id
            progress(f"making {_name(new)} a replica")
            _replicate(peers, new, str(master), deadline)
        peers.await_agreement([*places, new], deadline, progress, without=lost)
        return {"node_id": myself(peers.nodes(new)).id}


def cluster_rebalance(manager: Manager, params: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Spread the slots evenly over all primaries, also those that have none yet."""
    with _peers(manager) as peers:
        return guest_slots.spread(peers, _here(manager), None, progress)


def cluster_drain(manager: Manager, params: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Move all slots of `node` (or `node_id`) to the other primaries; nothing happens when it has none."""
    here = _here(manager)
    with _peers(manager) as peers:
        node = _wanted(peers.nodes(here), params)
        return guest_slots.spread(peers, here, node.id, progress) if node is not None else {"moved": 0}


def cluster_remove(manager: Manager, params: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Make every node forget `node` (or `node_id`); nothing happens when it is unknown.

    Only nodes `without`, out of service for good, are not asked: one that is slow now would bring it back later.

    The removed one is not reset: until it is deleted it goes on showing late clients the way to the others, which do
    not listen to it any more.
    """
    here = _here(manager)
    deadline = _deadline(params)
    with _peers(manager) as peers:
        lost = [_place(node) for node in params.get("without", ())]
        view = peers.nodes(here)
        gone = _wanted(view, params)
        members = [node for node in view if not NO_MEMBER.intersection(node.ill)]
        places = [node.where for node in members if node.where not in lost and node is not gone]
        for place in places:
            # One that has been forgotten here may still be known elsewhere, after an interruption.
            gone = gone or _wanted(peers.nodes(place), params)
        if gone is None:
            return {"forgotten": False}
        if gone.where == here:
            raise GuestError("a node cannot remove itself; ask another one")
        if gone.slot_count:
            raise GuestError(f"{_name(gone.where)} still has {gone.slot_count} slots; drain it first")
        progress(f"making every node forget {_name(gone.where)}")
        for place in places:
            try:
                peers.call(place, "CLUSTER", "FORGET", gone.id)
            except ReplyError as error:
                if "Unknown node" not in str(error):
                    raise
        peers.await_agreement(places, deadline, progress, without=[place for place in lost if place != gone.where])
    return {"forgotten": True, "node_id": gone.id}


# -- parts ------------------------------------------------------------------------------------------------------------


def _take_slots(peers: Peers, place: Any, index: int, count: int, owned: set[int]) -> None:
    """Give the primary of that index its share of the slots nobody owns yet."""
    missing = [slot for slot in range(SLOTS * index // count, SLOTS * (index + 1) // count) if slot not in owned]
    if missing:
        peers.call(place, "CLUSTER", "ADDSLOTS", *missing)
        try:
            # Different from the start, else the nodes settle it by collisions later.
            peers.call(place, "CLUSTER", "SET-CONFIG-EPOCH", index + 1)
        except ReplyError as error:
            # Only a node that knows nobody takes one; after an interruption it has one already.
            if "config epoch" not in str(error).lower():
                raise


def _introduce(peers: Peers, new: list[Any], all_of: list[Any], deadline: float) -> None:
    """Make the new nodes and all others know each other, and wait until they do."""
    for first in new:
        known = {node.where for node in peers.nodes(first)}
        meetings = [("CLUSTER", "MEET", *other) for other in all_of if other != first and other not in known]
        if meetings:
            peers.calls(first, meetings)
    for place in {*new, *all_of}:
        others = {*new, *all_of} - {place}
        while True:
            known = {node.where for node in peers.nodes(place) if not node.ill and node.connected}
            if others <= known:
                break
            if time.monotonic() >= deadline:
                raise GuestError(f"{_name(place)} did not get to know {_name(sorted(others - known)[0])}")
            time.sleep(POLL)


def _replicate(peers: Peers, place: Any, master_id: str, deadline: float) -> None:
    me = myself(peers.nodes(place))
    while me.master_id != master_id:
        try:
            peers.call(place, "CLUSTER", "REPLICATE", master_id)
        except ReplyError as error:
            if time.monotonic() >= deadline:
                raise GuestError(f"{_name(place)} cannot become a replica: {error}") from None
            time.sleep(POLL)
        me = myself(peers.nodes(place))


def _await_link(peers: Peers, here: Any, deadline: float) -> None:
    """A failover may only start on a replica that follows its primary; one that took over meanwhile needs none."""
    while True:
        said = fields(peers.call(here, "INFO", "replication"))
        if said.get("role") == "master" or said.get("master_link_status") == "up":
            return
        if time.monotonic() >= deadline:
            raise GuestError("the link to the primary is down, so taking over could lose writes")
        time.sleep(POLL)


def _await_stream(peers: Peers, here: Any, primary: Any, deadline: float) -> None:
    """Wait until the primary's writes flow to this replica.

    After a full copy it may hear nothing until its first acknowledgement, up to a second, and a failover begun then
    keeps the shard's writers waiting for so long. It could still be done, so this wait never fails.
    """
    target = int(fields(peers.call(primary, "INFO", "replication")).get("master_repl_offset", 0))
    patience = min(deadline, time.monotonic() + STREAM_PATIENCE)
    while time.monotonic() < patience:
        if int(fields(peers.call(here, "INFO", "replication")).get("slave_repl_offset", 0)) >= target:
            return
        time.sleep(FAST_POLL)


def _hurry(manager: Manager) -> int:
    """Let the node's news reach its peers at once; return to how many.

    Asking for votes and then telling the result are two small messages on one connection: the kernel would hold the
    second back for 40 ms, in which the old primary knows nothing of it and no client can write.
    """
    pid = manager.engine.pid
    return 0 if pid is None else send_at_once(pid, manager.settings.engine_port + BUS)


def _wanted(nodes: list[Node], params: dict[str, Any]) -> Node | None:
    """Find the node that the parameters name, by id or by address."""
    place = _place(params["node"]) if "node" in params else None
    for node in nodes:
        if node.id == params.get("node_id") or (place is not None and node.where == place):
            return node
    return None


def _peers(manager: Manager) -> Peers:
    return Peers(guest_config.secret_of(manager.cluster or {}), wide=manager.argv()[0].endswith("valkey-server"))


def _here(manager: Manager) -> Any:
    return manager.settings.address, manager.settings.engine_port


def _place(node: Any) -> Any:
    return str(node["address"]), int(node["port"])


def _name(place: Any) -> str:
    return "{}:{}".format(*place)


def _deadline(params: dict[str, Any], default: float = 60.0) -> float:
    return time.monotonic() + float(params.get("timeout", default))
