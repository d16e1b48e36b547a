"""`trove-executor`: runs operations, watches engines and mends; any number of them on one database."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from trove.cmd.config import make_config
from trove.cmd.installation import open_installation, shared_user
from trove.cmd.logs import log_to_stderr
from trove.cmd.signals import wait_for_end
from trove.cmd.wiring import make_parts, state_dir_of
from trove.domain.errors import TroveError


def main(argv: Sequence[str] | None = None) -> int:
    """Work until SIGTERM or Ctrl-C."""
    conf = make_config(sys.argv[1:] if argv is None else argv, "trove-executor")
    log_to_stderr()
    try:
        installation = open_installation(state_dir_of(conf), conf.address_pool)
        with shared_user(installation.state_dir):
            parts = make_parts(conf, installation)
            parts.start_background()
            print("Taking operations", flush=True)
            wait_for_end()
            parts.stop_background()
    except (TroveError, OSError) as error:
        print(f"trove-executor: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
