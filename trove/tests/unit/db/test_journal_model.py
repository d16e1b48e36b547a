"""The journal against a model of a few lines: whatever is done in whatever order, both say the same."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, settings
from hypothesis import Phase as Phases
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, multiple, rule

from trove.db.store import Store
from trove.db.tables import operations
from trove.domain.errors import Conflict, StaleGeneration, Unprocessable
from trove.domain.plans import Phase, Step
from trove.domain.states import OPERATION_TRANSITIONS, OperationStatus, StepStatus
from trove.domain.store import Lease
from trove.tests.unit.db.conftest import Builder, fresh_store

RESOURCES = 3
OWNERS = st.sampled_from(["a", "b"])
ROLLING_BACK, HELD, RUNNING = OperationStatus.ROLLING_BACK, OperationStatus.HELD, OperationStatus.RUNNING


@dataclass
class Expected:
    """What an operation should be."""

    resource: str
    status: OperationStatus = OperationStatus.PENDING
    lease: Lease | None = None
    live: bool = False
    text: str = ""

    @property
    def free(self) -> bool:
        return self.status.active and not self.live


class JournalMachine(RuleBasedStateMachine):
    seeded: Path
    leases = Bundle("leases")

    @initialize()
    def begin(self) -> None:
        self.directory = tempfile.TemporaryDirectory()
        self.store: Store = fresh_store(self.seeded, Path(self.directory.name))
        self.make = Builder(self.store)
        self.resources = [self.make.create(name=str(n)).id for n in range(RESOURCES)]
        self.expected: dict[str, Expected] = {}
        self.fence = 0

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.store.close()
            self.directory.cleanup()

    @rule(which=st.integers(0, RESOURCES - 1))
    def accept(self, which: int) -> None:
        resource = self.resources[which]
        unfinished = [key for key, one in self.expected.items() if one.resource == resource and not one.status.final]
        if unfinished:
            with pytest.raises(Unprocessable, match=unfinished[0]):
                self.make.accept(self.store.instance(resource))
        else:
            self.expected[self.make.accept(self.store.instance(resource)).id] = Expected(resource)

    @rule(owner=OWNERS, target=leases)
    def claim(self, owner: str) -> Lease:
        free = [key for key, one in self.expected.items() if one.free]
        lease = self.store.claim(owner, 1000)
        if not free:
            assert lease is None
            return multiple()
        assert lease is not None
        assert lease.operation_id == free[0], "the oldest comes first"
        assert lease.owner == owner
        assert lease.fence > self.fence
        self.fence = lease.fence
        one = self.expected[lease.operation_id]
        one.lease, one.live = lease, True
        return lease

    @rule(lease=leases)
    def run_out(self, lease: Lease) -> None:
        one = self.expected[lease.operation_id]
        if one.lease == lease:
            end = sa.update(operations).where(operations.c.id == lease.operation_id).values(lease_until=1.0)
            self.store.database.write(lambda conn: conn.execute(end))
            one.live = False

    @rule(lease=leases)
    def renew(self, lease: Lease) -> None:
        one = self.expected[lease.operation_id]
        ours = one.lease == lease
        assert self.store.renew([lease], 1000) == ([lease] if ours else [])
        one.live = one.live or ours

    @rule(lease=consumes(leases))
    def release(self, lease: Lease) -> None:
        self.store.release(lease)
        one = self.expected[lease.operation_id]
        if one.lease == lease:
            one.lease, one.live = None, False

    @rule(lease=leases, status=st.sampled_from(OperationStatus))
    def move(self, lease: Lease, status: OperationStatus) -> None:
        one = self.expected[lease.operation_id]
        allowed = status is one.status or (one.status, status) in OPERATION_TRANSITIONS
        if one.lease != lease:
            with pytest.raises(StaleGeneration):
                self.store.set_status(lease, lease.operation_id, status)
        elif not allowed:
            with pytest.raises(Conflict if one.status is ROLLING_BACK else ValueError):
                self.store.set_status(lease, lease.operation_id, status)
        else:
            self.store.set_status(lease, lease.operation_id, status)
            one.status = status

    @rule(lease=leases, text=st.sampled_from(["x", "y"]))
    def progress(self, lease: Lease, text: str) -> None:
        one = self.expected[lease.operation_id]
        if one.lease == lease:
            self.store.set_step(lease, 0, StepStatus.RUNNING, text)
            one.text = text
        else:
            with pytest.raises(StaleGeneration):
                self.store.set_step(lease, 0, StepStatus.RUNNING, text)
            with pytest.raises(StaleGeneration):
                self.store.append_undo(lease, (Step("a", "a", Phase.ROLLBACK),))

    @rule(lease=leases, action=st.sampled_from(["resume", "rollback"]))
    def request(self, lease: Lease, action: str) -> None:
        one = self.expected[lease.operation_id]
        allowed = one.status is HELD or (action == "rollback" and one.status is RUNNING)
        if not allowed:
            with pytest.raises(Unprocessable):
                self.store.request(lease.operation_id, action)
            return
        if one.status is HELD:
            one.lease, one.live = None, False
        one.status = RUNNING if action == "resume" else ROLLING_BACK
        one.text = f"{action} asked for"
        assert self.store.request(lease.operation_id, action).status is one.status

    @invariant()
    def same(self) -> None:
        for key, one in getattr(self, "expected", {}).items():
            read = self.store.operation(key)
            assert read.status is one.status
            assert read.status_text == one.text
            assert one.lease is None or read.fence == one.lease.fence
            assert (read.finished is not None) == read.status.final


def test_the_journal_does_what_the_model_does(seeded: Path) -> None:
    JournalMachine.seeded = seeded
    case = JournalMachine.TestCase()
    # Without shrinking: a run is short enough to read, and finding a shorter one takes minutes.
    case.settings = settings(
        max_examples=25,
        stateful_step_count=30,
        deadline=None,
        database=None,
        phases=(Phases.explicit, Phases.generate),
        suppress_health_check=list(HealthCheck),
    )
    case.runTest()
