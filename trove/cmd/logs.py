"""Where log lines go: standard error, one line each, through oslo.log's own formatter where it is configured."""

from __future__ import annotations

import logging


def log_to_stderr(level: int = logging.INFO) -> None:
    """Log to standard error; libraries speak only from warnings on."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("trove").setLevel(level)
