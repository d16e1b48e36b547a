"""Start of the guest agent: `python3 -m trove.guest.agent [--config DIR] [--data DIR]`.

Exit codes: 0 after SIGTERM (engine stopped cleanly), 1 when it cannot work as configured, says why on the console.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from importlib import import_module

from trove.guest.agent.journal import Journal
from trove.guest.agent.manager import Manager
from trove.guest.agent.runner import Runner, say
from trove.guest.agent.server import Server
from trove.guest.agent.settings import Settings

FAMILIES = ("redis", "mariadb")


def main(argv: list[str]) -> int:
    """Run until SIGTERM; returns the exit code."""
    os.umask(0o077)
    try:
        options = _options(argv)
        settings = Settings(options.get("--config", "/etc/trove"), options.get("--data", "/data"))
        if settings.family not in FAMILIES:
            raise ValueError(f"there is no engine family {settings.family!r}; known are {', '.join(FAMILIES)}")
        settings.make_directories()
        manager: Manager = import_module(f"trove.datastores.{settings.family}.guest").Manager(settings)
        runner = Runner(manager, Journal(settings.agent_dir))
        runner.adopt()
        server = Server(settings, runner)
    except (ValueError, OSError) as error:
        say(f"the agent cannot start: {error}")
        return 1
    for target in (runner.supervise, server.serve):
        threading.Thread(target=target, daemon=True).start()
    say(f"agent of {settings.instance_id} listens on {settings.address}")
    _wait_for_term()
    say("ending")
    runner.end()
    return 0


def _options(argv: list[str]) -> dict[str, str]:
    """Read `--name value` pairs; argparse would cost more than the rest of the start."""
    pairs = dict(zip(argv[::2], argv[1::2]))
    if len(argv) % 2 or not pairs.keys() <= {"--config", "--data"}:
        raise ValueError("usage: python3 -m trove.guest.agent [--config DIR] [--data DIR]")
    return pairs


def _wait_for_term() -> None:
    told = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: told.set())
    told.wait()


if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.stderr.flush()
    # Threads that still hold a request or wait for an engine must not hold back the end.
    os._exit(code)
