"""What the first start makes, what later ones keep, and who may use it."""

from __future__ import annotations

import fcntl
import json
import os
import shlex
import shutil
import socket
import stat
import subprocess
import sys
from pathlib import Path

import bcrypt
import pytest
import yaml

from trove.cmd import installation as module
from trove.cmd.installation import (
    ensure_access,
    free_pool,
    greeting,
    open_installation,
    remove_files,
    shared_user,
    sole_user,
    users_of,
)
from trove.domain.errors import DriverError

URL = "http://127.0.0.1:8779"


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_first_start_makes_a_user_whose_password_fits(state: Path) -> None:
    made = open_installation(state)
    access = ensure_access(made, URL)
    name, _, digest = made.htpasswd.read_text().strip().partition(":")
    assert name == access.user == "admin"
    assert bcrypt.checkpw(access.password.encode(), digest.encode())
    cloud = yaml.safe_load(made.clouds.read_text())["clouds"]["trove"]
    assert cloud["auth"] == {"endpoint": f"{URL}/v1.0/main", "username": "admin", "password": access.password}
    assert yaml.safe_load(made.users.read_text())["users"]["admin"]["project"] == "main"
    for secret in (made.htpasswd, made.users, made.clouds):
        assert mode(secret) == 0o600


def test_second_start_keeps_password_and_pool_and_learns_the_port(state: Path) -> None:
    first = ensure_access(open_installation(state), URL)
    digest = (state / "htpasswd").read_text()
    again = open_installation(state)
    second = ensure_access(again, "http://127.0.0.1:9000")
    assert again == open_installation(state)
    assert second.password == first.password
    assert (state / "htpasswd").read_text() == digest
    assert yaml.safe_load(again.clouds.read_text())["clouds"]["trove"]["auth"]["endpoint"].startswith(
        "http://127.0.0.1:9000/"
    )


def test_other_users_and_clouds_survive(state: Path) -> None:
    """Whoever loses clouds.yaml gets a new password; nobody else is locked out by that."""
    made = open_installation(state)
    first = ensure_access(made, URL)
    made.htpasswd.write_text(made.htpasswd.read_text() + "ann:$2b$10$x\n")
    users = yaml.safe_load(made.users.read_text())
    users["users"]["ann"] = {"project": "shop", "roles": ["member"]}
    made.users.write_text(yaml.safe_dump(users))
    made.clouds.unlink()
    second = ensure_access(made, URL)
    assert second.password != first.password
    assert [line.split(":")[0] for line in made.htpasswd.read_text().splitlines()] == ["admin", "ann"]
    assert yaml.safe_load(made.users.read_text()) == users
    clouds = yaml.safe_load(made.clouds.read_text())
    clouds["clouds"]["work"] = {"auth": {"auth_url": "http://127.0.0.1/"}}
    made.clouds.write_text(yaml.safe_dump(clouds))
    assert ensure_access(made, URL) == second
    assert yaml.safe_load(made.clouds.read_text())["clouds"]["work"] == clouds["clouds"]["work"]


@pytest.mark.parametrize("name", ["clouds.yaml", "users.yaml"])
@pytest.mark.parametrize("text", ["{", "[1]", "other: {}", "clouds: 7\nusers: 7"])
def test_files_not_understood_are_named(state: Path, name: str, text: str) -> None:
    made = open_installation(state)
    ensure_access(made, URL)
    (state / name).write_text(text)
    with pytest.raises(DriverError, match=rf"{name} is not understood: mend it, or remove it"):
        ensure_access(made, URL)
    assert (state / name).read_text() == text


def test_greeting_can_be_pasted_from_any_directory(tmp_path: Path) -> None:
    made = open_installation(tmp_path / "a place with 'quotes'")
    lines = greeting(made, ensure_access(made, URL)).splitlines()
    assert len(lines) == 3
    assert shlex.split(lines[0]) == ["export", f"OS_CLIENT_CONFIG_FILE={made.clouds}"]
    client = shlex.split(lines[1])
    assert client[1:] == ["--os-cloud", "trove", "datastore", "list"]
    assert shutil.which(client[0])
    assert shlex.split(lines[2])[:2] == ["curl", "-u"]


# -- addresses -------------------------------------------------------------------------------------------------------


def test_a_block_somebody_listens_in_is_not_taken(tmp_path: Path) -> None:
    wanted = free_pool(tmp_path)
    with socket.socket() as listener:
        listener.bind((wanted.replace("0.0/16", "0.7"), 0))
        listener.listen()
        assert free_pool(tmp_path) != wanted
    assert free_pool(tmp_path) == wanted


def test_directories_get_pools_of_their_own(tmp_path: Path) -> None:
    pools = [open_installation(tmp_path / name).address_pool for name in ("one", "two")]
    # By chance of one in 224 two names share a block as long as nobody listens there; these do not.
    assert len({free_pool(Path("/srv/one")), free_pool(Path("/srv/two"))}) == 2
    assert all(pool.startswith("127.") and pool.endswith(".0.0/16") for pool in pools)
    assert all(16 <= int(pool.split(".")[1]) < 240 for pool in pools)


def test_pool_is_chosen_once(state: Path) -> None:
    assert open_installation(state, "127.99.0.0/16").address_pool == "127.99.0.0/16"
    assert open_installation(state).address_pool == "127.99.0.0/16"
    assert open_installation(state, "127.99.0.0/16").address_pool == "127.99.0.0/16"
    with pytest.raises(
        DriverError, match=r"uses the addresses 127.99.0.0/16, which cannot be changed to 127.98.0.0/16"
    ):
        open_installation(state, "127.98.0.0/16")


@pytest.mark.parametrize("pool", ["nonsense", "127.1.2.3/16", "127.1.0.0/30", "::1/64"])
def test_networks_that_are_none_are_refused_before_anything_is_made(state: Path, pool: str) -> None:
    with pytest.raises(DriverError, match="network"):
        open_installation(state, pool)
    assert not (state / "installation.json").exists()


@pytest.mark.parametrize("text", ["", "{}", "[]", "nonsense"])
def test_damaged_record_is_named(state: Path, text: str) -> None:
    open_installation(state)
    (state / "installation.json").write_text(text)
    with pytest.raises(DriverError, match=r"installation\.json is damaged"):
        open_installation(state)


def test_several_processes_that_start_at_once_choose_one_pool(state: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from trove.cmd import installation as i; import os;"
        "i.free_pool = lambda d: f'127.{16 + os.getpid() % 200}.0.0/16';"
        "print(i.open_installation(Path(sys.argv[1])).address_pool)"
    )
    running = [
        subprocess.Popen([sys.executable, "-c", script, str(state)], stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    assert len({process.communicate(timeout=60)[0] for process in running}) == 1
    assert json.loads((state / "installation.json").read_text())["address_pool"].startswith("127.")


# -- who may use it --------------------------------------------------------------------------------------------------


def test_directory_that_cannot_be_used_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DriverError, match=r"cannot be used \(Not a directory\); choose another with --state-dir"):
        open_installation(tmp_path / "file" / "state")


def test_sole_user_names_the_process(state: Path) -> None:
    open_installation(state)
    with sole_user(state):
        assert users_of(state) == [os.getpid()]
        for other in (sole_user, shared_user):
            with pytest.raises(DriverError, match=rf"\(process {os.getpid()}\) uses .*; stop it"), other(state):
                pass
    assert users_of(state) == []
    with sole_user(state):
        pass


def test_those_who_share_keep_out_who_wants_it_alone(state: Path) -> None:
    open_installation(state)
    with shared_user(state), shared_user(state), pytest.raises(DriverError, match="another server"), sole_user(state):
        pass
    with sole_user(state):
        pass


def test_a_process_that_is_gone_is_not_blamed(state: Path) -> None:
    open_installation(state)
    with (state / "server.lock").open("a+") as lock:
        lock.write("999999999\n")
        lock.flush()
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(DriverError, match=r"\(process unknown\)"), sole_user(state):
            pass


# -- the end ---------------------------------------------------------------------------------------------------------


def test_only_our_own_files_are_removed(state: Path) -> None:
    """Somebody may have named a directory that has other things in it."""
    state.mkdir()
    (state / "thesis.txt").write_text("precious")
    made = open_installation(state)
    ensure_access(made, URL)
    for name in ("instances/x", "ca", "endpoints", "agents"):
        (state / name).mkdir(parents=True)
    for name in ("trove.sqlite", "trove.sqlite-wal", "server.log"):
        (state / name).touch()
    assert remove_files(made) == ["thesis.txt"]
    assert [entry.name for entry in state.iterdir()] == ["thesis.txt"]
    (state / "thesis.txt").unlink()
    assert remove_files(open_installation(state)) == []
    assert not state.exists()
    assert module.FILES[-1] == "installation.json"
