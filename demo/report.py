"""The table at the end of the demo, and the judgement whether everything was as promised."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from trove.workload.report import Report
from trove.workload.versions import EngineVersion


@dataclass(frozen=True)
class Outcome:
    """What was seen of one upgrade."""

    name: str
    datastore: str
    target: str
    promised_gap_ms: float
    members: Sequence[str]
    before: Sequence[EngineVersion]
    after: Sequence[EngineVersion]
    report: Report
    seconds: float
    problem: str = ""

    def broken_promises(self) -> list[str]:
        """Everything that is not as promised, in sentences."""
        report = self.report
        wrong = [self.problem] if self.problem else []
        wrong += [
            f"{member} says it runs {version}, not {self.datastore} {self.target}"
            for member, version in zip(self.members, self.after, strict=True)
            if version.release != self.target or version.name != self.datastore
        ]
        if report.lost is None:
            wrong.append("acknowledged writes were not read back")
        elif report.lost or report.differing:
            wrong.append(f"{report.lost} acknowledged writes are lost, {report.differing} differ")
        if not report.acknowledged:
            wrong.append("no write was acknowledged, so nothing was shown")
        if report.errors_with_retry:
            wrong.append(f"{report.errors_with_retry} writes failed although their client retried")
        if report.longest_gap_ms > self.promised_gap_ms:
            wrong.append(
                f"the longest write gap was {report.longest_gap_ms:.0f} ms, promised are {self.promised_gap_ms:.0f} ms"
            )
        return wrong


def print_report(outcomes: Sequence[Outcome], seconds: float) -> int:
    """Print what was seen; return 0 when all of it is as promised, else 1."""
    for outcome in outcomes:
        report = outcome.report
        print(f"\n{outcome.name}: {outcome.datastore} to {outcome.target}")
        print(f"  {'member':24} {'before (engine says)':24} after (engine says)")
        for member, before, after in zip(outcome.members, outcome.before, outcome.after, strict=True):
            print(f"  {member:24} {before!s:24} {after!s}")
        rows = (
            ("acknowledged writes", f"{report.acknowledged}"),
            ("lost, read back one by one", f"{report.lost}"),
            ("longest write gap", f"{report.longest_gap_ms:.0f} ms"),
            ("client errors without retry", f"{report.errors_without_retry}"),
            ("client errors with retry", f"{report.errors_with_retry}"),
            ("time taken", f"{outcome.seconds:.1f} s"),
        )
        for label, value in rows:
            print(f"  {label:30} {value}")
    wrong = [f"{outcome.name}: {promise}" for outcome in outcomes for promise in outcome.broken_promises()]
    print(f"\nAll of it took {seconds:.0f} s.")
    for promise in wrong:
        print(f"NOT AS PROMISED: {promise}")
    if not wrong:
        print("Everything was as promised.")
    return 1 if wrong else 0
