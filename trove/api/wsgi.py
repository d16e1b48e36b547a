"""`application` for WSGI servers outside: `uwsgi --module trove.api.wsgi`, `gunicorn trove.api.wsgi`.

It is made at the first request, from the files named by TROVE_CONFIG_FILES (separated by colons), by the factory
`trove.cmd.api.make_application(config_files)`.
"""

from __future__ import annotations

import importlib
import os
import threading
from collections.abc import Callable, Iterable
from typing import Any

WSGI = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
FACTORY = "trove.cmd.api:make_application"
FILES = "TROVE_CONFIG_FILES"


class LazyApplication:
    """Makes the real application when it is first called: importing this module touches no file and no database."""

    def __init__(self, make: Callable[[], WSGI]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._app: WSGI | None = None

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer a request."""
        if self._app is None:
            with self._lock:
                self._app = self._app or self._make()
        return self._app(environ, start_response)


def _from_configuration() -> WSGI:
    module, _, name = FACTORY.partition(":")
    # By name, because `cmd` stands above `api` and must not be imported from here.
    make: Callable[[list[str]], WSGI] = getattr(importlib.import_module(module), name)
    return make([path for path in os.environ.get(FILES, "").split(":") if path])


application = LazyApplication(_from_configuration)
