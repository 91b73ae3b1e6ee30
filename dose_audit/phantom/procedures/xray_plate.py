"""Plates of radiography: pixel size and distortion by markers, transmission of a step wedge, and the borders of the field."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from dose_audit.image_quality.rois import rectangle_statistics
from dose_audit.image_quality.sampling import sample_points
from dose_audit.measured import Measured, not_measurable
from dose_audit.phantom.definition import Definition, Measure
from dose_audit.phantom.locate.plate_template import found_markers
from dose_audit.phantom.pose import Pose
from dose_audit.phantom.procedures.common import absent, box, result
from dose_audit.phantom.procedures.xray_values import doubted, in_plane_spacing, no_zero, not_linear, plane_of
from dose_audit.phantom.results import PhantomMeasurement, Roi
from dose_audit.phantom.workbench import Workbench

__all__ = ["field_borders", "markers", "wedge"]

Floats = NDArray[np.float64]
_DRAWING_MM = 0.1  # standard uncertainty of a marker's place on its plate
_INSIDE = 0.6  # of a step's sides
_BAND_MM = 10.0
_SIDES = (("right", 0.0), ("bottom", 90.0), ("left", 180.0), ("top", -90.0))


def markers(bench: Workbench, pose: Pose, definition: Definition, measure: Measure) -> Iterable[PhantomMeasurement]:
    """Pixel size across and down in the plane of the plate, their ratio, distortion, and magnification to the detector.

    An affine transform is fitted from the plate's millimetres to the image; ``<name>_distortion`` is the largest distance
    of a marker from where a transform that keeps angles would have it. Settings: ``drawing_mm``, how true the plate is.
    """
    seen = found_markers(bench, definition)
    name = measure.name
    titles = (
        (f"{name}_pixel_across", "mm", "Pixel size across, in the plane of the plate"),
        (f"{name}_pixel_down", "mm", "Pixel size down, in the plane of the plate"),
        (f"{name}_aspect", "1", "Pixel size across over down"),
        (f"{name}_distortion", "mm", "Largest distortion"),
        (f"{name}_magnification", "1", "Magnification from plate to detector"),
    )
    if len(seen) < 5:
        for absent_name, unit, title in titles:
            yield absent(
                absent_name, unit, f"only {len(seen)} markers were found; five are needed", measure, title=title
            )
        return
    true = float(measure.settings.get("drawing_mm", _DRAWING_MM))
    plate = np.array([(-one.x_mm if pose.mirrored else one.x_mm, one.y_mm) for one, _, _ in seen])
    pixels = np.array([(column, row) for _, row, column in seen])
    basis = np.column_stack([plate, np.ones(len(seen))])
    solution = np.linalg.lstsq(basis, pixels, rcond=None)[0]
    inverse = np.linalg.inv(solution[:2].T)  # plate mm of a step of one pixel across (first column) and down
    across, down = (float(np.hypot(*inverse[:, k])) for k in (0, 1))
    spread = float(np.sqrt(((plate - plate.mean(axis=0)) ** 2).sum(axis=1).mean()))
    relative = true / spread / np.sqrt(len(seen))
    rois = [Roi("point", ((row, column),), label=one.id) for one, row, column in seen]
    method = f"affine transform through {len(seen)} markers"
    values = [
        Measured(titles[0][0], across, "mm", across * relative, method=method),
        Measured(titles[1][0], down, "mm", down * relative, method=method),
        Measured(titles[2][0], across / down, "1", relative * 2**0.5, method=method),
        _distortion(titles[3][0], plate, pixels, pose, true),
        _magnification(titles[4][0], bench, across, down, relative, method),
    ]
    for value, (_, _, title) in zip(values, titles, strict=True):
        yield result(value, measure, title=title, rois=rois)


def _distortion(name: str, plate: Floats, pixels: Floats, pose: Pose, true_mm: float) -> Measured:
    """Largest distance from the similarity (turn, size, shift) that fits best, in mm of the plate."""
    image = pixels * np.array([pose.spacing_mm[1], pose.spacing_mm[0]])
    a, b = plate - plate.mean(axis=0), image - image.mean(axis=0)
    as_complex = (a[:, 0] + 1j * a[:, 1], b[:, 0] + 1j * b[:, 1])
    ratio = complex(np.vdot(as_complex[0], as_complex[1]) / np.vdot(as_complex[0], as_complex[0]))
    rest = np.abs(as_complex[1] - ratio * as_complex[0]) / abs(ratio)
    return Measured(
        name,
        float(rest.max()),
        "mm",
        true_mm,
        method="largest distance of a marker after turn, size and shift are fitted",
    )


def _magnification(name: str, bench: Workbench, across: float, down: float, relative: float, method: str) -> Measured:
    header = bench.series.header
    for keyword in ("ImagerPixelSpacing", "ImagePlanePixelSpacing", "NominalScannedPixelSpacing"):
        known = header.get(keyword)
        if known is not None and len(known) == 2:
            value = 0.5 * (float(known[1]) / across + float(known[0]) / down)
            found = Measured(name, value, "1", value * relative, method=f"{method}, against {keyword}")
            if value < 0.98:
                return found.doubt(
                    "an image smaller than the plate: the header's pixel size is not that of the detector"
                )
            return found
    return not_measurable(name, "1", "the header does not give the detector's pixel size", method=method)


def wedge(bench: Workbench, pose: Pose, definition: Definition, measure: Measure) -> Iterable[PhantomMeasurement]:
    """Signal of each step over that of the thinnest, how straight its logarithm runs over thickness, and the whole range.

    ``<name>_signal.<step>``, ``<name>_linearity`` (r²) and ``<name>_range`` (thinnest over thickest). Steps are features
    with ``thickness_mm``. Settings: ``offset``, the pixel value without radiation.
    """
    plane = plane_of(bench)
    name = measure.name
    steps = sorted(definition.features_of(measure), key=lambda one: float(one.extra["thickness_mm"]))
    offset = float(measure.settings.get("offset", 0.0))
    doubt = not_linear(bench, measure)
    values, errors, rois = [], [], []
    for one in steps:
        size = (_INSIDE * one.size_mm[0], _INSIDE * one.size_mm[1])
        place = pose.to_pixel(one.x_mm, one.y_mm)
        angle = pose.angle_on_screen(one.angle_deg)
        found = rectangle_statistics(plane.image, place, size, in_plane_spacing(pose), angle_deg=angle)
        rois.append(box(pose, one.x_mm, one.y_mm, *size, one.angle_deg, plane, one.id))
        values.append(None if found.mean is None else found.mean - offset)
        errors.append(found.mean_uncertainty or 0.0)
    titles = (
        (f"{name}_linearity", "Straightness of log signal over thickness (r²)"),
        (f"{name}_range", "Thinnest over thickest step"),
    )
    known = [
        (float(one.extra["thickness_mm"]), value)
        for one, value in zip(steps, values, strict=True)
        if value is not None and value > 0
    ]
    if len(known) < len(steps) or len(known) < 3:
        for absent_name, title in titles:
            yield absent(absent_name, "1", "not all steps lie in the image with a signal above 0", measure, title=title)
        return
    first = known[0][1]
    steady = all(later < earlier for (_, earlier), (_, later) in pairwise(known))
    rising = all(later > earlier for (_, earlier), (_, later) in pairwise(known))
    odd = "" if steady else ("pixel values rise with absorption" if rising else "the steps do not follow one another")
    shifted = no_zero(bench, plane.image, measure)
    for one, (_, value), error, roi in zip(steps, known, errors, rois, strict=True):
        spread = value / first * float(np.hypot(error / value, errors[0] / first))
        yield doubted(
            result(
                Measured(
                    f"{name}_signal.{one.id}", value / first, "1", spread, method="mean over that of the thinnest step"
                ),
                measure,
                title=f"Signal at {float(one.extra['thickness_mm']):g} mm",
                rois=[roi],
            ),
            doubt,
            odd if rising else "",
            shifted,
        )
    thickness, logs = np.array([one for one, _ in known]), np.log([value for _, value in known])
    fit = np.polyfit(thickness, logs, 1)
    rest = logs - np.polyval(fit, thickness)
    straight = 1.0 - float((rest**2).sum() / max(((logs - logs.mean()) ** 2).sum(), 1e-30))
    spread = known[0][1] / known[-1][1] * float(np.hypot(errors[0] / known[0][1], errors[-1] / known[-1][1]))
    method = "means of the steps; a beam's hardening bends the line a little"
    for found_value, (_, title) in zip(
        (
            Measured(titles[0][0], straight, "1", method=method, details={"per_mm": -float(fit[0])}),
            Measured(titles[1][0], known[0][1] / known[-1][1], "1", spread, method=method),
        ),
        titles,
        strict=True,
    ):
        yield doubted(result(found_value, measure, title=title, rois=rois), doubt, odd, shifted)


def field_borders(
    bench: Workbench, pose: Pose, definition: Definition, measure: Measure
) -> Iterable[PhantomMeasurement]:
    """How far the exposed field reaches from the plate's middle to its four sides, in mm of the plate's plane.

    The border is where the signal crosses the middle between field and collimated ground. Settings: ``from_mm``, beyond
    which the plate itself shows nothing but its absorber; ``half_width_mm`` of the strip that is read.
    """
    plane = plane_of(bench)
    spacing = in_plane_spacing(pose)
    step = min(spacing)
    start = float(measure.settings.get("from_mm", 95.0))
    half = float(measure.settings.get("half_width_mm", _BAND_MM / 2))
    for side, theta in _SIDES:
        name, title = f"{measure.name}.{side}", f"Field border, {side} of the plate's middle"
        turn = np.radians(pose.angle_on_screen(theta))
        along = np.arange(start, 400.0, step)
        across = np.arange(-half, half + step, max(step, 0.5))
        right = along[:, None] * np.cos(turn) - across[None, :] * np.sin(turn)
        down = along[:, None] * np.sin(turn) + across[None, :] * np.cos(turn)
        rows = pose.centre_px[0] + down / spacing[0]
        columns = pose.centre_px[1] + right / spacing[1]
        inside = (
            (rows >= 0) & (rows <= plane.image.shape[0] - 1) & (columns >= 0) & (columns <= plane.image.shape[1] - 1)
        ).all(axis=1)
        count = int(np.argmin(inside)) if not inside.all() else inside.size
        if count * step < 3.0:
            yield absent(name, "mm", "the image ends before the field can end", measure, title=title)
            continue
        profile = np.median(sample_points(plane.image, rows[:count], columns[:count]), axis=1)
        found = _border(along[:count], profile, pose.spacing_mm)
        if found is None:
            reason = "no border: the field reaches the rim of the image, or is collimated onto the plate"
            yield absent(name, "mm", reason, measure, title=title)
            continue
        at = pose.to_pixel(*(found * np.array([np.cos(np.radians(theta)), np.sin(np.radians(theta))])))
        yield result(
            Measured(name, found, "mm", 0.5, method="middle between the field's and the collimated level"),
            measure,
            title=title,
            rois=[Roi("line", (pose.centre_px, at), label=side)],
        )


def _border(along: Floats, profile: Floats, spacing: tuple[float, float]) -> float | None:
    """Where the profile changes for good to another level; `None` where it does not."""
    beyond = max(3, round(2.0 / max(along[1] - along[0], 1e-6)))
    if profile.size < 3 * beyond:
        return None
    field, ground = float(np.median(profile[:beyond])), float(np.median(profile[-beyond:]))
    middle = 0.5 * (field + ground)
    if abs(field - ground) < 0.5 * max(abs(field), abs(ground), 1e-12):
        return None
    past = (profile - middle) * (ground - field) > 0
    last = int(np.flatnonzero(~past)[-1])
    if last + 1 >= profile.size:
        return None
    share = (middle - profile[last]) / (profile[last + 1] - profile[last])
    return float(along[last] + share * (along[last + 1] - along[last]))
