"""Plates of any layout in a radiograph, in any turn and either sense: the definition's own features make the picture sought.

Features with ``absorbs`` (share of the radiation that they hold back) are drawn and correlated with the image over turns,
handedness and sizes, coarse first; the best place is refined, and markers (``shape = "marker"``) are fitted at last.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage, optimize

from dose_audit.image_quality.inserts import fit_insert
from dose_audit.phantom.definition import Definition, Feature
from dose_audit.phantom.locate.inserts import rigid_fit
from dose_audit.phantom.pose import Pose
from dose_audit.phantom.workbench import Match, Workbench

__all__ = ["Placed", "found_markers", "locate", "match", "placed"]

Floats = NDArray[np.float64]
# Pixels at which a plate is looked at, coarse to fine: not below so many mm, nor below that share of its radius.
_SIGHTS = ((3.0, 1 / 15), (1.5, 1 / 32), (0.5, 1 / 90))
_TURN_STEP_DEG = 7.5
_BLUR = 0.7  # standard deviation over the pixel of a sight: steps of turn and size must not step over a marker
_SCALES = (1.0, 1.12, 1.25)  # of the object in the image: it lies on the detector or some way above it
_WORTH = (0.55, 0.5)  # agreement at coarse and at fine sight from which a place is looked at closer
_CANDIDATES, _FINALISTS = 8, 3
_AGREES = 0.72
_LEAD = 0.06
_GROUND_MM = 14.0  # shading over more than this is no picture
_CLIP = 3.0
_STRUCTURE = 8.0  # coarse structure over what noise alone leaves of itself at coarse sight; an even field has less
_SEARCH_MM = 2.0
_LEAST_SIDE = 8  # pixels of a sight; in fewer nothing is agreed upon


@dataclass(frozen=True, slots=True)
class Placed:
    """Where the plate lies, how well picture and drawing agree (-1 to 1), and the best of the other turns.

    `sign` is -1 where what absorbs is lower in pixel value.
    """

    pose: Pose
    agreement: float
    next_best: float
    sign: int
    markers: tuple[tuple[Feature, float, float], ...] = ()
    marker_residual_mm: float | None = None


@dataclass(frozen=True, slots=True)
class _Drawing:
    """The definition's features as a picture about the plate's middle, `step` mm a pixel."""

    picture: Floats
    step: float
    radius_mm: float

    def at(self, x: Floats, y: Floats) -> Floats:
        middle = (self.picture.shape[0] - 1) / 2
        return np.asarray(
            ndimage.map_coordinates(
                self.picture, (y / self.step + middle, x / self.step + middle), order=1, mode="constant"
            )
        )


def placed(bench: Workbench, definition: Definition) -> Placed | None:
    """The plate in the first frame; `None` where nothing looks like it even from afar."""
    return bench.once(f"plate_template:{definition.id}", lambda: _search(bench, definition))


def match(bench: Workbench, definition: Definition) -> Match:
    """Agreement of picture and drawing, ahead of the other turns, with the markers in their places."""
    if len(bench.series.frames) > 64:
        return Match(0.0)
    found = placed(bench, definition)
    if found is None:
        return Match(0.0, ("nothing like its drawing",))
    said = [f"agrees with its drawing by {found.agreement:.2f}, next best turn {found.next_best:.2f}"]
    score = (
        0.6 + 0.4 * (found.agreement - _AGREES) / (1 - _AGREES) if found.agreement > _AGREES else found.agreement / 2
    )
    markers = [one for one in definition.features if one.shape == "marker"]
    if markers:
        said.append(f"{len(found.markers)} of {len(markers)} markers in their places")
        if len(found.markers) < 0.7 * len(markers):
            score = min(score, 0.5)
    if found.agreement - found.next_best < _LEAD:
        score = min(score, 0.5)
    return Match(float(np.clip(score, 0.0, 0.95)), tuple(said))


def locate(bench: Workbench, definition: Definition) -> Pose:
    """Middle, turn, handedness and size."""
    found = placed(bench, definition)
    if found is None:
        middle = ((bench.series.shape[0] - 1) / 2, (bench.series.shape[1] - 1) / 2)
        reason = "nothing in the image looks like the drawing"
        return Pose(0.0, middle, bench.spacing_mm, quality=0.0, status="not_measurable", reason=reason)
    if found.agreement - found.next_best < _LEAD:
        return found.pose.doubt(f"another turn agrees nearly as well ({found.agreement:.2f} and {found.next_best:.2f})")
    return found.pose


def found_markers(bench: Workbench, definition: Definition) -> tuple[tuple[Feature, float, float], ...]:
    """Markers with the row and column at which each was found."""
    found = placed(bench, definition)
    return () if found is None else found.markers


def _drawn(definition: Definition) -> list[Feature]:
    return [one for one in definition.features if "absorbs" in one.extra and one.size_mm]


def _radius_mm(definition: Definition) -> float:
    """Of the circle that is compared: all that is drawn, or as the definition says."""
    reach = max(one.r_mm + 0.5 * max(one.size_mm) for one in _drawn(definition)) + 2.0
    return float(definition.body.get("drawing_radius_mm", reach))


def _drawing(definition: Definition, step: float) -> _Drawing:
    """Each feature painted at its place, the finer ones by their mean, then blurred by half a pixel of the sight."""
    drawn, radius = _drawn(definition), _radius_mm(definition)
    fine = max(0.4, radius / 200)
    half = int(radius / fine)
    axis = np.arange(-half, half + 1) * fine
    x, y = np.meshgrid(axis, axis)
    through = np.ones(x.shape)
    for one in drawn:
        held = float(one.extra["absorbs"]) * (0.5 if one.shape == "bars" else 1.0)
        turn = np.radians(one.angle_deg)
        along = (x - one.x_mm) * np.cos(turn) + (y - one.y_mm) * np.sin(turn)
        across = -(x - one.x_mm) * np.sin(turn) + (y - one.y_mm) * np.cos(turn)
        if len(one.size_mm) == 1:
            inside = np.hypot(along, across) <= 0.5 * one.size_mm[0]
        else:
            inside = (np.abs(along) <= 0.5 * one.size_mm[0]) & (np.abs(across) <= 0.5 * one.size_mm[1])
        through = np.where(inside, 1.0 - held, through)
    picture = through - 1.0
    picture = ndimage.gaussian_filter(picture, _BLUR * step / fine) - ndimage.gaussian_filter(
        picture, _GROUND_MM / fine
    )
    return _Drawing(picture, fine, radius)


def _sight(image: NDArray[np.float32], spacing: tuple[float, float], step: float) -> tuple[Floats, tuple[float, float]]:
    """The image at about `step` mm a pixel without its slow shading, clipped; and its pixels' sizes."""
    factor = [max(1, int(step / one)) for one in spacing]
    rows, columns = (size // part for size, part in zip(image.shape, factor, strict=True))
    blocks = np.asarray(image[: rows * factor[0], : columns * factor[1]], dtype=np.float32)
    small = blocks.reshape(rows, factor[0], columns, factor[1]).mean(axis=(1, 3), dtype=np.float64)
    sizes = (spacing[0] * factor[0], spacing[1] * factor[1])
    small = ndimage.gaussian_filter(small, [_BLUR * step / one for one in sizes])
    small = small - ndimage.gaussian_filter(small, [_GROUND_MM / one for one in sizes])
    limit = _CLIP * float(np.sqrt(np.mean(small**2))) + 1e-12
    return np.clip(small, -limit, limit), sizes


def _search(bench: Workbench, definition: Definition) -> Placed | None:
    image, spacing = bench.series.image(0), bench.spacing_mm
    radius = _radius_mm(definition)
    coarse, fine, finest = (max(least, share * radius) for least, share in _SIGHTS)
    mirrored = bool(definition.body.get("may_be_mirrored", True))
    sight, sizes = _sight(image, spacing, coarse)
    if min(sight.shape) < _LEAST_SIDE:
        return None
    noise = bench.once("plate_pixel_noise", lambda: _pixel_noise(image))
    blocks = max(1.0, sizes[0] * sizes[1] / (spacing[0] * spacing[1]))
    if float(sight.std()) < _STRUCTURE * noise / np.sqrt(blocks):
        return None
    candidates = _from_afar(sight, sizes, _drawing(definition, coarse), mirrored)
    candidates = [one for one in candidates if abs(one[0]) > _WORTH[0]]
    if not candidates:
        return None
    near, near_sight = _drawing(definition, fine), _sight(image, spacing, fine)
    closer = []
    for agreement, start in candidates:
        own = _refined(*near_sight, near, start, 1.0 if agreement > 0 else -1.0)
        closer.append(own)
    closer.sort(key=lambda one: -abs(one[0]))
    if abs(closer[0][0]) < _WORTH[1]:
        return None
    sharp, sharp_sight = _drawing(definition, finest), _sight(image, spacing, finest)
    last = [
        _refined(*sharp_sight, sharp, start, 1.0 if value > 0 else -1.0, last=True)
        for value, start in _apart(closer)[:_FINALISTS]
    ]
    last.sort(key=lambda one: -abs(one[0]))
    value, best = last[0]
    others = [abs(other) for other, start in last[1:] if not _same(start, best)]
    x, y, turn, scale, hand = best
    pose = Pose(
        0.0,
        (y / spacing[0] - 0.5, x / spacing[1] - 0.5),
        spacing,
        roll_deg=(turn + 180.0) % 360.0 - 180.0,
        mirrored=hand < 0,
        scale=scale,
        quality=float(np.clip(abs(value), 0.0, 1.0)),
    )
    # The drawing is of transmission: where the image agrees with it, what absorbs is lower.
    return _with_markers(image, Placed(pose, abs(value), max(others, default=0.0), -1 if value > 0 else 1), definition)


def _pixel_noise(image: NDArray[np.float32]) -> float:
    """Standard deviation of single pixels, by the differences of neighbours in some rows."""
    rows = np.asarray(image[:: max(1, image.shape[0] // 200)], dtype=np.float64)
    return 1.4826 * float(np.median(np.abs(np.diff(rows, axis=1)))) / np.sqrt(2.0)


_Start = tuple[
    float, float, float, float, float
]  # x and y in image mm from the first pixel's corner, turn, scale, hand


def _from_afar(
    sight: Floats, sizes: tuple[float, float], drawing: _Drawing, mirrored: bool
) -> list[tuple[float, _Start]]:
    """Best places over all turns and sizes by correlation: value and place, the best of each neighbourhood."""
    shape = [fft.next_fast_len(size + int(2 * 1.3 * drawing.radius_mm / step), real=True)
             for size, step in zip(sight.shape, sizes, strict=True)]  # fmt: skip
    sight = (sight / max(float(np.abs(sight).max()), 1e-12)).astype(np.float32)
    seen = fft.rfft2(sight, shape)
    energy = fft.rfft2(sight**2, shape)
    found: list[tuple[float, _Start]] = []
    for scale in _SCALES:
        half = [int(np.ceil(scale * drawing.radius_mm / step)) for step in sizes]
        y = (np.arange(-half[0], half[0] + 1) * sizes[0])[:, None] / scale
        x = (np.arange(-half[1], half[1] + 1) * sizes[1])[None, :] / scale
        disc = (np.hypot(y, x) <= drawing.radius_mm).astype(np.float32)
        around = fft.irfft2(energy * np.conj(fft.rfft2(disc, shape)), shape)
        # Where the plate would lie mostly outside of the image there is nothing to judge by.
        floor = 0.15 * float(around.max()) + 1e-12
        for hand, turn_deg in product((1.0, -1.0) if mirrored else (1.0,), np.arange(0.0, 360.0, _TURN_STEP_DEG)):
            turn = np.radians(turn_deg)
            picture = (
                drawing.at(hand * (x * np.cos(turn) + y * np.sin(turn)), -x * np.sin(turn) + y * np.cos(turn)) * disc
            )
            picture = (picture - disc * picture.sum() / disc.sum()).astype(np.float32)
            norm = float(np.sqrt((picture**2).sum()))
            both = fft.irfft2(seen * np.conj(fft.rfft2(picture, shape)), shape) / norm
            both = both / np.sqrt(np.maximum(around, floor))
            at = int(np.argmax(np.abs(both)))
            row, column = np.unravel_index(at, both.shape)
            value = float(both[row, column])
            row, column = ((int(k) + h) % n for k, h, n in zip((row, column), half, shape, strict=True))
            start = ((column + 0.5) * sizes[1], (row + 0.5) * sizes[0], float(turn_deg), scale, hand)
            found.append((value, start))
    found.sort(key=lambda one: -abs(one[0]))
    kept: list[tuple[float, _Start]] = []
    for value, start in found:
        if len(kept) == _CANDIDATES:
            break
        if not any(_same(start, other) for _, other in kept):
            kept.append((value, start))
    return kept


def _same(one: _Start, other: _Start) -> bool:
    """Whether two places are the same turn and handedness."""
    return one[4] == other[4] and abs((one[2] - other[2] + 180.0) % 360.0 - 180.0) < 12.0


def _apart(ranked: list[tuple[float, _Start]]) -> list[tuple[float, _Start]]:
    """The best of each turn and handedness."""
    kept: list[tuple[float, _Start]] = []
    for value, start in ranked:
        if not any(_same(start, other) for _, other in kept):
            kept.append((value, start))
    return kept


def _agreement(sight: Floats, sizes: tuple[float, float], drawing: _Drawing, start: _Start) -> float:
    """Correlation of the image with the drawing laid over it, over the plate."""
    x0, y0, turn_deg, scale, hand = start
    reach = scale * drawing.radius_mm
    rows = np.arange(max(0, int((y0 - reach) / sizes[0])), min(sight.shape[0], int((y0 + reach) / sizes[0]) + 1))
    columns = np.arange(max(0, int((x0 - reach) / sizes[1])), min(sight.shape[1], int((x0 + reach) / sizes[1]) + 1))
    if rows.size < _LEAST_SIDE or columns.size < _LEAST_SIDE:
        return 0.0
    down = (((rows + 0.5) * sizes[0] - y0) / scale)[:, None]
    right = (((columns + 0.5) * sizes[1] - x0) / scale)[None, :]
    turn = np.radians(turn_deg)
    inside = np.hypot(down, right) <= drawing.radius_mm
    drawn = drawing.at(hand * (right * np.cos(turn) + down * np.sin(turn)), -right * np.sin(turn) + down * np.cos(turn))
    seen, wanted = sight[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1][inside], drawn[inside]
    seen, wanted = seen - seen.mean(), wanted - wanted.mean()
    norm = float(np.sqrt((seen**2).sum() * (wanted**2).sum()))
    # A plate that lies partly outside of the image is no better known for what is not seen of it.
    whole = np.pi * (drawing.radius_mm * scale) ** 2 / (sizes[0] * sizes[1])
    return float((seen * wanted).sum()) / norm * min(1.0, inside.sum() / (0.9 * whole)) if norm > 0 else 0.0


def _refined(
    sight: Floats, sizes: tuple[float, float], drawing: _Drawing, start: _Start, sign: float, *, last: bool = False
) -> tuple[float, _Start]:
    """The place nearby at which image and drawing agree best."""
    hand = start[4]
    steps = np.array([1.0, 1.0, 0.5, 0.01]) if last else np.array([2.5, 2.5, 3.0, 0.03])

    def cost(move: Floats) -> float:
        x, y, turn, scale = np.array(start[:4]) + move * steps
        if not 0.8 < scale < 1.6:
            return 1.0
        return -sign * _agreement(sight, sizes, drawing, (float(x), float(y), float(turn), float(scale), hand))

    simplex = np.vstack([np.zeros(4), np.eye(4)])
    options = {"initial_simplex": simplex, "xatol": 0.02, "fatol": 1e-4, "maxfev": 110}
    best = optimize.minimize(cost, np.zeros(4), method="Nelder-Mead", options=options)
    x, y, turn, scale = (float(one) for one in np.array(start[:4]) + best.x * steps)
    return -sign * float(best.fun), (x, y, turn, scale, hand)


def _with_markers(image: NDArray[np.float32], found: Placed, definition: Definition) -> Placed:
    """Markers fitted one by one; with four and more of them the pose is theirs."""
    pose = found.pose
    spacing = (pose.spacing_mm[0] / pose.scale, pose.spacing_mm[1] / pose.scale)
    seen = []
    for one in definition.features:
        if one.shape != "marker":
            continue
        place = pose.to_pixel(one.x_mm, one.y_mm)
        fit = fit_insert(image, spacing, place, one.size_mm[0] / 2, search_mm=_SEARCH_MM, fix_radius=True)
        error, contrast = fit.position_uncertainty_mm, fit.contrast.value
        if fit.position_px is None or error is None or error >= 0.5 or contrast is None:
            continue
        if contrast * found.sign > 0:
            seen.append((one, *fit.position_px))
    rigid = rigid_fit(seen, pose) if len(seen) >= 4 else None
    if rigid is None:
        return Placed(pose, found.agreement, found.next_best, found.sign, tuple(seen))
    better = Pose(
        0.0, rigid.centre_px, pose.spacing_mm, roll_deg=rigid.roll_deg, mirrored=pose.mirrored, scale=rigid.radius_ratio,
        quality=pose.quality, notes=(f"{rigid.count} markers within {rigid.residual_mm:.2f} mm of their places",),
    )  # fmt: skip
    return Placed(better, found.agreement, found.next_best, found.sign, tuple(seen), rigid.residual_mm)
