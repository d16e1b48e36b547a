"""The little language of `--instance "key=value,…"`, of --nic, --users and other composed values."""

from __future__ import annotations

import re
from typing import Any

from troveclient import exceptions

EXT_PROPS_METAVAR = "<key=value,...>"
EXT_PROPS_HELP = (
    "Properties of a MongoDB cluster: num_configsvr, num_mongos, configsvr_volume_size, configsvr_volume_type, "
    "mongos_volume_size, mongos_volume_type; separated by commas."
)
INSTANCE_METAVAR = '"opt=<value>[,opt=<value> ...]"'
INSTANCE_HELP = (
    "A member of the cluster; repeat for each. Keys: flavor=<name or ID> and volume=<GB> (both needed), "
    "volume_type=<type>, nic='net-id=<id>[,subnet-id=<id>,ip-address=<address>]' (in quotes, repeatable), "
    "availability_zone=<zone>, module=<name or ID> (repeatable), type=<type> (repeatable), region=<region>."
)
GROW_HELP = f"{INSTANCE_HELP} Also name=<name> and related_to=<member>."

_CREATE_KEYS = frozenset(("flavor", "volume", "volume_type", "nic", "availability_zone", "module", "type", "region"))
_GROW_KEYS = _CREATE_KEYS | {"name", "related_to"}
_REPEATABLE = frozenset(("nic", "module", "type"))
_NIC_KEYS = {
    "net-id": "network_id",
    "network_id": "network_id",
    "subnet-id": "subnet_id",
    "subnet_id": "subnet_id",
    "ip-address": "ip_address",
    "ip_address": "ip_address",
    "v4-fixed-ip": "v4-fixed-ip",
    "port-id": "port-id",
}


def pairs(text: str, what: str) -> list[tuple[str, str]]:
    """Split `k=v,k='a,b'` into pairs. Quotes (' or ") keep commas. Raises ValidationError with the place."""
    found: list[tuple[str, str]] = []
    at, end = 0, len(text)
    while at < end:
        match = re.compile(r"\s*([A-Za-z0-9_-]+)\s*=").match(text, at)
        if match is None:
            raise exceptions.ValidationError(f"{what}: {text!r} is not key=value[,key=value...] (at {text[at:]!r}).")
        key, at = match.group(1), match.end()
        if at < end and text[at] in "'\"":
            close = text.find(text[at], at + 1)
            if close < 0:
                raise exceptions.ValidationError(f"{what}: the quote {text[at]} of {key!r} is not closed in {text!r}.")
            value, at = text[at + 1 : close], close + 1
            if at < end and text[at] != ",":
                raise exceptions.ValidationError(f"{what}: a comma is missing before {text[at:]!r} in {text!r}.")
        else:
            comma = text.find(",", at)
            stop = end if comma < 0 else comma
            value, at = text[at:stop].strip(), stop
        found.append((key, value))
        if at < end:
            at += 1  # the comma
            if at == end:
                raise exceptions.ValidationError(f"{what}: {text!r} ends with a comma.")
    return found


def nic(text: str, what: str = "--nic") -> dict[str, str]:
    """One network interface. Exactly one of net-id and port-id. Raises ValidationError."""
    out: dict[str, str] = {}
    for key, value in pairs(text, what):
        if key not in _NIC_KEYS:
            raise exceptions.ValidationError(f"{what}: unknown key {key!r}. Known: {', '.join(sorted(_NIC_KEYS))}.")
        if _NIC_KEYS[key] in out:
            raise exceptions.ValidationError(f"{what}: {key!r} is given twice in {text!r}.")
        if not value:
            raise exceptions.ValidationError(f"{what}: {key!r} has no value in {text!r}.")
        out[_NIC_KEYS[key]] = value
    if ("network_id" in out) == ("port-id" in out):
        raise exceptions.ValidationError(f"{what}: give exactly one of net-id and port-id, not {text!r}.")
    return out


def member(text: str, grow: bool = False) -> dict[str, list[str]]:
    """The keys of one --instance with their values. Raises ValidationError, MissingArgs."""
    known = _GROW_KEYS if grow else _CREATE_KEYS
    out: dict[str, list[str]] = {}
    if not text.strip():
        raise exceptions.ValidationError("--instance is empty. Give at least flavor=<name or ID>,volume=<GB>.")
    for key, value in pairs(text, "--instance"):
        if key in ("net-id", "port-id", "v4-fixed-ip", "subnet-id", "ip-address"):
            raise exceptions.ValidationError(f"--instance: quote the value of nic, as in nic='{key}={value}'.")
        if key not in known:
            raise exceptions.ValidationError(f"--instance: unknown key {key!r}. Known: {', '.join(sorted(known))}.")
        if key in out and key not in _REPEATABLE:
            raise exceptions.ValidationError(f"--instance: {key!r} is given twice in {text!r}.")
        if not value:
            raise exceptions.ValidationError(f"--instance: {key!r} has no value in {text!r}.")
        out.setdefault(key, []).append(value)
    for key in ("flavor", "volume"):
        if key not in out:
            raise exceptions.MissingArgs([key], f"Missing option '{key}' in --instance {text!r}.")
    return out


def members(client: Any, options: list[str] | None, for_grow: bool = False) -> list[dict[str, Any]]:
    """What the API takes for the --instance options of one command line; looks flavors and modules up by name."""
    from troveclient import utils

    if not options:
        raise exceptions.MissingArgs(["instance"], "Give at least one --instance.")
    flavors: dict[str, Any] = {}
    out = []
    for text in options:
        given = member(text, for_grow)
        name = given["flavor"][0]
        if name not in flavors:
            flavors[name] = str(utils.get_resource_id(client.flavors, name))
        item: dict[str, Any] = {"flavorRef": flavors[name], "volume": {"size": given["volume"][0]}}
        if "volume_type" in given:
            item["volume"]["type"] = given["volume_type"][0]
        if "nic" in given:
            item["nics"] = [nic(value, "--instance nic") for value in given["nic"]]
        if "module" in given:
            item["modules"] = [{"id": utils.get_resource_id(client.modules, value)} for value in given["module"]]
        if "type" in given:
            item["type"] = given["type"]
        for key in ("availability_zone", "region", "name", "related_to"):
            if key in given:
                item[key] = given[key][0]
        out.append(item)
    return out


def extended_properties(text: str) -> dict[str, str]:
    """`k=v,k=v` as a dictionary. Raises ValidationError."""
    return dict(pairs(text, "--extended-properties"))


def users_with_databases(values: list[str] | None) -> list[dict[str, Any]]:
    """`name:password[:database]` as records; the same user again adds a database. Raises ValidationError."""
    found: dict[str, dict[str, Any]] = {}
    for text in values or []:
        parts = text.split(":")
        if len(parts) not in (2, 3) or not all(parts):
            raise exceptions.ValidationError(f"--user: {text!r} is not name:password or name:password:database.")
        user = found.setdefault(parts[0], {"name": parts[0], "password": parts[1]})
        if user["password"] != parts[1]:
            raise exceptions.ValidationError(f"--user: {parts[0]!r} is given with two passwords.")
        if len(parts) == 3:
            user.setdefault("databases", []).append({"name": parts[2]})
    return list(found.values())


def users(values: list[str] | None, databases: list[dict[str, str]] | None = None) -> list[dict[str, Any]]:
    """`user:password` words as records; every user may use the given databases. Raises ValidationError."""
    out = []
    for text in values or []:
        name, colon, password = text.partition(":")
        if not (name and colon and password):
            raise exceptions.ValidationError(f"--users: {text!r} is not user:password.")
        out.append({"name": name, "password": password, "databases": list(databases or [])})
    return out
