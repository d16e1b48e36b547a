"""A stand-in for the guest agent, and the means to run sandboxes with it.

It writes down how it finds its world, refuses a second one of its kind on the same data, may start a Redis as a real
agent does, and can be told to misbehave by files on its data volume.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

from trove.compute.local import Bundle, Credentials, LocalCompute
from trove.domain.ports import Order, Server, ServerSpec
from trove.images.builder import Builder
from trove.images.store import default_images_dir

AGENT = r"""
import fcntl, json, os, pwd, signal, socket, subprocess, sys, threading

def read(path):
    try:
        with open(path) as file:
            return file.read()
    except OSError as exc:
        return type(exc).__name__

def writable(path):
    try:
        open(os.path.join(path, "probe"), "w").close()
        os.unlink(os.path.join(path, "probe"))
        return True
    except OSError:
        return False

told = json.load(open("/etc/trove/agent.json"))
with open("/data/starts", "a") as file:
    file.write(told["image_id"] + "\n")
only = open("/data/only", "w")
try:
    fcntl.flock(only, fcntl.LOCK_EX | fcntl.LOCK_NB)
except OSError:
    open("/data/twice", "w").close()

if os.path.exists("/data/fail"):
    sys.exit(3)
done = threading.Event()
if not os.path.exists("/data/stubborn"):
    signal.signal(signal.SIGTERM, lambda *_: done.set())
else:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)

engine = None
program = [name for name in ("/usr/bin/redis-server", "/usr/bin/valkey-server") if os.path.exists(name)]
if os.path.exists("/data/engine") and program:
    with socket.socket() as probe:
        busy = probe.connect_ex((told["address"], told["engine_port"])) == 0
    if not busy:
        engine = subprocess.Popen(
            [program[0], "--bind", told["address"], "--port", str(told["engine_port"]), "--dir", "/data", "--save", ""],
            start_new_session=True, stdout=subprocess.DEVNULL,
        )

status = dict(line.split(":\t", 1) for line in read("/proc/self/status").splitlines() if ":\t" in line)
report = {
    "told": told,
    "user": pwd.getpwuid(os.getuid()).pw_name,
    "hostname": socket.gethostname(),
    "key": read("/etc/trove/agent.key"),
    "caps": status["CapEff"] + status["CapBnd"],
    "no_new_privs": status["NoNewPrivs"],
    "writable": [path for path in ("/", "/etc", "/etc/trove", "/opt/trove", "/data", "/tmp", "/run", "/dev/shm")
                 if writable(path)],
    "cached": os.path.exists(sys.modules["trove.guest"].__spec__.cached or ""),
    "processes": sorted(int(name) for name in os.listdir("/proc") if name.isdigit()),
    "agent_pid": os.getpid(),
    "engine_pid": engine.pid if engine else None,
}
with open("/data/report.new", "w") as file:
    json.dump(report, file)
os.rename("/data/report.new", "/data/report")
print("stand-in is up", flush=True)
while not done.wait(60):
    pass
if engine:
    engine.terminate()
    engine.wait()
open("/data/clean", "a").write("x")
"""


def write_bundle(target: Path) -> None:
    """Write the stand-in where the real agent would be."""
    for folder in ("trove", "trove/guest"):
        (target / folder).mkdir()
        (target / folder / "__init__.py").write_text("")
    (target / "trove/guest/agent.py").write_text(AGENT)


def images(state_dir: Path) -> Builder:
    """Return the images all tests share."""
    return Builder(state_dir, images_dir=default_images_dir())


def make_compute(state_dir: Path, builder: Builder | None = None, digest: str = "stand-in") -> LocalCompute:
    """Return a compute as a freshly started controller would have it."""
    bundle = Bundle(write_bundle, lambda: digest)
    made = Credentials("ca", "cert", "key")
    return LocalCompute(state_dir, builder or images(state_dir), lambda name, address: made, bundle)


def order(generation: int = 1, operation: str = "op", step: int = 0) -> Order:
    """Return an order."""
    return Order(operation, step, generation)


class Lab:
    """One state directory and what runs in it."""

    def __init__(self, state_dir: Path, network: int) -> None:
        self.state_dir, self._network = state_dir, network
        self.compute = make_compute(state_dir)
        self.images = images(state_dir)

    def spec(self, number: int = 1, recipe: str = "redis-7.0", ram_mb: int = 256, vcpus: int = 1) -> ServerSpec:
        """Return a specification on an address of this lab."""
        image = self.images.ensure(recipe, lambda text: None)
        address = f"127.{100 + self._network // 250}.{self._network % 250}.{number}"
        return ServerSpec(f"inst-{number}", f"db {number}", image.id, "redis", address, 6379, ram_mb, vcpus, 1)

    def start(self, spec: ServerSpec, generation: int = 1) -> Server:
        """Start a server and wait for its agent's report."""
        (self.data(spec) / "report").unlink(missing_ok=True)
        server = self.compute.ensure(spec, order(generation))
        wait_for(lambda: (self.data(spec) / "report").exists(), "the agent reports")
        return server

    def home(self, spec: ServerSpec) -> Path:
        return self.state_dir / "instances" / spec.instance_id

    def data(self, spec: ServerSpec) -> Path:
        return self.home(spec) / "data"

    def report(self, spec: ServerSpec) -> dict:
        return json.loads((self.data(spec) / "report").read_text())

    def starts(self, spec: ServerSpec) -> list[str]:
        return (self.data(spec) / "starts").read_text().split()

    def pid(self, spec: ServerSpec) -> int:
        """Return the host's number of process 1 of the sandbox."""
        return int(json.loads((self.home(spec) / "sandbox.json").read_text())["child-pid"])

    def pid_of(self, spec: ServerSpec, inside: int) -> int:
        """Return the host's number of a process by its number inside."""
        namespace = Path(f"/proc/{self.pid(spec)}/ns/pid").readlink()
        for process in Path("/proc").iterdir():
            try:
                if process.name.isdigit() and (process / "ns/pid").readlink() == namespace:
                    text = (process / "status").read_text()
                    if [line.split()[-1] for line in text.splitlines() if line.startswith("NSpid")] == [str(inside)]:
                        return int(process.name)
            except OSError:
                continue
        raise AssertionError(f"no process {inside} in the sandbox")

    def close(self) -> None:
        """Remove every server."""
        for name in self.compute.list():
            self.compute.stop(name, order(10**6), timeout=0)
            self.compute.delete(name, order(10**6))


def wait_for(condition: Callable[[], bool], what: str, timeout: float = 20.0) -> None:
    """Wait for a condition; AssertionError when it does not come true in time."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, f"waited {timeout} s until {what}"
        time.sleep(0.005)
