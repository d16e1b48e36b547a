"""Commands of this module: see troveclient.commands.index."""

from troveclient.osc.v1 import base

__getattr__ = base.exports(__name__)
