"""Every URL of the API on one screen: method, path, handler, policy rule, success status, schema of the body.

Paths of ROUTES stand behind `/v1.0/{project}` and `/v1/{project}`. A rule of None is chosen by the handler, because it
depends on the body. Handlers that load an object also apply the rule to that object's project.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from trove.api.context import Call, PublicCall, Reply
from trove.api.handlers import clusters, datastores, flavors, instances, operations, quotas, root
from trove.api.schemas import clusters as cluster_bodies
from trove.api.schemas import instances as instance_bodies
from trove.api.schemas import operations as operation_bodies
from trove.api.schemas import quotas as quota_bodies


@dataclass(frozen=True)
class Route:
    """One method of one URL."""

    method: str
    path: str
    handler: Callable[[Call], Reply]
    rule: str | None
    status: int
    body: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class PublicRoute:
    """A URL that needs no identity. Always GET, always 200."""

    path: str
    handler: Callable[[PublicCall], Reply]


PREFIXES = ("/v1.0", "/v1")

PUBLIC = (
    PublicRoute("/", root.versions),
    PublicRoute("/v1.0", root.version),
    PublicRoute("/v1.0/", root.version),
    PublicRoute("/v1", root.version),
    PublicRoute("/v1/", root.version),
    PublicRoute("/healthcheck", root.healthcheck),
    PublicRoute("/openapi.json", root.openapi),
)

# fmt: off
ROUTES = (
    Route("GET",    "/instances",                    instances.index,  "instance:index",  200),
    Route("POST",   "/instances",                    instances.create, "instance:create", 200, instance_bodies.CREATE),
    Route("GET",    "/instances/detail",             instances.detail, "instance:detail", 200),
    Route("GET",    "/instances/{instance}",         instances.show,   "instance:show",   200),
    Route("PUT",    "/instances/{instance}",         instances.change, "instance:update", 202, instance_bodies.PUT),
    Route("PATCH",  "/instances/{instance}",         instances.change, "instance:update", 202, instance_bodies.PATCH),
    Route("DELETE", "/instances/{instance}",         instances.delete, "instance:delete", 202),
    Route("POST",   "/instances/{instance}/action",  instances.action, None,              202, instance_bodies.ACTION),

    Route("GET",    "/clusters",                     clusters.index,   "cluster:index",   200),
    Route("POST",   "/clusters",                     clusters.create,  "cluster:create",  200, cluster_bodies.CREATE),
    Route("GET",    "/clusters/{cluster}",           clusters.show,    "cluster:show",    200),
    Route("POST",   "/clusters/{cluster}",           clusters.action,  None,              202, cluster_bodies.ACTION),
    Route("PATCH",  "/clusters/{cluster}",           clusters.change,  "cluster:action",  202, cluster_bodies.PATCH),
    Route("PATCH",  "/cluster/{cluster}",            clusters.change,  "cluster:action",  202, cluster_bodies.PATCH),
    Route("DELETE", "/clusters/{cluster}",           clusters.delete,  "cluster:delete",  202),
    Route("GET",    "/clusters/{cluster}/instances/{instance}", clusters.show_instance, "cluster:show_instance", 200),

    Route("GET",    "/operations",                   operations.index,  "operation:index", 200),
    Route("GET",    "/operations/{operation}",       operations.show,   "operation:show",  200),
    Route("POST",   "/operations/{operation}/action", operations.action, None,            202, operation_bodies.ACTION),

    Route("GET",    "/datastores",                        datastores.index,         "datastore:index",         200),
    Route("GET",    "/datastores/{datastore}",            datastores.show,          "datastore:show",          200),
    Route("GET",    "/datastores/{datastore}/versions",   datastores.version_index, "datastore:version_index", 200),
    Route("GET",    "/datastores/{datastore}/versions/{version}",
          datastores.version_show, "datastore:version_show", 200),
    Route("GET",    "/datastores/{datastore}/versions/{version}/flavors",
          datastores.version_flavors, "datastore:list_associated_flavors", 200),
    Route("GET",    "/datastores/versions/{version}",
          datastores.version_show_by_uuid, "datastore:version_show_by_uuid", 200),

    Route("GET",    "/flavors",                      flavors.index,    "flavor:index",    200),
    Route("GET",    "/flavors/{flavor}",             flavors.show,     "flavor:show",     200),
    Route("GET",    "/limits",                       quotas.limits,    "limits:index",    200),
    Route("GET",    "/mgmt/quotas/{target}",         quotas.show,      "quota:show",      200),
    Route("PUT",    "/mgmt/quotas/{target}",         quotas.update,    "quota:update",    200, quota_bodies.UPDATE),
)
# fmt: on
