"""The ACR MRI phantom, digital: found at any roll and direction, measured against what was rendered, and never silently wrong."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dose_audit.phantom.analyse import Outcome, analyse
from dose_audit.phantom.definition import definitions
from dose_audit.phantom.digital import Effects, Pose, recipe, write_series
from dose_audit.phantom.digital.recipes import acr_mri
from dose_audit.phantom.results import Analysis

MR = [one for one in definitions() if "MR" in one.modalities]
WHOLE_GRID = bool(os.environ.get("DOSE_AUDIT_POSE_GRID"))
POSES = [Pose(12.0, -9.0, 0.0, 37.0)]
if WHOLE_GRID:
    POSES += [Pose(x, -x, 0.0, roll) for x in (-20.0, 0.0, 20.0) for roll in (-178.0, -90.0, -10.0, 0.0, 3.0, 120.0)]


def made(folder: Path, kind: str = "acr-mri-large", **more: Any) -> Outcome:
    """A digital phantom written and analysed."""
    phantom = recipe(kind)
    changes = more.pop("acquisition", None)
    acquisition = replace(phantom.acquisition, **changes) if changes else None
    write_series(folder, phantom, acquisition=acquisition, **more)
    return analyse(folder, known=MR)


def values(analysis: Analysis) -> dict[str, float]:
    """What was measured without a doubt."""
    return {
        one.name: one.measured.value
        for one in analysis.measurements
        if one.measured.status == "ok" and one.measured.value is not None
    }


@pytest.fixture(scope="module")
def upright(tmp_path_factory: pytest.TempPathFactory) -> Analysis:
    (analysis,) = made(tmp_path_factory.mktemp("acr")).analyses
    return analysis


def test_the_upright_phantom_measures_as_rendered(upright: Analysis) -> None:
    found = values(upright)
    assert upright.definition.id == "acr-mri-large"
    assert abs(upright.pose.roll_deg) < 0.1 and upright.pose.direction == 1
    for slice_ in (1, 5, 7):
        assert found[f"diameter_slice{slice_}"] == pytest.approx(190.0, abs=0.1)
    assert found["slice_thickness"] == pytest.approx(5.0, abs=0.1)
    assert abs(found["slice_position_1"]) < 0.1 and abs(found["slice_position_11"]) < 0.1
    assert found["snr"] == pytest.approx(1000.0 / 8.0, rel=0.05)
    assert found["psg"] < 0.2
    # Holes of 0.9 mm stand 1.8 mm apart, less than two pixels of 0.98 mm: no image can show them.
    assert found["resolution_rows"] == found["resolution_columns"] == 1.0


def test_more_contrast_shows_more_spokes(upright: Analysis) -> None:
    found = values(upright)
    counts = [found[f"low_contrast_slice{number}"] for number in (8, 9, 10, 11)]
    assert counts[0] < counts[2] and counts[3] >= 9
    assert found["low_contrast_total"] == sum(counts)


@pytest.mark.parametrize("pose", POSES, ids=str)
def test_a_moved_and_turned_phantom_is_found_where_it_is(pose: Pose, tmp_path: Path) -> None:
    (analysis,) = made(tmp_path, pose=pose, seed=3).analyses
    truth = (127.5 + pose.y_mm * 256 / 250, 127.5 + pose.x_mm * 256 / 250)
    assert analysis.pose.centre_at(0.0) == pytest.approx(truth, abs=0.1)
    assert (analysis.pose.roll_deg - pose.roll_deg + 180) % 360 - 180 == pytest.approx(0.0, abs=0.1)
    found = values(analysis)
    assert found["slice_thickness"] == pytest.approx(5.0, abs=0.1)
    assert found["diameter_slice5"] == pytest.approx(190.0, abs=0.1)


@pytest.mark.parametrize("z_mm", [-4.0, 3.0] if not WHOLE_GRID else [-4.0, -2.5, -1.0, 0.4, 1.3, 2.2, 3.0, 4.2])
def test_the_position_is_found_to_a_quarter_of_a_slice(z_mm: float, tmp_path: Path) -> None:
    shifted = {"z_mm": tuple(10.0 * k + z_mm for k in range(11))}
    (analysis,) = made(tmp_path, acquisition=shifted).analyses
    assert analysis.pose.origin_z_mm == pytest.approx(0.0, abs=0.15)
    found = values(analysis)
    for slice_ in (1, 11):
        assert found[f"slice_position_{slice_}_offset"] == pytest.approx(z_mm, abs=0.15)
        assert found[f"slice_position_{slice_}"] == pytest.approx(2 * z_mm, abs=0.3)
    if z_mm == 3.0:
        # Slice 7 reaches from 60.5 to 65.5 mm, the ring begins at 64: a third of it lies in the "uniform" section.
        (piu,) = (one.measured for one in analysis.measurements if one.name == "piu")
        assert piu.status == "suspect" and "of another section" in piu.reason


def test_the_position_of_a_leaning_phantom_is_that_of_its_axis(tmp_path: Path) -> None:
    pose = Pose(8.0, 5.0, 0.0, 3.0, tilt_x_deg=2.0, tilt_y_deg=1.5)
    (analysis,) = made(tmp_path, pose=pose).analyses
    assert analysis.pose.origin_z_mm == pytest.approx(0.0, abs=0.3)


def test_a_lean_is_not_taken_for_a_wrong_slice_position(tmp_path: Path) -> None:
    (analysis,) = made(tmp_path, pose=Pose(tilt_y_deg=-3.0, roll_deg=2.0)).analyses
    by_name = {one.name: one.measured for one in analysis.measurements}
    # The wedges lie 62 mm off the axis, where a lean of 3 degrees makes 3.2 mm, and twice that between the bars.
    for slice_ in (1, 11):
        difference = by_name[f"slice_position_{slice_}"]
        assert difference.value == pytest.approx(6.5, abs=0.5)
        assert difference.status == "suspect" and "leans" in difference.reason


def test_an_insert_that_a_lean_brings_into_the_uniform_section_is_noticed(tmp_path: Path) -> None:
    # 2 degrees put the lower rim of slice 7 at z = 65.1 mm; the next section's ring begins at 64 mm.
    (analysis,) = made(tmp_path, pose=Pose(tilt_y_deg=2.0)).analyses
    by_name = {one.name: one.measured for one in analysis.measurements}
    for name in ("piu", "snr"):
        assert by_name[name].status == "suspect" and "disc of another section" in by_name[name].reason
    # The outlines know nothing of it.
    assert values(analysis)["diameter_slice7"] == pytest.approx(190.0, abs=0.15)


def test_turned_end_for_end_it_is_seen_from_behind(tmp_path: Path) -> None:
    behind = {"z_mm": tuple(10.0 * k - 100.0 for k in range(11))}
    (analysis,) = made(tmp_path, pose=Pose(end_for_end=True), acquisition=behind).analyses
    assert (analysis.pose.direction, analysis.pose.mirrored) == (-1, True)
    assert values(analysis)["slice_thickness"] == pytest.approx(5.0, abs=0.1)


def test_a_lean_and_a_bubble_leave_doubts_and_no_wrong_numbers(tmp_path: Path) -> None:
    (analysis,) = made(
        tmp_path, pose=Pose(tilt_x_deg=2.0, tilt_y_deg=-1.0), acquisition={"effects": Effects(bubble_mm=8.0)}
    ).analyses
    found = values(analysis)
    assert found["diameter_slice5"] == pytest.approx(190.0, abs=0.15)
    assert "slice_thickness" not in found or found["slice_thickness"] == pytest.approx(5.0, abs=0.15)


def test_without_the_low_contrast_slices_each_measure_says_so(tmp_path: Path) -> None:
    (analysis,) = made(tmp_path, acquisition={"z_mm": tuple(10.0 * k for k in range(7))}).analyses
    by_name = {one.name: one.measured for one in analysis.measurements}
    assert by_name["slice_thickness"].status == "ok"
    for name in ("slice_position_11", "low_contrast_slice8", "low_contrast_total"):
        assert by_name[name].value is None and "the slices end before" in by_name[name].reason


@pytest.mark.parametrize("sd", [8.0, 60.0])
def test_noise_alone_shows_no_spokes(sd: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bare = tuple((number, z, 0.0) for number, z, _ in acr_mri.LCD_SLICES)  # discs without contrast
    monkeypatch.setattr(acr_mri, "LCD_SLICES", bare)
    noise = replace(recipe("acr-mri-large").acquisition.noise, sd=sd)
    (analysis,) = made(tmp_path, acquisition={"noise": noise}).analyses
    assert values(analysis)["low_contrast_total"] <= 1.0


def test_the_medium_phantom_is_told_from_the_large(tmp_path: Path) -> None:
    (analysis,) = made(tmp_path, "acr-mri-medium").analyses
    assert analysis.definition.id == "acr-mri-medium"
    found = values(analysis)
    assert found["diameter_slice4"] == pytest.approx(165.0, abs=0.1)
    assert found["slice_thickness"] == pytest.approx(5.0, abs=0.1)


@pytest.mark.parametrize("roll", [0.0, 30.0])
def test_the_small_phantom_gives_its_uniform_section(roll: float, tmp_path: Path) -> None:
    (analysis,) = made(tmp_path, "acr-mri-small", pose=Pose(0.0, 0.0, 0.0, roll)).analyses
    assert analysis.definition.id == "acr-mri-small"
    found = values(analysis)
    assert found["diameter"] == pytest.approx(100.0, abs=0.1)
    assert found["snr"] == pytest.approx(1000.0 / 8.0, rel=0.05)


def test_a_repeat_gives_two_image_snr_and_one_analysis(tmp_path: Path) -> None:
    (analysis,) = made(tmp_path, repeats=2).analyses
    (snr,) = (one for one in analysis.measurements if one.name == "snr")
    assert "two images" in snr.measured.method
    assert snr.measured.value == pytest.approx(1000.0 / 8.0, rel=0.05)
