"""The reference in the documents is the one that the commands make."""

from __future__ import annotations

from pathlib import Path

import pytest

from troveclient.commands import reference
from troveclient.commands.index import TABLE

PROJECT = Path(__file__).parents[1] / "pyproject.toml"
PAGE = Path(__file__).parents[2] / "docs" / "cli.md"


def test_page_has_the_reference_of_today() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert reference.inserted(page) == page, "run python -m troveclient.commands.reference docs/cli.md"


def test_every_name_stands_in_it() -> None:
    text = reference.text()
    for row in TABLE:
        assert not row.name or f"openstack {row.name}" in text
        assert all(f"trove {name}" in text for name in row.trove.split())


def test_project_file_has_the_entry_points_of_today() -> None:
    project = PROJECT.read_text(encoding="utf-8")
    assert reference.entry_points(project) == project, "run python -m troveclient.commands.reference pyproject.toml"


def test_page_without_markers_is_refused() -> None:
    with pytest.raises(ValueError, match="needs the lines"):
        reference.inserted("# A page\n")
