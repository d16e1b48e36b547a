"""Translation marker. Messages are English only; the name stays because extensions import it."""

from __future__ import annotations


def _(text: str) -> str:
    return text
