"""Flat fields and edges of radiography: what they must give, and what must not pass for them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest

from dose_audit.phantom.analyse import analyse
from dose_audit.phantom.definition import definitions
from dose_audit.phantom.digital import recipe, write_series
from dose_audit.phantom.digital.psf import system_mtf

_FIELDS = tuple(one for one in definitions() if one.locator in ("field_flat", "field_edge"))


def _written(folder: Path, kind: str, shape: tuple[int, int]) -> tuple[Path, dict]:
    phantom = recipe(kind)
    truth = write_series(folder, phantom, acquisition=replace(phantom.acquisition, shape=shape))
    return next(folder.glob("*.dcm")), truth.record


def _changed(path: Path, pixels: np.ndarray | None = None, **attributes: object) -> None:
    dataset = pydicom.dcmread(path)
    if pixels is not None:
        dataset.PixelData = np.ascontiguousarray(pixels.astype(np.uint16)).tobytes()
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    dataset.save_as(path)


def _values(path: Path) -> dict:
    outcome = analyse(path, known=_FIELDS)
    assert len(outcome.analyses) == 1, [one.reason for one in outcome.refused]
    return {one.name: one.measured for one in outcome.analyses[0].measurements}


def test_flat_field_gives_the_rendered_signal_and_noise(tmp_path: Path) -> None:
    path, truth = _written(tmp_path, "flat-dx", (640, 640))
    values = _values(path)
    snr = values["uniformity_snr"]
    assert snr.status == "ok"
    assert snr.value == pytest.approx(truth["expected"]["snr"], rel=0.01)
    assert values["defects_pixels"].value == 0
    # White quantum noise of 1 % has no structure to be found.
    assert values["nnps_noise"].value == pytest.approx(0.01, rel=0.02)
    assert values["artefact_area"].value == 0
    assert values["structure_fixed"].status == "not_measurable"


@pytest.mark.parametrize("change", ["falling", "negative"])
def test_values_without_a_zero_give_noise_but_no_ratios(change: str, tmp_path: Path) -> None:
    path, truth = _written(tmp_path, "flat-dx", (640, 640))
    pixels = pydicom.dcmread(path).pixel_array.astype(int)
    if change == "falling":
        _changed(path, 16383 - pixels, PixelIntensityRelationshipSign=-1, PhotometricInterpretation="MONOCHROME2")
    else:
        _changed(path, (pixels - 3000).astype(np.int16).view(np.uint16), PixelRepresentation=1)
    values = _values(path)
    signal = truth["expected"]["signal"] if "signal" in truth["expected"] else float(np.median(pixels))
    # Turned round or shifted the noise stays that of the dose, 1 % of the signal; ratios to the mean do not.
    assert values["uniformity_noise"].status == "ok"
    assert values["uniformity_noise"].value == pytest.approx(signal / truth["expected"]["snr"], rel=0.02)
    for name in ("uniformity_signal", "uniformity_snr", "uniformity_global_signal", "nnps_noise"):
        assert values[name].status != "ok", name


def test_collimated_field_with_a_dead_pixel(tmp_path: Path) -> None:
    path, _ = _written(tmp_path, "flat-dx", (640, 640))
    pixels = pydicom.dcmread(path).pixel_array.astype(float)
    random = np.random.default_rng(3)
    pixels[:90] = random.normal(60, 5, pixels[:90].shape)
    pixels[:, 560:] = random.normal(60, 5, pixels[:, 560:].shape)
    pixels[300, 300] = 0
    _changed(path, np.clip(pixels, 0, None))
    values = _values(path)
    assert values["defects_pixels"].value == 1
    assert values["uniformity_global_signal"].value < 8
    assert values["uniformity_snr"].value == pytest.approx(100, rel=0.02)


def test_presentation_is_said_to_be_no_measure_of_dose(tmp_path: Path) -> None:
    path, _ = _written(tmp_path, "flat-dx", (512, 512))
    _changed(path, PresentationIntentType="FOR PRESENTATION")
    values = _values(path)
    assert values["uniformity_snr"].status == "suspect"
    assert "presentation" in values["uniformity_snr"].reason


def test_two_exposures_part_structure_from_noise(tmp_path: Path) -> None:
    phantom = recipe("flat-dx")
    small = replace(phantom.acquisition, shape=(512, 512))
    write_series(tmp_path, phantom, acquisition=small, repeats=2)
    outcome = analyse(tmp_path, known=_FIELDS)
    values = {one.name: one.measured for one in outcome.analyses[0].measurements}
    # Nothing but quantum noise was rendered.
    assert values["structure_random"].value == pytest.approx(1.0, rel=0.02)
    assert values["structure_share"].value == pytest.approx(0.0, abs=0.02)


def test_something_in_the_field_is_no_flat_field(tmp_path: Path) -> None:
    path, _ = _written(tmp_path, "flat-dx", (512, 512))
    pixels = pydicom.dcmread(path).pixel_array.astype(float)
    row, column = np.mgrid[:512, :512]
    for k in range(20):  # ribs
        pixels *= 1 - 0.25 * np.exp(-(((row - 25 * k - 0.1 * column) / 6.0) ** 2))
    _changed(path, pixels)
    assert not analyse(path, known=_FIELDS).analyses


@pytest.mark.parametrize("invert", [False, True])
def test_edge_against_the_rendered_mtf(tmp_path: Path, invert: bool) -> None:
    path, truth = _written(tmp_path, "edge-dx", (640, 640))
    if invert:
        pixels = 16383 - pydicom.dcmread(path).pixel_array.astype(int)
        _changed(path, pixels, PhotometricInterpretation="MONOCHROME1", PixelIntensityRelationshipSign=-1)
    values = _values(path)
    spacing = truth["spacing_mm"][0]
    for frequency in (0.5, 1.0, 2.0, 3.0):
        true = float(system_mtf(frequency, truth["psf"]["sigma_mm"], (spacing, spacing)))
        found = values[f"mtf_at_{frequency:g}"]
        assert found.status == "ok"
        assert found.value == pytest.approx(true, abs=0.012)
    assert values["mtf50"].value == pytest.approx(truth["psf"]["mtf50_per_mm"], rel=0.01)


@pytest.mark.parametrize(
    "said",
    [{"PresentationIntentType": "FOR PRESENTATION"}, {"PixelIntensityRelationship": "", "PresentationIntentType": ""}],
)
def test_an_edge_through_a_look_up_table_is_doubted_unless_the_header_says_linear(tmp_path: Path, said: dict) -> None:
    # Squared, an edge rises elsewhere and as evenly: its pixels alone do not tell.
    path, truth = _written(tmp_path, "edge-dx", (640, 640))
    pixels = pydicom.dcmread(path).pixel_array.astype(float)
    _changed(path, pixels**2 / pixels.max(), **said)
    found = _values(path)["mtf50"]
    assert found.status == "suspect" and "linear" in found.reason
    assert abs(found.value / truth["psf"]["mtf50_per_mm"] - 1) > 0.05


def test_edge_in_the_plane_of_the_object(tmp_path: Path) -> None:
    path, truth = _written(tmp_path, "edge-dx", (640, 640))
    _changed(path, EstimatedRadiographicMagnificationFactor="1.25")
    values = _values(path)
    assert values["mtf50"].value == pytest.approx(1.25 * truth["psf"]["mtf50_per_mm"], rel=0.015)


@pytest.mark.parametrize("mark", ["written in white", "written in black", "lead letter", "shutter's corner"])
def test_what_lies_at_the_side_of_a_field_is_left_out_and_told(mark: str, tmp_path: Path) -> None:
    path, truth = _written(tmp_path, "flat-dx", (640, 640))
    pixels = pydicom.dcmread(path).pixel_array.astype(float)
    row, column = np.mgrid[:640, :640]
    # Strokes of four pixels, as of an annotation in a corner; a letter of lead, which is seen through; a turned shutter.
    strokes = (np.abs(row - 50) < 15) & (column > 30) & (column < 200) & (column % 16 < 4)
    if mark == "shutter's corner":
        pixels[row + column < 120] *= 0.05
    elif mark == "lead letter":
        pixels[(np.abs(row - 60) < 20) & (np.abs(column - 560) < 12)] *= 0.1
    else:
        pixels[strokes] = 16383 if mark == "written in white" else 0
    _changed(path, pixels)
    outcome = analyse(path, known=_FIELDS)
    assert len(outcome.analyses) == 1, [one.reason for one in outcome.refused]
    (found,) = outcome.analyses
    assert any("text, lead or shutter" in note for note in found.pose.notes)
    values = {one.name: one.measured for one in found.measurements}
    assert values["uniformity_snr"].status == "ok"
    assert values["uniformity_snr"].value == pytest.approx(truth["expected"]["snr"], rel=0.01)
    assert values["nnps_noise"].value == pytest.approx(0.01, rel=0.03)
    assert values["defects_pixels"].value == 0


def test_a_letter_in_the_middle_of_a_field_is_something_in_it(tmp_path: Path) -> None:
    path, _ = _written(tmp_path, "flat-dx", (512, 512))
    pixels = pydicom.dcmread(path).pixel_array.astype(float)
    pixels[240:280, 250:262] *= 0.1
    _changed(path, pixels)
    assert not analyse(path, known=_FIELDS).analyses


@pytest.mark.parametrize("colours", ["MONOCHROME1", "MONOCHROME2"])
def test_a_flat_field_turned_round_without_a_word_is_no_sure_ratio(tmp_path: Path, colours: str) -> None:
    path, truth = _written(tmp_path, "flat-dx", (640, 640))
    dataset = pydicom.dcmread(path)
    dataset.PixelData = ((1 << dataset.BitsStored) - 1 - dataset.pixel_array).astype("<u2").tobytes()
    dataset.PhotometricInterpretation = colours
    for keyword in ("PixelIntensityRelationship", "PixelIntensityRelationshipSign", "PresentationLUTShape"):
        if keyword in dataset:
            delattr(dataset, keyword)
    dataset.save_as(path)
    values = _values(path)
    for name in ("uniformity_snr", "uniformity_global_signal", "nnps_noise"):
        assert values[name].status == "suspect" and "rise or fall" in values[name].reason
    assert abs(values["uniformity_snr"].value / truth["expected"]["snr"] - 1) > 0.5
