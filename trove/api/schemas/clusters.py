"""Bodies of cluster requests."""

from __future__ import annotations

from trove.api.schemas.common import (
    ANYTHING,
    DATABASES,
    FLAVOR_REF,
    NESTR,
    NICS,
    NOTHING,
    UPGRADE_OPTIONS,
    USERS,
    UUID,
    VERSION_REF,
    VOLUME,
    Schema,
    one_of,
    wrapped,
)

MEMBER: Schema = {
    "type": "object",
    "description": 'an object like {"flavorRef": "1", "volume": {"size": 1}}',
    "required": ["flavorRef"],
    "properties": {
        "flavorRef": FLAVOR_REF,
        "volume": VOLUME,
        "nics": NICS,
        "availability_zone": NESTR,
        "name": NESTR,
        "type": {"type": ["string", "null"], "description": "text"},
        "related_to": {"type": ["string", "null"], "description": "text"},
        "region_name": NESTR,
        "modules": {"type": "array", "description": "a list"},
    },
}
MEMBERS: Schema = {
    "type": "array",
    "description": "a list of members to add",
    "minItems": 1,
    "maxItems": 100,
    "items": MEMBER,
}

CREATE = wrapped(
    "cluster",
    {
        "type": "object",
        "description": "an object",
        "required": ["name", "datastore", "instances"],
        "properties": {
            "name": NESTR,
            "datastore": {
                "type": "object",
                "description": 'an object like {"type": "mariadb", "version": "10.11"}',
                "required": ["type", "version"],
                "properties": {"type": NESTR, "version": NESTR},
            },
            "instances": MEMBERS,
            "databases": DATABASES,
            "users": USERS,
            "locality": {"enum": ["affinity", "anti-affinity"], "description": "affinity or anti-affinity"},
            "configuration": {"type": ["string", "null"], "description": "the id of a configuration group"},
            "extended_properties": {"type": ["object", "null"], "description": "an object"},
        },
    },
)

UPGRADE: Schema = {
    "type": "object",
    "description": 'an object like {"datastore_version": "11.8"}',
    "required": ["datastore_version"],
    "additionalProperties": False,
    "properties": {"datastore_version": VERSION_REF, **UPGRADE_OPTIONS},
}

PATCH = {
    **wrapped(
        "cluster",
        {
            "type": "object",
            "description": 'either {"datastore_version": "<uuid>"} or {"name": "<new name>"}',
            "minProperties": 1,
            "maxProperties": 1,
            "additionalProperties": False,
            "properties": {"datastore_version": VERSION_REF, "name": NESTR},
        },
    ),
    "additionalProperties": False,
}
"""The specification's form of an upgrade, the version and nothing else; or a new name."""

ACTION = one_of(
    {
        "grow": MEMBERS,
        "shrink": {
            "type": "array",
            "description": 'a list of objects like {"id": "<uuid of a member>"}',
            "minItems": 1,
            "items": {
                "type": "object",
                "description": 'an object like {"id": "<uuid of a member>"}',
                "required": ["id"],
                "properties": {"id": UUID},
            },
        },
        "restart": NOTHING,
        "upgrade": UPGRADE,
        "reset-status": {"type": ["object", "null"], "description": "an object"},
        "resize": {"type": "object", "minProperties": 1, "description": "an object with flavorRef or volume"},
        "add_shard": ANYTHING,
        "configuration_attach": ANYTHING,
        "configuration_detach": ANYTHING,
    }
)
