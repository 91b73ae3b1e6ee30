"""A share whose period overlaps that of an earlier one is told; the same period again, or one beside it, is not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dose_audit.report.shared_before import overlapping_shares


def run(reports: Path, since: str, until: str, *, shared: bool = True) -> Path:
    folder = reports / f"{since}-{until}"
    (folder / "share").mkdir(parents=True)
    if not shared:
        (folder / "share").rmdir()
    (folder / "report.json").write_text(json.dumps({"run": {"since": since, "until": until}}), encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("since", "until", "told"),
    [
        ("2026-01-01", "2026-11-30", True),  # with the year it gives December away
        ("2025-07-01", "2026-01-01", True),  # a day is enough
        ("2026-03-01", "2026-03-31", True),
        ("2026-01-01", "2026-12-31", False),  # the same period
        ("2027-01-01", "2027-03-31", False),
        ("2025-01-01", "2025-12-31", False),
    ],
)
def test_periods_that_overlap_are_told(tmp_path: Path, since: str, until: str, told: bool) -> None:
    (tmp_path / "earlier").mkdir()
    earlier = run(tmp_path / "earlier", "2026-01-01", "2026-12-31").rename(tmp_path / "earlier" / "year")
    now = run(tmp_path / "earlier", since, until, shared=False)
    found = overlapping_shares(tmp_path / "earlier", now)
    assert len(found) == told
    assert all(earlier.name in sentence and since in sentence for sentence in found)


def test_what_was_not_shared_and_the_run_itself_do_not_count(tmp_path: Path) -> None:
    run(tmp_path, "2026-01-01", "2026-06-30", shared=False)
    now = run(tmp_path, "2026-01-01", "2026-03-31")
    assert overlapping_shares(tmp_path, now) == []
