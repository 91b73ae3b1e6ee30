"""Dose estimates are kept by version beside the exam as it is, and dated calibrations ask for new ones."""

from __future__ import annotations

import copy
import datetime as dt
from typing import Any

import pytest

from dose_audit.dosimetry import CalibrationFactor
from dose_audit.measured import Measured, not_measurable

DAY = dt.date(2024, 3, 5)  # the day of the exams of these tests


@pytest.fixture
def stored(writer: Any, ct_exam: Any, received: Any) -> Any:
    """Writes the CT exam of one study and returns what waits for its estimates."""
    from dose_audit.store.estimates import take_waiting

    def write(study: str = "1.2", dlps: dict[str, float] | None = None) -> Any:
        exam = ct_exam(study, f"{study}.1", dlps or {f"{study}.8.1": 400.0, f"{study}.8.2": 200.0})
        for event in exam.events:
            event.water_equivalent_diameter_mm = 300.0
        writer.ingest_parts([received(exam, number=len(study))])
        return take_waiting(10)

    return write


def estimated(item: Any, value: float = 12.0, index: int | None = 1, name: str = "ssde", **more: Any) -> Any:
    """One result for one exam."""
    from dose_audit.store.estimates import Estimate, Estimated

    return Estimated(item, (Estimate(Measured(name, value, "mGy", 0.1 * value, method="by hand"), index, **more),))


def calibration(**changes: Any) -> CalibrationFactor:
    values = {"device": "", "quantity": "ctdi_vol", "factor": 1.1, "relative_uncertainty": 0.03, "valid_from": DAY}
    return CalibrationFactor(**{**values, "certificate": "K-17", **changes})


def test_an_exam_waits_until_its_results_are_kept(stored: Any) -> None:
    from dose_audit.store.estimates import keep_estimates, take_waiting, waiting
    from dose_audit.store.models import DoseEstimate

    (item,) = stored()
    assert (waiting(), item.study_date) == (1, DAY)
    assert [event.water_equivalent_diameter_mm for event in item.exam.events] == [300.0, 300.0]
    assert item.exam.events[0].target_region.meaning == "Chest"
    assert keep_estimates([estimated(item)]) == 1
    assert take_waiting(10) == []
    row = DoseEstimate.objects.get()
    assert (row.exam_id, row.event_index, row.quantity, row.value, row.uncertainty) == (
        item.id, 1, "ssde", 12.0, pytest.approx(1.2),
    )  # fmt: skip
    assert (row.status, row.raw_value, row.calibration, row.current) == ("ok", None, None, True)


def test_an_exam_written_meanwhile_is_not_given_results_of_what_it_was(stored: Any, writer: Any) -> None:
    from dose_audit.store.estimates import keep_estimates, take_waiting
    from dose_audit.store.models import DoseEstimate

    (before,) = stored()
    (after,) = stored(dlps={"1.2.8.1": 500.0})
    assert before.id == after.id
    assert keep_estimates([estimated(before)]) == 0
    assert not DoseEstimate.objects.exists()
    assert keep_estimates([estimated(after)]) == 1
    assert take_waiting(10) == []


def test_a_written_exam_waits_again_and_shows_nothing_of_the_past(stored: Any) -> None:
    from dose_audit.store.estimates import keep_estimates, take_waiting
    from dose_audit.store.models import Event, Exam

    (item,) = stored()
    keep_estimates(
        [
            estimated(item),
        ]
    )
    assert Event.objects.get(event_index=1).computed_ssde_mgy == 12.0
    stored(dlps={"1.2.8.1": 500.0})
    assert [one.id for one in take_waiting(10)] == [item.id]
    assert list(Event.objects.values_list("computed_ssde_mgy", flat=True)) == [None]
    assert Exam.objects.get().peak_skin_dose_mgy is None


def test_results_of_an_older_version_stay_beside_the_new(stored: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from dose_audit.store import estimates
    from dose_audit.store.models import DoseEstimate

    (item,) = stored()
    monkeypatch.setattr(estimates, "ALGORITHM_VERSION", "1 of the past")
    estimates.keep_estimates([estimated(item, 12.0)])
    monkeypatch.undo()
    assert estimates.waiting() == 0  # an upgrade alone changes no number
    assert estimates.ask_again() == 1
    (item,) = estimates.take_waiting(10)
    estimates.keep_estimates([estimated(item, 13.0)])
    assert estimates.ask_again() == 0
    estimates.ask_again(every=True)
    estimates.keep_estimates([estimated(one, 14.0) for one in estimates.take_waiting(10)])
    rows = DoseEstimate.objects.order_by("value").values_list("value", "algorithm_version", "current")
    assert list(rows) == [(12.0, "1 of the past", False), (14.0, estimates.ALGORITHM_VERSION, True)]


def test_the_audit_sees_what_is_current_and_usable(stored: Any, store: Any) -> None:
    from dose_audit.store.estimates import Estimate, Estimated, ask_again, keep_estimates, take_waiting
    from dose_audit.store.parquet import read_table, refresh_parquet

    def look() -> tuple[Any, Any]:
        folder = refresh_parquet(store)
        events = read_table(folder, "events", columns=["event_index", "computed_ssde_mgy"]).to_pylist()
        (exam,) = read_table(folder, "exams", columns=["peak_skin_dose_mgy"]).to_pylist()
        return {row["event_index"]: row["computed_ssde_mgy"] for row in events}, exam["peak_skin_dose_mgy"]

    (item,) = stored()
    assert look() == ({1: None, 2: None}, None)
    good = Measured("ssde", 12.0, "mGy")
    results = (
        Estimate(good, 1),
        Estimate(good.doubt("the report says 20 mGy"), 2),
        Estimate(Measured("peak_skin_dose", 3100.0, "mGy").doubt("height of the isocentre taken")),
    )
    keep_estimates([Estimated(item, results)])
    assert look() == ({1: 12.0, 2: None}, 3100.0)
    ask_again(every=True)
    none = not_measurable("peak_skin_dose", "mGy", "no event brings a dose")
    keep_estimates([Estimated(one, (Estimate(none),)) for one in take_waiting(10)])
    assert look() == ({1: None, 2: None}, None)


def test_an_exam_that_goes_takes_its_results_along(stored: Any, writer: Any, ct_exam: Any, received: Any) -> None:
    from dose_audit.store.estimates import keep_estimates
    from dose_audit.store.models import DoseEstimate, Exam

    (item,) = stored()
    keep_estimates([estimated(item)])
    moved = ct_exam("1.3", "1.2.1", {"1.2.8.1": 400.0})
    moved.sources[0].content_datetime = "2024-03-06T11:00:00"
    writer.ingest_parts([received(moved, number=3)])  # the object was read again: it belongs to another study
    assert set(Exam.objects.values_list("study_instance_uid", flat=True)) == {"1.3"}
    assert not DoseEstimate.objects.exists()


def test_sizes_from_a_list_ask_for_new_results(stored: Any, store: Any) -> None:
    from dose_audit.store.estimates import keep_estimates, take_waiting
    from dose_audit.store.identity import protection
    from dose_audit.store.sizes import import_sizes

    (item,) = stored()
    keep_estimates([estimated(item)])
    import_sizes(b"Accession Number,Weight (kg)\nACC-1,81.5\n", protection(store), overwrite=True)
    assert [one.exam.patient.weight_kg for one in take_waiting(10)] == [81.5]


@pytest.mark.parametrize(("first", "waits"), [(DAY, True), (DAY + dt.timedelta(days=1), False)])
def test_a_calibration_concerns_exams_from_its_day_on(stored: Any, first: dt.date, waits: bool) -> None:
    from dose_audit.store.calibrations import add_calibration
    from dose_audit.store.devices import equipment_named
    from dose_audit.store.estimates import keep_estimates, take_waiting

    (item,) = stored()
    keep_estimates([estimated(item)])
    row = add_calibration(equipment_named("CT1"), calibration(valid_from=first), entered_by="Medical physics")
    assert (row.factor, row.certificate, row.entered_by) == (1.1, "K-17", "Medical physics")
    assert bool(take_waiting(10)) is waits


def test_of_two_factors_for_one_day_the_later_entered_counts(stored: Any) -> None:
    from dose_audit.store.calibrations import add_calibration, calibrations_of
    from dose_audit.store.devices import equipment_named

    stored()
    device = equipment_named("CT1")
    for factor, more in ((1.1, {}), (1.2, {}), (1.3, {"kv_from": 60.0, "kv_to": 90.0}), (0.9, {"quantity": "kap"})):
        add_calibration(device, calibration(factor=factor, **more), entered_by="Physics")
    found = {(factor.quantity, factor.kv_from): factor.factor for factor, _ in calibrations_of([device.pk])[device.pk]}
    assert found == {("ctdi_vol", None): 1.2, ("ctdi_vol", 60.0): 1.3, ("kap", None): 0.9}


@pytest.mark.parametrize(
    ("changes", "by", "word"),
    [
        ({"quantity": "hounsfield"}, "Physics", "none of"),
        ({"certificate": " "}, "Physics", "certificate"),
        ({}, "", "role"),
    ],
)
def test_a_factor_without_its_papers_is_refused(stored: Any, changes: dict[str, str], by: str, word: str) -> None:
    from dose_audit.store.calibrations import CalibrationError, add_calibration
    from dose_audit.store.devices import UnknownDevice, equipment_named
    from dose_audit.store.models import Calibration
    from dose_audit.texts import RoleError

    stored()
    with pytest.raises((CalibrationError, RoleError), match=word):
        add_calibration(equipment_named("CT1"), calibration(**changes), entered_by=by)
    with pytest.raises(UnknownDevice, match="no device"):
        equipment_named("CT 9")
    assert not Calibration.objects.exists()


def test_a_stored_ct_exam_gives_the_dosimetry_of_its_record(stored: Any) -> None:
    """What is read back from columns is, for dosimetry, the record that was written."""
    from dose_audit.dosimetry import exam_dosimetry
    from dose_audit.extract.records import from_record
    from dose_audit.store.models import Exam
    from dose_audit.store.reading import exam_record

    (item,) = stored()
    whole = from_record(copy.deepcopy(exam_record(Exam.objects.get())))
    results = exam_dosimetry(whole)
    assert {result.name for result in results} >= {"ssde", "effective_dose"}
    assert exam_dosimetry(item.exam) == results
