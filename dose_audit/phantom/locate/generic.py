"""Images without a branded phantom: a template of regions in millimetres about the middle, used only when it is asked for.

Nothing is recognised here. A series whose description says that it is a uniformity or flat-field image, and whose middle
is even, is taken when nothing else claims it; every other image needs the definition's name or a person's choices.
"""

from __future__ import annotations

import numpy as np

from dose_audit.phantom.definition import Definition
from dose_audit.phantom.pose import Pose
from dose_audit.phantom.recognise import ACCEPTED, header_agreement
from dose_audit.phantom.workbench import Match, Workbench

__all__ = ["locate", "match"]

_EVEN = 0.1


def match(bench: Workbench, definition: Definition) -> Match:
    """Just accepted where header and image both say that the field is even; else below, with what speaks against it."""
    named = header_agreement(bench, definition) > 0
    even = _middle_is_even(bench)
    if named and even and definition.recognise.get("by_description", False):
        # The name in the description adds its lead afterwards; together they just reach the mark.
        return Match(ACCEPTED - 0.09, ("described as uniform, and even in the middle",))
    return Match(0.1, ("a template of regions: used only when it is asked for by name",))


def _middle_is_even(bench: Workbench) -> bool:
    """Whether the middle third varies by less than a tenth between its sixteenths."""
    image = bench.series.image(len(bench.series.frames) // 2)
    part = image[image.shape[0] // 3 : -(image.shape[0] // 3), image.shape[1] // 3 : -(image.shape[1] // 3)]
    size = min(part.shape) // 4
    if size < 2:
        return False
    blocks = part[: 4 * size, : 4 * size].reshape(4, size, 4, size).mean(axis=(1, 3))
    level = float(np.median(blocks))
    return level != 0 and float(np.ptp(blocks)) < _EVEN * abs(level)


def locate(bench: Workbench, definition: Definition) -> Pose:
    """The middle of the image, upright; ``--centre``, ``--angle``, ``--scale`` and ``--slice`` move the template."""
    rows, columns = bench.series.shape
    z = bench.series.z_mm
    return Pose(
        float(z[len(z) // 2]),
        ((rows - 1) / 2, (columns - 1) / 2),
        bench.spacing_mm,
        notes=("template laid about the middle of the image; nothing was searched for",),
    )
