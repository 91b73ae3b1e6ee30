"""Spatial resolution of an MR phantom from arrays of holes: how deep the signal falls between the four holes of a row."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from dose_audit.image_quality import sample_points
from dose_audit.measured import Measured, not_measurable
from dose_audit.phantom.definition import Definition, Feature, Measure
from dose_audit.phantom.pose import Pose
from dose_audit.phantom.procedures.common import Plane, absent, box, module_plane, result
from dose_audit.phantom.procedures.mr_matrix import acquired_mm
from dose_audit.phantom.results import PhantomMeasurement
from dose_audit.phantom.workbench import Workbench

__all__ = ["hole_arrays"]

Floats = NDArray[np.float64]
_STEP_MM = 0.1
_HOLES = 4
# A row counts as resolved when the signal falls by this share of the peaks' height in each of its three gaps, and by
# that many standard deviations of the block's noise.
_RESOLVED = 0.10
_SIGMAS = 4.0
_METHOD = (
    "least fall of the signal between neighbouring holes over the height of the peaks, in the best row of the array"
)
_NAMES = {"rows": "rows", "columns": "columns"}


def hole_arrays(bench: Workbench, pose: Pose, definition: Definition, measure: Measure) -> Iterable[PhantomMeasurement]:
    """Modulation of every array, and per direction the smallest holes that are resolved with all larger ones.

    Notes
    -----
    As a reader does, a direction counts as resolved when the four holes of any single row (column) are seen apart. Holes
    whose pitch is below two pixels cannot be, and an apparent modulation there is aliasing.
    """
    plane = module_plane(bench, pose, measure, definition.module(measure.module).z_mm)
    features = definition.features_of(measure)
    if isinstance(plane, str):
        for direction in _NAMES:
            yield absent(f"{measure.name}_{direction}", "mm", plane, measure, title=_title(direction))
        return
    noise = _noise(plane, pose, measure)
    pixel = acquired_mm(bench)
    for direction in _NAMES:
        found: list[tuple[float, Measured]] = []
        own = sorted((one for one in features if one.extra["direction"] == direction), key=lambda one: -one.size_mm[0])
        for feature in own:
            one = _modulation(plane, pose, feature, f"{measure.name}_{direction}_{feature.size_mm[0]:g}", noise, pixel)
            found.append((feature.size_mm[0], one))
            side = (2 * _HOLES - 1) * feature.size_mm[0]
            outline = box(pose, feature.x_mm, feature.y_mm, side, side, 0.0, plane, f"{feature.size_mm[0]:g}")
            yield result(
                one,
                measure,
                title=f"Modulation of {feature.size_mm[0]:g} mm holes along {direction}",
                rois=(outline,),
            )
        outlines = [box(pose, f.x_mm, f.y_mm, 7 * f.size_mm[0], 7 * f.size_mm[0], 0.0, plane) for f in own]
        yield result(_smallest(found, f"{measure.name}_{direction}"), measure, title=_title(direction), rois=outlines)


def _title(direction: str) -> str:
    return f"Smallest holes resolved along {direction}"


def _smallest(found: list[tuple[float, Measured]], name: str) -> Measured:
    """The smallest size that is resolved together with all larger ones."""
    known = [(size, one) for size, one in found if one.value is not None]
    if not known:
        return not_measurable(name, "mm", found[0][1].reason if found else "no hole arrays", method=_METHOD)
    resolved = [bool(one.details["resolved"]) for _, one in known]
    count = resolved.index(False) if False in resolved else len(resolved)
    if count == 0 and True in resolved:
        size = max(size for (size, _), seen in zip(known, resolved, strict=True) if seen)
        return Measured(name, size, "mm", method=_METHOD).doubt("larger holes are not resolved: aliasing, or a bubble")
    if count == 0:
        return not_measurable(
            name, "mm", f"not even the largest holes ({known[0][0]:g} mm) are resolved", method=_METHOD
        )
    value = Measured(name, known[count - 1][0], "mm", method=_METHOD)
    if True in resolved[count:]:
        return value.doubt("smaller holes seem resolved where larger ones are not: aliasing, or a bubble")
    return value


def _noise(plane: Plane, pose: Pose, measure: Measure) -> tuple[float, float]:
    """Level and robust spread of the block between and beside the arrays."""
    x, y, width, height = (float(one) for one in measure.settings["dark_mm"])
    xs, ys = np.meshgrid(
        np.arange(x - 0.5 * width, x + 0.5 * width, 1.0), np.arange(y - 0.5 * height, y + 0.5 * height, 1.0)
    )
    values = _sample(plane, pose, xs, ys)
    level = float(np.median(values))
    return level, 1.4826 * float(np.median(np.abs(values - level)))


def _sample(plane: Plane, pose: Pose, xs: Floats, ys: Floats) -> Floats:
    """Spline values at points of the phantom's frame."""
    origin = np.array(pose.to_pixel(0.0, 0.0, plane.z_mm))
    along = np.array(pose.to_pixel(1.0, 0.0, plane.z_mm)) - origin
    across = np.array(pose.to_pixel(0.0, 1.0, plane.z_mm)) - origin
    return sample_points(
        plane.image, origin[0] + along[0] * xs + across[0] * ys, origin[1] + along[1] * xs + across[1] * ys
    )


def _modulation(
    plane: Plane, pose: Pose, feature: Feature, name: str, dark: tuple[float, float], pixel_mm: float
) -> Measured:
    """The best row's least fall between neighbouring holes, in per cent of its peaks' height over the block."""
    diameter = feature.size_mm[0]
    search = float(feature.extra.get("search_mm", 1.5))
    half = (_HOLES - 0.5) * diameter + search
    along = np.arange(-half, half + _STEP_MM / 2, _STEP_MM)
    across = np.arange(-_HOLES * diameter - 0.5 * search, _HOLES * diameter + 0.5 * search, 2.5 * _STEP_MM)
    grid = np.meshgrid(along, across)
    xs, ys = grid if feature.extra["direction"] == "rows" else (grid[1], grid[0])
    values = _sample(plane, pose, feature.x_mm + xs, feature.y_mm + ys)
    level, noise = dark
    best, height, fall = -1.0, 0.0, 0.0
    reach = max(1, round(0.3 * diameter / _STEP_MM))
    peaks_near = _extreme(values, reach, np.max)
    valleys_near = _extreme(values, reach, np.min)
    # A row is one of the array's when it is as bright as the holes are; between rows and in ringing all is dark.
    bright = 0.5 * (float(np.percentile(values, 97)) - level)
    for shift in np.arange(-search, search + _STEP_MM / 2, _STEP_MM):
        peak_at = [_index(along, shift + (k - 0.5 * (_HOLES - 1)) * 2 * diameter) for k in range(_HOLES)]
        gap_at = [_index(along, shift + (k - 0.5 * (_HOLES - 2)) * 2 * diameter) for k in range(_HOLES - 1)]
        peaks, gaps = peaks_near[:, peak_at], valleys_near[:, gap_at]
        falls = (np.minimum(peaks[:, :-1], peaks[:, 1:]) - gaps).min(axis=1)
        heights = peaks.mean(axis=1) - level
        with np.errstate(divide="ignore", invalid="ignore"):
            share = np.where(heights > max(3 * noise, bright), falls / np.maximum(heights, 1e-9), -1.0)
        row = int(np.argmax(share))
        if share[row] > best:
            best, height, fall = float(share[row]), float(heights[row]), float(falls[row])
    if height <= 0:
        return not_measurable(name, "%", "no holes are seen where the array should be", method=_METHOD)
    # Noise of two samples, over the peaks' height.
    spread = float(np.sqrt(2.0) * noise / height)
    aliased = 2 * diameter < 2 * pixel_mm * 0.97
    resolved = best >= _RESOLVED and fall >= _SIGMAS * noise and not aliased
    measured = Measured(
        name,
        100.0 * max(best, 0.0),
        "%",
        100.0 * spread,
        method=_METHOD,
        details={"resolved": resolved, "height": height, "noise": noise},
    )
    if aliased and best >= _RESOLVED:
        return measured.doubt(
            f"the holes' pitch of {2 * diameter:g} mm is below two acquired pixels: what is seen is aliasing"
        )
    return measured


def _extreme(values: Floats, reach: int, take: object) -> Floats:
    from scipy import ndimage

    size = (1, 2 * reach + 1)
    filtered = ndimage.maximum_filter(values, size) if take is np.max else ndimage.minimum_filter(values, size)
    return np.asarray(filtered)


def _index(along: Floats, at: float) -> int:
    return int(np.clip(round((at - along[0]) / _STEP_MM), 0, along.size - 1))
