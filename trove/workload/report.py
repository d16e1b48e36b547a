"""What a workload saw, as figures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from typing import Any

from trove.workload.ledger import Outcome, Record


@dataclass(frozen=True)
class Report:
    """What all writers together saw in one span of time.

    acknowledged: writes the engine confirmed. unknown: sent, answer lost, so neither acknowledged nor lost.
    lost, differing: acknowledged writes that are not there, or with another value, when read back; None before that.
    errors_without_retry: errors the writers that never retry saw. errors_with_retry: writes that retrying did not
    save within its budget. retries: failed tries that retrying hid.
    longest_gap_ms: longest time without an acknowledged write over all writers together, from the end of one
    acknowledged write (or the begin of the span) to the end of the next (or the end of the span);
    longest_gap_at_s: when it began, seconds after the workload began. writer_gaps_ms: the same for each writer.
    slowest_write_ms: longest acknowledged write, from its first try to its acknowledgement, retries included;
    slowest_retried_write_ms: the same among writes that needed a retry, None when none did.
    """

    acknowledged: int
    unknown: int
    lost: int | None
    differing: int | None
    errors_without_retry: int
    errors_with_retry: int
    retries: int
    longest_gap_ms: float
    longest_gap_at_s: float
    writer_gaps_ms: Mapping[int, float]
    slowest_write_ms: float
    slowest_retried_write_ms: float | None
    writes_per_second: float
    duration_s: float
    errors: Mapping[str, int] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def longest_gap(ends: Sequence[float], begin: float, end: float) -> tuple[float, float]:
    """Return (seconds, where it begins) of the longest stretch of the span without one of the sorted times."""
    marks = [begin, *ends, end]
    return max(((after - before, before) for before, after in pairwise(marks)), key=lambda gap: gap[0])


def make_report(
    records: Mapping[int, Iterable[Record]],
    zero: float,
    begin: float,
    end: float,
    errors: Mapping[str, int],
    lost: int | None = None,
    differing: int | None = None,
) -> Report:
    """Count what ended in the span `begin` to `end` (monotonic seconds); `zero` is when the workload began."""
    counts = dict.fromkeys(Outcome, 0)
    ends: dict[int, list[float]] = {writer: [] for writer in records}
    slowest = 0.0
    slowest_retried: float | None = None
    for writer, entries in records.items():
        retried: set[int] = set()
        for record in entries:
            if record.outcome is Outcome.RETRIED:
                retried.add(record.seq)
            if not begin <= record.end <= end:
                continue
            counts[record.outcome] += 1
            if record.outcome is Outcome.ACKNOWLEDGED:
                ends[writer].append(record.end)
                took = record.end - record.start
                slowest = max(slowest, took)
                if record.seq in retried:
                    slowest_retried = max(slowest_retried or 0.0, took)
    gap, gap_at = longest_gap(sorted(time for times in ends.values() for time in times), begin, end)
    duration = end - begin
    return Report(
        acknowledged=counts[Outcome.ACKNOWLEDGED],
        unknown=counts[Outcome.UNKNOWN] + counts[Outcome.GAVE_UP],
        lost=lost,
        differing=differing,
        errors_without_retry=counts[Outcome.UNKNOWN] + counts[Outcome.REFUSED],
        errors_with_retry=counts[Outcome.GAVE_UP],
        retries=counts[Outcome.RETRIED],
        longest_gap_ms=_ms(gap),
        longest_gap_at_s=round(gap_at - zero, 3),
        writer_gaps_ms={writer: _ms(longest_gap(times, begin, end)[0]) for writer, times in ends.items()},
        slowest_write_ms=_ms(slowest),
        slowest_retried_write_ms=None if slowest_retried is None else _ms(slowest_retried),
        writes_per_second=round(counts[Outcome.ACKNOWLEDGED] / duration, 1) if duration > 0 else 0.0,
        duration_s=round(duration, 3),
        errors=dict(errors),
    )


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 1)
