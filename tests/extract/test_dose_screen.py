"""Dose screens: numbers from elements, free text as a fall-back, and plain pictures named as such."""

from __future__ import annotations

import pytest
from pydicom.dataset import Dataset

from dose_audit.extract import Exam, NotDose, read_exam, read_part
from tests.extract.made import MR, SC, image, item_of

SCREEN = {
    "Modality": "CT",
    "Manufacturer": "Philips",
    "SeriesDescription": "Dose Info",
    "ImageType": ["DERIVED", "SECONDARY", "DOSE_INFO"],
    "ProtocolName": "Abdomen",
}


def exposure(number: int, kind: str, ctdi: float, dlp: str, **elements: object) -> Dataset:
    item = item_of(
        SeriesNumber=number,
        AcquisitionType=kind,
        CTDIvol=ctdi,
        KVP="120",
        XRayTubeCurrentInuA="165044.374",
        ExposureTime=6986,
        ScanLength=231,
        SingleCollimationWidth=1.5,
        TotalCollimationWidth=24.0,
        **elements,
    )
    item.private_block(0x00E1, "ELSCINT1", create=True).add_new(0x21, "DS", dlp)
    item.private_block(0x01E1, "ELSCINT1", create=True).add_new(0x26, "CS", "32 CM")
    return item


def test_philips_dose_info_is_read_from_its_elements() -> None:
    items = [
        exposure(1, "CONSTANT_ANGLE", 0.0, "0"),
        exposure(3, "SPIRAL", 7.2, "196.01", SeriesDescription="PRE", SpiralPitchFactor=0.8355),
        exposure(5, "SEQUENCED", 11.3, "248.59", SeriesDescription="POST"),
    ]
    exam = read_exam(
        image(
            SC,
            **SCREEN,
            ExposureDoseSequence=items,
            TotalNumberOfExposures=3,
            private={(0x00E1, "ELSCINT1", 0x21): ("DS", "444.6")},
        )
    )
    assert isinstance(exam, Exam)
    assert exam.sources[0].kind == "dose_screen"
    assert (exam.totals.ct_dlp_mgy_cm, exam.totals.events_ct_dlp_mgy_cm) == (444.6, pytest.approx(444.6))
    assert exam.totals.ct_dlp_by_phantom_mgy_cm == {"body_32cm": pytest.approx(444.6)}
    localiser, spiral, sequenced = exam.events
    assert (localiser.ct_acquisition_type, localiser.ctdi_vol_mgy, localiser.dlp_mgy_cm) == (
        "constant_angle",
        None,
        None,
    )
    assert (spiral.ct_acquisition_type, spiral.ctdi_vol_mgy, spiral.dlp_mgy_cm) == ("spiral", 7.2, 196.01)
    assert (spiral.exposure_time_s, spiral.scanning_length_mm, spiral.pitch_factor) == (6.986, 231, 0.8355)
    assert (spiral.sources[0].tube_current_ma, spiral.acquisition_protocol) == (165.044374, "PRE")
    assert sequenced.ct_acquisition_type == "sequenced"


def test_a_total_that_its_events_do_not_add_up_to_is_a_warning() -> None:
    exam = read_exam(
        image(
            SC,
            **SCREEN,
            ExposureDoseSequence=[exposure(3, "SPIRAL", 7.2, "196.01")],
            TotalNumberOfExposures=2,
            private={(0x00E1, "ELSCINT1", 0x21): ("DS", "444.6")},
        )
    )
    assert isinstance(exam, Exam)
    assert {"totals_disagree", "event_count_disagrees"} <= {warning.code for warning in exam.warnings}


def test_free_text_stands_in_for_missing_elements() -> None:
    text = "Series #3 PRE KIDNEYS Average CTDIvol=7.2 DLP=196.0\r\nSeries #5 30S Average CTDIvol=11.3 DLP=248.6"
    exam = read_part(image(SC, **SCREEN, CommentsOnRadiationDose=text))
    assert isinstance(exam, Exam)
    assert [(e.acquisition_protocol, e.ctdi_vol_mgy, e.dlp_mgy_cm) for e in exam.events] == [
        ("PRE KIDNEYS", 7.2, 196.0),
        ("30S", 11.3, 248.6),
    ]
    assert "read_from_comment" in [warning.code for warning in exam.warnings]


@pytest.mark.parametrize(
    "elements",
    [
        {"Manufacturer": "Philips", "SeriesDescription": "Dose Info"},
        {"Manufacturer": "SIEMENS", "SeriesDescription": "Patient Protocol"},
        {"Manufacturer": "GE MEDICAL SYSTEMS", "SeriesDescription": "Dose Report"},
        {"Manufacturer": "TOSHIBA", "SeriesDescription": "Dose Summary"},
        {"Manufacturer": "Anyone", "SeriesDescription": "radiation dose"},
        {"Manufacturer": "Anyone", "ImageType": ["DERIVED", "SECONDARY", "DOSE_REPORT"]},
    ],
)
def test_a_screen_of_pixels_is_named_and_not_guessed(elements: dict[str, object]) -> None:
    part = read_part(image(SC, **{"Modality": "CT", **elements}))
    assert isinstance(part, NotDose)
    assert part.kind == "pixels_only"


def test_other_captures_are_not_relevant() -> None:
    part = read_part(image(SC, Modality="CT", SeriesDescription="3D rendering"))
    assert isinstance(part, NotDose)
    assert part.kind == "not_relevant"


def test_an_angiography_summary_in_elements_gives_totals() -> None:
    exam = read_part(image(SC, Modality="XA", ImageAndFluoroscopyAreaDoseProduct="253.1", TotalTimeOfFluoroscopy=612))
    assert isinstance(exam, Exam)
    assert exam.totals.kap_gy_cm2 == pytest.approx(25.31, rel=1e-12)
    assert exam.totals.fluoro_time_s == 612


def test_magnetic_resonance_carries_no_dose() -> None:
    part = read_part(image(MR, Modality="MR"))
    assert isinstance(part, NotDose)
