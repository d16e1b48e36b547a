"""Redis and Valkey through their guests: alone, as a cluster, and across releases, with writers that never rest."""

from __future__ import annotations

import time
from itertools import pairwise
from pathlib import Path

import pytest
import redis
from redis.cluster import RedisCluster

from trove.domain.states import EngineStatus
from trove.tests.engines.guests import AGENT, REDIS, TOPOLOGY, Failed, GuestLab, wait_for
from trove.workload.controller import Workload

pytestmark = pytest.mark.engine

SIX = (1, 2, 3, 4, 5, 6)


@pytest.fixture
def lab(tmp_path):
    made = GuestLab(tmp_path / "state")
    yield made
    made.close()


def form(lab: GuestLab, recipe: str, **params) -> None:
    lab.make_cluster(recipe, SIX, **params)
    lab.run(1, "cluster_create", nodes=lab.nodes(SIX), replicas=1)
    for number in SIX:
        lab.run(number, "await_sync", timeout=30)


def write_to(lab: GuestLab, numbers=SIX, **options) -> Workload:
    return Workload.start("redis_cluster", nodes=[(lab.address(number), 6379) for number in numbers], **options)


def roles(lab: GuestLab, numbers=SIX) -> dict[int, str]:
    return {number: lab.health(number).role for number in numbers}


def primary_of(lab: GuestLab, replica: int, numbers=SIX) -> int:
    wanted = lab.health(replica).detail["master_id"]
    return next(number for number in numbers if lab.health(number).detail["node_id"] == wanted)


def may_reach_into_children() -> bool:
    """Whether the host lets a parent have its child's files, which makes failovers faster."""
    scope = Path("/proc/sys/kernel/yama/ptrace_scope")
    return not scope.exists() or scope.read_text().strip() in ("0", "1")


def nothing_lost(workload: Workload) -> None:
    report = workload.stop()
    checked = workload.verify()
    assert checked.ok, f"lost: {checked.lost}, differing: {checked.differing}"
    assert report.acknowledged > 100
    assert report.errors_with_retry == 0


@pytest.mark.parametrize(
    "path", [("redis-6.0", "redis-7.0", "redis-8.0"), ("redis-7.0", "valkey-8.1", "valkey-9.1")], ids=" ".join
)
def test_a_single_engine_keeps_data_and_users_across_releases(lab, path):
    name, password = "ann", 'pä ss"\\w\x01ord'
    lab.boot(path[0])
    lab.prepare(users=[{"name": name, "password": password}])
    client = redis.Redis(lab.address(1), 6379, username=name, password=password, decode_responses=True)
    for number in range(500):
        client.set(f"k{number}", number)
    for source, target in pairwise(path):
        seen = lab.upgrade(1, source, target)
        assert seen["version_number"].startswith(target.partition("-")[2])
        assert seen["role"] == "primary"
        assert client.dbsize() == 500
        assert client.get("k499") == "499"
        # Subscribing needs a right that older releases did not know.
        subscription = client.pubsub()
        subscription.subscribe("news")
        assert subscription.get_message(timeout=5)["type"] == "subscribe"
        subscription.close()
    with pytest.raises(redis.AuthenticationError):
        redis.Redis(lab.address(1), 6379).ping()
    with pytest.raises(redis.AuthenticationError):
        redis.Redis(lab.address(1), 6379, username=name, password="wrong").ping()


def test_without_users_the_engine_is_open_as_out_of_the_box(lab):
    lab.boot("redis-7.0", ram_mb=100)
    lab.prepare()
    client = redis.Redis(lab.address(1), 6379)
    assert client.ping()
    assert client.config_get("maxmemory") == {"maxmemory": str(75 << 20)}
    assert lab.run(1, "drain", timeout=5) == {}


def test_a_name_the_engine_cannot_take_is_refused_in_words(lab):
    lab.boot("redis-7.0")
    with pytest.raises(Failed, match="cannot be a user's name"):
        lab.prepare(users=[{"name": "two words", "password": "x"}])
    with pytest.raises(Failed, match="name of the service's own"):
        lab.prepare(users=[{"name": "_trove_agent", "password": "x"}])
    with pytest.raises(Failed, match="no secret"):
        lab.prepare(cluster={"kind": "redis_cluster"})


def test_users_made_in_the_engine_stay_when_the_service_adds_its_own(lab):
    lab.boot("redis-7.0")
    lab.prepare()
    client = redis.Redis(lab.address(1), 6379)
    client.acl_setuser("bob", enabled=True, passwords=["+pw"], keys=["*"], commands=["+get"])
    client.acl_save()
    lab.prepare(users=[{"name": "ann", "password": "x"}])
    assert redis.Redis(lab.address(1), 6379, username="bob", password="pw").get("k") is None
    assert redis.Redis(lab.address(1), 6379, username="ann", password="x").ping()


@pytest.mark.parametrize(
    ("source", "target"),
    [("redis-7.0", "redis-8.0"), ("redis-6.0", "redis-7.0"), ("redis-7.0", "valkey-8.1"), ("valkey-8.1", "valkey-9.1")],
)
def test_a_cluster_moves_to_a_new_release_under_load(lab, source, target):
    form(lab, source, users=[{"name": "ann", "password": "s p"}])
    before = roles(lab)
    assert sorted(before.values()) == ["primary"] * 3 + ["replica"] * 3
    replicas = [number for number in SIX if before[number] == "replica"]
    with write_to(lab, user="ann", password="s p") as workload:
        started = time.monotonic()
        for number in replicas:
            lab.upgrade(number, source, target, SIX)
        for number in replicas:
            old = primary_of(lab, number)
            order = lab.order()
            done = lab.operation(number, "cluster_failover", order=order, nodes=lab.nodes(SIX), timeout=30)
            assert done.status == "SUCCEEDED", done.error
            assert done.result["links"] == 5 or not may_reach_into_children()
            # Asked again, also as a new order, there is nothing left to do.
            again = lab.run(number, "cluster_failover", nodes=lab.nodes(SIX), timeout=30)
            assert again == {"tries": 0, "links": 0}
            assert (lab.health(number).role, lab.health(old).role) == ("primary", "replica")
            lab.upgrade(old, source, target, SIX)
        took = time.monotonic() - started
        nothing_lost(workload)
        report = workload.report()
        print(f"\n{source} -> {target}: {took:.2f} s, longest gap {report.longest_gap_ms:.0f} ms, {report.errors}")
    number = target.partition("-")[2]
    for seen in (lab.health(member) for member in SIX):
        assert seen.healthy
        assert seen.version_number.startswith(number)
        assert (seen.members_seen, seen.detail["cluster_state"]) == (6, "ok")
    # Far above what it takes (docs/redis.md), so that a busy machine does not fail it.
    assert report.longest_gap_ms < 2000


def test_a_cluster_is_formed_once_and_only_of_nodes_that_are_free(lab):
    lab.make_cluster("redis-7.0", (*SIX, 7))
    with pytest.raises(Failed, match="3 are needed"):
        lab.run(1, "cluster_create", nodes=lab.nodes((1, 2, 3)), replicas=1)
    made = lab.run(1, "cluster_create", nodes=lab.nodes(SIX), replicas=1)
    assert lab.run(2, "cluster_create", nodes=lab.nodes(SIX), replicas=1) == made
    with pytest.raises(Failed, match="already belongs to a cluster"):
        lab.run(7, "cluster_create", nodes=lab.nodes((7, 2, 3, 4, 5, 6)), replicas=1)
    slots = [lab.health(number).detail["slots"] for number in (1, 2, 3)]
    assert sum(slots) == 16384
    assert max(slots) - min(slots) <= 1
    shard = lab.health(4).detail["shards"]
    assert sorted(len(one["replicas"]) for one in shard) == [1, 1, 1]


def test_an_interrupted_creation_goes_on_where_it_was(lab):
    lab.make_cluster("redis-7.0", SIX)
    order = lab.order()
    lab.operation(1, "cluster_create", order=order, nodes=lab.nodes(SIX), replicas=1, wait=0.05)
    lab.kill(1, AGENT)
    lab.up(1)
    done = lab.operation(1, "cluster_create", order=order, nodes=lab.nodes(SIX), replicas=1)
    assert done.status == "SUCCEEDED", done.error
    lab.run(6, "await_cluster", nodes=lab.nodes(SIX), timeout=10)


def test_waiting_for_agreement_ends_with_the_reason(lab):
    form(lab, "redis-7.0")
    lab.run(6, "stop")
    failed = lab.operation(1, "await_cluster", nodes=lab.nodes(SIX), timeout=0.2)
    assert failed.status == "FAILED"
    assert f"{lab.address(6)}:6379" in failed.error
    lab.run(6, "start", cluster=TOPOLOGY)
    lab.run(1, "await_cluster", nodes=lab.nodes(SIX), timeout=30)
    lab.run(6, "await_sync", timeout=30, role="replica")


@pytest.mark.parametrize("recipe", ["redis-7.0", "valkey-9.1"])
def test_a_cluster_grows_and_shrinks_under_load(lab, recipe):
    form(lab, recipe)
    eight = (*SIX, 7, 8)
    client = RedisCluster(host=lab.address(1), port=6379, decode_responses=True)
    for number in range(3000):
        client.set(f"k{number}", number)
    client.close()
    # No writers yet: redis-py fails with AttributeError when it is sent (ASK) to a node it has not heard of.
    lab.make_cluster(recipe, (7, 8))
    for _ in range(2):
        lab.run(1, "cluster_add", node=lab.node(7), role="master")
        lab.run(1, "cluster_add", node=lab.node(8), role="replica", master=lab.node(7))
    order = lab.order()
    lab.operation(1, "cluster_rebalance", order=order, wait=0.05)
    # The agent dies with slots half moved.
    lab.kill(1, AGENT)
    lab.up(1)
    done = lab.operation(1, "cluster_rebalance", order=order)
    assert done.status == "SUCCEEDED", done.error
    lab.run(2, "await_cluster", nodes=lab.nodes(eight), timeout=30)
    for number in (7, 8):
        lab.run(number, "await_sync", timeout=30)
    slots = {number: lab.health(number).detail["slots"] for number in eight if lab.health(number).role == "primary"}
    assert slots == {1: 4096, 2: 4096, 3: 4096, 7: 4096}
    assert primary_of(lab, 8, eight) == 7
    assert lab.run(1, "cluster_rebalance")["moved"] == 0
    client = RedisCluster(host=lab.address(1), port=6379, decode_responses=True)
    assert all(client.get(f"k{number}") == str(number) for number in range(3000))

    with write_to(lab) as workload:
        with pytest.raises(Failed, match="drain it first"):
            lab.run(1, "cluster_remove", node=lab.node(7))
        assert lab.run(1, "cluster_drain", node=lab.node(7))["moved"] == 4096
        assert lab.run(1, "cluster_drain", node=lab.node(7))["moved"] == 0
        lab.run(1, "cluster_remove", node_id=lab.health(8).detail["node_id"])
        gone = lab.health(7).detail["node_id"]
        assert lab.run(1, "cluster_remove", node_id=gone)["forgotten"]
        assert not lab.run(1, "cluster_remove", node_id=gone)["forgotten"]
        for number in (7, 8):
            lab.compute.delete(f"inst-{number}", lab.order())
        lab.run(3, "await_cluster", nodes=lab.nodes(SIX), timeout=30)
        nothing_lost(workload)
    client = RedisCluster(host=lab.address(1), port=6379, decode_responses=True)
    assert all(client.get(f"k{number}") == str(number) for number in range(3000))
    client.close()


def test_a_node_takes_the_place_of_one_that_is_gone_before_the_others_have_noticed(lab):
    form(lab, "redis-8.0")
    lab.make_cluster("redis-8.0", (7,))
    gone = lab.node(6)
    staying = (1, 2, 3, 4, 5, 7)
    with write_to(lab) as workload:
        primary = primary_of(lab, 6)
        lab.compute.delete("inst-6", lab.order())
        lab.run(
            1, "cluster_add", node=lab.node(7), role="replica", master=lab.node(primary), without=[gone], timeout=20
        )
        lab.run(1, "await_cluster", nodes=lab.nodes(staying), without=[gone], timeout=20)
        assert lab.run(1, "cluster_remove", node=gone, without=[gone], timeout=20)["forgotten"]
        lab.run(1, "await_cluster", nodes=lab.nodes(staying), timeout=20)
        nothing_lost(workload)


def test_an_upgraded_replica_goes_back_to_the_old_release(lab):
    form(lab, "redis-7.0")
    replica = next(number for number in SIX if roles(lab)[number] == "replica")
    identity = lab.health(replica).detail["node_id"]
    with write_to(lab) as workload:
        lab.upgrade(replica, "redis-7.0", "redis-8.0", SIX)
        # What the newer release wrote, the older one cannot read; a full copy from the primary is the way back.
        lab.boot("redis-7.0", replica)
        lab.run(replica, "reseed", cluster=TOPOLOGY, donors=[])
        lab.run(replica, "await_sync", version_prefix="7.0", role="replica", timeout=60)
        lab.run(replica, "await_cluster", nodes=lab.nodes(SIX), timeout=60)
        seen = lab.health(replica)
        assert (seen.detail["node_id"], seen.version_number[:3]) == (identity, "7.0")
        # And forward again: nothing strange is left in the node's own file.
        lab.upgrade(replica, "redis-7.0", "redis-8.0", SIX)
        nothing_lost(workload)


def test_a_replica_stops_at_once_even_while_it_writes_its_first_append_only_file(lab):
    form(lab, "redis-7.0")
    replica = next(number for number in SIX if roles(lab)[number] == "replica")
    client = redis.Redis(lab.address(primary_of(lab, replica)), 6379)
    name = next(f"{{{tag}}}" for tag in range(1000) if owns(client, f"{{{tag}}}"))
    client.hset(name, mapping={str(field): "x" * 1000 for field in range(20_000)})
    for _ in range(3):
        started = time.monotonic()
        lab.run(replica, "restart", cluster=TOPOLOGY)
        lab.run(replica, "await_sync", timeout=30)
        lab.run(replica, "stop")
        assert time.monotonic() - started < 9
        lab.run(replica, "start", cluster=TOPOLOGY)
        lab.run(replica, "await_sync", timeout=30)
    log = lab.compute._layout.instances / f"inst-{replica}" / "data/agent/engine.log"
    assert "Writing initial AOF, can't exit" in log.read_text()


def owns(client: redis.Redis, key: str) -> bool:
    try:
        client.get(key)
    except redis.ResponseError:
        return False
    return True


def test_a_killed_node_comes_back_by_itself(lab):
    form(lab, "redis-7.0")
    replica = next(number for number in SIX if roles(lab)[number] == "replica")
    with write_to(lab) as workload:
        lab.kill(replica, REDIS)
        wait_for(lambda: lab.health(replica).healthy, "the replica is back and in sync")
        lab.run(1, "await_cluster", nodes=lab.nodes(SIX), timeout=30)
        nothing_lost(workload)


def test_a_failover_without_a_link_to_the_primary_is_not_tried(lab):
    form(lab, "redis-7.0")
    replica = next(number for number in SIX if roles(lab)[number] == "replica")
    primary = primary_of(lab, replica)
    lab.run(primary, "stop")
    failed = lab.operation(replica, "cluster_failover", nodes=lab.nodes(SIX), timeout=0.2)
    assert failed.status == "FAILED"
    lab.run(primary, "start", cluster=TOPOLOGY)
    assert lab.health(primary).status is EngineStatus.HEALTHY


def test_a_primary_that_is_stopped_keeps_every_acknowledged_write(lab):
    form(lab, "redis-7.0")
    client = RedisCluster(host=lab.address(1), port=6379, decode_responses=True)
    for number in range(3000):
        client.set(f"k{number}", number)
    for number in SIX:
        lab.run(number, "restart", cluster=TOPOLOGY)
    for number in SIX:
        lab.run(number, "await_sync", timeout=60)
    assert all(client.get(f"k{number}") == str(number) for number in range(3000))
    client.close()
