"""MTF from a thin wire seen end on, or from a bead: the point spread function, over the background's plane."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import ndimage, optimize, special

from dose_audit.image_quality.grey_levels import too_few_levels
from dose_audit.image_quality.mtf_curve import Floats, MtfCurve, curve_from_replicates, frequency_axis, no_curve
from dose_audit.image_quality.resampling import BlockFit, block_products, laguerre
from dose_audit.image_quality.rois import Spacing, spacing_pair
from dose_audit.image_quality.ttf import image_stack

__all__ = ["bead_mtf", "wire_mtf"]

WIRE = (
    "wire: point spread expanded in Gauss–Laguerre functions over a tilted background, divided by the wire's transform"
)
BEAD = (
    "bead: point spread expanded in Gauss–Laguerre functions over a tilted background, divided by the bead's transform"
)

_SECTORS = 16
_MOST_TERMS = 6
_SIGNIFICANT = 3.0
_LEAST_PEAK = 5.0
_CUT = 0.02  # of the peak: by that much pixels that share the extreme value lie below what the others tell
_FIXED = 7  # columns in front of the Laguerre terms
_LEAST_TRANSFORM = 0.3  # an object's own transform is divided by only above this

Transform = Callable[[Floats], Floats]


def wire_mtf(
    images: ArrayLike, spacing_mm: Spacing, *, wire_diameter_mm: float = 0.0, replicates: int = 200, seed: int = 0
) -> MtfCurve:
    """In-plane MTF from a thin wire that stands perpendicular to the slice.

    Parameters
    ----------
    images : array_like, shape (rows, columns) or (slices, rows, columns)
        Region with the wire and even background around it, about ten times the width of its image; slices are averaged.
    spacing_mm : float or (row, column)
        Pixel spacing. A small field of view is needed: the point spread's sd should be at least 0.6 pixels.
    wire_diameter_mm : float
        Its transform ``2 J1(πdf)/(πdf)`` is divided by.
    replicates, seed : int
        Of the bootstrap.

    Returns
    -------
    MtfCurve
        `details` hold ``centre_px``, ``peak``, ``noise``, ``cnr``, ``sigma_mm`` (of the Gaussian), ``anisotropy``.

    Raises
    ------
    ValueError, TypeError
        For a wrong shape, a spacing or a diameter that is no length.

    Notes
    -----
    A Gaussian of sd s and a plane are fitted for centre and width; then the point spread is expanded,
    ``PSF(r) = exp(−ρ²/2) Σ b_k L_k(ρ²)``, ``ρ = r/s``, with as many Laguerre terms as are significant. Its transform
    is exact: ``MTF(f) ∝ exp(−ω²/2) Σ (−1)^k b_k L_k(ω²)``, ``ω = 2πsf``. Bootstrap over sectors around the wire.

    Valid where the point spread is nearly round (otherwise ``suspect``) and sampled finely enough.

    References
    ----------
    Nickoloff, Med. Phys. 15 (1988) 324; Boone, Med. Phys. 28 (2001) 356; Hankel transform of Gauss–Laguerre functions:
    Erdélyi et al., *Tables of Integral Transforms* II, 8.9.

    Examples
    --------
    >>> import numpy as np
    >>> row, column = np.mgrid[:40, :40] * 0.2
    >>> image = 800.0 * np.exp(-((row - 4.03) ** 2 + (column - 3.9) ** 2) / (2 * 0.4**2))
    >>> round(wire_mtf(image, 0.2).mtf50.value, 2), round(float(np.sqrt(np.log(2) / 2) / np.pi / 0.4), 2)
    (0.47, 0.47)
    """
    return _spot_mtf(images, spacing_mm, wire_diameter_mm, _cylinder, WIRE, replicates, seed)


def bead_mtf(
    images: ArrayLike, spacing_mm: Spacing, *, bead_diameter_mm: float = 0.0, replicates: int = 200, seed: int = 0
) -> MtfCurve:
    """In-plane MTF from a small bead within the slice, as `wire_mtf`.

    The bead's transform ``3 (sin u − u cos u)/u³``, ``u = πdf``, of its projection through a slice thicker than the
    bead, is divided by.

    Examples
    --------
    >>> import numpy as np
    >>> row, column = np.mgrid[:40, :40] * 0.2
    >>> image = 800.0 * np.exp(-((row - 4.03) ** 2 + (column - 3.9) ** 2) / (2 * 0.4**2))
    >>> bead_mtf(image, 0.2).mtf10.status
    'ok'
    """
    return _spot_mtf(images, spacing_mm, bead_diameter_mm, _sphere, BEAD, replicates, seed)


def _cylinder(u: Floats) -> Floats:
    at = np.maximum(u, 1e-6)
    return np.asarray(2 * special.j1(at) / at)


def _sphere(u: Floats) -> Floats:
    at = np.maximum(u, 1e-2)
    return np.where(u < 1e-2, 1 - u * u / 10, 3 * (np.sin(at) - at * np.cos(at)) / at**3)


@dataclass(frozen=True)
class _Spot:
    centre_px: tuple[float, float]
    sigma: float
    peak: float
    noise: float
    clipped: bool
    neighbour: float  # what else stands out around it, as a share of the peak
    rho: Floats
    angle: Floats
    down: Floats
    right: Floats
    values: Floats


def _spot_mtf(
    images: ArrayLike,
    spacing_mm: Spacing,
    diameter_mm: float,
    transform: Transform,
    method: str,
    replicates: int,
    seed: int,
) -> MtfCurve:
    stack, spacing = image_stack(images), spacing_pair(spacing_mm)
    if not (math.isfinite(diameter_mm) and diameter_mm >= 0):
        raise ValueError(f"a diameter is a length in mm, not {diameter_mm!r}")
    nyquist = 0.5 / max(spacing)
    finite = np.isfinite(stack)
    reason = ""
    if min(stack.shape[1:]) < 9:
        reason = "the region is smaller than 9 pixels a side"
    elif finite.mean() < 0.95:
        reason = "more than 5 % of the pixels hold no number"
    if reason:
        return no_curve(reason, nyquist_per_mm=nyquist, method=method)
    if not finite.all():
        stack = np.where(finite, stack, np.median(stack[finite]))
    spot = _fit_spot(stack, spacing)
    if isinstance(spot, str):
        return no_curve(spot, nyquist_per_mm=nyquist, method=method)
    fit, terms = _expand(spot, replicates, seed)
    frequencies = frequency_axis(nyquist)
    own = transform(np.pi * diameter_mm * frequencies)
    # Beyond there, dividing by the object's transform would only raise noise.
    frequencies, own = frequencies[: _usable(own)], own[: _usable(own)]
    curves = _transform(frequencies, spot.sigma, terms, np.vstack([fit.solution, fit.copies])) / own
    at_nyquist = float(np.interp(nyquist, frequencies, curves[0]))
    doubts = _doubts(spot, fit, at_nyquist)
    if not finite.all():
        doubts.append("pixels that hold no number were replaced")
    if spot.clipped:
        doubts.append("several pixels share the extreme value: the spot is clipped")
    elif len(stack) == 1 and (levels := too_few_levels(stack[finite], abs(spot.peak), spot.noise)) is not None:
        doubts.append(f"the spot rises over only {levels} grey levels")
    grid = np.arange(0.0, 6.0, 0.05)
    cnr = abs(spot.peak) / spot.noise if spot.noise > 0 else None
    return curve_from_replicates(
        frequencies,
        curves[0],
        curves[1:],
        nyquist_per_mm=nyquist,
        method=method,
        doubts=doubts,
        inflation=1.1,
        positions_mm=grid * spot.sigma,
        spread=_profile(grid, terms, fit.solution),
        details={
            "centre_px": spot.centre_px,
            "sigma_mm": spot.sigma,
            "peak": spot.peak,
            "noise": spot.noise,
            "cnr": cnr,
            "terms": terms,
        },
    )


def _usable(own: Floats) -> int:
    below = np.flatnonzero(own < _LEAST_TRANSFORM)
    return int(below[0]) if below.size else own.size


def _fit_spot(stack: Floats, spacing: tuple[float, float]) -> _Spot | str:
    """Centre and width of a Gaussian over a plane, on the mean of the slices."""
    image = stack.mean(axis=0)
    rows, columns = image.shape
    frame = np.ones(image.shape, dtype=bool)
    frame[2:-2, 2:-2] = False
    level = float(np.median(image[frame]))
    spread = 1.4826 * float(np.median(np.abs(image[frame] - level)))
    smooth = ndimage.gaussian_filter(image - level, 0.7)
    inner = np.abs(smooth[2:-2, 2:-2])
    row, column = (int(v) + 2 for v in np.unravel_index(int(inner.argmax()), inner.shape))
    peak = float(image[row, column] - level)
    if peak == 0 or abs(peak) < _LEAST_PEAK * spread:
        return f"no spot: nothing stands {_LEAST_PEAK:g} times above the background's noise"
    lines = (np.arange(rows) - row)[:, None] * spacing[0] + np.zeros((1, columns))
    places = (np.arange(columns) - column)[None, :] * spacing[1] + np.zeros((rows, 1))
    above = np.abs(smooth) > 0.5 * abs(smooth[row, column])
    labels, _ = ndimage.label(above)
    area = float((labels == labels[row, column]).sum()) * math.prod(spacing)
    start = np.array([0.0, 0.0, max(math.sqrt(area / math.pi) / 1.18, 0.4 * min(spacing)), 1.0, 0.0, 0.0, 0.0])
    values = (image - level) / peak

    def parts(p: Floats, down: Floats, right: Floats) -> tuple[Floats, Floats, Floats, Floats]:
        dy, dx = down - p[0], right - p[1]
        squared = (dy * dy + dx * dx) / p[2] ** 2
        return dy, dx, squared, np.exp(-0.5 * squared)

    def surface(p: Floats, down: Floats, right: Floats) -> Floats:
        return np.asarray(p[3] * parts(p, down, right)[3] + p[4] + p[5] * down + p[6] * right)

    def fit(chosen: np.ndarray, first: Floats) -> optimize.OptimizeResult:
        down, right, wanted = lines[chosen], places[chosen], values[chosen]

        def model(p: Floats) -> Floats:
            return surface(p, down, right) - wanted

        def slopes(p: Floats) -> Floats:
            dy, dx, squared, height = parts(p, down, right)
            body = p[3] * height
            return np.stack(
                [
                    body * dy / p[2] ** 2,
                    body * dx / p[2] ** 2,
                    body * squared / p[2],
                    height,
                    np.ones_like(dy),
                    down,
                    right,
                ],
                axis=1,
            )

        return optimize.least_squares(model, first, jac=slopes, x_scale="jac", max_nfev=60)

    near = lines**2 + places**2 < (8 * start[2] + 2 * max(spacing)) ** 2
    found = fit(near, start)
    sigma = abs(float(found.x[2]))
    if not found.success or sigma > 0.2 * min(rows * spacing[0], columns * spacing[1]):
        return "no spot could be fitted, or the region is too small for it"
    if math.hypot(found.x[0], found.x[1]) > 3 * sigma + max(spacing) or found.x[3] <= 0:
        return "no round spot: the fit ran away from the brightest pixel"
    p = found.x
    dy, dx = lines - p[0], places - p[1]
    r = np.hypot(dy, dx)
    reach = 7 * sigma + max(spacing)
    if min(row + p[0] / spacing[0], rows - 1 - row - p[0] / spacing[0]) * spacing[0] < 3 * sigma or (
        min(column + p[1] / spacing[1], columns - 1 - column - p[1] / spacing[1]) * spacing[1] < 3 * sigma
    ):
        return "the spot lies at the border of the region"
    chosen = r < reach
    noise_area = (r > 5 * sigma) & (r < 12 * sigma + 3 * max(spacing))
    rest = values - p[4] - p[5] * lines - p[6] * places
    noise = float(rest[noise_area].std()) * abs(peak) if noise_area.sum() > 12 else spread
    if abs(peak * p[3]) < _LEAST_PEAK * noise:
        return f"no spot: nothing stands {_LEAST_PEAK:g} times above the background's noise"
    tied = _tied(stack, peak) & (r < 3 * sigma)
    clipped = False
    if np.count_nonzero(tied) > 1:
        others = fit(near & ~tied, found.x)
        misfit = float(np.sqrt(np.mean(others.fun[(r < 2 * sigma)[near & ~tied]] ** 2)))
        missing = float(np.mean(surface(others.x, lines[tied], places[tied]) - values[tied]))
        step = float(np.diff(np.unique(values)).min())
        # Noise of many grey levels does not put two pixels on the same one at the top.
        surely = (1.0 if noise > 20 * step * abs(peak) else 4.0) / math.sqrt(np.count_nonzero(tied))
        clipped = missing > max(_CUT + surely * misfit, 0.6 * step)
    return _Spot(
        centre_px=(float(row + p[0] / spacing[0]), float(column + p[1] / spacing[1])),
        sigma=sigma,
        peak=float(peak * p[3]),
        noise=noise,
        clipped=clipped,
        neighbour=_neighbour(rest, (r > 5 * sigma) & (r < 15 * sigma)),
        rho=r[chosen] / sigma,
        angle=np.arctan2(dy, dx)[chosen],
        down=lines[chosen],
        right=places[chosen],
        values=values[chosen],
    )


def _tied(stack: Floats, peak: float) -> np.ndarray:
    """Which pixels share the extreme value of their slice with others."""
    signed = stack if peak > 0 else -stack
    at_top = signed == signed.max(axis=(1, 2), keepdims=True)
    return np.asarray((at_top & (at_top.sum(axis=(1, 2), keepdims=True) > 1)).any(axis=0))


def _neighbour(rest: Floats, around: np.ndarray) -> float:
    """Strongest value around the spot, where it is far above the noise there; in units of the peak."""
    values = rest[around]
    if values.size < 12:
        return 0.0
    strongest = float(np.abs(values).max())
    return strongest if strongest > 8 * 1.4826 * float(np.median(np.abs(values))) else 0.0


def _design(spot: _Spot, terms: int) -> Floats:
    rho, angle = spot.rho, spot.angle
    bell = np.exp(-0.5 * rho**2)
    columns = [
        np.ones_like(rho),
        spot.down,
        spot.right,
        bell * rho * np.cos(angle),
        bell * rho * np.sin(angle),
        bell * rho**2 * np.cos(2 * angle),
        bell * rho**2 * np.sin(2 * angle),
    ]
    columns += [bell * laguerre(order, rho**2) for order in range(terms)]
    return np.stack(columns, axis=1)


def _expand(spot: _Spot, replicates: int, seed: int) -> tuple[BlockFit, int]:
    block = np.clip(((spot.angle + np.pi) / (2 * np.pi) * _SECTORS).astype(np.intp), 0, _SECTORS - 1)
    terms = _MOST_TERMS if spot.values.size > 60 else 3
    products = block_products(_design(spot, terms), spot.values, block, _SECTORS)
    for count in range(terms, 1, -1):
        tried, last = products.fit([*range(_FIXED + count)], 0, seed), _FIXED + count - 1
        if abs(tried.solution[last]) > _SIGNIFICANT * tried.error(last) + 1e-9:
            break
    return products.fit([*range(_FIXED + count)], max(replicates, 2), seed), count


def _transform(frequencies: Floats, sigma: float, terms: int, solutions: Floats) -> Floats:
    squared = (2 * np.pi * sigma * frequencies) ** 2
    signs = (-1.0) ** np.arange(terms)
    parts = np.stack([laguerre(order, squared) for order in range(terms)])
    shares = solutions[:, _FIXED : _FIXED + terms] * signs
    return np.asarray(np.abs((shares @ parts) * np.exp(-0.5 * squared) / shares.sum(axis=1, keepdims=True)))


def _profile(rho: Floats, terms: int, solution: Floats) -> Floats:
    total = sum(solution[_FIXED + order] * laguerre(order, rho**2) for order in range(terms))
    return np.asarray(total * np.exp(-0.5 * rho**2))


def _doubts(spot: _Spot, fit: BlockFit, at_nyquist: float) -> list[str]:
    doubts = []
    if at_nyquist > 0.1:
        doubts.append(
            f"the MTF is still {at_nyquist:.0%} at the Nyquist frequency: the pixels are too coarse for the spot"
        )
    # exp(−ρ²/2)(1 + cρ² cos 2φ) is a Gaussian whose widths differ by about 2c.
    strength = 2 * math.hypot(fit.solution[5], fit.solution[6]) / abs(float(fit.solution[_FIXED]))
    error = 2 * math.hypot(fit.error(5), fit.error(6)) / abs(float(fit.solution[_FIXED]))
    if strength > max(0.12, 4 * error):
        doubts.append(f"the spot is not round: its width differs by {strength:.0%} between directions")
    if spot.neighbour > 0.05:
        doubts.append(f"something else stands beside the spot, {spot.neighbour:.0%} as high")
    rest = float(np.sqrt(np.mean(fit.residual**2)))
    own = spot.noise / abs(spot.peak)
    if rest > max(0.03, 1.8 * own):
        doubts.append(f"the fit leaves {rest:.0%} of the peak unexplained")
    return doubts
