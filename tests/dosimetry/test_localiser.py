"""Localisers: pixel values that follow a known law give the law back, and sizes between the phantoms."""

from __future__ import annotations

import math

import numpy as np
import pytest

from dose_audit.dosimetry import (
    fit_localiser_calibration,
    localiser_water_equivalent_diameter,
    localiser_width,
    magnification_factor,
)

SPACING = 1.0
AIR = 40.0
SLOPE, OFFSET = 1.3, 12.0  # water thickness in mm of a pixel value above air, as scanners spread (1.1–1.6, -12–+20)


def localiser(diameter_mm: float, *, density: float = 1.0, rows: int = 60, centre: float = 0.0) -> np.ndarray:
    """Localiser of a water cylinder lying along the table; twelve rows of air at its head."""
    x = np.arange(512) - 255.5 - centre
    thickness = density * 2 * np.sqrt(np.maximum((diameter_mm / 2) ** 2 - x**2, 0))
    line = np.where(thickness > 0, (thickness - OFFSET) / SLOPE, 0.0)
    image = np.tile(line, (rows, 1)) + AIR
    image[:12] = AIR
    return image


@pytest.fixture(scope="module")
def calibration():
    return fit_localiser_calibration("CT 1", 120, [(localiser(d), SPACING, d) for d in (160, 240, 320)])


def test_the_law_is_found_again(calibration) -> None:
    assert calibration.slope_mm == pytest.approx(SLOPE, rel=0.02)
    assert calibration.offset_mm == pytest.approx(OFFSET, abs=3)
    assert calibration.background == pytest.approx(AIR)
    assert calibration.as_record()["device"] == "CT 1"


@pytest.mark.parametrize("diameter", [160, 200, 280, 330])
@pytest.mark.parametrize("centre", [0.0, 60.0])
def test_sizes_between_the_phantoms(calibration, diameter: float, centre: float) -> None:
    result = localiser_water_equivalent_diameter(localiser(diameter, centre=centre), SPACING, calibration)
    assert result.value == pytest.approx(diameter, rel=0.02)
    assert result.details["width_mm"] == pytest.approx(diameter, rel=0.03)
    assert result.details["dw_mm"][:12] == [None] * 12


def test_a_lighter_body_of_the_same_width_is_smaller(calibration) -> None:
    lungs = localiser_water_equivalent_diameter(localiser(300, density=0.7), SPACING, calibration)
    assert lungs.value == pytest.approx(300 * math.sqrt(0.7), rel=0.03)


def test_without_its_own_calibration_there_is_only_a_width(calibration) -> None:
    image = localiser(240)
    for given in (
        {"calibration": None},
        {"calibration": calibration, "device": "CT 2"},
        {"calibration": calibration, "kvp_kv": 80},
    ):
        result = localiser_water_equivalent_diameter(image, SPACING, **given)
        assert result.value is None
        assert result.details["width_mm"] == pytest.approx(240, rel=0.03)


def test_nothing_is_extrapolated(calibration) -> None:
    for diameter in (90, 420):
        assert "outside" in localiser_water_equivalent_diameter(localiser(diameter), SPACING, calibration).reason


def test_magnification() -> None:
    assert magnification_factor(0.0) == 1.0
    assert magnification_factor(10.0) == pytest.approx(1 - 10 / 570)
    wide = localiser_width(localiser(240), SPACING).value
    assert localiser_width(localiser(240), SPACING, magnification=0.9).value == pytest.approx(0.9 * wide)
    with pytest.raises(ValueError, match="offset"):
        magnification_factor(400.0)


def test_an_empty_localiser_and_bad_phantoms() -> None:
    empty = np.full((60, 512), AIR)
    assert localiser_width(empty, SPACING).value is None
    with pytest.raises(ValueError, match="two diameters"):
        fit_localiser_calibration("a", 120, [(localiser(200), SPACING, 200)])
    with pytest.raises(ValueError, match="no water cylinder"):
        fit_localiser_calibration("a", 120, [(empty, SPACING, 200), (localiser(300), SPACING, 300)])
    with pytest.raises(ValueError, match="shape"):
        localiser_width(np.zeros((3, 3, 3)), SPACING)
