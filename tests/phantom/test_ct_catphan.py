"""CatPhan models on digital phantoms: pose and every measurement against the truth beside the images.

A small part of the pose grid runs always; ``DOSE_AUDIT_POSE_GRID=1`` runs the whole (about a quarter of an hour).
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pydicom
import pytest

from dose_audit.phantom.analyse import analyse
from dose_audit.phantom.digital import Placement, Pose, Truth, placements, recipe, slice_positions, write_series
from dose_audit.phantom.results import Analysis
from tests.phantom.ct_truth import (
    centre_error_px,
    disagreements,
    ideal_observer_rods,
    position_error_mm,
    roll_error_deg,
    values,
)

MODELS = ("catphan500", "catphan503", "catphan504", "catphan600", "catphan604", "catphan700")
WHOLE = os.environ.get("DOSE_AUDIT_POSE_GRID") == "1"


def written(folder: Path, kind: str, placement: Placement, seed: int) -> Truth:
    return write_series(
        folder,
        recipe(kind),
        acquisition=placement.acquisition,
        pose=placement.pose,
        seed=seed,
        shuffle=placement.shuffle,
    )


def only(source: object, **choices: object) -> Analysis:
    outcome = analyse(source, **choices)  # type: ignore[arg-type]
    assert len(outcome.analyses) == 1, [one.reason for one in outcome.refused]
    return outcome.analyses[0]


@pytest.fixture(scope="module")
def scanned(tmp_path_factory: pytest.TempPathFactory) -> Truth:
    """A CatPhan 504 scanned over the bars and the inserts only, turned, tilted and shifted."""
    phantom = recipe("catphan504")
    acquisition = replace(phantom.acquisition, thickness_mm=2.0, z_mm=slice_positions(-18.0, 36.0, 1.5))
    pose = Pose(7.0, -4.0, 0.0, roll_deg=23.0, tilt_x_deg=0.8, tilt_y_deg=-0.5)
    return write_series(
        tmp_path_factory.mktemp("catphan504"), phantom, acquisition=acquisition, pose=pose, seed=11, shuffle=True
    )


@pytest.fixture(scope="module")
def analysis(scanned: Truth) -> Analysis:
    return only(scanned.folder)


@pytest.mark.parametrize("kind", MODELS if WHOLE else ("catphan604",))
def test_pose_grid_has_no_silent_failure(kind: str, tmp_path: Path) -> None:
    cases = list(placements(recipe(kind), 12 if WHOLE else 1, seed=3, most_slices=100 if WHOLE else 40))
    wrong, doubted = {}, {}
    for number, placement in enumerate(cases):
        truth = written(tmp_path / str(number), kind, placement, number)
        analysis = only(truth.folder)
        assert analysis.definition.id == kind
        if found := disagreements(analysis, truth.record):
            wrong[placement.name] = found
        if analysis.pose.status != "ok":
            doubted[placement.name] = analysis.pose.reason
    assert not wrong
    assert not doubted


def test_pose_of_a_turned_and_tilted_phantom(scanned: Truth, analysis: Analysis) -> None:
    assert abs(roll_error_deg(analysis, scanned.record)) < 0.1
    assert centre_error_px(analysis, scanned.record) < 0.1
    assert abs(position_error_mm(analysis, scanned.record)) < 0.5
    assert not disagreements(analysis, scanned.record)


def test_overlapping_slices_read_their_thickness_and_not_their_spacing(analysis: Analysis) -> None:
    thickness = values(analysis)["slice_thickness"]
    assert thickness.status == "ok"
    assert thickness.value == pytest.approx(2.0, rel=0.03)


def test_what_was_not_scanned_has_a_reason_and_takes_nothing_with_it(analysis: Analysis) -> None:
    found = values(analysis)
    assert found["noise"].status == "not_measurable"
    assert "slices end before" in found["noise"].reason
    assert found["low_contrast_visible.rod_1_0"].status == "not_measurable"
    assert found["hu.teflon"].status == "ok"
    assert found["mtf50"].status == "ok"


def test_a_wrong_phantom_is_refused_by_name(scanned: Truth) -> None:
    outcome = analyse(scanned.folder, definition="catphan600")
    assert not outcome.analyses
    assert "not CatPhan 600" in outcome.refused[0].reason
    assert outcome.refused[0].looks_like == "catphan504"


def test_recognised_without_a_name_or_positions(scanned: Truth) -> None:
    images = [pydicom.dcmread(path) for path in scanned.files]
    for image in images:
        for keyword in ("SeriesDescription", "StudyDescription", "ProtocolName", "ImagePositionPatient"):
            if keyword in image:
                delattr(image, keyword)
    analysis = only(images)
    assert analysis.definition.id == "catphan504"
    assert not disagreements(analysis, scanned.record) or analysis.pose.status != "ok"


def test_cone_beam_with_its_scale_shading_and_rings(tmp_path: Path) -> None:
    """A short 604 scan: CT numbers are those of the image, the uniform module is measured in what is there of it."""
    phantom = recipe("catphan604")
    effects = replace(phantom.acquisition.effects, hu_gain=0.85, hu_offset=-40.0, rings_hu=8.0, cupping_hu=60.0)
    acquisition = replace(
        phantom.acquisition, thickness_mm=2.0, z_mm=slice_positions(-74.0, 14.0, 4.0), effects=effects
    )
    truth = write_series(tmp_path, phantom, acquisition=acquisition, pose=Pose(4.0, -7.0, 0.3, roll_deg=1.2), seed=5)
    analysis = only(truth.folder)
    assert analysis.definition.id == "catphan604"
    assert analysis.pose.status == "ok"
    assert abs(position_error_mm(analysis, truth.record)) < 0.5
    assert abs(roll_error_deg(analysis, truth.record)) < 0.1
    found = values(analysis)
    rendered = {entry["name"]: entry["rendered"] for entry in truth.record["features"]}
    for insert in ("pmp", "ldpe", "acrylic", "delrin", "teflon", "bone50"):
        one = found[f"hu.{insert}"]
        assert one.value == pytest.approx(rendered[insert], abs=3.0 + 3.0 * (one.uncertainty or 0.0)), insert
    assert found["uniformity"].value is not None
    assert found["noise"].value is not None
    assert found["slice_thickness"].value == pytest.approx(2.0, rel=0.03)


def test_an_insert_module_cut_off_by_the_series_end(tmp_path: Path) -> None:
    """Half a 600: its bars, 70 mm away, tell it from the models that share its inserts."""
    phantom = recipe("catphan600")
    acquisition = replace(phantom.acquisition, thickness_mm=5.0, z_mm=slice_positions(-77.0, 3.0, 5.0))
    truth = write_series(tmp_path, phantom, acquisition=acquisition, pose=Pose(4.0, -7.0, 1.3, tilt_x_deg=0.6), seed=1)
    images = [pydicom.dcmread(path) for path in truth.files]
    for image in images:
        image.SeriesDescription = image.StudyDescription = image.ProtocolName = "Head"
    analysis = only(images)
    assert analysis.definition.id == "catphan600"
    assert not disagreements(analysis, truth.record)


def test_low_contrast_rods_against_the_ideal_observer(tmp_path: Path) -> None:
    phantom = recipe("catphan504")
    acquisition = replace(phantom.acquisition, thickness_mm=3.0, z_mm=slice_positions(-93.0, 12.0, 3.0))
    truth = write_series(tmp_path, phantom, acquisition=acquisition, pose=Pose(2.0, 3.0, roll_deg=-9.0), seed=4)
    analysis = only(truth.folder)
    diameters = (15.0, 9.0, 8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0)
    for name, contrast in (("1_0", 10.0), ("0_3", 3.0), ("0_5", 5.0)):
        visible = values(analysis)[f"low_contrast_visible.rod_{name}"]
        found = values(analysis)[f"low_contrast_contrast.rod_{name}"]
        assert visible.value is not None and found.value is not None
        ideal = ideal_observer_rods(truth.record, contrast, diameters, 8)
        # No observer sees what the ideal one misses; what that sees overwhelmingly is seen by an observer who does not
        # whiten the noise.
        assert visible.value <= sum(one > 2.0 for one in ideal) + 1
        assert visible.value >= sum(one > 20.0 for one in ideal)
        assert abs(found.value - contrast) < 0.5 + 3.0 * (found.uncertainty or 0.0)
