"""ACR MRI sets as other sites send them: several series in a folder, other planes and matrices, missing or mended headers.

Each set is one digital phantom with its objects changed; what is measured without a doubt has to stay true. All of them run
with DOSE_AUDIT_POSE_GRID=1, the suite takes a third.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import generate_uid

from dose_audit.phantom.analyse import Outcome, analyse
from dose_audit.phantom.definition import definitions
from dose_audit.phantom.digital import recipe, write_series
from dose_audit.phantom.results import Analysis
from tests.phantom.enhanced import as_enhanced

MR = [one for one in definitions() if "MR" in one.modalities]
WHOLE = bool(os.environ.get("DOSE_AUDIT_POSE_GRID"))
Change = Callable[[list[Dataset]], list[Dataset]]


@pytest.fixture(scope="module")
def sent(tmp_path_factory: pytest.TempPathFactory) -> list[Dataset]:
    folder = tmp_path_factory.mktemp("plain")
    write_series(folder, recipe("acr-mri-large"), seed=5)
    return [dcmread(file) for file in sorted(folder.rglob("*.dcm"))]


def with_pixels(dataset: Dataset, image: np.ndarray) -> Dataset:
    dataset.Rows, dataset.Columns = image.shape
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit, dataset.PixelRepresentation = 15, 0
    dataset.PixelData = np.clip(np.round(image), 0, 65535).astype(np.uint16).tobytes()
    return dataset


def second_series(datasets: Sequence[Dataset], **attributes: object) -> list[Dataset]:
    made, uid = copy.deepcopy(list(datasets)), generate_uid()
    for one in made:
        one.SeriesInstanceUID, one.SOPInstanceUID = uid, generate_uid()
        for name, value in attributes.items():
            setattr(one, name, value)
    return made


def two_echoes(datasets: list[Dataset]) -> list[Dataset]:
    later = second_series(datasets)
    for one, first in zip(later, datasets, strict=True):
        one.SeriesInstanceUID, one.EchoTime = first.SeriesInstanceUID, 80
        one.InstanceNumber = int(first.InstanceNumber) + 11
        with_pixels(one, 0.6 * first.pixel_array)
    return datasets + later


def coronal(datasets: list[Dataset]) -> list[Dataset]:
    for one in datasets:
        z = float(one.ImagePositionPatient[2])
        one.ImageOrientationPatient, one.ImagePositionPatient = [1, 0, 0, 0, 0, -1], [-125, z, 125]
    return datasets


def oblique(datasets: list[Dataset]) -> list[Dataset]:
    turn = np.radians(5.0)
    rotate = np.array([[1, 0, 0], [0, np.cos(turn), -np.sin(turn)], [0, np.sin(turn), np.cos(turn)]])
    for one in datasets:
        one.ImageOrientationPatient = [float(v) for v in (*(rotate @ [1, 0, 0]), *(rotate @ [0, 1, 0]))]
        one.ImagePositionPatient = [float(v) for v in rotate @ np.array(one.ImagePositionPatient, dtype=float)]
    return datasets


def interpolated(datasets: list[Dataset]) -> list[Dataset]:
    for one in datasets:
        one.AcquisitionMatrix = [256, 0, 0, 256]
        spectrum = np.pad(np.fft.fftshift(np.fft.fft2(one.pixel_array.astype(float))), 128)
        with_pixels(one, 4 * np.abs(np.fft.ifft2(np.fft.ifftshift(spectrum))))
        one.PixelSpacing = [125 / 256, 125 / 256]
    return datasets


def rectangular(datasets: list[Dataset]) -> list[Dataset]:
    return [with_pixels(one, one.pixel_array[:, 20:236]) for one in datasets]


def upside_down(datasets: list[Dataset]) -> list[Dataset]:
    return [with_pixels(one, one.pixel_array[::-1, ::-1]) for one in datasets]


def mirrored(datasets: list[Dataset]) -> list[Dataset]:
    return [with_pixels(one, one.pixel_array[:, ::-1]) for one in datasets]


def reversed_numbers(datasets: list[Dataset]) -> list[Dataset]:
    for one in datasets:
        one.InstanceNumber = 12 - int(one.InstanceNumber)
    return datasets[::-1]


def wrapped(datasets: list[Dataset]) -> list[Dataset]:
    return [with_pixels(one, np.roll(one.pixel_array, 45, axis=0)) for one in datasets]


def scaled(datasets: list[Dataset]) -> list[Dataset]:
    for one in datasets:
        with_pixels(one, 30.0 * one.pixel_array)
        one.RescaleSlope, one.RescaleIntercept = 0.37, 0
    return datasets


def beyond_bits_stored(datasets: list[Dataset]) -> list[Dataset]:
    for one in datasets:
        with_pixels(one, 30.0 * one.pixel_array)
        one.BitsStored, one.HighBit = 12, 11
    return datasets


def bare(datasets: list[Dataset]) -> list[Dataset]:
    for one in datasets:
        for name in (
            "SliceThickness",
            "SpacingBetweenSlices",
            "Manufacturer",
            "EchoTime",
            "RepetitionTime",
            "ImageType",
        ):
            if name in one:
                delattr(one, name)
    return datasets


def padded(datasets: list[Dataset]) -> list[Dataset]:
    """Signed pixels, and a padding far below zero outside the reconstructed circle."""
    down, right = np.ogrid[:256, :256]
    outside = np.hypot(down - 127.5, right - 127.5) > 128
    for one in datasets:
        image = np.where(outside, -2000, one.pixel_array.astype("<i2"))
        one.PixelRepresentation, one.PixelPaddingValue, one.PixelData = 1, -2000, image.tobytes()
        one.BitsStored, one.HighBit = 16, 15
    return datasets


def narrow_phase_field(datasets: list[Dataset]) -> list[Dataset]:
    """Three quarters of the lines over three quarters of the field, filled up to a square image: pixels are no coarser."""
    for one in datasets:
        one.AcquisitionMatrix, one.PercentPhaseFieldOfView = [0, 256, 192, 0], 75
    return datasets


def with_phases(datasets: list[Dataset]) -> list[Dataset]:
    """A phase image after each magnitude, all in one multi-frame object."""
    random, both = np.random.default_rng(2), []
    for one in datasets:
        phase = with_pixels(copy.deepcopy(one), random.uniform(0, 4095, (256, 256)))
        phase.ImageType, phase.SOPInstanceUID = ["ORIGINAL", "PRIMARY", "P", "ND"], generate_uid()
        both += [one, phase]
    return [as_enhanced(both)]


def without_positions(datasets: list[Dataset]) -> list[Dataset]:
    for one in datasets:
        for name in ("ImagePositionPatient", "ImageOrientationPatient", "SliceLocation"):
            if name in one:
                delattr(one, name)
    return datasets


def without_any_distance(datasets: list[Dataset]) -> list[Dataset]:
    for one in without_positions(datasets):
        for name in ("SpacingBetweenSlices", "SliceThickness"):
            if name in one:
                delattr(one, name)
    return datasets


def ghosted(datasets: list[Dataset]) -> list[Dataset]:
    """A copy of 5 % half a field away: arcs of its wall run through the membranes of 1.4 to 5.1 % contrast."""
    return [with_pixels(one, one.pixel_array + 0.05 * np.roll(one.pixel_array, 128, axis=0)) for one in datasets]


def faintly_ghosted(datasets: list[Dataset]) -> list[Dataset]:
    """A copy of 2 % half a field away."""
    return [with_pixels(one, one.pixel_array + 0.02 * np.roll(one.pixel_array, 128, axis=0)) for one in datasets]


CHANGES: dict[str, Change] = {
    one.__name__: one
    for one in (
        two_echoes, coronal, oblique, reversed_numbers, interpolated, rectangular, upside_down, wrapped, mirrored, scaled,
        beyond_bits_stored, bare, without_positions, padded, narrow_phase_field, with_phases,
    )
}  # fmt: skip
TRUTH = {
    "slice_thickness": (5.0, 0.15),
    "slice_position_1": (0.0, 0.2),
    "slice_position_11": (0.0, 0.2),
    "diameter_slice1": (190.0, 0.1),
    "diameter_slice5": (190.0, 0.1),
    "diameter_slice7": (190.0, 0.1),
    "snr": (125.0, 6.0),
    "psg": (0.0, 0.3),
    # Holes of 0.9 mm stand nearer than two acquired pixels.
    "resolution_rows": (1.0, 0.01),
    "resolution_columns": (1.0, 0.01),
    "low_contrast_slice11": (10.0, 1.0),
}


def doubtless(analysis: Analysis) -> dict[str, float]:
    return {
        one.name: one.measured.value
        for one in analysis.measurements
        if one.measured.status == "ok" and one.measured.value is not None
    }


def run(datasets: list[Dataset], change: Change) -> Outcome:
    return analyse(change(copy.deepcopy(datasets)), known=MR)


@pytest.mark.parametrize("name", sorted(CHANGES) if WHOLE else sorted(CHANGES)[1::3])
def test_what_is_measured_without_a_doubt_is_true(name: str, sent: list[Dataset]) -> None:
    outcome = run(sent, CHANGES[name])
    assert len(outcome.analyses) == (2 if name == "two_echoes" else 1)
    assert len(outcome.refused) == (1 if name == "with_phases" else 0)
    for analysis in outcome.analyses:
        assert analysis.definition.id == "acr-mri-large"
        found = doubtless(analysis)
        for measurement, (value, within) in TRUTH.items():
            if measurement in found:
                assert found[measurement] == pytest.approx(value, abs=within), measurement
        if name == "mirrored":
            assert not found and "mirrored" in analysis.pose.reason
        else:
            assert {"slice_thickness", "diameter_slice5", "low_contrast_slice11"} <= set(found)
        # Where the phantom fills the field of view there is no air for ghosts, and padding is none.
        assert ("psg" in found) == (name not in ("wrapped", "mirrored", "padded"))


def test_a_localiser_and_two_weightings_in_one_folder(sent: list[Dataset]) -> None:
    side = copy.deepcopy(sent[0])
    down, right = np.mgrid[:256, :256] * (250 / 256) - 125
    random = np.random.default_rng(1)
    # Pixels on the rim are covered in part: the edges lie where they are said to.
    pixel = 250 / 256
    body = 1000.0 * np.clip((95 - np.abs(right)) / pixel + 0.5, 0, 1) * np.clip((74 - np.abs(down)) / pixel + 0.5, 0, 1)
    with_pixels(side, np.hypot(body + random.normal(0, 8, body.shape), random.normal(0, 8, body.shape)))
    side.ImageOrientationPatient, side.ImagePositionPatient = [0, 1, 0, 0, 0, -1], [0, -125, 125]
    side.SeriesInstanceUID, side.SOPInstanceUID = generate_uid(), generate_uid()
    weighted = second_series(sent, EchoTime=80, RepetitionTime=2000)
    outcome = analyse([side, *copy.deepcopy(sent), *weighted], known=MR)
    seen = sorted(one.definition.id for one in outcome.analyses)
    assert seen == ["acr-mri-large", "acr-mri-large", "acr-mri-large-localiser"]
    (length,) = (one for one in outcome.analyses if one.definition.id.endswith("localiser"))
    assert doubtless(length)["cylinder_length"] == pytest.approx(148.0, abs=0.2)


def test_one_multi_frame_object_measures_as_its_slices(sent: list[Dataset]) -> None:
    shuffled = [sent[k] for k in (3, 0, 10, 7, 1, 9, 2, 8, 5, 4, 6)]
    (slices,) = analyse(copy.deepcopy(sent), known=MR).analyses
    (whole,) = analyse([as_enhanced(shuffled)], known=MR).analyses
    assert [m.as_record() for m in whole.measurements] == [m.as_record() for m in slices.measurements]


def test_few_slices_are_measured_as_what_they_show(sent: list[Dataset]) -> None:
    (analysis,) = analyse([copy.deepcopy(sent[k]) for k in (0, 6, 10)], known=MR).analyses
    found = doubtless(analysis)
    assert found["slice_thickness"] == pytest.approx(5.0, abs=0.15) and found["snr"] == pytest.approx(125.0, abs=6.0)
    by_name = {one.name: one.measured for one in analysis.measurements}
    for name in ("diameter_slice5", "low_contrast_slice8", "low_contrast_slice10"):
        assert by_name[name].value is None and "gap" in by_name[name].reason


@pytest.mark.parametrize("kept", [slice(1, None), slice(4, None), slice(6, 7)], ids=("no slice 1", "from 5", "7 alone"))
def test_an_incomplete_set_gives_what_it_holds(kept: slice, sent: list[Dataset]) -> None:
    (analysis,) = analyse(copy.deepcopy(sent[kept]), known=MR).analyses
    found = doubtless(analysis)
    assert "slice_thickness" not in found and "slice_position_1" not in found
    assert found["snr"] == pytest.approx(125.0, abs=6.0)
    for one in analysis.measurements:
        assert one.measured.value is not None or one.measured.reason


def test_spokes_that_ghosts_hide_are_not_counted_as_missing(sent: list[Dataset]) -> None:
    (analysis,) = run(sent, ghosted).analyses
    by_name = {one.name: one.measured for one in analysis.measurements}
    for slice_ in (8, 9, 10, 11):
        # Without the ghosts 9 or 10 are seen in each slice.
        count = by_name[f"low_contrast_slice{slice_}"]
        assert count.value >= 8.0 or (count.status == "suspect" and "structure" in count.reason)
    assert by_name["low_contrast_total"].status == "suspect"


def test_faint_ghosts_that_take_spokes_away_are_named(sent: list[Dataset]) -> None:
    """2 % of the signal over discs of 1.4 % contrast: less than the structure that noise leaves, and more than the discs."""
    (analysis,) = run(sent, faintly_ghosted).analyses
    by_name = {one.name: one.measured for one in analysis.measurements}
    faintest, strongest = by_name["low_contrast_slice8"], by_name["low_contrast_slice11"]
    # Without the ghosts 9 or 10 spokes are seen.
    assert faintest.value >= 8.0 or (faintest.status == "suspect" and "1.4 % contrast" in faintest.reason)
    assert strongest.status == "ok" and strongest.value >= 9.0
    # Ghosts are given in per cent of twice the signal.
    assert by_name["psg_columns"].value == pytest.approx(1.0, abs=0.1)


def test_a_finer_matrix_is_looked_at_as_finely_where_spokes_lack(tmp_path: Path) -> None:
    """In pixels of half a millimetre and noise of 2.5 % the small discs need all of the pixels that they cover."""
    phantom = recipe("acr-mri-large")
    fine = replace(
        phantom.acquisition,
        shape=(512, 512),
        spacing_mm=(250 / 512, 250 / 512),
        z_mm=tuple(phantom.acquisition.z_mm[k] for k in (0, 6, 7, 8)),
        noise=replace(phantom.acquisition.noise, sd=25.0),
    )
    write_series(tmp_path, phantom, acquisition=fine, seed=5)
    (analysis,) = analyse(tmp_path, known=MR).analyses
    # Discs of the ninth spoke cover 14.7 pixels: at a contrast of 25 and noise of 25 an ideal observer has a d' of 3.8 for
    # each, of which 1.3 are asked for.
    found = {one.name: one.measured for one in analysis.measurements}["low_contrast_slice9"]
    assert found.value is not None and found.value >= 9.0


def test_without_positions_and_distances_the_inserts_tell_them(sent: list[Dataset]) -> None:
    (analysis,) = run(sent, without_any_distance).analyses
    found = doubtless(analysis)
    assert {"slice_thickness", "snr", "piu", "low_contrast_slice11"} <= set(found)
    for measurement, (value, within) in TRUTH.items():
        assert found[measurement] == pytest.approx(value, abs=within), measurement
    assert any("no distance of the slices is sent" in note for note in analysis.notes)


def test_a_slice_that_is_missing_without_positions_is_noticed(sent: list[Dataset]) -> None:
    datasets = without_positions(copy.deepcopy(sent))
    (analysis,) = analyse(datasets[:4] + datasets[5:], known=MR).analyses
    assert analysis.pose.status == "suspect" and "a slice is missing" in analysis.pose.reason
    assert not doubtless(analysis)


def test_a_mosaic_is_refused_by_name(sent: list[Dataset]) -> None:
    mosaic = copy.deepcopy(sent[0])
    with_pixels(mosaic, np.tile(mosaic.pixel_array, (2, 2)))
    mosaic.ImageType = ["ORIGINAL", "PRIMARY", "M", "ND", "MOSAIC"]
    outcome = analyse(mosaic, known=MR)
    assert not outcome.analyses and "mosaic" in outcome.refused[0].reason
