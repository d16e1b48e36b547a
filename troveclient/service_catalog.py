"""Read token and endpoints out of an identity v2.0 login."""

from __future__ import annotations

from typing import Any

from troveclient import exceptions


class ServiceCatalog:
    """The answer of `POST /v2.0/tokens`."""

    def __init__(self, resource_dict: dict[str, Any]) -> None:
        self.catalog = resource_dict

    def get_token(self) -> str:
        return str(self.catalog["access"]["token"]["id"])

    def url_for(
        self,
        attr: str | None = None,
        filter_value: str | None = None,
        service_type: str | None = None,
        endpoint_type: str = "publicURL",
        service_name: str | None = None,
        database_service_name: str | None = None,
    ) -> str:
        """The one endpoint that fits. Raises EndpointNotFound, AmbiguousEndpoints."""
        wanted_name = database_service_name if service_type == "database" and database_service_name else service_name
        found: list[dict[str, Any]] = []
        # An unscoped or foreign answer carries the endpoints alone.
        if "endpoints" in self.catalog:
            for endpoint in self.catalog["endpoints"]:
                if not filter_value or endpoint.get(attr) == filter_value:
                    found.append(endpoint)
        else:
            services = self.catalog["access"].get("serviceCatalog") or []
            for service in services:
                if service_type and service.get("type") != service_type:
                    continue
                if wanted_name and service.get("name") != wanted_name:
                    continue
                for endpoint in service["endpoints"]:
                    if filter_value and endpoint.get(attr) != filter_value:
                        continue
                    found.append({**endpoint, "serviceName": service.get("name")})
        if not found:
            raise exceptions.EndpointNotFound(f"No {endpoint_type} endpoint for service type {service_type!r}.")
        if len({item.get(endpoint_type) for item in found}) > 1:
            raise exceptions.AmbiguousEndpoints(found)
        if endpoint_type not in found[0]:
            raise exceptions.EndpointNotFound(f"The service {service_type!r} has no {endpoint_type}.")
        return str(found[0][endpoint_type])
