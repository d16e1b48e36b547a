"""A server's data and its copies. A copy or a restored volume appears complete or not at all."""

from __future__ import annotations

import json
from pathlib import Path

from trove import host
from trove.compute.local.layout import Home
from trove.domain.errors import DriverError
from trove.domain.ports import Order, Progress

COPY_TIMEOUT = 6 * 3600.0
SPARE = 64 << 20
"""Room to leave on the disk after a copy, bytes."""


def mend(home: Home) -> None:
    """Finish or undo what a crash left between two renames."""
    fresh, old = home.path / ".data.restored", home.path / ".data.old"
    if not home.data.exists():
        if fresh.exists():
            fresh.rename(home.data)
        elif old.exists():
            old.rename(home.data)
    for left in (fresh, old, *home.path.glob(".copy-*")):
        if left.exists():
            host.remove_tree(left)


def copy(home: Home, name: str, order: Order, progress: Progress) -> None:
    """Keep a copy of the data under a name; the same operation telling again changes nothing."""
    target, note = home.copy(name), _note(home, name)
    told = _read(note)
    if target.exists() and told.get("operation") == order.operation_id:
        return
    size = host.tree_bytes(home.data)
    _require_room(home, size, f"copying the data of {home.path.name}")
    progress(f"Copying {max(1, size >> 20)} MB of data")
    work = home.path / f".copy-{name}"
    _cp(home.data, work)
    if target.exists():
        note.unlink(missing_ok=True)
        host.remove_tree(target)
    work.rename(target)
    host.write_atomic(note, json.dumps({"operation": order.operation_id, "bytes": size}), mode=0o600)


def restore(home: Home, name: str, order: Order) -> None:
    """Put the copy in place of the data; the copy stays. The same order telling again changes nothing."""
    source, note = home.copy(name), _note(home, name)
    told = _read(note)
    if not source.exists() or told.get("restored") == order.id:
        return
    size = host.tree_bytes(source)
    if host.free_bytes(home.path) < size + SPARE and home.data.exists():
        # The data is to be given up anyway, the copy is complete: rather make room than need an administrator.
        host.remove_tree(home.data)
    _require_room(home, size, f"restoring the data of {home.path.name}")
    work, fresh, old = home.path / f".copy-{name}", home.path / ".data.restored", home.path / ".data.old"
    _cp(source, work)
    work.rename(fresh)
    if home.data.exists():
        home.data.rename(old)
    fresh.rename(home.data)
    host.write_atomic(note, json.dumps({**told, "restored": order.id}), mode=0o600)
    mend(home)


def discard(home: Home, name: str) -> None:
    """Remove a copy; no error when it is gone."""
    target = home.copy(name)
    _note(home, name).unlink(missing_ok=True)
    if target.exists():
        doomed = home.path / f".copy-{name}"
        target.rename(doomed)
        host.remove_tree(doomed)


def _note(home: Home, name: str) -> Path:
    return home.path / f".note-{name}.json"


def _read(path: Path) -> dict[str, object]:
    try:
        told = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}


def _cp(source: Path, target: Path) -> None:
    if target.exists():
        host.remove_tree(target)
    command = [host.tool("cp"), "-a", "--reflink=auto", str(source), str(target)]
    with host.disk_errors("copying data", target.parent):
        try:
            host.run(command, what=f"copying '{source}'", timeout=COPY_TIMEOUT)
        except host.CommandFailed:
            host.remove_tree(target) if target.exists() else None
            raise


def _require_room(home: Home, size: int, doing: str) -> None:
    free = host.free_bytes(home.path)
    if free < size + SPARE:
        raise DriverError(
            f"no room for {doing}: it needs {(size + SPARE) >> 20} MB below '{home.path.parent}', "
            f"{free >> 20} MB are free; free some space and try again"
        )
