"""The bare recipe, as benchmarks run it: what it promises must hold, or it is no yardstick."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.engine

SCRIPT = Path(__file__).parents[4] / "benchmarks/bare.py"


def test_a_cluster_is_upgraded_by_hand_without_loss() -> None:
    command = [sys.executable, str(SCRIPT), "cluster-7.0-8.0", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0, done.stderr
    run = json.loads(done.stdout)
    assert set(run["versions"]) == {run["versions"][0]}
    assert run["versions"][0].startswith("redis 8.0.")
    assert len(run["versions"]) == 6
    report = run["report"]
    assert report["acknowledged"] > 100
    assert (report["lost"], report["differing"], report["errors_with_retry"]) == (0, 0, 0), report["errors"]


def test_an_unknown_scenario_is_named() -> None:
    done = subprocess.run([sys.executable, str(SCRIPT), "nonsense"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "unknown scenario 'nonsense'" in done.stderr
