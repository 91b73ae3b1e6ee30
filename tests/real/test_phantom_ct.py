"""Real CT phantoms in ../shared/real against their documented values."""

from __future__ import annotations

from pathlib import Path

import pytest

from dose_audit.phantom.analyse import Outcome, analyse
from tests.phantom.ct_truth import values

# Documented values of the set, HU.
DOCUMENTED_HU = {
    "air": -998.0,
    "pmp": -200.0,
    "ldpe": -102.0,
    "polystyrene": -45.0,
    "acrylic": 115.0,
    "delrin": 340.0,
    "teflon": 997.0,
}


@pytest.fixture(scope="module")
def catphan(real_dir: Path) -> Outcome:
    folder = real_dir / "ct-catphan504-cbct"
    if not folder.is_dir():
        pytest.skip(f"{folder.name} is not among the real sets")
    return analyse(folder)


def test_catphan504_agrees_with_its_documented_values(catphan: Outcome) -> None:
    (analysis,) = catphan.analyses
    assert analysis.definition.id == "catphan504"
    found = values(analysis)
    for insert, hu in DOCUMENTED_HU.items():
        assert found[f"hu.{insert}"].value == pytest.approx(hu, abs=3.0)
    assert found["slice_thickness"].value == pytest.approx(2.499, abs=0.1)
    for name, one in found.items():
        if name.startswith("node_distance"):
            assert one.value == pytest.approx(50.0, abs=0.1), name


def test_catphan504_structure_set_is_left_aside_and_cone_beam_is_told(catphan: Outcome) -> None:
    (analysis,) = catphan.analyses
    assert analysis.facts["cone_beam"] is True
    judgements = {one.name: one.judgement for one in analysis.measurements}
    assert judgements["uniformity"] == "no_tolerance"


def test_catphan504_low_contrast_is_ordered_by_contrast(catphan: Outcome) -> None:
    (analysis,) = catphan.analyses
    seen = [values(analysis)[f"low_contrast_visible.rod_{name}"].value for name in ("1_0", "0_5", "0_3")]
    assert all(one is not None for one in seen)
    assert seen == sorted(seen, reverse=True)
    # Seen on real specimens: 11.4, 5.5 and 3.3 HU.
    for name, hu in (("1_0", 11.4), ("0_5", 5.5), ("0_3", 3.3)):
        one = values(analysis)[f"low_contrast_contrast.rod_{name}"]
        assert one.value == pytest.approx(hu, abs=1.0 + 3.0 * (one.uncertainty or 0.0))


def test_siemens_water_and_wire(real_dir: Path) -> None:
    outcome = analyse(real_dir / "ct-siemens-water")
    by_phantom = [one.definition.id for one in outcome.analyses]
    assert sorted(by_phantom) == ["ct-wire", "siemens-water", "siemens-water"]
    assert len(outcome.refused) == 1  # the localiser
    for analysis in outcome.analyses:
        found = values(analysis)
        if analysis.definition.id == "ct-wire":
            assert 0.9 < (found["mtf50"].value or 0.0) < (found["mtf10"].value or 0.0) < 1.7
            continue
        assert found["body_diameter"].value == pytest.approx(200.0, abs=0.5)
        assert abs(found["uniformity_centre"].value or 99.0) < 4.0
        assert abs(found["uniformity"].value or 99.0) < 4.0
        assert 2.0 < (found["noise"].value or 0.0) < 8.0


def test_ge_daily_qa(real_dir: Path) -> None:
    outcome = analyse(real_dir / "ct-ge-qa")
    waters = [one for one in outcome.analyses if one.definition.id == "ge-water"]
    assert len(waters) == 2
    for analysis in waters:
        found = values(analysis)
        assert abs(found["uniformity_centre"].value or 99.0) < 3.0
        assert found["body_diameter"].value == pytest.approx(216.0, abs=0.6)
