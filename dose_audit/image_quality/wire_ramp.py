"""CT slice thickness from an inclined wire: a two-dimensional fit on one slice, or on many with their positions."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dose_audit.image_quality.rois import Position, Spacing, as_image, position_pair, spacing_pair
from dose_audit.image_quality.wire_fit import UNSURE, Wire, fit_wire, noise_doubt
from dose_audit.measured import Measured, not_measurable

__all__ = ["CATPHAN_TANGENT", "mean_thickness", "slice_thickness_wire"]

Floats = NDArray[np.float64]
CATPHAN_TANGENT = math.tan(math.radians(23.0))
_SINGLE = "inclined wire on one slice: two-dimensional fit, in-plane blur removed, half-maximum width times tangent"
_STACK = "inclined wire on several slices: fits joined by their z positions, which also give the tangent"
# Two or three values that happen to agree say little of their scatter: Student's t for 68 % of 1, 2 and 3 degrees of freedom.
_FEW = {2: 1.84, 3: 1.32, 4: 1.20}
_THICKEST_MM = 0.4  # the height of a wire that is not known, at most
_SHAPE_SHARE = 0.08  # by which a plateau laid through a triangle reads too wide
_LEAN_SHARE = 0.04  # of a tangent of 23 degrees: what a lean of 0.8 degrees makes of it


def slice_thickness_wire(
    images: ArrayLike,
    spacing_mm: Spacing,
    centre_px: Position,
    angle_deg: float,
    *,
    z_mm: Sequence[float] | None = None,
    tangent: float = CATPHAN_TANGENT,
    length_mm: float = 40.0,
    width_mm: float = 10.0,
    height_mm: float | None = None,
) -> Measured:
    """Slice thickness from a wire inclined to the slice.

    Parameters
    ----------
    images : ndarray, shape (rows, columns) or (slices, rows, columns)
        One slice, or several through the wire.
    spacing_mm : float or (row, column)
        Pixel spacing.
    centre_px : (row, column)
        Middle of the region in which the wire's image lies, within a few mm.
    angle_deg : float
        Direction of the wire's image, within about 5°: for a wire at the angle θ of a CatPhan, θ + 90.
    z_mm : sequence of float, optional
        Position of each slice along the axis (*Image Position (Patient)*); needed with several slices.
    tangent : float
        Nominal tangent of the wire's angle to the slice, 0.4245 (23°) for CatPhan. With three or more slices that see the wire
        move by 2 mm or more, the measured tangent is used.
    length_mm, width_mm : float
        The region along and across the wire.
    height_mm : float, optional
        Height of the wire across the slice, which blurs the profile and is taken off: for a round wire 0.94 of its diameter.
        Where it is not known, what 0.4 mm would take off is in the uncertainty: 0.08 mm of a peak, nothing of a rectangle.

    Returns
    -------
    Measured
        ``slice_thickness`` in mm: full width at half maximum of the slice sensitivity profile.

    Notes
    -----
    On the pixels of the region is fitted ``plane + A · exp(-(t - t0 - k s)²/2σ²) · D(s - s0; w, √(σ² + σz²))`` with the
    plateau D of `plateau_shape`: the wire's sharpness across its length, σ, is the in-plane blur along it, too. The width
    reported is that of D without it. Slice spacing plays no part, so that overlapping and gapped reconstructions read the
    same. Without noise, and with the wire's height known, rectangular, triangular and Gaussian profiles of 0.6-5 mm read within
    0.02 mm. At a wire of 1000 HU and noise of 10 HU one slice leaves the shape of a profile of 1 mm open, and with it its
    width: a rectangle reads 0.07 mm too thin on average, a triangle 0.11 mm too thick, a Gaussian 0.03 mm, all within the
    uncertainty of about 0.11 mm of a single wire.

    References
    ----------
    Goodenough D J. Catphan 504 manual: scan slice geometry, wire ramps at 23°.

    Examples
    --------
    >>> from dose_audit.image_quality.profile_shapes import plateau_shape
    >>> row, column = np.mgrid[:80, :120] * 0.5
    >>> profile = plateau_shape(column - 30, 5.0 / CATPHAN_TANGENT, 0.6) * np.exp(-0.5 * ((row - 20) / 0.6) ** 2)
    >>> round(slice_thickness_wire(500 * profile, 0.5, (40, 60), 0.0).value, 2)
    5.0
    """
    stack = np.asarray(images)
    if stack.ndim == 2:
        stack = stack[None]
    if stack.ndim != 3:
        raise ValueError(f"one slice or a stack of slices, not {stack.ndim} dimensions")
    if z_mm is None and stack.shape[0] > 1:
        raise ValueError("several slices need their positions")
    if z_mm is not None and len(z_mm) != stack.shape[0]:
        raise ValueError(f"{stack.shape[0]} slices and {len(z_mm)} positions")
    if tangent <= 0 or length_mm <= 0 or width_mm <= 0 or (height_mm or 0.0) < 0:
        raise ValueError("tangent, length and width are positive, a height is not negative")
    spacing = spacing_pair(spacing_mm)
    centre = position_pair(centre_px)
    box, unknown = (0.0, _THICKEST_MM / tangent) if height_mm is None else (height_mm / tangent, 0.0)
    fits = [fit_wire(as_image(image), spacing, centre, angle_deg, length_mm, width_mm, box, unknown) for image in stack]
    if stack.shape[0] == 1:
        return _single(fits[0], tangent)
    assert z_mm is not None
    return _joined(fits, np.asarray(z_mm, dtype=float), tangent)


def mean_thickness(values: Sequence[Measured], *, name: str = "slice_thickness") -> Measured:
    """Mean of several wires' (or ramps') thicknesses, which removes a tilt of the phantom to first order.

    Parameters
    ----------
    values : sequence of Measured
        One per wire; those not measurable are left out, and where a good one exists also those in doubt for more than noise.

    Returns
    -------
    Measured
        ``suspect`` when the wires differ by more than 30 % of their mean, or noise leaves the mean itself in doubt; its
        uncertainty is at least their scatter's.

    Examples
    --------
    >>> wires = [Measured("slice_thickness", v, "mm", 0.02) for v in (2.45, 2.55)]
    >>> mean_thickness(wires).value
    2.5
    """
    there = [value for value in values if value.value is not None]
    if not there:
        reasons = "; ".join(dict.fromkeys(value.reason for value in values)) or "no wires"
        return not_measurable(name, "mm", reasons, method="mean of several wires")
    # Which of several noisy values looks sure depends on the value itself: all of them count, or the mean is drawn to the thin.
    good = [value for value in there if value.status == "ok" or value.details.get("noisy")] or there
    numbers = np.array([float(value.value or 0.0) for value in good])
    known = [value.uncertainty for value in good if value.uncertainty is not None]
    scatter = float(numbers.std(ddof=1)) if numbers.size > 1 else 0.0
    spread: float | None = scatter / math.sqrt(numbers.size) * _FEW.get(numbers.size, 1.0) or None
    if len(known) == len(good):
        own = math.sqrt(sum(u * u for u in known)) / len(good)
        spread = _together(own, scatter, np.array(known)) if numbers.size > 1 else own
    mean = float(numbers.mean())
    result = Measured(
        name,
        mean,
        "mm",
        spread,
        method=f"mean of {len(good)} of {len(values)}: {good[0].method}",
        quality=min((value.quality for value in good if value.quality is not None), default=None),
        details={"values_mm": [value.value for value in values]},
    )
    told = [value.reason for value in good if value.status != "ok" and not value.details.get("noisy")]
    noisy = [value.details for value in good if value.details.get("noisy")]
    if noisy:
        told.append(noise_doubt(mean, result.uncertainty or 0.0, min(float(one["tangent"]) for one in noisy)))
    if any(told):
        return result.doubt("; ".join(dict.fromkeys(one for one in told if one)))
    if float(np.ptp(numbers)) > 0.3 * mean:
        return result.doubt(f"the single values differ by {float(np.ptp(numbers)):.2f} mm")
    return result


def _together(spread: float, scatter: float, spreads: Floats) -> float:
    """Uncertainty of a mean: not below what the scatter says, and with what its members have in common.

    What their uncertainties have beyond their scatter is the same in all of them: the shape that noise leaves open, the wire's
    height.
    """
    seen = scatter * _FEW.get(spreads.size, 1.0)
    common = float(np.median(spreads)) ** 2 - seen**2
    return math.hypot(max(spread, seen / math.sqrt(spreads.size)), math.sqrt(max(common, 0.0)))


def _single(fit: Wire | str, tangent: float) -> Measured:
    if isinstance(fit, str):
        return not_measurable("slice_thickness", "mm", fit, method=_SINGLE)
    result = Measured(
        "slice_thickness",
        fit.fwhm * tangent,
        "mm",
        fit.spread * tangent,
        method=_SINGLE,
        quality=max(0.0, 1.0 - fit.residual),
        details={
            "length_mm": fit.fwhm,
            "centre_mm": fit.centre,
            "residual": fit.residual,
            "in_plane_blur_mm": fit.blur,
            "wire_contrast": fit.amplitude,
            "across_mm": fit.across,
            "tangent": tangent,
            "noisy": fit.noisy,
        },
    )
    return result.doubt(fit.reason) if fit.reason else result


def _joined(fits: Sequence[Wire | str], z: Floats, tangent: float) -> Measured:
    # A slice's fit that noise alone puts in doubt counts: to keep the ones that look sure would be to keep the thin ones.
    seen = [
        (fit, float(at))
        for fit, at in zip(fits, z, strict=True)
        if not isinstance(fit, str) and (fit.noisy or not fit.reason)
    ]
    if not seen:
        whole = [fit for fit in fits if not isinstance(fit, str)]
        if whole:
            return _single(min(whole, key=lambda fit: fit.residual), tangent)
        reasons = "; ".join(dict.fromkeys(fit for fit in fits if isinstance(fit, str)))
        return not_measurable("slice_thickness", "mm", reasons, method=_STACK)
    lengths = np.array([fit.fwhm for fit, _ in seen])
    spreads = np.array([max(fit.spread, 1e-3 * fit.fwhm) for fit, _ in seen])
    # A weight per slice that no single, seemingly perfect fit can dominate, and that does not grow as the width falls.
    shares = spreads / lengths
    weights = 1.0 / (shares**2 + float(np.median(shares)) ** 2)
    near = np.abs(lengths - np.median(lengths)) <= 4 * np.hypot(
        spreads, 1.4826 * np.median(np.abs(lengths - np.median(lengths)))
    )
    weights = weights * near
    length = float((weights * lengths).sum() / weights.sum())
    spread = math.sqrt(float((weights**2 * spreads**2).sum())) / float(weights.sum())
    if near.sum() >= 2:
        # A fit that noise has led astray does not know it; its neighbours do.
        scatter = float(np.std(lengths[near], ddof=1))
        spread = _together(spread, scatter, spreads[near])
    if float(np.median(shares[near])) > UNSURE:
        # A plateau was laid through profiles of a shape that noise hides: however many slices, what that does stays.
        spread = max(spread, _SHAPE_SHARE * length)
    # Until it is measured the tangent may be off by a lean of the phantom.
    used, measured_tangent, tangent_spread = tangent, None, tangent * _LEAN_SHARE
    at = np.array([place for _, place in seen])[near]
    centres = np.array([fit.centre for fit, _ in seen])[near]
    # On fewer slices, or over a shorter way, the nominal angle is better known than the measured one.
    if at.size >= 3 and np.ptp(at) >= 2.0:
        deviation_z, deviation_s = at - at.mean(), centres - centres.mean()
        slope = float((deviation_z * deviation_s).sum() / (deviation_z**2).sum())
        scatter = float(np.std(deviation_s - slope * deviation_z)) * math.sqrt(at.size / max(at.size - 2, 1))
        slope_spread = scatter / math.sqrt(float((deviation_z**2).sum()))
        if abs(slope) > 1e-3 and slope_spread < 0.03 * abs(slope):
            measured_tangent = 1.0 / abs(slope)
            tangent_spread = measured_tangent * slope_spread / abs(slope)
            used = measured_tangent
    value = length * used
    residual = float(np.median([fit.residual for fit, _ in seen]))
    uncertainty = math.hypot(spread * used, length * tangent_spread)
    noisy = noise_doubt(value, spread * used, used) if any(fit.noisy for fit, _ in seen) else ""
    result = Measured(
        "slice_thickness",
        value,
        "mm",
        uncertainty,
        method=_STACK,
        quality=max(0.0, 1.0 - residual),
        details={
            "slices_used": int(near.sum()),
            "tangent": used,
            "tangent_measured": measured_tangent,
            "lengths_mm": [float(v) for v in lengths],
            "z_mm": [place for _, place in seen],
            "residual": residual,
            "noisy": bool(noisy),
        },
    )
    if noisy:
        result = result.doubt(noisy)
    if measured_tangent is not None and abs(measured_tangent / tangent - 1) > 0.15:
        return result.doubt(f"the wire's measured tangent {measured_tangent:.3f} is far from the nominal {tangent:.3f}")
    return result
