"""Bodies of operation requests."""

from __future__ import annotations

from trove.api.schemas.common import NOTHING, one_of

ACTION = one_of({"resume": NOTHING, "rollback": NOTHING})
