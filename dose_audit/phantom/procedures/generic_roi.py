"""Regions of a template in millimetres: mean, noise and SNR, contrast between two of them, and the MTF of an edge."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from math import hypot

import numpy as np

from dose_audit.image_quality.contrast import contrast_to_noise
from dose_audit.image_quality.mtf import edge_mtf
from dose_audit.image_quality.rois import RoiStatistics, disc_statistics, rectangle_statistics
from dose_audit.measured import Measured
from dose_audit.phantom.definition import Definition, Feature, Measure
from dose_audit.phantom.pose import Pose
from dose_audit.phantom.procedures.common import Plane, absent, box, circle, plane_at, result
from dose_audit.phantom.procedures.xray_discs import detail_sign
from dose_audit.phantom.procedures.xray_values import doubted, frame_roi, in_plane_spacing, no_zero, not_linear
from dose_audit.phantom.results import PhantomMeasurement, Roi
from dose_audit.phantom.workbench import Workbench

__all__ = ["contrast", "edge", "regions"]


def _plane(bench: Workbench, pose: Pose, definition: Definition, measure: Measure) -> Plane | str:
    return plane_at(bench, pose, definition.module(measure.module).z_mm if measure.module else 0.0)


def _fits(pose: Pose, one: Feature, shape: tuple[int, ...]) -> bool:
    spacing = in_plane_spacing(pose)
    reach = one.size_mm[0] / 2 if len(one.size_mm) == 1 else hypot(*one.size_mm[:2]) / 2
    place = pose.to_pixel(one.x_mm, one.y_mm)
    return all(
        at - reach / step >= -0.5 and at + reach / step <= size - 0.5
        for at, step, size in zip(place, spacing, shape, strict=True)
    )


def _statistics(plane: Plane, pose: Pose, one: Feature) -> RoiStatistics:
    place, spacing = pose.to_pixel(one.x_mm, one.y_mm, plane.z_mm), in_plane_spacing(pose)
    if len(one.size_mm) == 1:
        return disc_statistics(plane.image, place, one.size_mm[0] / 2, spacing)
    angle = pose.angle_on_screen(one.angle_deg)
    return rectangle_statistics(plane.image, place, one.size_mm[:2], spacing, angle_deg=angle)


def _outline(plane: Plane, pose: Pose, one: Feature) -> Roi:
    if len(one.size_mm) == 1:
        return circle(pose, one, plane, one.size_mm[0] / 2 * pose.scale, one.id)
    return box(pose, one.x_mm, one.y_mm, one.size_mm[0], one.size_mm[1], one.angle_deg, plane, one.id)


def regions(bench: Workbench, pose: Pose, definition: Definition, measure: Measure) -> Iterable[PhantomMeasurement]:
    """Mean, standard deviation and their ratio in each region of the template: ``<name>_mean.<region>`` …"""
    plane = _plane(bench, pose, definition, measure)
    doubt, shifted = not_linear(bench, measure), _shifted(bench, definition, plane, measure)
    unit = "HU" if bench.series.modality == "CT" else "1"
    for one in definition.features_of(measure):
        title = one.id.replace("_", " ")
        problem = plane if isinstance(plane, str) else ""
        if not problem and not isinstance(plane, str) and not _fits(pose, one, plane.image.shape):
            problem = "the region lies outside the image"
        if problem or isinstance(plane, str):
            yield absent(f"{measure.name}_mean.{one.id}", unit, problem, measure, title=f"Mean, {title}")
            continue
        found = _statistics(plane, pose, one)
        if found.mean is None or found.sd is None:
            reason = "the region holds too few pixels"
            yield absent(f"{measure.name}_mean.{one.id}", unit, reason, measure, title=f"Mean, {title}")
            continue
        rois = [_outline(plane, pose, one)]
        freedom = max(found.pixels / max(found.correlation_area_squared or 1.0, 1.0), 2.0)
        values = [
            (Measured("mean", found.mean, unit, found.mean_uncertainty), "mean", "Mean"),
            (Measured("sd", found.sd, unit, found.sd / np.sqrt(2 * freedom)), "sd", "Standard deviation"),
        ]
        if found.sd > 0 and unit == "1":
            ratio = found.mean / found.sd
            values.append(
                (Measured("snr", ratio, "1", abs(ratio) / np.sqrt(2 * freedom)), "snr", "Signal-to-noise ratio")
            )
        for value, part, text in values:
            named = replace(value, name=f"{measure.name}_{part}.{one.id}", method="pixels of the region")
            # Only the noise itself does not ask where zero lies.
            from_zero = "" if part == "sd" else shifted
            yield doubted(result(named, measure, title=f"{text}, {title}", rois=rois), doubt, from_zero)


def _shifted(bench: Workbench, definition: Definition, plane: Plane | str, measure: Measure) -> str:
    """Why the mean and ratios to it say nothing in a projection: by its header, its values, or what its plate shows."""
    if isinstance(plane, str) or bench.series.modality in ("CT", "MR", "NM", "PT"):
        return ""
    on_a_plate = definition.locator.startswith("plate_") and not measure.settings.get("offset")
    if on_a_plate and detail_sign(bench, definition) > 0:
        return (
            "what absorbs has the higher pixel values: they fall as the dose rises, and where no dose lies is not told"
        )
    return no_zero(bench, plane.image, measure)


def contrast(bench: Workbench, pose: Pose, definition: Definition, measure: Measure) -> Iterable[PhantomMeasurement]:
    """CNR of each region against the one that ``background`` names."""
    plane = _plane(bench, pose, definition, measure)
    ground = next(one for one in definition.features if one.id == measure.settings["background"])
    doubt = not_linear(bench, measure)
    for one in definition.features_of(measure):
        name, title = f"{measure.name}.{one.id}", f"CNR, {one.id.replace('_', ' ')}"
        if isinstance(plane, str):
            yield absent(name, "1", plane, measure, title=title)
        elif not (_fits(pose, one, plane.image.shape) and _fits(pose, ground, plane.image.shape)):
            yield absent(name, "1", "a region lies outside the image", measure, title=title)
        else:
            found = contrast_to_noise(_statistics(plane, pose, one), _statistics(plane, pose, ground))
            rois = [_outline(plane, pose, one), _outline(plane, pose, ground)]
            yield doubted(result(replace(found, name=name), measure, title=title, rois=rois), doubt)


def edge(bench: Workbench, pose: Pose, definition: Definition, measure: Measure) -> Iterable[PhantomMeasurement]:
    """MTF of the edge that runs through each (upright) rectangle of the template: ``<name>50.<region>``, ``<name>10…``."""
    plane = _plane(bench, pose, definition, measure)
    doubt = not_linear(bench, measure)
    for one in definition.features_of(measure):
        title = one.id.replace("_", " ")
        if isinstance(plane, str) or not _fits(pose, one, plane.image.shape):
            reason = plane if isinstance(plane, str) else "the region lies outside the image"
            yield absent(f"{measure.name}50.{one.id}", "/mm", reason, measure, title=f"MTF 50 %, {title}")
            continue
        spacing = in_plane_spacing(pose)
        row, column = pose.to_pixel(one.x_mm, one.y_mm, plane.z_mm)
        half = (one.size_mm[-1] / 2 / spacing[0], one.size_mm[0] / 2 / spacing[1])
        rows = (max(0, round(row - half[0])), round(row + half[0]))
        columns = (max(0, round(column - half[1])), round(column + half[1]))
        curve = edge_mtf(plane.image[rows[0] : rows[1], columns[0] : columns[1]], spacing)
        for value, level in ((curve.mtf50, "50"), (curve.mtf10, "10")):
            named = replace(value, name=f"{measure.name}{level}.{one.id}")
            outline = frame_roi(rows, columns, one.id)
            yield doubted(result(named, measure, title=f"MTF {level} %, {title}", rois=[outline]), doubt)
