"""The resource class under its older import path."""

from troveclient.base import Resource, getid

__all__ = ["Resource", "getid"]
