"""Accounts of older services (administrators)."""

from __future__ import annotations

from typing import Any

from troveclient import base, exceptions


class Account(base.Resource):
    def __repr__(self) -> str:
        return f"<Account: {self.name}>"


class Accounts(base.ManagerWithFind):
    resource_class = Account

    def _list(self, url: str, response_key: Any, obj_class: Any = None, body: Any = None) -> Any:
        _resp, answer = self.api.client.get(url)
        if not answer:
            raise exceptions.ResponseFormatError(f"GET {url} answered without a body")
        return self.resource_class(self, answer[response_key])

    def index(self) -> base.Resource:
        """All accounts with instances."""
        url = "/mgmt/accounts"
        resp, body = self.api.client.get(url)
        self._check(resp, body, url)
        if not body:
            raise exceptions.ResponseFormatError(f"GET {url} answered without a body")
        return base.Resource(self, body)

    def show(self, account: Any) -> Any:
        return self._list(f"/mgmt/accounts/{self._get_account_name(account)}", "account")

    @staticmethod
    def _get_account_name(account: Any) -> Any:
        return getattr(account, "name", account)

    def list(self, *args: Any, **kwargs: Any) -> Any:
        return self.index()
