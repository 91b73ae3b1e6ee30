"""Dance's model against its tables, and which exposures count."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dose_audit.dosimetry import (
    agd_agreement,
    distinct_exposures,
    exam_dosimetry,
    exposure_kind,
    mean_glandular_dose,
    thickness_band,
)
from dose_audit.extract import Code
from dose_audit.extract.exam import Exam, Filter, ProjectionEvent

CM = (2, 3, 4, 4.5, 5, 6, 7, 8, 9, 10, 11)
# Dance et al 2000: g by half-value layer (mm Al), for the thicknesses above.
G = {
    0.30: (0.390, 0.274, 0.207, 0.183, 0.164, 0.135, 0.114, 0.098, 0.0859, 0.0763, 0.0687),
    0.35: (0.433, 0.309, 0.235, 0.208, 0.187, 0.154, 0.130, 0.112, 0.0981, 0.0873, 0.0783),
    0.40: (0.473, 0.342, 0.261, 0.232, 0.209, 0.172, 0.145, 0.126, 0.1106, 0.0986, 0.0887),
    0.45: (0.509, 0.374, 0.289, 0.258, 0.232, 0.192, 0.163, 0.140, 0.1233, 0.1096, 0.0988),
    0.50: (0.543, 0.406, 0.318, 0.285, 0.258, 0.214, 0.177, 0.154, 0.1357, 0.1207, 0.1088),
    0.55: (0.573, 0.437, 0.346, 0.311, 0.287, 0.236, 0.202, 0.175, 0.1543, 0.1375, 0.1240),
    0.60: (0.587, 0.466, 0.374, 0.339, 0.310, 0.261, 0.224, 0.195, 0.1723, 0.1540, 0.1385),
}
S = {
    ("Mo", "Mo"): 1.0,
    ("Mo", "Rh"): 1.017,
    ("Rh", "Rh"): 1.061,
    ("Rh", "Al"): 1.044,
    ("W", "Rh"): 1.042,
    ("W", "Ag"): 1.042,
}


def test_every_tabulated_g_is_reproduced() -> None:
    for hvl, line in G.items():
        for cm, g in zip(CM, line, strict=True):
            assert mean_glandular_dose(1.0, hvl, 10 * cm, "Mo", "Mo").value == pytest.approx(g)


@pytest.mark.parametrize(("pair", "s"), S.items())
def test_every_spectrum_factor(pair: tuple[str, str], s: float) -> None:
    assert mean_glandular_dose(1.0, 0.4, 50.0, *pair).value == pytest.approx(0.209 * s)


@pytest.mark.parametrize(
    ("kerma", "hvl", "cm", "pair", "expected"),
    [(8, 0.35, 5, ("Mo", "Rh"), 1.521432), (5, 0.40, 4, ("Mo", "Mo"), 1.305)],
)
def test_worked_cases(kerma: float, hvl: float, cm: float, pair: tuple[str, str], expected: float) -> None:
    assert mean_glandular_dose(kerma, hvl, 10 * cm, *pair, c_factor=1.0).value == pytest.approx(expected)


def test_dicom_words_and_the_sweep_factor() -> None:
    plain = mean_glandular_dose(5.0, 0.5, 50.0, "TUNGSTEN", "RHODIUM")
    assert plain.value == mean_glandular_dose(5.0, 0.5, 50.0, "W", "Rh").value
    sweep = mean_glandular_dose(
        5.0, 0.5, 50.0, "Tungsten", "Rhodium or Rhodium compound", t_factor=0.97, tomosynthesis=True
    )
    assert sweep.value == pytest.approx(0.97 * (plain.value or 0))
    assert "factor T" in mean_glandular_dose(5.0, 0.5, 50.0, "W", "Rh", tomosynthesis=True).reason


@pytest.mark.parametrize(
    ("kerma", "hvl", "thickness", "anode", "material", "word"),
    [
        (5, 0.29, 50, "Mo", "Mo", "half-value layer"),
        (5, 0.61, 50, "Mo", "Mo", "half-value layer"),
        (5, None, 50, "Mo", "Mo", "half-value layer"),
        (5, 0.4, 0, "Mo", "Mo", "thickness"),
        (5, 0.4, 111, "Mo", "Mo", "thickness"),
        (-1, 0.4, 50, "Mo", "Mo", "kerma"),
        (math.nan, 0.4, 50, "Mo", "Mo", "kerma"),
        (5, 0.4, 50, "W", "Al", "factor s"),
        (5, 0.4, 50, None, "Mo", "no target or filter"),
        (5, 0.4, 50, "rhodium", "silver", "only the machine's own AGD"),
    ],
)
def test_what_is_refused(
    kerma: float, hvl: float | None, thickness: float, anode: str | None, material: str, word: str
) -> None:
    result = mean_glandular_dose(kerma, hvl, thickness, anode, material)
    assert result.value is None
    assert word in result.reason


@given(st.floats(0.5, 20), st.floats(0.30, 0.58), st.floats(20, 100))
def test_thicker_breasts_get_less_per_kerma_and_harder_beams_more(kerma: float, hvl: float, thickness: float) -> None:
    base = mean_glandular_dose(kerma, hvl, thickness, "W", "Rh").value
    assert base is not None
    assert mean_glandular_dose(kerma, hvl, thickness + 10, "W", "Rh").value < base  # type: ignore[operator]
    assert mean_glandular_dose(kerma, hvl + 0.02, thickness, "W", "Rh").value > base  # type: ignore[operator]
    assert mean_glandular_dose(0.0, hvl, thickness, "W", "Rh").value == 0


def test_a_disagreement_with_the_machine_is_flagged() -> None:
    assert mean_glandular_dose(5.0, 0.4, 40.0, "Mo", "Mo", machine_agd_mgy=1.4).status == "ok"
    slipped = mean_glandular_dose(5.0, 0.4, 40.0, "Mo", "Mo", machine_agd_mgy=13.05)
    assert slipped.status == "suspect"
    assert slipped.details["machine_ratio"] == pytest.approx(10)
    assert agd_agreement(0.0, 1.3) == (None, "")


@pytest.mark.parametrize(
    ("mm", "band"), [(50, "50-60 mm"), (59.9, "50-60 mm"), (None, None), (0, None), (math.nan, None), (200, None)]
)
def test_bands(mm: float | None, band: str | None) -> None:
    assert thickness_band(mm) == band


def exposure(**fields: object) -> ProjectionEvent:
    return ProjectionEvent(**{"agd_mgy": 1.2, "laterality": "left", **fields})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({}, "standard"),
        ({"tomosynthesis": True}, "tomosynthesis"),
        ({"agd_mgy": 0.0}, "no_dose"),
        ({"agd_mgy": None}, "no_dose"),
        ({"agd_mgy": 120.0}, "implausible"),
        ({"magnification": 1.8}, "magnification"),
        ({"view_modifier": Code("R-102D6", "SRT", "Magnification")}, "magnification"),
        ({"view_modifier": Code("R-102D7", "SRT", "Spot compression")}, "spot"),
        ({"view_modifier": Code("R-102D5", "SRT", "Implant displaced")}, "implant"),
        ({"acquisition_protocol": "STEREO"}, "biopsy"),
        ({"view_modifier": Code("399163009", "SCT", "Vergrößerung")}, "magnification"),
        ({"view_modifier": Code("399055006", "SCT", "Compression localisée")}, "spot"),
        ({"view_modifier": Code("399209000", "SCT", "Implantat verschoben")}, "implant"),
        ({"view": Code("127457009", "SCT", "Präparat")}, "biopsy"),
        ({"comment": "Biopsy control"}, "biopsy"),
    ],
)
def test_only_like_is_compared_with_like(fields: dict[str, object], kind: str) -> None:
    assert exposure_kind(exposure(**fields)) == kind


def test_twins_are_one_exposure() -> None:
    same = {"started_at": "2026-01-01T10:00:00.1", "exposure_mas": 80.0}
    twins = [exposure(**same), exposure(**{**same, "started_at": "2026-01-01T10:00:00.4"})]
    others = [exposure(**same, irradiation_event_uid="1.2"), exposure(**same, irradiation_event_uid="1.2")]
    right = exposure(**{**same, "laterality": "right"})
    untimed = [exposure(), exposure()]
    assert len(distinct_exposures(twins)) == 1
    assert len(distinct_exposures([*twins, *others, right, *untimed])) == 5


absurd = st.one_of(st.none(), st.floats(), st.sampled_from([0.0, -1.0, 1e-300, 1e300, 0.4, 40.0]))


@given(
    st.fixed_dictionaries(
        {},
        optional=dict.fromkeys(
            (
                "agd_mgy",
                "entrance_exposure_mgy",
                "half_value_layer_mm",
                "compression_thickness_mm",
                "magnification",
                "exposure_mas",
            ),
            absurd,
        ),
    ),
    st.dictionaries(
        st.sampled_from(["breast_implant_present", "projection_of_sweep"]),
        st.sampled_from([None, "", "YES", 1, 10**400, [], {}, b"Y"]),
    ),
    st.sampled_from([[], [Filter()], [Filter(material="")], [Filter(material="Rh"), Filter(material="Al")]]),
)
def test_any_event_gives_a_finite_dose_or_a_reason(
    numbers: dict[str, float | None], extra: dict[str, object], filters: list[Filter]
) -> None:
    for given_filters in (filters, [Filter(material="Mo")]):
        event = exposure(anode_material="Mo", filters=given_filters, extra=extra, **numbers)
        for item in exam_dosimetry(Exam(modality="MG", events=[event])):
            assert item.reason if item.value is None else math.isfinite(item.value) and item.value >= 0


@pytest.mark.parametrize("thickness", [30.0, 53.0, 80.0])
@pytest.mark.parametrize("c_factor", [None, 1.0])
def test_the_stated_uncertainty_covers_what_the_inputs_may_be_off(thickness: float, c_factor: float | None) -> None:
    """Displayed kerma, half-value layer and thickness drawn about true ones; 95 % of the doses lie within twice of it."""
    random = np.random.default_rng(4)
    true = mean_glandular_dose(5.0, 0.45, thickness, "W", "Rh", c_factor=1.0).value
    covered = 0
    for _ in range(400):
        kerma, layer = 5.0 * (1 + random.normal(0, 0.05)), 0.45 + random.uniform(-0.03, 0.03)
        shown = mean_glandular_dose(kerma, layer, thickness + random.uniform(-5, 5), "W", "Rh", c_factor=c_factor)
        model = (1 + random.normal(0, 0.02)) * (1 + random.normal(0, 0.02))
        composition = 1 + random.normal(0, 0.07) if c_factor is None else 1.0
        covered += abs(shown.value - true * model * composition) < 2 * shown.uncertainty
    assert 0.92 <= covered / 400 <= 0.985


def test_a_kerma_of_zero_beside_the_machines_dose_is_no_dose_of_zero() -> None:
    """Entrance Dose (0040,0302) is rounded to whole dGy: a 0 in it says nothing."""
    result = mean_glandular_dose(0.0, 0.4, 50.0, "W", "Rh", machine_agd_mgy=1.3)
    assert (result.value, result.status) == (None, "not_measurable")
    assert mean_glandular_dose(0.0, 0.4, 50.0, "W", "Rh", machine_agd_mgy=0.0).value == 0.0
