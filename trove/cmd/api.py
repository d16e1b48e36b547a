"""`trove-api`: the API alone, beside any number of `trove-executor` processes on the same database."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from trove.api.app import WSGI, create_app
from trove.api.server import ApiServer
from trove.cmd.config import make_config
from trove.cmd.installation import ensure_access, open_installation, shared_user
from trove.cmd.logs import log_to_stderr
from trove.cmd.signals import wait_for_end
from trove.cmd.wiring import api_settings, make_parts, state_dir_of
from trove.domain.errors import TroveError


def make_application(config_files: Sequence[str]) -> WSGI:
    """Make the application for a WSGI server outside (`trove.api.wsgi`)."""
    words = [word for path in config_files for word in ("--config-file", path)]
    conf = make_config(words, "trove-api")
    parts = make_parts(conf)
    return create_app(parts.store, parts.service, api_settings(conf, parts.installation))


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM or Ctrl-C."""
    conf = make_config(sys.argv[1:] if argv is None else argv, "trove-api")
    log_to_stderr()
    try:
        installation = open_installation(state_dir_of(conf), conf.address_pool)
        with shared_user(installation.state_dir):
            parts = make_parts(conf, installation)
            app = create_app(parts.store, parts.service, api_settings(conf, installation))
            server = ApiServer(app, conf.bind_host, conf.bind_port, threads=conf.threads)
            if conf.auth_strategy == "http_basic":
                ensure_access(installation, conf.public_endpoint or server.url)
            server.start()
            print(f"Serving {server.url}", flush=True)
            wait_for_end()
            server.stop()
            parts.store.close()
    except (TroveError, OSError) as error:
        print(f"trove-api: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
