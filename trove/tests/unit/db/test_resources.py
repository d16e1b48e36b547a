"""Instances, clusters, addresses, secrets, catalogue."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import sqlalchemy as sa

from trove.db import reads, rows
from trove.db.seeds import seed, version_id
from trove.db.store import Store
from trove.db.tables import addresses, datastore_versions, instances
from trove.domain.errors import Conflict, NotFound, OverLimit
from trove.domain.health import Health
from trove.domain.plans import Plan
from trove.domain.states import ClusterTask, EngineStatus, InstanceTask
from trove.domain.store import Acceptance
from trove.tests.unit.db.conftest import ENGINES, Builder, sqlite_only

HEALTH = Health(
    EngineStatus.HEALTHY,
    "10.11.6-MariaDB",
    "10.11.6",
    "primary",
    True,
    lag_bytes=7,
    members_seen=3,
    used_bytes=1,
    free_bytes=2**40,
    reason="",
    observed_at="2031-05-02T10:00:00.5",
    detail={"wsrep": {"ready": "ON"}},
)


def fill(store: Store, make: Builder, count: int, project: str = "p") -> list[str]:
    one = make.instance(project)
    values = [rows.instance_values(make.instance(project), 0, rows.utcnow()) | {"name": f"n{n}"} for n in range(count)]
    store.database.write(lambda conn: conn.execute(sa.insert(instances), values))
    assert one.id not in {value["id"] for value in values}
    return [value["id"] for value in values]


def test_pages_are_complete_and_in_order(store: Store, make: Builder) -> None:
    mine = fill(store, make, 1000)
    fill(store, make, 50, "other")
    make.create_cluster()
    seen: list[str] = []
    marker = None
    while True:
        page = store.instances("p", limit=20, marker=marker)
        seen += [instance.id for instance in page.items]
        marker = page.next_marker
        if marker is None:
            break
        assert len(page.items) == 20
        assert marker == page.items[-1].id
    assert seen == sorted(mine)
    assert len(store.instances("p", limit=2000, include_clustered=True).items) == 1003
    assert len(store.instances(None, limit=2000).items) == 1050
    assert [i.name for i in store.instances("p", limit=20, name="n7").items] == ["n7"]
    full = store.instances("p", limit=1000)
    assert len(full.items) == 1000
    assert full.next_marker is None


@sqlite_only
@pytest.mark.parametrize(("project", "name"), [(True, True), (True, False), (False, False)])
@pytest.mark.parametrize("marker", [True, False])
@pytest.mark.parametrize("clustered", [True, False])
def test_the_cost_of_a_page_does_not_grow(
    store: Store, project: bool, marker: bool, name: bool, clustered: bool
) -> None:
    """The database walks an index in the order of the page; it neither sorts nor reads the whole table."""
    statement = reads.instance_page(project, marker, name, clustered)
    values = {"project": "p", "marker": "m", "name": "n", "count": 21}
    known = {key: value for key, value in values.items() if key in statement.compile().params}
    text = str(statement.params(**known).compile(store.database.reader, compile_kwargs={"literal_binds": True}))
    with store.database.read() as conn:
        plan = " ".join(row[3] for row in conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}"))
    assert "USING INDEX" in plan
    assert "SCAN" not in plan
    assert "B-TREE" not in plan


def test_an_instance_comes_back_as_it_was_given(store: Store, make: Builder) -> None:
    given = make.instance(
        address="127.1.1.1",
        image_id="mariadb-10.11-abc",
        fault={"message": "m", "created": "c", "details": None},
        configuration={"id": "g", "values": {"x": 1}},
        health=HEALTH,
        flavor_id="2",
    )
    read = make.create(**vars(given))
    assert read.created is not None
    assert replace(read, created=None, updated=None, generation=0) == given
    assert read.generation == 1
    listed = store.instances("p", limit=1).items[0]
    assert listed.health == replace(HEALTH, detail={})
    assert replace(listed, health=HEALTH) == read
    assert store.all_instances() == [read]


def test_a_cluster_comes_back_as_it_was_given(store: Store, make: Builder) -> None:
    made = make.create_cluster(12, endpoint_address="127.90.0.9", endpoint_port=3306, options={"a": 1})
    assert [member.name for member in made.members] == [f"shop-member-{n + 1}" for n in range(12)]
    assert made.members[0].cluster_id == made.id
    assert (made.endpoint_address, made.endpoint_port, made.options) == ("127.90.0.9", 3306, {"a": 1})
    assert store.clusters("p", limit=20).items == [made]
    assert store.all_clusters() == [made]
    assert store.clusters("p", limit=20, name="nobody").items == []
    assert store.clusters("other", limit=20).items == []
    with pytest.raises(NotFound):
        store.cluster(made.id, "other")
    store.update_cluster(made.id, active_member_id=made.members[1].id, name="new", task=ClusterTask.NONE)
    store.update_instance(made.members[0].id, deleted=True)
    read = store.cluster(made.id, "p")
    assert (read.active_member_id, read.name, len(read.members)) == (made.members[1].id, "new", 11)
    assert read.members == made.members[1:]


def test_a_cluster_without_members_is_a_cluster(store: Store, make: Builder) -> None:
    made = make.create_cluster(0)
    assert made.members == ()
    assert store.clusters("p", limit=2).items == [made]


def test_setting_fields(store: Store, make: Builder) -> None:
    made = make.create()
    target = store.version(version_id("mariadb", "11.8"))
    store.update_instance(
        made.id, task=InstanceTask.NONE, version=target, image_id="i", name="new", fault={"message": "m"}, health=HEALTH
    )
    read = store.instance(made.id)
    assert (read.task, read.version, read.image_id, read.name) == (InstanceTask.NONE, target, "i", "new")
    assert (read.fault, read.health) == ({"message": "m"}, HEALTH)
    assert read.updated is not None
    assert made.updated is not None
    assert read.updated > made.updated
    store.update_instance(made.id, fault=None, health=None)
    assert (store.instance(made.id).fault, store.instance(made.id).health) == (None, None)
    with pytest.raises(TypeError, match="no field 'colour'"):
        store.update_instance(made.id, colour="red")
    with pytest.raises(TypeError, match="no field 'members'"):
        store.update_cluster(make.create_cluster().id, members=())
    with pytest.raises(NotFound):
        store.update_instance("nobody", name="x")
    with pytest.raises(NotFound):
        store.update_cluster("nobody", name="x")


def test_transitions_that_are_not_in_the_table_are_refused(store: Store, make: Builder) -> None:
    instance, cluster = make.create(), make.create_cluster()
    with pytest.raises(ValueError, match="no instance goes from BUILDING to UPGRADING"):
        store.update_instance(instance.id, task=InstanceTask.UPGRADING, name="changed")
    with pytest.raises(ValueError, match="no cluster goes from BUILDING to GROWING"):
        store.update_cluster(cluster.id, task=ClusterTask.GROWING, name="changed")
    assert store.instance(instance.id) == instance
    assert store.cluster(cluster.id) == cluster


def test_an_administrators_reset(store: Store, make: Builder) -> None:
    instance, cluster = make.create(), make.create_cluster()
    store.reset_task(instance_id=instance.id)
    store.reset_task(cluster_id=cluster.id)
    assert store.instance(instance.id).task is InstanceTask.NONE
    read = store.cluster(cluster.id)
    assert {read.task.name, *(member.task.name for member in read.members)} == {"NONE"}
    with pytest.raises(NotFound):
        store.reset_task(cluster_id="nobody")


def test_deletion_frees_what_it_held_and_may_be_told_twice(store: Store, make: Builder) -> None:
    addresses = store.reserve_addresses(2)
    kept = make.create(address=addresses[0])
    gone = make.create(address=addresses[1])
    store.put_secret(gone.id, {"password": "x"})
    store.update_instance(gone.id, deleted=True)
    store.update_instance(gone.id, deleted=True)
    for late in (
        lambda: store.instance(gone.id),
        lambda: store.update_instance(gone.id, name="x"),
        lambda: store.secret(gone.id),
    ):
        with pytest.raises(NotFound):
            late()
    assert store.usage("p") == {"instances": 1, "volumes": 1, "ram": 256}
    assert store.reserve_addresses(1) == [addresses[1]]
    store.record_health({gone.id: HEALTH, kept.id: HEALTH, "nobody": HEALTH})
    assert store.instance(kept.id).health == HEALTH
    store.record_health({})


def test_addresses(store: Store, make: Builder) -> None:
    first = store.reserve_addresses(3)
    assert first == ["127.90.0.1", "127.90.0.2", "127.90.0.3"]
    store.release_addresses(first[1:2])
    assert store.reserve_addresses(2) == ["127.90.0.2", "127.90.0.4"]
    make.create(address=first[0])
    with pytest.raises(Conflict, match=r"127\.90\.0\.1 belongs to"):
        make.create(address=first[0])
    with pytest.raises(OverLimit, match=r"127\.90\.0\.0/24 has 250 free addresses and 251 are needed"):
        store.reserve_addresses(251)
    cluster = make.create_cluster(1, endpoint_address=first[2])
    store.update_cluster(cluster.id, deleted=True)
    store.update_cluster(cluster.id, deleted=True)
    assert store.reserve_addresses(1) == [first[2]]


def test_a_reservation_without_owner_ends(store: Store, make: Builder) -> None:
    owned, abandoned = store.reserve_addresses(2)
    make.create(address=owned)
    past = sa.update(addresses).where(addresses.c.reserved_until.is_not(None)).values(reserved_until=store.now() - 1)
    store.database.write(lambda conn: conn.execute(past))
    assert store.reserve_addresses(1) == [abandoned]


def test_secrets(store: Store) -> None:
    store.put_secret("a", {"password": "one"})
    store.put_secret("a", {"password": "two"})
    assert store.secret("a") == {"password": "two"}
    store.drop_secret("a")
    store.drop_secret("a")
    with pytest.raises(NotFound):
        store.secret("a")


def test_secrets_come_with_an_acceptance_or_not_at_all(store: Store, make: Builder) -> None:
    new = make.instance()
    plan = Plan("create", "instance", new.id, new.name, 0)
    given = Acceptance(plan, "p", new_instances=(new,), secrets={new.id: {"password": "x"}}, limits={"instances": 0})
    with pytest.raises(OverLimit):
        store.accept(given)
    with pytest.raises(NotFound):
        store.secret(new.id)
    with pytest.raises(NotFound):
        store.instance(new.id)
    store.accept(replace(given, limits={}))
    assert store.secret(new.id) == {"password": "x"}
    make.finish(store.operations("p", limit=1).items[0].id)
    with pytest.raises(Conflict, match="has changed"):
        store.accept(replace(given, limits={}))
    store.update_instance(new.id, deleted=True)
    with pytest.raises(Conflict, match="exists already"):
        store.accept(replace(given, limits={}))


def test_quota_limits(store: Store) -> None:
    assert store.quota_limits("p") == {}
    store.set_quota_limits("p", {"instances": 5, "ram": -1})
    store.set_quota_limits("p", {"instances": 6})
    store.set_quota_limits("q", {"instances": 1})
    assert store.quota_limits("p") == {"instances": 6, "ram": -1}


def test_the_catalogue(store: Store) -> None:
    assert [one.name for one in store.datastores()] == ["mariadb", "redis", "valkey"]
    mariadb = store.datastore("mariadb")
    assert store.datastore(mariadb.id) is mariadb
    assert [version.name for version in mariadb.versions] == ["10.5", "10.11", "11.8"]
    assert mariadb.default_version_id == version_id("mariadb", "11.8")
    assert store.version(version_id("mariadb", "10.5")).recipe == "mariadb-10.5"
    assert [flavor.name for flavor in store.flavors()] == ["db.tiny", "db.small", "db.medium", "db.large"]
    assert store.flavor("2") == store.flavor("db.small")
    for missing in (
        lambda: store.datastore("x"),
        lambda: store.version("x"),
        lambda: store.flavor("x"),
        lambda: store.set_version_number("x", "1"),
    ):
        with pytest.raises(NotFound):
            missing()


def test_what_was_changed_survives_another_seed(store: Store, another: Callable[[], Store]) -> None:
    key = version_id("mariadb", "10.5")
    store.set_version_number(key, "10.5.29")
    off = sa.update(datastore_versions).where(datastore_versions.c.id == key).values(active=0)
    store.database.write(lambda conn: conn.execute(off))
    seed(store, ENGINES)
    other = another()
    version = other.version(key)
    assert (version.number, version.active) == ("10.5.29", False)
    assert key not in {v.id for one in other.datastores() for v in one.versions}
    assert key in {v.id for one in other.datastores(include_inactive=True) for v in one.versions}


def test_a_version_added_by_another_process_is_found(store: Store, another: Callable[[], Store], make: Builder) -> None:
    other = another()
    assert other.datastores()
    values = {"id": "v", "datastore_id": store.datastore("redis").id, "name": "8.0", "number": "8", "recipe": "r"}
    store.database.write(lambda conn: conn.execute(sa.insert(datastore_versions).values(active=1, **values)))
    store.forget_catalogue()
    made = make.create(version=store.version("v"))
    assert other.instance(made.id) == made
    assert other.version("v").name == "8.0"
