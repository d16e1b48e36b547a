"""Redis and Valkey: one family, because each later line reads what the earlier ones write.

A path is offered only where a full resync from the source to the target was seen to work; Redis 8 and Valkey
have diverged, so there is no way between them.
"""

from trove.domain.datastores import Engine, Release, UpgradePath

_FEEDS: dict[tuple[str, str], tuple[tuple[str, str], ...]] = {
    ("redis", "6.0"): (("redis", "7.0"), ("redis", "8.0"), ("valkey", "8.1"), ("valkey", "9.1")),
    ("redis", "7.0"): (("redis", "8.0"), ("valkey", "8.1"), ("valkey", "9.1")),
    ("valkey", "8.1"): (("valkey", "9.1"),),
}

REDIS = Engine(
    family="redis",
    releases=(
        Release("redis", "6.0", "redis-6.0"),
        Release("redis", "7.0", "redis-7.0"),
        Release("redis", "8.0", "redis-8.0"),
        Release("valkey", "8.1", "valkey-8.1"),
        Release("valkey", "9.1", "valkey-9.1"),
    ),
    paths=tuple(UpgradePath(source, target) for source, targets in _FEEDS.items() for target in targets),
    port=6379,
    cluster_kind="redis_cluster",
    min_cluster_members=6,
    has_endpoint=False,
    expected_gap_ms=90,
    single_gap_ms=1500,
    parameters=frozenset({"maxmemory", "maxmemory-policy", "timeout", "tcp-keepalive", "slowlog-log-slower-than"}),
)
