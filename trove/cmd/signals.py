"""End a process when it is asked to."""

from __future__ import annotations

import signal
import threading


def wait_for_end() -> None:
    """Return at SIGTERM or Ctrl-C."""
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    ended.wait()
