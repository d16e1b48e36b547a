"""What is accepted, what is refused with which reasons, and what is left when it is refused."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa

from trove.datastores.registry import engine_of
from trove.db.seeds import version_id
from trove.db.store import Store
from trove.db.tables import addresses
from trove.domain.errors import BadRequest, Conflict, NotFound, NotSupported, OverLimit, Unprocessable
from trove.domain.health import Health
from trove.domain.instances import Cluster, Instance
from trove.domain.operations import Operation
from trove.domain.plans import Blocker
from trove.domain.requests import NewCluster, NewDatabase, NewInstance, NewMember, NewUser, UpgradeOptions
from trove.domain.states import ClusterTask, EngineStatus, InstanceTask, OperationStatus
from trove.operations.context import Failed, Held
from trove.operations.quotas import Quotas
from trove.operations.service import Service, refuse
from trove.operations.steps import record
from trove.tests.unit.operations.conftest import PROJECT, Bench

S = OperationStatus
OPTIONS = UpgradeOptions()


class Desk:
    """A service with a bench beside it: what is accepted runs here and now, its steps scripted."""

    def __init__(self, bench: Bench) -> None:
        self.bench, self.store, self.woken = bench, bench.store, 0
        self.service = Service(self.store, Quotas(self.store), self._wake)

    def _wake(self) -> None:
        self.woken += 1

    def version(self, datastore: str, name: str) -> Any:
        return self.store.version(version_id(datastore, name))

    def member(self, name: str | None = None) -> NewMember:
        return NewMember(self.store.flavor("1"), 1, name)

    def new_instance(self, name: str = "db", datastore: str = "mariadb", of: str = "10.11", **more: Any) -> NewInstance:
        return NewInstance(name, self.version(datastore, of), self.store.flavor("1"), 1, **more)

    def new_cluster(self, count: int = 3, datastore: str = "mariadb", of: str = "10.11", **more: Any) -> NewCluster:
        members = more.pop("members", tuple(self.member() for _ in range(count)))
        return NewCluster("shop", self.version(datastore, of), members, **more)

    def run(self, operation: Operation) -> Operation:
        self.bench.drive(operation.id)
        return self.store.operation(operation.id)

    def instance(self, **more: Any) -> Instance:
        operation = self.service.create_instance(PROJECT, self.new_instance(**more))
        assert self.run(operation).status is S.SUCCEEDED
        self.hear(operation.resource_id)
        return self.store.instance(operation.resource_id)

    def cluster(self, *args: Any, **more: Any) -> Cluster:
        operation = self.service.create_cluster(PROJECT, self.new_cluster(*args, **more))
        assert self.run(operation).status is S.SUCCEEDED
        cluster = self.store.cluster(operation.resource_id)
        self.hear(*(member.id for member in cluster.members))
        return self.store.cluster(cluster.id)

    def hear(self, *instance_ids: str, **fields: Any) -> None:
        """Every engine says now that it is well."""
        now = datetime.now(UTC).replace(tzinfo=None).isoformat()
        for key in instance_ids:
            name = self.store.instance(key).version.name
            said = Health(
                EngineStatus.HEALTHY, f"{name}.1", f"{name}.1", "member", True, free_bytes=1 << 40, observed_at=now
            )
            self.store.record_health({key: replace(said, **fields)})

    def taken_addresses(self) -> set[str]:
        with self.store.database.read() as conn:
            return set(conn.execute(sa.select(addresses.c.address)).scalars())


@pytest.fixture
def desk(bench: Bench) -> Desk:
    return Desk(bench)


# -- create -----------------------------------------------------------------------------------------------------------


def test_create_instance_writes_rows_plan_and_secret(desk: Desk) -> None:
    users = (NewUser("ann", "s3cret", databases=("shop",)),)
    request = desk.new_instance(users=users, databases=(NewDatabase("shop", "utf8mb4"),))
    operation = desk.service.create_instance(PROJECT, request)
    assert (operation.kind, operation.status, desk.woken) == ("instance_create", S.PENDING, 1)
    instance = desk.store.instance(operation.resource_id, PROJECT)
    assert instance.task is InstanceTask.BUILDING
    assert (instance.name, instance.port, instance.ram_mb) == ("db", 3306, desk.store.flavor("1").ram)
    assert instance.address
    assert "s3cret" not in str(operation.plan.to_dict()) + str([row.step for row in operation.steps])
    assert desk.store.secret(instance.id) == {
        "users": [{"name": "ann", "password": "s3cret", "host": "%", "databases": [{"name": "shop"}]}],
        "databases": [{"name": "shop", "character_set": "utf8mb4"}],
    }
    desk.run(operation)
    assert desk.store.instance(instance.id).task is InstanceTask.NONE
    with pytest.raises(NotFound):
        desk.store.secret(instance.id)


def test_a_failed_create_says_why_where_people_look_and_can_be_deleted(desk: Desk) -> None:
    desk.bench.script.answers["server.ensure"] = [Failed("port 3306 is taken")]
    operation = desk.run(desk.service.create_instance(PROJECT, desk.new_instance()))
    assert operation.status is S.ROLLED_BACK
    instance = desk.store.instance(operation.resource_id)
    assert instance.task is InstanceTask.BUILD_ERROR
    assert instance.fault is not None
    assert instance.fault["message"] == "port 3306 is taken"
    desk.run(desk.service.delete_instance(instance))


def test_create_cluster_names_its_members_and_takes_an_address_for_itself(desk: Desk) -> None:
    operation = desk.service.create_cluster(PROJECT, desk.new_cluster(3, locality="affinity", options={"x": 1}))
    cluster = desk.store.cluster(operation.resource_id)
    assert [member.name for member in cluster.members] == ["shop-member-1", "shop-member-2", "shop-member-3"]
    assert cluster.endpoint_address
    assert cluster.endpoint_port == 3306
    assert cluster.options == {"x": 1, "locality": "affinity"}
    assert len({cluster.endpoint_address, *(member.address for member in cluster.members)}) == 4
    assert desk.store.secret(cluster.id)["cluster_secret"]
    desk.run(operation)
    cluster = desk.store.cluster(cluster.id)
    assert cluster.task is ClusterTask.NONE
    assert {member.task for member in cluster.members} == {InstanceTask.NONE}


def test_given_names_are_kept_and_never_given_twice(desk: Desk) -> None:
    members = (desk.member(), desk.member("shop-member-1"), desk.member("x"))
    operation = desk.service.create_cluster(PROJECT, desk.new_cluster(members=members))
    names = [member.name for member in desk.store.cluster(operation.resource_id).members]
    assert names == ["shop-member-2", "shop-member-1", "x"]


def test_redis_clusters_have_no_address_of_their_own_and_come_in_pairs(desk: Desk) -> None:
    limits = {"instances": 100}
    desk.service.set_limits(PROJECT, limits)
    assert desk.service.limits(PROJECT)["instances"] == 100
    operation = desk.service.create_cluster(PROJECT, desk.new_cluster(6, "redis", "7.0"))
    assert desk.store.cluster(operation.resource_id).endpoint_address is None
    for count, reason in ((5, "needs at least 6 instances, 5 were given"), (7, "7 is not even")):
        with pytest.raises(BadRequest, match=reason):
            desk.service.create_cluster(PROJECT, desk.new_cluster(count, "redis", "7.0"))


def test_a_cluster_too_small_or_with_two_members_of_one_name(desk: Desk) -> None:
    taken = desk.taken_addresses()
    with pytest.raises(BadRequest, match="at least 3 instances, 2 were given"):
        desk.service.create_cluster(PROJECT, desk.new_cluster(2))
    same = (desk.member("a"), desk.member("a"), desk.member())
    with pytest.raises(BadRequest, match="two members are to be named a"):
        desk.service.create_cluster(PROJECT, desk.new_cluster(members=same))
    assert desk.taken_addresses() == taken


def test_clusters_need_a_datastore_that_has_them(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    alone = replace(engine_of("mariadb"), cluster_kind=None)
    monkeypatch.setattr("trove.operations.service.engine_of", lambda _: alone)
    with pytest.raises(NotSupported, match="mariadb has no clusters"):
        desk.service.create_cluster(PROJECT, desk.new_cluster(3))


def test_a_quota_refuses_everything_and_gives_addresses_back(desk: Desk) -> None:
    cluster = desk.cluster(3)
    desk.service.set_limits(PROJECT, {"instances": 4})
    taken, operations = desk.taken_addresses(), len(desk.store.operations(None, limit=50).items)
    refused = (
        lambda: desk.service.create_cluster(PROJECT, desk.new_cluster(3)),
        lambda: desk.service.grow_cluster(cluster, [desk.member(), desk.member()]),
    )
    for attempt in refused:
        with pytest.raises(OverLimit, match="instances: 3 in use"):
            attempt()
    assert desk.taken_addresses() == taken
    operation = desk.service.create_instance(PROJECT, desk.new_instance())
    with pytest.raises(OverLimit):
        desk.service.create_instance(PROJECT, desk.new_instance("more"))
    assert desk.taken_addresses() == {*taken, desk.store.instance(operation.resource_id).address}
    assert len(desk.store.operations(None, limit=50).items) == operations + 1
    assert len(desk.store.all_instances()) == 4
    assert desk.store.cluster(cluster.id).task is ClusterTask.NONE


# -- grow, shrink, restart --------------------------------------------------------------------------------------------


def test_grow_takes_the_next_free_names(desk: Desk) -> None:
    cluster = desk.cluster(3)
    operation = desk.service.grow_cluster(cluster, [desk.member(), desk.member("big"), desk.member()])
    grown = desk.store.cluster(cluster.id)
    assert grown.task is ClusterTask.GROWING
    assert sorted(m.name for m in grown.members) == [
        "big", "shop-member-1", "shop-member-2", "shop-member-3", "shop-member-4", "shop-member-5",
    ]  # fmt: skip
    assert desk.run(operation).status is S.SUCCEEDED
    assert desk.store.cluster(cluster.id).task is ClusterTask.NONE


def test_grow_with_a_name_that_is_taken(desk: Desk) -> None:
    cluster, taken = desk.cluster(3), desk.taken_addresses()
    with pytest.raises(BadRequest, match="cluster shop has a member shop-member-2 already"):
        desk.service.grow_cluster(cluster, [desk.member("shop-member-2")])
    with pytest.raises(BadRequest, match="no instance was named"):
        desk.service.grow_cluster(cluster, [])
    assert desk.taken_addresses() == taken


def test_a_grow_that_fails_before_it_begins_leaves_no_member_behind(desk: Desk) -> None:
    cluster, taken = desk.cluster(3), desk.taken_addresses()
    desk.bench.script.answers["precheck.health"] = [Failed("m2 is not well")]
    operation = desk.run(desk.service.grow_cluster(cluster, [desk.member()]))
    assert operation.status is S.ROLLED_BACK
    after = desk.store.cluster(cluster.id)
    assert [m.name for m in after.members] == [m.name for m in cluster.members]
    assert after.task is ClusterTask.NONE
    assert desk.taken_addresses() == taken


def test_shrink_checks_who_and_how_many(desk: Desk) -> None:
    cluster = desk.cluster(4)
    stranger = desk.instance()
    with pytest.raises(BadRequest) as caught:
        desk.service.shrink_cluster(cluster, [stranger.id, cluster.members[0].id, cluster.members[1].id])
    assert caught.value.reasons == (
        f"{stranger.id} is not a member of shop",
        "2 members would be left, a cluster of mariadb needs 3",
    )
    operation = desk.service.shrink_cluster(cluster, [cluster.members[3].id])
    assert desk.store.cluster(cluster.id).task is ClusterTask.SHRINKING
    desk.run(operation)


def test_restart(desk: Desk) -> None:
    cluster, db = desk.cluster(3), desk.instance()
    assert desk.service.restart_instance(db).kind == "instance_restart"
    assert desk.store.instance(db.id).task is InstanceTask.RESTARTING
    assert desk.service.restart_cluster(cluster).kind == "cluster_restart"
    assert desk.store.cluster(cluster.id).task is ClusterTask.RESTARTING


def test_members_are_changed_through_their_cluster(desk: Desk) -> None:
    member = desk.cluster(3).members[0]
    for change, hint in ((desk.service.delete_instance, "shrink"), (desk.service.restart_instance, "restart")):
        with pytest.raises(NotSupported, match=hint):
            change(member)
    with pytest.raises(Unprocessable, match="upgrade the cluster, which moves its members one at a time"):
        desk.service.upgrade_instance(member, "11.8", OPTIONS)


# -- upgrade ----------------------------------------------------------------------------------------------------------


def test_upgrade_by_name_and_by_id(desk: Desk) -> None:
    cluster = desk.cluster(3)
    for ref in ("11.8", version_id("mariadb", "11.8"), version_id("mariadb", "11.8").upper()):
        plan = desk.service.plan_upgrade_cluster(cluster, ref, OPTIONS)
        assert (plan.to_version, plan.blockers) == ("11.8", ())
    operation = desk.service.upgrade_cluster(cluster, "11.8", UpgradeOptions(on_failure="hold"))
    assert operation.on_failure == "hold"
    assert desk.store.cluster(cluster.id).task is ClusterTask.UPGRADING
    assert desk.store.cluster(cluster.id).version.name == "10.11", "the version changes when it is proved"


def test_a_plan_touches_nothing(desk: Desk) -> None:
    cluster = desk.cluster(3)
    before = desk.store.operations(None, limit=50).items
    desk.service.plan_upgrade_cluster(cluster, "11.8", OPTIONS)
    assert desk.store.cluster(cluster.id) == cluster
    assert desk.store.operations(None, limit=50).items == before


@pytest.mark.parametrize("ref", ["8.1", version_id("valkey", "8.1")])
def test_redis_finds_valkey_in_its_family(desk: Desk, ref: str) -> None:
    redis = desk.instance(datastore="redis", of="7.0")
    plan = desk.service.plan_upgrade_instance(redis, ref, OPTIONS)
    assert (plan.blockers, plan.to_version) == ((), "8.1")
    assert desk.service.upgrade_instance(redis, ref, OPTIONS).kind == "instance_upgrade"
    assert desk.store.instance(redis.id).task is InstanceTask.UPGRADING


def test_unknown_target_names_what_is_offered(desk: Desk) -> None:
    cluster = desk.cluster(3)
    with pytest.raises(NotFound) as caught:
        desk.service.plan_upgrade_cluster(cluster, "12.3", OPTIONS)
    assert str(caught.value) == (
        "datastore version '12.3' was not found: offered are mariadb 10.5, mariadb 10.11, mariadb 11.8"
    )


def test_a_name_of_another_family_is_unknown_its_id_is_refused_with_the_reason(desk: Desk) -> None:
    db = desk.instance()
    with pytest.raises(NotFound):
        desk.service.plan_upgrade_instance(db, "7.0", OPTIONS)
    with pytest.raises(BadRequest, match=r"redis 7\.0 is not of the family of mariadb 10\.11"):
        desk.service.upgrade_instance(db, version_id("redis", "7.0"), OPTIONS)


def test_what_was_asked_wrongly_comes_with_every_other_reason(desk: Desk) -> None:
    cluster = desk.cluster(3)
    desk.hear(cluster.members[1].id, status=EngineStatus.ERROR, in_sync=False, reason="no quorum")
    cluster = desk.store.cluster(cluster.id)
    with pytest.raises(BadRequest) as caught:
        desk.service.upgrade_cluster(cluster, "10.5", OPTIONS)
    assert len(caught.value.reasons) == 2
    with pytest.raises(Unprocessable, match="shop-member-2: its engine says ERROR: no quorum"):
        desk.service.upgrade_cluster(cluster, "11.8", OPTIONS)
    assert desk.store.cluster(cluster.id).task is ClusterTask.NONE


def test_what_was_said_too_long_ago_does_not_count(desk: Desk) -> None:
    cluster = desk.cluster(3)
    desk.hear(cluster.members[2].id, observed_at="2020-01-01T00:00:00")
    with pytest.raises(Unprocessable, match="shop-member-3: its engine has not been heard of since 2020-01-01"):
        desk.service.upgrade_cluster(desk.store.cluster(cluster.id), "11.8", OPTIONS)


def test_refuse_prefers_what_was_asked_wrongly() -> None:
    refuse(())
    with pytest.raises(Unprocessable):
        refuse([Blocker(422, "busy")])
    with pytest.raises(BadRequest, match="busy; wrong"):
        refuse([Blocker(422, "busy"), Blocker(400, "wrong")])


# -- one operation at a time ------------------------------------------------------------------------------------------


def test_busy_is_refused_by_name(desk: Desk) -> None:
    cluster = desk.cluster(3)
    operation = desk.service.upgrade_cluster(cluster, "11.8", OPTIONS)
    cluster = desk.store.cluster(cluster.id)
    attempts = (
        lambda: desk.service.upgrade_cluster(cluster, "11.8", OPTIONS),
        lambda: desk.service.restart_cluster(cluster),
        lambda: desk.service.grow_cluster(cluster, [desk.member()]),
        lambda: desk.service.delete_cluster(cluster),
        lambda: desk.service.reset_cluster_status(cluster),
        lambda: desk.service.reset_instance_status(cluster.members[0]),
    )
    for attempt in attempts:
        with pytest.raises(Unprocessable, match=operation.id):
            attempt()


def test_a_plan_made_on_an_older_generation_is_refused(desk: Desk) -> None:
    cluster = desk.cluster(3)
    desk.run(desk.service.restart_cluster(cluster))
    with pytest.raises(Conflict, match="has changed since"):
        desk.service.restart_cluster(cluster)


def test_an_instance_that_is_being_built_is_not_deleted_under_the_executor(desk: Desk) -> None:
    operation = desk.service.create_instance(PROJECT, desk.new_instance())
    with pytest.raises(Unprocessable, match="wait until it ends"):
        desk.service.delete_instance(desk.store.instance(operation.resource_id))
    assert desk.store.operation(operation.id).status is S.PENDING


def held_creation(desk: Desk) -> Operation:
    """A creation whose rollback could not go on."""
    desk.bench.script.answers["server.ensure"] = [Failed("no room")]
    desk.bench.script.answers["server.delete"] = [Failed("directory busy")]
    operation = desk.run(desk.service.create_instance(PROJECT, desk.new_instance()))
    desk.bench.script.answers.clear()
    assert operation.status is S.HELD
    return operation


def test_deleting_ends_what_is_held_whatever_the_task(desk: Desk) -> None:
    held = held_creation(desk)
    instance = desk.store.instance(held.resource_id)
    assert instance.task is InstanceTask.BUILDING
    deletion = desk.service.delete_instance(instance)
    given_up = desk.store.operation(held.id)
    assert given_up.status is S.FAILED
    assert any("given up" in event.text for event in given_up.events)
    assert desk.run(deletion).status is S.SUCCEEDED


def test_a_refused_deletion_gives_nothing_up(desk: Desk) -> None:
    held = held_creation(desk)
    stale = replace(desk.store.instance(held.resource_id), generation=99)
    with pytest.raises(Conflict):
        desk.service.delete_instance(stale)
    assert desk.store.operation(held.id).status is S.HELD


def held_upgrade(desk: Desk) -> tuple[Cluster, Operation]:
    cluster = desk.cluster(3)
    desk.bench.script.answers["hold"] = [Held("look at the canary")]
    operation = desk.run(desk.service.upgrade_cluster(cluster, "11.8", UpgradeOptions(hold=frozenset({"canary"}))))
    assert operation.status is S.HELD
    return desk.store.cluster(cluster.id), operation


def test_deleting_a_cluster_ends_its_held_upgrade(desk: Desk) -> None:
    cluster, held = held_upgrade(desk)
    desk.store.update_instance(cluster.members[1].id, task=InstanceTask.UPGRADING)
    desk.service.delete_cluster(desk.store.cluster(cluster.id))
    assert desk.store.operation(held.id).status is S.FAILED
    cluster = desk.store.cluster(cluster.id)
    assert cluster.task is ClusterTask.DELETING
    assert {member.task for member in cluster.members} == {InstanceTask.DELETING}


def test_a_deletion_that_failed_can_be_asked_for_again(desk: Desk) -> None:
    cluster = desk.cluster(3)
    desk.bench.script.answers["server.delete"] = [Failed("directory busy")]
    assert desk.run(desk.service.delete_cluster(cluster)).status is S.FAILED
    cluster = desk.store.cluster(cluster.id)
    assert cluster.task is ClusterTask.DELETING
    desk.bench.script.answers = {
        "record.member_deleted": [record.member_deleted],
        "record.cluster_deleted": [record.cluster_deleted],
    }
    assert desk.run(desk.service.delete_cluster(cluster)).status is S.SUCCEEDED
    with pytest.raises(NotFound):
        desk.store.cluster(cluster.id)
    assert desk.store.usage(PROJECT)["instances"] == 0
    assert desk.taken_addresses() == set()


def test_a_deletion_is_not_rolled_back(desk: Desk) -> None:
    """What is removed is removed; before the first step it can be called off, and asked for again."""
    cluster, db = desk.cluster(3), desk.instance()
    for deletion in (desk.service.delete_cluster(cluster), desk.service.delete_instance(db)):
        assert deletion.plan.kind.endswith("_delete")
        refused = []

        def ask(context: Any, refused: list[bool] = refused) -> Failed:
            with pytest.raises(Unprocessable, match="point of no return"):
                desk.service.rollback(context.operation)
            refused.append(True)
            return Failed("directory busy")

        desk.bench.script.answers = {"endpoint.delete": [ask], "server.delete": [ask]}
        assert desk.run(deletion).status is S.FAILED
        assert refused


def test_a_reset_ends_what_is_held(desk: Desk) -> None:
    cluster, held = held_upgrade(desk)
    desk.service.reset_cluster_status(cluster)
    assert desk.store.operation(held.id).status is S.FAILED
    assert desk.store.cluster(cluster.id).task is ClusterTask.NONE


def test_a_reset_of_an_instance(desk: Desk) -> None:
    held = held_creation(desk)
    desk.service.reset_instance_status(desk.store.instance(held.resource_id))
    assert desk.store.operation(held.id).status is S.FAILED
    assert desk.store.instance(held.resource_id).task is InstanceTask.NONE
    desk.service.reset_instance_status(desk.store.instance(held.resource_id))


# -- resume and rollback ----------------------------------------------------------------------------------------------


def test_resume_goes_on_and_rollback_takes_back(desk: Desk) -> None:
    _, held = held_upgrade(desk)
    woken = desk.woken
    assert desk.service.resume(held).status is S.RUNNING
    assert desk.woken == woken + 1
    assert desk.run(held).status is S.SUCCEEDED
    with pytest.raises(Unprocessable, match="has ended"):
        desk.service.rollback(desk.store.operation(held.id))


def test_resume_behind_a_fault_can_still_be_rolled_back_with_what_was_begun(desk: Desk) -> None:
    """A step that failed half-way stays begun, also when a resume and a rollback come before anybody runs it."""
    cluster = desk.cluster(3)
    desk.bench.script.answers["server.ensure"] = [Failed("disk full")]
    options = UpgradeOptions(on_failure="hold")
    held = desk.run(desk.service.upgrade_cluster(cluster, "11.8", options))
    assert held.status is S.HELD
    desk.bench.script.answers.clear()
    desk.service.resume(held)
    desk.service.rollback(desk.store.operation(held.id))
    ended = desk.run(held)
    assert ended.status is S.ROLLED_BACK
    assert [row.step.name for row in ended.steps if row.undo][1:3] == ["server.ensure", "guest.reseed"]


def test_resuming_half_a_rollback_goes_on_with_the_rollback(desk: Desk) -> None:
    held = held_creation(desk)
    assert desk.service.resume(held).status is S.ROLLING_BACK
    assert desk.run(held).status is S.ROLLED_BACK


def test_rename(desk: Desk, store: Store) -> None:
    db = desk.instance()
    desk.service.rename_instance(db, "other")
    assert store.instance(db.id).name == "other"
