"""Robust circles and ellipses through edge points: a gap, a bubble or a table leaves the fit where it is."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dose_audit.image_quality.rois import as_floats

__all__ = ["CircleFit", "EllipseFit", "fit_circle", "fit_ellipse"]

Floats = NDArray[np.float64]
_TUKEY = 4.685  # 95 % efficient on Gaussian residuals
_MAD = 1.4826
_TRIALS = 200
_MEDIAN_POINTS = 120
_FLOOR_MM = 0.02  # residuals below this are the interpolation's, not an outlier's


@dataclass(frozen=True, slots=True)
class CircleFit:
    """A circle through points, and how far to trust it.

    Parameters
    ----------
    x, y, radius : float or None
        In the unit of the points; ``None`` when no circle could be fitted.
    radius_uncertainty, centre_uncertainty : float or None
        Standard uncertainties from the residuals of the points used.
    residual : float or None
        Robust standard deviation of the radial residuals of the points used.
    used : ndarray of bool
        Which points carried the fit.
    reason : str
        Why there is no circle; empty when there is one.
    """

    x: float | None
    y: float | None
    radius: float | None
    radius_uncertainty: float | None
    centre_uncertainty: float | None
    residual: float | None
    used: NDArray[np.bool_]
    reason: str = ""


@dataclass(frozen=True, slots=True)
class EllipseFit:
    """An ellipse through points: semi-axes `a` ≥ `b`, `angle_deg` of the major axis from +x towards +y.

    The other fields are those of `CircleFit`; `covariance` is that of (x, y, p0, p1, p2), where the radius seen from the
    centre in the direction φ obeys ``1/r² = p0 + p1 cos 2φ + p2 sin 2φ``.
    """

    x: float | None
    y: float | None
    a: float | None
    b: float | None
    angle_deg: float | None
    residual: float | None
    used: NDArray[np.bool_]
    shape: tuple[float, float, float] | None = None
    covariance: Floats | None = None
    reason: str = ""

    def radius_at(self, angle_deg: float) -> float | None:
        """Distance from the centre to the ellipse in one direction."""
        if self.shape is None:
            return None
        return float(
            1.0 / math.sqrt(float(_shape_terms(np.array([math.radians(angle_deg)]))[0] @ np.array(self.shape)))
        )

    def diameter_uncertainty(self, angle_deg: float) -> float | None:
        """Standard uncertainty of the diameter in one direction."""
        radius = self.radius_at(angle_deg)
        if radius is None or self.covariance is None:
            return None
        terms = _shape_terms(np.array([math.radians(angle_deg)]))[0]
        return float(2.0 * 0.5 * radius**3 * math.sqrt(max(float(terms @ self.covariance[2:, 2:] @ terms), 0.0)))


def fit_circle(x: ArrayLike, y: ArrayLike, *, redundancy: float = 1.0) -> CircleFit:
    """Circle through points by least median of squares, then Tukey-weighted geometric least squares.

    Parameters
    ----------
    x, y : array_like, shape (n,)
        Points; non-finite ones are left out.
    redundancy : float
        How many neighbouring points share one independent error (1 for independent points); enlarges the uncertainties.

    Returns
    -------
    CircleFit

    Notes
    -----
    Up to about 40 % of the points may lie elsewhere (a bubble's chord). The start is the best of 200 circles through
    three points, drawn with a fixed seed, so that the same points give the same circle.

    References
    ----------
    Rousseeuw P J. Least median of squares regression. J Am Stat Assoc 1984; 79: 871-880.

    Examples
    --------
    >>> angle = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    >>> x, y = 3 + 10 * np.cos(angle), 4 + 10 * np.sin(angle)
    >>> y[10:20] = 11.0
    >>> fit = fit_circle(x, y)
    >>> round(fit.radius, 6), int(fit.used.sum())
    (10.0, 50)
    """
    px, py, finite = _points(x, y)
    if px.size < 6:
        return _no_circle(finite, f"{px.size} edge points are too few for a circle")
    start = _median_circle(px, py)
    if start is None:
        return _no_circle(finite, "the edge points lie on a line")
    parameters, weights, spread = np.array(start), np.ones(px.size), 0.0
    jacobian = np.empty((px.size, 3))
    for _ in range(30):
        dx, dy = px - parameters[0], py - parameters[1]
        distance = np.maximum(np.hypot(dx, dy), 1e-12)
        residual = distance - parameters[2]
        weights, spread = _tukey(residual)
        jacobian = np.column_stack([-dx / distance, -dy / distance, -np.ones_like(dx)])
        step = -_solved(jacobian, weights, residual)
        parameters = parameters + step
        if np.abs(step).max() < 1e-7:
            break
    used = weights > 0.1
    if used.sum() < 6:
        return _no_circle(finite, "no circle passes through enough of the edge points")
    covariance = _covariance(jacobian, weights, residual, redundancy)
    everywhere = np.zeros(finite.size, dtype=bool)
    everywhere[finite] = used
    return CircleFit(
        float(parameters[0]),
        float(parameters[1]),
        float(parameters[2]),
        math.sqrt(covariance[2, 2]),
        math.sqrt(0.5 * (covariance[0, 0] + covariance[1, 1])),
        spread,
        everywhere,
    )


def fit_ellipse(x: ArrayLike, y: ArrayLike, *, redundancy: float = 1.0, start: CircleFit | None = None) -> EllipseFit:
    """Ellipse through points: robust, started from the robust circle.

    Parameters and behaviour as `fit_circle`; the residuals are radial, seen from the ellipse's centre, which for the near-round
    objects of phantoms equals the distance to the ellipse within a per cent. `start` is the circle through the same points,
    where that is known already.

    Returns
    -------
    EllipseFit

    Examples
    --------
    >>> angle = np.linspace(0, 2 * np.pi, 90, endpoint=False)
    >>> fit = fit_ellipse(1 + 10 * np.cos(angle), 2 + 9 * np.sin(angle))
    >>> round(fit.a, 4), round(fit.b, 4), round(fit.x, 4)
    (10.0, 9.0, 1.0)
    """
    px, py, finite = _points(x, y)
    circle = start if start is not None and start.radius is not None else fit_circle(x, y)
    if circle.radius is None or px.size < 12:
        return _no_ellipse(finite, circle.reason or f"{px.size} edge points are too few for an ellipse")
    if np.ptp(px) <= 0 or np.ptp(py) <= 0:
        return _no_ellipse(finite, "the edge points lie on a line")
    if circle.used[finite].mean() > 0.6:
        assert circle.x is not None and circle.y is not None
        begin = [circle.x, circle.y, circle.radius**-2, 0.0, 0.0]
    else:  # far from round: the box of the points is the better start
        half_x, half_y = (0.5 * (np.percentile(v, 99) - np.percentile(v, 1)) for v in (px, py))
        begin = [np.median(px), np.median(py), 0.5 * (half_x**-2 + half_y**-2), 0.5 * (half_x**-2 - half_y**-2), 0.0]
    parameters = np.array(begin, dtype=float)
    jacobian, residual, weights, spread = np.empty((px.size, 5)), np.empty(px.size), np.ones(px.size), 0.0
    for turn in range(40):
        dx, dy = px - parameters[0], py - parameters[1]
        distance = np.maximum(np.hypot(dx, dy), 1e-12)
        once, twice = (dx**2 - dy**2) / distance**2, 2 * dx * dy / distance**2  # cosine and sine of the doubled angle
        terms = np.column_stack([np.ones_like(dx), once, twice])
        inverse = np.maximum(terms @ parameters[2:], 0.05 / distance**2)
        radius = inverse**-0.5
        residual = distance - radius
        # Broad weights first, so that a truly elliptic object is not thrown out against the circle it starts from.
        weights, spread = _tukey(residual, 0.05 * float(np.median(radius)) if turn < 4 else 0.0)
        turning = 2 * parameters[4] * once - 2 * parameters[3] * twice
        along = 0.5 * radius**3 * turning / distance**2  # change of the radius as the direction turns with the centre
        jacobian = np.column_stack(
            [-dx / distance + along * dy, -dy / distance - along * dx, *(0.5 * radius**3 * terms.T)]
        )
        scale = np.array([1.0, 1.0, *(np.full(3, float(np.median(radius)) ** -3))])
        scaled = jacobian * scale
        step = -_solved(scaled, weights, residual)
        parameters = parameters + step * scale
        if np.abs(step).max() < 1e-7 and turn > 4:
            break
    strength = math.hypot(parameters[3], parameters[4])
    used = weights > 0.1
    if used.sum() < 12 or parameters[2] <= strength:
        return _no_ellipse(finite, "no ellipse passes through enough of the edge points")
    everywhere = np.zeros(finite.size, dtype=bool)
    everywhere[finite] = used
    return EllipseFit(
        float(parameters[0]),
        float(parameters[1]),
        float((parameters[2] - strength) ** -0.5),
        float((parameters[2] + strength) ** -0.5),
        math.degrees(0.5 * math.atan2(-parameters[4], -parameters[3])),
        spread,
        everywhere,
        (float(parameters[2]), float(parameters[3]), float(parameters[4])),
        _covariance(jacobian, weights, residual, redundancy),
    )


def _shape_terms(direction: Floats) -> Floats:
    return np.column_stack([np.ones_like(direction), np.cos(2 * direction), np.sin(2 * direction)])


def _points(x: ArrayLike, y: ArrayLike) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    px, py = as_floats(x), as_floats(y)
    if px.ndim != 1 or px.shape != py.shape:
        raise ValueError(f"points are two vectors of one length, not {px.shape} and {py.shape}")
    finite = np.isfinite(px) & np.isfinite(py)
    return px[finite], py[finite], finite


def _median_circle(px: Floats, py: Floats) -> tuple[float, float, float] | None:
    """The circle through three points whose median absolute residual is least."""
    # Points by the thousand tell no more about the median than about a hundred of them.
    thin = slice(None, None, max(1, px.size // _MEDIAN_POINTS))
    px, py = px[thin], py[thin]
    chosen = np.random.default_rng(20).integers(0, px.size, size=(_TRIALS, 3))
    (x1, x2, x3), (y1, y2, y3) = px[chosen].T, py[chosen].T
    twice = 2 * ((x2 - x1) * (y3 - y1) - (x3 - x1) * (y2 - y1))
    spread = max(float(np.ptp(px)), float(np.ptp(py)))
    sound = np.abs(twice) > 0.05 * spread**2
    if not sound.any():
        return None
    second, third = (x2 - x1) ** 2 + (y2 - y1) ** 2, (x3 - x1) ** 2 + (y3 - y1) ** 2
    with np.errstate(divide="ignore", invalid="ignore"):
        xc = x1 + ((y3 - y1) * second - (y2 - y1) * third) / twice
        yc = y1 + ((x2 - x1) * third - (x3 - x1) * second) / twice
    xc, yc, x1, y1 = xc[sound], yc[sound], x1[sound], y1[sound]
    radius = np.hypot(x1 - xc, y1 - yc)
    misfit = np.abs(np.hypot(px[None, :] - xc[:, None], py[None, :] - yc[:, None]) - radius[:, None])
    misfit = np.partition(misfit, px.size // 2, axis=1)[:, px.size // 2]
    best = int(np.argmin(misfit))
    return float(xc[best]), float(yc[best]), float(radius[best])


def _solved(jacobian: Floats, weights: Floats, residual: Floats) -> Floats:
    """Weighted least squares by normal equations: the columns are of one size, and nearly orthogonal on a round object."""
    weighted = jacobian * weights[:, None]
    normal = jacobian.T @ weighted
    tiny = 1e-12 * float(np.trace(normal)) + 1e-300
    return np.asarray(np.linalg.solve(normal + tiny * np.eye(normal.shape[0]), weighted.T @ residual))


def _tukey(residual: Floats, floor: float = 0.0) -> tuple[Floats, float]:
    spread = max(_MAD * float(np.median(np.abs(residual))), _FLOOR_MM, floor)
    ratio = np.minimum(np.abs(residual) / (_TUKEY * spread), 1.0)
    return (1 - ratio**2) ** 2, spread


def _covariance(jacobian: Floats, weights: Floats, residual: Floats, redundancy: float) -> Floats:
    freedom = max(float((weights > 0.1).sum()) / redundancy - jacobian.shape[1], 1.0)
    variance = float((weights * residual**2).sum()) / (freedom * redundancy) * redundancy
    scale = np.abs(jacobian).max(axis=0)
    scale[scale == 0] = 1.0
    inverse = np.linalg.pinv((jacobian / scale).T @ ((jacobian / scale) * weights[:, None]))
    return np.asarray(inverse / np.outer(scale, scale) * variance, dtype=float)


def _no_circle(finite: NDArray[np.bool_], reason: str) -> CircleFit:
    return CircleFit(None, None, None, None, None, None, np.zeros(finite.size, dtype=bool), reason)


def _no_ellipse(finite: NDArray[np.bool_], reason: str) -> EllipseFit:
    return EllipseFit(None, None, None, None, None, None, np.zeros(finite.size, dtype=bool), reason=reason)
