"""The same exceptions under their older import path."""

from troveclient.exceptions import *  # noqa: F403
from troveclient.exceptions import from_response  # noqa: F401
