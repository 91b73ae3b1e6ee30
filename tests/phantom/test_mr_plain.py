"""MagNET objects, spheres and bottles, digital: recognised by what the image shows, measured against what was rendered."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread

from dose_audit.phantom.analyse import analyse
from dose_audit.phantom.definition import definitions
from dose_audit.phantom.digital import Pose, recipe, write_series

MR = [one for one in definitions() if "MR" in one.modalities]


def measured(folder: Path, kind: str, *, pose: Pose | None = None, repeats: int = 1) -> tuple[str, dict[str, float]]:
    write_series(folder, recipe(kind), pose=pose, repeats=repeats)
    (analysis,) = analyse(folder, known=MR).analyses
    return analysis.definition.id, {
        one.name: one.measured.value
        for one in analysis.measurements
        if one.measured.status == "ok" and one.measured.value is not None
    }


def test_rods_and_plates(tmp_path: Path) -> None:
    name, found = measured(tmp_path, "magnet-slice-width", pose=Pose(4.0, -3.0, 0.0, 2.0))
    assert name == "magnet-slice-width"
    assert found["rods_horizontal"] == pytest.approx(120.0, abs=0.1)
    assert found["rods_vertical"] == pytest.approx(120.0, abs=0.1)
    assert found["slice_width"] == pytest.approx(5.0, abs=0.1)


def test_rods_without_plates_have_no_slice_width(tmp_path: Path) -> None:
    name, found = measured(tmp_path, "magnet-geometry")
    assert name == "magnet-slice-width" and "slice_width" not in found
    assert found["rods_distortion"] < 0.05


def test_edges_of_the_square_give_the_blur_that_was_rendered(tmp_path: Path) -> None:
    name, found = measured(tmp_path, "magnet-resolution")
    acquisition = recipe("magnet-resolution").acquisition
    # A Gaussian of sigma falls to one half at 0.1874/sigma; pixel and object blur add in quadrature.
    pixel = acquisition.spacing_mm[0] / 12**0.5 if acquisition.aperture else 0.0
    period = (acquisition.psf_sigma_mm**2 + pixel**2) ** 0.5 / (2 * 0.1874)
    assert name == "magnet-resolution"
    assert found["resolution_horizontal"] == pytest.approx(period, rel=0.1)
    assert found["resolution_vertical"] == pytest.approx(period, rel=0.1)


@pytest.mark.parametrize(
    ("kind", "name", "snr"),
    [("magnet-snr", "magnet-flood", 125.0), ("bottle", "nema-sphere", 100.0), ("sphere", "nema-sphere", 100.0)],
)
def test_uniform_objects(kind: str, name: str, snr: float, tmp_path: Path) -> None:
    got, found = measured(tmp_path, kind)
    assert got == name
    assert found["snr"] == pytest.approx(snr, rel=0.05)
    assert found["psg"] < 0.2


def test_the_flood_field_is_measured_with_its_repeat(tmp_path: Path) -> None:
    _, found = measured(tmp_path, "magnet-snr", repeats=2)
    assert found["snr"] == pytest.approx(125.0, rel=0.05)


@pytest.mark.parametrize("kind", ["real part", "magnitude, background taken off"])
def test_air_with_its_sign_has_the_noise_itself(kind: str, tmp_path: Path) -> None:
    """A real-part image has noise about zero, of the signal's own SD; a magnitude without its mean is not one."""
    (file,) = write_series(tmp_path, recipe("magnet-snr")).files[:1]
    image = dcmread(file)
    body = image.pixel_array > 500
    random, sd = np.random.default_rng(3), 8.0
    real, imaginary = random.normal(0.0, sd, (2, *body.shape))
    real += np.where(body, 1000.0, 0.0)
    pixels = real if kind == "real part" else np.hypot(real, imaginary) - sd * np.sqrt(np.pi / 2)
    image.PixelData = np.rint(pixels + 2048).astype(np.uint16).tobytes()
    image.RescaleSlope, image.RescaleIntercept = 1, -2048
    (analysis,) = analyse([image], known=MR).analyses
    air = next(one.measured for one in analysis.measurements if one.name == "snr_air")
    assert air.value is not None
    if kind == "real part":
        assert air.status == "ok" and air.value == pytest.approx(125.0, rel=0.05)
        assert abs(air.value - 125.0) < 3 * (air.uncertainty or 0.0) + 1.0
    else:
        assert air.status == "suspect"


def test_the_sphere_is_measured_in_its_largest_section(tmp_path: Path) -> None:
    _, found = measured(tmp_path, "sphere")
    # A slice of 5 mm about the middle: its edge lies where half of the thickness is filled.
    assert found["diameter"] == pytest.approx(170.0, abs=0.2)


def test_no_ghosts_are_told_where_the_air_was_emptied(tmp_path: Path) -> None:
    """A ghost of 3 %, and the same after what is dark was set to zero, as a maker's background filter does."""
    (file,) = write_series(tmp_path, recipe("magnet-snr")).files[:1]
    image = dcmread(file)
    clean = image.pixel_array.astype(float)
    ghosted = clean + 0.03 * np.roll(clean, clean.shape[0] // 2, axis=0)
    body = clean > 0.3 * clean.max()
    found = []
    for pixels in (ghosted, np.where(body, ghosted, 0.0)):
        image.PixelData = np.rint(pixels).astype(image.pixel_array.dtype).tobytes()
        (analysis,) = analyse([image], known=MR).analyses
        found.append({one.name: one.measured for one in analysis.measurements})
    for name in ("psg", "psg_columns"):
        assert (found[0][name].value or 0.0) > 0.5 and found[0][name].status == "ok"
        assert found[1][name].status == "suspect" and "ghosts were taken away" in found[1][name].reason


def test_a_finer_matrix_has_no_smaller_voxels(tmp_path: Path) -> None:
    """Every pixel four times: the same signal, noise and voxel, so the same ratio per millilitre as far as that goes."""
    (file,) = write_series(tmp_path, recipe("magnet-snr")).files[:1]
    image = dcmread(file)
    rows, columns = image.pixel_array.shape
    image.AcquisitionMatrix = [0, columns, rows, 0]
    image.PixelBandwidth, image.RepetitionTime, image.NumberOfAverages = 130, 500, 1
    factors = []
    for times in (1, 2):
        image.PixelData = np.kron(image.pixel_array, np.ones((times, times), image.pixel_array.dtype)).tobytes()
        image.Rows, image.Columns = times * rows, times * columns
        image.PixelSpacing = [float(one) / times for one in image.PixelSpacing]
        (analysis,) = analyse([image], known=MR).analyses
        (one,) = (own.measured for own in analysis.measurements if own.name == "snr_normalised")
        factors.append(one.details["factor"])
    assert factors[1] == pytest.approx(factors[0], rel=1e-9)
