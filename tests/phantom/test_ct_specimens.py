"""What real specimens and scans do that drawings do not: turned modules, mirrored images, single slices, a scale that ends."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest

from dose_audit.phantom.analyse import analyse
from dose_audit.phantom.definition import Definition, definitions
from dose_audit.phantom.digital import NoiseModel, Pose, Truth, recipe, slice_positions, write_series
from dose_audit.phantom.digital.objects import BarGroup
from dose_audit.phantom.digital.phantom import polar
from dose_audit.phantom.digital.recipes._catphan import GAUGE_BARS, GAUGE_R_MM, GAUGE_THETA
from dose_audit.phantom.digital.render import Scene, render_image
from dose_audit.phantom.locate.ring_turn import bar_turn, rod_turn
from dose_audit.phantom.pose import Pose as Found
from tests.phantom.ct_truth import rods_disagree, values

_SHAPE = (288, 288)
_PITCH_MM = 250.0 / 288


def measuring(*measures: str, among: str = "") -> tuple[Definition, ...]:
    """CT definitions (those whose id holds a text) with these measures alone: what a test does not look at takes no time."""
    return tuple(
        replace(one, measures=tuple(measure for measure in one.measures if measure.name in measures))
        for one in definitions()
        if "CT" in one.modalities and among in one.id
    )


def written(folder: Path, kind: str, z_mm: tuple[float, ...], thickness_mm: float, **effects: float) -> Truth:
    phantom = recipe(kind)
    acquisition = replace(
        phantom.acquisition,
        shape=_SHAPE,
        spacing_mm=(_PITCH_MM, _PITCH_MM),
        thickness_mm=thickness_mm,
        z_mm=z_mm,
        noise=NoiseModel("coloured", 12.0),
        effects=replace(phantom.acquisition.effects, **effects),
    )
    return write_series(folder, phantom, acquisition=acquisition, pose=Pose(2.0, -3.0, roll_deg=3.0), seed=10)


def test_rings_leave_the_contrast_of_the_rods_as_it_is(tmp_path: Path) -> None:
    z_mm = (*slice_positions(-50.0, -30.0, 4.0), -4.0, 0.0, 4.0)
    truth = written(tmp_path, "catphan604", z_mm, 4.0, rings_hu=12.0)
    (analysis,) = analyse(truth.folder, known=measuring("low_contrast", among="604")).analyses
    assert analysis.definition.id == "catphan604"
    found = values(analysis)
    for rods, hu in (("1_0", 10.0), ("0_5", 5.0), ("0_3", 3.0)):
        contrast = found[f"low_contrast_contrast.rod_{rods}"]
        assert contrast.status == "ok"
        assert contrast.value is not None and contrast.uncertainty is not None
        assert contrast.uncertainty < 0.5
        assert abs(contrast.value - hu) < 3.0 * contrast.uncertainty


def test_broad_streaks_hide_no_rods_that_an_observer_sees(tmp_path: Path) -> None:
    """Bands between dense parts, as beam hardening leaves them: twice as strong as the strongest rods."""
    truth = written(tmp_path, "catphan504", (*slice_positions(-42.0, -26.0, 4.0), -4.0, 0.0, 4.0), 4.0)
    images = [pydicom.dcmread(path) for path in truth.files]
    row, column = truth.record["slices"][0]["axis_row_column"]
    down, right = np.mgrid[: _SHAPE[0], : _SHAPE[1]]
    angle, radius = np.arctan2(down - row, right - column), np.hypot(down - row, right - column) * _PITCH_MM
    streaks = np.where(radius < 100.0, 20.0 * np.cos(2.0 * angle), 0.0)
    for image in images:
        stored = image.pixel_array + np.rint(streaks / float(image.RescaleSlope))
        image.PixelData = stored.astype(image.pixel_array.dtype).tobytes()
    (analysis,) = analyse(images, known=measuring("low_contrast", among="504")).analyses
    found = values(analysis)
    for rods, hu in (("1_0", 10.0), ("0_5", 5.0), ("0_3", 3.0)):
        contrast, visible = (found[f"low_contrast_{kind}.rod_{rods}"] for kind in ("contrast", "visible"))
        assert contrast.value == pytest.approx(hu, abs=0.5 + 3.0 * (contrast.uncertainty or 0.0))
        reason = rods_disagree(visible.name, visible.value or 0.0, 5, truth.record)
        assert visible.status != "ok" or not reason, reason
        assert contrast.status == "ok"


@pytest.mark.parametrize(("mirrored", "turn_deg"), [(False, 1.6), (True, -2.3), (True, 178.0)])
def test_a_gauge_is_found_however_its_module_is_mounted(mirrored: bool, turn_deg: float) -> None:
    """Seen against the drawing of a 504, on a turned phantom."""
    roll_deg = 17.0
    scene = Scene(80.0)
    for k, (drawn, bars) in enumerate(zip(GAUGE_THETA[:8], GAUGE_BARS[:8], strict=True)):
        theta = (180.0 - drawn if mirrored else drawn) + turn_deg + roll_deg
        group = BarGroup(*polar(GAUGE_R_MM, theta), (k + 1) / 10, bars, 7.0, theta + 90.0)
        scene.add(group, contrast=400.0)
    image = render_image(scene, shape=(256, 256), spacing_mm=0.5, psf_sigma_mm=0.7)
    image += np.random.default_rng(3).normal(0.0, 40.0, image.shape)
    definition = next(one for one in definitions() if one.id == "catphan504")
    bars = [one for one in definition.features if one.shape == "bars"]
    pose = Found(0.0, (127.5, 127.5), (0.5, 0.5), roll_deg=roll_deg)
    found = bar_turn(image.astype(np.float32), 0.0, pose, bars)
    assert found is not None and found.seen
    assert found.mirrored is mirrored
    assert found.turn_deg == pytest.approx(turn_deg, abs=0.3)
    assert found.as_drawn is (not mirrored)


def test_no_gauge_is_no_agreement() -> None:
    noise = np.random.default_rng(5).normal(80.0, 40.0, (256, 256)).astype(np.float32)
    definition = next(one for one in definitions() if one.id == "catphan504")
    pose = Found(0.0, (127.5, 127.5), (0.5, 0.5))
    bars = [one for one in definition.features if one.shape == "bars"]
    rods = [one for one in definition.features if one.id.startswith("rod_")]
    for found in (bar_turn(noise, 0.0, pose, bars), rod_turn(noise, 0.0, pose, rods)):
        assert found is not None and not found.seen


def test_mirrored_images_are_doubted(tmp_path: Path) -> None:
    """Left and right exchanged, positions not: the images of a 504 that might be a 503's, but for the bars' sense."""
    truth = written(tmp_path, "catphan504", slice_positions(-12.0, 32.0, 4.0), 4.0)
    images = [pydicom.dcmread(path) for path in truth.files]
    for image in images:
        image.PixelData = np.ascontiguousarray(image.pixel_array[:, ::-1]).tobytes()
        image.SeriesDescription = image.StudyDescription = image.ProtocolName = "QA"
    (analysis,) = analyse(images, known=measuring("ct_numbers", among="catphan50")).analyses
    assert analysis.pose.status == "suspect"
    assert "bars do not follow each other as drawn" in analysis.pose.reason
    assert all(one.measured.status != "ok" for one in analysis.measurements)


def test_two_reconstructions_in_one_series_and_copies_of_its_images(tmp_path: Path) -> None:
    """Two kernels under one series, some images sent again under new UIDs: two series, each measured once."""
    truth = written(tmp_path, "catphan504", slice_positions(-8.0, 8.0, 4.0), 4.0)
    images = [pydicom.dcmread(path) for path in truth.files]
    others = [pydicom.dcmread(path) for path in truth.files[1:]]
    again = [pydicom.dcmread(path) for path in truth.files[1:3]]
    for number, image in enumerate([*others, *again]):
        image.SOPInstanceUID = f"1.2.826.0.1.{number}"
    for image in others:
        image.ConvolutionKernel = "BONE"
    found = analyse([*images, *others, *again], known=()).refused
    assert sorted(len(one.series.frames) for one in found) == [4, 5]


def test_four_slices_of_an_acr_phantom_one_to_a_module(tmp_path: Path) -> None:
    truth = written(tmp_path, "acr464", (0.8, 40.8, 80.8, 120.8), 5.0)
    (analysis,) = analyse(truth.folder, known=measuring("ct_numbers", "uniformity", among="acr464")).analyses
    assert analysis.definition.id == "acr464"
    assert analysis.pose.status == "ok"
    assert any("markers in single slices" in note for note in analysis.pose.notes)
    found = values(analysis)
    rendered = {entry["name"]: entry["rendered"] for entry in truth.record["features"]}
    for insert in ("polyethylene", "bone", "air", "acrylic", "water"):
        one = found[f"hu.{insert}"]
        assert one.status == "ok"
        assert one.value == pytest.approx(rendered[insert], abs=1.0 + 3.0 * (one.uncertainty or 0.0)), insert


@pytest.mark.parametrize(("offset_hu", "status"), [(-10.0, "ok"), (-45.0, "suspect")])
def test_air_below_the_end_of_the_scale(tmp_path: Path, offset_hu: float, status: str) -> None:
    """Stored from -1024 HU on: where some of the noise is cut off the median is right, where most is there is no value."""
    truth = written(tmp_path, "catphan504", (-4.0, 0.0, 4.0), 4.0, hu_offset=offset_hu)
    images = [pydicom.dcmread(path) for path in truth.files]
    for image in images:
        least = round((-1024.0 - float(image.RescaleIntercept)) / float(image.RescaleSlope))
        image.PixelData = np.maximum(image.pixel_array, least).astype(image.pixel_array.dtype).tobytes()
    (analysis,) = analyse(images, known=measuring("ct_numbers", among="504")).analyses
    air = values(analysis)["hu.air"]
    assert air.status == status
    if status == "ok":
        assert air.value == pytest.approx(-1000.0 + offset_hu, abs=1.0 + 3.0 * (air.uncertainty or 0.0))
    else:
        assert "the least that these images hold" in air.reason


def test_a_uniform_section_of_another_phantom_is_no_water(tmp_path: Path) -> None:
    """By its name where it has one, and by the step between module and housing where it has none."""
    truth = written(tmp_path / "module", "catphan504", (-84.0, -80.0, -76.0), 4.0)
    images = [pydicom.dcmread(path) for path in truth.files]
    for image in images:
        image.SeriesDescription = image.StudyDescription = image.ProtocolName = "QA"
    outcome = analyse(images, known=measuring("noise"))
    assert not outcome.analyses
    assert "the module of its inserts is not in these slices" in outcome.refused[0].reason
    water = written(tmp_path / "water", "water", (-4.0, 0.0, 4.0), 4.0)
    assert len(analyse(water.folder, known=measuring("noise")).analyses) == 1
    images = [pydicom.dcmread(path) for path in water.files]
    for image in images:
        image.SeriesDescription = "CatPhan 504"
    assert not analyse(images, known=measuring("noise")).analyses


@pytest.mark.parametrize(
    ("slope", "offset_hu", "sent"), [(1.0, 1024.0, False), (0.57, 752.0, True), (0.56, -305.0, True)]
)
def test_a_phantom_off_the_scale_is_found_and_its_ct_numbers_are_doubted(
    tmp_path: Path, slope: float, offset_hu: float, sent: bool
) -> None:
    """Stored values without their rescale, and cone-beam devices that were never calibrated: found, measured, and said."""
    truth = written(tmp_path, "catphan504", (-4.0, 0.0, 4.0), 4.0)
    images = [pydicom.dcmread(path) for path in truth.files]
    for image in images:
        if sent:
            image.RescaleIntercept = slope * float(image.RescaleIntercept) + offset_hu
            image.RescaleSlope = slope * float(image.RescaleSlope)
            continue
        image.PixelData = (image.pixel_array + round(offset_hu)).astype(image.pixel_array.dtype).tobytes()
        del image.RescaleIntercept, image.RescaleSlope
    (analysis,) = analyse(images, known=measuring("ct_numbers", "node_distance", "body_diameter", among="504")).analyses
    found = values(analysis)
    rendered = {one["name"]: one["value"] for one in truth.record["features"]}
    for insert in ("air", "ldpe", "delrin", "teflon"):
        one = found[f"hu.{insert}"]
        assert one.status == "suspect"
        assert "not on the CT number scale" in one.reason
        assert ("no Rescale Intercept is sent" in one.reason) is not sent
        assert one.value == pytest.approx(
            slope * rendered[insert] + offset_hu, abs=1.0 + 3.0 * (one.uncertainty or 0.0)
        )
    for name in ("node_distance.mean", "body_diameter"):
        assert found[name].status == "ok"
    assert found["node_distance.mean"].value == pytest.approx(50.0, abs=0.1)
    assert found["body_diameter"].value == pytest.approx(truth.record["body_diameter_mm"], abs=0.3)


def test_a_wrong_pixel_spacing_is_seen_in_the_body(tmp_path: Path) -> None:
    truth = written(tmp_path, "catphan504", (-4.0, 0.0, 4.0), 4.0)
    images = [pydicom.dcmread(path) for path in truth.files]
    for image in images:
        image.PixelSpacing = [0.978 * float(one) for one in image.PixelSpacing]
    (analysis,) = analyse(images, known=measuring("node_distance", among="504")).analyses
    mean = values(analysis)["node_distance.mean"]
    assert mean.value == pytest.approx(0.978 * 50.0, abs=0.1)
    assert mean.status == "suspect"
    assert "the pixel spacing may not be true" in mean.reason


def test_air_at_the_end_of_a_scale_that_ends_at_air(tmp_path: Path) -> None:
    """Cone-beam devices cut at -1000 HU: that is what air has by definition, and no doubt about the other inserts."""
    truth = written(tmp_path, "catphan504", (-4.0, 0.0, 4.0), 4.0)
    images = [pydicom.dcmread(path) for path in truth.files]
    for image in images:
        least = round((-1000.0 - float(image.RescaleIntercept)) / float(image.RescaleSlope))
        image.PixelData = np.maximum(image.pixel_array, least).astype(image.pixel_array.dtype).tobytes()
    (analysis,) = analyse(images, known=measuring("ct_numbers", "linearity", among="504")).analyses
    found = values(analysis)
    for name, true in (("hu.air", -1000.0), ("hu_slope", 1.0), ("hu_intercept", 0.0)):
        one = found[name]
        assert one.status == "ok", one.reason
        assert one.value == pytest.approx(true, abs=2.0 if name != "hu_slope" else 0.005)
    assert "the least that these images hold" in found["hu.air"].method


def test_images_compressed_with_loss_are_doubted(tmp_path: Path) -> None:
    truth = written(tmp_path, "catphan504", (-4.0, 0.0, 4.0), 4.0)
    images = [pydicom.dcmread(path) for path in truth.files]
    for image in images:
        image.LossyImageCompression = "01"
    (analysis,) = analyse(images, known=measuring("ct_numbers", among="504")).analyses
    assert {one.measured.status for one in analysis.measurements} == {"suspect"}
    assert all("compressed with loss" in one.measured.reason for one in analysis.measurements)


def test_one_image_position_in_all_images_is_not_believed(tmp_path: Path) -> None:
    """Slices of different modules cannot lie in one plane: Slice Location orders them."""
    truth = written(tmp_path, "catphan504", (-4.0, 0.0, 4.0, 28.0, 32.0), 4.0)
    images = [pydicom.dcmread(path) for path in truth.files]
    for image, z_mm in zip(images, (-4.0, 0.0, 4.0, 28.0, 32.0), strict=True):
        image.ImagePositionPatient, image.SliceLocation = [0.0, 0.0, 0.0], z_mm
    (analysis,) = analyse(images, known=measuring("ct_numbers", among="504")).analyses
    assert list(analysis.series.z_mm) == [-4.0, 0.0, 4.0, 28.0, 32.0]
    assert any("all images carry one Image Position" in one for one in analysis.notes)
    assert values(analysis)["hu.delrin"].status == "ok"


def test_a_gantry_that_was_tilted_is_doubted(tmp_path: Path) -> None:
    """Slices across a phantom at 6 degrees: an ellipse, longer in one direction by half a percent."""
    phantom = recipe("catphan504")
    acquisition = replace(
        phantom.acquisition,
        shape=(192, 192),
        spacing_mm=(1.3, 1.3),
        thickness_mm=4.0,
        z_mm=(-4.0, 0.0, 4.0),
        noise=NoiseModel("coloured", 12.0),
    )
    truth = write_series(tmp_path, phantom, acquisition=acquisition, pose=Pose(2.0, -3.0, tilt_x_deg=6.0), seed=10)
    (analysis,) = analyse(truth.folder, known=measuring("node_distance", among="504")).analyses
    assert analysis.pose.status == "suspect"
    assert "degrees" in analysis.pose.reason
    assert all(one.measured.status != "ok" for one in analysis.measurements)


@pytest.mark.parametrize(("field_mm", "cropped", "padding_hu"), [(196.0, False, -1000.0), (184.0, True, -2000.0)])
def test_a_round_field_of_view_is_not_taken_for_the_body(
    tmp_path: Path, field_mm: float, cropped: bool, padding_hu: float
) -> None:
    """Reconstructed to a circle about the image's middle, also one as wide as the image: found by its inserts, no size."""
    truth = written(tmp_path, "catphan504", (-4.0, 0.0, 4.0), 4.0)
    images = [pydicom.dcmread(path) for path in truth.files]
    down, right = np.mgrid[: _SHAPE[0], : _SHAPE[1]] - (_SHAPE[0] - 1) / 2
    outside = np.hypot(down, right) * _PITCH_MM > field_mm / 2
    off = (_SHAPE[0] - round(field_mm / _PITCH_MM)) // 2 if cropped else 0
    for image in images:
        hu = image.pixel_array * float(image.RescaleSlope) + float(image.RescaleIntercept)
        shown = np.where(outside, padding_hu, hu)[off : _SHAPE[0] - off, off : _SHAPE[1] - off]
        image.Rows, image.Columns = shown.shape
        image.RescaleSlope, image.RescaleIntercept, image.PixelRepresentation = 1, 0, 1
        image.PixelData = np.rint(shown).astype(np.int16).tobytes()
    (analysis,) = analyse(images, known=measuring("body_diameter", among="504")).analyses
    for entry in truth.record["slices"]:
        row, column = analysis.pose.centre_at(entry["z_mm"])
        assert (row + off, column + off) == pytest.approx(entry["axis_row_column"], abs=0.2)
    assert values(analysis)["body_diameter"].status == "not_measurable"


def test_noise_that_reaches_across_an_insert_is_in_its_uncertainty(tmp_path: Path) -> None:
    """Low-pass noise of 25 HU, as smooth kernels leave it: the pixels of one insert, less their own mean, show a tenth of it."""
    phantom = recipe("catphan504")
    acquisition = replace(
        phantom.acquisition,
        shape=(256, 256),
        spacing_mm=(0.9, 0.9),
        thickness_mm=4.0,
        z_mm=(-4.0, 0.0, 4.0, -64.0, -60.0, -56.0),
        noise=NoiseModel("coloured", 25.0, 0.15, 0.0),
    )
    truth = write_series(tmp_path, phantom, acquisition=acquisition, pose=Pose(2.0, -3.0, roll_deg=12.0), seed=1)
    (analysis,) = analyse(truth.folder, known=measuring("ct_numbers", "noise", among="504")).analyses
    rendered = {one["name"]: one["value"] for one in truth.record["features"]}
    found = {name: one for name, one in values(analysis).items() if name.startswith("hu.")}
    errors = [(one.value - rendered[name.removeprefix("hu.")]) / one.uncertainty for name, one in found.items()]
    assert len(errors) >= 7
    assert np.max(np.abs(errors)) < 4.0
    assert np.sqrt(np.mean(np.square(errors))) < 1.8
