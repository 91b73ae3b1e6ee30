"""A cylinder seen from the side (sagittal or coronal localiser): a rectangle of known length and width."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from dose_audit.image_quality.geometry import otsu_threshold
from dose_audit.phantom.definition import Definition
from dose_audit.phantom.locate.mr_uniform import is_magnitude
from dose_audit.phantom.pose import Pose
from dose_audit.phantom.workbench import Match, Workbench

__all__ = ["Rectangle", "least_rectangle", "locate", "match"]

_WITHIN_MM = 6.0
_FILLED = 0.93


@dataclass(frozen=True, slots=True)
class Rectangle:
    """Least rectangle about the largest object: centre in pixels, sides in mm, direction of the longer side."""

    centre_px: tuple[float, float]
    sides_mm: tuple[float, float]
    angle_deg: float
    filled: float


def _rectangle(image: NDArray[np.float32], spacing: tuple[float, float]) -> Rectangle | None:
    data = ndimage.gaussian_filter(np.asarray(image, dtype=np.float32), [2.0 / step for step in spacing])
    high = float(np.percentile(data, 99.0))
    if high <= float(data.min()):
        return None
    threshold = otsu_threshold(np.clip(data, data.min(), high))
    solid = ndimage.binary_fill_holes(data > threshold)
    labels, count = ndimage.label(solid)
    if not count:
        return None
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    body = labels == int(np.argmax(sizes))
    if body[0].any() or body[-1].any() or body[:, 0].any() or body[:, -1].any():
        return None
    return least_rectangle(body, spacing)


def least_rectangle(body: NDArray[np.bool_], spacing: tuple[float, float]) -> Rectangle:
    """The rectangle of least area about the pixels of a mask, to half a degree."""
    rows, columns = np.nonzero(body)
    y, x = rows * spacing[0], columns * spacing[1]
    area = rows.size * spacing[0] * spacing[1]
    best: tuple[float, float, tuple[float, float, float, float]] | None = None
    for angle in np.arange(-45.0, 45.0, 0.5):
        turn = np.radians(angle)
        u, v = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
        box = (float(u.min()), float(u.max()), float(v.min()), float(v.max()))
        size = (box[1] - box[0]) * (box[3] - box[2])
        if best is None or size < best[0]:
            best = (size, float(angle), box)
    assert best is not None
    size, angle, (left, right, top, bottom) = best
    turn = np.radians(angle)
    u, v = 0.5 * (left + right), 0.5 * (top + bottom)
    middle = ((u * np.sin(turn) + v * np.cos(turn)) / spacing[0], (u * np.cos(turn) - v * np.sin(turn)) / spacing[1])
    sides = (right - left + spacing[1], bottom - top + spacing[0])
    if sides[0] < sides[1]:
        sides, angle = (sides[1], sides[0]), angle + 90.0
    return Rectangle((float(middle[0]), float(middle[1])), sides, angle, float(area / (sides[0] * sides[1])))


def rectangle(bench: Workbench) -> Rectangle | None:
    """The rectangle in the middle frame of the stack; found once."""
    middle = len(bench.series.frames) // 2
    return bench.once("mr rectangle", lambda: _rectangle(bench.series.image(middle), bench.spacing_mm))


def match(bench: Workbench, definition: Definition) -> Match:
    """Agreement of both sides with length and diameter."""
    if not is_magnitude(bench) or len(bench.series.frames) > 7:
        return Match(0.0)
    found = rectangle(bench)
    if found is None:
        return Match(0.0, ("no rectangle in the image",))
    wanted = sorted((float(definition.body["diameter_mm"]), float(definition.body["length_mm"])), reverse=True)
    away = max(abs(a - b) for a, b in zip(found.sides_mm, wanted, strict=True))
    said = (f"a rectangle of {found.sides_mm[0]:.0f} × {found.sides_mm[1]:.0f} mm, {100 * found.filled:.0f} % filled",)
    if away > _WITHIN_MM or found.filled < _FILLED:
        return Match(0.0, said)
    return Match(0.8 - 0.02 * away, said)


def locate(bench: Workbench, definition: Definition) -> Pose:
    """The rectangle's centre; roll 0 has the cylinder's axis along +x."""
    found = rectangle(bench)
    if found is None:
        reason = "no rectangle in the image"
        return Pose(0.0, (0.0, 0.0), bench.spacing_mm, quality=0.0, status="not_measurable", reason=reason)
    longer_is_axis = float(definition.body["length_mm"]) > float(definition.body["diameter_mm"])
    angle = found.angle_deg if longer_is_axis else found.angle_deg + 90.0
    angle = (angle + 90.0) % 180.0 - 90.0
    z = float(bench.series.z_mm[len(bench.series.frames) // 2])
    return Pose(z, found.centre_px, bench.spacing_mm, roll_deg=angle, quality=min(1.0, found.filled))
