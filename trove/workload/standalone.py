"""A standalone service as a child process: started, asked, killed and removed by demo, tests and benchmarks."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import requests
import yaml

START_SECONDS = 60.0
FINAL = ("SUCCEEDED", "ROLLED_BACK", "FAILED", "HELD")


class ServiceError(Exception):
    """The service did not do what was asked; carries its own words."""


class Standalone:
    """One `trove-standalone` with its state directory. Databases outlive `stop` and `kill`; `purge` removes all."""

    def __init__(self, state_dir: Path, images_dir: Path | None = None, options: Sequence[str] = ()) -> None:
        self.state_dir = state_dir
        self._shared = ["--state-dir", str(state_dir)]
        if images_dir is not None:
            self._shared += ["--images-dir", str(images_dir)]
        self._options = list(options)
        self._process: subprocess.Popen[bytes] | None = None
        self._session = requests.Session()
        self.port = _free_port()
        self.base_url = f"http://127.0.0.1:{self.port}"

    # -- the process ---------------------------------------------------------------------------------------------

    def start(self) -> float:
        """Start the server and return the seconds until it answered."""
        begun = time.monotonic()
        self.state_dir.mkdir(parents=True, exist_ok=True)
        with (self.state_dir / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "trove.cmd.standalone",
                    *self._shared,
                    "--bind-port",
                    str(self.port),
                    *self._options,
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        while time.monotonic() < begun + START_SECONDS:
            if self._process.poll() is not None:
                raise ServiceError(f"the server ended: {self.log()}")
            try:
                if self.clouds.exists() and requests.get(f"{self.base_url}/healthcheck", timeout=2).ok:
                    self.log_in()
                    return time.monotonic() - begun
            except requests.ConnectionError:
                pass
            time.sleep(0.05)
        raise ServiceError(f"the server did not answer within {START_SECONDS:.0f} s: {self.log()}")

    def log_in(self) -> None:
        """Use the name and password that the server wrote down."""
        auth = self.cloud["auth"]
        self._session.auth = (auth["username"], auth["password"])

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def stop(self) -> None:
        """End the server as an operator would; its databases go on."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End the server as a power cut would; its databases go on."""
        self._end(signal.SIGKILL)

    def _end(self, number: int) -> None:
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.send_signal(number)
        try:
            self._process.wait(60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(10)
        self._process = None

    def purge(self) -> None:
        """Stop the server and remove its databases, addresses and state directory."""
        self.stop()
        if (self.state_dir / "installation.json").exists():
            done = self.manage("purge", "--yes")
            if done.returncode:
                raise ServiceError(f"purge failed: {done.stderr.strip()}")

    def manage(self, *args: str) -> subprocess.CompletedProcess[str]:
        """Run one `trove-manage` command on this installation."""
        command = [sys.executable, "-m", "trove.cmd.manage", *self._shared, *args]
        return subprocess.run(command, capture_output=True, text=True, timeout=1800, check=False)

    def log(self, lines: int = 15) -> str:
        """Return the end of the server's log."""
        try:
            text = (self.state_dir / "server.log").read_text(errors="replace")
        except FileNotFoundError:
            return ""
        return "\n".join(text.splitlines()[-lines:])

    def __enter__(self) -> Standalone:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.purge()

    # -- the ways in ---------------------------------------------------------------------------------------------

    @property
    def clouds(self) -> Path:
        return self.state_dir / "clouds.yaml"

    @property
    def cloud(self) -> Mapping[str, Any]:
        """The entry of clouds.yaml that the server wrote."""
        entry: Mapping[str, Any] = yaml.safe_load(self.clouds.read_text())["clouds"]["trove"]
        return entry

    @property
    def environment(self) -> dict[str, str]:
        """Environment in which `openstack --os-cloud trove …` reaches this server."""
        clean = {key: value for key, value in os.environ.items() if not key.startswith("OS_")}
        return {**clean, "OS_CLIENT_CONFIG_FILE": str(self.clouds), "OS_CLOUD": "trove"}

    def command(self, *words: str) -> list[str]:
        """Return the command line of an `openstack …` command of this environment."""
        return [str(Path(sys.executable).with_name("openstack")), *words]

    def openstack(self, *words: str, timeout: float = 900) -> subprocess.CompletedProcess[str]:
        """Run an `openstack …` command to its end."""
        return subprocess.run(
            self.command(*words), env=self.environment, capture_output=True, text=True, timeout=timeout, check=False
        )

    def request(self, method: str, path: str, body: Any = None, *, prefix: str = "v1.0") -> requests.Response:
        """Send one request below the project, for example ("GET", "/instances")."""
        project = self.cloud["auth"]["endpoint"].rsplit("/", 1)[1]
        return self._session.request(method, f"{self.base_url}/{prefix}/{project}{path}", json=body, timeout=60)

    def get(self, path: str) -> Any:
        """GET and return the JSON body; ServiceError with the server's words for anything but 200."""
        answer = self.request("GET", path)
        if answer.status_code != 200:
            raise ServiceError(f"GET {path}: {answer.status_code} {answer.text}")
        return answer.json()

    def submit(self, method: str, path: str, body: Any = None, *, prefix: str = "v1.0") -> str:
        """Send what starts an operation and return the operation's id; ServiceError when it is refused."""
        answer = self.request(method, path, body, prefix=prefix)
        if answer.status_code not in (200, 202) or "Location" not in answer.headers:
            raise ServiceError(f"{method} {path}: {answer.status_code} {answer.text}")
        return answer.headers["Location"].rsplit("/", 1)[1]

    def operation(self, operation_id: str) -> dict[str, Any]:
        """Read an operation with its steps and events."""
        found: dict[str, Any] = self.get(f"/operations/{operation_id}")["operation"]
        return found

    def wait(self, operation_id: str, timeout: float = 900, until: Sequence[str] = FINAL) -> dict[str, Any]:
        """Wait until the operation has one of these statuses; ServiceError at the timeout."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            operation = self.operation(operation_id)
            if operation["status"] in until:
                return operation
            time.sleep(0.1)
        raise ServiceError(f"after {timeout:.0f} s still {operation['status']}: {operation['status_text']}")

    def done(self, operation_id: str, timeout: float = 900) -> dict[str, Any]:
        """Wait for the operation's success; ServiceError with its own reason otherwise."""
        operation = self.wait(operation_id, timeout)
        if operation["status"] != "SUCCEEDED":
            events = [event["text"] for event in operation.get("events", [])]
            raise ServiceError(
                f"{operation['kind']} ended {operation['status']}: {operation['error']} "
                f"{operation['status_text']}\n{json.dumps(events, indent=1)}"
            )
        return operation


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
