"""Contrast-to-noise ratio of 0.2 mm of aluminium on PMMA, the test of a mammography system's exposure control."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from dose_audit.image_quality.contrast import mammographic_cnr
from dose_audit.image_quality.rois import rectangle_statistics
from dose_audit.measured import Measured
from dose_audit.phantom.definition import Definition, Measure
from dose_audit.phantom.locate.mg_square import square_of
from dose_audit.phantom.pose import Pose
from dose_audit.phantom.procedures.common import absent
from dose_audit.phantom.procedures.xray_values import frame_roi, named, no_zero, not_linear
from dose_audit.phantom.results import PhantomMeasurement, Roi
from dose_audit.phantom.workbench import Workbench

__all__ = ["aluminium"]


def aluminium(bench: Workbench, pose: Pose, definition: Definition, measure: Measure) -> Iterable[PhantomMeasurement]:
    """CNR, signal-to-noise ratio of the PMMA and relative contrast.

    The background is read above and below the sheet at its own distance from the chest wall, so that the heel effect
    does not enter; the mean of both is given. Settings: ``roi_mm`` (5), ``gap_mm`` from the sheet's rim (5), ``offset``.
    """
    square = square_of(bench)
    name = measure.name
    if square is None:
        yield absent(name, "1", "no square sheet", measure, title="CNR")
        return
    image, spacing = bench.series.image(0), bench.spacing_mm
    side = float(measure.settings.get("roi_mm", 5.0))
    offset = float(measure.settings.get("offset", 0.0))
    centre = pose.centre_px
    inner = rectangle_statistics(image, centre, (side, side), spacing)
    away = (square.size_mm[0] / 2 + float(measure.settings.get("gap_mm", 5.0)) + side / 2) / spacing[0]
    rois = [_box(centre, side, spacing, "Al")]
    found: list[Measured] = []
    ratios: list[float] = []
    for sign in (-1, 1):
        place = (centre[0] + sign * away, centre[1])
        if not side / spacing[0] <= place[0] <= image.shape[0] - 1 - side / spacing[0]:
            continue
        ground = rectangle_statistics(image, place, (side, side), spacing)
        found.append(mammographic_cnr(inner, ground, offset=offset))
        if ground.mean is not None and ground.sd:
            ratios.append((ground.mean - offset) / ground.sd)
        rois.append(_box(place, side, spacing, "PMMA"))
    usable = [one for one in found if one.value is not None]
    if not usable:
        yield absent(name, "1", found[0].reason if found else "no background beside the sheet", measure, title="CNR")
        return
    value = float(np.mean([one.value for one in usable if one.value is not None]))
    # The sheet's own region is common to both; only the backgrounds are independent.
    spread = float(np.mean([one.uncertainty for one in usable if one.uncertainty is not None] or [0.0]))
    cnr = replace(usable[0], value=value, uncertainty=spread or None)
    if len(usable) == 2 and usable[0].value is not None and usable[1].value is not None:
        difference = abs(usable[0].value - usable[1].value)
        if difference > 0.15 * value + 4 * spread:
            cnr = cnr.doubt("the backgrounds on both sides of the sheet disagree")
    contrast = usable[0].details.get("contrast")
    values = [(cnr, "", "CNR of 0.2 mm Al on PMMA")]
    if ratios:
        snr = float(np.mean(ratios))
        freedom = side * side / (spacing[0] * spacing[1]) * len(ratios)
        values.append(
            (
                Measured("snr", snr, "1", snr / np.sqrt(2 * freedom), method="mean over SD beside the sheet"),
                "snr",
                "SNR of the PMMA",
            )
        )
    if isinstance(contrast, float):
        values.append(
            (
                Measured("contrast", contrast, "1", method="1 - Al/PMMA, linear values"),
                "contrast",
                "Relative contrast of the aluminium",
            )
        )
    beside = image[max(0, round(centre[0] - away)) : round(centre[0] + away) + 1]
    shifted = no_zero(bench, beside, measure)
    yield from named(values[:1], measure, tuple(rois), not_linear(bench, measure))
    yield from named(values[1:], measure, tuple(rois), not_linear(bench, measure), shifted)


def _box(centre: tuple[float, float], side: float, spacing: tuple[float, float], label: str) -> Roi:
    half = [side / 2 / step for step in spacing]
    rows = (round(centre[0] - half[0]), round(centre[0] + half[0]) + 1)
    columns = (round(centre[1] - half[1]), round(centre[1] + half[1]) + 1)
    return frame_roi(rows, columns, label)
