"""What controller and guest agent agree on. Runs on Python 3.9 as well: the agent imports it inside every image."""

from __future__ import annotations

import re

PORT = 9779
"""TCP port every guest agent listens on, on its instance's own address."""

CONTROLLER_NAME = "trove-controller"
"""Common name of the only client certificate an agent listens to."""

RUNNING, SUCCEEDED, FAILED = "RUNNING", "SUCCEEDED", "FAILED"
"""States of an operation."""

LONGEST_WAIT = 30.0
"""Longest time one request may be held back, seconds; who wants to wait longer asks again."""

LARGEST_BODY = 1 << 20
"""Largest request body, bytes."""

OPERATION_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
"""What an operation id looks like; it becomes a file name."""

DESIRED_RUNNING, DESIRED_STOPPED, DESIRED_UPGRADING = "running", "stopped", "upgrading"
"""What the agent keeps its engine at."""
