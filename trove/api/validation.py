"""Check bodies against their schemas and say everything that is wrong with them at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from trove.domain.errors import BadRequest

SHOWN = 80
"""Characters of a wrong value that an error shows."""
MOST = 20
"""Violations listed at most."""


class BodyValidator:
    """One schema, compiled once."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self._expected = schema.get("description", "an object")
        self._validator = Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)

    def check(self, body: Any) -> None:
        """Raise BadRequest with every violation, each with its path: `root['instance']['name']: ...`."""
        if body is None or body == {}:
            raise BadRequest(f"Validation error: the body is empty; expected {self._expected}")
        lines = []
        for error in self._validator.iter_errors(body):
            lines += [line for line in _lines(error) if line not in lines]
            if len(lines) > MOST:
                lines = [*lines[:MOST], "and more"]
                break
        if lines:
            raise BadRequest("Validation error: " + "; ".join(lines))


def _lines(error: ValidationError) -> Iterator[str]:
    where = "root" + "".join(f"[{part!r}]" for part in error.absolute_path)
    schema: Mapping[str, Any] = error.schema if isinstance(error.schema, dict) else {}
    rule: Any = error.validator_value
    value: Any = error.instance
    expected = schema.get("description", "what is understood here")
    if error.validator == "required":
        yield from (f"{where}: {name!r} is missing; expected {expected}" for name in rule if name not in value)
    elif error.validator == "additionalProperties" and rule is False:
        known = schema.get("properties", {})
        unknown = (name for name in value if name not in known)
        yield from (f"{where}: {_shown(name)} is not known here; known are {', '.join(known)}" for name in unknown)
    elif error.validator == "dependentRequired":
        for name, needed in rule.items():
            if name in value and any(each not in value for each in needed):
                yield f"{where}: {name!r} needs {', '.join(needed)} beside it"
    else:
        secret = "password" in error.absolute_path
        yield f"{where}: {'this' if secret else _shown(value)} is not {expected}"


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= SHOWN else text[:SHOWN] + "..."
