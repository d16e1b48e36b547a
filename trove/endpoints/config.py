"""Render the HAProxy configuration of one endpoint: pure text, no I/O.

Why it looks as it does is in docs/decisions/haproxy-sticks.md.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from trove.domain.ports import Backend, EndpointSpec

BACKEND = "members"
FRONTEND = "clients"
SOCKET = "admin.sock"
"""Relative on purpose: a state directory may be longer than the 108 bytes a socket path may have."""

CLIENT_TIMEOUT = "24h"
CHECKS = (
    "inter 300ms fastinter 100ms downinter 300ms fall 2 rise 2 check observe layer4 error-limit 1 "
    "on-error sudden-death on-marked-down shutdown-sessions"
)


@dataclass(frozen=True)
class Limits:
    """What depends on the host: simultaneous connections, the account to run as, and seconds an old process lingers."""

    maxconn: int = 4000
    user: str | None = None
    group: str | None = None
    linger: int = 3600


def server_name(backend: str) -> str:
    """Return the name of a backend as HAProxy accepts it; different names stay different."""
    return re.sub(r"[^A-Za-z0-9.-]", lambda match: f"_{ord(match.group()):x}_", backend)


def render(spec: EndpointSpec, limits: Limits, leader: str | None = None) -> str:
    """Return the configuration in which `leader` (default: the spec's active backend) takes the first connection."""
    leader = leader or spec.active
    lines = [
        "# Written by trove; changes are overwritten.",
        "global",
        f"    stats socket unix@{SOCKET} mode 600 level admin expose-fd listeners",
        "    stats timeout 10s",
        f"    maxconn {limits.maxconn}",
        f"    hard-stop-after {limits.linger}s",
        "    nbthread 1",
        # Without it a second process could share the port unnoticed; reloads hand the socket over instead.
        "    noreuseport",
    ]
    if limits.user:
        lines.append(f"    user {limits.user}")
    if limits.group:
        lines.append(f"    group {limits.group}")
    lines += [
        "",
        "defaults",
        "    mode tcp",
        "    timeout connect 1s",
        "    timeout check 2s",
        f"    timeout client {CLIENT_TIMEOUT}",
        f"    timeout server {CLIENT_TIMEOUT}",
        "    timeout queue 10s",
        "    option clitcpka",
        "    option srvtcpka",
        "    option redispatch 1",
        "    retries 3",
        "",
        f"frontend {FRONTEND}",
        f"    bind {spec.address}:{spec.port}",
        f"    default_backend {BACKEND}",
        "",
        f"backend {BACKEND}",
        # One entry for everybody: whoever took over keeps the traffic when the old one returns. The table is larger
        # than one, because HAProxy needs room for the new entry before it updates the old one.
        "    stick-table type ip size 100 nopurge",
        "    stick on dst",
        f"    default-server {CHECKS}",
    ]
    for number, backend in enumerate(spec.backends, start=1):
        line = f"    server {server_name(backend.name)} {backend.address}:{backend.port} id {number}"
        if backend.name != leader:
            line += " backup"
        if backend.state == "maint":
            line += " disabled"
        lines.append(line)
    return "\n".join(lines) + "\n"


def shape(spec: EndpointSpec) -> tuple[Any, ...]:
    """Return what cannot be changed in a running process: where it listens and its set of backends."""
    return (spec.address, spec.port, tuple((b.name, b.address, b.port) for b in spec.backends))


def dumps(spec: EndpointSpec) -> str:
    """Return the spec as JSON."""
    return json.dumps(asdict(spec), indent=1) + "\n"


def loads(text: str) -> EndpointSpec:
    """Read a spec from JSON; raises ValueError when it is not one."""
    try:
        data: Mapping[str, Any] = json.loads(text)
        backends = tuple(Backend(**backend) for backend in data["backends"])
        return EndpointSpec(data["cluster_id"], data["address"], int(data["port"]), data["active"], backends)
    except (KeyError, TypeError) as error:
        raise ValueError(f"not an endpoint's record: {error}") from error
