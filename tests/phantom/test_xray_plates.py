"""Bar pattern, scale plate, constancy plate and TOR CDR on digital images: pose and values against what was rendered."""

from __future__ import annotations

import os
from dataclasses import replace
from math import exp
from pathlib import Path

import numpy as np
import pydicom
import pytest

from dose_audit.measured import Measured
from dose_audit.phantom.analyse import analyse
from dose_audit.phantom.definition import Definition, definitions
from dose_audit.phantom.digital import NoiseModel, Pose, recipe, write_series
from dose_audit.phantom.digital.psf import system_mtf
from dose_audit.phantom.results import Analysis

_PLATES = tuple(one for one in definitions() if one.locator in ("plate_template", "plate_round"))
WHOLE = os.environ.get("DOSE_AUDIT_POSE_GRID") == "1"


def _turn(one: float, other: float) -> float:
    return (one - other + 180.0) % 360.0 - 180.0


def _only(*ids: str) -> tuple[Definition, ...]:
    return tuple(one for one in _PLATES if one.id in ids)


def _analysed(folder: Path, kind: str, definition: str, pose: Pose, **changes: object) -> tuple[Analysis, dict]:
    phantom = recipe(kind)
    truth = write_series(folder, phantom, acquisition=replace(phantom.acquisition, **changes), pose=pose).record  # type: ignore[arg-type]
    # The whole grid is recognised among all plates; in the suite each is looked for by itself.
    outcome = analyse(folder, known=_PLATES if WHOLE else _only(definition))
    assert [one.definition.id for one in outcome.analyses] == [definition], [one.reason for one in outcome.refused]
    return outcome.analyses[0], truth


def _values(analysis: Analysis) -> dict[str, Measured]:
    return {one.name: one.measured for one in analysis.measurements}


def _check_pose(analysis: Analysis, truth: dict, pose: Pose, offset_deg: float = 0.0) -> None:
    found = analysis.pose
    assert found.status == "ok", found.reason
    assert found.mirrored is pose.end_for_end
    sense = -1.0 if pose.end_for_end else 1.0
    assert abs(_turn(found.roll_deg, pose.roll_deg + sense * offset_deg)) < 0.15
    assert found.centre_px == pytest.approx(truth["slices"][0]["axis_row_column"], abs=0.2)
    assert found.scale == pytest.approx(pose.scale, rel=0.003)


@pytest.mark.parametrize(
    "pose",
    [
        Pose(x_mm=-4.0, y_mm=3.0, roll_deg=-101.0, scale=1.1, end_for_end=True),
        *([Pose(), Pose(x_mm=6.0, roll_deg=17.3), Pose(roll_deg=170.0, scale=1.25)] if WHOLE else []),
    ],
)
def test_bar_pattern_gives_the_rendered_mtf_and_the_limit(tmp_path: Path, pose: Pose) -> None:
    analysis, truth = _analysed(tmp_path, "bars", "bar-pattern-38", pose)
    _check_pose(analysis, truth, pose, offset_deg=45.0)
    values = _values(analysis)
    # Blur in the plane of the plate: engraved frequencies are magnified with it.
    angle = np.radians(analysis.pose.angle_on_screen(90.0))
    magnification = float(pose.scale)  # type: ignore[arg-type]
    graded = 0
    for name, one in values.items():
        if not name.startswith("mtf.bars_") or one.status != "ok":
            continue
        f = float(name.removeprefix("mtf.bars_")) / magnification
        pixel = truth["spacing_mm"][0]
        true = exp(-2 * (np.pi * truth["psf"]["sigma_mm"] * f) ** 2)
        true *= float(np.sinc(f * np.cos(angle) * pixel) * np.sinc(f * np.sin(angle) * pixel))
        # Cubic splines that turn the groups to the pixels take up to 3 % of what lies at three quarters of Nyquist.
        assert one.value == pytest.approx(true, abs=0.012 + 3 * (one.uncertainty or 0.0)), name
        graded += 1
    assert graded >= 10
    assert values["mtf50"].status == "ok"
    limit = values["mtf_limit"]
    assert limit.value is not None
    # Two per cent of modulation is where the rendered MTF falls to it, within a group or two.
    assert 2.8 <= limit.value / magnification <= 3.8


@pytest.mark.parametrize(("kind", "definition"), [("scale-plate", "scale-plate"), ("constancy-plate", "normi13")])
@pytest.mark.parametrize(
    "pose",
    [
        Pose(x_mm=3.0, y_mm=-5.0, roll_deg=17.3),
        *([Pose(), Pose(roll_deg=-101.0, scale=1.1, end_for_end=True), Pose(roll_deg=179.0)] if WHOLE else []),
    ],
)
def test_pose_of_a_plate(tmp_path: Path, kind: str, definition: str, pose: Pose) -> None:
    analysis, truth = _analysed(tmp_path, kind, definition, pose)
    _check_pose(analysis, truth, pose)
    values = _values(analysis)
    if kind == "scale-plate":
        assert values["scale_pixel_across"].value == pytest.approx(0.2 / float(pose.scale), rel=0.001)  # type: ignore[arg-type]
        assert values["scale_aspect"].value == pytest.approx(1.0, abs=0.001)
        assert values["scale_magnification"].value == pytest.approx(float(pose.scale), rel=0.002)  # type: ignore[arg-type]
    else:
        assert values["wedge_range"].value == pytest.approx(truth["expected"]["range"], rel=0.02)
        assert values["wedge_linearity"].value == pytest.approx(1.0, abs=0.001)
        sd = truth["noise"]["sd"]
        for number, percent in ((3, 2.0), (5, 4.0), (6, 5.6)):
            cnr = values[f"low_contrast_cnr.disc_{number}"]
            expected = 2400.0 * percent / 100 / sd
            assert cnr.value == pytest.approx(expected, abs=4 * (cnr.uncertainty or 0.0) + 0.05 * expected)


def test_pixels_that_are_not_square(tmp_path: Path) -> None:
    phantom = recipe("scale-plate")
    write_series(tmp_path, phantom, pose=Pose(roll_deg=30.0, scale=(1.0, 1.03)))
    outcome = analyse(tmp_path, known=_only("scale-plate"))
    aspect = _values(outcome.analyses[0])["scale_aspect"]
    # An image stretched by 3 % downwards: pixels are 3 % shorter downwards than the header says.
    assert aspect.value == pytest.approx(1.03, abs=0.003)
    assert outcome.analyses[0].measurements[2].judgement == "remedial"


def test_collimation_is_measured_from_the_middle_of_the_plate(tmp_path: Path) -> None:
    phantom = recipe("constancy-plate")
    used = replace(
        phantom.acquisition, shape=(760, 760), spacing_mm=(0.4, 0.4), noise=NoiseModel("quantum", 9.0, reference=2400.0)
    )
    write_series(tmp_path, phantom, acquisition=used)
    path = next(tmp_path.glob("*.dcm"))
    dataset = pydicom.dcmread(path)
    pixels = dataset.pixel_array.copy()
    rows, columns = (np.arange(760) - 379.5) * 0.4, (np.arange(760) - 379.5) * 0.4
    pixels[(rows < -125.0) | (rows > 131.0)] //= 40
    pixels[:, (columns < -128.0) | (columns > 135.0)] //= 40
    dataset.PixelData = pixels.tobytes()
    dataset.save_as(path)
    outcome = analyse(path, known=_only("normi13"))
    assert [one.definition.id for one in outcome.analyses] == ["normi13"], outcome.refused
    values = _values(outcome.analyses[0])
    for side, true in (("top", 125.0), ("bottom", 131.0), ("left", 128.0), ("right", 135.0)):
        assert values[f"field.{side}"].value == pytest.approx(true, abs=0.6), side


def test_tor_cdr_counts_its_details(tmp_path: Path) -> None:
    pose = Pose(x_mm=4.0, y_mm=-3.0, roll_deg=57.0)
    changes = {"shape": (1000, 1000), "spacing_mm": (0.19, 0.19)}
    analysis, truth = _analysed(tmp_path, "leeds-tor-cdr", "leeds-tor-cdr", pose, **changes)
    _check_pose(analysis, truth, pose)
    values = _values(analysis)
    sd = truth["noise"]["sd"]
    for number in (1, 6, 10):
        cnr = values[f"low_contrast_cnr.large_{number}"]
        expected = 2300.0 * 0.114 / 1.25 ** (number - 1) / sd
        assert cnr.value == pytest.approx(expected, abs=4 * (cnr.uncertainty or 0.0) + 0.06 * expected)
    # The faintest of 17 still stands out of white noise over 95 mm2; of the small ones those of less than the noise do not.
    seen = values["low_contrast_visible"].value
    assert seen is not None
    assert seen >= 16
    true = float(system_mtf(1.0, truth["psf"]["sigma_mm"], tuple(truth["spacing_mm"])))
    assert values["mtf.bars_1.0"].value == pytest.approx(true, abs=0.03)


def test_a_mean_is_doubted_where_grey_values_fall_as_the_dose_rises(tmp_path: Path) -> None:
    """The header tells neither; the plate itself does: what absorbs has the higher values."""
    phantom = recipe("leeds-tor-cdr")
    used = replace(phantom.acquisition, shape=(500, 500), spacing_mm=(0.38, 0.38))
    write_series(tmp_path, phantom, acquisition=used)
    (path,) = tmp_path.glob("*.dcm")
    dataset = pydicom.dcmread(path)
    dataset.PixelIntensityRelationship = "LIN"
    if "PixelIntensityRelationshipSign" in dataset:
        del dataset.PixelIntensityRelationshipSign
    rising = dataset.pixel_array
    told = []
    for pixels in (rising, (16383 - rising).astype(rising.dtype)):
        dataset.PixelData = np.ascontiguousarray(pixels).tobytes()
        (analysis,) = analyse([dataset], definition="leeds-tor-cdr").analyses
        told.append({name: one for name, one in _values(analysis).items() if name.startswith("grey_")})
    for name in ("grey_mean", "grey_snr"):
        (upright, turned) = ([one for key, one in grey.items() if key.startswith(name + ".")] for grey in told)
        assert upright and all(one.status == "ok" for one in upright)
        assert turned and all(one.status == "suspect" and "fall as the dose rises" in one.reason for one in turned)
    # The noise is the same either way round.
    assert all(one.status == "ok" for key, one in told[1].items() if key.startswith("grey_sd."))


def test_another_plate_is_refused_by_name(tmp_path: Path) -> None:
    phantom = recipe("leeds-tor18")
    used = replace(phantom.acquisition, shape=(420, 420), spacing_mm=(0.48, 0.48))
    write_series(tmp_path, phantom, acquisition=used, pose=Pose(roll_deg=20.0))
    for definition in ("bar-pattern-38", "scale-plate", "normi13", "leeds-tor-cdr"):
        outcome = analyse(tmp_path, definition=definition, known=_only("leeds-tor18fg", definition))
        assert not outcome.analyses
        assert outcome.refused[0].looks_like == "leeds-tor18fg"


def test_a_run_of_frames_shows_more_than_one(tmp_path: Path) -> None:
    phantom = recipe("leeds-tor18")
    used = replace(
        phantom.acquisition,
        shape=(420, 420),
        spacing_mm=(0.46, 0.46),
        noise=NoiseModel("quantum", 60.0, reference=2300.0),
    )
    write_series(tmp_path, phantom, acquisition=used, repeats=4)
    images = [pydicom.dcmread(path) for path in sorted(tmp_path.glob("*.dcm"))]
    for image in images:
        image.SeriesInstanceUID = images[0].SeriesInstanceUID
    outcome = analyse(images, known=_only("leeds-tor18fg"))
    values = _values(outcome.analyses[0])
    assert len(outcome.analyses) == 1
    single, run = values["low_contrast_cnr.disc_5"], values["low_contrast_run_cnr.disc_5"]
    assert single.value is not None
    assert run.value == pytest.approx(2.0 * single.value, rel=0.15)
    counts = [values[name].value for name in ("low_contrast_visible", "low_contrast_run_visible")]
    assert counts[0] is not None
    assert counts[1] is not None
    assert counts[1] >= counts[0]
