"""Errors of the libraries below, as a person reads them: what, why, what to do."""

from __future__ import annotations

import re

from troveclient import exceptions


def explain(error: Exception) -> str | None:
    """A sentence for an error whose own text helps nobody; None where its text is good."""
    name = type(error).__name__
    if isinstance(error, exceptions.Unauthorized) or name == "Unauthorized":
        return f"{str(error).rstrip('.')}. Log in again, or check user, password and project."
    if name in ("ConnectFailure", "ConnectTimeout", "ConnectionRefused", "SSLFailure", "RetriableConnectionFailure"):
        text = str(error)
        address = re.search(r"(https?://[^/\s]+)", text)
        where = f" at {address.group(1)}" if address else ""
        return f"The service{where} cannot be reached: {_reason(text)}. Is it running, and is the endpoint right?"
    if name in ("EndpointNotFound", "CatalogException", "EmptyCatalog"):
        return f"{str(error).rstrip('.')}. Check region, interface and service type, or name the endpoint."
    return None


def _reason(text: str) -> str:
    """The innermost cause in a chain of library texts."""
    for pattern in (r"\[Errno -?\d+\] ([^'\")]+)", r"(certificate verify failed[^'\")]*)", r"(timed out)"):
        found = re.search(pattern, text)
        if found:
            return found.group(1).strip().rstrip(".")
    return text.rpartition(": ")[2].strip("'\") .") or "no answer"
