"""The table of vendor exceptions: its form, and that each acting row does what it says on its device only."""

from __future__ import annotations

import re

import pytest

from dose_audit.extract.ct import CT_EVENT
from dose_audit.extract.document import DOCUMENT
from dose_audit.extract.nuclear_medicine import ADMINISTRATION
from dose_audit.extract.projection import PLANE_TOTALS, PROJECTION_EVENT
from dose_audit.extract.quirks import QUIRKS, quirks_for
from dose_audit.extract.units import factor_for
from tests.extract.sr_objects import (
    CT,
    MAMMOGRAPHY,
    PROJECTION,
    YES,
    coded,
    codes_of,
    container,
    num,
    read,
    text,
)

BY_ID = {quirk.id: quirk for quirk in QUIRKS}


def test_every_row_says_who_what_how_and_where():
    assert len(BY_ID) == len(QUIRKS)
    for quirk in QUIRKS:
        assert quirk.defect and quirk.handling and quirk.evidence, quirk.id
        assert re.fullmatch(r"[a-z0-9-]+", quirk.id)
        assert quirk.acts + bool(quirk.rule) + bool(quirk.refused) == 1, f"{quirk.id}: data, a rule, or a refusal"
        re.compile(quirk.manufacturer), re.compile(quirk.model)


def test_what_is_meant_is_a_standard_code():
    for quirk in QUIRKS:
        for scheme, value in (*quirk.concepts.values(), *quirk.values.values()):
            assert scheme in ("DCM", "SCT") or (scheme == "SRT" and re.fullmatch(r"[A-Z]\d?-\w+", value)), quirk.id


def test_every_concept_that_is_meant_has_a_rule():
    ruled = {*DOCUMENT, *PLANE_TOTALS, *PROJECTION_EVENT, *CT_EVENT, *ADMINISTRATION}
    for quirk in QUIRKS:
        assert {*quirk.concepts.values(), *quirk.meanings.values()} <= ruled, quirk.id


def test_two_rows_never_say_two_things_of_one_code():
    for name in ("concepts", "values", "meanings"):
        meant = {}
        for quirk in QUIRKS:
            for sent, target in getattr(quirk, name).items():
                assert meant.setdefault(sent, target) == target, (quirk.id, sent)


@pytest.mark.parametrize("spelling", ["Gym2", "mGycm", "uAs", "Gy.cm^2", "pulse/s"])
def test_the_row_of_spellings_is_in_the_unit_table(spelling):
    assert spelling in BY_ID["unit-spellings"].defect
    assert any(factor_for(spelling, q) for q in ("kap_gy_cm2", "dlp_mgy_cm", "charge_mas", "rate_per_s"))


HOLOGIC = {"Manufacturer": "HOLOGIC, Inc.", "ManufacturerModelName": "Selenia Dimensions"}
PHILIPS = {"Manufacturer": "Philips Medical Systems", "ManufacturerModelName": "Allura Xper"}
SIEMENS = {"Manufacturer": "Siemens", "ManufacturerModelName": "AXIOM-Artis"}


def event(*items):
    return container("113706", *items)


def test_hologic_detector_data_code():
    wrong = coded("113745", YES, meaning="Yes")
    exam = read(MAMMOGRAPHY, wrong, event(), **HOLOGIC)
    assert exam.report.extra["x_ray_detector_data_available"].value == YES.split("@")[0]
    assert codes_of(exam) == ["concept_repaired"]
    other = read(MAMMOGRAPHY, wrong, event(), Manufacturer="Another")
    assert "x_ray_detector_data_available" not in other.report.extra
    # The same code keeps its own meaning where it belongs.
    assert read(MAMMOGRAPHY, event(coded("113745", "102540008@SCT")), **HOLOGIC).events[0].patient_table_relationship


def test_hologic_filter_type_and_grid():
    filters = container("113771", coded("113772", "111650"), coded("113757", "C-167F9@SRT"))
    exam = read(MAMMOGRAPHY, event(filters, coded("111635", "gridin@99HOLX")), **HOLOGIC)
    (found,) = exam.events
    assert (found.filters[0].type, found.filters[0].material) == ("strip", "Rh")
    assert found.grid == ["reciprocating"]
    stranger = read(MAMMOGRAPHY, event(filters), Manufacturer="Another").events[0]
    assert stranger.filters[0].type is None and stranger.extra["type_sent"].value == "111650"


def test_giotto_anode_and_materials_under_the_wrong_scheme():
    filters = container("113771", coded("113757", "C-120F9"))
    anode = coded("113632", "C-164F9@SRT")
    exam = read(
        MAMMOGRAPHY,
        event(anode, filters),
        Manufacturer="IMS GIOTTO S.p.A.",
        ManufacturerModelName="GIOTTO CLASS",
    )
    assert exam.events[0].anode_material == "W" and exam.events[0].filters[0].material == "Al"
    assert read(MAMMOGRAPHY, event(anode)).events[0].anode_material is None


def test_philips_abdomen():
    exam = read(PROJECTION, event(coded("123014", "T-D400@SRT", meaning="Abdomen")), **PHILIPS)
    assert exam.events[0].target_region == ("T-D4000", "SRT", "Abdomen")


SCHEME = "@99PHI-IXR-XPER"


def test_philips_private_items_fill_standard_fields():
    exam = read(
        PROJECTION,
        event(
            num(f"021{SCHEME}", 905, "mm"),
            num(f"003{SCHEME}", 98, "1"),
            num(f"026{SCHEME}", 145, "mm", meaning="Object Thickness"),
        ),
    )
    (found,) = exam.events
    assert (found.table_height_mm, found.frames_count) == (905, 98)
    assert found.extra["object_thickness_mm"] == 145


def shutters(top, bottom, left, right):
    sides = ((9, top), (6, bottom), (7, left), (8, right))
    return container(f"005{SCHEME}", *(num(f"00{number}{SCHEME}", value, "mm") for number, value in sides))


def test_philips_shutters_are_the_field_at_the_detector():
    exam = read(PROJECTION, event(num("113750", 1500, "mm"), shutters(10, 20, 30, 50)), **PHILIPS)
    (found,) = exam.events
    # Similar triangles: 30 mm by 80 mm at 1 m are 45 mm by 120 mm at 1.5 m.
    assert (found.field_height_mm, found.field_width_mm, found.collimated_field_area_cm2) == (45, 120, 54)
    assert "field_from_shutters" in codes_of(exam)


@pytest.mark.parametrize(
    "items",
    [
        (shutters(10, 20, 30, 50),),
        (num("113750", 1500, "mm"), shutters(10, 20, 30, None)),
        (num("113750", 1500, "mm"), shutters(-30, 10, 30, 50)),
    ],
)
def test_shutters_without_distance_or_sense_give_no_field(items):
    (found,) = read(PROJECTION, event(*items), **PHILIPS).events
    assert found.field_height_mm is None and found.field_width_mm is None


def test_a_field_that_was_sent_is_not_overwritten_by_shutters():
    sent = (
        num("113750", 1500, "mm"),
        num("113788", 44, "mm"),
        num("113789", 119, "mm"),
        shutters(10, 20, 30, 50),
    )
    (found,) = read(PROJECTION, event(*sent), **PHILIPS).events
    assert (found.field_height_mm, found.field_width_mm) == (44, 119)


def test_azurion_is_fluoroscopy_whatever_it_says():
    parts = (PROJECTION, coded("122142", "113958"), container("113702", num("113722", "1", "Gy.cm2")))
    assert read(*parts, Manufacturer="Philips", ManufacturerModelName="Azurion").modality == "RF"
    assert read(*parts, Manufacturer="Philips", ManufacturerModelName="DigitalDiagnost").modality == "DX"


POSITION = (
    '<Root><PatientPosition><Position SRData="{} "/></PatientPosition><PhysicianName SRData="Somebody^Real"/></Root>'
)


@pytest.mark.parametrize(
    ("sent", "table", "modifier"),
    [
        ("HFS", "F-10470", "F-10340"),
        ("hfp", "F-10470", "F-10310"),
        ("FFS", "F-10480", "F-10340"),
        ("ffp", "F-10480", "F-10310"),
    ],
)
def test_artis_position_from_the_comment(sent, table, modifier):
    exam = read(PROJECTION, event(), text("121106", POSITION.format(sent)), **SIEMENS)
    (found,) = exam.events
    assert found.patient_table_relationship.value == table
    assert found.patient_orientation.value == "F-10450"
    assert found.patient_orientation_modifier.value == modifier
    assert "Somebody" not in exam.report.comment
    assert read(PROJECTION, event(), text("121106", POSITION.format(sent))).events[0].patient_orientation is None


def test_artis_position_sent_as_codes_or_unclear_stays():
    sent = event(coded("113743", "102539006@SCT"))
    exam = read(PROJECTION, sent, text("121106", POSITION.format("HFS")), **SIEMENS)
    assert exam.events[0].patient_orientation.value == "102539006"
    unclear = POSITION.format("HFS") + POSITION.format("FFP")
    assert read(PROJECTION, event(), text("121106", unclear), **SIEMENS).events[0].patient_orientation is None


def test_artis_intensifier_diameter_from_the_comment():
    exam = read(PROJECTION, event(text("121106", '<FluoroData><iiDiameter SRData="220"/></FluoroData>')), **SIEMENS)
    assert exam.events[0].extra["image_intensifier_diameter_mm"] == 220


COMMENT = "Internal technical scan parameters: Body Region = Body, X-ray Modulation Type = XYZ_EC, Sn Filter = yes"


def test_siemens_modulation_from_the_comment():
    acquisition = container("113819", text("121106", COMMENT))
    assert read(CT, acquisition, Manufacturer="SIEMENS").events[0].modulation_type == "XYZ_EC"
    assert read(CT, acquisition, Manufacturer="Another").events[0].modulation_type is None
    sent = container("113819", text("121106", COMMENT), text("113842", "Z_EC"))
    assert read(CT, sent, Manufacturer="SIEMENS").events[0].modulation_type == "Z_EC"


def test_umls_spiral():
    exam = read(CT, container("113819", coded("113820", "C0860888@UMLS")))
    assert exam.events[0].ct_acquisition_type == "spiral"


def test_a_private_meaning_counts_only_under_its_own_scheme():
    twin = num(f"777{SCHEME}", 905, "mm", meaning="Table height position")
    assert read(PROJECTION, event(twin)).events[0].table_height_mm == 905
    frames = num(f"778{SCHEME}", 12, "1", meaning="Number of frames")
    assert read(PROJECTION, event(frames)).events[0].frames_count == 12
    other = num("778@99OTHER", 12, "1", meaning="Number of frames")
    assert read(PROJECTION, event(other)).events[0].frames_count is None


def test_dicom_codes_under_the_scheme_of_snomed():
    exam = read(MAMMOGRAPHY, coded("121005", "121006@SRT"), event(coded("111635", "111642@SRT")))
    assert exam.events[0].grid == ["focused"]
    assert exam.report.observers[0].type == "person"


def test_unknown_region_of_ge():
    region = coded("123014", "00001@99GEMS", meaning="Unknown")
    exam = read(CT, container("113819", region), Manufacturer="GE MEDICAL SYSTEMS")
    assert exam.events[0].target_region == ("T-D0001", "SRT", "Unknown")
    assert read(CT, container("113819", region)).events[0].target_region.scheme == "99GEMS"


def test_arcadis_summary():
    exam = read(
        num("C-200@99SMS_RADSUM", 3, "1"),
        num("C-202@99SMS_RADSUM", "34.427", "s"),
        num("C-204@99SMS_RADSUM", "0.2359", "Gy.cm^2"),
        num("C-210@99SMS_RADSUM", None),
        root="C-10@99SMS_RADSUM",
        sop_class="1.2.840.10008.5.1.4.1.1.88.22",
        Manufacturer="SIEMENS",
        ManufacturerModelName="ARCADIS",
    )
    assert exam.modality == "RF" and exam.sources[0].kind == "enhanced_sr"
    (plane,) = exam.totals.planes
    assert (plane.plane, plane.kap_gy_cm2, plane.fluoro_time_s) == ("single", 0.2359, 34.427)
    assert (exam.totals.kap_gy_cm2, exam.totals.radiographic_frames, exam.totals.dose_rp_mgy) == (
        0.2359,
        3,
        None,
    )


def test_ge_offset_with_letters():
    exam = read(PROJECTION, event(), Manufacturer="GE", TimezoneOffsetFromUTC="UTC-04:00")
    assert exam.study_datetime.endswith("-04:00")


def test_every_acting_row_is_reachable_and_general_rules_are_not_gathered():
    acting = [quirk for quirk in QUIRKS if quirk.acts]
    assert len(acting) >= 15
    active = quirks_for("Nobody", "Nothing")
    general = [quirk for quirk in acting if not quirk.manufacturer and not quirk.model]
    assert set(active.concepts) == {sent for quirk in general for sent in quirk.concepts}
    assert set(active.repairs) == {name for quirk in general for name in quirk.repairs}


# Who stands in the peer's table of special cases; each is named by a row, here or among the image exceptions.
VENDORS = [
    "Allura",
    "Arcadis",
    "Artis",
    "Azurion",
    "CXDI",
    "Eleva",
    "Eurocolumbus",
    "Fluorospot",
    "Giotto",
    "Hologic",
    "Intevo",
    "Mammomat",
    "MiniView",
    "Opera Swing",
    "Spectrum",
    "Ultimax",
    "Varian",
    "Aquilion",
    "Alphenix",
    "FD20",
    "Ingenuity",
    "IMPAX",
    "DigitalDiagnost",
    "LightSpeed",
]


@pytest.mark.parametrize("vendor", VENDORS)
def test_the_vendor_is_in_the_table(vendor):
    words = " ".join(
        " ".join((quirk.id, quirk.defect, quirk.handling, quirk.evidence, quirk.manufacturer, quirk.model))
        for quirk in QUIRKS
    )
    assert vendor.lower() in words.lower()
