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
    assert abs(position_error_mm(analysis, truth.record)) < 0.25 * 4.0


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


@pytest.mark.parametrize(("z_mm", "noise_hu"), [(1.3, 6.0), (-2.4, 40.0)])
def test_contiguous_thick_slices_tell_the_position_within_a_quarter_slice(
    tmp_path: Path, z_mm: float, noise_hu: float
) -> None:
    """A bead lies whole in one slice of 5 mm: the ends of the inserts tell where in it."""
    phantom = recipe("acr464")
    acquisition = replace(
        phantom.acquisition,
        thickness_mm=5.0,
        z_mm=slice_positions(-30.0, 30.0, 5.0),
        noise=replace(phantom.acquisition.noise, sd=noise_hu),
    )
    truth = write_series(tmp_path, phantom, acquisition=acquisition, pose=Pose(2.0, 3.0, z_mm), seed=2)
    (analysis,) = analyse(truth.folder).analyses
    assert analysis.definition.id == "acr464"
    assert analysis.pose.status == "ok"
    assert abs(position_error_mm(analysis, truth.record)) < 0.25 * 5.0
    assert not disagreements(analysis, truth.record)
    assert "slices end before" in values(analysis)["mtf50"].reason


def test_a_thin_slice_between_wires_is_never_told_wrongly(tmp_path: Path) -> None:
    """0.75 mm every 2 mm: the wires, 0.5 mm apart in z, sample the profile twice at most."""
    phantom = recipe("acr464")
    acquisition = replace(phantom.acquisition, thickness_mm=0.75, z_mm=slice_positions(-26.0, 26.0, 2.0))
    truth = write_series(tmp_path, phantom, acquisition=acquisition, pose=Pose(4.0, -7.0, 0.3, tilt_x_deg=0.6), seed=1)
    (analysis,) = analyse(truth.folder).analyses
    assert not disagreements(analysis, truth.record)
    thickness = values(analysis)["slice_thickness"]
    assert thickness.value is None or thickness.value == pytest.approx(0.75, abs=3.0 * (thickness.uncertainty or 0.0))
