"""A few command lines as real processes: what only a process shows."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from troveclient.tests.osc import transcripts
from troveclient.tests.osc.service.ids import ORDERS
from troveclient.tests.osc.wire import Wire, serve

BIN = Path(sys.executable).parent


@pytest.fixture
def wire() -> Iterator[Wire]:
    with serve() as made:
        yield made


def run(wire: Wire, home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    env = transcripts.environment(wire, "new", str(home))
    program = BIN / words[0]
    return subprocess.run(
        [str(program), *words[1:]],
        env=env,
        cwd=home,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        input="hush-hush\n",
    )


def test_openstack_program(wire: Wire, tmp_path: Path) -> None:
    done = run(wire, tmp_path, "openstack", "database", "instance", "show", "orders", "-f", "value", "-c", "id")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{ORDERS}\n", "")


def test_openstack_program_ends_with_1_and_the_reason(wire: Wire, tmp_path: Path) -> None:
    done = run(wire, tmp_path, "openstack", "database", "cluster", "upgrade", "cache", "9.1")
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr == "Cluster cache is busy: UPGRADING_CLUSTER. (HTTP 422) (Request-ID: req-1)\n"


def test_openstack_help_and_completion_know_every_command(wire: Wire, tmp_path: Path) -> None:
    done = run(wire, tmp_path, "openstack", "complete")
    assert done.returncode == 0
    assert "cmds_database_cluster=" in done.stdout
    assert "upgrade" in done.stdout
    listed = run(wire, tmp_path, "openstack", "database", "--help")
    assert "database cluster upgrade" in listed.stdout


def test_debug_shows_the_wire_and_no_password(wire: Wire, tmp_path: Path) -> None:
    done = run(wire, tmp_path, "trove", "--debug", "datastore-list")
    assert done.returncode == 0
    assert "REQ: curl" in done.stderr
    assert "ZGVtbzpwdw==" not in done.stderr


@pytest.mark.parametrize("program", [("trove", "root-enable"), ("openstack", "database", "root", "enable")])
def test_debug_shows_no_password_of_a_database_user(wire: Wire, tmp_path: Path, program: tuple[str, ...]) -> None:
    name, *words = program
    done = run(wire, tmp_path, name, "--debug", *words, "--root-password", "-", "orders")
    assert done.returncode == 0
    bodies = [line for line in done.stderr.splitlines() if "REQ: curl" in line or "RESP BODY" in line]
    assert all('"password": "***"' in line for line in bodies if "/root" in line)
    assert "s3cret" in done.stdout
    assert not any("hush-hush" in line or "s3cret" in line for line in bodies)


def test_trove_program_reads_clouds_yaml(wire: Wire, tmp_path: Path) -> None:
    (tmp_path / "clouds.yaml").write_text(
        "clouds:\n  here:\n    auth_type: http_basic\n    auth:\n"
        f"      endpoint: {wire.endpoint('new')}\n      username: demo\n      password: pw\n"
    )
    env = {"HOME": str(tmp_path), "PATH": str(BIN)}
    words = [str(BIN / "trove"), "--os-cloud", "here", "cluster-list"]
    done = subprocess.run(words, env=env, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "| shop " in done.stdout
    assert wire.headers[-1]["Authorization"] == "Basic ZGVtbzpwdw=="


@pytest.mark.parametrize("program", [("trove", "cluster-list"), ("openstack", "database", "cluster", "list")])
def test_clouds_yaml_may_name_the_endpoint(wire: Wire, tmp_path: Path, program: tuple[str, ...]) -> None:
    (tmp_path / "clouds.yaml").write_text(
        "clouds:\n  here:\n    auth_type: http_basic\n    auth:\n"
        "      endpoint: http://127.0.0.1:9/\n      username: demo\n      password: pw\n"
        f"    database_endpoint_override: {wire.endpoint('new')}\n"
    )
    env = {"HOME": str(tmp_path), "PATH": str(BIN), "OS_CLOUD": "here"}
    words = [str(BIN / program[0]), *program[1:]]
    done = subprocess.run(words, env=env, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "| shop " in done.stdout


def test_trove_program_without_login(wire: Wire, tmp_path: Path) -> None:
    env = {"HOME": str(tmp_path), "PATH": str(BIN), "OS_AUTH_TYPE": "none", "OS_ENDPOINT": wire.endpoint("new")}
    words = [str(BIN / "trove"), "datastore-list"]
    done = subprocess.run(words, env=env, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "mariadb" in done.stdout
    assert "Authorization" not in wire.headers[-1]


def test_trove_program_survives_a_closed_pipe(wire: Wire, tmp_path: Path) -> None:
    env = transcripts.environment(wire, "new", str(tmp_path))
    line = f"{BIN / 'trove'} help | head -1"
    done = subprocess.run(line, shell=True, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert "Traceback" not in done.stderr
    assert done.stdout.startswith("usage: trove")
