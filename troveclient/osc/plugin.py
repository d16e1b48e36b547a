"""The entry of `openstack`: options, and the client that its commands use."""

from __future__ import annotations

import argparse
import os
from typing import Any

DEFAULT_DATABASE_API_VERSION = "1"
DEFAULT_API_VERSION = DEFAULT_DATABASE_API_VERSION
API_VERSION_OPTION = "os_database_api_version"
API_NAME = "database"
API_VERSIONS = {"1": "troveclient.v1.client.Client", "1.0": "troveclient.v1.client.Client"}


def make_client(instance: Any) -> Any:
    """Make the database client from openstackclient's session; called when a command first needs it."""
    from troveclient.v1 import client

    kwargs: dict[str, Any] = {}
    # `database_endpoint_override` in clouds.yaml; older osc-lib has no such question.
    ask = getattr(instance, "_override_for", None)
    override = ask("database") if callable(ask) else None
    if isinstance(override, str):
        kwargs["endpoint_override"] = override
    return client.Client(
        session=instance.session,
        auth=instance.auth,
        region_name=instance._region_name,
        endpoint_type=instance.interface or "publicURL",
        **kwargs,
    )


def build_option_parser(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """Add our option to the openstack shell, unless another distribution already did."""
    option = "--os-database-api-version"
    if option not in parser._option_string_actions:
        parser.add_argument(
            option,
            metavar="<database-api-version>",
            default=os.environ.get("OS_DATABASE_API_VERSION", DEFAULT_DATABASE_API_VERSION),
            help=f"Database API version, default={DEFAULT_DATABASE_API_VERSION} (Env: OS_DATABASE_API_VERSION)",
        )
    return parser
