"""Scoring of masses, speck groups and fibres in mammography phantoms by what stands out of the image's own noise."""

from __future__ import annotations

from collections.abc import Iterable
from math import cos, radians, sin

import numpy as np
from numpy.typing import NDArray

from dose_audit.image_quality.low_contrast import low_contrast_visible
from dose_audit.image_quality.sampling import sample_points
from dose_audit.measured import Measured
from dose_audit.phantom.definition import Definition, Feature, Measure
from dose_audit.phantom.locate.mg_specks import spot_sign
from dose_audit.phantom.pose import Pose
from dose_audit.phantom.procedures.common import absent, box, circle, result
from dose_audit.phantom.procedures.xray_values import in_plane_spacing, plane_of
from dose_audit.phantom.results import PhantomMeasurement
from dose_audit.phantom.workbench import Workbench

__all__ = ["fibres", "masses", "specks"]

Floats = NDArray[np.float64]
_WHOLE, _HALF = 1.0, 0.5
_MARGIN_MM = 8.0
# Details below this share of those that are judged are drowned in their filter.
_SMALL = 0.5
# A group of six specks counts whole from four, half from two (ACR).
_SPECKS = (4, 2)
# A fibre counts whole from 8 mm of its 10, half from 5 (ACR).
_FIBRE_MM = (8.0, 5.0)
_PIECE_MM = 1.0
_PIECE_SIGNIFICANT = 2.0


def masses(bench: Workbench, pose: Pose, definition: Definition, measure: Measure) -> Iterable[PhantomMeasurement]:
    """Number of masses that stand out, counted from the largest until the first that does not."""
    discs = list(definition.features_of(measure))
    seen = _visible(bench, pose, definition, discs)
    title = "Masses"
    if isinstance(seen, str):
        yield absent(measure.name, "1", seen, measure, title=title)
        return
    score = _leading([_WHOLE if one else 0.0 for one in seen])
    rois = [
        circle(pose, one, plane_of(bench), one.size_mm[0] / 2 * pose.scale, one.id if ok else f"{one.id} not seen")
        for one, ok in zip(discs, seen, strict=True)
    ]
    yield result(_score(measure.name, score, len(discs)), measure, title=title, rois=rois)


def specks(bench: Workbench, pose: Pose, definition: Definition, measure: Measure) -> Iterable[PhantomMeasurement]:
    """Score of the speck groups: four of six specks make a group, two half of one."""
    dots = list(definition.features_of(measure))
    seen = _visible(bench, pose, definition, dots)
    title = "Speck groups"
    if isinstance(seen, str):
        yield absent(measure.name, "1", seen, measure, title=title)
        return
    groups: dict[str, int] = {}
    for one, ok in zip(dots, seen, strict=True):
        group = str(one.extra["group"])
        groups[group] = groups.get(group, 0) + ok
    scores = [_WHOLE if n >= _SPECKS[0] else _HALF if n >= _SPECKS[1] else 0.0 for n in groups.values()]
    rois = [
        circle(pose, one, plane_of(bench), 0.6, one.id if ok else f"{one.id} not seen")
        for one, ok in zip(dots, seen, strict=True)
    ]
    yield result(_score(measure.name, _leading(scores), len(groups)), measure, title=title, rois=rois)


def fibres(bench: Workbench, pose: Pose, definition: Definition, measure: Measure) -> Iterable[PhantomMeasurement]:
    """Score of the fibres by the length that stands out of strips laid beside them."""
    plane = plane_of(bench)
    sign = spot_sign(bench, definition)
    scores, rois = [], []
    for one in definition.features_of(measure):
        length = _length_seen(plane.image, pose, one, sign)
        scores.append(_WHOLE if length >= _FIBRE_MM[0] else _HALF if length >= _FIBRE_MM[1] else 0.0)
        label = f"{one.id} {length:.0f} mm"
        rois.append(box(pose, one.x_mm, one.y_mm, one.size_mm[0], 3.0, one.angle_deg, plane, label))
    yield result(_score(measure.name, _leading(scores), len(scores)), measure, title="Fibres", rois=rois)


def _score(name: str, score: float, most: int) -> Measured:
    method = f"counted from the largest to the first that is not wholly seen, of {most}; evidence against the image's own noise"
    return Measured(name, score, "1", 0.5, method=method)


def _leading(scores: list[float]) -> float:
    """Whole ones from the first on; the first that is not whole ends the count with its own score."""
    total = 0.0
    for score in scores:
        total += score
        if score < _WHOLE:
            break
    return total


def _visible(bench: Workbench, pose: Pose, definition: Definition, details: list[Feature]) -> list[bool] | str:
    """Whether each detail stands out, each size judged by its own neighbourhood."""
    plane = plane_of(bench)
    spacing = in_plane_spacing(pose)
    sign = spot_sign(bench, definition)
    by_group: dict[str, list[int]] = {}
    for k, one in enumerate(details):
        by_group.setdefault(str(one.extra.get("group", one.shape)), []).append(k)
    seen = [False] * len(details)
    for members in by_group.values():
        places = np.array([pose.to_pixel(details[k].x_mm, details[k].y_mm) for k in members])
        reach = max(_MARGIN_MM, 4.0 * max(details[k].size_mm[0] for k in members))
        margin = [reach / step for step in spacing]
        low = np.maximum(np.floor(places.min(axis=0) - margin), 0).astype(int)
        high = np.minimum(np.ceil(places.max(axis=0) + margin), np.asarray(plane.image.shape)).astype(int)
        if (high - low < 16).any():
            return "the details lie outside the image"
        # Other details must not pass for noise: they are taken out of the region, as far as they are known.
        region = _free(bench, pose, definition, members, details, (low, high))
        found = low_contrast_visible(
            plane.image[low[0] : high[0], low[1] : high[1]],
            spacing,
            [tuple(place) for place in places - low],
            [max(details[k].size_mm[0], 2.2 * max(spacing)) for k in members],
            region=region,
            polarity=sign,
            significance=0.001,
            correct=False,
            unit="1",
        )
        if found.count.value is None:
            return found.count.reason
        for k, detection in zip(members, found.detections, strict=True):
            seen[k] = detection.visible
    return seen


def _free(
    bench: Workbench,
    pose: Pose,
    definition: Definition,
    members: list[int],
    details: list[Feature],
    window: tuple[NDArray[np.intp], NDArray[np.intp]],
) -> NDArray[np.bool_]:
    """Where the background of a group may be read: its window without any other detail of the phantom."""
    low, high = window
    shape = (int(high[0] - low[0]), int(high[1] - low[1]))
    spacing = in_plane_spacing(pose)
    own = {details[k].id for k in members}
    smallest = min(details[k].size_mm[0] for k in members)
    region = np.ones(shape, dtype=bool)
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    for one in definition.features:
        if one.id in own or one.size_mm[0] < _SMALL * smallest:
            continue
        row, column = np.asarray(pose.to_pixel(one.x_mm, one.y_mm)) - low
        radius = one.size_mm[0] / 2 + 0.5
        region &= ((rows - row) * spacing[0]) ** 2 + ((columns - column) * spacing[1]) ** 2 > radius**2
    return region


def _length_seen(image: NDArray[np.float32], pose: Pose, fibre: Feature, sign: int) -> float:
    """Longest run, mm, along a fibre whose pieces of 1 mm stand out of those of parallel strips beside it."""
    length, width = fibre.size_mm[0], fibre.size_mm[1]
    pieces = round(length / _PIECE_MM)
    beside = [k * (width + 0.8) for k in (-4, -3, -2, 2, 3, 4)]
    middle = _strip(image, pose, fibre, 0.0, width, pieces)
    ground = np.stack([_strip(image, pose, fibre, off, width, pieces) for off in beside])
    # Strips differ by shading as well; neighbouring ones carry it alike.
    level = ground.mean(axis=0)
    noise = float((ground - level).std(ddof=1)) if ground.size > 2 else 0.0
    if noise <= 0 or sign == 0:
        return 0.0
    score = sign * (middle - level) / (noise * np.sqrt(1 + 1 / len(beside)))
    # A gap of one piece in a fibre is noise.
    smooth = np.convolve(np.pad(score, 1, mode="edge"), [0.25, 0.5, 0.25], mode="valid")
    best = run = 0
    for ok in smooth > _PIECE_SIGNIFICANT * 0.75:
        run = run + 1 if ok else 0
        best = max(best, run)
    return best * length / pieces


def _strip(image: NDArray[np.float32], pose: Pose, fibre: Feature, off_mm: float, width: float, pieces: int) -> Floats:
    """Means of the pieces of a strip parallel to a fibre."""
    step = min(in_plane_spacing(pose))
    turn = radians(fibre.angle_deg)
    along = (np.arange(pieces * 8) + 0.5) / (pieces * 8) * fibre.size_mm[0] - fibre.size_mm[0] / 2
    across = off_mm + np.linspace(-0.5, 0.5, max(3, round(width / step) + 1)) * width
    x = fibre.x_mm + along[None, :] * cos(turn) - across[:, None] * sin(turn)
    y = fibre.y_mm + along[None, :] * sin(turn) + across[:, None] * cos(turn)
    x = -x if pose.mirrored else x
    roll = radians(pose.roll_deg)
    right = pose.scale * (x * cos(roll) - y * sin(roll)) / pose.spacing_mm[1]
    down = pose.scale * (x * sin(roll) + y * cos(roll)) / pose.spacing_mm[0]
    values = sample_points(image, pose.centre_px[0] + down, pose.centre_px[1] + right)
    return np.asarray(values.mean(axis=0).reshape(pieces, 8).mean(axis=1))
