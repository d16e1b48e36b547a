"""The OpenAPI document, made from the table of routes and the schemas that bodies are checked with."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import Any

from trove.api.errors import FAULTS
from trove.api.routes import PREFIXES, PUBLIC, ROUTES, Route

Json = dict[str, Any]
PAGED = frozenset({"/instances", "/instances/detail", "/clusters", "/operations"})
FILTERS = {
    "/instances": ("name", "include_clustered"),
    "/instances/detail": ("name", "include_clustered"),
    "/clusters": ("name",),
    "/operations": ("status", "kind", "cluster_id", "instance_id"),
}
JSON_TYPE = "application/json"


def document() -> Json:
    """Return the whole document."""
    paths: defaultdict[str, Json] = defaultdict(dict)
    for public in PUBLIC:
        paths[public.path]["get"] = {
            "operationId": _operation_id("get", public.path),
            "summary": _summary(public.handler),
            "security": [],
            "responses": {"200": _content("The answer."), "default": {"$ref": "#/components/responses/Fault"}},
        }
    for prefix in PREFIXES:
        for route in ROUTES:
            path = f"{prefix}/{{project}}{route.path}"
            paths[path][route.method.lower()] = _operation(route, path)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Trove Anywhere",
            "version": "1.0",
            "description": "The OpenStack Trove v1.0 API with plans and operations.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": [{"basic": []}, {"token": []}],
        "paths": dict(paths),
        "components": {
            "securitySchemes": {
                "basic": {"type": "http", "scheme": "basic"},
                "token": {"type": "apiKey", "in": "header", "name": "X-Auth-Token"},
            },
            "responses": {"Fault": _content("What went wrong.", {"$ref": "#/components/schemas/Fault"})},
            "schemas": {"Fault": _fault_schema()},
        },
    }


def _operation(route: Route, path: str) -> Json:
    operation: Json = {
        "operationId": _operation_id(route.method, path),
        "summary": _summary(route.handler),
        "tags": [route.path.split("/")[1]],
        "parameters": [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
            for name in re.findall(r"{(\w+)}", path)
        ],
        "responses": {
            str(route.status): _content("The answer."),
            "default": {"$ref": "#/components/responses/Fault"},
        },
    }
    if route.rule:
        operation["x-policy-rule"] = route.rule
    if route.path in PAGED and route.method == "GET":
        operation["parameters"] += [
            {"name": "limit", "in": "query", "schema": {"type": "integer", "minimum": 1}},
            {"name": "marker", "in": "query", "schema": {"type": "string"}},
            *({"name": name, "in": "query", "schema": {"type": "string"}} for name in FILTERS[route.path]),
        ]
    if route.body is not None:
        operation["requestBody"] = {"required": True, "content": {JSON_TYPE: {"schema": route.body}}}
    return operation


def _content(description: str, schema: Json | None = None) -> Json:
    return {"description": description, "content": {JSON_TYPE: {"schema": schema or {"type": "object"}}}}


def _fault_schema() -> Json:
    fault = {
        "type": "object",
        "required": ["code", "message"],
        "properties": {"code": {"type": "integer"}, "message": {"type": "string"}},
    }
    return {
        "type": "object",
        "description": "One key, the name of the fault.",
        "minProperties": 1,
        "maxProperties": 1,
        "properties": {name: fault for _, _, name in FAULTS},
    }


def _operation_id(method: str, path: str) -> str:
    words = re.sub(r"\W+", "_", path.replace("v1.0", "v1_0")).rstrip("_")
    return f"{method.lower()}{words}{'_' if path.endswith('/') else ''}"


def _summary(handler: Any) -> str:
    return str(handler.__doc__ or "").strip().split("\n")[0]
