"""A cylinder with inserts in CT: body edges in every slice, the ring of inserts for roll and identity, wires for the position.

A definition says under ``[recognise]`` which module holds the ring of inserts (``reference``), and where a ring of bars or
another landmark lies (``landmark``, ``landmark_r_mm``), and whether scans have confirmed in which sense its groups follow each
other (``bars_as_drawn``: then the other sense is a doubt); everything else follows from its features.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import atan2, degrees

import numpy as np
from numpy.typing import NDArray

from dose_audit.phantom.definition import Definition, Feature
from dose_audit.phantom.locate.ct_axis import Axis, body_axis, doubted_tilt, inserts_axis
from dose_audit.phantom.locate.ct_position import along, ring_features, slab_mm
from dose_audit.phantom.locate.ct_scale import finder, off_scale
from dose_audit.phantom.locate.inserts import insert_centres, rigid_fit
from dose_audit.phantom.locate.outline import axis_line, ring_profile
from dose_audit.phantom.locate.ring_turn import RingTurn, bar_turn
from dose_audit.phantom.pose import Pose
from dose_audit.phantom.workbench import Match, Workbench

__all__ = ["locate", "match"]

Floats = NDArray[np.float64]
_SAMPLES = 720
# Contrast against the ring's median beyond this many HU tells no more: air and bone do not drown what lies between.
_CLIP_HU = 250.0
_SLAB_AGREEMENT = 0.55
# About the ends of the inserts no bars are sought, nor where a ring is not within the body: there it has less than this share
# of what the body between the inserts has over air.
_ENDS_MM, _IN_BODY = 5.0, 0.6
_FAR_APART_MM = 20.0
# From how many usual steps on slices are missing between two neighbours.
_GAP_STEPS = 2.5
# Over which length about the bars slices are averaged to see in which sense they follow each other.
_BARS_MEAN_MM = 3.0
# How far the bars may lie from their place as seen from the middle of the inserts, and the slice that is too far to show them.
_LANDMARK_MM, _BARS_MM = 6.0, 2.5


@dataclass(frozen=True, slots=True)
class _Ring:
    """How the ring of inserts agrees along the slices."""

    agreement: Floats
    roll_deg: float
    mirrored: bool
    slab: tuple[int, int]
    best: float


def _template(features: list[Feature], background: float) -> Floats:
    """Expected contrast around the ring, clipped, one value for each of `_SAMPLES` angles."""
    angles = np.arange(_SAMPLES) * (360.0 / _SAMPLES)
    expected = np.zeros(_SAMPLES)
    for one in features:
        assert one.nominal is not None
        half = degrees(0.5 * one.size_mm[0] / one.r_mm)
        away = (angles - degrees(atan2(one.y_mm, one.x_mm)) + 180.0) % 360.0 - 180.0
        expected[np.abs(away) <= half] = np.clip(one.nominal - background, -_CLIP_HU, _CLIP_HU)
    return expected


def _profiles(bench: Workbench, axis: Axis, radius_mm: float) -> Floats:
    """Ring profiles of all slices, (n, samples)."""

    def make() -> Floats:
        return np.stack(
            [
                ring_profile(
                    bench.series.image(index), axis.at(float(z)), bench.spacing_mm, radius_mm, samples=_SAMPLES
                )
                for index, z in enumerate(bench.series.z_mm)
            ]
        )

    at_start, at_end = axis.at(float(bench.series.z_mm[0])), axis.at(float(bench.series.z_mm[-1]))
    key = f"ring {radius_mm:.2f} {at_start[0]:.1f} {at_start[1]:.1f} {at_end[0]:.1f} {at_end[1]:.1f}"
    return bench.once(key, make)


def _ring(bench: Workbench, definition: Definition, axis: Axis) -> _Ring | None:
    """Circular correlation of each slice's ring with the expected one, in both senses of rotation."""
    features = ring_features(definition)
    if not features:
        return None
    profiles = _profiles(bench, axis, float(np.median([one.r_mm for one in features])))
    contrast = np.clip(profiles - np.median(profiles, axis=1, keepdims=True), -_CLIP_HU, _CLIP_HU)
    contrast -= contrast.mean(axis=1, keepdims=True)
    expected = _template(features, float(definition.body.get("background_hu", 100.0)))
    expected -= expected.mean()
    norm = np.linalg.norm(contrast, axis=1) * np.linalg.norm(expected)
    # A ring of water alone has no pattern: what little contrast it shows is noise and must not be scaled up.
    norm = np.maximum(norm, 40.0 * np.sqrt(_SAMPLES) * np.linalg.norm(expected))
    best: _Ring | None = None
    for mirrored in (False, True):
        shape = np.roll(expected[::-1], _SAMPLES // 2 + 1) if mirrored else expected
        spectrum = np.conj(np.fft.rfft(shape))
        scores = np.fft.irfft(np.fft.rfft(contrast, axis=1) * spectrum, n=_SAMPLES, axis=1) / norm[:, None]
        top = scores.max(axis=1)
        slab = _run(top, _SLAB_AGREEMENT)
        if slab is None:
            continue
        together = scores[slab[0] : slab[1] + 1].mean(axis=0)
        at = int(np.argmax(together))
        left, mid, right = together[at - 1], together[at], together[(at + 1) % _SAMPLES]
        part = 0.5 * (left - right) / (left - 2 * mid + right) if left + right < 2 * mid else 0.0
        roll = (at + part) * (360.0 / _SAMPLES)
        quality = float(np.percentile(scores[slab[0] : slab[1] + 1, at], 90))
        if best is None or quality > best.best + 1e-9:
            best = _Ring(scores[:, at], (roll + 180.0) % 360.0 - 180.0, mirrored, slab, quality)
    return best


def _run(values: Floats, least: float) -> tuple[int, int] | None:
    """The stretch of neighbouring slices above a level with the largest sum; one missing slice does not break it."""
    runs: list[tuple[float, int, int]] = []
    first = last = None
    for index, value in enumerate(values):
        if value < least:
            continue
        if last is None or index - last > 2:
            first = index
        last = index
        assert first is not None
        runs.append((float(values[first : index + 1].sum()), first, index))
    if not runs:
        return None
    _, first, last = max(runs)
    return first, last


def _landmark(bench: Workbench, definition: Definition, axis: Axis, slab: tuple[int, int]) -> float | None:
    """Position of the ring of bars on the series' axis; `None` where no slice shows one."""
    radius = definition.recognise.get("landmark_r_mm")
    if radius is None:
        return None
    profiles = _profiles(bench, axis, float(radius))
    # Contrast of a few degrees around the ring: bars alternate, shading and a low-contrast disc do not.
    detail = profiles - _smooth(profiles, 41)
    strength = np.percentile(np.abs(detail), 90, axis=1)
    z = bench.series.z_mm
    # Where inserts or the body itself end within a slice, a tilted ring is as rough as bars are.
    margin = _ENDS_MM + 0.5 * (bench.series.thickness_mm or 0.0)
    outside = (z < z[slab[0]] - margin) | (z > z[slab[1]] + margin)
    # A neighbour of contiguous slices is filled in part; slices far apart show one module each.
    for neighbour, edge in ((slab[0] - 1, slab[0]), (slab[1] + 1, slab[1])):
        if 0 <= neighbour < z.size and abs(z[neighbour] - z[edge]) <= _FAR_APART_MM:
            outside[neighbour] = False
    outside[slab[0] : slab[1] + 1] = False
    body = float(np.median(profiles[slab[0] : slab[1] + 1]))
    outside &= np.median(profiles, axis=1) > -1000.0 + _IN_BODY * (body + 1000.0)
    if outside.sum() < 3:
        return None
    # A short series may show more slices of bars than of anything else outside the inserts.
    usual = float(np.percentile(strength[outside], 30))
    peak = int(np.argmax(np.where(outside, strength, 0.0)))
    if strength[peak] < 2.5 * usual + 20.0:
        return None
    reach = float(definition.recognise.get("landmark_reach_mm", 15.0))
    near = [
        index
        for index in range(z.size)
        if outside[index] and strength[index] > 0.5 * strength[peak] and abs(z[index] - z[peak]) < reach
    ]
    weight = strength[near] - 0.4 * strength[peak]
    return float((z[near] * weight).sum() / weight.sum())


def _sense(
    bench: Workbench, definition: Definition, axis: Axis, ring: _Ring, origin_mm: float, bars_mm: float
) -> RingTurn | None:
    """How the ring of bars lies against the inserts; `None` where the definition does not vouch for its sense."""
    if not definition.recognise.get("bars_as_drawn"):
        return None
    pose = Pose(
        origin_mm,
        axis.at(origin_mm),
        bench.spacing_mm,
        (axis.row[1], axis.column[1]),
        roll_deg=ring.roll_deg,
        direction=-1 if ring.mirrored else 1,
        mirrored=ring.mirrored,
    )
    z = bench.series.z_mm
    near = np.flatnonzero(np.abs(z - bars_mm) <= _BARS_MEAN_MM)
    if not near.size:
        near = np.array([bench.series.nearest(bars_mm)])
    groups = [
        one for one in definition.features if one.module == definition.recognise["landmark"] and one.shape == "bars"
    ]
    return bar_turn(bench.series.volume[near].mean(axis=0), float(z[near].mean()), pose, groups)


def _smooth(profiles: Floats, width: int) -> Floats:
    from scipy.ndimage import uniform_filter1d

    return np.asarray(uniform_filter1d(profiles, width, axis=-1, mode="wrap"))


def _slab_centre(bench: Workbench, definition: Definition, ring: _Ring) -> float:
    """Middle of the stretch in which the inserts are seen, with its ends between slices where agreement halves.

    Where the series shows one end only (it ends, or slices are missing), the middle lies half the module's length from it.
    """
    z, agreement = bench.series.z_mm, ring.agreement
    half = 0.5 * ring.best
    first, last = ring.slab
    ends: list[float | None] = []
    for index, neighbour in ((first, first - 1), (last, last + 1)):
        if not 0 <= neighbour < z.size or _gap(bench, index, neighbour):
            ends.append(None)
            continue
        inside, beyond = float(agreement[index]), float(agreement[neighbour])
        part = np.clip((inside - half) / max(inside - beyond, 1e-6), 0.0, 1.0)
        ends.append(float(z[index] + part * (z[neighbour] - z[index])))
    low, high = ends
    from_mm, to_mm = slab_mm(definition)
    if low is None and high is None:
        return 0.5 * float(z[first] + z[last])
    if low is None or high is None:
        seen = high - 0.5 * (to_mm - from_mm) if high is not None else (low or 0.0) + 0.5 * (to_mm - from_mm)
        # The slices that show the inserts lie within the module.
        return float(np.clip(seen, z[last] - 0.5 * (to_mm - from_mm), z[first] + 0.5 * (to_mm - from_mm)))
    return 0.5 * (low + high)


def _gap(bench: Workbench, index: int, neighbour: int) -> bool:
    """Whether slices are missing between two neighbours, so that what ends there ends out of sight."""
    z = bench.series.z_mm
    return abs(float(z[neighbour] - z[index])) > _GAP_STEPS * (bench.series.step_mm or 0.0)


def _unseen(bench: Workbench, definition: Definition, ring: _Ring) -> float:
    """Length of the module of inserts that lies beyond the end of the series, mm."""
    z, (first, last) = bench.series.z_mm, ring.slab
    if not any(not 0 <= out < z.size or _gap(bench, at, out) for at, out in ((first, first - 1), (last, last + 1))):
        return 0.0
    low, high = slab_mm(definition)
    return max(0.0, high - low - float(z[last] - z[first]))


@dataclass(frozen=True, slots=True)
class _Identity:
    """What tells one phantom from another, and the doubt that the bars' place leaves."""

    axis: Axis
    ring: _Ring
    landmark_mm: float | None
    direction: int
    score: float
    evidence: tuple[str, ...]
    doubt: str


def _identity(bench: Workbench, definition: Definition) -> _Identity | None:
    """Axis, ring, landmark, direction, score and evidence; found once for each definition."""

    def make() -> _Identity | None:
        axis = body_axis(bench, definition)
        if axis is None:
            return None
        ring = _ring(bench, definition, axis)
        if ring is None and axis.diameter_mm is not None:
            # The edge of a round field of view that is smaller than the phantom looks like a body's.
            axis = inserts_axis(bench, definition)
            ring = None if axis is None else _ring(bench, definition, axis)
        if axis is None or ring is None:
            return None
        evidence = [f"ring of inserts agrees to {ring.best:.2f}", axis.how]
        score, doubt = ring.best, ""
        # The images of one phantom are mirrored when it lies the other way round, and then its modules follow against z.
        direction = -1 if ring.mirrored else 1
        middle = _slab_centre(bench, definition, ring) - direction * 0.5 * sum(slab_mm(definition))
        seen = _landmark(bench, definition, axis, ring.slab)
        wanted = (
            float(definition.module(definition.recognise["landmark"]).z_mm)
            if "landmark" in definition.recognise
            else None
        )
        z = bench.series.z_mm
        if wanted is not None and seen is not None:
            distance = seen - middle
            if abs(abs(distance) - abs(wanted)) <= _LANDMARK_MM + 0.5 * _unseen(bench, definition, ring):
                found = 1 if distance * wanted > 0 else -1
                if found == direction:
                    evidence.append(f"bars {distance:+.1f} mm from the inserts, as expected")
                elif bench.series.first.position_mm is None:
                    evidence.append(
                        f"bars {distance:+.1f} mm from the inserts: the order of the slices is taken from them"
                    )
                    score *= 0.9
                    direction = found
                else:
                    doubt = f"bars {distance:+.1f} mm from the inserts, on the other side than expected"
                    evidence.append(doubt)
                    score *= 0.85
                    direction = found
                sense = _sense(bench, definition, axis, ring, middle, seen)
                if sense is not None and sense.seen and not sense.as_drawn:
                    # Models differ in the way their bars face, and mirrored images turn one into the other.
                    doubt = "; ".join([*([doubt] if doubt else []), "the bars do not follow each other as drawn"])
                    evidence.append("the bars do not follow each other as drawn")
                    score *= 0.85
            else:
                doubt = f"bars {distance:+.1f} mm from the inserts, expected at {direction * wanted:+.0f} mm"
                evidence.append(doubt)
                score *= 0.75
        elif wanted is not None:
            expected = middle + direction * wanted
            if z[0] - 1.0 <= expected <= z[-1] + 1.0 and np.abs(z - expected).min() <= _BARS_MM:
                evidence.append(f"no bars where they were expected ({direction * wanted:+.0f} mm)")
                score *= 0.85
            else:
                evidence.append("the slices do not reach the bars")
                # Of models that differ only beyond these slices: the one that stands upright, then the one met most often.
                score *= 0.92 + 0.015 * (abs(ring.roll_deg) < 90.0) + 0.005 * bool(definition.recognise.get("usual"))
        return _Identity(axis, ring, seen, direction, score, tuple(evidence), doubt)

    return bench.once(f"identity {definition.id}", make)


def match(bench: Workbench, definition: Definition) -> Match:
    """Agreement of body, inserts and bars with the definition."""
    if bench.series.first.is_localiser:
        return Match(0.0)
    bench = finder(bench)
    found = _identity(bench, definition)
    if found is None:
        if body_axis(bench, definition) is not None:
            # Told to whoever asks for this phantom by name; never enough to be taken for it.
            return Match(0.05, ("a body of that diameter, but the module of its inserts is not in these slices",))
        return Match(0.0, ("no body of that diameter with such inserts",))
    return Match(max(0.0, min(1.0, found.score)), found.evidence)


def locate(bench: Workbench, definition: Definition) -> Pose:
    """Axis, roll, position and direction, each from the features that tell it best."""
    sent, bench = bench, finder(bench)
    identity = _identity(bench, definition)
    if identity is None:
        return Pose(
            0.0,
            (0.0, 0.0),
            bench.spacing_mm,
            quality=0.0,
            status="not_measurable",
            reason="neither body nor inserts were found",
        )
    axis, ring, direction = identity.axis, identity.ring, identity.direction
    z = bench.series.z_mm
    notes = list(identity.evidence)
    origin = _slab_centre(bench, definition, ring) - direction * 0.5 * sum(slab_mm(definition))
    centre = axis.at(origin)
    slope = (axis.row[1], axis.column[1])
    pose = Pose(origin, centre, bench.spacing_mm, slope, ring.roll_deg, direction, ring.mirrored, quality=ring.best)
    if axis.diameter_mm is None:
        slope = _lean(bench, definition, pose, ring)
        pose = replace(pose, slope_px_per_mm=slope)
    # Inserts for centre and roll, in the slices that show them whole.
    frames = [i for i in range(ring.slab[0], ring.slab[1] + 1) if ring.agreement[i] > 0.9 * ring.best]
    fit = rigid_fit(insert_centres(bench.series, frames, pose, ring_features(definition)), pose)
    if fit is None:
        pose = pose.doubt("fewer than three inserts could be centred: roll and centre are from the ring alone")
    else:
        # The inserts were centred in the mean of their slices, which need not be the origin's plane.
        beyond = origin - float(np.mean(z[frames]))
        at = tuple(found + own * beyond for found, own in zip(fit.centre_px, slope, strict=True))
        pose = replace(pose, centre_px=(at[0], at[1]), roll_deg=fit.roll_deg)
        notes.append(f"centre and roll from {fit.count} inserts, {fit.residual_mm:.2f} mm from their places")
        if fit.residual_mm > 1.0:
            pose = pose.doubt(f"inserts lie {fit.residual_mm:.1f} mm from where they should")
    said = off_scale(sent, definition, pose, frames)
    if said:
        sent.unit_doubts["HU"] = said
        notes.append(said)
    if axis.off_size:
        pose = pose.doubt(axis.off_size)
    pose = doubted_tilt(pose)
    if identity.doubt:
        pose = pose.doubt(f"{identity.doubt}: other modules may not lie where they should")
    pose, said = along(bench, definition, pose)
    if said:
        notes.append(said)
    elif identity.landmark_mm is not None and "landmark" in definition.recognise:
        notes.append("position from the middle of the insert module")
    if not said and (ring.slab[0] == 0 or ring.slab[1] == z.size - 1):
        pose = pose.doubt("the module of the inserts is cut off by the end of the series; its position may be wrong")
    return replace(pose, notes=tuple(notes))


def _lean(bench: Workbench, definition: Definition, pose: Pose, ring: _Ring) -> tuple[float, float]:
    """How the axis moves along the slices, from the inserts' centres in each slice of their module."""
    z, rows, columns = [], [], []
    for index in range(ring.slab[0], ring.slab[1] + 1):
        if ring.agreement[index] < 0.9 * ring.best:
            continue
        fit = rigid_fit(insert_centres(bench.series, [index], pose, ring_features(definition)), pose)
        if fit is not None:
            z.append(float(bench.series.z_mm[index]))
            rows.append(fit.centre_px[0])
            columns.append(fit.centre_px[1])
    if len(z) < 3:
        return 0.0, 0.0
    along = np.asarray(z)
    return axis_line(along, np.asarray(rows))[1], axis_line(along, np.asarray(columns))[1]
