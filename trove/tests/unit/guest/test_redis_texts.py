"""What Redis and Valkey guests write and read: configuration, access lists, CLUSTER NODES, slot plans."""

from __future__ import annotations

import hashlib
import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trove.datastores.redis import guest, guest_config, guest_nodes
from trove.guest.agent.errors import GuestError

V6, V7 = (6, 0, 16), (7, 0, 15)


def unquote(text: str) -> bytes:
    """Read a quoted value as the engine does."""
    assert text.startswith('"')
    assert text.endswith('"')
    return re.sub(rb"\\x([0-9a-f]{2})", lambda found: bytes([int(found[1], 16)]), text[1:-1].encode())


@given(st.text())
def test_any_value_survives_quoting(value):
    quoted = guest_config.quoted(value)
    assert unquote(quoted) == value.encode()
    assert "\n" not in quoted
    assert quoted.isascii()


def test_users_close_the_default_one_and_passwords_are_only_hashes():
    users = [{"name": "ann", "password": "very secret"}]
    text = guest_config.access_list("", users, {"_trove_agent": "x"}, V7)
    digest = hashlib.sha256(b"very secret").hexdigest()
    assert f"user ann on #{digest} ~* &* +@all\n" in text
    assert "user default off\n" in text
    assert "very secret" not in text
    assert "&*" not in guest_config.access_list("", users, {}, V6)
    assert "default" not in guest_config.access_list("", [], {"_trove_agent": "x"}, V7)


def test_what_was_made_in_the_engine_is_kept_and_what_is_ours_is_renewed():
    kept = "user bob on #aa ~* +get\nuser ann on #old ~* +@all\nuser default off\n\nnonsense\n"
    text = guest_config.access_list(kept, [{"name": "ann", "password": "p"}], {"_trove_agent": "x"}, V7)
    lines = text.splitlines()
    assert "user bob on #aa ~* +get" in lines
    assert sum(line.startswith("user ann ") for line in lines) == 1
    assert "#old" not in text


@pytest.mark.parametrize("name", ["", "two words", "tab\tname", "nul\0", None, 7, "_trove_agent", "_trove_cluster"])
def test_names_the_engine_or_the_service_cannot_have(name):
    with pytest.raises(GuestError):
        guest_config.access_list("", [{"name": name, "password": "p"}], {}, V7)


def node(number: int, flags: str = "master", master: str = "-", slots: str = "", **other: str) -> str:
    link = other.get("link", "connected")
    return f"id{number} 127.0.0.{number}:6379@16379{other.get('more', '')} {flags} {master} 0 0 {number} {link} {slots}"


def test_a_line_is_read_as_the_engine_means_it():
    line = node(1, "myself,master", slots="0-100 5 [7->-id2] [8-<-id3]", more=",host,shard-id=abc")
    one = guest_nodes.parse(line)[0]
    assert (one.where, one.myself, one.primary, one.slot_count) == (("127.0.0.1", 6379), True, True, 102)
    assert one.slots[-1] == 5
    assert one.moving == [(7, ">", "id2"), (8, "<", "id3")]
    replica = guest_nodes.parse(node(2, "slave,fail?", "id1", link="disconnected"))[0]
    assert (replica.primary, replica.master_id, replica.ill, replica.connected) == (False, "id1", ["fail?"], False)


def whole(**changed: str) -> str:
    """Let two nodes speak of each other, one of them with a change, and return what is wrong."""

    def view(who: int) -> str:
        flags = {1: "master", 2: "slave"}
        flags[who] = f"myself,{flags[who]}"
        lines = [node(1, flags[1], slots="0-16383"), node(2, flags[2], "id1")]
        return "\n".join(lines)

    texts = {1: view(1), 2: view(2)}
    if "replace" in changed:
        texts[1] = texts[1].replace(changed["replace"], changed["by"])
    views = {("127.0.0.1", 6379): guest_nodes.parse(texts[1]), ("127.0.0.2", 6379): guest_nodes.parse(texts[2])}
    states = {place: changed.get("state", "ok") for place in views}
    lost = [("127.0.0.9", 6379)] if "without" in changed else []
    return guest_nodes.disagreement(views, states, roles="anyhow" not in changed, without=lost)


def test_agreement_and_every_reason_against_it():
    assert whole() == ""
    assert "does not know 127.0.0.2:6379" in whole(replace="127.0.0.2:6379", by=":0")
    assert "still knows 127.0.0.9:6379" in whole(
        replace="slave id1", by="slave id1 0 0 2 connected\nid9 127.0.0.9:6379@1 slave id1"
    )
    lost = "slave id1 0 0 2 connected\nid9 127.0.0.9:6379@1 slave,fail id1"
    assert whole(replace="slave id1", by=lost, without="") == ""
    assert "as fail?" in whole(replace="slave", by="slave,fail?")
    assert "does not know" in whole(replace="slave", by="handshake")
    assert "no link" in whole(replace="2 connected", by="2 disconnected")
    assert "cluster_state fail" in whole(state="fail")
    assert "other roles" in whole(replace="slave id1", by="slave -")
    assert whole(replace="slave id1", by="slave -", anyhow="") == ""
    assert "other roles" in whole(replace="0-16383", by="0-16382", anyhow="")


@given(st.lists(st.integers(0, 400), min_size=1, max_size=6), st.integers(1, 6))
def test_slots_end_up_even_with_no_needless_move(counts, takers):
    owned, first = {}, 0
    for index, count in enumerate(counts):
        owned[f"n{index}"] = list(range(first, first + count))
        first += count
    names = [f"n{index}" for index in range(takers)]
    moves = guest_nodes.even_moves(owned, names)
    after = {name: set(slots) for name, slots in owned.items()}
    for slot, source, target in moves:
        assert source != target
        after[source].remove(slot)
        after.setdefault(target, set()).add(slot)
    sizes = [len(after.get(name, ())) for name in names]
    assert max(sizes) - min(sizes) <= 1
    assert sum(sizes) == first
    assert len({slot for slot, *_ in moves}) == len(moves)
    assert len(moves) == sum(max(0, len(slots) - len(after[name])) for name, slots in owned.items())


@given(st.sets(st.integers(0, 60)))
def test_ranges_hold_exactly_the_slots(slots):
    found = guest_nodes.ranges(slots)
    assert {slot for first, last in found for slot in range(first, last + 1)} == slots
    assert all(after[0] > before[1] + 1 for before, after in pairwise(found))


def test_health_prefers_the_version_that_valkey_is_over_the_one_it_pretends_to_be():
    info = {"redis_version": "7.2.4", "valkey_version": "8.1.1", "role": "master", "loading": "0"}
    seen = guest.describe(info, [])
    assert (seen["version"], seen["role"], seen["in_sync"], seen["members_seen"]) == ("8.1.1", "primary", True, None)


@pytest.mark.parametrize(
    ("info", "reason"),
    [
        ({"role": "slave", "master_link_status": "down"}, "link to the primary is down"),
        ({"role": "slave", "master_link_status": "up", "master_sync_in_progress": "1"}, "copying"),
        ({"role": "master", "loading": "1"}, "loading"),
    ],
)
def test_what_is_not_in_sync_says_why(info, reason):
    seen = guest.describe(info, [])
    assert not seen["in_sync"]
    assert reason in seen["reason"]


def test_lag_is_what_a_replica_has_read_and_not_yet_applied():
    info = {"role": "slave", "master_link_status": "up", "slave_read_repl_offset": "10", "slave_repl_offset": "7"}
    assert guest.describe(info, [])["lag_bytes"] == 3
    assert guest.describe({"role": "master"}, [])["lag_bytes"] is None


def test_redirections_are_counted_where_the_engine_counts_them():
    assert guest.redirections({"errorstat_MOVED": "count=5"}) == 5
    assert guest.redirections({}) == 0
