"""One operation under a lease: what each answer of a step leads to."""

from __future__ import annotations

import pytest

from trove.domain.errors import BadRequest, DriverError, StaleGeneration, Unavailable, Unprocessable
from trove.domain.states import InstanceTask, OperationStatus
from trove.operations.context import Again, Done, Failed, Held, Retry
from trove.tests.unit.operations.conftest import Bench, statuses, step, texts

S = OperationStatus


def test_success(bench: Bench) -> None:
    operation = bench.accept(step("one", "back"), step("two"))
    assert operation.status is S.PENDING
    bench.drive(operation.id)
    ended = bench.read(operation)
    assert ended.status is S.SUCCEEDED
    assert bench.script.names == ["one", "two"]
    assert statuses(ended) == ["DONE", "DONE"]
    assert statuses(ended, undo=True) == []
    assert [row.result for row in ended.steps] == [{"by": "one"}, {"by": "two"}]
    assert all(row.started and row.finished and row.attempts == 1 for row in ended.steps)
    assert ended.error is None
    assert texts(ended)[-1] == "SUCCEEDED"
    instance = bench.store.instance(operation.resource_id)
    assert (instance.task, instance.fault) == (InstanceTask.NONE, None)


def test_a_retry_is_a_new_order_and_is_told(bench: Bench) -> None:
    bench.script.answers["one"] = [Retry("not yet", after=0.001), Retry("not yet", after=0.001), Done()]
    operation = bench.accept(step("one"))
    bench.drive(operation.id)
    ended = bench.read(operation)
    assert ended.status is S.SUCCEEDED
    assert bench.script.order_ids == [f"{operation.id}-0-{n}" for n in (1, 2, 3)]
    assert ended.steps[0].attempts == 3
    assert [text for text in texts(ended) if "trying again" in text] == ["do one: not yet; trying again"]


def test_waiting_asks_for_the_same_order(bench: Bench) -> None:
    bench.script.answers["one"] = [Again(0.001, "copying 10 %"), Again(0.001, "copying 90 %"), Done()]
    operation = bench.accept(step("one"))
    bench.drive(operation.id)
    assert len(set(bench.script.order_ids)) == 1
    assert bench.read(operation).steps[0].attempts == 1


def test_five_tries_are_enough(bench: Bench) -> None:
    bench.script.answers["two"] = [Retry("no luck", after=0.001)]
    operation = bench.accept(step("one", "back"), step("two"))
    bench.drive(operation.id)
    ended = bench.read(operation)
    assert ended.status is S.ROLLED_BACK
    assert ended.error == "no luck"
    assert bench.script.names.count("two") == 5


@pytest.mark.parametrize("name", ["gate.member", "precheck.health"])
def test_steps_that_wait_for_engines_try_until_their_deadline(bench: Bench, name: str) -> None:
    bench.script.answers[name] = [*[Retry("not in sync", after=0.001)] * 20, Done()]
    operation = bench.accept(step(name))
    bench.drive(operation.id)
    assert bench.read(operation).status is S.SUCCEEDED


@pytest.mark.parametrize("answer", [Again(0.01, "still copying"), Unavailable("the agent does not answer")])
def test_a_deadline_is_kept_and_says_what_was_seen_last(bench: Bench, answer: object) -> None:
    bench.script.answers["one"] = [answer]
    operation = bench.accept(step("one", "back", deadline=0.1))
    bench.drive(operation.id)
    ended = bench.read(operation)
    assert ended.status is S.ROLLED_BACK
    seen = answer.reason if isinstance(answer, Again) else str(answer)
    assert ended.error is not None
    assert ended.error.startswith("do one: not done in 0.1 s, last seen: ")
    assert ended.error.endswith(seen)


def test_a_gate_keeps_its_deadline_too(bench: Bench) -> None:
    bench.script.answers["gate.member"] = [Retry("wrong version", after=0.01)]
    operation = bench.accept(step("gate.member", deadline=0.1))
    bench.drive(operation.id)
    assert bench.read(operation).error == "wrong version"


def test_what_does_not_answer_now_is_asked_again(bench: Bench) -> None:
    bench.script.answers["one"] = [Unavailable("connection refused"), Unavailable("connection refused"), Done()]
    operation = bench.accept(step("one"))
    bench.drive(operation.id)
    assert bench.read(operation).status is S.SUCCEEDED


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Failed("disk full: free some space"), "disk full: free some space"),
        (DriverError("no room; free some"), "no room; free some"),
        (BadRequest("odd"), "do two: odd"),
        (ZeroDivisionError("division by zero"), "do two: unexpected ZeroDivisionError: division by zero"),
    ],
)
def test_a_fault_is_taken_back_last_step_first(
    bench: Bench, answer: object, error: str, caplog: pytest.LogCaptureFixture
) -> None:
    bench.script.answers["two"] = [answer]
    operation = bench.accept(step("one", "back 1a", "back 1b"), step("two", "back 2"), step("three", "never"))
    bench.drive(operation.id)
    ended = bench.read(operation)
    assert ended.status is S.ROLLED_BACK
    assert ended.error == error
    assert bench.script.names == ["one", "two", "back 2", "back 1a", "back 1b"]
    assert statuses(ended) == ["UNDONE", "FAILED", "WAITING"]
    assert statuses(ended, undo=True) == ["DONE"] * 3
    assert ended.steps[1].error == error
    assert texts(ended).index(error) < texts(ended).index(f"ROLLING_BACK: rolling back: {error}")
    instance = bench.store.instance(operation.resource_id)
    assert instance.task is InstanceTask.NONE
    assert instance.fault is not None
    assert instance.fault["message"] == error
    assert instance.fault["created"]


def test_a_fault_behind_the_point_of_no_return_holds_until_resumed(bench: Bench) -> None:
    bench.script.answers["final"] = [Failed("port taken; free it"), Done()]
    operation = bench.accept(step("one", "back"), step("final", no_return=True), step("three"))
    bench.drive(operation.id)
    held = bench.read(operation)
    assert held.status is S.HELD
    assert held.status_text == (
        "port taken; free it; the point of no return is passed, the rest keeps serving: mend it and resume"
    )
    assert bench.store.instance(operation.resource_id).task is InstanceTask.UPGRADING
    assert not held.can_roll_back
    with pytest.raises(Unprocessable, match="point of no return"):
        bench.store.request(operation.id, "rollback")
    bench.store.request(operation.id, "resume")
    bench.drive(operation.id)
    ended = bench.read(operation)
    assert ended.status is S.SUCCEEDED
    assert ended.error is None
    assert bench.script.names == ["one", "final", "final", "three"]
    assert len(set(bench.script.order_ids)) == 4, "an agent would answer the old order with the old fault"


def test_what_was_committed_is_not_taken_back(bench: Bench) -> None:
    bench.script.answers["four"] = [Failed("no")]
    operation = bench.accept(
        step("one", "back 1"), step("two", no_return=True), step("commit", commit=True), step("four", "back 4")
    )
    bench.drive(operation.id)
    ended = bench.read(operation)
    assert ended.status is S.ROLLED_BACK
    assert bench.script.names[-1] == "back 4"
    assert statuses(ended) == ["DONE", "DONE", "DONE", "FAILED"]


def test_hold_on_failure_leaves_the_choice(bench: Bench) -> None:
    bench.script.answers["two"] = [Failed("no")]
    operation = bench.accept(step("one", "back"), step("two"), on_failure="hold")
    bench.drive(operation.id)
    held = bench.read(operation)
    assert (held.status, held.status_text, held.error) == (S.HELD, "no; resume, or roll back", "no")
    assert held.can_resume
    assert held.can_roll_back
    bench.store.request(operation.id, "rollback")
    bench.drive(operation.id)
    assert bench.read(operation).status is S.ROLLED_BACK
    assert bench.script.names == ["one", "two", "back"]


def test_fail_on_failure_takes_nothing_back(bench: Bench) -> None:
    bench.script.answers["one"] = [Failed("no")]
    operation = bench.accept(
        step("one", "back"), kind="instance_restart", on_failure="fail", task=InstanceTask.RESTARTING
    )
    bench.drive(operation.id)
    assert bench.read(operation).status is S.FAILED
    assert bench.script.names == ["one"]
    instance = bench.store.instance(operation.resource_id)
    assert instance.task is InstanceTask.NONE
    assert instance.fault is not None


def test_a_hold_is_passed_once(bench: Bench) -> None:
    bench.script.answers["hold"] = [Held("look at the canary")]
    operation = bench.accept(step("one", "back"), step("hold"), step("three"))
    bench.drive(operation.id)
    held = bench.read(operation)
    assert (held.status, held.status_text, held.error) == (S.HELD, "look at the canary", None)
    assert statuses(held) == ["DONE", "DONE", "WAITING"]
    assert bench.store.claim("other", 1.0) is None, "nobody is to run what waits for a person"
    bench.store.request(operation.id, "resume")
    bench.drive(operation.id)
    assert bench.read(operation).status is S.SUCCEEDED
    assert bench.script.names == ["one", "hold", "three"]


def test_a_hold_can_be_answered_with_rollback(bench: Bench) -> None:
    bench.script.answers["hold"] = [Held("look at the canary")]
    operation = bench.accept(step("one", "back"), step("hold"), step("three"))
    bench.drive(operation.id)
    bench.store.request(operation.id, "rollback")
    bench.drive(operation.id)
    assert bench.read(operation).status is S.ROLLED_BACK
    assert bench.script.names == ["one", "hold", "back"]


@pytest.mark.parametrize("answer", [Again(0.01, "waiting"), Retry("not in sync", after=0.01)])
def test_a_person_can_ask_for_rollback_while_a_step_waits(bench: Bench, answer: object) -> None:
    operation = bench.accept(step("one", "back 1"), step("gate.member", "back 2", deadline=60.0))
    asked = []

    def wait(_: object) -> object:
        if not asked:
            asked.append(bench.store.request(operation.id, "rollback"))
        return answer

    bench.script.answers["gate.member"] = [wait]
    bench.drive(operation.id)
    ended = bench.read(operation)
    assert ended.status is S.ROLLED_BACK
    assert bench.script.names[-2:] == ["back 2", "back 1"]
    assert statuses(ended) == ["UNDONE", "UNDONE"]


@pytest.mark.parametrize("answer", [Done(), Failed("no"), Held("wait")])
def test_a_person_can_ask_for_rollback_while_a_step_is_being_done(bench: Bench, answer: object) -> None:
    operation = bench.accept(step("one", "back"), step("two"))

    def do(_: object) -> object:
        bench.store.request(operation.id, "rollback")
        return answer

    bench.script.answers["one"] = [do]
    bench.drive(operation.id)
    assert bench.read(operation).status is S.ROLLED_BACK
    assert bench.script.names == ["one", "back"]


def test_done_with_everything_is_not_rolled_back(bench: Bench) -> None:
    """The last commit is done and only SUCCEEDED is not written yet: ROLLED_BACK would be a lie."""
    operation = bench.accept(step("one", commit=True))
    refused = []

    def last(_: object) -> Done:
        return Done()

    class Late:
        def __getattr__(self, name: str) -> object:
            return getattr(bench.store, name)

        def update_instance(self, *args: object, **fields: object) -> None:
            with pytest.raises(Unprocessable):
                bench.store.request(operation.id, "rollback")
            refused.append(True)
            bench.store.update_instance(*args, **fields)

    bench.script.answers["one"] = [last]
    bench.drive(operation.id, Late())
    assert refused
    assert bench.read(operation).status is S.SUCCEEDED


def test_a_rollback_that_fails_holds_and_goes_on_where_it_was(bench: Bench) -> None:
    bench.script.answers["two"] = [Failed("first fault")]
    bench.script.answers["back 1b"] = [Failed("no donor"), Done()]
    operation = bench.accept(step("one", "back 1a", "back 1b", "back 1c"), step("two", "back 2"))
    bench.drive(operation.id)
    held = bench.read(operation)
    assert held.status is S.HELD
    assert held.status_text == "the rollback could not go on: no donor; mend it and ask for rollback again"
    assert held.error == "first fault"
    assert held.can_roll_back
    bench.store.request(operation.id, "rollback")
    bench.drive(operation.id)
    assert bench.read(operation).status is S.ROLLED_BACK
    assert bench.script.names == ["one", "two", "back 2", "back 1a", "back 1b", "back 1b", "back 1c"]
    assert len(set(bench.script.order_ids)) == len(bench.script.order_ids)


def test_nothing_to_take_back(bench: Bench) -> None:
    bench.script.answers["one"] = [Failed("the image cannot be built: no space; free some")]
    operation = bench.accept(step("one"))
    bench.drive(operation.id)
    ended = bench.read(operation)
    assert (ended.status, ended.error) == (S.ROLLED_BACK, "the image cannot be built: no space; free some")


def test_a_receiver_that_has_seen_a_newer_fence_stops_the_drive_and_a_new_claim_goes_on(bench: Bench) -> None:
    """Reconciliation may have told the agent something since; the next claim has a larger fence than anybody."""
    seen = []

    def agent(context) -> Done:
        seen.append(context.order.generation)
        if len(seen) == 1:
            bench.store.next_fence()
            raise StaleGeneration("generation 5 is older than generation 6")
        return Done()

    bench.script.answers["one"] = [agent]
    operation = bench.accept(step("one", "back"))
    with pytest.raises(StaleGeneration):
        bench.drive(operation.id)
    assert bench.read(operation).status is S.RUNNING
    bench.drive(operation.id)
    assert bench.read(operation).status is S.SUCCEEDED
    assert seen[1] > seen[0] + 1
    assert len(set(bench.script.order_ids)) == 1, "the same order, found under a newer generation"


def test_progress_is_readable_while_it_happens(bench: Bench) -> None:
    said = []

    def work(context) -> Done:
        context.say("copying 40 MB")
        said.append(bench.store.operation(context.operation.id).status_text)
        return Done()

    bench.script.answers["one"] = [work]
    bench.drive(bench.accept(step("one")).id)
    assert said == ["copying 40 MB"]


def test_a_rollback_stopped_by_a_question_turns_around(bench: Bench) -> None:
    bench.script.answers |= {"three": [Failed("broken"), Done()], "precheck.one": [Failed("it leads now")]}
    operation = bench.accept(step("one", "precheck.one", "back 1"), step("two", "back 2"), step("three"))
    bench.drive(operation.id)
    held = bench.read(operation)
    assert held.status is S.HELD
    assert "it leads now" in held.status_text
    assert held.status_text.endswith("resume to go forward")
    assert held.forward_again == {1, 2}
    bench.script.calls.clear()
    bench.store.request(operation.id, "resume")
    bench.drive(operation.id)
    ended = bench.read(operation)
    assert ended.status is S.SUCCEEDED
    assert bench.script.order_ids == [f"{operation.id}-1-2", f"{operation.id}-2-2"], "what was done before is done anew"
    assert statuses(ended) == ["DONE", "DONE", "DONE"]
    assert statuses(ended, undo=True) == ["UNDONE", "SKIPPED", "SKIPPED"]


def test_a_rollback_may_be_stopped_by_any_of_the_questions_it_begins_with(bench: Bench) -> None:
    bench.script.answers |= {"three": [Failed("broken")], "precheck.two": [Failed("nobody has a copy")]}
    operation = bench.accept(
        step("one", "precheck.one", "precheck.two", "back 1"), step("two", "back 2"), step("three")
    )
    bench.drive(operation.id)
    assert bench.read(operation).forward_again == {1, 2}


def test_a_rollback_after_a_turn_takes_back_everything(bench: Bench) -> None:
    bench.script.answers |= {"three": [Failed("broken")], "precheck.one": [Failed("it leads now"), Done()]}
    operation = bench.accept(step("one", "precheck.one", "back 1"), step("two", "back 2"), step("three"))
    bench.drive(operation.id)
    bench.store.request(operation.id, "resume")
    bench.script.calls.clear()
    bench.drive(operation.id)
    assert bench.read(operation).status is S.ROLLED_BACK
    assert bench.script.names == ["two", "three", "back 2", "precheck.one", "back 1"]


def test_half_a_step_taken_back_does_not_turn_around(bench: Bench) -> None:
    bench.script.answers |= {"three": [Failed("broken")], "back 1b": [Failed("no room"), Done()]}
    operation = bench.accept(step("one", "precheck.one", "back 1b"), step("two", "back 2"), step("three"))
    bench.drive(operation.id)
    held = bench.read(operation)
    assert held.forward_again is None
    assert "resume" not in held.status_text
    with pytest.raises(Unprocessable, match="half taken back"):
        bench.store.request(operation.id, "resume")
    bench.store.request(operation.id, "rollback")
    bench.drive(operation.id)
    assert bench.read(operation).status is S.ROLLED_BACK
