"""Configuration and access list of a Redis or Valkey engine, as text."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from trove.guest.agent.errors import GuestError
from trove.guest.agent.settings import Settings

AGENT_USER = "_trove_agent"
"""The agent's own user; its random password never leaves the instance."""
CLUSTER_USER = "_trove_cluster"
"""The user of nodes among each other and of agents at other nodes; its password is the cluster's secret."""

MEMORY_SHARE = 0.75
"""Part of the instance's memory for data; the rest is for buffers, the copy-on-write of forks, and the agent."""

NODE_TIMEOUT_MS = 2000


def config(settings: Settings, version: tuple[int, ...], cluster: Mapping[str, Any] | None, passwords: str) -> str:
    """Return the configuration file. `passwords` is the path of the access list."""
    lines: list[tuple[str, Any]] = [
        ("bind", settings.address),
        ("port", settings.engine_port),
        ("protected-mode", "no"),
        ("daemonize", "no"),
        ("supervised", "no"),
        ("dir", settings.engine_dir),
        ("logfile", settings.kept("engine.log")),
        ("aclfile", passwords),
        ("maxmemory", f"{int(settings.ram_mb * MEMORY_SHARE)}mb"),
        ("maxmemory-policy", "noeviction"),
        # The append-only file has every acknowledged write; snapshots beside it would only cost.
        ("appendonly", "yes"),
        ("appendfsync", "everysec"),
        ("save", ""),
        ("repl-diskless-sync", "yes"),
        ("repl-diskless-sync-delay", 0),
    ]
    if cluster is not None:
        lines += [
            ("cluster-enabled", "yes"),
            ("cluster-config-file", "nodes.conf"),
            ("cluster-node-timeout", NODE_TIMEOUT_MS),
            # Peers would otherwise take the address a connection comes from, on one host 127.0.0.1 for all nodes.
            ("cluster-announce-ip", settings.address),
            # Replicas stay where the plan has put them.
            ("cluster-migration-barrier", 1000),
            ("masteruser", CLUSTER_USER),
            ("masterauth", secret_of(cluster)),
        ]
        if version >= (7,):
            lines.append(("bind-source-addr", settings.address))
            lines.append(("cluster-allow-replica-migration", "no"))
    return "".join(f"{name} {quoted(str(value))}\n" for name, value in lines)


def secret_of(cluster: Mapping[str, Any]) -> str:
    """Return the cluster's secret; GuestError where the topology lacks it."""
    secret = cluster.get("secret")
    if not isinstance(secret, str) or not secret:
        raise GuestError("the cluster's topology has no secret")
    return secret


def quoted(value: str) -> str:
    """Quote a value so that the configuration file's reader gets exactly these bytes back."""
    plain = "".join(
        chr(byte) if 32 <= byte < 127 and byte not in b'"\\' else f"\\x{byte:02x}" for byte in value.encode()
    )
    return f'"{plain}"'


def access_list(
    kept: str, users: Sequence[Mapping[str, Any]], internal: Mapping[str, str], version: tuple[int, ...]
) -> str:
    """Return the access list: internal users (name to password), the instance's users, and what `kept` has besides.

    Without users the engine's default user stays open, as in an engine out of the box; with users it is switched off.
    `kept` is the present list: users that were made through the engine stay. Raises GuestError for an unusable name.
    """
    rights = "~* &* +@all" if version >= (6, 2) else "~* +@all"
    ours = {name: f"on #{_digest(password)} {rights}" for name, password in internal.items()}
    for user in users:
        ours[_usable(user.get("name"))] = f"on #{_digest(str(user.get('password') or ''))} {rights}"
    if users:
        # Redis 6.0 asks the switched-off user for the right to say HELLO, with which clients log in.
        ours["default"] = "off" if version >= (6, 2) else "off +hello"
    foreign = [
        line
        for line in kept.splitlines()
        if len(line.split()) > 2 and line.split()[0] == "user" and line.split()[1] not in {*ours, "default"}
    ]
    return "".join(f"user {name} {rule}\n" for name, rule in ours.items()) + "".join(f"{line}\n" for line in foreign)


def _usable(name: Any) -> str:
    if not isinstance(name, str) or not name or any(char.isspace() or char == "\0" for char in name):
        raise GuestError(f"{name!r} cannot be a user's name: the engine takes no empty names, spaces or line ends")
    if name in (AGENT_USER, CLUSTER_USER):
        raise GuestError(f"{name} is a name of the service's own")
    return name


def _digest(password: str) -> str:
    return hashlib.sha256(password.encode()).hexdigest()
