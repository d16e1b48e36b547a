"""Transcripts: the table of cases. One block is one command line with all it sends and prints.

    $ openstack database cluster restart shop     the line as typed; `old$` talks to a released server
    > GET /clusters?name=shop                     a request: verb, path, query, body
      | text                                      a line on standard output
    ! text                                        a line on standard error
    = 1                                           the exit code, when it is not 0

`python -m troveclient.tests.osc.transcripts` runs all of them again and writes what it saw: read the difference.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import shlex
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

from troveclient.tests.osc.wire import Wire, serve

FOLDER = Path(__file__).parent / "transcripts"


class Case(NamedTuple):
    file: str
    line: str
    project: str
    seen: str

    @property
    def words(self) -> list[str]:
        return shlex.split(self.line)


def read(file: Path) -> Iterator[tuple[list[str], Case | None]]:
    """Blocks of a file: comments as they are, cases parsed."""
    for block in file.read_text(encoding="utf-8").strip("\n").split("\n\n"):
        lines = block.split("\n")
        at = next((number for number, text in enumerate(lines) if text.startswith(("$ ", "old$ "))), None)
        if at is None:
            yield lines, None
            continue
        prompt, _, command = lines[at].partition(" ")
        seen = "\n".join(lines[at + 1 :])
        yield lines[:at], Case(file.stem, command, "old" if prompt == "old$" else "new", seen)


def cases() -> list[Case]:
    return [case for file in sorted(FOLDER.glob("*.txt")) for _comment, case in read(file) if case is not None]


def environment(wire: Wire, project: str, home: str) -> dict[str, str]:
    return {
        "HOME": home,
        "PATH": os.environ["PATH"],
        "COLUMNS": "100",
        "OS_AUTH_TYPE": "http_basic",
        "OS_ENDPOINT": wire.endpoint(project),
        "OS_USERNAME": "demo",
        "OS_PASSWORD": "pw",
    }


def run_here(words: list[str]) -> tuple[int, str, str]:
    """Run a command line through the real entry point of its shell, in this process."""
    out, err = io.StringIO(), io.StringIO()
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    with (
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        mock.patch("sys.stdin", io.StringIO("typed\n")),
        mock.patch("sys.argv", words[:1]),
    ):
        try:
            if words[0] == "openstack":
                from openstackclient import shell as openstack_shell
                from osc_lib import clientmanager

                # One process is one login for openstackclient: it keeps the client it made in the class.
                made = vars(clientmanager.ClientManager).get("database")
                if made is not None:
                    made._handle = None
                # openstackclient reads this from the environment once per process; the cases have two services.
                code = openstack_shell.main(["--os-endpoint", os.environ["OS_ENDPOINT"], *words[1:]])
            else:
                from troveclient import shell as trove_shell

                code = trove_shell.main(words[1:])
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
        finally:
            root.handlers[:] = handlers
            root.setLevel(level)
    return code or 0, out.getvalue(), err.getvalue()


def play(wire: Wire, case: Case, home: str) -> str:
    """Run a case; return what was seen, in the form of a transcript."""
    wire.reset()
    before = Path.cwd()
    os.chdir(home)
    try:
        with mock.patch.dict(os.environ, environment(wire, case.project, home), clear=True):
            code, out, err = run_here(case.words)
    finally:
        os.chdir(before)
    lines = [f"> {request}" for request in wire.requests]
    lines += [f"  | {text}".rstrip() for text in out.splitlines()]
    lines += [f"! {text}".rstrip() for text in err.splitlines()]
    if code:
        lines.append(f"= {code}")
    return "\n".join(lines).replace(f"127.0.0.1:{wire.port}", "SERVICE").replace(home, "HOME")


def prepare(home: str) -> None:
    """The files that some command lines name."""
    (Path(home) / "licence.dat").write_bytes(b"a licence")
    (Path(home) / "empty.dat").write_bytes(b"")


def record() -> None:
    with serve() as wire:
        for file in sorted(FOLDER.glob("*.txt")):
            blocks = []
            for comment, case in read(file):
                lines = list(comment)
                if case is not None:
                    with tempfile.TemporaryDirectory() as home:
                        prepare(home)
                        seen = play(wire, case, home)
                    lines.append(f"{'old$' if case.project == 'old' else '$'} {case.line}")
                    lines += [seen] if seen else []
                blocks.append("\n".join(lines))
            file.write_text("\n\n".join(blocks) + "\n", encoding="utf-8")


def main(*_args: Any) -> None:
    record()


if __name__ == "__main__":
    main()
