"""Pieces that several schemas share (reference: the validation primitives of the v1.0 API).

The `description` of a piece is what an error message says was expected.
"""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]

NESTR: Schema = {
    "type": "string",
    "minLength": 1,
    "maxLength": 255,
    "pattern": r"^[^\u0000]*[0-9a-zA-Z][^\u0000]*$",
    "description": "text of 1 to 255 characters with at least one letter or digit",
}
UUID: Schema = {
    "type": "string",
    "pattern": "^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$",
    "description": "a UUID",
}
FLAVOR_REF: Schema = {
    "type": ["string", "integer"],
    "minLength": 1,
    "maxLength": 255,
    "description": "the id or name of a flavor",
}
SIZE: Schema = {
    "type": ["integer", "string"],
    "minimum": 1,
    "maxLength": 40,
    "pattern": "^0*[1-9][0-9]*$",
    "description": "a number of gigabytes, 1 or more",
}
VOLUME: Schema = {
    "type": "object",
    "description": 'an object like {"size": 4}',
    "required": ["size"],
    "properties": {"size": SIZE, "type": {"type": ["string", "null"], "maxLength": 255}},
}
NICS: Schema = {
    "type": "array",
    "description": "a list of at most one network",
    "maxItems": 1,
    "items": {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "net-id": UUID,
            "network_id": UUID,
            "subnet_id": UUID,
            "ip_address": {"type": "string", "format": "ipv4", "description": "an IPv4 address"},
        },
    },
}
DATABASES: Schema = {
    "type": "array",
    "description": 'a list of objects like {"name": "orders"}',
    "items": {
        "type": "object",
        "description": 'an object like {"name": "orders"}',
        "required": ["name"],
        "properties": {"name": NESTR, "character_set": NESTR, "collate": NESTR},
    },
}
USERS: Schema = {
    "type": "array",
    "description": 'a list of objects like {"name": "shop", "password": "..."}',
    "items": {
        "type": "object",
        "description": 'an object like {"name": "shop", "password": "..."}',
        "required": ["name", "password"],
        "properties": {
            "name": {
                "type": "string",
                "minLength": 1,
                "pattern": "[0-9a-zA-Z]",
                "description": "text with at least one letter or digit",
            },
            "password": {"type": "string", "minLength": 1, "description": "text of 1 character or more"},
            "host": {
                "type": "string",
                "pattern": r"^[%]?[\w(-).]*[%]?$",
                "description": "a host name, an address, or a part of one and %",
            },
            "databases": {
                "type": "array",
                "description": 'a list of objects like {"name": "orders"}',
                "items": {
                    "type": "object",
                    "description": 'an object like {"name": "orders"}',
                    "required": ["name"],
                    "properties": {"name": NESTR},
                },
            },
        },
    },
}
VERSION_REF: Schema = {
    "type": "string",
    "minLength": 1,
    "maxLength": 255,
    "description": "the id or name of a datastore version",
}
ANYTHING: Schema = {}
NOTHING: Schema = {
    "type": ["object", "null"],
    "maxProperties": 0,
    "description": "an empty object",
}
"""The value of actions without arguments; some clients send null."""

UPGRADE_OPTIONS: Schema = {
    "dry_run": {"type": "boolean", "description": "true or false"},
    "on_failure": {"enum": ["rollback", "hold"], "description": "rollback or hold"},
    "hold": {
        "type": "array",
        "description": "a list of canary, switchover, finalize",
        "uniqueItems": True,
        "items": {"enum": ["canary", "switchover", "finalize"], "description": "canary, switchover or finalize"},
    },
    "accept_no_rollback": {"type": "boolean", "description": "true or false"},
}


def wrapped(name: str, inner: Schema) -> Schema:
    """Return the schema of a body whose content stands under one key."""
    return {
        "type": "object",
        "description": f'an object with the key "{name}"',
        "required": [name],
        "properties": {name: inner},
    }


def one_of(actions: dict[str, Schema]) -> Schema:
    """Return the schema of an action body: exactly one of these keys."""
    return {
        "type": "object",
        "description": f"an object with exactly one key of {', '.join(actions)}",
        "minProperties": 1,
        "maxProperties": 1,
        "additionalProperties": False,
        "properties": actions,
    }
