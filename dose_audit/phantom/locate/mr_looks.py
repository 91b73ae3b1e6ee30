"""What each slice of an MR phantom shows: its outline, and a polar map of what is dark in it, freed of the coil's shading."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from dose_audit.image_quality import BodyOutline, body_outline, circle_diameter, sample_points
from dose_audit.measured import not_measurable
from dose_audit.phantom.definition import Feature
from dose_audit.phantom.workbench import Workbench

__all__ = ["ANGLES", "Look", "agreement", "looks", "outline_at", "share_of", "template"]

Floats = NDArray[np.float64]
ANGLES = 360
# Rays reach from the axis to just inside the wall, in shares of the radius.
_SHARES = np.linspace(0.03, 0.97, 64)
_ORDER = 4
# Sampled finer than this a template's features would alias on the polar grid.
_OVERSAMPLING = 3


@dataclass(frozen=True, slots=True)
class Look:
    """One slice.

    Parameters
    ----------
    outline : BodyOutline
        Its ``centre_px`` is `None` where no round body was found.
    dark : ndarray or None
        (radii, angles): 0 where the signal is that of the solution about it, 1 where there is none.
    """

    outline: BodyOutline
    dark: Floats | None

    @property
    def radius_mm(self) -> float | None:
        """Mean radius; `None` where there is no round body."""
        value = self.outline.diameter.value
        return None if value is None or self.outline.centre_px is None else 0.5 * value

    @property
    def round(self) -> bool:
        """Whether the outline is trustworthy and circular within a tenth."""
        axes = self.outline.semi_axes_mm
        return axes is not None and self.outline.diameter.status == "ok" and axes[0] < 1.1 * axes[1]

    @property
    def dark_share(self) -> float:
        """Share of the area inside 85 % of the radius that gives no signal."""
        if self.dark is None:
            return 1.0
        inside = _SHARES < 0.85
        return float(np.average((self.dark > 0.5).mean(axis=1)[inside], weights=_SHARES[inside]))


def looks(bench: Workbench) -> list[Look]:
    """One look for each frame; found once and kept."""
    return bench.once("mr looks", lambda: [_look(bench, index) for index in range(len(bench.series.frames))])


def outline_at(bench: Workbench, index: int, centre_px: tuple[float, float], radius_mm: float) -> BodyOutline:
    """Outline of one frame where the neighbours say it is: holds in noise and artefacts that hide it from a threshold."""
    own = looks(bench)[index].outline
    if own.centre_px is not None and own.diameter.status == "ok":
        away = np.hypot(*((a - b) * s for a, b, s in zip(own.centre_px, centre_px, bench.spacing_mm, strict=True)))
        if away < 0.05 * radius_mm and own.diameter.value and abs(0.5 * own.diameter.value / radius_mm - 1) < 0.05:
            return own
    found = circle_diameter(bench.series.image(index), bench.spacing_mm, centre_px, radius_mm)
    if found.centre_px is None or found.diameter.value is None:
        gone = not_measurable("body_diameter", "mm", found.diameter.reason)
        return BodyOutline(None, None, None, gone, bench.spacing_mm)
    half = 0.5 * found.diameter.value
    return BodyOutline(found.centre_px, (half, half), 0.0, found.diameter, bench.spacing_mm, found.gaps_deg)


def _look(bench: Workbench, index: int) -> Look:
    image = bench.series.image(index)
    outline = body_outline(image, bench.spacing_mm)
    if outline.centre_px is None or outline.semi_axes_mm is None:
        return Look(outline, None)
    radius = float(np.sqrt(outline.semi_axes_mm[0] * outline.semi_axes_mm[1]))
    return Look(outline, _dark(image, bench.spacing_mm, outline.centre_px, radius))


def _dark(
    image: NDArray[np.float32], spacing_mm: tuple[float, float], centre_px: tuple[float, float], radius_mm: float
) -> Floats:
    """The polar map: one minus the signal over a smooth surface through the bright pixels."""
    angle = np.arange(ANGLES) * (2 * np.pi / ANGLES)
    x, y = _SHARES[:, None] * np.cos(angle), _SHARES[:, None] * np.sin(angle)
    values = sample_points(
        image, centre_px[0] + y * radius_mm / spacing_mm[0], centre_px[1] + x * radius_mm / spacing_mm[1]
    )
    design = _surface_terms(ANGLES // 4)
    some = values[::2, ::4].ravel()
    surface = np.full(some.size, float(np.percentile(some, 80)))
    solution = np.zeros(design.shape[1])
    for share in (0.4, 0.5, 0.6):
        bright = some > share * surface
        if bright.sum() < 3 * design.shape[1]:
            return np.ones_like(values)
        solution = np.linalg.lstsq(design[bright], some[bright], rcond=None)[0]
        surface = design @ solution
        # A polynomial may fall below the signal's range where nothing is bright.
        surface = np.clip(surface, 0.3 * np.median(some[bright]), None)
    level = (_surface_terms(ANGLES, 1) @ solution).reshape(values.shape)
    level = np.clip(level, 0.3 * float(np.median(surface)), None)
    return np.asarray(np.clip(1.0 - values / level, 0.0, 1.0))


@lru_cache(maxsize=4)
def _surface_terms(angles: int, stride: int = 2) -> Floats:
    angle = np.arange(angles) * (2 * np.pi / angles)
    shares = _SHARES[::stride]
    x, y = (shares[:, None] * np.cos(angle)).ravel(), (shares[:, None] * np.sin(angle)).ravel()
    return np.column_stack([x**i * y**j for i in range(_ORDER + 1) for j in range(_ORDER + 1 - i)])


def template(features: Sequence[Feature], radius_mm: float) -> Floats:
    """Polar map of dark features in the phantom's own frame, on the grid of `Look.dark`.

    ``rectangle`` (size_mm width and height, angle_deg), ``ring`` (inner and outer diameter) and ``grid`` (pitch, line
    width, lines each way) are drawn; a pixel that is partly covered counts in part.
    """
    x, y = _fine_grid(radius_mm)
    dark = np.zeros(x.shape, dtype=np.float32)
    for feature in features:
        dark[_covered(feature, x - feature.x_mm, y - feature.y_mm)] = 1.0
    # Angles are averaged about each ray, not after it, so that the template has no turn of its own.
    dark = np.roll(dark, _OVERSAMPLING // 2, axis=1)
    return dark.reshape(_SHARES.size, _OVERSAMPLING, ANGLES, _OVERSAMPLING).mean(axis=(1, 3), dtype=np.float64)


@lru_cache(maxsize=4)
def _fine_grid(radius_mm: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Places of a template's samples, several to each sample of the polar map."""
    angle = np.arange(ANGLES * _OVERSAMPLING) * (2 * np.pi / (ANGLES * _OVERSAMPLING))
    step = (_SHARES[1] - _SHARES[0]) / _OVERSAMPLING
    share = (_SHARES[:, None] + (np.arange(_OVERSAMPLING) - (_OVERSAMPLING - 1) / 2) * step).ravel()
    radius = (radius_mm * share[:, None]).astype(np.float32)
    return radius * np.cos(angle, dtype=np.float32), radius * np.sin(angle, dtype=np.float32)


def _covered(feature: Feature, dx: NDArray[np.float32], dy: NDArray[np.float32]) -> NDArray[np.bool_]:
    if feature.shape == "ring":
        away = 2 * np.hypot(dx, dy)
        return np.asarray((away >= feature.size_mm[0]) & (away <= feature.size_mm[1]))
    turn = np.radians(feature.angle_deg)
    along, across = dx * np.cos(turn) + dy * np.sin(turn), dy * np.cos(turn) - dx * np.sin(turn)
    if feature.shape == "grid":
        pitch, width, count = feature.size_mm
        reach = 0.5 * (count - 1) * pitch + 0.5 * width
        inside = (np.abs(along) <= reach) & (np.abs(across) <= reach)
        shift = 0.5 * pitch if int(count) % 2 == 0 else 0.0
        lines = [np.abs((one + shift + 0.5 * pitch) % pitch - 0.5 * pitch) <= 0.5 * width for one in (along, across)]
        return np.asarray(inside & (lines[0] | lines[1]))
    width, height = feature.size_mm
    return np.asarray((np.abs(along) <= 0.5 * width) & (np.abs(across) <= 0.5 * height))


def agreement(dark: Floats, wanted: Floats, *, mirrored: bool = False) -> tuple[float, float]:
    """Correlation of a slice with a template at the best roll, and that roll in degrees, clockwise on screen.

    Notes
    -----
    Circular correlation along the angle by the Fourier transform, radii weighted by their circumference; the peak to a
    fraction of a degree by a parabola on a spectrum padded to a quarter of a degree.
    """
    seen = dark[:, (-np.arange(ANGLES)) % ANGLES] if mirrored else dark
    weights = _SHARES / _SHARES.sum()
    a, b = (one - float((weights[:, None] * one).sum()) / ANGLES for one in (wanted, seen))
    power = np.sqrt(float((weights[:, None] * a**2).sum()) * float((weights[:, None] * b**2).sum()))
    if power <= 0:
        return 0.0, 0.0
    spectrum = (weights[:, None] * np.conj(np.fft.rfft(a, axis=1)) * np.fft.rfft(b, axis=1)).sum(axis=0)
    finer = 4
    curve = np.fft.irfft(spectrum, finer * ANGLES) * finer / power
    best = int(np.argmax(curve))
    before, at, after = curve[best - 1], curve[best], curve[(best + 1) % curve.size]
    bend = before - 2 * at + after
    turn = (best + (0.5 * (before - after) / bend if bend < 0 else 0.0)) / finer
    roll = (180.0 - turn if mirrored else turn) % 360.0
    return float(at), roll - 360.0 if roll > 180.0 else roll


def share_of(dark: Floats, wanted: Floats, roll_deg: float, *, mirrored: bool = False) -> tuple[float, float]:
    """How much of a template is in a slice at a known roll: 0 where nothing of it is, 1 where all of it is.

    Returns
    -------
    (float, float)
        On the whole, and in that of eight directions in which most of it is: a phantom that leans shows one side.

    Notes
    -----
    Slope of the polar map over the template by least squares, inside 85 % of the radius, radii weighted by their
    circumference and directions by the fourth power of the cosine of how far they point away. Noise and shading, which know
    nothing of the template, leave it at 0 within 0.01.
    """
    seen = dark[:, (-np.arange(ANGLES)) % ANGLES] if mirrored else dark
    turn = 180.0 - roll_deg if mirrored else roll_deg
    drawn = np.roll(wanted, round(turn * ANGLES / 360.0), axis=1)
    inside = np.where(_SHARES < 0.85, _SHARES, 0.0)[:, None]
    angle = np.arange(ANGLES) * (2 * np.pi / ANGLES)
    found = []
    for towards in (None, *np.arange(0.0, 2 * np.pi, np.pi / 4)):
        weights = inside * (np.ones(ANGLES) if towards is None else np.clip(np.cos(angle - towards), 0.0, None) ** 4)
        own = drawn - float((weights * drawn).sum() / weights.sum())
        power = float((weights * own**2).sum())
        found.append(float((weights * own * seen).sum()) / power if power > 0 else 0.0)
    return found[0], max(found[1:])
