"""What only a process of its own shows: our programs beside openstackclient's commands, logins, the wire."""

from __future__ import annotations

import base64
import re

import pytest

from trove.tests.tempest.tests.api.terminal import Terminal
from troveclient.commands.index import TABLE

CORE = [
    # openstackclient's own commands, with our plugin loaded; the text that each must show
    ("openstack --help", "server create"),
    ("openstack --version", "openstack "),
    ("openstack module list", "openstackclient"),
    ("openstack command list --group openstack.database.v1", "database cluster upgrade"),
    ("openstack configuration show", "database_api_version"),
    ("openstack complete", "cmds_database_cluster_upgrade="),
    ("openstack server create --help", "--flavor"),
    ("openstack database --help", "database instance list"),
    ("openstack help database cluster upgrade", "--dry-run"),
    ("trove help", "cluster-upgrade"),
    ("trove help cluster-upgrade", "--dry-run"),
    ("trove bash-completion", "cluster-upgrade"),
]


@pytest.mark.parametrize(("line", "text"), CORE, ids=[line for line, _ in CORE])
def test_core_commands_and_ours_live_together(terminal: Terminal, line: str, text: str) -> None:
    seen = terminal.process(line)
    assert seen.code == 0, f"{seen}"
    assert text in seen.out, f"{seen}"
    # Neither a plugin that does not load, nor one name for two commands, goes without a line here.
    assert seen.err == "", f"{seen}"


def test_shell_and_completion_know_all_commands(terminal: Terminal) -> None:
    listed = terminal.process("openstack database --help").out
    completed = dict(re.findall(r"cmds_?(\w*)='([^']*)'", terminal.process("openstack complete").out))
    for row in TABLE:
        parent, _, last = row.name.rpartition(" ")
        if parent.startswith("database"):
            assert re.search(rf"^\s*{row.name}( |$)", listed, re.MULTILINE), row.name
        if parent:
            assert last in completed[parent.replace(" ", "_")].split(), row.name


def test_programs_log_in_with_the_clouds_file_of_the_server(terminal: Terminal, standing: dict[str, str]) -> None:
    asked = terminal.process("openstack database cluster show shop -f value -c id")
    assert (asked.code, asked.out, asked.err) == (0, f"{standing['shop']}\n", "")
    named = terminal.process("openstack --os-cloud trove database instance show orders -f value -c id", OS_CLOUD="")
    assert (named.code, named.out, named.err) == (0, f"{standing['orders']}\n", "")
    older = terminal.process("trove --os-cloud trove cluster-list")
    assert (older.code, older.err) == (0, "")
    assert standing["shop"] in older.out


def test_a_wrong_password_is_a_sentence(terminal: Terminal, standing: dict[str, str]) -> None:
    for line in ("openstack database instance list", "trove list"):
        seen = terminal.process(line, OS_CLOUD="", OS_CLIENT_CONFIG_FILE="", **login(terminal, OS_PASSWORD="wrong"))
        assert seen.code == 1, f"{seen}"
        assert "check user, password and project" in seen.err, f"{seen}"
        assert len(seen.err.splitlines()) == 1, f"{seen}"


def test_a_service_that_is_not_there_is_a_sentence(terminal: Terminal, standing: dict[str, str]) -> None:
    for line in ("openstack database instance list", "trove list"):
        nowhere = login(terminal, OS_ENDPOINT="http://127.0.0.1:9/v1.0/main")
        seen = terminal.process(line, OS_CLOUD="", OS_CLIENT_CONFIG_FILE="", **nowhere)
        assert seen.code == 1, f"{seen}"
        assert "127.0.0.1:9 cannot be reached" in seen.err, f"{seen}"
        assert len(seen.err.splitlines()) == 1, f"{seen}"


def test_debug_shows_the_wire_without_secrets(terminal: Terminal, standing: dict[str, str]) -> None:
    # Terminal looks for the password of the login in everything that is printed.
    auth = terminal.service.cloud["auth"]
    token = base64.b64encode(f"{auth['username']}:{auth['password']}".encode()).decode()
    for line in ("openstack --debug database cluster show shop", "trove --debug cluster-show shop"):
        seen = terminal.process(line)
        assert seen.code == 0, f"{seen}"
        assert re.search(r"REQ: curl .*GET http://127\.0\.0\.1:\d+/v1\.0/main/clusters\?name=shop", seen.err), f"{seen}"
        assert token not in seen.err, f"{seen}"


def test_debug_hides_the_passwords_of_database_users(terminal: Terminal, standing: dict[str, str]) -> None:
    # The volume is too large, so that nothing is made; the body is on the wire all the same.
    words = "--size 99 --datastore mariadb --users app:hush-hush --databases d"
    for create in ("openstack --debug database instance create x --flavor 2", "trove --debug create x 2"):
        seen = terminal.process(f"{create} {words}")
        assert seen.code == 1, f"{seen}"
        assert "REQ: curl" in seen.err, f"{seen}"
        assert "hush-hush" not in "\n".join(row for row in seen.err.splitlines() if "REQ: curl" in row), f"{seen}"


def login(terminal: Terminal, **changes: str) -> dict[str, str]:
    """Environment of a login without a clouds file."""
    names = ("OS_AUTH_TYPE", "OS_ENDPOINT", "OS_USERNAME", "OS_PASSWORD")
    return {name: terminal.environment[name] for name in names} | changes
