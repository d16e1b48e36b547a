"""Python API, `trove` shell and `openstack database` commands for the OpenStack Trove API."""

from __future__ import annotations


def __getattr__(name: str) -> str:
    # Reading distribution metadata costs tens of milliseconds; only who asks for the version pays.
    if name == "__version__":
        from importlib import metadata

        try:
            return metadata.version("python-troveclient")
        except metadata.PackageNotFoundError:
            return "unknown"
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
