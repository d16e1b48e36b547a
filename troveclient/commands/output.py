"""Values as text, and text as tables."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Sequence
from typing import Any


def plain(value: Any) -> str:
    """A value as a person reads it: no quotes, no brackets, no Python words."""
    if value is None:
        return ""
    if isinstance(value, dict):
        if "address" in value:
            address = f"{value['address']}:{value['port']}" if value.get("port") else str(value["address"])
            return f"{address} ({value['type']})" if value.get("type") else address
        return ", ".join(f"{key}={plain(item)}" for key, item in value.items() if item is not None)
    if isinstance(value, (list, tuple)):
        return ", ".join(plain(item) for item in value)
    return str(value)


def width(text: str) -> int:
    """Columns that a text takes in a terminal."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text
    )


def table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Rows in a frame, left aligned; cells may have several lines."""
    cells = [[plain(cell).split("\n") for cell in row] for row in rows]
    widths = [width(name) for name in columns]
    for row in cells:
        for at, lines in enumerate(row):
            widths[at] = max([widths[at], *(width(line) for line in lines)])

    def line(parts: Sequence[str]) -> str:
        padded = (f" {part}{' ' * (widths[at] - width(part))} " for at, part in enumerate(parts))
        return f"|{'|'.join(padded)}|"

    rule = f"+{'+'.join('-' * (size + 2) for size in widths)}+"
    out = [rule, line(columns), rule]
    for row in cells:
        for at in range(max(len(lines) for lines in row)):
            out.append(line([lines[at] if at < len(lines) else "" for lines in row]))
    out.append(rule)
    return "\n".join(out)


def as_json(value: Any) -> str:
    return json.dumps(value, indent=2, sort_keys=True, default=str)
