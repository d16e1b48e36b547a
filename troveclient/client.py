"""The HTTP layer: a keystoneauth session where there is one, else requests with a login of our own."""

from __future__ import annotations

import json
import logging
import re
import time
from typing import Any
from urllib import parse

from keystoneauth1 import adapter
from keystoneauth1 import exceptions as ks_exceptions

from troveclient import exceptions, service_catalog
from troveclient.apiclient import client as apiclient

_LOG = logging.getLogger(__name__)
_WIRE = logging.getLogger("keystoneauth.session.troveclient")
_SECRETS = re.compile(r'("\w*password"\s*:\s*)"(?:[^"\\]|\\.)*"')
USER_AGENT = "python-troveclient"
VERSION_MAP = {"1.0": "troveclient.v1.client.Client", "1": "troveclient.v1.client.Client"}


def get_version_map() -> dict[str, str]:
    """API version to the path of its client class."""
    return dict(VERSION_MAP)


def Client(version: Any, *args: Any, **kwargs: Any) -> Any:
    """Make the client of an API version ("1.0" or 1); the other arguments go to its class."""
    return apiclient.BaseClient.get_class("database", version, get_version_map())(*args, **kwargs)


class TroveClientMixin:
    """What both HTTP clients offer beside their verbs."""

    management_url: str | None
    # Where the answer to the last change pointed: the operation that it started, on servers that have them.
    last_location: str | None = None

    def get_database_api_version_from_endpoint(self) -> str:
        """Return "1.0" when the endpoint has `v1.0` or `v1` anywhere in its path; raises UnsupportedVersion."""
        path = parse.urlparse(self.management_url or "").path
        for part in path.split("/"):
            if part in ("v1.0", "v1"):
                return "1.0"
        raise exceptions.UnsupportedVersion(
            f"Invalid client version: the endpoint {self.management_url!r} has no 'v1.0' in its path. "
            "Check the catalogue entry or --bypass-url."
        )

    def get(self, url: str, **kwargs: Any) -> Any:
        return self._cs_request(url, "GET", **kwargs)

    def post(self, url: str, **kwargs: Any) -> Any:
        return self._cs_request(url, "POST", **kwargs)

    def put(self, url: str, **kwargs: Any) -> Any:
        return self._cs_request(url, "PUT", **kwargs)

    def patch(self, url: str, **kwargs: Any) -> Any:
        return self._cs_request(url, "PATCH", **kwargs)

    def delete(self, url: str, **kwargs: Any) -> Any:
        return self._cs_request(url, "DELETE", **kwargs)

    def _cs_request(self, url: str, method: str, **kwargs: Any) -> Any:
        raise NotImplementedError


class SessionClient(TroveClientMixin, adapter.LegacyJsonAdapter):
    """Requests through a keystoneauth session, errors as our exceptions.

    The endpoint is resolved (so the login happens) when the object is made; raises EndpointNotFound without one.
    """

    def __init__(self, session: Any, auth: Any = None, **kwargs: Any) -> None:
        self.database_service_name = kwargs.pop("database_service_name", None)
        kwargs.setdefault("user_agent", USER_AGENT)
        # keystoneauth masks the login, but writes bodies as they are.
        if kwargs.get("logger") is None:
            kwargs["logger"] = _WIRE
        super().__init__(session=session, auth=auth, **kwargs)
        self.management_url = self.get_endpoint()
        if self.management_url is None:
            raise exceptions.EndpointNotFound(
                f"The service catalogue has no endpoint for service type {self.service_type!r}, "
                f"interface {self.interface!r}, region {self.region_name!r}."
            )
        self.management_url = str(self.management_url).rstrip("/")

    def _cs_request(self, url: str, method: str, **kwargs: Any) -> Any:
        return self.request(url, method, **kwargs)

    def request(self, url: str, method: str, **kwargs: Any) -> Any:
        raise_exc = kwargs.pop("raise_exc", True)
        if "body" in kwargs:
            kwargs["json"] = kwargs.pop("body")
        headers = kwargs.setdefault("headers", {})
        headers.setdefault("Accept", "application/json")
        headers.update(_profiler_headers())
        resp, body = super().request(url, method, raise_exc=False, **kwargs)
        if raise_exc and resp.status_code >= 400:
            raise exceptions.from_response(resp, method, url)
        if method != "GET":
            self.last_location = resp.headers.get("Location")
        return resp, body


class HTTPClient(TroveClientMixin):
    """Requests with a login of its own (identity v2.0 and older, or a given token and endpoint).

    For identity v3 and everything else that keystoneauth knows, give the client a session.
    """

    def __init__(
        self,
        user: str | None,
        password: str | None,
        projectid: str | None,
        auth_url: str | None,
        insecure: bool = False,
        timeout: float | None = None,
        tenant_id: str | None = None,
        proxy_tenant_id: str | None = None,
        proxy_token: str | None = None,
        region_name: str | None = None,
        endpoint_type: str = "publicURL",
        service_type: str | None = None,
        service_name: str | None = None,
        database_service_name: str | None = None,
        retries: int | None = None,
        http_log_debug: bool = False,
        cacert: str | None = None,
        bypass_url: str | None = None,
        auth_system: str | None = "keystone",
        auth_plugin: Any = None,
    ) -> None:
        if auth_system and auth_system != "keystone" and not auth_plugin:
            raise exceptions.AuthSystemNotFound(auth_system)
        if not auth_url and auth_plugin and auth_system and auth_system != "keystone":
            auth_url = auth_plugin.get_auth_url()
            if not auth_url:
                raise exceptions.EndpointNotFound(f"{auth_system!r} names no identity endpoint")
        self.user = user
        self.password = password
        self.projectid = projectid
        self.tenant_id = tenant_id
        self.auth_url = (auth_url or "").rstrip("/")
        self.version = "v1"
        self.timeout = timeout
        self.region_name = region_name
        self.endpoint_type = endpoint_type
        self.service_type = service_type
        self.service_name = service_name
        self.database_service_name = database_service_name
        self.retries = int(retries or 0)
        self.http_log_debug = http_log_debug
        self.proxy_token = proxy_token
        self.proxy_tenant_id = proxy_tenant_id
        self.auth_system = auth_system
        self.auth_plugin = auth_plugin
        self.verify_cert: Any = False if insecure else (cacert or True)
        self.bypass_url = bypass_url.rstrip("/") if bypass_url else None
        self.management_url: str | None = self.bypass_url
        self.auth_token: str | None = None
        self.service_catalog: Any = None

    def http_log_req(self, args: Any, kwargs: dict[str, Any]) -> None:
        """Log a request as a curl line. Passwords stay out of it because tokens and bodies are masked by key."""
        if not self.http_log_debug:
            return
        parts = ["curl -i"]
        parts += [f"-X {item}" if item in ("GET", "POST", "PUT", "PATCH", "DELETE") else str(item) for item in args]
        for name, value in kwargs["headers"].items():
            parts.append(f'-H "{name}: {_masked(name, value)}"')
        if "data" in kwargs:
            parts.append(f"-d '{_without_passwords(str(kwargs['data']))}'")
        _LOG.debug("REQ: %s", " ".join(parts))

    def http_log_resp(self, resp: Any) -> None:
        if self.http_log_debug:
            _LOG.debug(
                "RESP: [%s] %s\nRESP BODY: %s\n", resp.status_code, resp.headers, _without_passwords(resp.text or "")
            )

    def request(self, url: str, method: str, **kwargs: Any) -> Any:
        """Send one request; return (response, parsed body). Raises the exception of a status from 400 on."""
        import requests

        headers = kwargs.setdefault("headers", {})
        headers["User-Agent"] = USER_AGENT
        headers["Accept"] = "application/json"
        headers.update(_profiler_headers())
        if "body" in kwargs:
            headers["Content-Type"] = "application/json"
            kwargs["data"] = json.dumps(kwargs.pop("body"))
        if self.timeout:
            kwargs.setdefault("timeout", self.timeout)
        self.http_log_req((url, method), kwargs)
        resp = requests.request(method, url, verify=self.verify_cert, **kwargs)
        self.http_log_resp(resp)
        try:
            body = json.loads(resp.text) if resp.text else None
        except ValueError:
            body = None
        if resp.status_code >= 400:
            raise exceptions.from_response(resp, method, url)
        if method != "GET":
            self.last_location = resp.headers.get("Location")
        return resp, body

    def _cs_request(self, url: str, method: str, **kwargs: Any) -> Any:
        import requests

        if not self.auth_token or not self.management_url:
            self.authenticate()
        attempts, pause, logged_in_again = 0, 1.0, False
        while True:
            attempts += 1
            headers = dict(kwargs.get("headers") or {})
            headers["X-Auth-Token"] = self.auth_token
            if self.projectid:
                headers["X-Auth-Project-Id"] = self.projectid
            kwargs["headers"] = headers
            try:
                return self.request(self._full_url(url), method, **kwargs)
            except exceptions.Unauthorized:
                if logged_in_again:
                    raise
                logged_in_again = True
                attempts -= 1
                self.authenticate()
                continue
            except requests.exceptions.ConnectionError as error:
                if attempts > self.retries:
                    raise exceptions.ConnectionRefused(f"Unable to establish connection: {error}") from error
            except exceptions.ClientException as error:
                status = getattr(error, "code", 0)
                if attempts > self.retries or not 500 <= status <= 599:
                    raise
            _LOG.debug("Attempt %d of %d failed, trying again in %.0f s", attempts, self.retries + 1, pause)
            time.sleep(pause)
            pause *= 2

    def _full_url(self, url: str) -> str:
        base = (self.management_url or "").rstrip("/")
        # No path at all asks the service itself, above version and project.
        return base + url

    def get_service_url(self) -> str | None:
        return self.management_url

    def authenticate(self) -> None:
        """Log in: by plugin, by a given token, or by user and password.

        Raises Unauthorized, AuthorizationFailure, EndpointNotFound, NoTokenLookupException.
        """
        if self.auth_plugin and self.auth_system and self.auth_system != "keystone":
            self.auth_plugin.authenticate(self, self.auth_url)
            return
        if not self.auth_url:
            raise exceptions.AuthorizationFailure("Cannot log in: no identity URL was given.")
        if self.proxy_token:
            if self.version == "v1.0":
                raise exceptions.NoTokenLookupException()
            self._fetch_endpoints_from_auth(self.auth_url)
            self.auth_token = self.proxy_token
            return
        if self.version != "v2.0" and not self.auth_url.endswith(("/v2.0", "/v3")) and self._v1_auth(self.auth_url):
            return
        root = self.auth_url
        for suffix in ("/v2.0", "/v3"):
            root = root.removesuffix(suffix)
        self._v2_auth(f"{root}/v2.0")

    def _v1_auth(self, url: str) -> bool:
        """The oldest login: user and password as headers. False where nobody knows it."""
        headers = {"X-Auth-User": self.user or "", "X-Auth-Key": self.password or ""}
        if self.projectid:
            headers["X-Auth-Project-Id"] = self.projectid
        try:
            resp, _body = self._login(url, "GET", headers=headers)
        except exceptions.HttpError:
            return False
        token, address = resp.headers.get("x-auth-token"), resp.headers.get("x-server-management-url")
        if not token or not (self.management_url or address):
            return False
        self.auth_token = token
        self.management_url = self.management_url or address.rstrip("/")
        return True

    def _v2_auth(self, url: str) -> None:
        auth: dict[str, Any] = {"passwordCredentials": {"username": self.user, "password": self.password}}
        if self.tenant_id:
            auth["tenantId"] = self.tenant_id
        elif self.projectid:
            auth["tenantName"] = self.projectid
        resp, body = self._login(f"{url}/tokens", "POST", body={"auth": auth})
        self._extract_service_catalog(url, resp, body)

    def _fetch_endpoints_from_auth(self, url: str) -> None:
        """Ask the identity service which endpoints a token may use."""
        full = f"{url}/tokens/{self.proxy_token}?belongsTo={self.proxy_tenant_id}"
        resp, body = self._login(full, "GET", headers={"X-Auth-Token": self.proxy_token})
        self._extract_service_catalog(url, resp, body)

    def _login(self, url: str, method: str, **kwargs: Any) -> Any:
        import requests

        try:
            return self.request(url, method, **kwargs)
        except requests.exceptions.ConnectionError as error:
            raise exceptions.ConnectionRefused(f"Unable to establish connection: {error}") from error

    def _extract_service_catalog(self, url: str, resp: Any, body: Any) -> None:
        try:
            catalog = service_catalog.ServiceCatalog(body)
            self.service_catalog = catalog
            self.auth_token = catalog.get_token()
            if self.management_url is None:
                self.management_url = catalog.url_for(
                    attr="region" if self.region_name else None,
                    filter_value=self.region_name,
                    endpoint_type=self.endpoint_type,
                    service_type=self.service_type,
                    service_name=self.service_name,
                    database_service_name=self.database_service_name,
                ).rstrip("/")
        except (KeyError, TypeError, AttributeError) as error:
            raise exceptions.AuthorizationFailure(f"{url} answered the login without a token.") from error


def _without_passwords(text: str) -> str:
    """JSON with the passwords of database users (of any key that ends so) masked."""
    return _SECRETS.sub(r'\1"***"', text)


def _mask_record(record: logging.LogRecord) -> bool:
    record.msg, record.args = _without_passwords(record.getMessage()), ()
    return True


_WIRE.addFilter(_mask_record)


def _masked(name: str, value: Any) -> Any:
    # Real tokens are long; short words in tests and examples may be read.
    if name.lower() in ("x-auth-token", "authorization") and value and len(str(value)) >= 20:
        return "***"
    return value


def _profiler_headers() -> dict[str, str]:
    """Trace headers, when osprofiler is in use in this process."""
    import sys

    web = sys.modules.get("osprofiler.web")
    return dict(web.get_trace_id_headers()) if web is not None else {}


def _construct_http_client(
    username: str | None = None,
    password: str | None = None,
    project_id: str | None = None,
    auth_url: str | None = None,
    insecure: bool = False,
    timeout: float | None = None,
    proxy_tenant_id: str | None = None,
    proxy_token: str | None = None,
    region_name: str | None = None,
    endpoint_type: str = "publicURL",
    service_type: str | None = "database",
    service_name: str | None = None,
    database_service_name: str | None = None,
    retries: int | None = None,
    http_log_debug: bool = False,
    auth_system: str | None = "keystone",
    auth_plugin: Any = None,
    cacert: str | None = None,
    bypass_url: str | None = None,
    tenant_id: str | None = None,
    session: Any = None,
    auth: Any = None,
    endpoint: str | None = None,
    **kwargs: Any,
) -> Any:
    """A SessionClient where a session is given (the rest goes to the keystoneauth adapter), else an HTTPClient."""
    if session:
        if endpoint:
            kwargs.setdefault("endpoint_override", endpoint)
        elif bypass_url:
            kwargs.setdefault("endpoint_override", bypass_url)
        kwargs.setdefault("interface", endpoint_type)
        return SessionClient(
            session=session,
            auth=auth,
            service_type=service_type,
            service_name=service_name,
            region_name=region_name,
            connect_retries=retries,
            database_service_name=database_service_name,
            **kwargs,
        )
    return HTTPClient(
        username,
        password,
        projectid=project_id,
        auth_url=auth_url,
        insecure=insecure,
        timeout=timeout,
        tenant_id=tenant_id,
        proxy_token=proxy_token,
        proxy_tenant_id=proxy_tenant_id,
        region_name=region_name,
        endpoint_type=endpoint_type,
        service_type=service_type,
        service_name=service_name,
        database_service_name=database_service_name,
        retries=retries,
        http_log_debug=http_log_debug,
        cacert=cacert,
        bypass_url=bypass_url or endpoint or kwargs.get("endpoint_override"),
        auth_system=auth_system,
        auth_plugin=auth_plugin,
    )


# What a session may raise beside our own: the shells turn these into a sentence.
CONNECTION_ERRORS = (ks_exceptions.ClientException,)
