"""Wait for what the service does, and tell what changes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from troveclient import exceptions
from troveclient.v1 import operations

_GONE = object()
# A service that is being restarted comes back within this many seconds.
_PATIENCE = 60.0
# Statuses in which an instance rests, and those that nobody leaves by waiting.
_INSTANCE_DONE = ("ACTIVE", "HEALTHY", "RESTART_REQUIRED", "SHUTDOWN", "DETACHED")
_INSTANCE_BAD = ("ERROR", "FAILED", "BLOCKED")


class Waiter:
    """Asks again and again, at a slowing pace, until an answer is final or the time is over."""

    def __init__(self, ctx: Any, timeout: float) -> None:
        self.ctx = ctx
        self.timeout = timeout
        self.told: dict[str, str] = {}

    def tell(self, key: str, text: str) -> None:
        """Write a line when it is news."""
        if text and self.told.get(key) != text:
            self.told[key] = text
            self.ctx.progress(f"{key}: {text}" if key else text)

    def poll(self, fetch: Callable[[], Any], done: Callable[[Any], bool], what: str) -> Any:
        deadline = time.monotonic() + self.timeout
        pause, unreachable_since = self.ctx.poll_seconds, None
        while True:
            now = time.monotonic()
            try:
                found = fetch()
                unreachable_since = None
                if done(found):
                    return found
            except exceptions.NotFound:
                return _GONE
            except Exception as error:
                if not _passes(error):
                    raise
                unreachable_since = unreachable_since or now
                self.tell("", f"the service does not answer, trying again ({error})")
                if now - unreachable_since > _PATIENCE:
                    raise
            if now + pause > deadline:
                raise exceptions.CommandError(
                    f"Waited {self.timeout:g} s for {what}: {self.last_word()}. It goes on; nothing was stopped."
                )
            time.sleep(pause)
            pause = min(pause * 1.5, self.ctx.poll_seconds_max)

    def last_word(self) -> str:
        return next(reversed(self.told.values()), "no change seen")


def _passes(error: Exception) -> bool:
    """Whether an error may go away by itself: nobody answered, or a proxy answered for the service."""
    if isinstance(error, exceptions.HttpError):
        return error.http_status in (502, 503, 504)
    return isinstance(error, exceptions.ConnectionRefused) or type(error).__name__.startswith(
        ("ConnectFailure", "ConnectTimeout", "ConnectionError", "RetriableConnectionFailure")
    )


def operation(ctx: Any, operation_id: str, timeout: float, gone: bool = False) -> None:
    """Follow an operation to its end. Raises CommandError with the service's reason when it ended badly.

    With `gone` its record may go together with what it removes.
    """
    waiter = Waiter(ctx, timeout)

    def show(found: Any) -> bool:
        info = found._info
        # Of several running steps of one phase the phase is told once, its steps through the status text.
        for step in info.get("steps") or []:
            if step.get("status") == "RUNNING":
                waiter.tell("phase", str(step.get("phase")))
        for member in info.get("members") or []:
            version = f", version {member['version']}" if member.get("version") else ""
            waiter.tell(str(member.get("name") or member["id"]), f"{member.get('status')}{version}")
        progress = info.get("progress") or {}
        waiter.tell(
            "step",
            f"{progress.get('done', 0)} of {progress.get('total', '?')}: {info['status_text']}"
            if info.get("status_text")
            else "",
        )
        waiter.tell("operation", str(info["status"]))
        return info["status"] in (*operations.FINAL, "HELD")

    found = waiter.poll(lambda: ctx.client.operations.get(operation_id), show, f"operation {operation_id}")
    if found is _GONE:
        if gone:
            return
        raise exceptions.CommandError(f"Operation {operation_id} is not there any more.")
    info = found._info
    status, reason = info["status"], info.get("error") or info.get("status_text") or "no reason given"
    if status == "SUCCEEDED":
        return
    if status == "HELD":
        text = f"Operation {operation_id} is held: {reason}. Go on with '{_hint(ctx, 'resume')} {operation_id}'"
        if info.get("can_rollback"):
            text += f" or go back with '{_hint(ctx, 'rollback')} {operation_id}'"
        if info.get("error"):
            raise exceptions.CommandError(f"{text}.")
        ctx.progress(f"{text}.")
        return
    raise exceptions.CommandError(f"Operation {operation_id} ended as {status}: {reason}")


def _hint(ctx: Any, verb: str) -> str:
    return str(ctx.command(f"database operation {verb}", f"operation-{verb}"))


def _fault(info: dict[str, Any]) -> str:
    fault = info.get("fault")
    return str(fault.get("message")) if isinstance(fault, dict) else str(fault or "no reason given")


def instance(ctx: Any, instance_id: Any, timeout: float, gone: bool = False) -> None:
    """Wait until an instance rests (or, with `gone`, is no more). Raises CommandError when it ends in an error."""
    waiter = Waiter(ctx, timeout)

    def show(found: Any) -> bool:
        waiter.tell(str(found.name), str(found.status))
        return found.status in _INSTANCE_BAD or (not gone and found.status in _INSTANCE_DONE)

    found = waiter.poll(lambda: ctx.client.instances.get(instance_id), show, f"instance {instance_id}")
    if found is _GONE:
        if not gone:
            raise exceptions.CommandError(f"Instance {instance_id} is not there any more.")
        return
    if found.status in _INSTANCE_BAD:
        raise exceptions.CommandError(f"Instance {found.name} ended as {found.status}: {_fault(found._info)}")


def cluster(ctx: Any, cluster_id: Any, timeout: float, gone: bool = False) -> None:
    """Wait until a cluster has no task (or, with `gone`, is no more). Raises CommandError when a member is in error."""
    waiter = Waiter(ctx, timeout)

    def show(found: Any) -> bool:
        info = found._info
        for member in info.get("instances") or []:
            version = f", version {member['version']}" if member.get("version") else ""
            waiter.tell(str(member.get("name") or member["id"]), f"{member.get('status', '')}{version}")
        task = (info.get("task") or {}).get("name")
        waiter.tell("task", str(task))
        return not gone and task == "NONE"

    found = waiter.poll(lambda: ctx.client.clusters.get(cluster_id), show, f"cluster {cluster_id}")
    if found is _GONE:
        if not gone:
            raise exceptions.CommandError(f"Cluster {cluster_id} is not there any more.")
        return
    bad = [item for item in found._info.get("instances") or [] if item.get("status") in _INSTANCE_BAD]
    if bad:
        names = ", ".join(f"{item.get('name')} is {item['status']}" for item in bad)
        raise exceptions.CommandError(f"Cluster {found.name} ended badly: {names}")


def after(ctx: Any, args: Any, kind: str, ref: Any, gone: bool = False) -> None:
    """With --wait: follow the operation that the last request started, or the resource where none was named."""
    if not getattr(args, "wait", False):
        return
    started = operations.id_from(getattr(ctx.client.client, "last_location", None))
    if started:
        operation(ctx, started, args.timeout, gone)
        return
    target = getattr(ref, "id", ref)
    (cluster if kind == "cluster" else instance)(ctx, target, args.timeout, gone)
