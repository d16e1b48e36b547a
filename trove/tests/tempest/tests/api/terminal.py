"""A terminal of somebody who uses the service: command lines through the real entry points, and what they print."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from trove.workload.standalone import Standalone
from troveclient.tests.osc.transcripts import run_here

PROCESS_SECONDS = 60
NOT_PLAIN = re.compile(r"<[\w.]+( object)?( at 0x|:)|^[\[{]u?'|^(None|True|False)$|Decimal\(|datetime\.")
"""Text of Python objects, which no program that reads the output could use."""


@dataclass(frozen=True)
class Seen:
    """What a command left: exit code, standard output, standard error."""

    line: str
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The output as a program reads it; AssertionError where it holds text of Python objects."""
        try:
            found = json.loads(self.out)
        except ValueError:
            raise AssertionError(f"no JSON: {self}") from None
        for text in _texts(found):
            assert not NOT_PLAIN.search(text), f"{text!r} is text of a Python object: {self}"
        return found

    def __str__(self) -> str:
        return f"$ {self.line}\n{self.out}\nstderr: {self.err}\nexit code: {self.code}"


class Terminal:
    """Command lines of one login. They run in this process, because a process of its own costs half a second each."""

    def __init__(self, service: Standalone, home: Path) -> None:
        self.service = service
        self.home = home
        self._login: dict[str, str] = service.cloud["auth"]

    def run(self, line: str, as_json: bool = False) -> Seen:
        """Run `openstack …` or `trove …`, asking for JSON in the way of that shell if wanted."""
        shell, *words = shlex.split(line)
        if as_json:
            words = [*words, "-f", "json"] if shell == "openstack" else ["--json", *words]
        if shell == "openstack":
            # openstackclient reads the environment once per process, and the process may have seen other logins.
            words = ["--os-username", self._login["username"], "--os-password", self._login["password"], *words]
        before = Path.cwd()
        os.chdir(self.home)
        try:
            with mock.patch.dict(os.environ, self.environment, clear=True):
                code, out, err = run_here([shell, *words])
        finally:
            os.chdir(before)
        return self._seen(line, code, out, err)

    def process(self, line: str, **more: str) -> Seen:
        """Run it as a process of its own, logged in by the clouds.yaml that the server wrote."""
        shell, *words = shlex.split(line)
        done = subprocess.run(
            [str(Path(sys.executable).with_name(shell)), *words],
            env={**self.service.environment, "HOME": str(self.home), "COLUMNS": "200", **more},
            cwd=self.home,
            capture_output=True,
            encoding="utf-8",
            timeout=PROCESS_SECONDS,
            check=False,
        )
        return self._seen(line, done.returncode, done.stdout, done.stderr)

    @property
    def environment(self) -> dict[str, str]:
        return {
            "HOME": str(self.home),
            "PATH": os.environ["PATH"],
            "COLUMNS": "200",
            "OS_AUTH_TYPE": "http_basic",
            "OS_ENDPOINT": self._login["endpoint"],
            "OS_USERNAME": self._login["username"],
            "OS_PASSWORD": self._login["password"],
        }

    def _seen(self, line: str, code: int, out: str, err: str) -> Seen:
        seen = Seen(line, code, out, err)
        # With --debug, openstackclient shows where an error came from.
        assert "--debug" in line or "Traceback (most recent call last)" not in out + err, f"{seen}"
        assert self._login["password"] not in out + err, f"the password of the login is shown: {seen}"
        return seen


def _texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for item in value.values() for text in _texts(item)]
    if isinstance(value, list):
        return [text for item in value for text in _texts(item)]
    return [value] if isinstance(value, str) else []
