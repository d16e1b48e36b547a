"""Every command line of the table, through the entry point of its shell, against the recorded wire."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from troveclient.tests.osc import transcripts
from troveclient.tests.osc.wire import Wire, serve

pytestmark = [
    # openstackclient and what it imports; none of it is ours.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::PendingDeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

CASES = transcripts.cases()


@pytest.fixture(scope="module")
def wire() -> Iterator[Wire]:
    with serve() as made:
        yield made


@pytest.mark.parametrize("case", CASES, ids=[f"{case.file}: {case.project}: {case.line}" for case in CASES])
def test_command_line_sends_and_prints_what_the_transcript_says(
    wire: Wire, case: transcripts.Case, tmp_path: Path
) -> None:
    transcripts.prepare(str(tmp_path))
    assert transcripts.play(wire, case, str(tmp_path)) == case.seen


def test_no_case_is_written_twice() -> None:
    seen = [(case.project, case.line) for case in CASES]
    assert sorted(seen) == sorted(set(seen))
