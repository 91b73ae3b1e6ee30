"""Objects with a course along z: extruded shapes between two ends, ramps, wedges and balls, seen through a slice profile."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dose_audit.phantom.digital.objects import Disc, Rectangle, Shape
from dose_audit.phantom.digital.psf import Blur, gauss_points
from dose_audit.phantom.digital.slices import SliceProfile

__all__ = ["Ball", "Extruded", "Ramp", "SliceView", "Solid", "Wedge"]

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class SliceView:
    """What a solid needs to know of the slice: where its points lie in phantom mm, and how it blurs.

    ``axis`` is the way a point moves in phantom mm when the image's z grows by 1 mm; ``z`` is one number where no tilt
    makes it differ over the slice.
    """

    x: Array
    y: Array
    z: Array | float
    blur: Blur
    profile: SliceProfile
    axis: tuple[float, float, float]


class Solid(ABC):
    """An object in three dimensions; its value in a slice is its blurred share of the slice's weight."""

    @property
    @abstractmethod
    def bounds(self) -> tuple[float, float, float]:
        """Centre x, y and radius (mm) of a circle that holds it in any slice."""

    @property
    @abstractmethod
    def z_range(self) -> tuple[float, float]:
        """From where to where it reaches along the phantom's axis, mm."""

    @abstractmethod
    def in_slice(self, view: SliceView) -> Array:
        """Value (0 to 1) at the points of the view."""


@dataclass(frozen=True, slots=True)
class Extruded(Solid):
    """A flat shape that runs along z from ``z0`` to ``z1``."""

    shape: Shape
    z0: float = -math.inf
    z1: float = math.inf

    @property
    def bounds(self) -> tuple[float, float, float]:
        return self.shape.bounds

    @property
    def z_range(self) -> tuple[float, float]:
        return self.z0, self.z1

    def weight(self, view: SliceView) -> Array | float:
        """Share of the slice's weight that lies between the ends."""
        scale, reach = view.axis[2], view.profile.reach_mm * abs(view.axis[2])
        lowest, highest = _extremes(view.z)
        if lowest - reach >= self.z0 and highest + reach <= self.z1:
            return 1.0
        low = 0.0 if math.isinf(self.z0) else view.profile.cdf(self.z0 - view.z, stretch=scale)
        high = 1.0 if math.isinf(self.z1) else view.profile.cdf(self.z1 - view.z, stretch=scale)
        return high - low

    def in_slice(self, view: SliceView) -> Array:
        return self.shape.blurred(view.x, view.y, view.blur) * self.weight(view)


def _extremes(z: Array | float) -> tuple[float, float]:
    """Least and greatest z of a view: a plane has them in its corners."""
    if isinstance(z, float | int) or z.ndim < 2:
        return float(np.min(z)), float(np.max(z))
    corners = z[[0, 0, -1, -1], [0, -1, 0, -1]]
    return float(corners.min()), float(corners.max())


@dataclass(frozen=True, slots=True)
class Ramp(Solid):
    """A thin inclined strip, a wire or a slot of signal: z rises by ``slope`` per mm along its run.

    Parameters
    ----------
    x, y, z : float
        Middle of the strip, mm.
    run_deg : float
        Direction of its run in the slice, from +x towards +y.
    slope : float
        dz per mm of run: tan 23 deg for a CatPhan wire, 0.1 for the ACR MRI insert.
    length, width, height : float
        Extent along the run, across it, and along z, mm. The peak in a slice of thickness T is about height/T.

    Notes
    -----
    The full width at half maximum of the strip in one slice is T/|slope| (for height <= T of a rectangular profile).
    """

    x: float
    y: float
    z: float
    run_deg: float
    slope: float
    length: float
    width: float
    height: float

    @property
    def bounds(self) -> tuple[float, float, float]:
        return self.x, self.y, math.hypot(self.length, self.width) / 2

    @property
    def z_range(self) -> tuple[float, float]:
        reach = abs(self.slope) * self.length / 2 + self.height / 2
        return self.z - reach, self.z + reach

    def in_slice(self, view: SliceView) -> Array:
        c, s = math.cos(math.radians(self.run_deg)), math.sin(math.radians(self.run_deg))
        # A strip is thin: only the points beside it are worth the work.
        near = np.abs(c * (view.y - self.y) - s * (view.x - self.x)) < self.width / 2 + 6 * view.blur.largest
        x, y = view.x[near], view.y[near]
        u = c * (x - self.x) + s * (y - self.y)
        # Height of the strip's middle above the slice, and how fast that changes along the image's z.
        above = self.z + self.slope * u - (view.z if isinstance(view.z, float | int) else view.z[near])
        stretch = abs(view.axis[2] - self.slope * (c * view.axis[0] + s * view.axis[1]))
        sigma = abs(self.slope) * view.blur.along(c, s)
        up = view.profile.cdf(above + self.height / 2, sigma, stretch)
        filled = up - view.profile.cdf(above - self.height / 2, sigma, stretch)
        values = np.zeros(view.x.shape)
        values[near] = filled * Rectangle(self.x, self.y, self.length, self.width, self.run_deg).blurred(
            x, y, view.blur
        )
        return values


@dataclass(frozen=True, slots=True)
class Wedge(Solid):
    """The part of a window under an inclined plane: ``z < z0 + slope * (distance from the middle along the run)``.

    The edge seen in a slice lies where the plane crosses it, blurred by the slice profile over the slope. Outside
    ``ends`` there is nothing; a slice that an end cuts is taken as the product of both shares.
    """

    window: Rectangle
    z0: float
    slope: float
    ends: tuple[float, float] = (-math.inf, math.inf)

    @property
    def bounds(self) -> tuple[float, float, float]:
        return self.window.bounds

    @property
    def z_range(self) -> tuple[float, float]:
        return self.ends

    def in_slice(self, view: SliceView) -> Array:
        angle = math.radians(self.window.angle_deg)
        c, s = math.cos(angle), math.sin(angle)
        u = c * (view.x - self.window.x) + s * (view.y - self.window.y)
        stretch = abs(view.axis[2] - self.slope * (c * view.axis[0] + s * view.axis[1]))
        sigma = abs(self.slope) * view.blur.along(c, s)
        below = view.profile.cdf(self.z0 + self.slope * u - view.z, sigma, stretch)
        return below * Extruded(self.window, *self.ends).in_slice(view)


@dataclass(frozen=True, slots=True)
class Ball(Solid):
    """A sphere: a stack of discs, summed over the slice by quadrature."""

    x: float
    y: float
    z: float
    diameter: float

    @property
    def bounds(self) -> tuple[float, float, float]:
        return self.x, self.y, self.diameter / 2

    @property
    def z_range(self) -> tuple[float, float]:
        return self.z - self.diameter / 2, self.z + self.diameter / 2

    def in_slice(self, view: SliceView) -> Array:
        total = np.zeros(np.broadcast(view.x, view.y).shape)
        radius, centre = self.diameter / 2, float(np.mean(view.z))
        low = max(-view.profile.reach_mm, self.z - radius - centre)
        high = min(view.profile.reach_mm, self.z + radius - centre)
        if high <= low:
            return total
        for node, weight in zip(*gauss_points(24), strict=True):
            t = (low + high) / 2 + (high - low) / 2 * node
            half = math.sqrt(max(radius**2 - (centre + t - self.z) ** 2, 0.0))
            share = weight * (high - low) / 2 * float(view.profile.pdf(t))
            if half > 0 and share > 0:
                total += share * Disc(self.x, self.y, 2 * half).blurred(view.x, view.y, view.blur)
        return total
