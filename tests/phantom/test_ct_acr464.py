"""The ACR CT phantom on a digital one: pose by markers, thickness by the wire arrays, bars, rods and beads."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from dose_audit.phantom.analyse import analyse
from dose_audit.phantom.digital import Pose, Truth, recipe, slice_positions, write_series
from dose_audit.phantom.results import Analysis
from tests.phantom.ct_truth import centre_error_px, disagreements, position_error_mm, roll_error_deg, values


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> tuple[Analysis, Truth]:
    """End for end, turned and tilted, in slices of 4 mm."""
    phantom = recipe("acr464")
    acquisition = replace(phantom.acquisition, thickness_mm=4.0, z_mm=slice_positions(-25.0, 140.0, 4.0))
    pose = Pose(9.0, -6.0, 3.0, roll_deg=5.0, tilt_x_deg=0.7, end_for_end=True)
    truth = write_series(
        tmp_path_factory.mktemp("acr"), phantom, acquisition=acquisition.following(3.0, True), pose=pose, seed=6
    )
    (analysis,) = analyse(truth.folder).analyses
    return analysis, truth


def test_pose(measured: tuple[Analysis, Truth]) -> None:
    analysis, truth = measured
    assert analysis.definition.id == "acr464"
    assert abs(roll_error_deg(analysis, truth.record)) < 0.1
    assert centre_error_px(analysis, truth.record) < 0.1
    assert abs(position_error_mm(analysis, truth.record)) < 1.0


def test_every_value_agrees_with_the_truth(measured: tuple[Analysis, Truth]) -> None:
    analysis, truth = measured
    assert not disagreements(analysis, truth.record)
    found = values(analysis)
    assert found["slice_thickness"].value == pytest.approx(4.0, abs=0.3)
    assert found["bead_distance"].value == pytest.approx(100.0, abs=0.3)
    contrast = 6.0 / truth.record["noise"]["sd"]
    cnr = found["cnr"]
    assert cnr.value is not None and cnr.uncertainty is not None
    assert abs(cnr.value - contrast) < 3.0 * cnr.uncertainty


def test_a_series_without_the_upper_modules(tmp_path: Path) -> None:
    phantom = recipe("acr464")
    acquisition = replace(phantom.acquisition, thickness_mm=5.0, z_mm=slice_positions(-25.0, 25.0, 5.0))
    truth = write_series(tmp_path, phantom, acquisition=acquisition, seed=2)
    (analysis,) = analyse(truth.folder).analyses
    assert analysis.definition.id == "acr464"
    assert "slices end before" in values(analysis)["mtf50"].reason
    assert values(analysis)["hu.bone"].value == pytest.approx(910.0, abs=3.0)
