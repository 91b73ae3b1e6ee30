"""The ACR MRI phantoms: each slice told by what is dark in it and by its position, axis through outlines, roll by vote."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dose_audit.phantom.definition import Definition, Feature
from dose_audit.phantom.locate.mr_looks import Look, agreement, looks, template
from dose_audit.phantom.locate.mr_uniform import is_magnitude
from dose_audit.phantom.locate.mr_wedges import refined
from dose_audit.phantom.locate.outline import axis_line
from dose_audit.phantom.pose import Pose
from dose_audit.phantom.workbench import Match, Workbench

__all__ = ["locate", "match"]

Floats = NDArray[np.float64]
# Correlation with a look's template from which a slice counts as showing it; real slices reach 0.8 to 0.97.
_SEEN, _PLAIN = 0.6, 0.75
# What a slice that shows nothing in particular gets for its place: less than any slice that is told by its content.
_CHANCE = 0.35
# Dark share of a slice's middle below which it is called empty.
_EMPTY = 0.04
_APART_MM = 4.0
# Agreement of a slice with another kind than its place's, and by how much more, from which its place is contradicted.
_OTHER, _MORE = 0.75, 0.3
_ROLL_SPREAD_DEG = 1.0
_SCALE_WITHIN = 0.06


@dataclass(frozen=True, slots=True)
class _Placing:
    """Where slice 1 lies, which way the phantom points, what each slice shows there, and how far apart slices lie."""

    origin_z_mm: float
    direction: int
    mirrored: bool
    score: float
    told: dict[int, tuple[str, float, float]]  # frame: look, agreement, roll
    step_mm: float | None = None  # in place of one that the header does not tell

    def rolls(self, names: set[str]) -> list[tuple[float, float]]:
        """Roll and agreement of the slices with those looks."""
        return [(roll, value) for look, value, roll in self.told.values() if look in names and value >= _SEEN]


def _wanted(definition: Definition) -> tuple[dict[str, list[float]], dict[str, list[Feature]]]:
    """Planes and dark features of each look, as the definition lists them."""
    planes = {name: [float(z) for z in zs] for name, zs in dict(definition.recognise["looks"]).items()}
    features: dict[str, list[Feature]] = {name: [] for name in planes}
    for feature in definition.features:
        for name in feature.extra.get("looks", ()):
            features[name].append(feature)
    return planes, features


def _agreements(bench: Workbench, definition: Definition) -> list[dict[tuple[str, bool], tuple[float, float]]]:
    """For each frame: agreement and roll with every look, plain and mirrored."""

    def make() -> list[dict[tuple[str, bool], tuple[float, float]]]:
        planes, features = _wanted(definition)
        radius = 0.5 * float(definition.body["diameter_mm"])
        drawn = {name: template(features[name], radius) for name in planes if features[name]}
        variants: dict[str, list[Floats]] = {name: [drawn[name]] for name in drawn}
        for feature in definition.features:
            for name in feature.extra.get("instead", ()):
                variants[name].append(template([feature, *_common(features[name])], radius))
        found = []
        for look in looks(bench):
            own: dict[tuple[str, bool], tuple[float, float]] = {}
            if look.dark is not None:
                for name, options in variants.items():
                    for mirrored in (False, True):
                        own[name, mirrored] = max(agreement(look.dark, one, mirrored=mirrored) for one in options)
            found.append(own)
        return found

    return bench.once(f"mr acr {definition.id}", make)


def _common(features: list[Feature]) -> list[Feature]:
    """Features of a look that its variants share."""
    return [one for one in features if len(one.extra.get("looks", ())) > 1]


def _fitting(bench: Workbench, definition: Definition) -> list[int]:
    """Frames with a round body of the right size."""
    nominal = 0.5 * float(definition.body["diameter_mm"])
    return [
        index
        for index, look in enumerate(looks(bench))
        if look.round and look.radius_mm is not None and abs(look.radius_mm / nominal - 1) <= _SCALE_WITHIN
    ]


def _place(bench: Workbench, definition: Definition) -> _Placing | None:
    """The best of all ways in which the known sequence of slices can lie along the stack."""

    def make() -> _Placing | None:
        frames = _fitting(bench, definition)
        if len(frames) < 2:
            return None
        best = _placed(bench, definition, frames, bench.series.z_mm, None)
        if not bench.series.step_is_told:
            # Neither positions nor distances are sent: slices may as well lie as far apart as the guidance has them.
            step = float(np.median(np.diff(sorted(at for zs in _wanted(definition)[0].values() for at in zs))))
            z = np.arange(len(bench.series.frames), dtype=np.float64) * step
            other = _placed(bench, definition, frames, z, step)
            best = max((one for one in (best, other) if one is not None), key=lambda one: one.score, default=None)
        return best

    return bench.once(f"mr acr placing {definition.id}", make)


def _placed(
    bench: Workbench, definition: Definition, frames: list[int], z: Floats, step_mm: float | None
) -> _Placing | None:
    """The best way to lay the sequence along slices at these positions."""
    table, seen = _agreements(bench, definition), looks(bench)
    planes, _ = _wanted(definition)
    nominal = [(name, at) for name, zs in planes.items() for at in zs]
    lies, at_frames = np.array([at for _, at in nominal]), z[frames]
    shown = {
        mirrored: [[_value(seen[index], table[index], name, mirrored) for name, _ in nominal] for index in frames]
        for mirrored in (False, True)
    }
    values = {mirrored: np.array([[value for value, _ in row] for row in rows]) for mirrored, rows in shown.items()}
    best: _Placing | None = None
    for direction in (1, -1):
        origins = dict.fromkeys(round(float(one) - direction * at, 1) for one in at_frames for _, at in nominal)
        for mirrored in (False, True):
            # A phantom turned end for end is seen from behind; both at once only where positions are not sent.
            handed = (direction < 0) == mirrored or bench.series.first.z_mm is None
            for origin in origins:
                away = np.abs(lies - direction * (at_frames - origin)[:, None])
                nearest = np.argmin(away, axis=1)
                there = np.flatnonzero(away[np.arange(len(frames)), nearest] <= _APART_MM)
                score = float((values[mirrored][there, nearest[there]] - _CHANCE).sum()) - (0.0 if handed else 0.5)
                if best is None or score > best.score + 1e-9:
                    told = {
                        frames[one]: (nominal[nearest[one]][0], *shown[mirrored][one][nearest[one]])
                        for one in map(int, there)
                    }
                    best = _Placing(origin, direction, mirrored, score, told, step_mm)
    return best


def _value(
    look: Look, row: dict[tuple[str, bool], tuple[float, float]], name: str, mirrored: bool
) -> tuple[float, float]:
    """How well a slice shows a look; an empty one is judged by how little is dark in it."""
    if (name, mirrored) in row:
        return row[name, mirrored]
    return max(0.0, 1.0 - look.dark_share / _EMPTY), 0.0


def match(bench: Workbench, definition: Definition) -> Match:
    """Agreement of size and of the sequence of slices."""
    series = bench.series
    if len(series.frames) < 2 or not is_magnitude(bench):
        return Match(0.0)
    fitting = _fitting(bench, definition)
    if len(fitting) < 2:
        return Match(0.0, (f"no round body of {definition.body['diameter_mm']:g} mm",))
    placing = _place(bench, definition)
    if placing is None:
        return Match(0.0)
    size = float(np.median([looks(bench)[index].radius_mm or 0.0 for index in fitting])) * 2
    told = [name for name, value, _ in placing.told.values() if value >= _SEEN and name != "empty"]
    evidence = (
        f"diameter {size:.1f} mm",
        f"{len(told)} of {len(series.frames)} slices told by their inserts ({', '.join(sorted(set(told))) or 'none'})",
    )
    if not told:
        return Match(0.2, evidence)
    # Two kinds of slices in their order can hardly be another phantom, nor one kind that is plain in several; a faint one may.
    kinds = len(set(told))
    plain = sum(value >= _PLAIN for name, value, _ in placing.told.values() if name != "empty")
    score = 0.55 + max(0.2 * min(kinds - 1, 2), 0.06 * min(plain - 1, 3)) if len(told) >= 2 else 0.4
    away = abs(size / float(definition.body["diameter_mm"]) - 1)
    return Match(max(0.0, min(0.95, score) - 2.0 * away), evidence)


def locate(bench: Workbench, definition: Definition) -> Pose:
    """Origin on slice 1 as its wedges have it, axis through all outlines, roll by the vote of all slices that show one."""
    placing = _place(bench, definition)
    if placing is None:
        return _lost(bench, "no round body of the phantom's size in two slices")
    if placing.step_mm is not None:
        bench.series.take_step(placing.step_mm)
    z, seen = bench.series.z_mm, looks(bench)
    frames = _fitting(bench, definition)
    rows = axis_line(z[frames] - placing.origin_z_mm, np.array([seen[i].outline.centre_px[0] for i in frames]))  # type: ignore[index]
    columns = axis_line(z[frames] - placing.origin_z_mm, np.array([seen[i].outline.centre_px[1] for i in frames]))  # type: ignore[index]
    told = [name for name, value, _ in placing.told.values() if value >= _SEEN and name != "empty"]
    votes = placing.rolls({"insert", "behind"}) or placing.rolls({"grid"}) or placing.rolls({"ring"})
    notes = [
        f"outlines in {len(frames)} slices",
        f"slice 1 at {placing.origin_z_mm:.1f} mm, "
        + ("slice numbers grow with position" if placing.direction > 0 else "slice numbers grow against position"),
        "shown: " + ", ".join(f"{i + 1} {name} {value:.2f}" for i, (name, value, _) in sorted(placing.told.items())),
    ]
    roll, spread = _vote(votes)
    quality = float(np.mean([value for _, value, _ in placing.told.values()])) if placing.told else 0.0
    pose = Pose(
        placing.origin_z_mm,
        (rows[0], columns[0]),
        bench.spacing_mm,
        (rows[1], columns[1]),
        roll_deg=roll,
        direction=placing.direction,
        mirrored=placing.mirrored,
        quality=max(0.0, min(1.0, quality)),
        notes=(*notes, f"roll {roll:.2f} degrees by {len(votes)} slices, spread {spread:.2f} degrees"),
    )
    pose = refined(bench, pose, definition)
    for reason in _doubts(placing, told, votes, spread, definition, bench):
        pose = pose.doubt(reason)
    return pose


def _doubts(
    placing: _Placing,
    told: list[str],
    votes: list[tuple[float, float]],
    spread: float,
    definition: Definition,
    bench: Workbench,
) -> list[str]:
    reasons = []
    if len(set(told)) < 2:
        reasons.append("only one kind of slice is told by its content: slice numbers may be off")
    if not votes:
        reasons.append("no slice shows the roll")
    elif spread > _ROLL_SPREAD_DEG:
        reasons.append(f"the slices disagree about the roll by {spread:.1f} degrees")
    strange = _contradicted(placing, bench, definition)
    if strange and bench.series.first.z_mm is None:
        reasons.append(
            f"no positions are sent, and image {', '.join(str(one + 1) for one in strange)} does not show what its place has: "
            "a slice is missing, or the order is another"
        )
    if (placing.direction < 0) != placing.mirrored and bench.series.first.z_mm is not None:
        reasons.append("the images are mirrored against their positions")
    return reasons


def _contradicted(placing: _Placing, bench: Workbench, definition: Definition) -> list[int]:
    """Slices that plainly show another kind than the one whose place they have."""
    table = _agreements(bench, definition)
    found = []
    for index in _fitting(bench, definition):
        rivals = {name: value for (name, mirrored), (value, _) in table[index].items() if mirrored == placing.mirrored}
        name, own, _ = placing.told.get(index, ("", 0.0, 0.0))
        best = max(rivals, key=lambda one: rivals[one], default="")
        if best and best != name and rivals[best] >= max(_OTHER, own + _MORE):
            found.append(index)
    return found


def _vote(votes: list[tuple[float, float]]) -> tuple[float, float]:
    """Weighted median of the rolls about their mean direction, and their robust spread."""
    if not votes:
        return 0.0, 0.0
    angle, weight = np.radians([one for one, _ in votes]), np.array([one for _, one in votes])
    middle = float(np.degrees(np.angle((weight * np.exp(1j * angle)).sum())))
    away = np.array([(one - middle + 180.0) % 360.0 - 180.0 for one, _ in votes])
    order = np.argsort(away)
    half = np.cumsum(weight[order]) >= 0.5 * weight.sum()
    chosen = float(away[order][int(np.argmax(half))])
    roll = (middle + chosen + 180.0) % 360.0 - 180.0
    return roll, float(1.4826 * np.median(np.abs(away - chosen))) if len(votes) > 2 else float(np.ptp(away))


def _lost(bench: Workbench, reason: str) -> Pose:
    return Pose(0.0, (0.0, 0.0), bench.spacing_mm, quality=0.0, status="not_measurable", reason=reason)
