"""The controller's side of the agents: implements `trove.domain.ports.Guests` over kept HTTPS connections."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from trove.domain.errors import DriverError, StaleGeneration, Unavailable
from trove.domain.health import Health
from trove.domain.ports import GuestAddress, GuestOperation, Order
from trove.domain.states import EngineStatus
from trove.guest import protocol

CONNECT_TIMEOUT = 2.0
"""Seconds for connection and handshake; agents are near."""
REPLY_TIMEOUT = 5.0
"""Seconds for a reply beyond the time the request itself asks to be held back."""
STARTING = 0.25
"""Seconds in which a refused connection is tried again: an agent that is being started is there in less."""
MOST_KEPT = 4
"""Idle connections kept for each guest."""

Place = tuple[str, str]


class _Connection(http.client.HTTPSConnection):
    """Connects to an address and checks the certificate for the instance's id, not for the address."""

    def __init__(self, guest: GuestAddress, context: ssl.SSLContext, patience: float) -> None:
        super().__init__(guest.address, protocol.PORT, timeout=CONNECT_TIMEOUT, context=context)
        self._tls, self._instance_id, self._patience = context, guest.instance_id, patience

    def connect(self) -> None:
        plain = self._reach()
        try:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.sock = self._tls.wrap_socket(plain, server_hostname=self._instance_id)
        except BaseException:
            plain.close()
            raise

    def _reach(self) -> socket.socket:
        deadline = time.monotonic() + self._patience
        while True:
            try:
                return socket.create_connection((self.host, self.port), CONNECT_TIMEOUT)
            except ConnectionRefusedError:
                if time.monotonic() >= deadline:
                    raise
            time.sleep(0.002)


class GuestClient:
    """Thread-safe. `context` comes from `trove.guest.pki.Authority.client_context`."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        self._idle: dict[Place, list[_Connection]] = {}
        self._lock = threading.Lock()

    def health(self, guest: GuestAddress, timeout: float = 5.0) -> Health:
        """Ask the engine how it is; raises Unavailable, DriverError."""
        return health_of(self._request(guest, "GET", "/health", None, timeout))

    def agent(self, guest: GuestAddress, timeout: float = 5.0) -> dict[str, Any]:
        """Return what the agent tells of itself: generation, image_id, desired, operation."""
        told = self._request(guest, "GET", "/health", None, timeout).get("agent")
        return told if isinstance(told, dict) else {}

    def run(
        self, guest: GuestAddress, kind: str, params: Mapping[str, Any], order: Order, wait: float = 0.0
    ) -> GuestOperation:
        """Start an operation or find it; raises Unavailable, StaleGeneration, DriverError (the order is refused)."""
        body = {"kind": kind, "params": dict(params), "generation": order.generation}
        path = f"/operations/{quote(order.id, safe='')}"
        deadline = time.monotonic() + wait
        while True:
            # Always PUT, also to ask again: an agent that died meanwhile takes it up where it was.
            held = min(max(0.0, deadline - time.monotonic()), protocol.LONGEST_WAIT)
            told = self._request(
                guest, "PUT", f"{path}?wait={held:.3f}", body, held + REPLY_TIMEOUT, patience=min(wait, STARTING)
            )
            operation = _operation(told)
            if operation.status != protocol.RUNNING or time.monotonic() >= deadline:
                return operation

    def close(self) -> None:
        """Close all kept connections."""
        with self._lock:
            kept, self._idle = self._idle, {}
        for connections in kept.values():
            for connection in connections:
                connection.close()

    def _request(
        self,
        guest: GuestAddress,
        method: str,
        path: str,
        body: Mapping[str, Any] | None,
        timeout: float,
        patience: float = 0.0,
    ) -> dict[str, Any]:
        payload = None if body is None else json.dumps(body).encode()
        place = guest.instance_id, guest.address
        kept = self._take(place)
        if kept is not None:
            try:
                return self._exchange(place, kept, method, path, payload, timeout)
            except (http.client.HTTPException, ConnectionError, ssl.SSLEOFError, ssl.SSLZeroReturnError):
                # The agent was replaced since; everything told to it may be told twice.
                self._forget(place)
            except TimeoutError:
                raise Unavailable(f"its agent does not answer in {timeout:.1f} s") from None
        try:
            fresh = _Connection(guest, self._context, patience)
            return self._exchange(place, fresh, method, path, payload, timeout)
        except TimeoutError:
            raise Unavailable(f"its agent does not answer in {timeout:.1f} s") from None
        except ssl.SSLCertVerificationError as error:
            raise DriverError(
                f"what listens on {guest.address}:{protocol.PORT} is not the agent of {guest.instance_id}: "
                f"{error.verify_message}"
            ) from None
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise Unavailable(f"its agent does not answer: {reason}") from None

    def _exchange(
        self, place: Place, connection: _Connection, method: str, path: str, payload: bytes | None, timeout: float
    ) -> dict[str, Any]:
        headers = {"Content-Type": "application/json"} if payload is not None else {}
        try:
            if connection.sock is None:
                connection.connect()
            connection.sock.settimeout(timeout)
            connection.request(method, path, payload, headers)
            response = connection.getresponse()
            data = response.read()
        except BaseException:
            connection.close()
            raise
        if response.will_close:
            connection.close()
        else:
            self._give_back(place, connection)
        return _answer(place[0], response.status, data)

    def _take(self, place: Place) -> _Connection | None:
        with self._lock:
            idle = self._idle.get(place)
            return idle.pop() if idle else None

    def _give_back(self, place: Place, connection: _Connection) -> None:
        with self._lock:
            idle = self._idle.setdefault(place, [])
            if len(idle) < MOST_KEPT:
                idle.append(connection)
                return
        connection.close()

    def _forget(self, place: Place) -> None:
        with self._lock:
            stale = self._idle.pop(place, [])
        for connection in stale:
            connection.close()


def health_of(told: Mapping[str, Any]) -> Health:
    """Make a Health of what an agent says; DriverError where it says something else."""
    try:
        fields = {name: told[name] for name in Health.__dataclass_fields__ if name in told}
        return Health(**{**fields, "status": EngineStatus(told["status"])})
    except (KeyError, ValueError, TypeError) as error:
        raise DriverError(f"the agent's answer is not understood: {error!r}") from None


def _operation(told: Mapping[str, Any]) -> GuestOperation:
    try:
        return GuestOperation(
            id=told["id"],
            kind=told["kind"],
            status=told["status"],
            progress=told.get("progress", ""),
            error=told.get("error", ""),
            result=told.get("result") or {},
        )
    except KeyError as error:
        raise DriverError(f"the agent's answer is not understood: it lacks {error}") from None


def _answer(instance_id: str, status: int, data: bytes) -> dict[str, Any]:
    try:
        told = json.loads(data)
    except ValueError:
        told = None
    if not isinstance(told, dict):
        raise DriverError(f"the answer of the agent of {instance_id} is not understood (HTTP {status})")
    reason = told.get("error", "")
    if status == http.client.CONFLICT:
        raise StaleGeneration(f"the agent of {instance_id} refuses: {reason}")
    if status == http.client.SERVICE_UNAVAILABLE:
        raise Unavailable(f"its agent does not answer: {reason}")
    if status != http.client.OK:
        raise DriverError(f"the agent of {instance_id} refuses: {reason}")
    return told
