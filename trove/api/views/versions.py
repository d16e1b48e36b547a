"""The version documents."""

from __future__ import annotations

from trove.api.views.common import Json

VERSION = "v1.0"


def version(base: str) -> Json:
    """Return the one version of the API there is."""
    return {
        "id": VERSION,
        "status": "CURRENT",
        "updated": "2012-08-01T00:00:00Z",
        "links": [{"rel": "self", "href": f"{base}/{VERSION}/"}],
    }
