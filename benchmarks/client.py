"""Measure the start-up of the command line, as ratios within one run, and say whether the goals hold.

    python benchmarks/client.py [--runs N] [--json FILE]

Each case is a process of its own; its figure is the CPU time (user and system) of the fastest of N runs after a
warm-up, because a machine is shared and CPU time is what the program costs. Cases of one ratio take turns. The
service is a local HTTP server that answers an instance list. Exit code 1 when a goal is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple

BIN = Path(sys.executable).parent
PYTHON = sys.executable
OPENSTACK, TROVE = str(BIN / "openstack"), str(BIN / "trove")

MINIMAL = """
import os
from keystoneauth1 import adapter, loading, session
auth = loading.get_plugin_loader("http_basic").load_from_options(
    endpoint=os.environ["OS_ENDPOINT"], username="demo", password="pw")
http = adapter.LegacyJsonAdapter(session.Session(auth=auth), service_type="database")
response, body = http.get("/instances?include_clustered=False")
for item in body["instances"]:
    print(item["id"], item["name"], item["status"])
"""

# What openstackclient does with every plugin, with ours and without: load its module and all of its classes.
PLUGIN = """
import time, openstackclient.shell, stevedore
stevedore.ExtensionManager("openstack.volume.v3")
before = time.process_time()
stevedore.ExtensionManager("openstack.database.v1")
print((time.process_time() - before) * 1000)
"""


class Ratio(NamedTuple):
    goal: str
    case: tuple[str, ...]
    against: tuple[str, ...]
    limit: float  # times, or milliseconds more where `unit` says so
    unit: str = "x"


RATIOS = (
    Ratio("openstack database instance list --help", (OPENSTACK, "database", "instance", "list", "--help"),
          (OPENSTACK, "server", "list", "--help"), 1.02),
    Ratio("trove help", (TROVE, "help"), (PYTHON, "-c", "pass"), 8.0),
    Ratio("trove help list", (TROVE, "help", "list"), (PYTHON, "-c", "pass"), 8.0),
    Ratio("trove --version", (TROVE, "--version"), (PYTHON, "-c", "pass"), 8.0),
    Ratio("trove list", (TROVE, "list"), (PYTHON, "-c", MINIMAL), 1.5),
    Ratio("import troveclient", (PYTHON, "-c", "import troveclient"), (PYTHON, "-c", "pass"), 5.0, "ms"),
    Ratio("import troveclient.v1.client", (PYTHON, "-c", "import troveclient.v1.client"),
          (PYTHON, "-c", "import keystoneauth1.adapter"), 1.15),
)  # fmt: skip
PLUGIN_LIMIT = 4.0

RECORD = {
    "id": "00000000-0000-4000-8000-000000000001", "name": "orders", "status": "ACTIVE", "region": "here",
    "datastore": {"type": "mariadb", "version": "10.11"}, "flavor": {"id": "1"}, "volume": {"size": 1},
}  # fmt: skip


class Handler(BaseHTTPRequestHandler):
    wbufsize = -1

    def do_GET(self) -> None:
        data = json.dumps({"instances": [RECORD] * 20}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args: object) -> None:
        """Say nothing."""


def cpu_ms(command: tuple[str, ...], env: dict[str, str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, env=env, check=True, stdout=subprocess.DEVNULL, timeout=120)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime) * 1000


def measure(ratio: Ratio, env: dict[str, str], runs: int) -> tuple[float, float]:
    """The fastest of both cases, in ms of CPU."""
    seen: tuple[list[float], list[float]] = ([], [])
    for _ in range(runs + 1):
        for at, command in enumerate((ratio.case, ratio.against)):
            seen[at].append(cpu_ms(command, env))
    return min(seen[0][1:]), min(seen[1][1:])


def plugin_ms(env: dict[str, str], runs: int) -> float:
    seen = []
    for _ in range(runs + 1):
        done = subprocess.run(
            (PYTHON, "-W", "ignore", "-c", PLUGIN), env=env, check=True, capture_output=True, text=True, timeout=120
        )
        seen.append(float(done.stdout))
    return min(seen[1:])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--runs", type=int, default=10, help="runs of each case after the warm-up (10)")
    parser.add_argument("--json", type=Path, help="write the figures to this file as well")
    args = parser.parse_args()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    rows: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory() as home:
        env = {
            "HOME": home,
            "PATH": os.environ["PATH"],
            "OS_AUTH_TYPE": "http_basic",
            "OS_ENDPOINT": f"http://127.0.0.1:{server.server_address[1]}/v1.0/p",
            "OS_USERNAME": "demo",
            "OS_PASSWORD": "pw",
        }
        for ratio in RATIOS:
            case, against = measure(ratio, env, args.runs)
            value = case - against if ratio.unit == "ms" else case / against
            rows.append(
                {
                    "goal": ratio.goal,
                    "ms": round(case, 1),
                    "against_ms": round(against, 1),
                    "value": round(value, 3),
                    "limit": ratio.limit,
                    "unit": ratio.unit,
                }
            )
        value = plugin_ms(env, args.runs)
        rows.append(
            {
                "goal": "our plugin in any other openstack command",
                "ms": round(value, 1),
                "against_ms": 0.0,
                "value": round(value, 3),
                "limit": PLUGIN_LIMIT,
                "unit": "ms",
            }
        )
    server.shutdown()
    print(f"{'case':<45}{'CPU ms':>9}{'against':>9}{'value':>10}{'limit':>9}")
    missed = 0
    for row in rows:
        good = float(str(row["value"])) <= float(str(row["limit"]))
        missed += not good
        unit = "" if row["unit"] == "x" else " ms"
        print(
            f"{row['goal']:<45}{row['ms']:>9}{row['against_ms']:>9}{row['value']:>7}{unit:<3}{row['limit']:>6}{unit:<3}"
            f"{'' if good else '  MISSED'}"
        )
    machine = f"Python {platform.python_version()}, {os.cpu_count()} CPUs, {platform.machine()}"
    print(machine)
    if args.json:
        args.json.write_text(json.dumps({"machine": machine, "load": os.getloadavg(), "rows": rows}, indent=1) + "\n")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
