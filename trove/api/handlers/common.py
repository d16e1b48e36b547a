"""Look up what a request names, and read the parts that several bodies share."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from trove.api.context import Call
from trove.domain.datastores import Datastore, DatastoreVersion, Flavor
from trove.domain.errors import BadRequest, NotFound, NotSupported, OverLimit
from trove.domain.instances import Cluster, Instance
from trove.domain.operations import Operation
from trove.domain.requests import NewDatabase, NewUser, Nic, UpgradeOptions

LOG = logging.getLogger(__name__)

Body = Mapping[str, Any]


def find_instance(call: Call, rule: str) -> Instance:
    """Return the instance of the URL. NotFound for other projects', Forbidden when the policy says no."""
    instance = call.store.instance(_id(call, "instance"), call.caller.scope)
    call.enforce(rule, instance.project_id)
    return instance


def find_cluster(call: Call, rule: str) -> Cluster:
    """Return the cluster of the URL; errors as `find_instance`."""
    cluster = call.store.cluster(_id(call, "cluster"), call.caller.scope)
    call.enforce(rule, cluster.project_id)
    return cluster


def find_operation(call: Call, rule: str) -> Operation:
    """Return the operation of the URL; errors as `find_instance`."""
    operation = call.store.operation(_id(call, "operation"), call.caller.scope)
    call.enforce(rule, operation.project_id)
    return operation


def find_datastore(call: Call, ref: str) -> Datastore:
    """Return a datastore by id or name, with the versions the caller may know of; NotFound."""
    return call.store.datastore(ref)


def find_version(datastore: Datastore, ref: str, number: str | None = None) -> DatastoreVersion:
    """Return a version of the datastore by id or name; NotFound, naming what there is."""
    wanted = ref.lower()
    for version in datastore.versions:
        if wanted in (version.id, version.name.lower()) and number in (None, version.number):
            return version
    offered = ", ".join(version.name for version in datastore.versions if version.active) or "none"
    label = f"{ref} ({number})" if number else ref
    raise NotFound("datastore version", label, f"{datastore.name} is offered as {offered}")


def version_to_build(call: Call, body: Body) -> DatastoreVersion:
    """Return the version a create request asks for, or the default one. BadRequest when it is not active."""
    ref = body.get("type") or call.settings.default_datastore
    if not ref:
        raise BadRequest("datastore.type is missing, and this service has no default datastore; name one")
    datastore = find_datastore(call, ref)
    wanted = body.get("version") or datastore.default_version_id
    if not wanted:
        raise BadRequest(f"datastore.version is missing, and {datastore.name} has no default version; name one")
    version = find_version(datastore, wanted, body.get("version_number"))
    if not version.active:
        raise BadRequest(f"{datastore.name} {version.name} is not active, so nothing new is built with it")
    return version


def read_flavor(call: Call, ref: str | int | None) -> Flavor:
    """Return the flavor a body names: id, name or a URL that ends in one. BadRequest when there is none such."""
    if ref is None:
        raise BadRequest("flavorRef is missing; GET .../flavors lists what can be given")
    name = str(ref).rstrip("/").rpartition("/")[2]
    try:
        return call.store.flavor(name)
    except NotFound as error:
        raise BadRequest(f"flavor '{name}' was not found; GET .../flavors lists what can be given") from error


def read_volume(call: Call, volume: Body | None) -> int:
    """Return the size in gigabytes. BadRequest when missing, OverLimit above the largest allowed."""
    if volume is None:
        raise BadRequest('volume is missing; give its size in gigabytes, like {"size": 1}')
    size = int(volume["size"])
    if size > call.settings.max_volume_gb:
        shown = size if size < 10**9 else "that many"
        raise OverLimit(f"a volume of {shown} GB is larger than the {call.settings.max_volume_gb} GB allowed")
    return size


def read_nics(nics: list[Body] | None) -> tuple[Nic, ...]:
    """Return where to attach. BadRequest when no network is named."""
    result = []
    for nic in nics or ():
        network, subnet, ip = nic.get("network_id") or nic.get("net-id"), nic.get("subnet_id"), nic.get("ip_address")
        if not network and not subnet:
            raise BadRequest("nics: network_id or subnet_id is needed")
        if ip and not subnet:
            raise BadRequest("nics: ip_address needs the subnet_id it belongs to")
        result.append(Nic(network, subnet, ip))
    return tuple(result)


def read_databases(items: list[Body] | None) -> tuple[NewDatabase, ...]:
    """Return databases to create. BadRequest when one is named twice."""
    databases = tuple(NewDatabase(item["name"], item.get("character_set"), item.get("collate")) for item in items or ())
    twice = _twice([database.name for database in databases])
    if twice:
        raise BadRequest(f"databases: '{twice}' is named twice")
    return databases


def read_users(items: list[Body] | None, databases: tuple[NewDatabase, ...]) -> tuple[NewUser, ...]:
    """Return accounts to create. BadRequest for one named twice, or with a database that is not created."""
    names = {database.name for database in databases}
    users = tuple(
        NewUser(
            item["name"],
            item["password"],
            item.get("host") or "%",
            tuple(database["name"] for database in item.get("databases", ())),
        )
        for item in items or ()
    )
    twice = _twice([f"{user.name}@{user.host}" for user in users])
    if twice:
        raise BadRequest(f"users: '{twice}' is named twice")
    unknown = [f"'{name}' of user '{user.name}'" for user in users for name in user.databases if name not in names]
    if unknown:
        raise BadRequest(f"users: database {', '.join(unknown)} is not in databases, so it would not exist")
    return users


def read_options(body: Body) -> UpgradeOptions:
    """Return how to upgrade."""
    return UpgradeOptions(
        on_failure=body.get("on_failure", "rollback"),
        hold=frozenset(body.get("hold", ())),
        accept_no_rollback=body.get("accept_no_rollback", False),
    )


def refuse_unsupported(body: Body, names: Mapping[str, str]) -> None:
    """Raise NotSupported when the body asks for something that would silently not happen."""
    wanted = [f"{name} ({why})" for name, why in names.items() if body.get(name)]
    if wanted:
        raise NotSupported(f"this service cannot do this yet: {', '.join(wanted)}; leave it out")


def note_ignored(body: Body, schema: Body) -> None:
    """Leave a line in the log about keys that a create request has and nobody reads."""
    unknown = sorted(repr(name)[:40] for name in body.keys() - schema["properties"].keys())
    if unknown:
        LOG.warning("ignored in the body of a request: %s", ", ".join(unknown[:20]))


def check_region(call: Call, name: str | None) -> None:
    """Raise BadRequest for another region than ours."""
    if name and name != call.settings.region:
        raise BadRequest(f"region '{name}' does not exist here; the only region is {call.settings.region}")


def is_uuid(text: str) -> bool:
    """Tell whether the text has the form of an id."""
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False


def _id(call: Call, kind: str) -> str:
    text = call.params[kind]
    if not is_uuid(text):
        raise NotFound(kind, text[:80])
    return text.lower()


def _twice(names: list[str]) -> str | None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return None
