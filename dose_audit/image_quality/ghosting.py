"""Percent signal ghosting of an MR image: regions beside the phantom, placed from its outline and the field of view."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dose_audit.image_quality.geometry import BodyOutline, body_outline
from dose_audit.image_quality.rois import RoiStatistics, Spacing, as_image, disc_mask, mask_statistics, spacing_pair
from dose_audit.measured import Measured, not_measurable

__all__ = ["Ghosting", "percent_signal_ghosting"]

_METHOD = "100 |((T + B) - (L + R))/(2 S)|, elliptical regions between outline and field of view"
_SIDES = ("top", "bottom", "left", "right")
_FEWEST = 60


@dataclass(frozen=True, slots=True)
class Ghosting:
    """Ghosting and the regions it came from.

    Parameters
    ----------
    psg : Measured
        Percent signal ghosting, unsigned; its sign is in the details: positive when top and bottom are the brighter, as with
        a phase encoding along the columns.
    signal : Measured
        Mean in the phantom.
    background : mapping of str to RoiStatistics
        ``top``, ``bottom``, ``left``, ``right``.
    regions : mapping of str to (row, column, height, width)
        Centres in pixels and axes in mm of the ellipses.
    """

    psg: Measured
    signal: Measured
    background: Mapping[str, RoiStatistics]
    regions: Mapping[str, tuple[float, float, float, float]]


def percent_signal_ghosting(
    image: ArrayLike,
    spacing_mm: Spacing,
    *,
    outline: BodyOutline | None = None,
    area_cm2: float = 10.0,
    aspect: float = 4.0,
    clearance_mm: float = 3.0,
    signal_area: float = 0.75,
) -> Ghosting:
    """Percent signal ghosting.

    Parameters
    ----------
    image : ndarray, shape (rows, columns)
        Magnitude image.
    spacing_mm : float or (row, column)
    outline : BodyOutline, optional
        Outline of the phantom; found by default.
    area_cm2 : float
        Area of each of the four regions (ACR: about 10 cm²).
    aspect : float
        Length over width of the ellipses, which lie along the phantom's edge.
    clearance_mm : float
        Kept free towards the phantom and the border of the image.
    signal_area : float
        Share of the phantom's area from which the signal's mean is taken.

    Returns
    -------
    Ghosting
        Where the gap is narrow the ellipse becomes narrower and longer, then smaller; ``suspect`` below a quarter of the wanted
        area, ``not_measurable`` below 60 pixels or when a gap is closed.

    Notes
    -----
    Rician noise lifts all four regions alike and cancels where there is no ghost; a ghost below the noise is lifted less than
    its own height, so that the plain means of the definition read low. ``details["noise_corrected"]`` is the same ratio of
    ``√(<M²> - 2σ²)``, σ being that of the quietest region. The uncertainty is that of the four means with the noise's
    correlation.

    References
    ----------
    ACR. Phantom test guidance for use of the large MRI phantom: percent signal ghosting.

    Examples
    --------
    >>> row, column = np.mgrid[:256, :256]
    >>> image = 1000.0 * (np.hypot(row - 128, column - 128) < 95)
    >>> image[:, 110:146] += 10.0 * (image[:, 110:146] == 0)
    >>> 0.5 < percent_signal_ghosting(image, 1.0).psg.value < 1.1
    True
    """
    array = as_image(image)
    spacing = spacing_pair(spacing_mm)
    if area_cm2 <= 0 or aspect < 1 or clearance_mm < 0 or not 0 < signal_area <= 1:
        raise ValueError("area and clearance are positive, the aspect at least 1, the signal's share within (0, 1]")
    body = outline if outline is not None else body_outline(array, spacing)
    if body.centre_px is None or body.semi_axes_mm is None or body.angle_deg is None:
        return _nothing(f"no phantom was found: {body.diameter.reason}")
    half_height, half_width = _extents(body)
    row, column = body.centre_px
    radius = math.sqrt(signal_area) * min(body.semi_axes_mm)
    inside = mask_statistics(array, disc_mask(array.shape, (row, column), radius, spacing))
    if inside.mean is None or inside.mean <= 0:
        return _nothing("there is no signal in the phantom")
    signal = Measured("signal", inside.mean, "1", inside.mean_uncertainty, method="mean of the phantom's middle")
    # Borders of the image in mm from its first pixel's centre; half a pixel lies beyond it.
    top, bottom = -0.5 * spacing[0], (array.shape[0] - 0.5) * spacing[0]
    left, right = -0.5 * spacing[1], (array.shape[1] - 0.5) * spacing[1]
    middle_y, middle_x = row * spacing[0], column * spacing[1]
    gaps = {
        "top": (top, middle_y - half_height),
        "bottom": (middle_y + half_height, bottom),
        "left": (left, middle_x - half_width),
        "right": (middle_x + half_width, right),
    }
    regions: dict[str, tuple[float, float, float, float]] = {}
    found: dict[str, RoiStatistics] = {}
    phantom = body.mask((array.shape[0], array.shape[1]), margin_mm=-clearance_mm)
    for side in _SIDES:
        near, far = gaps[side]
        upright = side in ("left", "right")
        room = far - near - 2 * clearance_mm
        span = (bottom - top if upright else right - left) - 2 * clearance_mm
        if room < min(spacing):
            return _nothing(f"the phantom leaves no room at the {side} of the image", signal)
        wide, longest = _axes(100 * area_cm2, aspect, room, 0.6 * span)
        along, across = (middle_y, 0.5 * (near + far)) if upright else (middle_x, 0.5 * (near + far))
        low, high = (top, bottom) if upright else (left, right)
        along = min(max(along, low + clearance_mm + 0.5 * longest), high - clearance_mm - 0.5 * longest)
        place = (along, across) if upright else (across, along)
        size = (longest, wide) if upright else (wide, longest)
        regions[side] = (place[0] / spacing[0], place[1] / spacing[1], *size)
        found[side] = mask_statistics(array, _ellipse(array.shape, regions[side], spacing) & ~phantom)
        if found[side].mean is None or found[side].pixels < _FEWEST:
            return _nothing(f"the region at the {side} of the image has only {found[side].pixels} pixels", signal)
    return Ghosting(
        _value(found, inside.mean, inside.mean_uncertainty or 0.0, area_cm2, spacing), signal, found, regions
    )


def _value(
    found: Mapping[str, RoiStatistics],
    signal: float,
    signal_spread: float,
    area_cm2: float,
    spacing: tuple[float, float],
) -> Measured:
    means = {side: float(roi.mean or 0.0) for side, roi in found.items()}
    ratio = 100 * (means["top"] + means["bottom"] - means["left"] - means["right"]) / (2 * signal)
    spread = 50 / signal * math.sqrt(sum((roi.mean_uncertainty or 0.0) ** 2 for roi in found.values()))
    spread = math.hypot(spread, abs(ratio) * signal_spread / signal)
    powers = {side: float(roi.mean or 0.0) ** 2 + float(roi.sd or 0.0) ** 2 for side, roi in found.items()}
    ghosts = {side: math.sqrt(max(power - min(powers.values()), 0.0)) for side, power in powers.items()}
    corrected = 50 * (ghosts["top"] + ghosts["bottom"] - ghosts["left"] - ghosts["right"]) / signal
    smallest = min(roi.pixels for roi in found.values()) * spacing[0] * spacing[1] / 100
    result = Measured(
        "psg",
        abs(ratio),
        "%",
        spread,
        method=_METHOD,
        details={
            "signed": ratio,
            "noise_corrected": abs(corrected),
            "means": means,
            "smallest_area_cm2": smallest,
        },
    )
    doubts = []
    if smallest < 0.25 * area_cm2:
        doubts.append(f"the smallest region has only {smallest:.1f} cm²")
    if max(means.values()) > 0.2 * signal:
        doubts.append("a background region holds signal")
    constant = [side for side, roi in found.items() if roi.sd == 0]
    if constant and len(constant) < len(found):
        doubts.append(f"the {' and '.join(constant)} of the image is masked")
    return result.doubt("; ".join(doubts)) if doubts else result


def _extents(body: BodyOutline) -> tuple[float, float]:
    """Half height and half width of the box about the outline's ellipse."""
    assert body.semi_axes_mm is not None and body.angle_deg is not None
    a, b = body.semi_axes_mm
    cosine, sine = math.cos(math.radians(body.angle_deg)), math.sin(math.radians(body.angle_deg))
    return math.hypot(a * sine, b * cosine), math.hypot(a * cosine, b * sine)


def _axes(area_mm2: float, aspect: float, room: float, longest: float) -> tuple[float, float]:
    """Width and length of the ellipse: the wanted ones, else narrower and longer, else as large as there is room."""
    width = math.sqrt(4 * area_mm2 / (math.pi * aspect))
    if width <= room:
        return width, min(aspect * width, longest)
    return room, min(4 * area_mm2 / (math.pi * room), longest)


def _ellipse(
    shape: tuple[int, ...], region: tuple[float, float, float, float], spacing: tuple[float, float]
) -> NDArray[np.bool_]:
    row, column, height, width = region
    down = (np.arange(shape[0]) - row)[:, None] * spacing[0] / (0.5 * height)
    right = (np.arange(shape[1]) - column)[None, :] * spacing[1] / (0.5 * width)
    return np.asarray(down**2 + right**2 <= 1.0)


def _nothing(reason: str, signal: Measured | None = None) -> Ghosting:
    return Ghosting(
        not_measurable("psg", "%", reason, method=_METHOD), signal or not_measurable("signal", "1", reason), {}, {}
    )
