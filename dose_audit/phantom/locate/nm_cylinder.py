"""Uniform cylinders of activity in PET: discs of one size in a run of slices."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dose_audit.phantom.definition import Definition
from dose_audit.phantom.pose import Pose
from dose_audit.phantom.workbench import Match, Workbench

__all__ = ["Cylinder", "cylinder_of", "locate", "match"]


@dataclass(frozen=True, slots=True)
class Cylinder:
    """Slices that show the cylinder, with centre (row, column) and diameter of each, and how even it is."""

    frames: NDArray[np.intp]
    centres_px: NDArray[np.float64]
    diameters_mm: NDArray[np.float64]
    roundness: float
    unevenness: float


def cylinder_of(bench: Workbench) -> Cylinder | None:
    """The cylinder in the series; `None` where no run of slices shows a filled, lit disc."""
    return bench.once("pet_cylinder", lambda: _search(bench))


def _search(bench: Workbench) -> Cylinder | None:
    volume = bench.series.volume
    spacing = bench.spacing_mm
    means = volume.mean(axis=(1, 2))
    lit = np.flatnonzero(means > 0.5 * float(np.quantile(means, 0.9)))
    if lit.size < 3:
        return None
    middle = volume[lit[lit.size // 4 : -(lit.size // 4) or None]]
    level = float(np.quantile(middle, 0.99))
    inside = middle > 0.5 * level
    level = float(np.median(middle[inside])) if inside.any() else 0.0
    if level <= 0:
        return None
    frames, centres, diameters, rounds = [], [], [], []
    for index in range(volume.shape[0]):
        mask = volume[index] > 0.5 * level
        count = int(mask.sum())
        if count < 30:
            continue
        rows, columns = np.nonzero(mask)
        area = count * spacing[0] * spacing[1]
        width = (columns.max() - columns.min() + 1) * spacing[1]
        height = (rows.max() - rows.min() + 1) * spacing[0]
        frames.append(index)
        centres.append((rows.mean(), columns.mean()))
        diameters.append(2 * np.sqrt(area / np.pi))
        rounds.append(area / (np.pi / 4 * width * height))
    if len(frames) < 3:
        return None
    typical = float(np.median(diameters))
    good = np.abs(np.asarray(diameters) / typical - 1) < 0.05
    if good.sum() < 3:
        return None
    part = volume[np.asarray(frames)[good]]
    inner = part[part > 0.8 * level]
    return Cylinder(
        np.asarray(frames, dtype=np.intp)[good],
        np.asarray(centres)[good],
        np.asarray(diameters)[good],
        float(np.median(np.asarray(rounds)[good])),
        float(np.abs(np.quantile(inner, [0.05, 0.95]) / level - 1).max()),
    )


def match(bench: Workbench, definition: Definition) -> Match:
    """Round, of the right diameter, in slices that reach some centimetres, evenly filled."""
    found = cylinder_of(bench) if len(bench.series.frames) >= 3 else None
    if found is None:
        return Match(0.0)
    diameter = float(np.median(found.diameters_mm))
    nominal = float(definition.body["diameter_mm"])
    z = bench.series.z_mm[found.frames]
    length = float(z.max() - z.min())
    said = (f"disc of {diameter:.0f} mm over {length:.0f} mm", f"filled evenly within {found.unevenness:.0%}")
    if abs(diameter - nominal) > float(definition.body.get("tolerance_mm", 8.0)) or length < 40.0:
        return Match(0.2, said)
    if not 0.93 < found.roundness < 1.07 or found.unevenness > 0.5:
        return Match(0.3, said)
    return Match(0.8, said)


def locate(bench: Workbench, definition: Definition) -> Pose:
    """Axis through the centres of the slices; z = 0 in the middle of the cylinder."""
    found = cylinder_of(bench)
    if found is None:
        return Pose(0.0, (0.0, 0.0), bench.spacing_mm, status="not_measurable", reason="no cylinder", quality=0.0)
    z = bench.series.z_mm[found.frames]
    origin = float((z.min() + z.max()) / 2)
    rows, columns = (np.polyfit(z - origin, found.centres_px[:, k], 1) for k in (0, 1))
    scale = float(np.median(found.diameters_mm)) / float(definition.body["diameter_mm"])
    note = (
        f"{found.frames.size} slices, diameter {float(np.median(found.diameters_mm)):.1f} mm ({scale:.3f} of nominal)"
    )
    return Pose(
        origin,
        (float(rows[1]), float(columns[1])),
        bench.spacing_mm,
        slope_px_per_mm=(float(rows[0]), float(columns[0])),
        notes=(note,),
    )
