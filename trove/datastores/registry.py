"""Every engine the service knows, in one table."""

from __future__ import annotations

from collections import deque

from trove.datastores.mariadb.manifest import MARIADB
from trove.datastores.redis.manifest import REDIS
from trove.domain.datastores import Engine, VersionKey

ENGINES: tuple[Engine, ...] = (MARIADB, REDIS)


def engine_of(datastore: str) -> Engine:
    """Find the engine family of a datastore; raises KeyError."""
    for engine in ENGINES:
        if datastore in engine.datastores:
            return engine
    raise KeyError(datastore)


def upgrade_hops(engine: Engine, source: VersionKey, target: VersionKey) -> tuple[VersionKey, ...]:
    """Return the releases to pass through, without the source, or () where no path leads to the target.

    The shortest way along the engine's own table; a direct move wins over a longer one.
    """
    queue: deque[tuple[VersionKey, ...]] = deque([(source,)])
    seen = {source}
    while queue:
        way = queue.popleft()
        if way[-1] == target:
            return way[1:]
        for path in engine.paths:
            if path.source == way[-1] and path.target not in seen:
                seen.add(path.target)
                queue.append((*way, path.target))
    return ()
