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
from tests.phantom.ct_truth import values

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


def test_stored_values_without_their_rescale_are_named(tmp_path: Path) -> None:
    """Air at 24, as stored values have it that begin at -1024 HU."""
    truth = written(tmp_path, "catphan504", (0.0,), 4.0)
    images = [pydicom.dcmread(path) for path in truth.files]
    for image in images:
        image.RescaleIntercept = float(image.RescaleIntercept) + 1024.0
    outcome = analyse(images, known=measuring("ct_numbers"))
    assert "rescale to CT numbers is missing" in outcome.refused[0].reason
