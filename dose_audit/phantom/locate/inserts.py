"""Centres of inserts to a fraction of a pixel, and the shift and turn that bring them to their places."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from math import atan2, degrees

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from dose_audit.image_quality.circles import fit_circle
from dose_audit.image_quality.inserts import fit_insert
from dose_audit.phantom.definition import Feature
from dose_audit.phantom.pose import Pose
from dose_audit.phantom.series import ImageSeries
from dose_audit.phantom.workbench import Workbench

__all__ = ["RigidFit", "insert_centres", "rigid_fit", "ring_centre"]

Floats = NDArray[np.float64]
_SEARCH_MM = 3.0
_SLICES, _ACROSS = 80, 6.0
# How many inserts make a circle sure, and between which contrasts their edges are sought.
_ENOUGH, _LEVELS_HU = 4, (40.0, 150.0)
# In how many neighbouring slices blobs are taken together, how many make a circle, and how far it may be from the inserts'.
_NEIGHBOURS, _LEAST_BLOBS, _OFF_RADIUS_MM = 5, 6, 2.5
# An insert with less contrast than this lets noise and shading pull its centre.
_STANDS_OUT_HU = 40.0


@dataclass(frozen=True, slots=True)
class RigidFit:
    """Centre and roll that fit the found inserts best, with what is left over."""

    centre_px: tuple[float, float]
    roll_deg: float
    residual_mm: float
    radius_ratio: float
    count: int


def insert_centres(
    series: ImageSeries, frames: Sequence[int], pose: Pose, features: Sequence[Feature]
) -> list[tuple[Feature, float, float]]:
    """Found centres (row, column) of the inserts, in the mean of the frames; those that do not stand out are left out."""
    if not frames:
        return []
    middle = float(np.mean(series.z_mm[list(frames)]))
    image = series.volume[list(frames)].mean(axis=0)
    found = []
    for one in features:
        place = pose.to_pixel(one.x_mm, one.y_mm, middle)
        fit = fit_insert(image, pose.spacing_mm, place, one.size_mm[0] / 2, search_mm=_SEARCH_MM)
        contrast = fit.contrast.value
        if fit.position_px is not None and contrast is not None and abs(contrast) > _STANDS_OUT_HU:
            found.append((one, *fit.position_px))
    return found


def rigid_fit(found: Sequence[tuple[Feature, float, float]], pose: Pose) -> RigidFit | None:
    """Least-squares shift and turn from nominal to found centres; one that lies far off is left out.

    The size is not fitted: the radius of the ring of inserts differs between specimens by more than a scanner's scale.
    """
    used = list(found)
    while len(used) >= 3:
        nominal = np.array([(one.x_mm * (-1 if pose.mirrored else 1), one.y_mm) for one, _, _ in used])
        seen = np.array([(column * pose.spacing_mm[1], row * pose.spacing_mm[0]) for _, row, column in used])
        from_centre, to_centre = nominal.mean(axis=0), seen.mean(axis=0)
        a, b = nominal - from_centre, seen - to_centre
        turn = atan2(float((a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]).sum()), float((a * b).sum()))
        cosine, sine = np.cos(turn), np.sin(turn)
        rotation = np.array([[cosine, sine], [-sine, cosine]])
        ratio = float((b * (a @ rotation)).sum() / (a**2).sum())
        residual = b - ratio * (a @ rotation)
        size = np.hypot(residual[:, 0], residual[:, 1])
        worst = int(np.argmax(size))
        if size[worst] > max(1.0, 4.0 * float(np.median(size))) and len(used) > 3:
            used.pop(worst)
            continue
        centre = to_centre - ratio * (from_centre @ rotation)
        return RigidFit(
            (float(centre[1] / pose.spacing_mm[0]), float(centre[0] / pose.spacing_mm[1])),
            degrees(turn),
            float(np.sqrt((size**2).mean())),
            ratio,
            len(used),
        )
    return None


def _smooth(image: NDArray[np.float32], stride: int) -> NDArray[np.float32]:
    """Every `stride`-th pixel of the mean over its surroundings."""
    return np.ascontiguousarray(ndimage.uniform_filter(image, max(3, stride))[::stride, ::stride])


def _level(features: Sequence[Feature], background_hu: float) -> float:
    """Contrast by which enough of the inserts for a circle are told from the body, HU."""
    contrasts = sorted((abs(one.nominal - background_hu) for one in features if one.nominal is not None), reverse=True)
    return float(np.clip(0.5 * contrasts[min(_ENOUGH, len(contrasts)) - 1], *_LEVELS_HU))


def ring_centre(bench: Workbench, features: Sequence[Feature], background_hu: float) -> tuple[float, float] | None:
    """Centre of the ring of inserts without the body's edge: blobs of an insert's size whose centres lie on its circle.

    For fields of view that cut the body off. Returns (row, column) or `None`.
    """
    series, spacing = bench.series, bench.spacing_mm
    radius = float(np.median([one.r_mm for one in features]))
    size = float(np.median([one.size_mm[0] for one in features]))
    # The centre is a first one: a few pixels across an insert are enough.
    stride = max(1, int(size / _ACROSS / max(spacing)))
    area = np.pi * (size / 2) ** 2 / (spacing[0] * spacing[1] * stride**2)
    level = _level(features, background_hu)
    slices: list[list[tuple[float, float]]] = []
    # A long series is sampled: inserts run through many slices.
    for index in range(0, len(series.frames), 1 + len(series.frames) // _SLICES):
        smooth = bench.once(f"smooth {index} by {stride}", partial(_smooth, series.image(index), stride))
        middle = float(np.median(smooth[smooth > -500])) if (smooth > -500).any() else 0.0
        own: list[tuple[float, float]] = []
        for mask in (smooth > middle + level, smooth < middle - level):
            labels, count = ndimage.label(mask)
            if not count or count > 2000:
                continue
            sizes = ndimage.sum_labels(mask, labels, np.arange(1, count + 1))
            fitting = np.flatnonzero((sizes > 0.5 * area) & (sizes < 1.6 * area)) + 1
            if fitting.size:
                own.extend(ndimage.center_of_mass(mask, labels, fitting))
        slices.append(own)
    # Other modules may have rings of their own: neighbouring slices come before all of them together.
    near = [slices[at : at + _NEIGHBOURS] for at in range(max(1, len(slices) - _NEIGHBOURS + 1))]
    circles = [_circle([one for own in few for one in own], stride, spacing, radius) for few in near]
    found = [one for one in circles if one is not None]
    if found:
        return float(np.median([row for row, _ in found])), float(np.median([column for _, column in found]))
    return _circle([one for own in slices for one in own], stride, spacing, radius)


def _circle(
    points: Sequence[tuple[float, float]], stride: int, spacing: tuple[float, float], radius_mm: float
) -> tuple[float, float] | None:
    """Centre of the circle through blobs; `None` where it is not the inserts'."""
    if len(points) < _LEAST_BLOBS:
        return None
    found = np.asarray(points) * stride
    fit = fit_circle(found[:, 1] * spacing[1], found[:, 0] * spacing[0])
    if fit.radius is None or fit.x is None or fit.y is None or abs(fit.radius - radius_mm) > _OFF_RADIUS_MM:
        return None
    return fit.y / spacing[0], fit.x / spacing[1]
