"""The parts of local compute that need no sandbox."""

import json
import threading
from pathlib import Path

import pytest

from trove.compute.local import sandbox, volumes
from trove.compute.local.layout import Home, Layout, Record
from trove.compute.local.limits import ControlGroups
from trove.domain.errors import DriverError, StaleGeneration
from trove.domain.ports import Order, ServerSpec

SPEC = ServerSpec("i1", "shop 1", "redis-7.0-aaa", "redis", "127.1.1.1", 6379, 512, 2, 1)


def box(uid):
    return sandbox.Box("shop 1", "/images/x/rootfs", Path("/state/instances/i1"), Path("/state/agents/b"), uid)


def pairs(line, option):
    return [tuple(line[at + 1 : at + 3]) for at, word in enumerate(line) if word == option]


def test_a_sandbox_has_one_writable_directory_and_drops_everything():
    line = sandbox.command(box(700), "/usr/bin/bwrap", info_fd="9")
    assert pairs(line, "--bind") == [("/state/instances/i1/data", "/data")]
    assert ("/images/x/rootfs", "/") in pairs(line, "--ro-bind")
    assert ("/state/instances/i1/etc", "/etc/trove") in pairs(line, "--ro-bind")
    assert {"--unshare-pid", "--unshare-ipc", "--unshare-uts", "--as-pid-1", "--clearenv"} <= set(line)
    assert "--unshare-user" not in line
    assert "--die-with-parent" not in line
    inner = line[line.index("--") + 1 :]
    assert inner[:8] == [
        "/usr/bin/setpriv", "--reuid", "700", "--regid", "700", "--clear-groups", "--bounding-set=-all",
        "--inh-caps=-all",
    ]  # fmt: skip
    assert tuple(inner[-len(sandbox.AGENT) :]) == sandbox.AGENT


def test_an_ordinary_user_s_sandbox_has_a_user_namespace():
    line = sandbox.command(box(None), "bwrap", info_fd="9")
    assert line[line.index("--unshare-user") :][:5] == ["--unshare-user", "--uid", "990", "--gid", "990"]
    assert line[line.index("--") + 1] == "/bin/sh"


@pytest.mark.parametrize(
    ("name", "host"), [("shop-1", "shop-1"), ("größe 1!", "gr-e-1"), ("***", "database"), ("a" * 99, "a" * 63)]
)
def test_names_become_host_names(name, host):
    assert sandbox.hostname(name) == host


def test_accounts_show_the_user_s_own_number():
    files = sandbox.account_files("shop 1", "127.1.1.1", 700)
    assert "database:x:700:700:" in files["passwd"]
    assert "database:x:700:" in files["group"]
    assert "127.1.1.1 shop-1\n" in files["hosts"]
    assert "database:x:990:990:" in sandbox.account_files("x", "127.1.1.1", None)["passwd"]


def test_generations_only_grow(tmp_path):
    layout = Layout(tmp_path)
    for generation in (0, 3, 3, 12):
        with layout.order("i1", Order("op", 0, generation)):
            pass
    with (
        pytest.raises(StaleGeneration, match="generation 11 is older than generation 12"),
        layout.order("i1", Order("op", 0, 11)),
    ):
        raise AssertionError("the order was let in")
    with layout.order("i2", Order("op", 0, 1)) as home:
        assert home.path == tmp_path / "instances/i2"


def test_orders_for_one_server_wait_for_each_other(tmp_path):
    layout, inside, seen = Layout(tmp_path), threading.Event(), []

    def other():
        inside.set()
        with Layout(tmp_path).order("i1", Order("op", 0, 2)):
            seen.append("other")

    with layout.order("i1", Order("op", 0, 1)):
        thread = threading.Thread(target=other)
        thread.start()
        assert inside.wait(5)
        thread.join(0.1)
        seen.append("first")
    thread.join(5)
    assert seen == ["first", "other"]


@pytest.mark.parametrize("bad", ["", "..", "a/b", ".orders", "x" * 65])
def test_ids_and_copy_names_stay_below_the_directory(tmp_path, bad):
    with pytest.raises(DriverError, match="cannot be the id"):
        Layout(tmp_path).home(bad)
    with pytest.raises(DriverError, match="cannot name a copy"):
        Home(tmp_path).copy(bad)


def test_records_come_back_and_damaged_ones_do_not(tmp_path):
    home = Home(tmp_path)
    assert home.read() is None
    record = Record(SPEC, 700, {"memory": True}, ("/g",))
    home.write(record)
    assert home.read() == record
    for damaged in (
        "",
        "{",
        "[]",
        '{"spec": {}}',
        json.dumps({"spec": {"x": 1}, "uid": 1, "limits": {}, "groups": []}),
    ):
        (tmp_path / "server.json").write_text(damaged)
        assert home.read() is None


def test_user_numbers_are_the_lowest_free_ones_of_the_installation(tmp_path):
    layout = Layout(tmp_path / "a")
    first = layout.free_uid()
    for name in ("i1", "i2"):
        layout.home(name).path.mkdir(parents=True)
        layout.home(name).write(Record(SPEC, layout.free_uid()))
    assert layout.free_uid() == first + 2
    (layout.home("i1").path / "server.json").unlink()
    assert layout.free_uid() == first
    assert 700_000_000 <= first < 800_000_000


# -- copies ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def home(tmp_path):
    made = Home(tmp_path / "i1")
    made.data.mkdir(parents=True)
    (made.data / "value").write_text("old")
    return made


def test_a_crash_between_renames_is_mended(home):
    home.data.rename(home.path / ".data.old")
    volumes.mend(home)
    assert (home.data / "value").read_text() == "old"
    # The restored data were complete when the old ones were moved away.
    home.data.rename(home.path / ".data.old")
    (home.path / ".data.restored").mkdir()
    (home.path / ".data.restored/value").write_text("restored")
    (home.path / ".copy-half").mkdir()
    volumes.mend(home)
    assert (home.data / "value").read_text() == "restored"
    assert [path.name for path in home.path.iterdir()] == ["data"]


def test_another_operation_s_copy_of_the_name_is_replaced(home):
    for operation, value in (("one", "first"), ("one", "ignored"), ("two", "second")):
        (home.data / "value").write_text(value)
        volumes.copy(home, "before", Order(operation, 1, 1), lambda text: None)
        assert (home.copy("before") / "value").read_text() == ("second" if operation == "two" else "first")


def test_no_room_is_said_before_anything_is_copied(home, monkeypatch):
    monkeypatch.setattr("trove.host.free_bytes", lambda path: 1 << 20)
    with pytest.raises(DriverError, match=r"no room for copying the data of i1: it needs \d+ MB .*1 MB are free"):
        volumes.copy(home, "before", Order("op", 1, 1), lambda text: None)
    assert [path.name for path in home.path.iterdir()] == ["data"]


# -- limits ---------------------------------------------------------------------------------------------------------


def legacy(root, memory="memory", cpu="cpu,cpuacct"):
    (root / memory / "box").mkdir(parents=True)
    (root / cpu).mkdir(parents=True)
    return ControlGroups("trove-x", root, "4:memory:/box\n1:cpu,cpuacct:/gone\n0::/\n")


def test_without_any_control_groups_nothing_is_enforced(tmp_path):
    for own in ("", "0::/user.slice\n", "nonsense"):
        groups = ControlGroups("trove-x", tmp_path / "missing", own)
        assert groups.apply("i1", 256, 1).enforced == {"memory": False, "cpu": False, "disk": False}
        assert groups.ids() == set()


def test_a_hierarchy_without_the_needed_files_counts_as_not_enforced(tmp_path):
    # Plain directories stand for hierarchies whose controllers this host keeps to itself.
    groups = legacy(tmp_path)
    limits = groups.apply("i1", 256, 1)
    assert limits.enforced == {"memory": False, "cpu": False, "disk": False}
    assert limits.groups == ()
    assert groups.ids() == set()


def test_version_one_groups_are_made_below_our_own(tmp_path):
    groups = legacy(tmp_path)
    memory, cpu = tmp_path / "memory/box/trove-x/i1", tmp_path / "cpu,cpuacct/trove-x/i1"
    for folder, names in ((memory, ["memory.limit_in_bytes"]), (cpu, ["cpu.cfs_period_us", "cpu.cfs_quota_us"])):
        folder.mkdir(parents=True)
        for name in names:
            (folder / name).write_text("")
    limits = groups.apply("i1", 256, 2)
    assert limits.enforced == {"memory": True, "cpu": True, "disk": False}
    assert limits.groups == (str(memory), str(cpu))
    assert (memory / "memory.limit_in_bytes").read_text() == str((256 + 64) << 20)
    assert (cpu / "cpu.cfs_quota_us").read_text() == "200000"
    assert groups.ids() == {"i1"}


def test_version_two_groups_are_made_beside_our_own(tmp_path):
    (tmp_path / "cgroup.controllers").write_text("cpu memory")
    slice_ = tmp_path / "user.slice"
    group = slice_ / "trove-x/i1"
    group.mkdir(parents=True)
    for folder in (slice_, slice_ / "trove-x"):
        (folder / "cgroup.controllers").write_text("cpu memory")
        (folder / "cgroup.subtree_control").write_text("")
    (group / "memory.max").write_text("max")
    groups = ControlGroups("trove-x", tmp_path, "0::/user.slice/app.scope\n")
    limits = groups.apply("i1", 256, 2)
    # A hierarchy that offers memory only: the processor stays free, and this is said.
    assert limits.enforced == {"memory": True, "cpu": False, "disk": False}
    assert limits.groups == (str(group),)
    assert (group / "memory.max").read_text() == str((256 + 64) << 20)
    assert groups.of("i1") == (str(group),)
