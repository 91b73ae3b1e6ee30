"""Phantom states as findings of the audit: told once, by a key that lasts, closed with a reason, cleared when they pass."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from typing import Any

import pytest

WIGGLE = (0.02, -0.03, 0.01, 0.03, -0.02, 0.0, -0.01, 0.02)
DAYS = [dt.datetime(2026, 1, 5, 8) + dt.timedelta(days=7 * n) for n in range(8)]
NIGHT = dt.datetime(2026, 3, 31, 23)
LATER = dt.datetime(2026, 3, 9, 8)


@pytest.fixture
def accepted(store_run: Callable[..., Any], accept: Callable[..., Any]) -> None:
    """Eight accepted runs of one scanner, noise about 5 HU."""
    accept([store_run(day, noise=5.0 * (1 + wiggle)) for day, wiggle in zip(DAYS, WIGGLE, strict=True)])


@pytest.fixture
def audit(home: Any) -> Callable[..., tuple[Any, dict[str, Any]]]:
    """A night's audit of the store, and its report."""
    from dose_audit.audit import run_audit

    def run(now: dt.datetime = NIGHT) -> tuple[Any, dict[str, Any]]:
        outcome = run_audit(home, now=now)
        return outcome, json.loads((outcome.run_dir / "report.json").read_text(encoding="utf-8"))

    return run


def test_out_of_tolerance_is_a_finding_that_survives_runs_and_is_closed_by_a_person(
    accepted: None, store_run: Callable[..., Any], audit: Callable[..., Any]
) -> None:
    from dose_audit.store.findings import acknowledge_finding

    assert audit()[0].exit_code == 0
    store_run(LATER, noise=5.8)  # 16 % above the baseline: beyond remedial (10 %), within suspension (25 %)
    first, report = audit(NIGHT + dt.timedelta(days=1))
    (finding,) = report["findings"]
    assert (first.exit_code, first.findings_new) == (3, 1)
    assert (finding["kind"], finding["severity"], finding["for_role"]) == ("phantom_out_of_tolerance", "act", "MPE")
    assert (finding["site"], finding["equipment"], finding["state"]) == ("North", "CT1", "new")
    assert "5.8 HU on 9 March 2026" in finding["message"] and "baseline 5.0" in finding["message"]
    assert finding["likely_causes"]
    # The next run shows the same fault with another value on another day: the same finding.
    store_run(LATER + dt.timedelta(days=7), noise=5.7)
    again, report = audit(NIGHT + dt.timedelta(days=2))
    assert [one["key"] for one in report["findings"]] == [finding["key"]]
    assert (again.findings_new, again.exit_code, report["findings"][0]["state"]) == (0, 3, "open")
    acknowledge_finding(finding["key"], by="MPE", reason="tube to be exchanged on Friday")
    silent, report = audit(NIGHT + dt.timedelta(days=3))
    assert (silent.exit_code, report["findings"][0]["state"]) == (0, "acknowledged")
    # Beyond the suspension level is another matter than the one that was acknowledged.
    store_run(LATER + dt.timedelta(days=14), noise=7.0)
    worse, report = audit(NIGHT + dt.timedelta(days=4))
    assert (worse.exit_code, worse.findings_new, report["findings"][0]["state"]) == (3, 1, "new")
    assert report["findings"][0]["evidence"]["judgement"] == "suspension"
    # Repaired: back in tolerance, and both findings are cleared. (Its running average still remembers.)
    store_run(LATER + dt.timedelta(days=21), noise=5.0)
    from dose_audit.store.models import Finding

    report = audit(NIGHT + dt.timedelta(days=5))[1]
    assert "phantom_out_of_tolerance" not in {one["kind"] for one in report["findings"]}
    assert [row.state for row in Finding.objects.filter(kind="phantom_out_of_tolerance")] == ["cleared", "cleared"]


def test_out_of_control_within_tolerance_is_to_be_checked_and_names_what_happened_since(
    accepted: None, store_run: Callable[..., Any], audit: Callable[..., Any]
) -> None:
    from dose_audit.store.models import Equipment
    from dose_audit.store.phantoms import record_event

    device = Equipment.objects.get(station_name="CT1")
    record_event(device.pk, "service", dt.datetime(2026, 3, 5), role="engineer", text="new tube")
    store_run(LATER, noise=5.45)  # 9 %: within tolerance, far beyond three sigma of the accepted runs
    outcome, report = audit()
    (finding,) = report["findings"]
    assert outcome.exit_code == 3
    assert (finding["kind"], finding["severity"]) == ("phantom_out_of_control", "check")
    assert finding["likely_causes"][0] == "service: new tube, on 5 March 2026: near in time, not proven the cause"
    assert len(finding["likely_causes"]) > 1


def test_overdue_is_a_finding_until_the_phantom_is_scanned(
    accepted: None, store_run: Callable[..., Any], audit: Callable[..., Any]
) -> None:
    from dose_audit.store.models import Equipment
    from dose_audit.store.phantoms import set_task

    device = Equipment.objects.get(station_name="CT1")
    set_task(device.pk, "water-uniform", 7, since=dt.date(2026, 1, 1), role="MPE", grace_days=2)
    _, report = audit()
    (finding,) = report["findings"]
    assert (finding["kind"], finding["for_role"]) == ("phantom_overdue", "superintendent radiographer")
    assert "Due on 2 March 2026 and 27 days past the grace" in finding["message"]
    store_run(dt.datetime(2026, 3, 30, 8), noise=5.0)
    assert audit(NIGHT + dt.timedelta(days=1))[1]["findings"] == []


def test_a_store_of_phantoms_alone_has_a_report_that_says_so(accepted: None, audit: Callable[..., Any]) -> None:
    from dose_audit.report import render_run

    outcome, report = audit()
    assert outcome.nothing_compared == "no exams in the period: this report is of image quality alone (8 phantom runs)."
    assert report["run"]["sites"] == ["North"]
    page = render_run(outcome.run_dir, formats=("html", "xlsx")).html.read_text(encoding="utf-8")
    assert "No exams in the period. This report is of image quality alone." in page
    assert '<section id="quality">' in page and "8 phantom runs" in page
    for dose_section in ("medians", "trends", "agd", "size"):
        assert f'<section id="{dose_section}">' not in page
