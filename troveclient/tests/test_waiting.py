"""Waiting for a service that goes away and comes back."""

from __future__ import annotations

from typing import Any

import pytest

from troveclient import exceptions
from troveclient.commands import model, waiting
from troveclient.commands.instance_options import member, nic, pairs


class Answers:
    """A client whose operations answer one thing after the other."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.operations = self

    def get(self, _id: str) -> Any:
        found = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(found, Exception):
            raise found
        return type("Seen", (), {"_info": {"status": found, "members": [], "status_text": "works"}})()


class Quick(model.Context):
    poll_seconds = 0.001
    poll_seconds_max = 0.001


def test_a_restart_of_the_service_is_waited_out(capsys: pytest.CaptureFixture[str]) -> None:
    gone = exceptions.ConnectionRefused("refused")
    busy = exceptions.ServiceUnavailable("starting")
    waiting.operation(Quick(Answers("RUNNING", gone, busy, gone, "SUCCEEDED")), "1", 10.0)
    told = capsys.readouterr().err
    assert "does not answer, trying again" in told
    assert told.endswith("operation: SUCCEEDED\n")


def test_other_errors_end_the_wait() -> None:
    with pytest.raises(exceptions.Forbidden):
        waiting.operation(Quick(Answers("RUNNING", exceptions.Forbidden("no"))), "1", 10.0)
    with pytest.raises(exceptions.CommandError, match="not there any more"):
        waiting.operation(Quick(Answers("RUNNING", exceptions.NotFound("no"))), "1", 10.0)


def test_time_over_says_what_it_was_doing() -> None:
    with pytest.raises(exceptions.CommandError, match="It goes on"):
        waiting.operation(Quick(Answers("RUNNING")), "1", 0.01)


@pytest.mark.parametrize("status", ["FAILED", "ROLLED_BACK"])
def test_bad_end_is_an_error(status: str) -> None:
    with pytest.raises(exceptions.CommandError, match=f"ended as {status}: works"):
        waiting.operation(Quick(Answers(status)), "1", 1.0)


def test_values_of_options_may_contain_what_looks_like_keys() -> None:
    assert pairs("name='type=a,b',volume=2", "x") == [("name", "type=a,b"), ("volume", "2")]
    assert member("flavor=1,volume=2,name=my type", grow=True)["name"] == ["my type"]
    assert nic("net-id=a,subnet-id=b") == {"network_id": "a", "subnet_id": "b"}


@pytest.mark.parametrize(
    "text", ["", "flavor", "=1", "flavor=1,", "flavor=1,,volume=2", "flavor='1'volume=2", "flavor=,volume=1"]
)
def test_malformed_options_are_refused_with_a_sentence(text: str) -> None:
    with pytest.raises((exceptions.ValidationError, exceptions.MissingArgs), match="--instance"):
        member(text)
