"""Flat analytic objects in mm: discs, ellipses, rectangles, half planes and bar groups, each of value one inside.

An object answers one question: its value at a point after Gaussian blur. Coordinates are the phantom's own, x to the
right and y down; what the object is worth (HU, signal, transmission) is the scene's business.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from dose_audit.phantom.digital.psf import REACH, Blur, blurred_disc, gauss_points, gaussian_integral

__all__ = ["BarGroup", "Disc", "Ellipse", "HalfPlane", "Rectangle", "Shape"]

Array = NDArray[np.float64]


class Shape(ABC):
    """A flat object; subclasses are plain frozen data."""

    @property
    @abstractmethod
    def bounds(self) -> tuple[float, float, float]:
        """Centre x, y and radius (mm) of a circle that holds the object; the radius may be infinite."""

    @abstractmethod
    def blurred(self, x: Array, y: Array, blur: Blur) -> Array:
        """Value (0 to 1) at points (x, y) in mm, after blur."""

    def distance(self, x: Array, y: Array) -> Array | None:
        """Signed distance in mm from the boundary, negative inside; None where that is not simple."""
        return None

    @property
    def area_mm2(self) -> float:
        """Area of the object."""
        return math.inf


@dataclass(frozen=True, slots=True)
class Disc(Shape):
    """A disc. A wire along z is a small one."""

    x: float
    y: float
    diameter: float

    @property
    def bounds(self) -> tuple[float, float, float]:
        return self.x, self.y, self.diameter / 2

    def blurred(self, x: Array, y: Array, blur: Blur) -> Array:
        if blur.isotropic:
            return blurred_disc(np.hypot(x - self.x, y - self.y), self.diameter / 2, blur.along(1, 0))
        return Ellipse(self.x, self.y, self.diameter, self.diameter).blurred(x, y, blur)

    def distance(self, x: Array, y: Array) -> Array:
        return np.hypot(x - self.x, y - self.y) - self.diameter / 2

    @property
    def area_mm2(self) -> float:
        return math.pi / 4 * self.diameter**2


@dataclass(frozen=True, slots=True)
class Ellipse(Shape):
    """An ellipse with full axes ``width`` and ``height``, the width turned by ``angle_deg`` from +x towards +y.

    Notes
    -----
    The plane is stretched until the blur is a unit circle, turned to the axes of the ellipse that results, and the
    Gaussian integrated over it by 40-point quadrature in x of an exact integral in y.
    """

    x: float
    y: float
    width: float
    height: float
    angle_deg: float = 0.0

    @property
    def bounds(self) -> tuple[float, float, float]:
        return self.x, self.y, max(self.width, self.height) / 2

    def _axes(self) -> Array:
        """Columns: the two half axes as vectors."""
        c, s = math.cos(math.radians(self.angle_deg)), math.sin(math.radians(self.angle_deg))
        return np.array([[c * self.width / 2, -s * self.height / 2], [s * self.width / 2, c * self.height / 2]])

    def blurred(self, x: Array, y: Array, blur: Blur) -> Array:
        x, y = np.broadcast_arrays(np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64))
        whiten = np.linalg.inv(np.linalg.cholesky(np.array([[blur.xx, blur.xy], [blur.xy, blur.yy]])))
        turn, half, _ = np.linalg.svd(whiten @ self._axes())
        matrix = turn.T @ whiten
        u = matrix[0, 0] * (x - self.x) + matrix[0, 1] * (y - self.y)
        v = matrix[1, 0] * (x - self.x) + matrix[1, 1] * (y - self.y)
        a, b = float(half[0]), float(half[1])
        # How far inside or outside, in units of blur, is known well enough to leave the far field alone.
        radius = np.hypot(u / a, v / b)
        values = (radius < 1).astype(np.float64)
        near = np.abs(radius - 1) * b < REACH
        values[near] = _ellipse_quadrature(u[near], v[near], a, b)
        return values

    def distance(self, x: Array, y: Array) -> Array:
        inverse = np.linalg.inv(self._axes())
        u = inverse[0, 0] * (x - self.x) + inverse[0, 1] * (y - self.y)
        v = inverse[1, 0] * (x - self.x) + inverse[1, 1] * (y - self.y)
        return (np.hypot(u, v) - 1) * min(self.width, self.height) / 2

    @property
    def area_mm2(self) -> float:
        return math.pi / 4 * self.width * self.height


def _ellipse_quadrature(u: Array, v: Array, a: float, b: float) -> Array:
    """Unit Gaussian at (u, v) integrated over the ellipse with half axes a, b."""
    low, high = np.clip(u - REACH, -a, a), np.clip(u + REACH, -a, a)
    start, end = np.arcsin(low / a), np.arcsin(high / a)
    total = np.zeros_like(u)
    for node, weight in zip(*gauss_points(40), strict=True):
        # u = a sin(t) takes the square root out of the ends
        t = (start + end) / 2 + (end - start) / 2 * node
        at, reach = a * np.sin(t), b * np.cos(t)
        column = gaussian_integral(reach - v, 1.0, 1) - gaussian_integral(-reach - v, 1.0, 1)
        total += weight * (end - start) / 2 * a * np.cos(t) * gaussian_integral(u - at, 1.0, 0) * column
    return total


@dataclass(frozen=True, slots=True)
class Rectangle(Shape):
    """A rectangle, its width turned by ``angle_deg`` from +x towards +y.

    With a blur that differs along its sides the corners are approximate; the sides are exact always.
    """

    x: float
    y: float
    width: float
    height: float
    angle_deg: float = 0.0

    @property
    def bounds(self) -> tuple[float, float, float]:
        return self.x, self.y, math.hypot(self.width, self.height) / 2

    def _own(self, x: Array, y: Array) -> tuple[Array, Array, float, float]:
        c, s = math.cos(math.radians(self.angle_deg)), math.sin(math.radians(self.angle_deg))
        return c * (x - self.x) + s * (y - self.y), c * (y - self.y) - s * (x - self.x), c, s

    def blurred(self, x: Array, y: Array, blur: Blur) -> Array:
        u, v, c, s = self._own(x, y)
        return _bar(u, self.width, blur.along(c, s)) * _bar(v, self.height, blur.along(-s, c))

    def distance(self, x: Array, y: Array) -> Array:
        u, v, _, _ = self._own(x, y)
        return np.maximum(np.abs(u) - self.width / 2, np.abs(v) - self.height / 2)

    @property
    def area_mm2(self) -> float:
        return self.width * self.height


def _bar(u: Array, width: float, sigma: float) -> Array:
    return gaussian_integral(u + width / 2, sigma, 1) - gaussian_integral(u - width / 2, sigma, 1)


@dataclass(frozen=True, slots=True)
class HalfPlane(Shape):
    """All points on the side of (x, y) to which ``normal_deg`` points (from +x towards +y)."""

    x: float
    y: float
    normal_deg: float

    @property
    def bounds(self) -> tuple[float, float, float]:
        return self.x, self.y, math.inf

    @property
    def normal(self) -> tuple[float, float]:
        """Unit vector into the object."""
        return math.cos(math.radians(self.normal_deg)), math.sin(math.radians(self.normal_deg))

    def blurred(self, x: Array, y: Array, blur: Blur) -> Array:
        return gaussian_integral(-self.distance(x, y), blur.along(*self.normal), 1)

    def distance(self, x: Array, y: Array) -> Array:
        nx, ny = self.normal
        return -(nx * (x - self.x) + ny * (y - self.y))


@dataclass(frozen=True, slots=True)
class BarGroup(Shape):
    """Parallel bars of equal width and gap, ``1/(2 frequency)`` each, centred on (x, y).

    ``angle_deg`` turns the direction across the bars from +x towards +y.
    """

    x: float
    y: float
    frequency_per_mm: float
    bars: int
    length: float
    angle_deg: float = 0.0

    @property
    def width(self) -> float:
        """Extent across the bars, first edge to last, mm."""
        return (2 * self.bars - 1) / (2 * self.frequency_per_mm)

    @property
    def bounds(self) -> tuple[float, float, float]:
        return self.x, self.y, math.hypot(self.width, self.length) / 2

    def blurred(self, x: Array, y: Array, blur: Blur) -> Array:
        c, s = math.cos(math.radians(self.angle_deg)), math.sin(math.radians(self.angle_deg))
        u, v = c * (x - self.x) + s * (y - self.y), c * (y - self.y) - s * (x - self.x)
        values = _across_bars(u, 1 / (2 * self.frequency_per_mm), self.bars, blur.along(c, s))
        sigma = blur.along(-s, c)
        inside = np.abs(v) < self.length / 2 - REACH * sigma
        ends = ~inside
        values[ends] *= _bar(v[ends], self.length, sigma)
        return values

    @property
    def area_mm2(self) -> float:
        return self.bars * self.length / (2 * self.frequency_per_mm)


def _across_bars(u: Array, width: float, bars: int, sigma: float) -> Array:
    """Profile across bars of equal width and gap; from a table where the blur is wide enough to have one."""
    half = (bars - 0.5) * width + REACH * sigma
    points = math.ceil(2 * half / sigma * 64)
    if points > 60_000:
        return _sum_of_bars(u, width, bars, sigma)
    at, table = _bar_table(width, bars, sigma, points, half)
    return np.interp(u, at, table, left=0.0, right=0.0)


@lru_cache(maxsize=64)
def _bar_table(width: float, bars: int, sigma: float, points: int, half: float) -> tuple[Array, Array]:
    at = np.linspace(-half, half, points)
    return at, _sum_of_bars(at, width, bars, sigma)


def _sum_of_bars(u: Array, width: float, bars: int, sigma: float) -> Array:
    across = np.zeros_like(u)
    for k in range(bars):
        across += _bar(u - (2 * k - bars + 1) * width, width, sigma)
    return across
