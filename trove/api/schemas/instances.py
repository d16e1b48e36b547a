"""Bodies of instance requests."""

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

DATASTORE: Schema = {
    "type": "object",
    "description": 'an object like {"type": "mariadb", "version": "10.11"}',
    "properties": {"type": NESTR, "version": NESTR, "version_number": NESTR},
}

CREATE = wrapped(
    "instance",
    {
        "type": "object",
        "description": "an object",
        "required": ["name"],
        "properties": {
            "name": NESTR,
            "flavorRef": FLAVOR_REF,
            "volume": VOLUME,
            "datastore": DATASTORE,
            "databases": DATABASES,
            "users": USERS,
            "nics": NICS,
            "availability_zone": NESTR,
            "locality": {
                "enum": ["affinity", "anti-affinity", "soft-affinity", "soft-anti-affinity"],
                "description": "affinity, anti-affinity, soft-affinity or soft-anti-affinity",
            },
            "region_name": NESTR,
            "replica_of": UUID,
            "replica_count": {"type": "integer", "minimum": 1, "maximum": 3, "description": "1, 2 or 3"},
            "restorePoint": {
                "type": "object",
                "description": 'an object like {"backupRef": "<uuid>"}',
                "required": ["backupRef"],
                "properties": {"backupRef": UUID},
            },
            "configuration": NESTR,
            "modules": {"type": "array", "description": "a list"},
            "access": {
                "type": "object",
                "description": 'an object like {"is_public": false}',
                "properties": {
                    "is_public": {"type": "boolean", "description": "true or false"},
                    "allowed_cidrs": {
                        "type": "array",
                        "uniqueItems": True,
                        "description": "a list of networks like 10.20.0.0/16",
                        "items": {
                            "type": "string",
                            "pattern": r"^\d{1,3}(\.\d{1,3}){3}(/(\d|[12]\d|3[0-2]))?$",
                            "description": "a network like 10.20.0.0/16",
                        },
                    },
                },
            },
        },
    },
)

CHANGES: Schema = {
    "name": NESTR,
    "datastore_version": VERSION_REF,
    **UPGRADE_OPTIONS,
    "configuration": {"type": ["string", "null"], "description": "the id of a configuration group, or null"},
    "replica_of": ANYTHING,
}


def _change(extra: Schema) -> Schema:
    return wrapped(
        "instance",
        {
            "type": "object",
            "description": "an object",
            "additionalProperties": False,
            "properties": {**CHANGES, **extra},
            "dependentRequired": {option: ["datastore_version"] for option in UPGRADE_OPTIONS},
        },
    )


PUT = _change({"access": {"type": "object", "description": "an object"}})
PATCH = _change({"slave_of": ANYTHING})

ACTION = one_of(
    {
        "restart": NOTHING,
        "reset_status": {"type": ["object", "null"], "description": "an object"},
        "resize": {"type": "object", "minProperties": 1, "description": "an object with flavorRef or volume"},
        "promote_to_replica_source": ANYTHING,
        "eject_replica_source": ANYTHING,
    }
)
