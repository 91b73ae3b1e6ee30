"""Dosimetry of stored exams: after the dose reports, bounded in time, and no exam is lost by it."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dose_audit.config import Settings
from dose_audit.dosimetry import CalibrationFactor
from dose_audit.extract.exam import CtEvent, CtSource, Equipment, Exam, Patient, ProjectionEvent, Totals
from dose_audit.ingest import estimate_waiting, run_ingest, scan_paths

DAY = dt.date(2026, 3, 1)


@pytest.fixture
def indexed(tmp_path: Path, dx_file: Callable[..., bytes]) -> Path:
    """Six radiographs whose exposure index is twice its target: a deviation index of 10 log10 2."""
    folder = tmp_path / "indexed"
    folder.mkdir()
    for number in range(1, 7):
        data = dx_file(number, ExposureIndex="800", TargetExposureIndex="400", DeviationIndex="3.0")
        (folder / f"{number}.dcm").write_bytes(data)
    return folder


def results(**wanted: Any) -> list[Any]:
    from dose_audit.store.models import DoseEstimate

    return list(DoseEstimate.objects.filter(**wanted).order_by("exam_id", "quantity"))


def test_ingest_ends_with_the_dosimetry_of_what_it_stored(home: Settings, indexed: Path) -> None:
    scan_paths(home, [indexed])
    summary = run_ingest(home, workers=0)
    assert (summary.by_state["extracted"], summary.estimated) == (6, 6)
    found = results(quantity="deviation_index")
    assert [row.value for row in found] == [pytest.approx(10 * math.log10(2))] * 6
    assert {(row.event_index, row.status, row.raw_value) for row in found} == {(1, "ok", None)}
    assert estimate_waiting(home, workers=0).exams == 0


def test_dose_reports_go_first_and_time_is_bounded(home: Settings, indexed: Path) -> None:
    from dose_audit.store.estimates import waiting

    scan_paths(home, [indexed])
    assert run_ingest(home, workers=0, estimates=False).by_state["extracted"] == 6
    assert waiting() == 6
    assert estimate_waiting(home, limit_s=0.0).exams == 0
    assert estimate_waiting(home, stop=lambda: True, workers=0).exams == 0
    assert waiting() == 6
    assert estimate_waiting(home, limit_s=60.0).exams == 6


def test_many_exams_are_shared_by_processes_and_none_of_these_is_lost(
    home: Settings, indexed: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    import dose_audit.ingest.dosimetry as room

    scan_paths(home, [indexed])
    run_ingest(home, workers=0, estimates=False)
    monkeypatch.setattr(room, "_SHARED_FROM", 2)
    monkeypatch.setattr(room, "_CHUNK", 3)
    assert estimate_waiting(home, workers=2).exams == 6
    assert [row.value for row in results(quantity="deviation_index")] == [pytest.approx(10 * math.log10(2))] * 6
    assert not [record for record in caplog.records if "was lost" in record.message]


def test_an_exam_that_cannot_be_computed_says_so_and_stays(
    home: Settings, indexed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import dose_audit.ingest.dosimetry as room
    from dose_audit.store.models import Exam as ExamRow

    scan_paths(home, [indexed])
    run_ingest(home, workers=0, estimates=False)
    ours, calls = room.exam_dosimetry, []

    def failing(exam: Exam) -> Any:
        calls.append(exam)
        if len(calls) == 3:
            raise KeyError("Nobody^Real")
        return ours(exam)

    monkeypatch.setattr(room, "exam_dosimetry", failing)
    summary = estimate_waiting(home, workers=0)
    assert (summary.exams, summary.failed) == (6, 1)
    (row,) = results(quantity="dosimetry")
    assert (row.value, row.status) == (None, "not_measurable")
    assert "KeyError" in row.reason and "Nobody" not in row.reason
    assert len(results(quantity="deviation_index")) == 5
    assert ExamRow.objects.count() == 6


def test_a_certificate_corrects_from_its_day_on_and_the_raw_value_stays(home: Settings, indexed: Path) -> None:
    from dose_audit.store.calibrations import add_calibration
    from dose_audit.store.devices import equipment_named
    from dose_audit.store.models import Calibration

    scan_paths(home, [indexed])
    run_ingest(home, workers=0)
    factor = CalibrationFactor("", "kap", 1.2, 0.04, dt.date(2024, 1, 1), certificate="K-17")
    row = add_calibration(equipment_named("DX1"), factor, entered_by="Medical physics")
    assert estimate_waiting(home, workers=0).exams == 6
    # The radiographs say 1.25 dGy·cm² and one more each: 0.225 Gy·cm² for the first.
    found = results(quantity="kap", event_index=1)
    assert [result.raw_value for result in found] == pytest.approx([0.125 + 0.1 * n for n in range(1, 7)])
    assert [result.value for result in found] == pytest.approx([1.2 * (0.125 + 0.1 * n) for n in range(1, 7)])
    assert found[0].uncertainty == pytest.approx(0.04 * found[0].value)
    assert {result.calibration_id for result in found} == {row.pk} == {Calibration.objects.get().pk}
    assert "K-17" in found[0].method


def ct(**changes: Any) -> Exam:
    event = {
        "index": 1, "ct_acquisition_type": "spiral", "ctdi_vol_mgy": 10.0, "ctdi_phantom": "body_32cm",
        "dlp_mgy_cm": 400.0, "water_equivalent_diameter_mm": 300.0, "sources": [CtSource(kvp_kv=120.0)],
    }  # fmt: skip
    return Exam(modality="CT", patient=Patient(age_years=50.0), events=[CtEvent(**{**event, **changes})])


def named(exam: Exam, *factors: CalibrationFactor, day: dt.date | None = DAY) -> dict[str, Any]:
    from dose_audit.ingest.dosimetry import estimate_exam

    found = estimate_exam(exam, [(factor, number) for number, factor in enumerate(factors, start=1)], day)
    return {item.result.name: item for item in found}


def test_what_is_computed_from_a_corrected_value_is_corrected(home: Settings) -> None:
    from dose_audit.dosimetry import ssde
    from dose_audit.store.settings import prepare

    prepare(home)
    factor = CalibrationFactor("1", "ctdi_vol", 1.1, 0.03, DAY)
    plain, corrected = named(ct()), named(ct(), factor)
    assert plain["ssde"].result.value == pytest.approx(12.31, abs=0.01)  # AAPM 204: f = 1.2311 at 30 cm, 32 cm phantom
    assert (plain["ssde"].raw_value, plain["ssde"].calibration) == (None, None)
    assert corrected["ssde"].result.value == pytest.approx(ssde(11.0, 300.0, 32).value)
    assert (corrected["ssde"].raw_value, corrected["ssde"].calibration) == (plain["ssde"].result.value, 1)
    assert (corrected["ctdi_vol"].result.value, corrected["ctdi_vol"].raw_value) == (pytest.approx(11.0), 10.0)
    assert (corrected["dlp"].result.value, corrected["dlp"].raw_value) == (pytest.approx(440.0), 400.0)


@pytest.mark.parametrize(
    "factor",
    [
        CalibrationFactor("1", "ctdi_vol", 1.1, 0.03, DAY + dt.timedelta(days=1)),
        CalibrationFactor("1", "ctdi_vol", 1.1, 0.03, DAY - dt.timedelta(days=9), DAY - dt.timedelta(days=1)),
        CalibrationFactor("1", "ctdi_vol", 1.1, 0.03, DAY, kv_from=70.0, kv_to=100.0),
        CalibrationFactor("1", "kap", 1.1, 0.03, DAY),
    ],
    ids=["not yet", "no longer", "other tube voltage", "other quantity"],
)
def test_a_factor_that_does_not_answer_changes_nothing(home: Settings, factor: CalibrationFactor) -> None:
    assert named(ct(), factor) == named(ct())


def test_an_exam_without_a_day_has_no_dated_factor() -> None:
    factor = CalibrationFactor("1", "ctdi_vol", 1.1, 0.03, DAY)
    assert named(ct(), factor, day=None) == named(ct())


def run(*events: ProjectionEvent, **totals: float) -> Exam:
    maker = Equipment(manufacturer="Nobody", model_name="Unknown")
    return Exam(modality="RF", equipment=maker, totals=Totals(**totals), events=list(events))


def fluoroscopy(index: int, dose_rp_mgy: float | None, kvp_kv: float = 80.0, **more: Any) -> ProjectionEvent:
    values = {"plane": "single", "kap_gy_cm2": 10.0, "half_value_layer_mm": 4.0}
    return ProjectionEvent(index=index, dose_rp_mgy=dose_rp_mgy, kvp_kv=kvp_kv, **{**values, **more})


def test_without_geometry_the_skin_has_a_screening_estimate_under_its_own_name() -> None:
    found = named(run(fluoroscopy(1, 100.0)))
    assert "peak_skin_dose" not in found
    screening = found["peak_skin_dose_screening"].result
    assert screening.status == "suspect" and "no map" in screening.reason
    assert screening.value > 100.0  # backscatter


def test_skin_dose_goes_with_the_corrected_air_kerma_whatever_the_area() -> None:
    rp = CalibrationFactor("1", "dose_rp", 0.8, 0.05, DAY)
    kap = CalibrationFactor("1", "kap", 1.3, 0.05, DAY)
    exam = run(fluoroscopy(1, 100.0), fluoroscopy(2, 60.0), dose_rp_mgy=160.0, kap_gy_cm2=20.0)
    plain = named(exam)["peak_skin_dose_screening"].result.value
    both = named(exam, rp, kap)
    assert both["peak_skin_dose_screening"].result.value == pytest.approx(0.8 * plain)
    assert both["peak_skin_dose_screening"].raw_value == pytest.approx(plain)
    assert both["peak_skin_dose_screening"].calibration == 1
    assert (both["dose_rp"].event_index, both["dose_rp"].result.value) == (None, pytest.approx(128.0))
    assert (both["kap"].result.value, both["kap"].raw_value) == (pytest.approx(26.0), 20.0)
    # A KAP factor alone says nothing of the air kerma that the skin dose rests on.
    assert named(exam, kap)["peak_skin_dose_screening"].result.value == pytest.approx(plain)


def test_a_total_of_two_tube_voltages_needs_a_factor_for_each() -> None:
    soft = CalibrationFactor("1", "dose_rp", 0.8, 0.05, DAY, kv_from=60.0, kv_to=90.0)
    hard = CalibrationFactor("1", "dose_rp", 1.2, 0.02, DAY, kv_from=91.0, kv_to=125.0)
    exam = run(fluoroscopy(1, 100.0), fluoroscopy(2, 50.0, 110.0), dose_rp_mgy=150.0)
    total = named(exam, soft, hard)["dose_rp"].result
    assert total.value == pytest.approx(0.8 * 100.0 + 1.2 * 50.0)
    assert total.uncertainty == pytest.approx(0.05 * 80.0 + 0.02 * 60.0)  # of one certificate: added, not in quadrature
    lacking = named(exam, soft)["dose_rp"].result
    assert lacking.value is None and "1 of 2 events" in lacking.reason


def test_a_phantom_has_no_patient_dose() -> None:
    exam = run(fluoroscopy(1, 100.0))
    exam.patient.is_phantom = True
    assert named(exam) == {}
