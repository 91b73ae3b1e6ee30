"""Region, geometry and slice metrics on real phantoms: known dimensions, and values that hold for any sound program."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest

from dose_audit.image_quality import (
    body_outline,
    circle_diameter,
    mean_thickness,
    percent_integral_uniformity,
    polar_position,
    slice_position_bars,
    slice_thickness_ramps,
    slice_thickness_wire,
)
from dose_audit.image_quality.rois import offset_position

# Roll of the insert as seen in the image, where it is not upright.
ROLL = {"SiemensMTF": 9.4}


def _slices(folder: Path) -> list[pydicom.Dataset]:
    read = [pydicom.dcmread(path) for path in sorted(folder.iterdir())]
    images = [one for one in read if "PixelData" in one and one.Modality != "RTSTRUCT"]
    return sorted(images, key=lambda one: float(one.ImagePositionPatient[2]))


def _spacing(image: pydicom.Dataset) -> tuple[float, float]:
    return float(image.PixelSpacing[0]), float(image.PixelSpacing[1])


def test_acr_sets_have_their_diameter_thickness_and_position(real_dir: Path) -> None:
    folders = sorted((real_dir / "mr-acr").iterdir())
    assert folders
    for folder in folders:
        images = _slices(folder)
        for index in (0, 4, 6, 10):
            found = circle_diameter(images[index].pixel_array, _spacing(images[index]))
            # 190 mm inner diameter; SiemensMTF was not corrected for distortion.
            assert found.diameter.value == pytest.approx(190.0, abs=3.5 if folder.name == "SiemensMTF" else 2.0)
        first, spacing = images[0], _spacing(images[0])
        outline, roll = body_outline(first.pixel_array, spacing), ROLL.get(folder.name, 0.0)
        assert outline.centre_px is not None
        ramps = slice_thickness_ramps(first.pixel_array, spacing, outline.centre_px, angle_deg=roll)
        assert ramps.thickness.value == pytest.approx(5.0, abs=0.7), folder.name
        left, right = (offset_position(outline.centre_px, side, -72.0, spacing, roll_deg=roll) for side in (-2.8, 2.8))
        bars = slice_position_bars(
            first.pixel_array, spacing, left, right, length_mm=30.0, width_mm=2.0, angle_deg=90 + roll
        )
        assert abs(bars.length_difference.value or 99.0) < 5.0, folder.name


def test_integral_uniformity_of_the_reference_object_is_the_one_written_in_its_header(real_dir: Path) -> None:
    [path] = (real_dir / "mr-acr-dro" / "series011").iterdir()
    image = pydicom.dcmread(path)
    assert "IU68" in image.ImageComments
    outline = body_outline(image.pixel_array, _spacing(image))
    assert outline.centre_px is not None
    found = percent_integral_uniformity(image.pixel_array, _spacing(image), outline.centre_px)
    assert found.value == pytest.approx(68.0, abs=0.3)


def test_catphan_wires_give_the_slice_thickness_of_the_header(real_dir: Path) -> None:
    images = _slices(real_dir / "ct-catphan504-cbct")
    z = np.array([float(one.ImagePositionPatient[2]) for one in images])
    chosen = [index for index, at in enumerate(z) if -9.0 < at < 7.0]
    stack = np.array([images[i].pixel_array * images[i].RescaleSlope + images[i].RescaleIntercept for i in chosen])
    spacing = _spacing(images[0])
    centre = body_outline(stack[len(chosen) // 2], spacing).centre_px
    assert centre is not None
    wires = [
        slice_thickness_wire(
            stack, spacing, polar_position(centre, 38.0, angle, spacing), angle + 90, z_mm=list(z[chosen])
        )
        for angle in (-90, 0, 90, 180)
    ]
    thickness = mean_thickness(wires)
    assert thickness.status == "ok"
    assert thickness.value == pytest.approx(float(images[0].SliceThickness), abs=0.15)
