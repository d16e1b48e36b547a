"""Limits: the absolute ones first, then the rates."""

from __future__ import annotations

from typing import Any

from troveclient import base, exceptions


class Limit(base.Resource):
    def __repr__(self) -> str:
        return f"<Limit: {self.verb}>"


class Limits(base.ManagerWithFind):
    resource_class = Limit

    def list(self) -> Any:
        """The first item is the absolute record (verb ABSOLUTE)."""
        url = "/limits"
        resp, body = self.api.client.get(url)
        if resp is None or body is None or resp.status_code != 200:
            raise exceptions.from_response(resp, "GET", url)
        return [Limit(self, item) for item in body["limits"]]
