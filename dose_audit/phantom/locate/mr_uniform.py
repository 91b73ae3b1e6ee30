"""A uniform object in MR (flood cylinder, sphere, bottle, or the uniform section of a larger phantom): outline and emptiness."""

from __future__ import annotations

import numpy as np

from dose_audit.phantom.definition import Definition
from dose_audit.phantom.locate.mr_looks import Look, agreement, looks, template
from dose_audit.phantom.locate.outline import axis_line
from dose_audit.phantom.pose import Pose
from dose_audit.phantom.workbench import Match, Workbench

__all__ = ["is_magnitude", "locate", "match"]

# Dark share of the middle above which something lies in the object.
_EMPTY = 0.12
_SHADED = 0.03
# Step of signal at the outline over the signal in the middle; under the shading of surface coils it is still 0.4 and more.
_LEAST_CONTRAST = 0.15
_NOTCH = 0.45
_BASE = 0.62
# What makers write from the third value of Image Type on where pixels are neither magnitudes nor phase-corrected real parts.
_OTHERS = {"P", "I", "PHASE", "PHASE MAP", "IMAGINARY"}
_BONUS = 0.25


def is_magnitude(bench: Workbench) -> bool:
    """Whether the pixels are as good as magnitudes: phase images, field maps and imaginary parts are none."""
    values = [str(one).upper() for one in bench.header("ImageType") or ()]
    if _OTHERS & set(values[2:]):
        return False
    middle = bench.series.image(len(bench.series.frames) // 2)
    return float(np.percentile(middle, 99)) > 0 and float(np.percentile(middle, 50)) > -0.1 * float(middle.max())


def _size(look: Look) -> float | None:
    axes = look.outline.semi_axes_mm
    return None if axes is None else 2.0 * float(np.sqrt(axes[0] * axes[1]))


def _stands_out(bench: Workbench, index: int, look: Look) -> bool:
    """Whether there is an edge at the outline: in an image that is full of signal one is found by chance."""
    contrast = look.outline.diameter.details.get("contrast")
    if contrast is None or look.outline.centre_px is None or look.radius_mm is None:
        return True
    image = bench.series.image(index)
    low, high = (
        [
            int(max(0.0, at + sign * look.radius_mm / 3 / step))
            for at, step in zip(look.outline.centre_px, bench.spacing_mm, strict=True)
        ]
        for sign in (-1, 1)
    )
    inside = image[low[0] : high[0] + 1, low[1] : high[1] + 1]
    return bool(inside.size) and float(contrast) >= _LEAST_CONTRAST * float(np.median(inside))


def _fitting(bench: Workbench, definition: Definition) -> list[int]:
    """Frames whose object has the right size, an edge all around and nothing in it."""
    low, high = (float(one) for one in definition.body["diameter_range_mm"])
    round_only = bool(definition.body.get("round", False))
    found = []
    for index, look in enumerate(looks(bench)):
        size = _size(look)
        if size is None or not low <= size <= high or look.dark_share > _EMPTY or not _stands_out(bench, index, look):
            continue
        axes = look.outline.semi_axes_mm
        assert axes is not None
        if not round_only or axes[0] <= 1.06 * axes[1]:
            found.append(index)
    return found


def _notch(bench: Workbench, definition: Definition, index: int) -> tuple[float, float]:
    """Agreement and roll of the mark that the definition lists, where it has one."""
    marks = [one for one in definition.features if "mark" in one.extra.get("looks", ())]
    dark = looks(bench)[index].dark
    size = _size(looks(bench)[index])
    if not marks or dark is None or size is None:
        return 0.0, 0.0
    return agreement(dark, template(marks, 0.5 * size))


def match(bench: Workbench, definition: Definition) -> Match:
    """Agreement of size and emptiness; a mark of the phantom (its notch) makes it certain."""
    if not is_magnitude(bench):
        return Match(0.0, ("no magnitude image",))
    fitting = _fitting(bench, definition)
    count = len(bench.series.frames)
    least = float(definition.recognise.get("least_uniform", 0.5))
    if not fitting or len(fitting) < least * count or count > int(definition.recognise.get("most_frames", 64)):
        return Match(0.0, (f"{len(fitting)} of {count} slices uniform and of the right size",))
    sizes = [_size(looks(bench)[index]) or 0.0 for index in fitting]
    evidence = [f"{len(fitting)} of {count} slices uniform, {float(np.median(sizes)):.1f} mm"]
    score = float(definition.recognise.get("score", _BASE))
    if any("mark" in one.extra.get("looks", ()) for one in definition.features):
        seen, _ = _notch(bench, definition, fitting[len(fitting) // 2])
        if seen >= _NOTCH:
            score += _BONUS
            evidence.append("with the phantom's notch")
    return Match(score, tuple(evidence))


def locate(bench: Workbench, definition: Definition) -> Pose:
    """Axis through the outlines; the origin is the largest section, of equals the middle one."""
    found = _fitting(bench, definition)
    if not found:
        reason = "no uniform object of the right size was found"
        return Pose(0.0, (0.0, 0.0), bench.spacing_mm, quality=0.0, status="not_measurable", reason=reason)
    seen, z = looks(bench), bench.series.z_mm
    sizes = np.array([_size(seen[index]) or 0.0 for index in found])
    large = [index for index, size in zip(found, sizes, strict=True) if size >= 0.98 * sizes.max()]
    chosen = large[len(large) // 2]
    origin = float(z[chosen])
    centres = np.array([seen[index].outline.centre_px for index in found], dtype=float)
    notes = [f"outline in {len(found)} slices; largest section in slice {chosen + 1}"]
    agreed, roll = _notch(bench, definition, chosen)
    if agreed < _NOTCH:
        roll = 0.0
        notes.append("roll is not to be seen")
    rows = axis_line(z[found] - origin, centres[:, 0])
    columns = axis_line(z[found] - origin, centres[:, 1])
    # The section that is measured has its own centre, which no line through others betters.
    row, column = centres[found.index(chosen)]
    pose = Pose(
        origin,
        (float(row), float(column)),
        bench.spacing_mm,
        (rows[1], columns[1]) if len(found) > 2 else (0.0, 0.0),
        roll_deg=roll,
        quality=len(found) / len(seen),
        notes=tuple(notes),
    )
    share = seen[chosen].dark_share
    if share > _SHADED:
        pose = pose.doubt(
            f"{100 * share:.0f} % of the section gives little signal: strong shading, or something lies in it"
        )
    return pose
