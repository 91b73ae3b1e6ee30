"""The slice as a weight along z: rectangular, Gaussian or triangular, its thickness independent of the spacing of slices."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dose_audit.phantom.digital.psf import SHARPEST_MM, gaussian_integral

__all__ = ["SliceProfile"]

Array = NDArray[np.float64]
FWHM_PER_SIGMA = 2 * math.sqrt(2 * math.log(2))


@dataclass(frozen=True, slots=True)
class SliceProfile:
    """Slice sensitivity profile of unit area.

    Parameters
    ----------
    fwhm_mm : float
        Full width at half maximum, > 0: the slice thickness that a ramp shows.
    shape : {'rect', 'gauss', 'triangular'}
        Rectangle of that width, Gaussian, or triangle with twice that base.

    Examples
    --------
    >>> round(float(SliceProfile(2.0).cdf(0.5)), 6)  # half of the way from the middle to the end
    0.75
    """

    fwhm_mm: float
    shape: Literal["rect", "gauss", "triangular"] = "rect"

    def __post_init__(self) -> None:
        if not self.fwhm_mm > 0:
            raise ValueError(f"a slice has a thickness above 0 mm, not {self.fwhm_mm}")
        if self.shape not in ("rect", "gauss", "triangular"):
            raise ValueError(f"unknown slice profile {self.shape!r}")

    @property
    def reach_mm(self) -> float:
        """Half the length along z within which the weight is not nothing."""
        return {"rect": 0.5, "gauss": 6 / FWHM_PER_SIGMA, "triangular": 1.0}[self.shape] * self.fwhm_mm

    @property
    def variance_mm2(self) -> float:
        """Second moment along z."""
        return {"rect": 1 / 12, "gauss": 1 / FWHM_PER_SIGMA**2, "triangular": 1 / 6}[self.shape] * self.fwhm_mm**2

    def pdf(self, z_mm: ArrayLike, sigma_mm: float = 0.0, stretch: float = 1.0) -> Array:
        """Weight per mm, blurred by a Gaussian, the profile first stretched along its axis."""
        return self._integral(z_mm, sigma_mm, stretch, 0)

    def cdf(self, z_mm: ArrayLike, sigma_mm: float = 0.0, stretch: float = 1.0) -> Array:
        """Weight below z, blurred by a Gaussian, the profile first stretched along its axis."""
        return self._integral(z_mm, sigma_mm, stretch, 1)

    def _integral(self, z_mm: ArrayLike, sigma_mm: float, stretch: float, order: int) -> Array:
        z = np.asarray(z_mm, dtype=np.float64)
        width, sigma = max(self.fwhm_mm * abs(stretch), SHARPEST_MM), max(sigma_mm, SHARPEST_MM)
        if width < 1e-3 * sigma:  # a profile far narrower than the blur: only its second moment is left
            return gaussian_integral(z, math.hypot(sigma, math.sqrt(self.variance_mm2) * abs(stretch)), order)
        if self.shape == "gauss":
            return gaussian_integral(z, math.hypot(sigma, width / FWHM_PER_SIGMA), order)
        if self.shape == "rect":
            up = gaussian_integral(z + width / 2, sigma, order + 1)
            return (up - gaussian_integral(z - width / 2, sigma, order + 1)) / width
        up = gaussian_integral(z + width, sigma, order + 2) + gaussian_integral(z - width, sigma, order + 2)
        return (up - 2 * gaussian_integral(z, sigma, order + 2)) / width**2
