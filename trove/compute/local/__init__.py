"""Instances as sandboxes on this host."""

from trove.compute.local.bundles import Bundle
from trove.compute.local.driver import LocalCompute
from trove.compute.local.layout import Credentials

__all__ = ["Bundle", "Credentials", "LocalCompute"]
