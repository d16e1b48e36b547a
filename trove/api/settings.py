"""What the API needs to know of its installation. A plain value: made by whoever starts the API, never global."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class ApiSettings:
    """Settings of one API application.

    `auth_strategy` is `http_basic`, `keystone` or `noauth`; there is no default, so that nobody runs open by accident.
    """

    auth_strategy: str
    htpasswd_file: str = ""
    """http_basic: `name:bcrypt digest` lines, as `htpasswd -B` writes them."""
    users_file: str = ""
    """http_basic: YAML, `users: {name: {project: id, roles: [member]}}`."""
    keystone: Mapping[str, Any] = field(default_factory=dict)
    """keystone: options of `[keystone_authtoken]` by name, or `{"oslo_config_config": conf}` to read them there."""
    policy_file: str | None = None
    """YAML file of oslo.policy rules that replace the built-in ones; read again when it changes."""
    public_endpoint: str | None = None
    """Scheme, host and port to write into links where a proxy hides the real ones."""
    region: str = "RegionOne"
    default_datastore: str | None = None
    """Datastore of instances whose request names none; None: the request must name one."""
    network_id: str | None = None
    """Network id to show with addresses, where there is one."""
    page_size: int = 20
    """Default and largest number of items of one page."""
    max_volume_gb: int = 10
    """Largest volume of one instance, gigabytes."""
    max_body_bytes: int = 1024 * 1024
    heartbeat_expiry: float = 90.0
    """Seconds after which what an engine said of itself counts as out of date."""
