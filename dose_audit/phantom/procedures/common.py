"""What many procedures do alike: average frames about a plane, say that there are none, and outline what was measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dose_audit.measured import Measured, not_measurable
from dose_audit.phantom.definition import Definition, Feature, Measure
from dose_audit.phantom.pose import Pose
from dose_audit.phantom.results import PhantomMeasurement, Roi
from dose_audit.phantom.workbench import Workbench

__all__ = ["Plane", "absent", "box", "circle", "module_plane", "plane_at", "result", "section_plane"]


@dataclass(frozen=True, slots=True)
class Plane:
    """Mean image about a plane of the phantom, the frames that went into it, and its position in the series."""

    image: NDArray[np.float32]
    frames: tuple[int, ...]
    frame: int
    z_mm: float


def plane_at(bench: Workbench, pose: Pose, z_mm: float, *, half_length_mm: float = 0.0, most: int = 64) -> Plane | str:
    """Frames about a plane of the phantom, averaged.

    Parameters
    ----------
    z_mm : float
        Plane in the phantom's own frame.
    half_length_mm : float
        Frames whose centres lie this near are averaged; with 0 the nearest one alone.
    most : int
        Not more than this many, the nearest.

    Returns
    -------
    Plane or str
        The reason where the images do not reach the plane.
    """
    nearest = bench.frame_at(pose, z_mm)
    if nearest is None:
        wanted = pose.z_in_series(z_mm)
        first, last = float(bench.series.z_mm[0]), float(bench.series.z_mm[-1])
        if first <= wanted <= last:
            return f"no slice near {wanted:.1f} mm: there is a gap in the series"
        return f"the slices end before this module ({wanted:.1f} mm; the series covers {first:.1f} to {last:.1f} mm)"
    frames = (
        bench.frames_between(pose, z_mm - half_length_mm, z_mm + half_length_mm) if half_length_mm > 0 else [nearest]
    )
    if not frames:
        frames = [nearest]
    centre = pose.z_in_series(z_mm)
    frames = sorted(sorted(frames, key=lambda index: abs(float(bench.series.z_mm[index]) - centre))[:most])
    image = bench.series.image(frames[0]) if len(frames) == 1 else bench.series.volume[frames].mean(axis=0)
    return Plane(image, tuple(frames), nearest, float(np.mean(bench.series.z_mm[frames])))


def module_plane(bench: Workbench, pose: Pose, measure: Measure, module_z_mm: float) -> Plane | str:
    """The plane that a measure asks for: its module's, shifted by ``offset_mm``, averaged over ``half_length_mm``."""
    settings = measure.settings
    return plane_at(
        bench,
        pose,
        module_z_mm + float(settings.get("offset_mm", 0.0)),
        half_length_mm=float(settings.get("half_length_mm", 0.0)),
        most=int(settings.get("most_frames", 64)),
    )


def section_plane(bench: Workbench, pose: Pose, definition: Definition, measure: Measure) -> Plane | str:
    """As `module_plane`, for a module that is alike along its whole length.

    Where the series ends before the plane but shows a part of the module, the slices that lie whole in that part are taken,
    as far from the nearest one as would have been averaged about the plane itself.
    """
    module = definition.module(measure.module)
    found = module_plane(bench, pose, measure, module.z_mm)
    if isinstance(found, Plane):
        away = abs(float(bench.series.z_mm[found.frame]) - pose.z_in_series(module.z_mm))
        # Sparse slices: the nearest one may show another module.
        return "no slice lies within this module" if away > module.half_length_mm > 0.0 else found
    inner = module.half_length_mm - 0.5 * (bench.series.thickness_mm or bench.series.step_mm or 0.0)
    frames = bench.frames_between(pose, module.z_mm - inner, module.z_mm + inner) if inner > 0.0 else []
    if not frames:
        return found
    z = bench.series.z_mm
    wanted = pose.z_in_series(module.z_mm + float(measure.settings.get("offset_mm", 0.0)))
    nearest = min(frames, key=lambda one: abs(float(z[one]) - wanted))
    reach = float(measure.settings.get("half_length_mm", 0.0))
    taken = sorted(
        [one for one in frames if abs(float(z[one] - z[nearest])) <= reach],
        key=lambda one: abs(one - nearest),
    )[: int(measure.settings.get("most_frames", 64))]
    return Plane(
        bench.series.volume[sorted(taken)].mean(axis=0), tuple(sorted(taken)), nearest, float(np.mean(z[taken]))
    )


def result(measured: Measured, measure: Measure, *, title: str = "", rois: Sequence[Roi] = ()) -> PhantomMeasurement:
    """A measurement of a procedure, with the title people read."""
    return PhantomMeasurement(measured, title=title, module=measure.module, rois=tuple(rois))


def absent(
    name: str, unit: str, reason: str, measure: Measure, *, title: str = "", **details: Any
) -> PhantomMeasurement:
    """A measurement that could not be made."""
    return result(not_measurable(name, unit, reason, **details), measure, title=title)


def circle(pose: Pose, feature: Feature, plane: Plane, radius_mm: float, label: str = "") -> Roi:
    """Outline of a disc about a feature."""
    place = pose.to_pixel(feature.x_mm, feature.y_mm, plane.z_mm)
    size = (radius_mm / pose.spacing_mm[0], radius_mm / pose.spacing_mm[1])
    return Roi("circle", (place,), size, plane.frame, label)


def box(
    pose: Pose,
    x_mm: float,
    y_mm: float,
    length_mm: float,
    width_mm: float,
    angle_deg: float,
    plane: Plane,
    label: str = "",
) -> Roi:
    """Outline of a rectangle of the phantom: its corners on screen."""
    turn = np.radians(angle_deg)
    along, across = np.array([np.cos(turn), np.sin(turn)]), np.array([-np.sin(turn), np.cos(turn)])
    corners = []
    for a, b in ((-1, -1), (1, -1), (1, 1), (-1, 1)):
        x, y = np.array([x_mm, y_mm]) + 0.5 * a * length_mm * along + 0.5 * b * width_mm * across
        corners.append(pose.to_pixel(float(x), float(y), plane.z_mm))
    return Roi("polygon", tuple(corners), frame=plane.frame, label=label)
