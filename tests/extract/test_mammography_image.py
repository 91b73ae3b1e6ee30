"""MG, Breast Tomosynthesis, breast projections, Hologic's projections in secondary captures."""

from __future__ import annotations

import pytest

from dose_audit.extract import Exam, NotDose, read_exam, read_part
from dose_audit.extract.exam import ProjectionEvent
from tests.extract.made import (
    BREAST_PROJECTION,
    MG,
    SC,
    TOMOSYNTHESIS,
    image,
    item_of,
    uid_of,
)

VIEW = {
    "Modality": "MG",
    "Manufacturer": "GE MEDICAL SYSTEMS",
    "ManufacturerModelName": "Senographe DS",
    "KVP": "28",
    "OrganDose": "0.0156",
    "ImageLaterality": "R",
    "AcquisitionDate": "20240311",
    "AcquisitionTime": "101623",
    "BodyPartThickness": "54",
    "CompressionForce": "92",
}


def read(sop_class: str = MG, **elements: object) -> tuple[Exam, list[ProjectionEvent]]:
    exam = read_part(image(sop_class, **{**VIEW, **elements}))
    assert isinstance(exam, Exam)
    return exam, exam.events


def codes(exam: Exam) -> list[str]:
    return [warning.code for warning in exam.warnings]


def test_organ_dose_is_in_decigray() -> None:
    exam, (event,) = read(EntranceDoseInmGy="6.1", AnodeTargetMaterial="RHODIUM", CommentsOnRadiationDose="32 %")
    assert event.agd_mgy == pytest.approx(1.56, rel=1e-12)
    assert (event.laterality, event.compression_thickness_mm, event.compression_force_n) == ("right", 54, 92)
    assert (event.anode_material, event.fibroglandular_percent, event.entrance_exposure_mgy) == (
        "Rh",
        32,
        6.1,
    )
    assert exam.modality == "MG"


def test_an_accumulated_dose_is_made_of_the_events() -> None:
    exam = read_exam(image(MG, **VIEW))
    assert isinstance(exam, Exam)
    assert exam.totals.events_agd_mgy == {"right": pytest.approx(1.56, rel=1e-12)}
    assert exam.totals.agd_mgy == {}


def test_old_senographe_forces_in_decinewton() -> None:
    exam, (event,) = read(CompressionForce="920")
    assert event.compression_force_n == 92
    assert "force_in_decinewton" in codes(exam)


def test_a_force_that_may_be_in_kilogram_is_kept_and_named() -> None:
    exam, (event,) = read(CompressionForce="9.2")
    assert event.compression_force_n == 9.2
    assert "compression_force_suspect" in codes(exam)


def test_radiological_thickness_of_ge() -> None:
    data = image(MG, private={(0x0045, "GEMS_SENO_02", 0x49): ("DS", "56")}, **VIEW)
    exam = read_part(data)
    assert isinstance(exam, Exam)
    assert exam.events[0].extra["radiological_thickness_mm"] == 56


def test_tomosynthesis_has_its_dose_inside_the_acquisition_item() -> None:
    sweep = item_of(
        KVP="31",
        OrganDose="0.0187",
        ExposureInmAs=56.2,
        BodyPartThickness="58",
        FilterMaterial="ALUMINUM",
        FilterThicknessMinimum="0.7",
        FilterThicknessMaximum="0.7",
        AnodeTargetMaterial="TUNGSTEN",
        PrimaryPositionerScanStartAngle=-7.5,
        PrimaryPositionerScanArc=15.0,
    )
    given = {name: value for name, value in VIEW.items() if name not in ("KVP", "OrganDose", "BodyPartThickness")}
    laterality = item_of(FrameAnatomySequence=[item_of(FrameLaterality="L")])
    del given["ImageLaterality"]
    exam = read_part(
        image(
            TOMOSYNTHESIS,
            **given,
            IrradiationEventUID="1.2.3.7",
            XRay3DAcquisitionSequence=[sweep],
            SharedFunctionalGroupsSequence=[laterality],
        )
    )
    assert isinstance(exam, Exam)
    (event,) = exam.events
    assert event.agd_mgy == pytest.approx(1.87, rel=1e-12)
    assert (event.tomosynthesis, event.laterality, event.irradiation_event_uid) == (True, "left", "1.2.3.7")
    assert (event.kvp_kv, event.exposure_mas, event.anode_material) == (31, 56.2, "W")
    assert (event.primary_angle_deg, event.primary_end_angle_deg) == (-7.5, 7.5)
    assert [(f.material, f.min_mm) for f in event.filters] == [("Al", 0.7)]


def test_two_acquisitions_in_one_tomosynthesis_are_two_events() -> None:
    sweeps = [item_of(KVP="31", OrganDose="0.01"), item_of(KVP="29", OrganDose="0.02")]
    exam, events = read(
        TOMOSYNTHESIS,
        OrganDose="0.03",
        XRay3DAcquisitionSequence=sweeps,
        IrradiationEventUID=["1.2.3", "1.2.4"],
    )
    assert [(event.irradiation_event_uid, event.agd_mgy) for event in events] == [
        ("1.2.3", 1.0),
        ("1.2.4", 2.0),
    ]
    assert exam.modality == "MG"


def test_breast_projections_add_up_their_frames() -> None:
    shares = ["0.0011", "0.0012", "0.0013"]
    frames = [item_of(XRayAcquisitionDoseSequence=[item_of(OrganDose=share)]) for share in shares]
    given = {name: value for name, value in VIEW.items() if name != "OrganDose"}
    exam = read_part(image(BREAST_PROJECTION, **given, PerFrameFunctionalGroupsSequence=frames))
    assert isinstance(exam, Exam)
    assert exam.events[0].agd_mgy == pytest.approx(0.36, rel=1e-12)


def test_a_frame_without_its_share_leaves_the_sum_unknown() -> None:
    frames = [
        item_of(XRayAcquisitionDoseSequence=[item_of(OrganDose="0.001")]),
        item_of(FrameAcquisitionNumber=1),
    ]
    given = {name: value for name, value in VIEW.items() if name != "OrganDose"}
    exam = read_part(image(BREAST_PROJECTION, **given, PerFrameFunctionalGroupsSequence=frames))
    assert isinstance(exam, Exam)
    assert exam.events[0].agd_mgy is None


def test_hologic_projections_are_secondary_captures_and_each_has_its_share() -> None:
    shots = [
        image(
            SC,
            **{**VIEW, "Manufacturer": "HOLOGIC, Inc.", "OrganDose": "0.0026", "Laterality": "R"},
            InstanceNumber=number,
            SOPInstanceUID=uid_of("shot", number),
        )
        for number in (1, 2)
    ]
    parts = [read_part(shot) for shot in shots]
    assert all(isinstance(part, Exam) and part.modality == "MG" for part in parts)
    from dose_audit.extract import merge_parts

    exam = merge_parts(parts)
    # The same second and the same technique, and yet two exposures: not a for-processing pair.
    assert len(exam.events) == 2
    assert exam.totals.events_agd_mgy == {"right": pytest.approx(0.52, rel=1e-12)}


def test_a_synthetic_view_counts_only_with_an_event_uid() -> None:
    computed = {"ImageType": ["DERIVED", "PRIMARY", "TOMOSYNTHESIS", "GENERATED_2D"]}
    assert isinstance(read_part(image(MG, **{**VIEW, **computed})), NotDose)
    _, (event,) = read(**computed, IrradiationEventUID="1.2.3.7")
    assert event.irradiation_event_uid == "1.2.3.7"


def test_a_glandular_dose_that_cannot_be_in_dgy_is_no_value() -> None:
    # 1.2 as Organ Dose is 120 mGy of one exposure: the sender wrote mGy.
    exam = read_exam(image(MG, Modality="MG", KVP="28", OrganDose="1.2"))
    assert isinstance(exam, Exam)
    assert exam.events[0].agd_mgy is None
    assert [(w.code, w.raw) for w in exam.warnings] == [("agd_unit_unknown", "120 mGy")]
    thick = read_exam(image(MG, Modality="MG", KVP="34", OrganDose="0.21"))
    assert isinstance(thick, Exam) and thick.events[0].agd_mgy == 21
