"""Dosimetry of an exam record: what is computed, what is left out, and where it is filed."""

from __future__ import annotations

import pytest

from dose_audit.dosimetry import exam_dosimetry
from dose_audit.extract import Code
from dose_audit.extract.exam import AdministrationEvent, CtEvent, Exam, Filter, Patient, ProjectionEvent
from dose_audit.measured import Measured

CHEST = Code("51185008", "SCT", "Chest")


def ct(**fields: object) -> CtEvent:
    known = {
        "index": 1,
        "irradiation_event_uid": "1.2",
        "ct_acquisition_type": "spiral",
        "ctdi_vol_mgy": 10.0,
        "ctdi_phantom": "body_32cm",
        "dlp_mgy_cm": 500.0,
        "target_region": CHEST,
    }
    return CtEvent(**{**known, **fields})  # type: ignore[arg-type]


def exam(*events: object, **patient: object) -> Exam:
    who = Patient(**{"age_years": 50.0, "weight_kg": 70.0, **patient})  # type: ignore[arg-type]
    return Exam(modality="CT", patient=who, events=list(events))


def by_name(found: tuple[Measured, ...]) -> dict[str, Measured]:
    return {item.name: item for item in found}


def test_a_ct_event_with_size_and_region() -> None:
    found = by_name(exam_dosimetry(exam(ct(water_equivalent_diameter_mm=300.0))))
    assert found["ssde"].value == pytest.approx(12.311292, abs=1e-5)
    assert found["effective_dose"].value == pytest.approx(7.0)
    assert found["effective_dose"].details["region"] == "chest"
    for item in found.values():
        assert item.details["event_index"] == 1
        assert item.details["irradiation_event_uid"] == "1.2"


def test_a_reported_ssde_that_disagrees_is_told() -> None:
    agree = ct(water_equivalent_diameter_mm=300.0, ssde_mgy=12.3)
    differ = ct(water_equivalent_diameter_mm=300.0, ssde_mgy=16.0)
    assert by_name(exam_dosimetry(exam(agree)))["ssde"].status == "ok"
    assert by_name(exam_dosimetry(exam(differ)))["ssde"].status == "suspect"


@pytest.mark.parametrize(
    ("event", "patient", "word"),
    [
        (ct(), {"age_years": None}, "age"),
        (ct(ctdi_phantom=None), {}, "phantom"),
        (ct(ctdi_phantom="head_16cm"), {}, "phantom"),
        (ct(target_region=None), {}, "region"),
        (ct(target_region=Code("72696002", "SCT", "Knee")), {}, "region"),
    ],
)
def test_effective_dose_says_what_it_lacks(event: CtEvent, patient: dict[str, object], word: str) -> None:
    result = by_name(exam_dosimetry(exam(event, **patient)))["effective_dose"]
    assert result.value is None
    assert word in result.reason


def test_bolus_tracking_phantoms_and_excluded_events_give_nothing() -> None:
    assert exam_dosimetry(exam(ct(ct_acquisition_type="stationary"))) == ()
    assert exam_dosimetry(exam(ct(reason="rejected"))) == ()
    assert exam_dosimetry(exam(ct(), is_phantom=True)) == ()
    assert exam_dosimetry(Exam()) == ()


def mammogram(**fields: object) -> ProjectionEvent:
    known = {
        "entrance_exposure_mgy": 5.0,
        "half_value_layer_mm": 0.40,
        "compression_thickness_mm": 40.0,
        "anode_material": "Molybdenum",
        "filters": [Filter(material="Molybdenum")],
        "agd_mgy": 1.3,
    }
    return ProjectionEvent(**{**known, **fields})  # type: ignore[arg-type]


def test_mammograms_by_band_twins_once() -> None:
    twins = [mammogram(irradiation_event_uid="1.1"), mammogram(irradiation_event_uid="1.1")]
    spot = mammogram(irradiation_event_uid="1.2", view_modifier=Code("R-102D7", "SRT", "Spot compression"))
    zero = mammogram(irradiation_event_uid="1.3", agd_mgy=0.0)
    study = Exam(modality="MG", events=[*twins, spot, zero])
    (found,) = exam_dosimetry(study)
    assert found.value == pytest.approx(1.305)
    assert found.details["thickness_band"] == "40-50 mm"
    assert found.details["machine_ratio"] == pytest.approx(1.3 / 1.305)


def test_deviation_index_of_a_radiograph() -> None:
    study = Exam(modality="DX", events=[ProjectionEvent(exposure_index=800.0, target_exposure_index=400.0)])
    (found,) = exam_dosimetry(study)
    assert found.value == pytest.approx(3.0103, abs=1e-4)


def test_activity_per_kilogram_and_extravasation() -> None:
    event = AdministrationEvent(administered_activity_mbq=210.0, extravasation="Yes")
    found = by_name(exam_dosimetry(exam(event)))
    assert found["activity_per_kg"].value == pytest.approx(3.0)
    assert found["activity_per_kg"].status == found["administered_activity"].status == "suspect"
    assert found["administered_activity"].details["extravasation"] is True


def test_activity_from_two_measurements() -> None:
    event = AdministrationEvent(
        pre_administration_activity_mbq=220.0,
        post_administration_activity_mbq=10.0,
        half_life_s=6586.0,
        started_at="2026-01-01T10:00:00",
    )
    found = by_name(exam_dosimetry(exam(event, weight_kg=None)))
    assert found["administered_activity"].value == pytest.approx(210.0)
    assert found["administered_activity"].status == "suspect"
    assert "activity_per_kg" not in found


@pytest.mark.parametrize("activity", [-5.0, 0.0, 1e9])
def test_an_absurd_activity_is_no_number(activity: float) -> None:
    (found,) = exam_dosimetry(exam(AdministrationEvent(administered_activity_mbq=activity)))
    assert found.value is None
