"""CT images whose values are not CT numbers: brought near the scale to find a phantom in them, and told from those that are.

Cone-beam devices without calibration, and images whose rescale got lost, show the same phantom between other levels of grey.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dose_audit.image_quality.rois import disc_statistics
from dose_audit.phantom.definition import Definition
from dose_audit.phantom.locate.ct_position import ring_features
from dose_audit.phantom.locate.outline import has_round_body, outlines, ring_profile
from dose_audit.phantom.pose import Pose
from dose_audit.phantom.series import ImageSeries
from dose_audit.phantom.workbench import Workbench

__all__ = ["finder", "off_scale"]

Floats = NDArray[np.float64]
_AIR_HU, _BODY_HU = -1000.0, 50.0
# Slices and pixels of them from which levels are told, and which show whether a body is found between those levels.
_SLICES, _STRIDE = 7, 4
# Padding has one value, and a good share of the image.
_PADDING_SHARE = 0.03
_LEAST_APART = 150.0
# How far air may lie from its CT number, and the scale from its gain, before values are called something else: tube voltage,
# scatter and a body's own material move them less.
_AIR_WITHIN_HU, _GAIN_WITHIN = 100.0, 0.15
_AIR_NOMINAL_HU = -900.0


def finder(bench: Workbench) -> Workbench:
    """The bench to find a phantom on: itself, or one whose images are brought near the CT number scale.

    Only where no slice shows a round body on the scale as it is sent are other levels for air and body tried. Values are
    measured in the images as they were sent, never in these.
    """
    return bench.once("finder", lambda: _finder(bench))


def _finder(bench: Workbench) -> Workbench:
    if any(one.radius_mm is not None for one in outlines(bench)):
        return bench
    count = len(bench.series.frames)
    shown = sorted({round(share * (count - 1)) for share in np.linspace(0.1, 0.9, _SLICES)})
    sample = bench.series.volume[shown]
    for air, body in _levels(sample[:, ::_STRIDE, ::_STRIDE]):
        gain = (_BODY_HU - _AIR_HU) / (body - air)
        offset = _AIR_HU - gain * air
        if sum(has_round_body(gain * image + offset, bench.spacing_mm) for image in sample) < 2:
            continue
        series = ImageSeries(bench.series.frames, list(bench.series.notes))
        series.__dict__["z_mm"] = bench.series.z_mm
        series.__dict__["volume"] = bench.series.volume * np.float32(gain) + np.float32(offset)
        return Workbench(series)
    return bench


def _levels(sample: NDArray[np.float32]) -> list[tuple[float, float]]:
    """Air and body as two classes of grey, with padding taken for a third and with none."""
    values = sample.ravel()
    least = float(values.min())
    rest = values[values > least]
    found = [_two_classes(values)]
    if rest.size and values.size - rest.size > _PADDING_SHARE * values.size:
        found.insert(0, _two_classes(rest))
    return [one for one in found if one is not None]


def _two_classes(values: NDArray[np.float32]) -> tuple[float, float] | None:
    """Medians of the two classes that Otsu's threshold separates; `None` where there is one only."""
    low, high = (float(one) for one in np.percentile(values, (0.5, 99.0)))
    if high - low < _LEAST_APART:
        return None
    counts, edges = np.histogram(values, bins=256, range=(low, high))
    middle = 0.5 * (edges[1:] + edges[:-1])
    below = np.cumsum(counts).astype(float)
    above = below[-1] - below
    mean_below = np.cumsum(counts * middle) / np.maximum(below, 1.0)
    mean_above = (float((counts * middle).sum()) - np.cumsum(counts * middle)) / np.maximum(above, 1.0)
    threshold = float(edges[1 + int(np.argmax(below * above * (mean_above - mean_below) ** 2))])
    air, body = float(np.median(values[values <= threshold])), float(np.median(values[values > threshold]))
    return (air, body) if body - air >= _LEAST_APART else None


def off_scale(bench: Workbench, definition: Definition, pose: Pose, frames: list[int]) -> str:
    """Why the values are no CT numbers, in words; empty where air and body lie where they should.

    Parameters
    ----------
    bench : Workbench
        With the images as they were sent.
    pose : Pose
    frames : list of int
        Slices that show the inserts whole.
    """
    inserts = ring_features(definition)
    holes = [one for one in inserts if one.nominal is not None and one.nominal < _AIR_NOMINAL_HU]
    if not frames or not holes or "background_hu" not in definition.body:
        return ""
    # Slices at the module's ends hold a part of what follows it.
    frames = sorted(frames)[len(frames) // 3 : len(frames) - len(frames) // 3]
    middle = float(np.mean(bench.series.z_mm[frames]))
    image = bench.series.volume[frames].mean(axis=0)
    seen = []
    for one in holes:
        place = pose.to_pixel(one.x_mm, one.y_mm, middle)
        seen.append(disc_statistics(image, place, 0.25 * one.size_mm[0], pose.spacing_mm).mean)
    airs = [one for one in seen if one is not None]
    if not airs:
        return ""
    # A hole may be filled, a vial with water in it: the emptiest tells.
    air = min(airs)
    radius = float(np.median([one.r_mm for one in inserts]))
    body = float(np.median(ring_profile(image, pose.centre_at(middle), pose.spacing_mm, radius)))
    expected = float(definition.body["background_hu"])
    gain = (body - air) / (expected - _AIR_HU)
    if abs(air - _AIR_HU) <= _AIR_WITHIN_HU and abs(gain - 1.0) <= _GAIN_WITHIN:
        return ""
    said = f"values are not on the CT number scale: air lies at {air:.0f} and the body at {body:.0f} HU"
    return said if bench.header("RescaleIntercept") is not None else f"{said}; no Rescale Intercept is sent"
