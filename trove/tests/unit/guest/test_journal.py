"""The agent's journal: what is remembered, what is done again, what is refused."""

from __future__ import annotations

import json

import pytest

from trove.guest.agent import journal as module
from trove.guest.agent.errors import Refused
from trove.guest.agent.journal import Journal


@pytest.fixture
def journal(tmp_path):
    return Journal(str(tmp_path))


def test_the_first_to_ask_runs_it_and_later_ones_find_it(journal):
    first, new = journal.take("a", "start", {}, 1)
    again, twice = journal.take("a", "start", {}, 1)
    assert (new, twice, again) == (True, False, first)
    journal.finish(first, None, {"x": 1})
    assert first.done.is_set()
    found, late = journal.take("a", "start", {}, 2)
    assert (found.result, late) == ({"x": 1}, False)


def test_a_failure_stays_a_failure(journal):
    entry, _ = journal.take("a", "start", {}, 1)
    journal.finish(entry, "no room", None)
    again, new = journal.take("a", "start", {}, 5)
    assert (again.view()["status"], again.error, new) == ("FAILED", "no room", False)


def test_what_was_left_running_is_run_again_by_the_next_agent(journal, tmp_path):
    journal.take("a", "start", {}, 1)
    following = Journal(str(tmp_path))
    assert following.find("a").view()["status"] == "RUNNING"
    entry, new = following.take("a", "start", {"p": 1}, 1)
    assert (new, entry.params) == (True, {"p": 1})
    assert not following.take("a", "start", {}, 1)[1]


def test_older_generations_are_refused_also_by_the_next_agent(journal, tmp_path):
    journal.take("a", "start", {}, 4)
    journal.take("b", "start", {}, 4)
    for one in (journal, Journal(str(tmp_path))):
        with pytest.raises(Refused, match="older than generation 4") as refused:
            one.take("c", "start", {}, 3)
        assert refused.value.status == 409
    with pytest.raises(Refused, match="no operation c"):
        journal.find("c")


def test_an_id_belongs_to_one_kind(journal):
    journal.take("a", "start", {}, 1)
    with pytest.raises(Refused, match="is a start, not a stop"):
        journal.take("a", "stop", {}, 1)


def test_parameters_are_not_written_down(journal, tmp_path):
    journal.take("a", "prepare", {"users": [{"password": "very-secret"}]}, 1)
    assert all("very-secret" not in path.read_text() for path in tmp_path.rglob("*.json"))


def test_a_damaged_file_counts_as_not_there(journal, tmp_path):
    entry, _ = journal.take("a", "start", {}, 1)
    journal.finish(entry, None, {})
    path = tmp_path / "operations" / "a.json"
    for damaged in ("", "{", "[]", json.dumps({"id": "a"})):
        path.write_text(damaged)
        assert Journal(str(tmp_path)).take("a", "start", {}, 1)[1]


def test_only_the_latest_finished_ones_are_kept(journal, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "KEPT", 3)
    running, _ = journal.take("running", "start", {}, 1)
    for number in range(6):
        entry, _ = journal.take(f"n{number}", "start", {}, 1)
        journal.finish(entry, None, {})
    left = {path.stem for path in (tmp_path / "operations").iterdir()}
    assert left == {"running", "n3", "n4", "n5"}
    following = Journal(str(tmp_path))
    journal.finish(running, None, {})
    assert following.find("n5").view()["status"] == "SUCCEEDED"
