"""Records of the service as the commands show them."""

from __future__ import annotations

from typing import Any


def record(obj: Any) -> dict[str, Any]:
    """The fields of a record as the service sent them."""
    info = obj if isinstance(obj, dict) else obj._info
    return {key: value for key, value in info.items() if key not in ("links", "HUMAN_ID")}


def _ids(items: Any) -> str:
    return ", ".join(str(item["id"]) for item in items)


def _addresses(items: Any) -> str:
    return ", ".join(str(item["address"] if isinstance(item, dict) else item) for item in items)


def instance(obj: Any) -> dict[str, Any]:
    out = record(obj)
    for name in ("flavor", "configuration", "replica_of"):
        if isinstance(out.get(name), dict):
            out[name] = out[name].get("id")
    volume = out.pop("volume", None)
    if isinstance(volume, dict):
        out["volume"] = volume.get("size")
        if volume.get("used") is not None:
            out["volume_used"] = volume["used"]
        if volume.get("type"):
            out["volume_type"] = volume["type"]
    elif volume is not None:
        out["volume"] = volume
    if "ip" in out:
        out["ip"] = _addresses(out["ip"])
    store = out.get("datastore")
    if isinstance(store, dict):
        out["datastore"] = store.get("type")
        out["datastore_version"] = store.get("version")
        if "version_number" in store:
            out["datastore_version_number"] = store["version_number"]
    if "replicas" in out:
        out["replicas"] = _ids(out["replicas"])
    if isinstance(out.get("networks"), dict):
        networks = out["networks"]
        out["networks"], out["networks_id"] = networks.get("name"), networks.get("id")
    fault = out.get("fault")
    if isinstance(fault, dict):
        out["fault"] = fault.get("message")
        out["fault_date"] = fault.get("created")
        if fault.get("details"):
            out["fault_details"] = fault["details"]
    access = out.pop("access", None)
    if isinstance(access, dict):
        out["public"] = access.get("is_public", False)
        out["allowed_cidrs"] = access.get("allowed_cidrs", [])
    return out


def cluster(obj: Any) -> dict[str, Any]:
    out = record(obj)
    store = out.get("datastore")
    if isinstance(store, dict):
        out["datastore"] = store.get("type")
        out["datastore_version"] = store.get("version")
    task = out.pop("task", None) or {}
    out["task_name"] = task.get("name")
    out["task_description"] = task.get("description")
    members = out.pop("instances", None)
    if members is not None:
        out["instance_count"] = len(members)
    if "ip" in out:
        out["ip"] = _addresses(out["ip"] or [])
    return out


def backup(obj: Any) -> dict[str, Any]:
    out = record(obj)
    store = out.pop("datastore", None)
    if isinstance(store, dict):
        out["datastore"] = store.get("type")
        out["datastore_version"] = store.get("version")
        out["datastore_version_id"] = store.get("version_id")
    return out


def flavor(obj: Any) -> dict[str, Any]:
    out = record(obj)
    out["id"] = obj.id
    out.pop("str_id", None)
    out.pop("local_storage", None)
    return out


def pick(obj: Any, name: str) -> Any:
    """A field of an object or dictionary; empty when the service did not send it."""
    if isinstance(obj, dict):
        return obj.get(name, "")
    return obj.__dict__.get(name, "")


def flavor_id(obj: Any) -> Any:
    found = pick(obj, "flavor")
    return found.get("id", "") if isinstance(found, dict) else found


def instance_row(obj: Any, admin: bool = False) -> tuple[Any, ...]:
    store, volume, access = pick(obj, "datastore") or {}, pick(obj, "volume"), pick(obj, "access")
    role = "replica" if pick(obj, "replica_of") else "primary" if pick(obj, "replicas") else ""
    row = (
        obj.id,
        obj.name,
        store.get("type"),
        store.get("version"),
        obj.status,
        pick(obj, "operating_status"),
        access.get("is_public", "") if isinstance(access, dict) else "",
        pick(obj, "addresses"),
        flavor_id(obj),
        volume.get("size", "") if isinstance(volume, dict) else "",
        role,
    )
    if not admin:
        return row
    server = pick(obj, "server")
    return (*row, server.get("id") if isinstance(server, dict) else pick(obj, "server_id"), pick(obj, "tenant_id"))
