"""NM and PET headers: the unit of the activity, midnight, the tags of a PET series."""

from __future__ import annotations

import pytest

from dose_audit.extract import Exam, NotDose, read_part
from tests.extract.made import ENHANCED_PET, NM, PET, code, image, item_of

TIMES = {
    "AcquisitionDate": "20240311",
    "AcquisitionTime": "101623",
    "SeriesDate": "20240311",
    "SeriesTime": "101600",
}


def read(sop_class: str, modality: str, dose: str | None, **item: object) -> Exam | NotDose:
    given = {
        "RadionuclideCodeSequence": [code("C-111A1", "SRT", "^18^Fluorine")],
        "Radiopharmaceutical": "FDG",
    }
    if dose is not None:
        given["RadionuclideTotalDose"] = dose
    sequence = [item_of(**{**given, **item})]
    return read_part(image(sop_class, Modality=modality, **TIMES, RadiopharmaceuticalInformationSequence=sequence))


def codes(exam: Exam) -> list[str]:
    return [warning.code for warning in exam.warnings]


@pytest.mark.parametrize(
    ("sop_class", "modality", "sent", "mbq", "warned"),
    [
        (NM, "NM", "764", 764.0, None),  # MBq, as the standard says
        (NM, "NM", "394000000", 394.0, "activity_unit"),  # can only be Bq
        (NM, "NM", "740000", None, "unknown_unit"),  # 740 MBq in kBq, or 0.74 MBq in Bq
        (PET, "PT", "394000000", 394.0, None),  # Bq, as the standard says
        (PET, "PT", "394", 394.0, "activity_unit"),  # can only be MBq
        (PET, "PT", "394000", None, "unknown_unit"),  # kBq or Bq
        (PET, "PT", "10.6", None, "unknown_unit"),  # mCi or MBq
        (ENHANCED_PET, "PT", "394", 394.0, None),  # MBq in the enhanced object
        (NM, "NM", "0", None, None),
        (NM, "NM", "-5", None, "implausible_value"),
    ],
)
def test_activity(sop_class: str, modality: str, sent: str, mbq: float | None, warned: str | None) -> None:
    exam = read(sop_class, modality, sent)
    assert isinstance(exam, Exam)
    assert exam.events[0].administered_activity_mbq == mbq
    assert [c for c in codes(exam) if c in ("activity_unit", "unknown_unit", "implausible_value")] == (
        [warned] if warned else []
    )


def test_start_date_time_comes_first() -> None:
    exam = read(
        PET,
        "PT",
        "394000000",
        RadiopharmaceuticalStartDateTime="20240311091500+0100",
        RadiopharmaceuticalStartTime="081500",
        RadiopharmaceuticalStopDateTime="20240311091600+0100",
    )
    assert isinstance(exam, Exam)
    assert exam.events[0].started_at == "2024-03-11T09:15:00+01:00"
    assert exam.events[0].stopped_at == "2024-03-11T09:16:00+01:00"


def test_a_time_alone_is_of_the_acquisitions_day() -> None:
    exam = read(PET, "PT", "394000000", RadiopharmaceuticalStartTime="091500")
    assert isinstance(exam, Exam)
    assert exam.events[0].started_at == "2024-03-11T09:15:00"


def test_a_time_after_the_acquisition_is_of_the_day_before() -> None:
    exam = read(PET, "PT", "394000000", RadiopharmaceuticalStartTime="233000")
    assert isinstance(exam, Exam)
    assert exam.events[0].started_at == "2024-03-10T23:30:00"
    assert "shifted_over_midnight" in codes(exam)


def test_a_date_time_after_the_acquisition_is_said_and_not_moved() -> None:
    exam = read(PET, "PT", "394000000", RadiopharmaceuticalStartDateTime="20240311233000")
    assert isinstance(exam, Exam)
    assert exam.events[0].started_at == "2024-03-11T23:30:00"
    assert "administration_after_acquisition" in codes(exam)


def test_what_was_administered() -> None:
    exam = read(
        PET,
        "PT",
        "394000000",
        RadionuclideHalfLife="6586.2",
        RadiopharmaceuticalVolume="3.5",
        RadiopharmaceuticalSpecificActivity="1.5",
        RadiopharmaceuticalAdministrationEventUID="1.2.3.5",
        AdministrationRouteCodeSequence=[code("47625008", "SCT", "Intravenous route")],
    )
    assert isinstance(exam, Exam)
    event = exam.events[0]
    assert (event.half_life_s, event.volume_ml, event.irradiation_event_uid) == (6586.2, 3.5, "1.2.3.5")
    # PS3.3: Bq/micromole.
    assert event.specific_activity_bq_per_mol == 1.5e6
    assert event.radionuclide is not None and event.radionuclide.value == "C-111A1"
    assert event.route is not None and event.route.value == "47625008"


def test_pet_series_tags_are_not_taken_for_each_other() -> None:
    data = image(
        PET,
        Modality="PT",
        **TIMES,
        RadiopharmaceuticalInformationSequence=[item_of(RadionuclideTotalDose="394000000")],
        NumberOfSlices=476,
        NumberOfTimeSlices=11,
        NumberOfTimeSlots=8,
        NumberOfRRIntervals=3,
        ReprojectionMethod="MAX",
        ReconstructionMethod="OSEM",
        CoincidenceWindowWidth="4.1",
        EnergyWindowRangeSequence=[item_of(EnergyWindowLowerLimit="435", EnergyWindowUpperLimit="585")],
        SeriesType=["GATED", "IMAGE"],
        CorrectedImage=["NORM", "ATTN"],
        ScanProgressionDirection="FEET_TO_HEAD",
    )
    exam = read_part(data)
    assert isinstance(exam, Exam)
    (series,) = exam.pet_series
    assert (series.slice_count, series.time_slice_count) == (476, 11)
    assert (series.time_slot_count, series.rr_interval_count) == (8, 3)
    assert (series.reconstruction_method, series.coincidence_window_ns) == ("OSEM", 4.1)
    assert series.energy_window_kev == [435, 585]
    assert (series.series_type, series.corrections) == (["GATED", "IMAGE"], ["NORM", "ATTN"])
    assert (series.scan_progression, series.started_at) == ("FEET_TO_HEAD", "2024-03-11T10:16:00")


def test_an_image_of_a_source_is_not_an_administration() -> None:
    nuclide = [code("C-163A8", "SRT", "^99m^Technetium")]
    data = image(
        NM,
        Modality="NM",
        **TIMES,
        RadiopharmaceuticalInformationSequence=[item_of(RadionuclideTotalDose="0", RadionuclideCodeSequence=nuclide)],
    )
    assert isinstance(read_part(data), NotDose)
