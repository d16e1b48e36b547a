"""The service's upgrades against the bare recipe, in one session, with the same writers.

    python benchmarks/upgrade.py --runs 5
    python benchmarks/upgrade.py galera-10.11-11.8 --runs 3 --no-save

Starts a standalone server of its own in a temporary directory. Each round runs every scenario once bare
(`benchmarks/bare.py`) and once through the REST API, so that both see the same machine. Exit status 1 when an
acknowledged write was lost, a retrying client saw an error, or an engine does not run its target.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import bare

from trove.images.builder import Builder
from trove.images.store import default_images_dir
from trove.workload import Report, Workload, ask_versions
from trove.workload.standalone import Standalone
from trove.workload.target import Kind

RESULTS = Path(__file__).parent / "results"
USER, PASSWORD, DATABASE = "bench", "bench-password", "bench"
_IDLE_SECONDS = 1.0
_DRY_RUNS = 5


@dataclass(frozen=True)
class Scenario:
    """One upgrade by its bare counterpart's name, and what we hold ourselves to."""

    bare: str
    datastore: str
    source: str
    target: str
    engine: str
    members: int
    gap_goal_ms: int


SCENARIOS = (
    Scenario("galera-10.11-11.8", "mariadb", "10.11", "11.8", "mariadb", 3, 1000),
    Scenario("galera-10.5-10.11-11.8", "mariadb", "10.5", "11.8", "mariadb", 3, 1000),
    Scenario("cluster-7.0-8.0", "redis", "7.0", "8.0", "redis", 6, 100),
    Scenario("cluster-7.0-valkey-8.1", "redis", "7.0", "8.1", "valkey", 6, 100),
    Scenario("cluster-valkey-8.1-9.1", "valkey", "8.1", "9.1", "valkey", 6, 100),
)
RATIO_GOAL = 1.5
DRY_RUN_GOAL_SECONDS = 2.0


@dataclass(frozen=True)
class Run:
    """One upgrade, bare or by the service."""

    scenario: str
    by: str
    seconds: float
    report: Report
    versions: list[str]
    dry_run_seconds: list[float]
    step_seconds: dict[str, float]
    load: float

    @property
    def good(self) -> bool:
        report = self.report
        return not report.lost and not report.differing and not report.errors_with_retry


def run_bare(scenario: Scenario, images: Builder) -> Run:
    """Run the bare recipe once."""
    result = bare.run(scenario.bare, images)
    return Run(scenario.bare, "bare", result.seconds, result.report, result.versions, [], {}, os.getloadavg()[0])


def run_service(scenario: Scenario, service: Standalone) -> Run:
    """Create a cluster, upgrade it while clients write, ask its engines, delete it."""
    operation = service.done(service.submit("POST", "/clusters", {"cluster": _body(scenario)}))
    path = f"/clusters/{operation['resource']['id']}"
    record = service.get(path)["cluster"]
    kind: Kind = "mariadb" if scenario.datastore == "mariadb" else "redis_cluster"
    nodes = [(_address(member), 3306 if kind == "mariadb" else 6379) for member in record["instances"]]
    with _workload(kind, record, nodes) as workload:
        time.sleep(_IDLE_SECONDS)
        dry_runs = [_dry_run(service, path, scenario) for _ in range(_DRY_RUNS)]
        began = time.monotonic()
        done = service.done(service.submit("POST", path, {"upgrade": {"datastore_version": scenario.target}}))
        seconds = time.monotonic() - began
        time.sleep(_IDLE_SECONDS)
        workload.stop()
        workload.verify(members=nodes if kind == "mariadb" else ())
        report = workload.report()
    login = (USER, PASSWORD) if kind == "mariadb" else (None, None)
    versions = ask_versions(kind, nodes, *login)
    wrong = [said for said in versions if (said.name, said.release) != (scenario.engine, scenario.target)]
    if wrong:
        raise RuntimeError(f"{scenario.bare}: {wrong[0].node[0]} says it runs {wrong[0]}")
    service.done(service.submit("DELETE", path))
    said = [str(version) for version in versions]
    return Run(scenario.bare, "service", seconds, report, said, dry_runs, _step_seconds(done), os.getloadavg()[0])


def _body(scenario: Scenario) -> dict[str, Any]:
    member = {"flavorRef": "2" if scenario.datastore == "mariadb" else "1", "volume": {"size": 1}}
    body: dict[str, Any] = {
        "name": f"bench-{time.monotonic_ns() % 10**6}",
        "datastore": {"type": scenario.datastore, "version": scenario.source},
        "instances": [member] * scenario.members,
    }
    if scenario.datastore == "mariadb":
        body["databases"] = [{"name": DATABASE}]
        body["users"] = [{"name": USER, "password": PASSWORD, "databases": [{"name": DATABASE}]}]
    return body


def _address(member: dict[str, Any]) -> str:
    first = member["ip"][0]
    return str(first["address"] if isinstance(first, dict) else first)


def _workload(kind: Kind, record: dict[str, Any], nodes: list[tuple[str, int]]) -> Workload:
    if kind != "mariadb":
        return Workload.start(kind, nodes=nodes)
    endpoint = record["endpoint"]
    return Workload.start(
        kind,
        address=endpoint["address"],
        port=endpoint["port"],
        user=USER,
        password=PASSWORD,
        database=DATABASE,
    )


def _dry_run(service: Standalone, path: str, scenario: Scenario) -> float:
    began = time.monotonic()
    answer = service.request("POST", path, {"upgrade": {"datastore_version": scenario.target, "dry_run": True}})
    seconds = time.monotonic() - began
    if answer.status_code != 200 or answer.json()["plan"]["blockers"]:
        raise RuntimeError(f"dry run of {scenario.bare}: {answer.status_code} {answer.text[:500]}")
    return seconds


def _step_seconds(operation: dict[str, Any]) -> dict[str, float]:
    """Return how long the steps of each name took in all, as far as the API's timestamps tell."""
    spent: dict[str, float] = {}
    for step in operation["steps"]:
        if step["started"] and step["finished"]:
            took = datetime.fromisoformat(step["finished"]) - datetime.fromisoformat(step["started"])
            spent[step["name"]] = round(spent.get(step["name"], 0.0) + took.total_seconds(), 1)
    return spent


# -- what came out -----------------------------------------------------------------------------------------------


def summarise(scenario: Scenario, runs: Sequence[Run]) -> dict[str, Any]:
    """Return the figures of one scenario over all rounds."""
    ours = [run for run in runs if run.scenario == scenario.bare and run.by == "service"]
    theirs = [run for run in runs if run.scenario == scenario.bare and run.by == "bare"]
    gaps = [run.report.longest_gap_ms for run in ours]
    dry_runs = [seconds for run in ours for seconds in run.dry_run_seconds]
    ratio = median(run.seconds for run in ours) / median(run.seconds for run in theirs)
    return {
        "scenario": scenario.bare,
        "runs": len(ours),
        "gap_ms": {"median": median(gaps), "max": max(gaps), "goal": scenario.gap_goal_ms},
        "bare_gap_ms": {
            "median": median(run.report.longest_gap_ms for run in theirs),
            "max": max(run.report.longest_gap_ms for run in theirs),
        },
        "errors_without_retry": [run.report.errors_without_retry for run in ours],
        "errors_with_retry": [run.report.errors_with_retry for run in ours],
        "bare_errors_without_retry": [run.report.errors_without_retry for run in theirs],
        "lost": sum((run.report.lost or 0) + (run.report.differing or 0) for run in ours),
        "acknowledged": sum(run.report.acknowledged for run in ours),
        "seconds": round(median(run.seconds for run in ours), 1),
        "bare_seconds": round(median(run.seconds for run in theirs), 1),
        "ratio": round(ratio, 2),
        "ratio_goal": RATIO_GOAL,
        "dry_run_seconds": {"median": round(median(dry_runs), 3), "max": round(max(dry_runs), 3)},
        "met": max(gaps) < scenario.gap_goal_ms and ratio <= RATIO_GOAL and max(dry_runs) < DRY_RUN_GOAL_SECONDS,
    }


def to_markdown(summaries: Sequence[dict[str, Any]], machine: dict[str, Any]) -> str:
    """Return a page with one table."""
    where = (
        f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gb']} GB, {machine['system']}, Python "
        f"{machine['python']}; load average {machine['load_before']} before and {machine['load_after']} after; "
        f"revision {machine['revision']}."
    )
    how = (
        "Bare: the same upgrade by hand (`benchmarks/bare.py`), in the same session. `docs/measuring.md` says how "
        "each figure is taken."
    )
    columns = (
        *("upgrade", "runs", "longest gap, ms: median / max", "bare", "errors without / with retry, per run"),
        *("lost of acknowledged", "seconds", "bare", "ratio", "dry run, s: median / max", "goals met"),
    )
    lines = [
        f"# Rolling upgrades, {machine['date']}",
        "",
        where,
        "",
        how,
        "",
        _row(columns),
        _row(["---"] * len(columns)),
    ]
    for one in summaries:
        errors = ", ".join(str(count) for count in one["errors_without_retry"])
        cells = [
            one["scenario"],
            one["runs"],
            f"{one['gap_ms']['median']:.0f} / {one['gap_ms']['max']:.0f} (goal {one['gap_ms']['goal']})",
            f"{one['bare_gap_ms']['median']:.0f} / {one['bare_gap_ms']['max']:.0f}",
            f"{errors} / {sum(one['errors_with_retry'])}",
            f"{one['lost']} of {one['acknowledged']}",
            one["seconds"],
            one["bare_seconds"],
            f"{one['ratio']} (goal {one['ratio_goal']})",
            f"{one['dry_run_seconds']['median']} / {one['dry_run_seconds']['max']}",
            "yes" if one["met"] else "no",
        ]
        lines.append(_row(cells))
    return "\n".join(lines) + "\n"


def _row(cells: Sequence[Any]) -> str:
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def describe_machine() -> dict[str, Any]:
    """Return what a reader must know to compare figures."""
    cpu = [line.split(":", 1)[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    memory = [int(line.split()[1]) for line in _lines("/proc/meminfo") if line.startswith("MemTotal")]
    system = [line.split("=", 1)[1].strip('"') for line in _lines("/etc/os-release") if line.startswith("PRETTY_NAME")]
    git = subprocess.run(
        ["git", "-C", str(Path(__file__).parent), "rev-parse", "--short", "HEAD"], capture_output=True, text=True
    )
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "cpu": cpu[0] if cpu else platform.machine(),
        "cores": os.cpu_count(),
        "memory_gb": round(memory[0] / 1e6) if memory else None,
        "system": f"{system[0] if system else platform.system()}, Linux {platform.release()}",
        "python": platform.python_version(),
        "revision": git.stdout.strip() or "unknown",
        "load_before": round(os.getloadavg()[0], 1),
        "load_after": None,
    }


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines() if Path(path).exists() else []


def measure(scenarios: Sequence[Scenario], rounds: int) -> list[Run]:
    """Run all scenarios, bare and by the service in turns."""
    images_dir = default_images_dir()
    images = Builder(Path.cwd(), images_dir=images_dir)
    directory = Path(tempfile.mkdtemp(prefix="trove-bench-"))
    runs = []
    try:
        with Standalone(directory / "state", images_dir) as service:
            for number in range(rounds):
                for scenario in scenarios:
                    for run in (run_bare(scenario, images), run_service(scenario, service)):
                        runs.append(run)
                        print(_line(number + 1, run), file=sys.stderr, flush=True)
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    return runs


def _line(number: int, run: Run) -> str:
    report = run.report
    return (
        f"round {number} {run.scenario} {run.by}: {run.seconds:.1f} s, gap {report.longest_gap_ms:.0f} ms, errors "
        f"{report.errors_without_retry}/{report.errors_with_retry}, lost {report.lost} of {report.acknowledged}, "
        f"load {run.load:.1f}"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    names = [scenario.bare for scenario in SCENARIOS]
    parser = argparse.ArgumentParser(description="Measure upgrades by the service against the bare recipe.")
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", help=f"any of {', '.join(names)} (all)")
    parser.add_argument("--runs", type=int, default=3, help="rounds (3)")
    parser.add_argument("--no-save", action="store_true", help="print only, leave benchmarks/results alone")
    options = parser.parse_args(arguments)
    unknown = [name for name in options.scenarios if name not in names]
    if unknown:
        parser.error(f"unknown scenario {unknown[0]!r}; choose from {', '.join(names)}")
    chosen = [scenario for scenario in SCENARIOS if not options.scenarios or scenario.bare in options.scenarios]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # leave nothing behind
    machine = describe_machine()
    runs = measure(chosen, max(1, options.runs))
    machine["load_after"] = round(os.getloadavg()[0], 1)
    summaries = [summarise(scenario, runs) for scenario in chosen]
    page = to_markdown(summaries, machine)
    print(page)
    if not options.no_save:
        RESULTS.mkdir(exist_ok=True)
        document = {"machine": machine, "summary": summaries, "runs": [asdict(run) for run in runs]}
        target = RESULTS / f"upgrade-{machine['date']}.json"
        target.write_text(json.dumps(document, indent=1) + "\n")
        target.with_suffix(".md").write_text(page)
    return 0 if all(run.good for run in runs) else 1


if __name__ == "__main__":
    sys.exit(main())
