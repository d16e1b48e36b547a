"""Figures from ledgers, without engines."""

from pathlib import Path

import pytest

from trove.workload.ledger import LedgerFile, LedgerReader, Outcome, Record, ledger_path, payload_text
from trove.workload.report import longest_gap, make_report
from trove.workload.target import Target

PAYLOAD = b"12345678"


def record(outcome: Outcome, seq: int, start: float, end: float) -> Record:
    return Record(outcome, seq, start, end, PAYLOAD)


@pytest.mark.parametrize(
    ("ends", "expected"),
    [
        ([], (10.0, 100.0)),
        ([104.0], (6.0, 104.0)),
        ([101.0, 107.0, 109.0], (6.0, 101.0)),
        ([108.0, 109.0], (8.0, 100.0)),
        ([101.0, 102.0], (8.0, 102.0)),
    ],
    ids=["nothing at all", "to the end", "in the middle", "from the begin", "stuck at the end"],
)
def test_longest_gap_counts_the_edges_of_the_span(ends: list[float], expected: tuple[float, float]) -> None:
    assert longest_gap(ends, 100.0, 110.0) == expected


def test_report_counts_each_outcome_where_it_belongs() -> None:
    records = {
        0: [
            record(Outcome.ACKNOWLEDGED, 1, 100.0, 100.1),
            record(Outcome.UNKNOWN, 2, 100.2, 100.3),
            record(Outcome.REFUSED, 3, 100.3, 100.4),
            record(Outcome.ACKNOWLEDGED, 4, 101.0, 101.1),
        ],
        1: [
            record(Outcome.RETRIED, 1, 100.1, 100.2),
            record(Outcome.RETRIED, 1, 100.1, 100.3),
            record(Outcome.ACKNOWLEDGED, 1, 100.1, 100.7),
            record(Outcome.GAVE_UP, 2, 100.7, 101.2),
        ],
    }
    report = make_report(records, zero=100.0, begin=100.0, end=101.3, errors={})
    assert (report.acknowledged, report.unknown, report.retries) == (3, 2, 2)
    assert (report.errors_without_retry, report.errors_with_retry) == (2, 1)
    assert report.longest_gap_ms == pytest.approx(600)
    assert report.longest_gap_at_s == pytest.approx(0.1)
    assert report.writer_gaps_ms == {0: pytest.approx(1000), 1: pytest.approx(700)}
    assert report.slowest_write_ms == report.slowest_retried_write_ms == pytest.approx(600)
    assert report.lost is None
    assert report.to_dict()["acknowledged"] == 3


def test_report_on_a_span_leaves_the_rest_out() -> None:
    records = {0: [record(Outcome.ACKNOWLEDGED, n, 100.0 + n, 100.5 + n) for n in range(10)]}
    report = make_report(records, zero=100.0, begin=103.0, end=106.0, errors={})
    assert (report.acknowledged, report.duration_s, report.longest_gap_ms) == (3, 3.0, 1000.0)


def test_ledger_of_a_killed_writer_is_read_up_to_its_last_whole_record(tmp_path: Path) -> None:
    path = ledger_path(tmp_path, 0)
    reader = LedgerReader(path)
    assert reader.new() == []
    ledger = LedgerFile(path)
    ledger.append(Outcome.ACKNOWLEDGED, 1, 1.0, 2.0, PAYLOAD)
    assert reader.new() == [record(Outcome.ACKNOWLEDGED, 1, 1.0, 2.0)]
    ledger.append(Outcome.REFUSED, 2, 2.0, 3.0, PAYLOAD)
    ledger.close()
    whole = path.read_bytes()
    path.write_bytes(whole[:-5])
    assert reader.new() == []
    path.write_bytes(whole)
    assert [entry.seq for entry in reader.new()] == [2]


def test_payloads_differ_in_what_is_stored() -> None:
    assert payload_text(b"12345678") != payload_text(b"12345679")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kind": "oracle", "nodes": (("127.0.0.1", 1),)}, "unknown kind"),
        ({"kind": "redis", "nodes": ()}, "at least one"),
        ({"kind": "mariadb", "nodes": (("127.0.0.1", 1),)}, "existing database"),
    ],
)
def test_bad_targets_are_refused_with_the_reason(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Target(run="x", **arguments)  # type: ignore[arg-type]
