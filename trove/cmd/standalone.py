"""`trove-standalone`: the whole service in one process, on this machine only, its state in one directory."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence

from trove.api.app import create_app
from trove.api.server import ApiServer
from trove.cmd.config import make_config
from trove.cmd.installation import ensure_access, greeting, open_installation, sole_user
from trove.cmd.logs import log_to_stderr
from trove.cmd.signals import wait_for_end
from trove.cmd.wiring import api_settings, make_parts, state_dir_of
from trove.domain.errors import TroveError

LOG = logging.getLogger("trove.standalone")

USAGE = """%(prog)s [options]

Run the database service in this one process: API, executor and local databases, reachable from this machine only.
The first start makes everything it needs in the state directory and prints how to get in. Stopping it (Ctrl-C) leaves
the databases running; starting it again finds them. `trove-manage` shows, prepares and removes what is here."""


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM or Ctrl-C. Exit code 1 with one sentence when that is not possible."""
    conf = make_config(sys.argv[1:] if argv is None else argv, "trove-standalone", USAGE)
    log_to_stderr()
    try:
        installation = open_installation(state_dir_of(conf), conf.address_pool)
        with sole_user(installation.state_dir):
            parts = make_parts(conf, installation)
            app = create_app(parts.store, parts.service, api_settings(conf, installation))
            server = ApiServer(app, conf.bind_host, conf.bind_port, threads=conf.threads)
            hello = f"Serving {server.url} from {installation.state_dir}\n"
            if conf.auth_strategy == "http_basic":
                # Before the first request, so that nobody is refused for want of a file.
                access = ensure_access(installation, conf.public_endpoint or server.url)
                hello += f"\n{greeting(installation, access)}\n"
            server.start()
            parts.start_background()
            print(hello, flush=True)
            wait_for_end()
            print("Stopping; the databases go on running.", flush=True)
            server.stop()
            parts.stop_background()
    except (TroveError, OSError) as error:
        print(f"trove-standalone: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
