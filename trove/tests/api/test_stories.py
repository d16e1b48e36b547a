"""Every story of `cases/`, against the application in this process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from trove.tests.api.conftest import in_process
from trove.tests.api.installation import Installation
from trove.tests.api.stories import Story, load


@pytest.mark.parametrize("story", load(), ids=lambda story: story.id)
def test_story(story: Story, installation: Installation, make_app: Callable[..., Any]) -> None:
    story.run(installation, in_process(make_app()))


@pytest.mark.parametrize(
    "wrong",
    [
        {"status": 201},
        {"status": 200, "json": {"flavor": {"id": 2}}},
        {"status": 200, "json": {"flavor": {"colour": "red"}}},
        {"status": 200, "json": {"flavor": {"links": []}}},
        {"status": 200, "json": {"flavor": {"name": "~[0-9]+"}}},
        {"status": 200, "exactly": {"flavor": {}}},
        {"status": 200, "empty": True},
        {"status": 200, "absent": ["flavor.id"]},
        {"status": 200, "answers": {"Location": "~.*"}},
        {"status": 200, "fault": ["itemNotFound", ""]},
    ],
    ids=str,
)
def test_a_wrong_answer_is_noticed(wrong: Any, installation: Installation, make_app: Callable[..., Any]) -> None:
    with pytest.raises(AssertionError, match="step 1"):
        Story("here", "wrong", [{"GET": "/v1.0/p-1/flavors/1", **wrong}]).run(installation, in_process(make_app()))
