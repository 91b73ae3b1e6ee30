"""Real gamma camera images: flood, four bars and quadrant bars are told apart and plausible."""

from __future__ import annotations

from pathlib import Path

import pytest

from dose_audit.phantom.analyse import analyse


def _values(path: Path, expected: str) -> dict:
    outcome = analyse(path)
    assert [one.definition.id for one in outcome.analyses] == [expected], outcome.refused
    return {one.name: one.measured for one in outcome.analyses[0].measurements}


def test_flood(real_dir: Path) -> None:
    values = _values(real_dir / "nm-mediso" / "UNIFORMIDAD_1.dcm", "nm-flood")
    # 16 million counts over 530 mm × 390 mm with cut corners, in pixels of 6.2 mm.
    assert values["uniformity_counts"].value == pytest.approx(16.0e6 / (530 * 390 * 0.95) * 6.195**2, rel=0.03)
    for name in ("integral_ufov", "differential_ufov", "integral_cfov", "differential_cfov"):
        found = values[f"uniformity_{name}"]
        assert found.status == "suspect", "fewer than 10,000 counts in a pixel are to be said"
        assert 1.0 < found.value < 5.0
    assert values["uniformity_integral_cfov"].value <= values["uniformity_integral_ufov"].value


def test_four_bars(real_dir: Path) -> None:
    values = _values(real_dir / "nm-mediso" / "FourBar.dcm", "nm-four-bar")
    for axis in "xy":
        # The header's 1.0325 mm within the usual 2 %.
        assert values[f"lines_pixel_{axis}"].value == pytest.approx(1.0325, rel=0.02)
        assert 5.0 < values[f"lines_fwhm_{axis}"].value < 10.0


def test_quadrant_bars(real_dir: Path) -> None:
    values = _values(real_dir / "nm-mediso" / "QuadrantBar.dcm", "nm-quadrant-bar")
    widths = [values[f"bars_bar.{place}"].value for place in ("lower_right", "upper_right", "upper_left", "lower_left")]
    modulations = [
        values[f"bars_mtf.{place}"].value for place in ("lower_right", "upper_right", "upper_left", "lower_left")
    ]
    # The picture shows the coarsest bars at the lower right, then upper right, upper left, lower left.
    assert widths == sorted(widths, reverse=True)
    assert modulations == sorted(modulations, reverse=True)
    assert 2.5 < values["bars_fwhm"].value < 5.0
