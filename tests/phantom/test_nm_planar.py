"""Gamma camera and PET phantoms against what was rendered."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest
from scipy import ndimage

from dose_audit.phantom.analyse import Outcome, analyse
from dose_audit.phantom.digital import Pose, recipe, write_series
from dose_audit.phantom.digital.psf import system_mtf
from tests.phantom.enhanced import as_enhanced


def _analysed(folder: Path, kind: str, wanted: str | None = None) -> tuple[Outcome, dict, dict]:
    truth = write_series(folder, recipe(kind)).record
    outcome = analyse(folder, definition=wanted)
    values = {one.name: one.measured for found in outcome.analyses for one in found.measurements}
    return outcome, values, truth


def test_flood_has_the_uniformity_of_its_counts_alone(tmp_path: Path) -> None:
    outcome, values, truth = _analysed(tmp_path, "nm-flood")
    assert outcome.analyses[0].definition.id == "nm-flood"
    assert values["uniformity_counts"].value == pytest.approx(truth["expected"]["counts"], rel=0.002)
    # The 1-2-1 filter leaves 1 % × 3/8 of Poisson noise; extremes of 9,000 pixels lie about 4 SD off on both sides.
    assert values["uniformity_integral_ufov"].value == pytest.approx(100 * 0.01 * 0.375 * 4.0, rel=0.2)


def test_flood_with_a_warm_and_a_cold_place(tmp_path: Path) -> None:
    _, values, _ = _analysed(tmp_path, "nm-flood-bump")
    # 100 (1.06 - 0.96)/(1.06 + 0.96) without noise, which widens the extremes.
    assert 4.9 < values["uniformity_integral_cfov"].value < 6.2


def test_each_head_of_an_object_is_measured(tmp_path: Path) -> None:
    write_series(tmp_path, recipe("nm-flood"))
    dataset = pydicom.dcmread(next(tmp_path.glob("*.dcm")))
    first = dataset.pixel_array
    second = first.copy()
    second[60:70, 40:50] //= 4
    dataset.NumberOfFrames, dataset.DetectorVector, dataset.EnergyWindowVector = 2, [1, 2], [1, 1]
    dataset.PixelData = np.stack([first, second]).astype("<u2").tobytes()
    values = {one.name: one for one in analyse(dataset).analyses[0].measurements}
    assert values["uniformity_head1_integral_cfov"].judgement == "pass"
    faulty = values["uniformity_head2_integral_cfov"]
    # 100 (1 - 1/4)/(1 + 1/4), the filter reaching one pixel into a place of ten.
    assert faulty.measured.value == pytest.approx(60.0, abs=3.0) and faulty.judgement == "suspension"


@pytest.mark.parametrize("change", ["clipped", "divided", "filtered", "multiplied"])
def test_pixels_that_are_no_plain_counts_are_doubted(change: str, tmp_path: Path) -> None:
    write_series(tmp_path, recipe("nm-flood"))
    dataset = pydicom.dcmread(next(tmp_path.glob("*.dcm")))
    image = dataset.pixel_array.astype(float)
    image = {
        "clipped": np.minimum(image, 10_050.0),
        "divided": image / 4.0,
        "filtered": ndimage.gaussian_filter(image, 1.0),
        "multiplied": image * 4.0,
    }[change]
    dataset.PixelData = np.round(image).astype("<u2").tobytes()
    (analysis,) = analyse(dataset).analyses
    by_name = {one.name: one.measured for one in analysis.measurements}
    said = {"clipped": "clipped", "multiplied": "multiples of 4"}.get(change, "scaled or filtered")
    assert by_name["uniformity_integral_cfov"].status == "suspect"
    assert said in by_name["uniformity_integral_cfov"].reason


@pytest.mark.parametrize("deep", [0.5, 1.0])
def test_a_fault_from_border_to_border_is_not_taken_for_the_edge(deep: float, tmp_path: Path) -> None:
    write_series(tmp_path, recipe("nm-flood"))
    dataset = pydicom.dcmread(next(tmp_path.glob("*.dcm")))
    image = dataset.pixel_array.astype(float)
    # Of two halves only the larger one survives the edge rules, and it is even.
    image[:, 70:73] *= 1.0 - deep
    dataset.PixelData = np.round(image).astype("<u2").tobytes()
    outcome = analyse(dataset)
    for analysis in outcome.analyses:
        by_name = {one.name: one.measured for one in analysis.measurements}
        found = by_name["uniformity_integral_ufov"]
        # 100 (1 - 0.5)/(1 + 0.5) and more is what the fault is.
        assert found.value > 30.0 or found.status == "suspect"
    assert deep == 1.0 or outcome.analyses


def test_four_bars_give_pixel_size_and_width(tmp_path: Path) -> None:
    outcome, values, truth = _analysed(tmp_path, "four-bar")
    assert outcome.analyses[0].definition.id == "nm-four-bar"
    # Gaussian blur, the line's own width and the pixel's aperture.
    sigma = np.sqrt(truth["psf"]["sigma_mm"] ** 2 + 1.0**2 / 12 + truth["spacing_mm"][0] ** 2 / 12)
    for axis in "xy":
        assert values[f"lines_pixel_{axis}"].value == pytest.approx(truth["spacing_mm"][0], rel=0.002)
        assert values[f"lines_fwhm_{axis}"].value == pytest.approx(2.3548 * sigma, rel=0.03)


def test_lines_that_lean_are_no_wider_and_an_empty_first_frame_is_passed_over(tmp_path: Path) -> None:
    truth = write_series(tmp_path, recipe("four-bar"), pose=Pose(roll_deg=8.0)).record
    dataset = pydicom.dcmread(next(tmp_path.glob("*.dcm")))
    lines = dataset.pixel_array
    dataset.NumberOfFrames = 2
    dataset.PixelData = np.stack([np.zeros_like(lines), lines]).tobytes()
    (analysis,) = analyse(dataset).analyses
    values = {one.name: one.measured for one in analysis.measurements}
    sigma = np.sqrt(truth["psf"]["sigma_mm"] ** 2 + 1.0**2 / 12 + truth["spacing_mm"][0] ** 2 / 12)
    for axis in "xy":
        assert values[f"lines_pixel_{axis}"].value == pytest.approx(truth["spacing_mm"][0], rel=0.003)
        assert values[f"lines_fwhm_{axis}"].value == pytest.approx(2.3548 * sigma, rel=0.04)
    assert {roi.frame for one in analysis.measurements for roi in one.rois} == {1}


def test_wrong_pixel_size_in_the_header_is_found(tmp_path: Path) -> None:
    truth = write_series(tmp_path, recipe("four-bar")).record
    path = next(tmp_path.glob("*.dcm"))
    dataset = pydicom.dcmread(path)
    dataset.PixelSpacing = [1.155, 1.155]
    dataset.save_as(path)
    found = analyse(path).analyses[0]
    values = {one.name: one.measured for one in found.measurements}
    assert values["lines_pixel_x"].value == pytest.approx(truth["spacing_mm"][0], rel=0.002)
    assert values["lines_pixel_error_x"].value == pytest.approx(100 * (1.1 / 1.155 - 1), abs=0.2)


def test_quadrant_bars_against_the_rendered_mtf(tmp_path: Path) -> None:
    outcome, values, truth = _analysed(tmp_path, "quadrant-bars")
    assert outcome.analyses[0].definition.id == "nm-quadrant-bar"
    spacing = truth["spacing_mm"][0]
    places = {(-1, -1): "upper_left", (1, -1): "upper_right", (-1, 1): "lower_left", (1, 1): "lower_right"}
    for one in truth["features"]:
        x, y, _ = one["phantom_mm"]
        place = places[int(np.sign(x)), int(np.sign(y))]
        assert values[f"bars_bar.{place}"].value == pytest.approx(one["bar_mm"], rel=0.01)
        true = float(system_mtf(one["frequency_per_mm"], truth["psf"]["sigma_mm"], (spacing, spacing)))
        found = values[f"bars_mtf.{place}"]
        assert found.value == pytest.approx(true, abs=0.01 + 3 * found.uncertainty)


@pytest.mark.parametrize(("kind", "wanted"), [("quadrant-bars", "nm-flood"), ("nm-flood", "nm-four-bar")])
def test_a_wrong_phantom_is_refused_by_name(tmp_path: Path, kind: str, wanted: str) -> None:
    outcome, _, _ = _analysed(tmp_path, kind, wanted)
    assert not outcome.analyses
    assert outcome.refused[0].looks_like == ("nm-quadrant-bar" if kind == "quadrant-bars" else "nm-flood")


def test_pet_cylinder(tmp_path: Path) -> None:
    outcome, values, truth = _analysed(tmp_path, "pet-cylinder")
    assert outcome.analyses[0].definition.id == "pet-cylinder"
    mean = values["cylinder_mean"]
    assert mean.unit == "Bq/ml"
    assert abs(mean.value - truth["expected"]["activity_bqml"]) < 4 * mean.uncertainty
    assert values["cylinder_noise"].value == pytest.approx(100 * 400.0 / 6668.0, rel=0.05)
    assert values["cylinder_slices"].value < 1.5


@pytest.mark.parametrize(("times", "status"), [(1.0, "ok"), (2.0, "suspect")])
def test_an_enhanced_pet_image_tells_its_unit_with_its_real_world_values(
    times: float, status: str, tmp_path: Path
) -> None:
    """A unit belongs to a line from stored values; where that is not the rescaling's, it is not the pixels' unit."""
    write_series(tmp_path, recipe("pet-cylinder"))
    slices = [pydicom.dcmread(file) for file in sorted(tmp_path.glob("*.dcm"))]
    one = as_enhanced(slices)
    unit = pydicom.Dataset()
    unit.CodeValue, unit.CodingSchemeDesignator, unit.CodeMeaning = "Bq/ml", "UCUM", "Becquerels/milliliter"
    for group, own in zip(one.PerFrameFunctionalGroupsSequence, slices, strict=True):
        mapping = pydicom.Dataset()
        mapping.RealWorldValueSlope = times * float(own.RescaleSlope)
        mapping.RealWorldValueIntercept = float(own.RescaleIntercept)
        mapping.MeasurementUnitsCodeSequence = [unit]
        group.RealWorldValueMappingSequence = [mapping]
    (analysis,) = analyse(one).analyses
    mean = next(found.measured for found in analysis.measurements if found.name == "cylinder_mean")
    assert mean.status == status
    assert mean.unit == ("Bq/ml" if status == "ok" else "1")
    assert mean.value == pytest.approx(6668.0, rel=0.003)


def test_pet_pixels_that_are_no_activity_are_doubted(tmp_path: Path) -> None:
    write_series(tmp_path, recipe("pet-cylinder"))
    for path in tmp_path.glob("*.dcm"):
        dataset = pydicom.dcmread(path)
        dataset.Units = "CNTS"
        del dataset.RescaleSlope
        dataset.save_as(path)
    (analysis,) = analyse(tmp_path).analyses
    values = {one.name: one.measured for one in analysis.measurements}
    assert values["cylinder_mean"].status == "suspect" and "counts" in values["cylinder_mean"].reason
    # Each slice of a PET series is scaled by itself: without the scale slices cannot be compared.
    assert values["cylinder_slices"].status == "suspect" and "Rescale Slope" in values["cylinder_slices"].reason


def test_the_useful_field_is_outlined_as_it_is(tmp_path: Path) -> None:
    write_series(tmp_path, recipe("nm-flood"))
    dataset = pydicom.dcmread(next(tmp_path.glob("*.dcm")))
    image = dataset.pixel_array
    rows, columns = np.nonzero(image > 5000)
    down, right = np.abs(np.mgrid[: image.shape[0], : image.shape[1]] - [[[rows.mean()]], [[columns.mean()]]])
    corner = 0.5 * (np.ptp(rows) + np.ptp(columns)) - 25.0
    dataset.PixelData = np.where(down + right < corner, image, 0).astype("<u2").tobytes()
    (analysis,) = analyse(dataset).analyses
    outline = next(roi for one in analysis.measurements for roi in one.rois if roi.label == "UFOV")
    corners = np.array(outline.points)
    # Not a corner of the picture lies in what the octagon has cut off, and none far inside of it.
    reach = np.abs(corners[:, 0] - rows.mean()) + np.abs(corners[:, 1] - columns.mean())
    assert reach.max() < corner + 2.0
    x, y = corners[:, 1], corners[:, 0]
    area = 0.5 * abs(float(x @ np.roll(y, 1) - y @ np.roll(x, 1)))
    lit = float(((down + right < corner) & (image > 5000)).sum())
    assert 0.8 * lit < area < lit


@pytest.mark.parametrize("curve", ["plain", "root", "sigmoid", "scaled"])
def test_bars_through_a_display_curve_are_no_sure_modulation(curve: str, tmp_path: Path) -> None:
    write_series(tmp_path, recipe("quadrant-bars"))
    dataset = pydicom.dcmread(next(tmp_path.glob("*.dcm")))
    counts = dataset.pixel_array / 440.0
    pixels = {
        "plain": 440.0 * counts,
        "root": 4095.0 * np.sqrt(np.minimum(counts, 1.2)),
        "sigmoid": 4095.0 / (1.0 + np.exp(-6.0 * (counts - 0.5))),
        "scaled": 0.37 * 440.0 * counts,
    }[curve]
    dataset.PixelData = np.round(pixels).astype("<u2").tobytes()
    (analysis,) = analyse(dataset).analyses
    bars = [one.measured for one in analysis.measurements if "_mtf." in one.name]
    assert bars and all((one.status == "ok") == (curve == "plain") for one in bars)
