"""Mammography dose reports: glandular dose per breast and the breast rows of an event."""

from __future__ import annotations

from tests.extract.sr_objects import MAMMOGRAPHY, coded, codes_of, container, num, read, text, uid

LEFT, RIGHT = coded("272741003@SCT", "80248007@SCT"), coded("G-C171@SRT", "T-04020@SRT")


def test_every_breast_row_of_an_event():
    exam = read(
        MAMMOGRAPHY,
        container(
            "113706",
            uid("113769", "1.2.3.8"),
            num("111631", "1.30", "mGy"),
            num("111634", "0.535", "mm"),
            num("111636", "3.65", "mGy"),
            coded("111632", "C-164F9@SRT"),
            num("111633", "4.3", "cm"),
            num("111647", "98", "N"),
            num("111648", "9.5", "kPa"),
            coded("129715009@SCT", "129718006@SCT", meaning="Heterogeneously dense"),
            num("111046", "18", "%"),
        ),
    )
    assert exam.modality == "MG"
    (event,) = exam.events
    assert (event.agd_mgy, event.half_value_layer_mm, event.entrance_exposure_mgy) == (1.3, 0.535, 3.65)
    assert (event.anode_material, event.compression_thickness_mm) == ("W", 43)
    assert (event.compression_force_n, event.compression_pressure_kpa) == (98, 9.5)
    assert (event.breast_composition, event.fibroglandular_percent) == ("Heterogeneously dense", 18)
    assert not exam.warnings


def test_glandular_dose_in_decigray_is_converted_by_its_unit():
    exam = read(
        MAMMOGRAPHY,
        container("113702", num("111637", "0.0130", "dGy", LEFT), num("111637", "1.28", "mGy", RIGHT)),
        container("113706", num("111631", "0.0130", "dGy")),
    )
    assert exam.totals.agd_mgy == {"left": 1.3, "right": 1.28}
    assert exam.events[0].agd_mgy == 1.3


def test_glandular_dose_of_no_known_breast_is_not_guessed():
    exam = read(
        MAMMOGRAPHY,
        container("113702", num("111637", "1.3", "mGy")),
        container("113706", text("125203", "CC")),
    )
    assert exam.totals.agd_mgy == {}
    assert codes_of(exam) == ["agd_without_laterality"]


def test_the_device_type_does_not_change_mammography():
    exam = read(MAMMOGRAPHY, coded("122142", "113957"), container("113706", num("111631", "1", "mGy")))
    assert exam.modality == "MG"
