"""Every option of the service, with its help, in one table. Nothing is global: each process makes its ConfigOpts."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from oslo_config import cfg

from trove.operations.executor import LEASE_SECONDS
from trove.operations.quotas import DEFAULT_LIMITS

DEFAULT_PORT = 8779

OPTIONS: Sequence[cfg.Opt] = (
    cfg.StrOpt("state-dir", help="Directory that holds everything the service keeps on this machine."),
    cfg.HostAddressOpt("bind-host", default="127.0.0.1", help="Address the API listens on."),
    cfg.PortOpt("bind-port", default=DEFAULT_PORT, help="Port the API listens on."),
    cfg.IntOpt("threads", default=2, min=1, help="Requests answered side by side; more wait for the interpreter."),
    cfg.StrOpt("database-url", help="SQLAlchemy URL of the service database; default: SQLite in the state directory."),
    cfg.StrOpt(
        "auth-strategy",
        default="http_basic",
        choices=[
            ("http_basic", "names and passwords of a file in the state directory"),
            ("keystone", "tokens of an identity service, see [keystone_authtoken]"),
            ("noauth", "everybody may do everything: tests only"),
        ],
        help="Who may use the API.",
    ),
    cfg.StrOpt("address-pool", help="IPv4 network instances get their addresses of; default: a part of 127.0.0.0/8."),
    cfg.StrOpt("images-dir", help="Directory of engine images; default: a cache that installations share."),
    cfg.StrOpt("mirror", help="Debian mirror to build images from; default: the one the host itself uses."),
    cfg.StrOpt("public-endpoint", help="Scheme, host and port to write into links when a proxy hides the real ones."),
    cfg.StrOpt("policy-file", help="YAML file of policy rules that replace the built-in ones."),
    cfg.StrOpt("region", default="RegionOne", help="Region name shown with instances."),
    cfg.StrOpt("default-datastore", default="mariadb", help="Datastore of instances whose request names none."),
    cfg.IntOpt("max-accepted-volume-size", default=10, min=1, help="Largest volume of one instance, GB."),
    cfg.IntOpt("workers", default=8, min=1, help="Operations this executor runs side by side."),
    cfg.FloatOpt("lease-seconds", default=LEASE_SECONDS, min=1, help="How long a dead executor's work rests, s."),
    cfg.FloatOpt("monitor-period", default=3.0, min=0.1, help="Time between two questions to an engine, s."),
    cfg.FloatOpt("reconcile-period", default=10.0, min=0.1, help="Time between two looks at what runs, s."),
    *(
        cfg.IntOpt(f"max-{name}-per-tenant", default=limit, min=-1, help=f"Quota: {name} of a project; -1: no limit.")
        for name, limit in DEFAULT_LIMITS.items()
    ),
)


def default_state_dir() -> Path:
    """Where the service keeps its things unless told otherwise: system-wide for root, else in the user's home."""
    if os.geteuid() == 0:
        return Path("/var/lib/trove-anywhere")
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state") / "trove-anywhere"


def make_config(args: Sequence[str], prog: str, usage: str = "") -> cfg.ConfigOpts:
    """Read options of the command line and of configuration files (`--config-file`). Exits 2 on what it cannot read."""
    conf = cfg.ConfigOpts()
    conf.register_cli_opts(OPTIONS)
    try:
        conf(list(args), project="trove", prog=prog, usage=usage or None, default_config_files=[])
    except cfg.Error as error:
        print(f"{prog}: {error}", file=sys.stderr)
        raise SystemExit(2) from error
    return conf


def quota_defaults(conf: cfg.ConfigOpts) -> dict[str, int]:
    """Limits of every project that has none of its own."""
    return {name: int(conf[f"max_{name}_per_tenant"]) for name in DEFAULT_LIMITS}
