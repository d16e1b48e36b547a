"""Files that are either the old or the new ones, never half of either."""

from __future__ import annotations

import contextlib
import json
import os
from typing import Any


def write_text(path: str, text: str, durable: bool = False, mode: int = 0o600) -> None:
    """Put the text in place at once; `durable` also waits until it survives a power cut (some milliseconds)."""
    temporary = f"{path}.{os.getpid()}.new"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        if durable:
            file.flush()
            os.fsync(file.fileno())
    os.replace(temporary, path)


def write_json(path: str, value: Any, durable: bool = False) -> None:
    """Put the value in place at once, as JSON."""
    write_text(path, json.dumps(value, separators=(",", ":")), durable)


def read_json(path: str) -> dict[str, Any] | None:
    """Return the object in the file, or None where there is no file or no whole one."""
    try:
        with open(path, encoding="utf-8") as file:
            value = json.load(file)
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def read_text(path: str) -> str | None:
    """Return the file's text, or None where there is none."""
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except OSError:
        return None


def remove(path: str) -> None:
    """Remove a file or a directory with everything in it; no error when it is gone already."""
    if os.path.isdir(path) and not os.path.islink(path):
        for name in os.listdir(path):
            remove(os.path.join(path, name))
        os.rmdir(path)
    else:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)


def rotate(path: str, largest: int = 4 << 20) -> None:
    """Put a log that has become large aside, in place of the one put aside before."""
    with contextlib.suppress(FileNotFoundError):
        if os.stat(path).st_size > largest:
            os.replace(path, path + ".1")


def read_tail(path: str, size: int = 4096) -> str:
    """Return the end of a log, empty where there is none."""
    try:
        with open(path, "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - size))
            return file.read().decode("utf-8", "replace")
    except OSError:
        return ""
