"""How a ring of bars or rods lies in its module: the turn, and the sense, in which its drawing agrees with the image.

Modules of one phantom are screwed together by hand, and makers turn and face them as a model wants it: the inserts tell the
roll of another module to a degree or two, and not always from which side it is seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import atan2, cos, degrees, hypot, radians, sin

import numpy as np
from numpy.typing import NDArray

from dose_audit.phantom.definition import Feature
from dose_audit.phantom.locate.outline import ring_profile
from dose_audit.phantom.pose import Pose

__all__ = ["RingTurn", "bar_turn", "rod_turn", "turned"]

Floats = NDArray[np.float64]
_SAMPLES = 3600
_STEP_DEG = 360.0 / _SAMPLES
_ANGLES_DEG = np.arange(_SAMPLES) * _STEP_DEG
# What lies on one radius makes a ring; bars stand along it.
_SAME_RADIUS_MM, _RADIAL_DEG = 0.6, 2.0
_LEAST = 4
# Bars finer than this share of the pixels' Nyquist frequency tell nothing sure about their place.
_SURE_SHARE = 0.7
# How far a ring may be turned against its drawing and still be as drawn; agreement from which it is seen at all, and how much
# better another place or sense must be than the drawn one.
_AS_DRAWN_DEG = 4.0
_SEEN, _OVER_DRAWN = 0.35, 1.4
# Contrast of the ring beyond this many times its usual one tells no more: a bead or a streak does not drown the drawing.
_CLIP = 4.0
# Half width of the ring in which rods are seen, and the slow waves about it that shading makes.
_RODS_MM, _WAVES = 3.0, 2


@dataclass(frozen=True, slots=True)
class RingTurn:
    """Turn of the ring against its drawing (clockwise, after mirroring about 12 o'clock), and agreement with the image."""

    turn_deg: float
    mirrored: bool
    agreement: float

    @property
    def seen(self) -> bool:
        """Whether the image shows this ring at all."""
        return self.agreement >= _SEEN

    @property
    def as_drawn(self) -> bool:
        """Whether it lies where the drawing has it, but for the turn of a screwed joint."""
        return not self.mirrored and abs(self.turn_deg) <= _AS_DRAWN_DEG


def _theta_deg(one: Feature) -> float:
    return degrees(atan2(one.y_mm, one.x_mm))


def _on_one_radius(features: Sequence[Feature]) -> bool:
    return len(features) >= _LEAST and float(np.ptp([one.r_mm for one in features])) <= _SAME_RADIUS_MM


def _seen(image: NDArray[np.float32], z_mm: float, pose: Pose, radius_mm: float, half_width_mm: float) -> Floats:
    """Values around the ring by the phantom's own angles."""
    centre = pose.to_pixel(0.0, 0.0, z_mm)
    on_screen = ring_profile(
        image, centre, pose.spacing_mm, radius_mm * pose.scale, half_width_mm=half_width_mm, samples=_SAMPLES
    )
    place = np.array([pose.angle_on_screen(float(theta)) for theta in _ANGLES_DEG]) % 360.0
    return np.interp(place, np.append(_ANGLES_DEG, 360.0), np.append(on_screen, on_screen[0]))


def _turn(seen: Floats, expected: Floats) -> RingTurn:
    """Circular correlation in both senses; the drawn sense and place are kept unless another agrees much better."""
    own = seen - seen.mean()
    turns = (_ANGLES_DEG + 180.0) % 360.0 - 180.0
    near = np.flatnonzero(np.abs(turns) <= _AS_DRAWN_DEG)
    drawn_at: RingTurn | None = None
    best: RingTurn | None = None
    for mirrored in (False, True):
        drawn = np.roll(expected[::-1], _SAMPLES // 2 + 1) if mirrored else expected
        drawn = drawn - drawn.mean()
        scores = np.fft.irfft(np.fft.rfft(own) * np.conj(np.fft.rfft(drawn)), n=_SAMPLES)
        scores /= max(float(np.linalg.norm(own) * np.linalg.norm(drawn)), 1e-9)
        at = int(np.argmax(scores))
        if best is None or scores[at] > best.agreement:
            best = RingTurn(float(turns[at]), mirrored, float(scores[at]))
        if not mirrored:
            at = int(near[np.argmax(scores[near])])
            drawn_at = RingTurn(float(turns[at]), False, float(scores[at]))
    assert best is not None and drawn_at is not None
    return drawn_at if best.agreement <= _OVER_DRAWN * drawn_at.agreement else best


def bar_turn(image: NDArray[np.float32], z_mm: float, pose: Pose, groups: Sequence[Feature]) -> RingTurn | None:
    """Where the bars of a gauge are, by correlation with their drawing.

    Parameters
    ----------
    image : ndarray, shape (rows, columns)
        Slices about the gauge, averaged.
    z_mm : float
        Their position in the series.
    pose : Pose
    groups : sequence of Feature
        With ``lp_per_mm`` and ``bars``.

    Returns
    -------
    RingTurn or None
        `None` where the groups form no ring, or the pixels are too coarse to tell.
    """
    nyquist = 0.5 / max(pose.spacing_mm)
    coarse = [one for one in groups if float(one.extra["lp_per_mm"]) <= _SURE_SHARE * nyquist]
    if not _on_one_radius(coarse):
        return None
    if max(abs((one.angle_deg - _theta_deg(one)) % 180.0 - 90.0) for one in coarse) > _RADIAL_DEG:
        return None
    radius = float(np.median([one.r_mm for one in coarse]))
    expected = np.zeros(_SAMPLES)
    for one in coarse:
        period, count = 1.0 / float(one.extra["lp_per_mm"]), int(one.extra["bars"])
        for k in range(count):
            at = _theta_deg(one) + degrees((k - (count - 1) / 2) * period / radius)
            expected[np.abs((_ANGLES_DEG - at + 180.0) % 360.0 - 180.0) <= degrees(0.25 * period / radius)] = 1.0
    across = 0.25 * float(np.median([one.size_mm[1] for one in coarse]))
    seen = _seen(image, z_mm, pose, radius, across)
    seen = seen - np.median(seen)
    usual = 1.4826 * float(np.median(np.abs(seen))) or 1.0
    return _turn(np.clip(seen, -_CLIP * usual, max(_CLIP * usual, float(np.percentile(seen, 98)))), expected)


def rod_turn(image: NDArray[np.float32], z_mm: float, pose: Pose, rods: Sequence[Feature]) -> RingTurn | None:
    """Where low-contrast rods are: as `bar_turn`, for discs with ``nominal`` contrasts on one radius, after slow shading."""
    if not _on_one_radius(rods) or any(one.nominal is None for one in rods):
        return None
    radius = float(np.median([one.r_mm for one in rods]))
    across = np.arange(-_RODS_MM, _RODS_MM + 1e-9, 0.5)
    expected = np.zeros(_SAMPLES)
    for one in rods:
        away = radius * np.radians((_ANGLES_DEG - _theta_deg(one) + 180.0) % 360.0 - 180.0)
        inside = np.hypot(away[:, None], across[None, :]) <= one.size_mm[0] / 2
        expected += float(one.nominal or 0.0) * inside.mean(axis=1)
    seen = _without_waves(_seen(image, z_mm, pose, radius, _RODS_MM))
    return _turn(seen, _without_waves(expected))


def _without_waves(profile: Floats) -> Floats:
    spectrum = np.fft.rfft(profile)
    spectrum[: _WAVES + 1] = 0.0
    return np.asarray(np.fft.irfft(spectrum, n=profile.size))


def turned(one: Feature, ring: RingTurn) -> Feature:
    """The bars or the rod where the ring has it."""
    theta = _theta_deg(one)
    lean = one.angle_deg - theta
    if ring.mirrored:
        theta, lean = 180.0 - theta, -lean
    theta += ring.turn_deg
    r = hypot(one.x_mm, one.y_mm)
    return replace(one, x_mm=r * cos(radians(theta)), y_mm=r * sin(radians(theta)), angle_deg=(theta + lean) % 360.0)
