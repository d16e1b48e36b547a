"""The service as a whole: who answers which request."""

from __future__ import annotations

import re
from typing import Any

from troveclient.tests.osc.service import attachments, catalogue, clusters, instances, operations
from troveclient.tests.osc.service.answers import Answer, Request, Routes, missing, unknown_path

ROUTES: Routes = [
    *catalogue.ROUTES,
    *instances.ROUTES,
    *clusters.ROUTES,
    *operations.ROUTES,
    *attachments.ROUTES,
    (r"/[a-z-]+(?:/[^/]+)?", ("GET",), unknown_path),
]


class Service:
    """Answers one command line; made anew for each, so that sequences begin at their beginning."""

    def __init__(self) -> None:
        self._sights = operations.sights()

    def answer(self, method: str, project: str, path: str, query: dict[str, str], body: Any) -> Answer:
        for pattern, methods, handler in ROUTES:
            match = re.fullmatch(pattern, path)
            if match and method in methods:
                return handler(Request(self._sights, method, project, match, query, body))
        return missing(f"{method} {path} is not here")
