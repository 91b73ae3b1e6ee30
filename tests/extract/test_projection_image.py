"""CR, DX, IO, XA and enhanced headers: units, preferences, unknowns, vendor defects."""

from __future__ import annotations

import pytest
from pydicom.dataset import Dataset

from dose_audit.extract import Exam, NotDose, read_part
from dose_audit.extract.exam import Filter, ProjectionEvent
from tests.extract.made import CR, DX, ENHANCED_XA, XA, code, image, item_of

FILM = {
    "Modality": "DX",
    "KVP": "81",
    "ImageAndFluoroscopyAreaDoseProduct": "1.5",
    "AcquisitionDate": "20240311",
    "AcquisitionTime": "101623",
    "ProtocolName": "Chest PA",
}


def read(sop_class: str = DX, **elements: object) -> tuple[Exam, ProjectionEvent]:
    exam = read_part(image(sop_class, **{**FILM, **elements}))
    assert isinstance(exam, Exam)
    (event,) = exam.events
    return exam, event


def codes(exam: Exam) -> list[str]:
    return [warning.code for warning in exam.warnings]


def test_units_of_the_standard_become_those_of_the_record() -> None:
    exam, event = read(
        EntranceDoseInmGy="0.125",
        ExposureInuAs=2040,
        XRayTubeCurrentInuA="189500",
        ExposureTimeInuS="10800",
        HalfValueLayer="3.1",
        DistanceSourceToDetector="1800",
    )
    # PS3.3: dGy.cm2 = 0.1 Gy.cm2; uAs, uA and us are thousandths.
    assert event.kap_gy_cm2 == pytest.approx(0.15, rel=1e-12)
    assert (event.exposure_mas, event.tube_current_ma, event.exposure_time_ms) == (2.04, 189.5, 10.8)
    assert (event.entrance_exposure_mgy, event.half_value_layer_mm, event.source_detector_mm) == (
        0.125,
        3.1,
        1800,
    )
    assert event.started_at == "2024-03-11T10:16:23"
    assert event.acquisition_protocol == "Chest PA"
    assert (exam.modality, exam.patient.age_years, exam.sources[0].kind) == ("DX", 54.0, "image")


def test_the_finest_form_of_a_quantity_wins() -> None:
    _, event = read(Exposure=2, ExposureInuAs=2040, ExposureTime=10, ExposureTimeInuS="10800", XRayTubeCurrent=190)
    assert (event.exposure_mas, event.exposure_time_ms, event.tube_current_ma) == (2.04, 10.8, 190)
    _, coarse = read(Exposure=2)
    assert coarse.exposure_mas == 2


def test_zero_and_empty_mean_unknown_where_zero_is_impossible() -> None:
    _, event = read(
        ImageAndFluoroscopyAreaDoseProduct="0",
        EntranceDose=0,
        DistanceSourceToDetector="0",
        ExposureInuAs=0,
        Exposure=3,
        DeviationIndex="0",
        ExposureIndex="",
        PositionerPrimaryAngle="0",
    )
    assert event.kap_gy_cm2 is None
    assert event.entrance_exposure_mgy is None
    assert event.source_detector_mm is None
    assert event.exposure_mas == 3
    assert event.exposure_index is None
    assert event.deviation_index == 0
    assert event.primary_angle_deg == 0


def test_a_negative_dose_is_no_dose() -> None:
    exam, event = read(ImageAndFluoroscopyAreaDoseProduct="-1.5")
    assert event.kap_gy_cm2 is None
    assert "implausible_value" in codes(exam)


def test_content_time_stands_in_where_acquisition_time_is_absent() -> None:
    _, event = read(AcquisitionDate="", AcquisitionTime="", ContentDate="20240311", ContentTime="101700")
    assert event.started_at == "2024-03-11T10:17:00"


def test_the_time_zone_survives() -> None:
    _, event = read(TimezoneOffsetFromUTC="+0100")
    assert event.started_at == "2024-03-11T10:16:23+01:00"


def test_region_view_and_side_are_coded() -> None:
    _, event = read(
        AnatomicRegionSequence=[code("51185008", "SCT", "Chest")],
        ViewCodeSequence=[code("R-10206", "SRT", "antero-posterior")],
        ImageLaterality="L",
    )
    assert event.target_region is not None and event.target_region.value == "51185008"
    assert event.view is not None and event.view.value == "R-10206"
    assert event.laterality == "left"
    _, plain = read(BodyPartExamined="CHEST", ViewPosition="PA", ImageLaterality="U")
    assert plain.target_region == ("51185008", "SCT", "Chest")
    assert plain.view is not None and plain.view.value == "272479007"
    assert plain.laterality is None


def raw_elements(data: bytes, **texts: str) -> bytes:
    """Replace the value of a DS or IS element by text that pydicom would not write."""
    from pydicom.datadict import tag_for_keyword

    for keyword, text in texts.items():
        tag = tag_for_keyword(keyword)
        assert tag is not None
        head = (tag >> 16).to_bytes(2, "little") + (tag & 0xFFFF).to_bytes(2, "little")
        start = data.index(head)
        length = int.from_bytes(data[start + 6 : start + 8], "little")
        value = text.encode() + b" " * (len(text) % 2)
        data = data[: start + 6] + len(value).to_bytes(2, "little") + value + data[start + 8 + length :]
    return data


def test_decimals_in_integer_elements_are_read_with_a_warning() -> None:
    data = image(DX, **FILM, Exposure=40, ExposureTime=161)
    exam = read_part(raw_elements(data, Exposure="40.196", ExposureTime="161.3"))
    assert isinstance(exam, Exam)
    assert (exam.events[0].exposure_mas, exam.events[0].exposure_time_ms) == (40.196, 161.3)
    assert codes(exam).count("decimals_in_integer") == 2


def test_filters_joined_by_a_comma_and_swapped_are_repaired() -> None:
    data = image(
        CR,
        **{**FILM, "FilterMaterial": "ALUMINUM,COPPER", "FilterType": "FLAT"},
        FilterThicknessMinimum="1",
        FilterThicknessMaximum="1",
    )
    exam = read_part(raw_elements(data, FilterThicknessMinimum="1.06,0.206", FilterThicknessMaximum="0.94,0.194"))
    assert isinstance(exam, Exam)
    assert exam.events[0].filters == [
        Filter(type="flat", material="Al", min_mm=0.94, max_mm=1.06),
        Filter(type="flat", material="Cu", min_mm=0.194, max_mm=0.206),
    ]
    assert {"comma_for_backslash", "filter_swapped"} <= set(codes(exam))


def test_thicknesses_that_fit_no_material_are_not_assigned() -> None:
    exam, event = read(FilterMaterial=["ALUMINUM", "COPPER"], FilterThicknessMinimum="1", FilterThicknessMaximum="1")
    assert [(f.material, f.min_mm, f.max_mm) for f in event.filters] == [
        ("Al", None, None),
        ("Cu", None, None),
    ]
    assert "filter_count" in codes(exam)


@pytest.mark.parametrize(
    ("elements", "field", "value", "warning"),
    [
        (
            {"Manufacturer": "KODAK", "ManufacturerModelName": "DR 7500", "DistanceSourceToDetector": "11.5"},
            "source_detector_mm",
            1150.0,
            "distance_in_decimetres",
        ),
        (
            {"Manufacturer": "SIEMENS", "FilterType": "CU_0.2_MM"},
            "filters",
            [Filter(material="Cu", min_mm=0.2, max_mm=0.2)],
            "filter_in_type",
        ),
        (
            {"Manufacturer": "DRGEM", "ImageAndFluoroscopyAreaDoseProduct": "135.18"},
            "kap_gy_cm2",
            None,
            "kap_unit_unknown",
        ),
        (
            {
                "Manufacturer": "TOSHIBA",
                "ManufacturerModelName": "TM_TFD_1.0",
                "ProtocolName": None,
                "ImageComments": "KNEE AP",
            },
            "acquisition_protocol",
            "KNEE AP",
            "protocol_in_comments",
        ),
    ],
)
def test_vendor_defects(elements: dict[str, object], field: str, value: object, warning: str) -> None:
    given = {**FILM, **elements}
    data = image(DX, **{name: sent for name, sent in given.items() if sent is not None})
    exam = read_part(data)
    assert isinstance(exam, Exam)
    assert getattr(exam.events[0], field) == value
    assert warning in codes(exam)


def test_other_makers_are_left_alone() -> None:
    _, event = read(DistanceSourceToDetector="11.5", FilterType="CU_0.2_MM")
    assert event.source_detector_mm == 11.5
    assert event.filters == []


def test_a_vendors_own_exposure_index_carries_its_name() -> None:
    _, event = read(Manufacturer="FUJIFILM Corporation", Sensitivity="201")
    assert event.extra["sensitivity"] == 201
    assert event.extra["vendor_exposure_index_name"] == "S"
    _, agfa = read(Manufacturer="AGFA", RelativeXRayExposure=196)
    assert agfa.extra["vendor_exposure_index_name"].startswith("lgM")


@pytest.mark.parametrize("model", ["CXDI", "CXDI Controller RF"])
def test_requested_procedure_from_study_description_for_canon(model: str) -> None:
    exam, _ = read(Manufacturer="Canon Inc.", ManufacturerModelName=model, StudyDescription="XR KNEE")
    assert exam.requested_procedure_description == "XR KNEE"


def test_an_image_without_exposure_is_not_dose() -> None:
    part = read_part(image(CR, Modality="CR"))
    assert isinstance(part, NotDose)
    assert not part
    assert part.kind == "not_relevant"


@pytest.mark.parametrize(
    ("setting", "motion", "kind"),
    [
        ("SC", "STATIC", "fluoroscopy"),
        ("GR", "STATIC", "stationary_acquisition"),
        ("GR", "DYNAMIC", "rotational"),
    ],
)
def test_xa_runs(setting: str, motion: str, kind: str) -> None:
    _, event = read(
        XA,
        Modality="XA",
        RadiationSetting=setting,
        PositionerMotion=motion,
        NumberOfFrames=30,
        FrameTime="66.6666",
        ImageType=["ORIGINAL", "PRIMARY", "BIPLANE B"],
        AveragePulseWidth="7.5",
        RadiationMode="PULSED",
    )
    assert event.irradiation_event_type == kind
    assert event.plane == "B"
    assert (event.frames_count, event.pulse_width_ms, event.fluoro_mode) == (30, 7.5, "pulsed")
    assert event.pulse_rate_per_s == pytest.approx(15.0, rel=1e-4)


def frame(primary: float, uid: str | None = None) -> Dataset:
    group = item_of(PositionerPositionSequence=[item_of(PositionerPrimaryAngle=primary, PositionerSecondaryAngle=0)])
    if uid:
        group.IrradiationEventIdentificationSequence = [item_of(IrradiationEventUID=uid)]
    return group


def test_enhanced_xa_reads_shared_and_per_frame_groups() -> None:
    shared = item_of(XRayGeometrySequence=[item_of(DistanceSourceToDetector=1200, DistanceSourceToIsocenter=785)])
    _, event = read(
        ENHANCED_XA,
        Modality="XA",
        XRayTubeCurrentInmA=412.5,
        ExposureTimeInms=66.25,
        ExposureInmAs=27.3,
        AcquisitionDuration=4.0,
        SharedFunctionalGroupsSequence=[shared],
        PerFrameFunctionalGroupsSequence=[frame(-100, "1.2.3.9"), frame(0), frame(100)],
    )
    assert (event.tube_current_ma, event.exposure_time_ms, event.exposure_mas) == (412.5, 66.25, 27.3)
    assert (event.primary_angle_deg, event.primary_end_angle_deg) == (-100, 100)
    assert (event.source_detector_mm, event.source_isocentre_mm) == (1200, 785)
    assert event.irradiation_event_uid == "1.2.3.9"


def test_identifiers_stay_out_and_staff_too() -> None:
    exam, _ = read(OperatorsName="Op^One", ReferringPhysicianName="Ref^Two")
    from dose_audit.extract import as_record

    text = repr(as_record(exam))
    assert not any(word in text for word in ("Doe", "A1234", "1970", "Op^One", "Ref^Two"))


def test_the_detectors_field_of_view_is_no_collimated_field() -> None:
    _, event = read(FieldOfViewDimensions=["229", "191"])
    assert event.extra["field_of_view_mm"] == [229.0, 191.0]
    assert event.collimated_field_area_cm2 is None


def test_a_computed_radiograph_with_nothing_but_its_sensitivity_is_an_exposure() -> None:
    exam = read_part(image(CR, Modality="CR", Manufacturer="FUJIFILM Corporation", Sensitivity="245"))
    assert isinstance(exam, Exam)
    assert exam.events[0].extra["vendor_exposure_index_name"] == "S"
    assert isinstance(read_part(image(CR, Modality="CR", Manufacturer="FUJIFILM Corporation")), NotDose)


@pytest.mark.parametrize(
    ("sent", "raw"),
    [({"AcquisitionDate": "260102"}, "260102"), ({"AcquisitionTime": "10.15"}, "10.15")],
)
def test_a_moment_that_cannot_be_read_is_told_and_the_next_one_is_used(sent: dict[str, str], raw: str) -> None:
    times = {
        "AcquisitionDate": "20260102",
        "AcquisitionTime": "101500",
        "ContentDate": "20260102",
        "ContentTime": "1020",
    }
    exam = read_part(image(DX, Modality="DX", KVP="80", **times | sent))
    assert isinstance(exam, Exam)
    assert exam.events[0].started_at == "2026-01-02T10:20:00"
    assert [(w.code, w.raw) for w in exam.warnings] == [("unreadable_time", raw)]
