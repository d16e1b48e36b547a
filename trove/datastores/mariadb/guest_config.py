"""The engine's configuration file, from the instance's size and its cluster. Pure text; runs on Python 3.9 as well."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

SST_PORT = 4444
IST_PORT = 4568
GROUP_PORT = 4567

GCACHE_MB = 128
"""Writes the members keep for one that is away; one that missed more needs a full copy."""

GROUP_TIMERS = {
    # Measured: how long all writes stall when a member leaves follows from these (docs/galera.md). The agreement on the
    # next group (install) must outlast the suspicion of a dead member: all would lose their quorum otherwise.
    "evs.keepalive_period": "PT0.1S",
    "evs.inactive_check_period": "PT0.1S",
    "evs.join_retrans_period": "PT0.1S",
    "evs.install_timeout": "PT7.5S",
    "evs.suspect_timeout": "PT2S",
    "gmcast.peer_timeout": "PT1S",
}

PROVIDER = "/usr/lib/galera/libgalera_smm.so"


def render(
    paths: Mapping[str, str], address: str, port: int, ram_mb: int, vcpus: int, cluster: Mapping[str, Any] | None
) -> str:
    """Return my.cnf. `paths`: datadir, socket, pid, tmp, log; `cluster`: the topology, None for a single server."""
    options = {
        "datadir": paths["datadir"],
        "socket": paths["socket"],
        "pid-file": paths["pid"],
        "tmpdir": paths["tmp"],
        "log-error": paths["log"],
        # Health checks of the endpoint connect without a word; that is not worth a line each.
        "log-warnings": "1",
        "bind-address": address,
        "port": str(port),
        "skip-name-resolve": "ON",
        # Fixed, because each release has defaults of its own and a cluster has two of them during an upgrade.
        "character-set-server": "utf8mb4",
        "collation-server": "utf8mb4_general_ci",
        "max-connections": str(max_connections(ram_mb)),
        "table-open-cache-instances": str(max(1, min(8, vcpus))),
        "innodb-buffer-pool-size": f"{buffer_pool_mb(ram_mb)}M",
        # The size the images' templates have: another one would be made anew at the first start.
        "innodb-log-file-size": "48M",
        # An acknowledged write is on disk. In a cluster too: its members may share one machine and so one power cut.
        "innodb-flush-log-at-trx-commit": "1",
    }
    if cluster is not None:
        options.update(_galera(paths, address, port, vcpus, cluster))
    return "[mysqld]\n" + "".join(f"{name} = {value}\n" for name, value in options.items())


def node_name(name: str) -> str:
    """Return a member's name as Galera and its configuration file take it; different names stay different."""
    return re.sub(r"[^A-Za-z0-9.-]", lambda found: f"_{ord(found.group()):x}_", name)


def max_connections(ram_mb: int) -> int:
    """Return how many clients fit into the memory: one for 4 MB, between 50 and 2000."""
    return max(50, min(2000, ram_mb // 4))


def buffer_pool_mb(ram_mb: int) -> int:
    """Return the room for data in memory, MB: about half, in pieces of 128 MB once there is one."""
    pool = max(32, (ram_mb - 192) * 6 // 10)
    return pool if pool < 128 else pool // 128 * 128


def _galera(
    paths: Mapping[str, str], address: str, port: int, vcpus: int, cluster: Mapping[str, Any]
) -> dict[str, str]:
    provider = {
        "gmcast.listen_addr": f"tcp://{address}:{GROUP_PORT}",
        "ist.recv_addr": f"{address}:{IST_PORT}",
        "gcache.size": f"{GCACHE_MB}M",
        **GROUP_TIMERS,
    }
    return {
        "binlog-format": "ROW",
        "default-storage-engine": "InnoDB",
        "innodb-autoinc-lock-mode": "2",
        "wsrep-on": "ON",
        "wsrep-provider": PROVIDER,
        "wsrep-provider-options": '"' + ";".join(f"{name}={value}" for name, value in provider.items()) + '"',
        "wsrep-cluster-name": str(cluster["name"]),
        "wsrep-cluster-address": "gcomm://" + ",".join(str(peer) for peer in cluster["peers"]),
        "wsrep-node-name": node_name(str(cluster["node"])),
        "wsrep-node-address": address,
        "wsrep-node-incoming-address": f"{address}:{port}",
        "wsrep-sst-method": "rsync",
        "wsrep-sst-receive-address": f"{address}:{SST_PORT}",
        "wsrep-slave-threads": str(max(4, min(16, 2 * vcpus))),
    }
