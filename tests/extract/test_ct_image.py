"""CT headers: what a slice carries, how slices become one event, enhanced objects, private elements."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from dose_audit.extract import Exam, NotDose, as_record, merge_parts, read_exam, read_part
from dose_audit.extract.exam import CtEvent
from tests.extract.made import CT, ENHANCED_CT, code, image, item_of, uid_of

BODY = [code("113691", "DCM", "IEC Body Dosimetry Phantom")]
SLICE = {
    "Modality": "CT",
    "KVP": "120",
    "XRayTubeCurrent": 200,
    "CTDIvol": 7.25,
    "CTDIPhantomTypeCodeSequence": BODY,
    "AcquisitionNumber": 2,
    "AcquisitionDate": "20240311",
    "AcquisitionTime": "101623",
    "ProtocolName": "Thorax",
    "IrradiationEventUID": "1.2.3.100",
}


FOLDED = [
    image(CT, **{**SLICE, "SOPInstanceUID": uid_of("f", n), "CTDIvol": 0.1 * (n + 1), "XRayTubeCurrent": 100 + n})
    for n in range(7)
]


def part(**elements: object) -> Exam:
    exam = read_part(image(CT, **{**SLICE, **elements}))
    assert isinstance(exam, Exam)
    return exam


def test_a_slice_carries_ctdi_and_phantom_and_no_dlp() -> None:
    exam = part(
        SpiralPitchFactor=0.9,
        SingleCollimationWidth=0.6,
        TotalCollimationWidth=38.4,
        RevolutionTime=0.5,
        ConvolutionKernel="Br40",
        SliceThickness="5",
        ExposureModulationType="XYZ_EC",
    )
    (event,) = exam.events
    assert isinstance(event, CtEvent)
    assert (event.ctdi_vol_mgy, event.ctdi_phantom, event.dlp_mgy_cm) == (7.25, "body_32cm", None)
    assert (event.pitch_factor, event.nominal_single_collimation_mm, event.nominal_total_collimation_mm) == (
        0.9,
        0.6,
        38.4,
    )
    assert (event.sources[0].kvp_kv, event.sources[0].tube_current_ma) == (120, 200)
    assert event.sources[0].exposure_time_per_rotation_s == 0.5
    assert (event.ct_acquisition_type, event.convolution_kernel) == ("spiral", ["Br40"])
    assert exam.totals.ct_dlp_mgy_cm is None


def test_many_slices_of_one_event_uid_are_one_event() -> None:
    slices = [
        part(
            SOPInstanceUID=uid_of("slice", n),
            CTDIvol=6.0 + n % 3,
            XRayTubeCurrent=150 + 10 * n,
            AcquisitionTime=f"1016{23 + n:02}",
            SeriesInstanceUID=uid_of("series", n % 2),
        )
        for n in range(6)
    ]
    exam = merge_parts(slices)
    (event,) = exam.events
    # Two reconstructions of one acquisition; means over their slices by hand.
    assert event.ctdi_vol_mgy == pytest.approx((6 + 7 + 8 + 6 + 7 + 8) / 6)
    assert event.sources[0].tube_current_ma == pytest.approx((150 + 160 + 170 + 180 + 190 + 200) / 6)
    assert event.started_at == "2024-03-11T10:16:23"
    assert event.extra["images"]["count"] == 6
    assert len(exam.sources) == 2  # one stands for the slices of each series
    assert "ctdi_vol_of_slices" in [warning.code for warning in exam.warnings]


@settings(max_examples=40, deadline=None)
@given(st.permutations(range(7)), st.integers(1, 6))
def test_slices_fold_the_same_in_any_order_and_grouping(order: list[int], cut: int) -> None:
    from dose_audit.extract.slices import fold_parts

    def folded(numbers: list[int]) -> Exam:
        whole, *rest = [read_part(FOLDED[n]) for n in numbers]
        for more in rest:
            whole = fold_parts(whole, more)
        return whole

    straight = folded(list(range(7)))
    grouped = fold_parts(folded(order[:cut]), folded(order[cut:]))
    assert as_record(grouped) == as_record(straight)
    assert straight.events[0].ctdi_vol_mgy == pytest.approx(0.4)


def test_slices_without_event_uid_go_by_time_overlap() -> None:
    def slices(series: str, first: int, count: int, number: int) -> list[Exam]:
        given = {name: value for name, value in SLICE.items() if name != "IrradiationEventUID"}
        made = []
        for n in range(count):
            read = read_part(
                image(
                    CT,
                    **{**given, "AcquisitionTime": f"1016{first + n:02}", "AcquisitionNumber": number},
                    SeriesInstanceUID=uid_of(series),
                    SOPInstanceUID=uid_of(series, n),
                )
            )
            assert isinstance(read, Exam)
            made.append(read)
        return made

    exam = merge_parts(slices("thin", 10, 8, 1) + slices("thick", 10, 4, 1) + slices("late phase", 40, 4, 2))
    # Two reconstructions of the first scan, then another scan 20 s later.
    assert [event.started_at for event in exam.events] == ["2024-03-11T10:16:10", "2024-03-11T10:16:40"]
    assert [event.extra["images"]["count"] for event in exam.events] == [12, 4]


def test_localisers_are_constant_angle() -> None:
    event = part(ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"]).events[0]
    assert event.ct_acquisition_type == "constant_angle"


@pytest.mark.parametrize(
    ("elements", "kind"),
    [
        ({"ImageType": ["ORIGINAL", "PRIMARY", "AXIAL", "CT_SOM5 SPI DUAL"]}, "spiral"),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "AXIAL", "CT_SOM7 SEQ"]}, "sequenced"),
        ({"ScanOptions": "HELICAL MODE"}, "spiral"),
        ({"ScanOptions": "AXIAL MODE"}, "sequenced"),
        ({"ScanOptions": "DVOLUME_CT"}, "stationary"),
        ({}, None),
    ],
)
def test_acquisition_types_as_vendors_name_them(elements: dict[str, object], kind: str | None) -> None:
    assert part(**elements).events[0].ct_acquisition_type == kind


def toshiba(ctdi: float, dlp: float, number: int, *, unknown_vr: bool = False) -> bytes:
    def double(value: float) -> tuple[str, object]:
        return ("UN", struct.pack("<d", value)) if unknown_vr else ("FD", value)

    given = {name: value for name, value in SLICE.items() if name not in ("CTDIvol", "CTDIPhantomTypeCodeSequence")}
    creator = "TOSHIBA_MEC_CT3"
    return image(
        CT,
        **given,
        Manufacturer="TOSHIBA",
        SOPInstanceUID=uid_of("toshiba", number),
        private={
            (0x7005, creator, 0x63): double(ctdi),
            (0x7005, creator, 0x40): double(dlp),
            (0x7005, creator, 0x08): ("DS", "0.5"),
            (0x7005, creator, 0x09): ("LO", "0" * 8 + "1" * 64),
            (0x7005, creator, 0x23): ("DS", "0.844"),
        },
    )


@pytest.mark.parametrize("unknown_vr", [False, True])
def test_toshiba_images_carry_dose_in_private_elements(unknown_vr: bool) -> None:
    exam = read_exam(toshiba(11.5, 402.5, 1, unknown_vr=unknown_vr))
    assert isinstance(exam, Exam)
    (event,) = exam.events
    assert (event.ctdi_vol_mgy, event.dlp_mgy_cm, event.pitch_factor) == (11.5, 402.5, 0.844)
    assert (event.nominal_single_collimation_mm, event.nominal_total_collimation_mm) == (0.5, 32.0)
    assert exam.totals.events_ct_dlp_mgy_cm == 402.5


def test_slices_that_contradict_each_other_on_dlp_give_none() -> None:
    same = merge_parts([read_part(toshiba(11.5, 402.5, n)) for n in (1, 2, 3)])
    assert same.events[0].dlp_mgy_cm == 402.5
    exam = merge_parts([read_part(toshiba(11.5, dlp, n)) for n, dlp in enumerate((402.5, 402.5, 390.0))])
    assert exam.events[0].dlp_mgy_cm is None
    assert exam.totals.events_ct_dlp_mgy_cm is None
    assert "dlp_of_slices" in [warning.code for warning in exam.warnings]


def enhanced_frame(uid: str, ctdi: float, current: float, when: str) -> Dataset:
    return item_of(
        FrameContentSequence=[item_of(FrameAcquisitionDateTime=when)],
        IrradiationEventIdentificationSequence=[item_of(IrradiationEventUID=uid)],
        CTExposureSequence=[item_of(CTDIvol=ctdi, XRayTubeCurrentInmA=current, CTDIPhantomTypeCodeSequence=BODY)],
    )


def test_enhanced_ct_reads_its_functional_groups() -> None:
    shared = item_of(
        CTAcquisitionTypeSequence=[item_of(AcquisitionType="SPIRAL")],
        CTAcquisitionDetailsSequence=[item_of(RevolutionTime=0.28, TotalCollimationWidth=57.6)],
        CTTableDynamicsSequence=[item_of(SpiralPitchFactor=1.2)],
        CTXRayDetailsSequence=[item_of(KVP=100)],
    )
    frames = [
        enhanced_frame("1.2.3.1", 5.0, 180.0, "20240311101600"),
        enhanced_frame("1.2.3.1", 7.0, 220.0, "20240311101601"),
        enhanced_frame("1.2.3.2", 2.0, 90.0, "20240311101700"),
    ]
    data = image(
        ENHANCED_CT,
        Modality="CT",
        ProtocolName="Thorax",
        SharedFunctionalGroupsSequence=[shared],
        PerFrameFunctionalGroupsSequence=frames,
    )
    exam = read_exam(data)
    assert isinstance(exam, Exam)
    assert [
        (
            e.irradiation_event_uid,
            e.started_at,
            e.ctdi_vol_mgy,
            e.ctdi_phantom,
            e.ct_acquisition_type,
            e.pitch_factor,
        )
        for e in exam.events
    ] == [
        ("1.2.3.1", "2024-03-11T10:16:00", 6.0, "body_32cm", "spiral", 1.2),
        ("1.2.3.2", "2024-03-11T10:17:00", 2.0, "body_32cm", "spiral", 1.2),
    ]
    source = exam.events[0].sources[0]
    assert (source.kvp_kv, source.tube_current_ma, source.exposure_time_per_rotation_s) == (100, 200, 0.28)


def test_reformats_and_saved_screens_are_not_exposures() -> None:
    given = {name: value for name, value in SLICE.items() if name != "IrradiationEventUID"}
    for kinds in (["DERIVED", "SECONDARY", "MPR"], ["DERIVED", "SECONDARY", "SCREEN SAVE"]):
        assert isinstance(read_part(image(CT, **{**given, "ImageType": kinds})), NotDose)


def test_a_slice_without_ctdi_keeps_its_technique() -> None:
    event = part(CTDIvol=0.0).events[0]
    assert event.ctdi_vol_mgy is None
    assert event.sources[0].kvp_kv == 120


def test_an_unknown_phantom_is_said() -> None:
    exam = part(CTDIPhantomTypeCodeSequence=[code("113682", "DCM", "ACR Accreditation Phantom - CT")])
    assert exam.events[0].ctdi_phantom is None
    assert "unknown_code" in [warning.code for warning in exam.warnings]


def test_a_cone_beam_slice_tells_its_kap_and_no_ctdi() -> None:
    sent = {"Modality": "CT", "KVP": "90", "ImageAndFluoroscopyAreaDoseProduct": "7.25", "Manufacturer": "Planmeca"}
    exam = read_exam(image(CT, **sent))
    assert isinstance(exam, Exam)
    (event,) = exam.events
    assert (event.extra["kap_gy_cm2"], event.ctdi_vol_mgy) == (0.725, None)
    only_kap = read_exam(image(CT, Modality="CT", ImageAndFluoroscopyAreaDoseProduct="7.25"))
    assert isinstance(only_kap, Exam)
    none = read_exam(image(CT, Modality="CT", ImageAndFluoroscopyAreaDoseProduct="0"))
    assert not isinstance(none, Exam)
