"""Clients that write to an engine while something is done to it, and tell afterwards what they saw.

Used by the demo, the engine tests and the benchmarks: how long nobody could write, which errors clients saw, and
whether every write the engine acknowledged is still there.
"""

from trove.workload.controller import Verification, Workload, WorkloadError
from trove.workload.report import Report
from trove.workload.versions import EngineVersion, ask_version, ask_versions

__all__ = ["EngineVersion", "Report", "Verification", "Workload", "WorkloadError", "ask_version", "ask_versions"]
