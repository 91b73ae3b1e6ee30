"""Contrast-detail scoring of gold discs: each cell read by a matched filter in its four corners, thresholds over all images."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from math import ceil

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.optimize import nnls

from dose_audit.image_quality.forced_choice import threshold_thickness
from dose_audit.measured import Measured, not_measurable
from dose_audit.phantom.definition import Definition, Measure
from dose_audit.phantom.locate.mg_gold import CORNERS, Cells, Gold, cells_of, gold_of
from dose_audit.phantom.pose import Pose
from dose_audit.phantom.procedures.common import absent, result
from dose_audit.phantom.procedures.xray_values import doubted
from dose_audit.phantom.results import PhantomMeasurement, Roi
from dose_audit.phantom.workbench import Workbench

__all__ = ["thresholds"]

Floats = NDArray[np.float64]
_SEARCH_MM = 0.1  # about the place that the fit of the sheet gives
_CLEAR_MM = 1.9  # of the lines between cells and of the disc in the middle
_METHOD = (
    "matched filter in the four corners of each cell, neighbours' correction, logistic psychometric curve at 62.5 %"
)


@dataclass
class _Reading:
    """Right and made choices over the images, and the outlines of the first image's cells."""

    right: NDArray[np.int_]
    shown: NDArray[np.int_]
    images: int
    left_out: int
    rois: list[Roi]


def thresholds(bench: Workbench, pose: Pose, definition: Definition, measure: Measure) -> Iterable[PhantomMeasurement]:
    """Threshold gold of each diameter as read, ``<name>_automatic.<d>``, and as people would see it, ``<name>.<d>``.

    The second is the first times the ratio of human to automatic reading, smoothed over diameters by
    ``T = a + b/d + c/d² + e/d³`` with no coefficient below zero. All images of the study that show the sheet are pooled.
    Settings: ``human_ratio`` (per diameter), ``limits_mm`` (diameters that are judged), ``blur_mm`` (standard deviation
    of the system's blur that the filter assumes), ``least_images``.
    """
    cells = cells_of(definition)
    reading = _read(bench, definition, cells, float(measure.settings.get("blur_mm", 0.08)))
    name = measure.name
    if reading.images == 0:
        yield absent(name, "um", "the gold discs were not found", measure, title="Threshold gold thickness")
        return
    yield result(
        Measured(
            f"{name}_images", float(reading.images), "1", method=f"{reading.left_out} images of the study left out"
        ),
        measure,
        title="Images pooled",
        rois=reading.rois,
    )
    share = float(reading.right.sum()) / float(reading.shown.sum())
    yield result(
        Measured(f"{name}_right", 100 * share, "%", 100 * float(np.sqrt(share * (1 - share) / reading.shown.sum()))),
        measure,
        title="Cells read right",
        rois=reading.rois,
    )
    least = int(measure.settings.get("least_images", 6))
    few = "" if reading.images >= least else f"{reading.images} images; at least {least} are pooled for a threshold"
    found = threshold_thickness(reading.right, reading.shown, cells.thickness_um)
    points: list[tuple[float, float, float]] = []
    ratios = [float(one) for one in measure.settings["human_ratio"]]
    for diameter, ratio, own in zip(cells.diameters_mm, ratios, found, strict=True):
        if own.value is not None and own.uncertainty is not None:
            points.append((diameter, ratio * own.value, ratio * own.uncertainty))
        yield doubted(
            result(
                replace(own, name=f"{name}_automatic.{_text(diameter)}", method=_METHOD),
                measure,
                title=f"Threshold gold as read, {diameter:g} mm",
                rois=reading.rois,
            ),
            few,
        )
    for diameter in (float(one) for one in measure.settings.get("limits_mm", ())):
        yield doubted(
            result(
                _smoothed(points, diameter, f"{name}.{_text(diameter)}"),
                measure,
                title=f"Threshold gold as seen by people, {diameter:g} mm",
                rois=reading.rois,
            ),
            few,
        )


def _text(diameter_mm: float) -> str:
    return f"{diameter_mm:g}".replace(".", "_")


def _smoothed(points: list[tuple[float, float, float]], diameter: float, name: str) -> Measured:
    """Value at a diameter of the curve through the thresholds; only between measured diameters."""
    known = [one[0] for one in points]
    if len(points) < 5 or not min(known) <= diameter <= max(known):
        return not_measurable(name, "um", "too few thresholds, or none to both sides of this diameter", method=_METHOD)
    d, value, error = (np.array(column) for column in zip(*points, strict=True))
    basis = np.stack([d**-power for power in range(4)], axis=1)

    def curve(values: Floats) -> float:
        # Relative weights: thresholds span two decades.
        coefficients, _ = nnls(basis / value[:, None], values / value)
        return float(sum(one * diameter**-power for power, one in enumerate(coefficients)))

    fitted = curve(value)
    random = np.random.default_rng(0)
    spread = float(np.std([curve(np.maximum(value + error * random.standard_normal(d.size), 0.0)) for _ in range(100)]))
    smooth = Measured(name, fitted, "um", spread, method=f"{_METHOD}; times the human ratio, T = a + b/d + c/d² + e/d³")
    nearest = int(np.argmin(np.abs(d - diameter)))
    if abs(d[nearest] - diameter) < 1e-6 and abs(fitted / value[nearest] - 1) > 0.5:
        return smooth.doubt(f"the curve passes the threshold of this diameter ({value[nearest]:.3g} um) by half of it")
    return smooth


def _read(bench: Workbench, definition: Definition, cells: Cells, blur_mm: float) -> _Reading:
    """All images: those of the series and of the other series of the study."""
    shape = cells.corners.shape
    reading = _Reading(np.zeros(shape, dtype=int), np.zeros(shape, dtype=int), 0, 0, [])
    for own in (bench, *bench.beside):
        for index in range(len(own.series.frames)):
            image, spacing = own.series.image(index), own.spacing_mm
            gold = gold_of(own, definition, index)
            if gold is None or gold.share < 0.7:
                reading.left_out += 1
                continue
            right = _choices(np.asarray(image, dtype=np.float64), spacing, cells, gold, blur_mm)
            reading.right += right == 1
            reading.shown += right >= 0
            if not reading.images:
                reading.rois = _outlines(cells, gold, right, spacing)
            reading.images += 1
    return reading


def _choices(image: Floats, spacing: tuple[float, float], cells: Cells, gold: Gold, blur_mm: float) -> NDArray[np.int_]:
    """1 where the disc was found in its own corner, 0 where in another, -1 where there is no cell or it is cut off."""
    found = np.full(cells.corners.shape, -1)
    magnified = float(np.sqrt(abs(np.linalg.det(gold.matrix)) * spacing[0] * spacing[1]))
    for row, diameter in enumerate(cells.diameters_mm):
        kernel = _kernel(diameter * magnified, spacing, blur_mm)
        half = (kernel.shape[0] // 2, kernel.shape[1] // 2)
        slack = tuple(max(1, round(_SEARCH_MM / step)) for step in spacing)
        for column in np.flatnonzero(cells.corners[row]):
            middle = cells.middle(row, int(column))
            responses = {}
            for code, corner in CORNERS.items():
                place = gold.place(middle + gold.corner_mm * np.array(corner))
                response = _response(image, place, kernel, half, slack)
                if response is None:
                    break
                responses[code] = float((gold.sign * response).max())
            if len(responses) == len(CORNERS):
                best = max(responses, key=lambda code: responses[code])
                found[row, column] = int(best == cells.corners[row, column])
    return found


def _response(
    image: Floats, place: Floats, kernel: Floats, half: tuple[int, int], slack: tuple[int, ...]
) -> Floats | None:
    """Answers of the filter at the places within `slack` pixels of one; `None` at the border of the image."""
    top, left = (round(float(at)) - h - s for at, h, s in zip(place, half, slack, strict=True))
    rows, columns = (size + 2 * s for size, s in zip(kernel.shape, slack, strict=True))
    if top < 0 or left < 0 or top + rows > image.shape[0] or left + columns > image.shape[1]:
        return None
    part = np.lib.stride_tricks.sliding_window_view(image[top : top + rows, left : left + columns], kernel.shape)
    return np.asarray(np.einsum("abij,ij->ab", part, kernel))


def _kernel(diameter_mm: float, spacing: tuple[float, float], blur_mm: float) -> Floats:
    """Blurred disc without its mean over a surrounding that stays clear of the cell's lines and its middle disc."""
    reach = min(_CLEAR_MM, max(diameter_mm, 0.5 * diameter_mm + 0.6))
    half = [ceil(reach / step) for step in spacing]
    fine = 5
    y = ((np.arange((2 * half[0] + 1) * fine) + 0.5) / fine - half[0] - 0.5) * spacing[0]
    x = ((np.arange((2 * half[1] + 1) * fine) + 0.5) / fine - half[1] - 0.5) * spacing[1]
    disc = (np.hypot(y[:, None], x[None, :]) <= diameter_mm / 2).astype(float)
    disc = ndimage.gaussian_filter(disc, [blur_mm / step * fine for step in spacing])
    kernel = disc.reshape(2 * half[0] + 1, fine, 2 * half[1] + 1, fine).mean(axis=(1, 3))
    window = (
        np.hypot(
            (np.arange(-half[0], half[0] + 1) * spacing[0])[:, None],
            (np.arange(-half[1], half[1] + 1) * spacing[1])[None, :],
        )
        <= reach
    )
    return np.asarray(np.where(window, kernel - kernel[window].mean(), 0.0))


def _outlines(cells: Cells, gold: Gold, right: NDArray[np.int_], spacing: tuple[float, float]) -> list[Roi]:
    """The true corner of every cell, labelled where it was read wrong."""
    rois = []
    for (row, column), code in np.ndenumerate(cells.corners):
        if code and right[row, column] >= 0:
            place = gold.place(cells.middle(row, column) + gold.corner_mm * np.array(CORNERS[int(code)]))
            radius = 0.5 * cells.diameters_mm[row] + 0.4
            label = "" if right[row, column] else "x"
            at = (float(place[0]), float(place[1]))
            rois.append(Roi("circle", (at,), (radius / spacing[0], radius / spacing[1]), 0, label))
    return rois
