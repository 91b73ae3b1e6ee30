"""Uniform PET cylinder: mean activity, uniformity along the axis and within slices, noise."""

from __future__ import annotations

from collections.abc import Iterable
from math import sqrt

import numpy as np

from dose_audit.image_quality.rois import disc_statistics
from dose_audit.measured import Measured
from dose_audit.phantom.definition import Definition, Measure
from dose_audit.phantom.locate.nm_cylinder import cylinder_of
from dose_audit.phantom.pose import Pose
from dose_audit.phantom.procedures.common import absent
from dose_audit.phantom.procedures.xray_values import named
from dose_audit.phantom.results import PhantomMeasurement, Roi
from dose_audit.phantom.workbench import Workbench

__all__ = ["cylinder"]

_UNITS = {"BQML": "Bq/ml", "CNTS": "counts", "GML": "g/ml"}


def cylinder(bench: Workbench, pose: Pose, definition: Definition, measure: Measure) -> Iterable[PhantomMeasurement]:
    """Mean and noise in a large disc of each slice, the slices' and regions' departure from the whole.

    Settings: ``radius_mm`` of the large disc, ``region_radius_mm`` and ``region_r_mm`` of five discs, ``margin_mm`` left
    out at both ends.
    """
    found = cylinder_of(bench)
    settings = measure.settings
    if found is None:
        yield absent(f"{measure.name}_mean", "1", "no cylinder", measure, title="Mean activity")
        return
    z = bench.series.z_mm
    margin = float(settings.get("margin_mm", 20.0))
    low, high = float(z[found.frames].min()) + margin, float(z[found.frames].max()) - margin
    frames = [int(k) for k in found.frames if low <= z[k] <= high]
    unit = _UNITS.get(str(bench.header("Units") or "").upper(), "1")
    if len(frames) < 3:
        yield absent(
            f"{measure.name}_mean", unit, "fewer than three slices inside the cylinder", measure, title="Mean activity"
        )
        return
    radius = float(settings.get("radius_mm", 60.0))
    small, away = float(settings.get("region_radius_mm", 15.0)), float(settings.get("region_r_mm", 60.0))
    offsets = [(0.0, 0.0), (away, 0.0), (-away, 0.0), (0.0, away), (0.0, -away)]
    means, noises, errors, regions = [], [], [], []
    for k in frames:
        image = bench.series.image(k)
        whole = disc_statistics(image, pose.to_pixel(0.0, 0.0, float(z[k])), radius, bench.spacing_mm)
        if whole.mean is None or whole.sd is None:
            continue
        means.append(whole.mean)
        noises.append(whole.sd)
        errors.append(whole.mean_uncertainty or 0.0)
        regions.append(
            [
                disc_statistics(image, pose.to_pixel(x, y, float(z[k])), small, bench.spacing_mm).mean or 0.0
                for x, y in offsets
            ]
        )
    mean = float(np.mean(means))
    if mean <= 0:
        yield absent(f"{measure.name}_mean", unit, "the mean is not above zero", measure, title="Mean activity")
        return
    average = np.asarray(regions).mean(axis=0)
    count = len(means)
    middle = frames[len(frames) // 2]
    size = tuple(radius / step for step in bench.spacing_mm)
    roi = Roi("circle", (pose.to_pixel(0.0, 0.0, float(z[middle])),), (size[0], size[1]), middle, "mean")
    noise = 100 * float(np.mean(noises)) / mean
    slices = 100 * float(np.abs(np.asarray(means) / mean - 1).max())
    within = 100 * float(np.abs(average / average.mean() - 1).max())
    method = f"disc of radius {radius:g} mm in {count} slices"
    error = float(np.mean(errors))
    doubts = _not_activity(bench)
    values = [
        (Measured("mean", mean, unit, error / sqrt(count), method=method), "mean", "Mean activity"),
        (
            Measured("noise", noise, "%", noise / sqrt(2 * count), method=method),
            "noise",
            "Noise (coefficient of variation)",
        ),
        (
            Measured("slices", slices, "%", 100 * error / mean, method=method),
            "slices",
            "Largest departure of a slice from the mean",
        ),
        (
            Measured(
                "regions", within, "%", 100 * float(np.std(regions, axis=0).mean()) / mean / sqrt(count), method=method
            ),
            "regions",
            "Largest departure of a region from the mean",
        ),
    ]
    yield from named(values[:1], measure, (roi,), *doubts)
    yield from named(values[1:2], measure, (roi,))
    yield from named(values[2:], measure, (roi,), *doubts[1:])


def _not_activity(bench: Workbench) -> tuple[str, str]:
    """Why the pixels are no activity, and why the slices cannot be compared; empty where nothing says so."""
    units = str(bench.header("Units") or "").upper()
    if units == "CNTS":
        activity = "the pixels are counts (Units CNTS), no activity"
    elif units not in _UNITS:
        activity = f"Units {units} are no activity that is known here" if units else "the header sends no Units"
    else:
        activity = ""
    scaled = all(frame.header.get("RescaleSlope") is not None for frame in bench.series.frames)
    return activity, "" if scaled else "slices without a Rescale Slope: each may have been scaled by itself"
