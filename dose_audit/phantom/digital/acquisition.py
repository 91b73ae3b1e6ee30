"""How a phantom is imaged: matrix, spacing, slices, blur, noise and what else the machine does, as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from dose_audit.phantom.digital.noise import NoisePowerSpectrum, coloured_noise, poisson_noise, rician, white_noise
from dose_audit.phantom.digital.slices import SliceProfile

__all__ = ["Acquisition", "Effects", "NoiseModel", "slice_positions"]

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class NoiseModel:
    """Noise added last.

    Parameters
    ----------
    kind : {'none', 'white', 'coloured', 'rician', 'poisson', 'quantum'}
        ``coloured`` is filtered by the radial spectrum of `NoisePowerSpectrum`; ``rician`` is a magnitude image's, ``sd``
        that of one channel; ``poisson`` takes the image as expected counts; ``quantum`` is white with a variance that
        follows the signal, ``sd`` at a signal of ``reference``.
    sd : float
        Standard deviation in the image's unit.
    f0_per_mm, power
        Shape of the coloured spectrum.
    reference : float
        Signal at which quantum noise has ``sd``.
    """

    kind: Literal["none", "white", "coloured", "rician", "poisson", "quantum"] = "none"
    sd: float = 0.0
    f0_per_mm: float = 0.35
    power: float = 1.0
    reference: float = 1.0

    @property
    def spectrum(self) -> NoisePowerSpectrum:
        """The spectrum where it is the same everywhere."""
        return NoisePowerSpectrum(self.sd, self.f0_per_mm if self.kind == "coloured" else None, self.power)

    def add(self, image: Array, spacing_mm: tuple[float, float], rng: np.random.Generator) -> Array:
        """The image with a fresh draw of this noise."""
        if self.kind == "poisson":
            return poisson_noise(np.maximum(image, 0.0), rng)
        if self.kind == "none" or self.sd <= 0:
            return image
        if self.kind == "rician":
            return rician(image, self.sd, rng)
        if self.kind == "coloured":
            return image + coloured_noise((image.shape[0], image.shape[1]), spacing_mm, self.spectrum, rng)
        noise = white_noise(image.shape, self.sd, rng)
        if self.kind == "quantum":
            return image + noise * np.sqrt(np.maximum(image, 0.0) / self.reference)
        return image + noise


@dataclass(frozen=True, slots=True)
class Effects:
    """What else the machine and the room do to the image; R is the body's radius in the image, r from its axis.

    Parameters
    ----------
    cupping_hu : float
        Added inside the body as ``cupping (r/R)²``.
    bias : (float, float, float)
        Factor ``1 + b0 x/R + b1 y/R + b2 (r/R)²`` (receive field of a coil; heel of a tube).
    ghost_fraction : float
        Share of a copy shifted by half the field of view along the rows' direction (up and down).
    table : bool
        Patient table under the phantom (CT).
    bubble_mm : float
        Depth of the air bubble at the top of the body.
    hu_gain, hu_offset : float
        CT: ``hu_gain (HU + 1000) - 1000 + hu_offset``, a scale that is not calibrated (cone beam).
    rings_hu : float
        Standard deviation of rings about the image's centre, one each half millimetre, fading outwards (cone beam).
    padding : float or None
        Value outside the inscribed circle.
    inverted : bool
        Projections: stored as the largest value minus the signal, shown as MONOCHROME1.
    """

    cupping_hu: float = 0.0
    bias: tuple[float, float, float] = (0.0, 0.0, 0.0)
    ghost_fraction: float = 0.0
    table: bool = False
    bubble_mm: float = 0.0
    hu_gain: float = 1.0
    hu_offset: float = 0.0
    rings_hu: float = 0.0
    padding: float | None = None
    inverted: bool = False


@dataclass(frozen=True, slots=True)
class Acquisition:
    """One acquisition of one device.

    Parameters
    ----------
    modality : str
        ``CT``, ``MR``, ``DX``, ``CR``, ``MG``, ``XA``, ``NM`` or ``PT``.
    shape, spacing_mm
        Matrix and pixel pitch (between rows, between columns); for projections at the detector.
    thickness_mm, profile
        Slice sensitivity profile; no matter for projections.
    z_mm : tuple of float
        Position of every slice in image mm, in the order of the instance numbers; empty for a projection.
    psf_sigma_mm : float
        Gaussian blur (in the image's mm).
    aperture : bool
        Whether pixels average over their area.
    noise, effects
        See there.
    header : mapping
        DICOM attributes by keyword that replace or complete what the modality's table gives.
    magnification : float
        Estimated Radiographic Magnification Factor of a projection: image at the detector over object.
    enhanced : bool
        One multi-frame object (Enhanced MR) instead of one object a slice.
    """

    modality: str
    shape: tuple[int, int]
    spacing_mm: tuple[float, float]
    thickness_mm: float = 5.0
    profile: Literal["rect", "gauss", "triangular"] = "rect"
    z_mm: tuple[float, ...] = ()
    psf_sigma_mm: float = 0.5
    aperture: bool = False
    noise: NoiseModel = field(default_factory=NoiseModel)
    effects: Effects = field(default_factory=Effects)
    header: Mapping[str, Any] = field(default_factory=dict)
    magnification: float = 1.0
    enhanced: bool = False

    @property
    def slice_profile(self) -> SliceProfile | None:
        """The weight along z, or None for a projection."""
        return SliceProfile(self.thickness_mm, self.profile) if self.z_mm else None

    def following(self, z_mm: float, end_for_end: bool) -> Acquisition:
        """The same slices over a phantom that lies ``z_mm`` further on, or the other way round."""
        sense = -1.0 if end_for_end else 1.0
        order = self.z_mm[::-1] if end_for_end else self.z_mm  # numbers still rise with z
        return replace(self, z_mm=tuple(sense * z + z_mm for z in order))

    def with_field(self, field_mm: float) -> Acquisition:
        """The same matrix over another field of view (its larger side)."""
        pitch = field_mm / max(self.shape)
        return replace(self, spacing_mm=(pitch, pitch))


def slice_positions(
    first_mm: float, last_mm: float, spacing_mm: float, *, missing: tuple[int, ...] = (), reverse: bool = False
) -> tuple[float, ...]:
    """Slice positions from first to last, without those of the given indices, in falling order if ``reverse``.

    Examples
    --------
    >>> slice_positions(-2, 2, 1.0, missing=(1,), reverse=True)
    (2.0, 1.0, 0.0, -2.0)
    """
    if spacing_mm <= 0 or last_mm < first_mm:
        raise ValueError(f"no slices from {first_mm} to {last_mm} every {spacing_mm} mm")
    count = int((last_mm - first_mm) / spacing_mm + 1e-9) + 1
    kept = [float(first_mm + k * spacing_mm) for k in range(count) if k not in missing]
    return tuple(reversed(kept) if reverse else kept)
