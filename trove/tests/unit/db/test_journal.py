"""The journal: acceptance, leases, progress, requests."""

from __future__ import annotations

import pytest

from trove.db.store import Store
from trove.domain import store as contract
from trove.domain.errors import (
    BadRequest,
    Conflict,
    NotFound,
    OverLimit,
    StaleGeneration,
    Unprocessable,
)
from trove.domain.plans import Phase, Step
from trove.domain.states import ClusterTask, InstanceTask, OperationStatus, StepStatus
from trove.domain.store import Acceptance, Lease
from trove.tests.unit.db.conftest import STEPS, Builder

RUNNING, HELD, FAILED = OperationStatus.RUNNING, OperationStatus.HELD, OperationStatus.FAILED
SUCCEEDED, ROLLING_BACK = OperationStatus.SUCCEEDED, OperationStatus.ROLLING_BACK


def claim(store: Store, owner: str = "a", seconds: float = 60.0) -> Lease:
    lease = store.claim(owner, seconds)
    assert lease is not None
    return lease


def test_the_store_is_what_the_core_asks_for(store: Store) -> None:
    asked: contract.Store = store
    assert asked.now() > 0


def test_an_accepted_operation_comes_back_as_it_was_planned(store: Store, make: Builder) -> None:
    instance = make.create()
    plan = make.plan(instance, from_version="10.11", to_version="11.8", hops=("11.8",), warnings=("w",))
    accepted = store.accept(
        Acceptance(plan, "p", on_failure="hold", resource_task=InstanceTask.UPGRADING)
        if store.update_instance(instance.id, task=InstanceTask.NONE) is None
        else None
    )
    assert accepted.plan == plan
    assert store.operation(accepted.id) == accepted
    assert [row.step for row in accepted.steps] == list(STEPS)
    assert accepted.on_failure == "hold"
    assert accepted.status is OperationStatus.PENDING
    after = store.instance(instance.id)
    assert (after.generation, after.task) == (instance.generation + 1, InstanceTask.UPGRADING)


def test_claims_exclude_each_other_and_fences_grow(store: Store, make: Builder) -> None:
    make.create(finish=False)
    make.create(finish=False)
    first, second = claim(store, "a"), claim(store, "b")
    assert first.operation_id != second.operation_id
    assert second.fence > first.fence
    assert store.claim("a", 60) is None
    store.release(first)
    third = claim(store, "b")
    assert third.operation_id == first.operation_id
    assert third.fence > second.fence
    with pytest.raises(StaleGeneration):
        store.set_status(first, first.operation_id, RUNNING)
    assert store.renew([first, second, third], 60) == sorted((second, third), key=lambda x: x.operation_id)


def test_progress(store: Store, make: Builder) -> None:
    operation = make.accept(make.create())
    lease = claim(store)
    store.set_status(lease, operation.id, RUNNING, "begins")
    store.set_step(lease, 0, StepStatus.RUNNING, "stopping", attempt=True)
    store.set_step(lease, 0, StepStatus.RUNNING, error="no answer", attempt=True)
    row = store.operation(operation.id).steps[0]
    assert (row.status, row.status_text, row.attempts, row.error) == (StepStatus.RUNNING, "stopping", 2, "no answer")
    store.set_step(lease, 0, StepStatus.DONE, "stopped", result={"seen": 3})
    read = store.operation(operation.id)
    row = read.steps[0]
    assert (row.status, row.error, row.result) == (StepStatus.DONE, None, {"seen": 3})
    assert row.started is not None
    assert row.finished is not None
    assert read.status_text == "stopped"
    assert read.started is not None
    assert read.fence == lease.fence
    with pytest.raises(ValueError, match="no step 9"):
        store.set_step(lease, 9, StepStatus.DONE)
    store.set_status(lease, operation.id, SUCCEEDED, "done")
    assert store.operation(operation.id).finished is not None
    with pytest.raises(ValueError, match="does not go"):
        store.set_status(lease, operation.id, RUNNING)


def test_a_hold_is_passed_in_the_same_moment_as_the_operation_is_held(store: Store, make: Builder) -> None:
    operation = make.accept(make.create())
    lease = claim(store)
    store.set_status(lease, operation.id, RUNNING)
    store.set_step(lease, 1, StepStatus.RUNNING)
    store.set_status(lease, operation.id, HELD, "after the canary", step_done=1)
    read = store.operation(operation.id)
    assert (read.status, read.status_text) == (HELD, "after the canary")
    assert [row.status.value for row in read.steps] == ["WAITING", "DONE", "WAITING"]
    store.request(operation.id, "resume")
    with pytest.raises(StaleGeneration):
        store.set_status(lease, operation.id, HELD, step_done=0)
    assert store.operation(operation.id).steps[0].status is StepStatus.WAITING


def test_one_operation_holds_a_cluster_and_all_its_members(store: Store, make: Builder) -> None:
    cluster = make.create_cluster()
    operation = make.accept(cluster)
    member = store.cluster(cluster.id).members[0]
    with pytest.raises(Unprocessable, match=operation.id):
        make.accept(member, "restart")
    make.finish(operation.id)
    member = store.cluster(cluster.id).members[0]
    operation = make.accept(member, "restart")
    for resource in (store.cluster(cluster.id), store.cluster(cluster.id).members[1]):
        with pytest.raises(Unprocessable, match=operation.id):
            make.accept(resource)


def test_a_plan_of_an_older_generation_is_refused(store: Store, make: Builder) -> None:
    cluster = make.create_cluster()
    make.finish(make.accept(cluster).id)
    with pytest.raises(Conflict, match="read it again"):
        make.accept(cluster)
    with pytest.raises(Conflict, match="read it again"):
        make.accept(cluster.members[0])


def test_quota(store: Store, make: Builder) -> None:
    limits = {"instances": 2, "volumes": 10, "ram": -1}
    make.create(limits=limits, volume_gb=4)
    with pytest.raises(OverLimit, match=r"volumes: 4 GB in use and 7 GB asked for, the limit is 10 GB"):
        make.create(limits=limits, volume_gb=7)
    assert store.usage("p") == {"instances": 1, "volumes": 4, "ram": 256}
    make.create(limits=limits)
    with pytest.raises(OverLimit, match="instances"):
        make.create(limits=limits)
    assert store.operations("p", limit=10).items[0].kind == "create"
    assert len(store.operations("p", limit=10).items) == 2


def test_deleting_ends_a_held_operation(store: Store, make: Builder) -> None:
    cluster = make.create_cluster(task=ClusterTask.NONE)
    held = make.accept(cluster, resource_task=ClusterTask.UPGRADING)
    store.set_status(None, held.id, RUNNING)
    cluster = store.cluster(cluster.id)
    with pytest.raises(Unprocessable, match="wait until it ends"):
        make.accept(cluster, "delete", resource_task=ClusterTask.DELETING)
    store.set_status(None, held.id, HELD, "the gate failed")
    with pytest.raises(Unprocessable, match="resume it or roll it back"):
        make.accept(cluster, "grow", resource_task=ClusterTask.UPGRADING)
    make.accept(cluster, "delete", resource_task=ClusterTask.DELETING)
    ended = store.operation(held.id)
    assert ended.status is FAILED
    assert "being deleted" in ended.events[-1].text
    assert ended.finished is not None


def test_transitions_of_the_resource_are_checked(store: Store, make: Builder) -> None:
    instance = make.create()
    with pytest.raises(ValueError, match="no instance goes from BUILDING to UPGRADING"):
        make.accept(instance, resource_task=InstanceTask.UPGRADING)
    assert len(store.operations("p", limit=10).items) == 1
    assert store.instance(instance.id).generation == instance.generation


def test_rollback_and_resume(store: Store, make: Builder) -> None:
    operation = make.accept(make.create())
    with pytest.raises(Unprocessable, match="has not begun"):
        store.request(operation.id, "rollback")
    lease = claim(store)
    store.set_status(lease, operation.id, RUNNING)
    with pytest.raises(Unprocessable, match="only an operation that is HELD"):
        store.request(operation.id, "resume")
    with pytest.raises(BadRequest, match="resume and rollback"):
        store.request(operation.id, "stop")
    store.set_step(lease, 0, StepStatus.DONE)
    assert store.request(operation.id, "rollback").status is ROLLING_BACK
    with pytest.raises(Conflict, match="rolled back"):
        store.set_status(lease, operation.id, SUCCEEDED)
    undo = (Step("a", "a", Phase.ROLLBACK), Step("b", "b", Phase.ROLLBACK))
    store.append_undo(lease, undo)
    store.set_step(lease, 3, StepStatus.DONE)
    store.set_step(lease, 4, StepStatus.FAILED, error="no room")
    store.set_status(lease, operation.id, HELD, error="no room")
    again = store.request(operation.id, "rollback")
    assert again.status is ROLLING_BACK
    with pytest.raises(StaleGeneration):
        store.append_undo(lease, undo)
    lease = claim(store, "b")
    store.append_undo(lease, undo)
    rows = store.operation(operation.id).steps
    assert [(row.index, row.undo, row.status.value) for row in rows[3:]] == [
        (3, True, "DONE"),
        (4, True, "SKIPPED"),
        (5, True, "WAITING"),
        (6, True, "WAITING"),
    ]
    assert store.operation(operation.id).plan.steps == STEPS


def test_nothing_leads_back_behind_the_point_of_no_return(store: Store, make: Builder) -> None:
    instance = make.create()
    plan = make.plan(instance, steps=(Step("x", "x", Phase.FINALIZE, no_return=True),))
    operation = store.accept(Acceptance(plan, "p"))
    lease = claim(store)
    store.set_status(lease, operation.id, RUNNING)
    store.set_step(lease, 0, StepStatus.RUNNING)
    with pytest.raises(Unprocessable, match="point of no return"):
        store.request(operation.id, "rollback")


def test_the_end_of_a_step_and_the_begin_of_the_next_are_one_write(store: Store, make: Builder) -> None:
    operation = make.accept(make.create())
    lease = claim(store)
    store.set_status(lease, operation.id, RUNNING)
    store.set_step(lease, 0, StepStatus.RUNNING, attempt=True)
    assert store.advance(lease, RUNNING, 0, {"seen": 3}, 1, "stopping")
    found = store.operation(operation.id)
    assert [row.status.value for row in found.steps] == ["DONE", "RUNNING", "WAITING"]
    assert (found.steps[0].result, found.steps[1].attempts, found.status_text) == ({"seen": 3}, 1, "stopping")
    assert found.steps[0].finished
    assert found.steps[1].started


def test_nothing_is_begun_once_somebody_has_asked_for_something_else(store: Store, make: Builder) -> None:
    operation = make.accept(make.create())
    lease = claim(store)
    store.set_status(lease, operation.id, RUNNING)
    store.set_step(lease, 0, StepStatus.RUNNING, attempt=True)
    store.request(operation.id, "rollback")
    assert not store.advance(lease, RUNNING, 0, {}, 1, "stopping")
    assert [row.status.value for row in store.operation(operation.id).steps] == ["DONE", "WAITING", "WAITING"]
    store.release(lease)
    claim(store)
    with pytest.raises(StaleGeneration):
        store.advance(lease, RUNNING, 1, {}, 2, "too late")


def test_lists_of_operations(store: Store, make: Builder) -> None:
    instances = [make.create(name=f"n{n}") for n in range(5)]
    upgrade = make.accept(instances[0])
    seen: list[str] = []
    marker = None
    while True:
        page = store.operations("p", limit=2, marker=marker)
        seen += [operation.resource_name for operation in page.items]
        marker = page.next_marker
        if marker is None:
            break
    assert seen == ["n0", "n4", "n3", "n2", "n1", "n0"]
    assert [o.id for o in store.operations(None, limit=9, filters={"kind": "upgrade"}).items] == [upgrade.id]
    assert store.operations("other", limit=9).items == []
    with pytest.raises(BadRequest, match="no filter 'colour'"):
        store.operations("p", limit=1, filters={"colour": "red"})
    with pytest.raises(BadRequest, match="marker"):
        store.operations("p", limit=1, marker="nobody")
    latest = store.latest_operations([instances[0].id, instances[1].id, "unknown"])
    assert {key: operation.kind for key, operation in latest.items()} == {
        instances[0].id: "upgrade",
        instances[1].id: "create",
    }
    with pytest.raises(NotFound):
        store.operation(upgrade.id, "other")
    with pytest.raises(NotFound):
        store.add_event("nobody", "info", "x")
