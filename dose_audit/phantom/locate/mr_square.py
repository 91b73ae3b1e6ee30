"""A dark square in a round MR section (MagNET / Eurospin TO4): its edges carry the resolution."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from dose_audit.image_quality import disc_mask
from dose_audit.phantom.definition import Definition
from dose_audit.phantom.locate.mr_localiser import Rectangle, least_rectangle
from dose_audit.phantom.locate.mr_looks import looks
from dose_audit.phantom.locate.mr_uniform import is_magnitude
from dose_audit.phantom.pose import Pose
from dose_audit.phantom.workbench import Match, Workbench

__all__ = ["locate", "match"]

_FILLED = 0.9
_ASPECT = 1.1
# The section with the square is a few millimetres thick: a longer stack is another phantom.
_MOST_FRAMES = 8


def _square(bench: Workbench, definition: Definition, index: int) -> Rectangle | None:
    def make() -> Rectangle | None:
        look = looks(bench)[index]
        low, high = (float(one) for one in definition.body["diameter_range_mm"])
        if look.outline.centre_px is None or look.radius_mm is None or not low <= 2 * look.radius_mm <= high:
            return None
        image, spacing = bench.series.image(index), bench.spacing_mm
        shape = (image.shape[0], image.shape[1])
        inside = disc_mask(shape, look.outline.centre_px, 0.9 * look.radius_mm, spacing)
        smooth = ndimage.gaussian_filter(image, [0.8 / step for step in spacing])
        labels, count = ndimage.label(inside & (smooth < 0.5 * float(np.median(smooth[inside]))))
        smallest, largest = (float(one) for one in definition.body["square_range_mm"])
        for part in np.argsort(-np.bincount(labels.ravel(), minlength=count + 1)[1:])[:4] + 1:
            mask = labels == part
            if mask.sum() * spacing[0] * spacing[1] < 0.6 * smallest**2:
                break
            found = least_rectangle(ndimage.binary_fill_holes(mask), spacing)
            longer, shorter = found.sides_mm
            if found.filled >= _FILLED and longer <= _ASPECT * shorter and smallest <= shorter and longer <= largest:
                return found
        return None

    return bench.once(f"mr square {definition.id} {index}", make)


def match(bench: Workbench, definition: Definition) -> Match:
    """A dark square of the right size in one of the frames."""
    if not is_magnitude(bench) or len(bench.series.frames) > _MOST_FRAMES:
        return Match(0.0)
    found = [one for i in range(len(bench.series.frames)) if (one := _square(bench, definition, i)) is not None]
    if not found:
        return Match(0.0, ("no dark square",))
    return Match(0.8, (f"a dark square of {found[0].sides_mm[0]:.0f} × {found[0].sides_mm[1]:.0f} mm",))


def locate(bench: Workbench, definition: Definition) -> Pose:
    """Centre and turn of the square, to a quarter turn; the scale is its side over the nominal one."""
    for index in range(len(bench.series.frames)):
        found = _square(bench, definition, index)
        if found is not None:
            roll = (found.angle_deg + 45.0) % 90.0 - 45.0
            side = float(np.mean(found.sides_mm))
            return Pose(
                float(bench.series.z_mm[index]), found.centre_px, bench.spacing_mm, roll_deg=roll,
                scale=side / float(definition.body["square_mm"]), quality=found.filled,
                notes=(f"square of {side:.1f} mm in slice {index + 1}",),
            )  # fmt: skip
    reason = "no dark square was found"
    return Pose(0.0, (0.0, 0.0), bench.spacing_mm, quality=0.0, status="not_measurable", reason=reason)
