"""Slice thickness from crossed MRI ramps and from edge wedges: mean profiles, both directions, never the spacing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from dose_audit.image_quality.profile_shapes import fwhm_by_ground
from dose_audit.image_quality.rician import DarkGround, dark_ground
from dose_audit.image_quality.rois import (
    Position,
    Spacing,
    as_floats,
    as_image,
    position_pair,
    spacing_pair,
)
from dose_audit.image_quality.sampling import most_samples, sample_points
from dose_audit.image_quality.slice_profile import ProfileFit, fit_slice_profile
from dose_audit.image_quality.slice_response import fit_edge_response
from dose_audit.measured import Measured, not_measurable

__all__ = ["RampThickness", "slice_thickness_crossed", "slice_thickness_ramps", "slice_thickness_wedge"]

Floats = NDArray[np.float64]
_RAMPS = "two crossed ramps, double-erf fit of the mean profiles, 2 tan L1 L2/(L1 + L2)"
_WEDGE = "derivative of the edge response across a wedge, half-maximum width times tangent"
_LARGEST_RESIDUAL = 0.1  # of the amplitude: above it, profiles of real scans proved wrong
_OVERLAP = 35.0 / 18.0  # second differences that share pixels: 1 + 2 (4/9 + 1/36) count for one
_PIXEL_BLUR = 0.5  # of a pixel: the standard deviation of an MR image's blur
_LARGEST_DIFFERENCE = 0.5  # of the mean length


@dataclass(frozen=True, slots=True)
class RampThickness:
    """Slice thickness from two crossed ramps.

    Parameters
    ----------
    thickness : Measured
        In mm.
    offset : Measured
        Distance of the slice from the crossing of the ramps, in mm; its sign is that of the first ramp's rise along the profile.
    profiles : tuple of ProfileFit
        The two fits.
    position_mm, signals : ndarray
        The two mean profiles, for a chart.
    """

    thickness: Measured
    offset: Measured
    profiles: tuple[ProfileFit, ...] = ()
    position_mm: Floats | None = None
    signals: tuple[Floats, ...] = ()


def slice_thickness_ramps(
    image: ArrayLike,
    spacing_mm: Spacing,
    centre_px: Position,
    *,
    tangent: float = 0.1,
    length_mm: float = 96.0,
    offsets_mm: tuple[float, float] = (-2.5, 2.5),
    width_mm: float = 3.0,
    height_mm: float = 1.0,
    angle_deg: float = 0.0,
    search_mm: float = 12.0,
) -> RampThickness:
    """Slice thickness from two opposed ramps side by side, as in slice 1 of the ACR MRI phantom.

    Parameters
    ----------
    image : ndarray, shape (rows, columns)
    spacing_mm : float or (row, column)
    centre_px : (row, column)
        Centre of the ramp insert, within a few mm; it is refined on the dark band of the insert.
    tangent : float
        Tangent of the ramps' angle to the slice: 0.1 for ACR.
    length_mm : float
        Length of the profiles, a little less than that of the ramps.
    offsets_mm : (first, second)
        Where the ramps run, across the profile's direction, from the insert's middle.
    width_mm : float
        Width over which the mean is taken.
    height_mm : float
        Height of the ramps' slots across the slice, 1 mm for ACR, which blurs the profiles; 0 leaves that in.
    angle_deg : float
        Direction of the ramps, within about 3°.
    search_mm : float
        How far across to look for the insert; 0 trusts the given place.

    Returns
    -------
    RampThickness
        ``suspect`` when a fit's residual exceeds 0.1 of its height, or the two lengths differ by more than half their mean.

    Notes
    -----
    ``T = 2 t L1 L2/(L1 + L2)`` with the tangent t (``0.2 L1 L2/(L1 + L2)`` for ACR) holds under a tilt of the phantom about
    the axis across the ramps. Magnitude noise lifts the dark ground, and with it the half maximum: where the ground is that dark
    (`dark_ground`), the Rician mean of the plateau is fitted. Against analytic ramps of 4.3-5.7 mm with a rectangular slice
    profile over ground without signal: bias below 0.01 mm to 10 % noise, standard deviation 0.015 mm at 5 % and 0.03 mm at
    10 %; without the correction the bias is -0.07 and -0.13 mm. A ground with a signal below the noise is taken for an empty
    one, which adds up to 0.1 mm at 10 % noise and is in the uncertainty. Profiles of other shapes of 2.5-3.5 mm, through slots
    of the height given: Gaussian ones read right within 0.01 mm without noise and 0.03 mm at 5 % noise on average, triangular
    ones 0.02-0.05 mm too thick without noise and up to 0.07 mm at 5 %, all within the uncertainty. Thicker ones fill the ramps,
    show no ground and are mostly ``suspect``.

    References
    ----------
    ACR. Phantom test guidance for use of the large MRI phantom. Reston: American College of Radiology.

    Examples
    --------
    >>> from dose_audit.image_quality.profile_shapes import plateau_shape
    >>> column = np.arange(160.0)[None, :] * np.ones((40, 1))
    >>> result = slice_thickness_ramps(300 * plateau_shape(column - 80, 50.0, 3.0), 1.0, (20, 80), search_mm=0)
    >>> round(result.thickness.value, 2)
    5.0
    """
    array = as_image(image)
    spacing = spacing_pair(spacing_mm)
    position_pair(centre_px)
    if tangent <= 0 or length_mm <= 0 or width_mm <= 0 or min(search_mm, height_mm) < 0:
        raise ValueError("tangent, length and width are positive, search and height are not negative")
    step = max(0.5 * min(spacing), length_mm / most_samples(array.shape))
    half = math.floor(0.5 * length_mm / step)
    along = np.asarray(step * np.arange(-half, half + 1), dtype=float)
    shift, lean, scale = np.zeros(along.size), 0.0, 1.0
    if search_mm > 0 and along.size > 1:
        band = _find_band(array, spacing, centre_px, along, angle_deg, search_mm, abs(offsets_mm[1] - offsets_mm[0]))
        if band is not None:
            shift, lean, scale = band
    across = (np.arange(9) / 8.0 - 0.5) * width_mm * scale
    signals: list[Floats] = []
    for offset in offsets_mm:
        lines = shift[None, :] + offset * scale + across[:, None]
        signals.append(_turned(array, spacing, centre_px, along[None, :], lines, angle_deg).mean(axis=0))
    # The image's own blur is about that of a band that ends at the Nyquist frequency.
    fit_one = partial(
        fit_slice_profile,
        tilted_top=True,
        box_mm=height_mm / tangent,
        blur_mm=_PIXEL_BLUR * math.sqrt(spacing[0] * spacing[1]),
    )
    fits = tuple(fit_one(along, signal) for signal in signals)
    middles = [shift + offset * scale for offset in offsets_mm]
    ground = _dark_ground(array, spacing, centre_px, along, middles, fits, angle_deg, width_mm * scale)
    if ground is not None:
        # Magnitudes of noise in the dark ground lift the half maximum and would shorten the ramps.
        fits = tuple(fit_one(along, one, dark_ground=ground) for one in signals)
    result = slice_thickness_crossed(fits[0], fits[1], tangent=tangent)
    details = {
        "channel_noise": None if ground is None else ground.noise_sd,
        "lengths_mm": [fit.fwhm for fit in fits],
        "insert_lean_deg": lean,
        "insert_shift_mm": float(np.median(shift)),
    }
    thickness = replace(result.thickness, details={**result.thickness.details, **details})
    if ground is not None and ground.signal_uncertainty > 0 and thickness.uncertainty is not None:
        # A ground that is a little brighter than it was taken to be lengthens both ramps alike.
        shares = [ground.signal_uncertainty / (fit.amplitude or math.inf) for fit in fits]
        longer = [
            share * fwhm_by_ground(fit.width or 0.0, fit.blur or 0.0) for share, fit in zip(shares, fits, strict=True)
        ]
        uncertainty = math.hypot(thickness.uncertainty, 0.5 * tangent * sum(longer))
        thickness = replace(thickness, uncertainty=uncertainty)
    return RampThickness(thickness, result.offset, fits, along, tuple(signals))


def slice_thickness_crossed(first: ProfileFit, second: ProfileFit, *, tangent: float) -> RampThickness:
    """Slice thickness from the fitted profiles of any two opposed ramps or plates.

    Parameters
    ----------
    first, second : ProfileFit
        Profiles along the two ramps, see `fit_slice_profile`; bright ramps or dark plates.
    tangent : float
        Tangent of each ramp's angle to the slice: 0.1 for ACR, 0.2 (11.3°) for Eurospin TO2.

    Returns
    -------
    RampThickness

    Notes
    -----
    With a phantom tilted by φ one ramp lengthens and the other shortens; with tan φ ≪ 1/tangent their harmonic mean stays
    ``2 L1 L2/(L1 + L2) = T / tangent``.

    References
    ----------
    Price R R, et al. Quality assurance methods and phantoms for magnetic resonance imaging: report of AAPM nuclear magnetic
    resonance Task Group No. 1. Med Phys 1990; 17: 287-295.

    Examples
    --------
    >>> result = slice_thickness_crossed(ProfileFit(40.0, 0.0, 1.0), ProfileFit(66.67, 0.0, 1.0), tangent=0.1)
    >>> round(result.thickness.value, 3)
    5.0
    """
    lost = [
        f"ramp {number}: {fit.reason or 'no profile'}" for number, fit in ((1, first), (2, second)) if fit.fwhm is None
    ]
    if first.fwhm is None or second.fwhm is None or first.centre is None or second.centre is None:
        reason = "; ".join(lost)
        return RampThickness(
            not_measurable("slice_thickness", "mm", reason, method=_RAMPS),
            not_measurable("slice_offset", "mm", reason, method=_RAMPS),
            (first, second),
        )
    one, two = first.fwhm, second.fwhm
    total = one + two
    value = 2 * tangent * one * two / total
    spread_one, spread_two = first.fwhm_uncertainty or 0.0, second.fwhm_uncertainty or 0.0
    known = first.fwhm_uncertainty is not None and second.fwhm_uncertainty is not None
    uncertainty = 2 * tangent * math.hypot(two**2 * spread_one, one**2 * spread_two) / total**2
    offset = 0.5 * tangent * (first.centre - second.centre)
    offset_spread = 0.5 * tangent * math.hypot(first.centre_uncertainty or 0.0, second.centre_uncertainty or 0.0)
    worst = max(first.residual or 0.0, second.residual or 0.0)
    doubts = [f"ramp {number}: {fit.reason}" for number, fit in ((1, first), (2, second)) if fit.reason]
    if worst > _LARGEST_RESIDUAL and not doubts:
        doubts.append(f"residual {worst:.2f} of the profile's height")
    if abs(one - two) > _LARGEST_DIFFERENCE * 0.5 * total:
        doubts.append(f"the ramps' lengths {one:.1f} and {two:.1f} mm contradict each other")
    if known and uncertainty > 0.1 * value:
        doubts.append("the profiles do not determine the width: their ground is not seen, or noise covers it")
    if (first.amplitude or 0.0) * (second.amplitude or 0.0) < 0:
        doubts.append("one ramp is bright and the other dark")
    thickness = Measured(
        "slice_thickness",
        value,
        "mm",
        uncertainty if known else None,
        method=_RAMPS,
        quality=max(0.0, 1.0 - worst),
        details={"lengths_mm": [one, two], "residuals": [first.residual, second.residual]},
    )
    place = Measured("slice_offset", offset, "mm", offset_spread if known else None, method=_RAMPS)
    if doubts:
        thickness, place = thickness.doubt("; ".join(doubts)), place.doubt("; ".join(doubts))
    return RampThickness(thickness, place, (first, second))


def slice_thickness_wedge(
    position_mm: ArrayLike, signal: ArrayLike, *, tangent: float, blur_mm: float = 0.0, name: str = "slice_thickness"
) -> Measured:
    """Slice thickness from the response across the edge of one wedge.

    Parameters
    ----------
    position_mm, signal : array_like, shape (n,)
        Mean profile across the wedge (`strip_profile`), ascending positions.
    tangent : float
        Tangent of the wedge's angle to the slice.
    blur_mm : float
        Standard deviation of the image's own blur along the profile, pixel included; matters on steep wedges.
    name : str
        Name of the result.

    Returns
    -------
    Measured
        In mm; ``suspect`` when the fit's residual exceeds 0.1 of the step.

    Notes
    -----
    The response is the integral of the slice profile, ``b + A·∫D``; the integrated double-erf plateau is fitted to it
    directly, which spares the noise of a derivative. A single wedge cannot correct a tilt: take two opposed ones and their
    harmonic mean.

    References
    ----------
    NEMA MS 5. Determination of slice thickness in diagnostic magnetic resonance imaging.

    Examples
    --------
    >>> s = np.linspace(-30, 30, 121)
    >>> response = np.clip((s + 12.5) / 25.0, 0, 1)
    >>> round(slice_thickness_wedge(s, response, tangent=0.2).value, 2)
    5.0
    """
    fit = fit_edge_response(position_mm, signal, blur_mm=blur_mm)
    if fit.fwhm is None:
        return not_measurable(name, "mm", fit.reason, method=_WEDGE)
    value = Measured(
        name,
        fit.fwhm * tangent,
        "mm",
        fit.fwhm_uncertainty * tangent if fit.fwhm_uncertainty is not None else None,
        method=_WEDGE,
        quality=max(0.0, 1.0 - float(fit.residual or 0.0)),
        details={"fwhm_mm": fit.fwhm, "residual": fit.residual, "centre_mm": fit.centre},
    )
    return value.doubt(fit.reason) if fit.reason else value


def _turned(
    array: NDArray[np.generic],
    spacing: tuple[float, float],
    centre_px: Position,
    along: Floats,
    across: Floats,
    angle_deg: float,
) -> Floats:
    along, across = np.broadcast_arrays(along, across)
    cosine, sine = math.cos(math.radians(angle_deg)), math.sin(math.radians(angle_deg))
    row, column = position_pair(centre_px)
    rows = row + (sine * along + cosine * across) / spacing[0]
    columns = column + (cosine * along - sine * across) / spacing[1]
    return sample_points(array, rows, columns)


def _dark_ground(
    array: NDArray[np.generic],
    spacing: tuple[float, float],
    centre_px: Position,
    along: Floats,
    lines: Sequence[Floats],
    fits: Sequence[ProfileFit],
    angle_deg: float,
    width_mm: float,
) -> DarkGround | None:
    """Noise and signal of the ground at the ends of both ramps; ``None`` where the noise does not lift it."""
    if any(fit.fwhm is None for fit in fits):
        return None
    parts, rough = [], []
    cosine, sine = math.cos(math.radians(angle_deg)), math.sin(math.radians(angle_deg))
    row, column = position_pair(centre_px)
    # What is interpolated is no longer distributed as a magnitude: pixels, each once.
    across = np.arange(-0.5, 0.51, min(0.5, 0.5 * min(spacing) / width_mm)) * (width_mm - 0.5 * max(spacing))
    # One sample a pixel along the top; neighbours are alike in an image that was interpolated: differences over 2 mm.
    every = max(1, round(max(spacing) / (along[1] - along[0])))
    lag = max(1, round(2.0 / (every * (along[1] - along[0]))))
    for line, fit in zip(lines, fits, strict=True):
        if fit.fwhm is None or fit.centre is None or fit.amplitude is None or fit.amplitude <= 0:
            return None

        def pixels(where: NDArray[np.bool_], offsets: Floats, line: Floats = line) -> tuple[Floats, Floats]:
            y = line[None, where] + offsets[:, None]
            rows = np.rint(row + (sine * along[where] + cosine * y) / spacing[0]).astype(int).ravel()
            columns = np.rint(column + (cosine * along[where] - sine * y) / spacing[1]).astype(int).ravel()
            inside = (rows >= 0) & (rows < array.shape[0]) & (columns >= 0) & (columns < array.shape[1])
            return rows[inside], columns[inside]

        far = np.abs(along - fit.centre)
        rows, columns = np.unique(
            np.stack(pixels(far > 0.5 * fit.fwhm + 3.0 * (fit.blur or 0.0) + 2.0, across)), axis=1
        )
        parts.append(as_floats(array[rows, columns]))
        top = as_floats(array[pixels(far < 0.5 * fit.fwhm - (fit.blur or 0.0), np.zeros(1))])[::every]
        rough.append(top[lag:-lag] - 0.5 * (top[: -2 * lag] + top[2 * lag :]))
    differences = np.concatenate(rough)
    if not differences.size:
        return dark_ground(np.concatenate(parts), 0.0, 0.0)
    noise_sd = math.sqrt(float(np.mean(differences**2)) / 1.5)
    return dark_ground(np.concatenate(parts), noise_sd, differences.size / _OVERLAP)


def _find_band(
    array: NDArray[np.generic],
    spacing: tuple[float, float],
    centre_px: Position,
    along: Floats,
    angle_deg: float,
    search_mm: float,
    pitch_mm: float,
) -> tuple[Floats, float, float] | None:
    """Middle line of the dark insert in its bright surroundings: offsets across, lean in degrees, scale of its height.

    ``None`` where there is no such band: then the ramps are taken where they were said to be.
    """
    reach = search_mm + 1.5 * pitch_mm
    step = max(0.25 * (spacing[0] + spacing[1]), reach / most_samples(array.shape))
    half = math.ceil(reach / step)
    across = np.asarray(step * np.arange(-half, half + 1), dtype=float)
    patch = _turned(array, spacing, centre_px, along[None, :], across[:, None], angle_deg)
    patch = ndimage.uniform_filter1d(patch, max(3, round(5.0 / (along[1] - along[0]))), axis=1, mode="nearest")
    bright = float(np.percentile(patch, 85))
    dark = float(np.percentile(patch, 3))
    whole = np.median(patch, axis=1) < 0.5 * (bright + dark)
    labels, count = ndimage.label(whole)
    if not count or bright <= 0:
        return None
    runs = [np.flatnonzero(labels == run) for run in range(1, count + 1)]
    runs = [run for run in runs if run[0] > 0 and run[-1] < across.size - 1]
    runs = [run for run in runs if 1.2 * pitch_mm < run.size * step < 3.5 * pitch_mm]
    if not runs:
        return None
    run = min(runs, key=lambda r: abs(float(across[r].mean())))
    middle = round(float(run.mean()))
    limit = 0.5 * (bright + dark)
    upper, lower = np.full(along.size, np.nan), np.full(along.size, np.nan)
    high = patch > limit
    for index in range(0, along.size, 4):
        above = np.flatnonzero(high[:middle, index])
        below = np.flatnonzero(high[middle:, index])
        if above.size and below.size:
            upper[index] = _cross(patch[:, index], int(above[-1]), 1, limit, across, step)
            lower[index] = _cross(patch[:, index], middle + int(below[0]), -1, limit, across, step)
    line = 0.5 * (upper + lower)
    known = np.isfinite(line)
    if known.sum() < 8:
        return None
    x, y = along[known], line[known]
    keep = np.abs(y - np.median(y)) < 3.0 + 0.06 * np.abs(x)
    if keep.sum() < 8:
        return None
    slope, level = np.polyfit(x[keep], y[keep], 1)
    height = float(np.nanmedian(lower - upper))
    if not 1.2 * pitch_mm < height < 3.5 * pitch_mm or abs(slope) > 0.08:
        return None
    scale = min(max(0.5 * height / pitch_mm, 0.7), 1.4)
    return level + slope * along, math.degrees(math.atan(slope)), scale


def _cross(values: Floats, index: int, towards: int, limit: float, across: Floats, step: float) -> float:
    """Sub-sample place where the bright side at `index` falls to the limit on its neighbour `towards` the band."""
    high, low = float(values[index]), float(values[index + towards])
    fraction = (high - limit) / (high - low) if high > low else 0.0
    return float(across[index] + towards * step * min(max(fraction, 0.0), 1.0))
