"""MariaDB: releases, the moves between them, and what a rolling upgrade of a Galera cluster costs."""

from trove.domain.datastores import Engine, Release, UpgradePath

MARIADB = Engine(
    family="mariadb",
    releases=(
        Release("mariadb", "10.5", "mariadb-10.5"),
        Release("mariadb", "10.11", "mariadb-10.11"),
        Release("mariadb", "11.8", "mariadb-11.8"),
    ),
    # Galera members of adjacent long-term releases work together; a data directory never goes back.
    paths=(
        UpgradePath(("mariadb", "10.5"), ("mariadb", "10.11")),
        UpgradePath(("mariadb", "10.11"), ("mariadb", "11.8")),
    ),
    port=3306,
    cluster_kind="galera",
    min_cluster_members=3,
    has_endpoint=True,
    expected_gap_ms=450,
    single_gap_ms=8000,
    parameters=frozenset(
        {
            "innodb_buffer_pool_size",
            "innodb_flush_log_at_trx_commit",
            "innodb_lock_wait_timeout",
            "interactive_timeout",
            "long_query_time",
            "max_allowed_packet",
            "max_connections",
            "slow_query_log",
            "sort_buffer_size",
            "wait_timeout",
        }
    ),
)
