"""pylinac on one case; runs in pylinac's own environment (``compare/.venv-pylinac``)."""

from __future__ import annotations

import json
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import numpy as np
from answer import Answer, Task, serve
from pylinac import ACRMRILarge, CatPhan504, LeedsTOR
from pylinac.core.geometry import Point
from pylinac.core.mtf import EdgeSpreadFunctionMTF, PeakValleyMTF
from pylinac.core.nps import average_power, max_frequency, noise_power_spectrum_1d, noise_power_spectrum_2d
from pylinac.core.roi import RectangleROI

_MATERIALS = {"Air": "air", "Poly": "polystyrene"}
_ACR_DISTANCES = {"horizontal": "diameter 0°", "vertical": "diameter 90°"}


def _image(folder: Path) -> tuple[Any, dict[str, Any]]:
    return np.load(folder / "image.npy"), json.loads((folder / "input.json").read_text())


def edge(folder: Path, answer: Answer) -> None:
    """Rows across the edge as they are; it has no projection on the normal, so only rows within half a pixel are used."""
    image, told = _image(folder)
    pixel = told["spacing_mm"][1]
    half = max(1, int(0.25 / abs(np.tan(np.radians(told["angle_deg"])))))
    middle = image.shape[0] // 2
    rows = list(image[middle - half : middle + half].astype(float))
    curve = EdgeSpreadFunctionMTF(rows, sample_spacing=pixel * np.cos(np.radians(told["angle_deg"])))
    answer.give("MTF50", curve.relative_resolution(50))
    answer.give("MTF10", curve.relative_resolution(10))
    for f in told["frequencies_per_mm"]:
        answer.give(f"MTF at {f:g} /mm", np.interp(f, curve.freq, curve.mtf))
    answer.remarks.append("given rows across the edge: it has no projection on the edge's normal")


def esf(folder: Path, answer: Answer) -> None:
    """An edge spread function that was oversampled for it."""
    profile, told = _image(folder)
    curve = EdgeSpreadFunctionMTF([profile.astype(float)], sample_spacing=told["step_mm"])
    answer.give("MTF50", curve.relative_resolution(50))
    answer.give("MTF10", curve.relative_resolution(10))


def bars(folder: Path, answer: Answer) -> None:
    """Largest and smallest pixel of each group, relative to the first group, as its planar phantoms do."""
    image, told = _image(folder)
    row_mm, column_mm = told["spacing_mm"]
    rois = []
    for group in told["groups"]:
        row, column = group["row_column"]
        size = {"width": group["across_mm"] / column_mm, "height": group["along_mm"] / row_mm}
        rois.append(RectangleROI(array=image, center=Point(column, row), **size))
    spacings = [group["frequency_per_mm"] for group in told["groups"]]
    curve = PeakValleyMTF.from_high_contrast_diskset(spacings, rois)
    for f, value in curve.norm_mtfs.items():
        answer.give(f"relative square-wave response at {f:g} /mm", value)


def nps(folder: Path, answer: Answer) -> None:
    """Its two-dimensional spectrum, integrated here; its own two numbers are fractions of the corner's radius."""
    image, told = _image(folder)
    pixel, size = told["spacing_mm"][0], told["roi_size"]
    starts = [(r, c) for r in range(0, image.shape[0] - size + 1, size // 2)
              for c in range(0, image.shape[1] - size + 1, size // 2)]  # fmt: skip
    plane = noise_power_spectrum_2d(pixel, [image[r : r + size, c : c + size] for r, c in starts])
    radial = noise_power_spectrum_1d(plane)
    answer.give("integral over variance", plane.sum() / (size * pixel) ** 2 / told["variance"])
    answer.give("f_peak", max_frequency(radial))
    answer.give("f_av", average_power(radial))
    answer.remarks.append("its frequencies are fractions of the transform's corner, though its plot says mm⁻¹")


def catphan504(folder: Path, answer: Answer) -> None:
    phantom = CatPhan504(folder)
    phantom.analyze()
    data = phantom.results_data()
    for name, roi in data.ctp404.hu_rois.items():
        answer.give(f"HU {_MATERIALS.get(name, name)}", roi.value)
    answer.give("node distance, mean", data.ctp404.avg_line_distance_mm)
    answer.give("slice thickness", data.ctp404.measured_slice_thickness_mm)
    answer.give("roll", data.catphan_roll_deg)
    if data.ctp486 is not None:
        rois = {name: roi.value for name, roi in data.ctp486.rois.items()}
        edges = [value for name, value in rois.items() if name != "Center"]
        answer.give("uniformity, largest difference", max((v - rois["Center"] for v in edges), key=abs))
    if data.ctp528 is not None:
        answer.give("rMTF50 of the bars", data.ctp528.mtf_lp_mm.get(50))


def acr_mri(folder: Path, answer: Answer) -> None:
    phantom = ACRMRILarge(folder)
    phantom.analyze()
    data = phantom.results_data()
    answer.give("slice thickness", data.slice1.measured_slice_thickness_mm)
    # Left less right; the ACR's guidance, and the others, count right less left.
    answer.give("bar difference, slice 1", -data.slice1.bar_difference_mm)
    answer.give("bar difference, slice 11", -data.slice11.bar_difference_mm)
    answer.give("PIU", data.uniformity_module.piu)
    answer.give("PSG", data.uniformity_module.psg)
    answer.give("LCD spokes", data.low_contrast_multi_slice_module.score)
    for name, profile in data.geometric_distortion_module.profiles.items():
        if name in _ACR_DISTANCES:
            answer.give(_ACR_DISTANCES[name], profile["width (mm)"])
    answer.give("MTF50 of the holes, rows", data.slice1.row_mtf_50)


def leeds(folder: Path, answer: Answer) -> None:
    (path,) = folder.iterdir()
    phantom = LeedsTOR(path)
    phantom.analyze()
    data = phantom.results_data()
    answer.give("contrast discs seen", data.num_contrast_rois_seen)
    values = {level: f for entry in data.mtf_lp_mm for level, f in entry.items()}
    answer.give("rMTF50 of the bars", values.get(50))
    # It mirrors an image whose contrasts do not fall anticlockwise, and gives the angle in the mirrored one.
    angle = phantom.phantom_angle
    answer.give("lead square, clockwise from 3 o'clock", (angle if phantom._is_ccw else 180.0 - angle) % 360.0)


TASKS: dict[str, Task] = {
    "edge": edge,
    "esf": esf,
    "bars": bars,
    "nps": nps,
    "catphan504": catphan504,
    "acr_mri": acr_mri,
    "leeds": leeds,
}

if __name__ == "__main__":
    sys.exit(serve(f"pylinac {version('pylinac')}", TASKS))
