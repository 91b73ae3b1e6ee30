"""One-call disc, wire and bead with their truths: task transfer function, MTF with and without the object's size."""

from __future__ import annotations

import numpy as np

from dose_audit.phantom.digital.metric.common import Array, Truth, add_noise, mtf_record, pair
from dose_audit.phantom.digital.noise import NoisePowerSpectrum
from dose_audit.phantom.digital.objects import Disc
from dose_audit.phantom.digital.pose import Pose, pixel_of
from dose_audit.phantom.digital.psf import disc_mtf, frequency_at, sphere_mtf, system_mtf
from dose_audit.phantom.digital.render import Scene, Spacing, render_image
from dose_audit.phantom.digital.slices import SliceProfile
from dose_audit.phantom.digital.solids import Ball

__all__ = ["bead_image", "disc_image", "wire_image"]


def disc_image(
    diameter_mm: float = 12.0,
    contrast: float = 100.0,
    *,
    background: float = 0.0,
    sigma_mm: float | tuple[float, float] = 0.6,
    spacing_mm: Spacing = 0.5,
    shape: tuple[int, int] = (128, 128),
    centre_mm: tuple[float, float] = (0.0, 0.0),
    noise_sd: float = 0.0,
    nps: NoisePowerSpectrum | None = None,
    aperture: bool = False,
    seed: int = 0,
) -> tuple[Array, Truth]:
    """A disc (a rod across the slice), for the task transfer function, CNR and centre finding.

    Parameters
    ----------
    diameter_mm, contrast, background : float
        Size of the disc, its value over the background, the background's value.
    sigma_mm : float or (float, float)
        Gaussian blur; two numbers make it differ along x and y, and the MTF in the truth is then that of x.
    spacing_mm, shape, centre_mm
        Pixel pitch (between rows, between columns), matrix, place of the disc from the middle of the image (x, y).
    noise_sd, nps, seed
        White noise, or coloured noise instead.
    aperture : bool
        Whether pixels average over their area (a detector) or sample points (a reconstructed image).

    Returns
    -------
    (ndarray, dict)
        Truth: ``mtf`` at ``frequency_per_mm``, ``centre_row_column``, ``integral`` (contrast times area, value mm²),
        ``cnr`` (contrast over noise SD).
    """
    spacing = pair(spacing_mm)
    scene = Scene(background)
    disc = Disc(*centre_mm, diameter_mm)
    scene.add(disc, contrast=contrast)
    image = render_image(scene, shape=shape, spacing_mm=spacing, psf_sigma_mm=sigma_mm, aperture=aperture)
    sigmas = (sigma_mm, sigma_mm) if isinstance(sigma_mm, int | float) else sigma_mm
    sd = nps.sd if nps is not None else noise_sd
    truth: Truth = {
        "kind": "disc",
        "diameter_mm": diameter_mm,
        "contrast": contrast,
        "background": background,
        "sigma_mm": list(sigmas),
        "spacing_mm": list(spacing),
        "aperture": aperture,
        "centre_mm": list(centre_mm),
        "centre_row_column": list(pixel_of(*centre_mm, shape, spacing)),
        "integral": contrast * disc.area_mm2,
        "noise_sd": sd,
        "cnr": abs(contrast) / sd if sd > 0 else None,
        "nps": nps.as_record(spacing) if nps is not None else None,
        "seed": seed,
        **mtf_record(lambda f: float(system_mtf(f, sigmas[0], spacing if aperture else None)), 0.5 / max(spacing)),
    }
    return add_noise(image, spacing, noise_sd, nps, seed), truth


def wire_image(
    sigma_mm: float = 0.35,
    spacing_mm: Spacing = 0.2,
    *,
    diameter_mm: float = 0.1,
    peak: float = 500.0,
    background: float = 0.0,
    gradient_per_mm: tuple[float, float] = (0.0, 0.0),
    shape: tuple[int, int] = (64, 64),
    centre_mm: tuple[float, float] = (0.0, 0.0),
    noise_sd: float = 0.0,
    aperture: bool = False,
    seed: int = 0,
) -> tuple[Array, Truth]:
    """A thin wire along z: a disc of ``diameter_mm`` after blur, ``peak`` above a background plane at its centre.

    Parameters
    ----------
    sigma_mm, spacing_mm, shape, centre_mm, noise_sd, aperture, seed
        As in `disc_image`.
    diameter_mm : float
        Of the wire.
    peak, background : float
        Height of the blurred spot at its centre, and what it stands on.
    gradient_per_mm : (float, float)
        Slope of the background along x and y, zero at the wire.

    Returns
    -------
    (ndarray, dict)
        Truth: ``mtf`` of the system, and ``mtf_with_wire``, which the wire's size ``2 J1(pi d f)/(pi d f)`` lowers.
    """
    return _point("wire", sigma_mm, spacing_mm, diameter_mm, peak, background, gradient_per_mm, shape, centre_mm, noise_sd,
                  aperture, seed)  # fmt: skip


def bead_image(
    sigma_mm: float = 0.35,
    spacing_mm: Spacing = 0.2,
    *,
    diameter_mm: float = 0.28,
    peak: float = 500.0,
    background: float = 0.0,
    gradient_per_mm: tuple[float, float] = (0.0, 0.0),
    shape: tuple[int, int] = (64, 64),
    centre_mm: tuple[float, float] = (0.0, 0.0),
    noise_sd: float = 0.0,
    aperture: bool = False,
    seed: int = 0,
) -> tuple[Array, Truth]:
    """A small ball in the middle of a slice thicker than itself; parameters and truth as in `wire_image`.

    Its size lowers the MTF by ``3 (sin x - x cos x)/x³`` with x = pi d f; pixels are point samples whatever is asked.
    """
    return _point("bead", sigma_mm, spacing_mm, diameter_mm, peak, background, gradient_per_mm, shape, centre_mm, noise_sd,
                  aperture, seed)  # fmt: skip


def _point(
    kind: str,
    sigma_mm: float,
    spacing_mm: Spacing,
    diameter_mm: float,
    peak: float,
    background: float,
    gradient_per_mm: tuple[float, float],
    shape: tuple[int, int],
    centre_mm: tuple[float, float],
    noise_sd: float,
    aperture: bool,
    seed: int,
) -> tuple[Array, Truth]:
    spacing = pair(spacing_mm)
    profile = None if kind == "wire" else SliceProfile(4 * diameter_mm)
    what = Disc(*centre_mm, diameter_mm) if kind == "wire" else Ball(*centre_mm, 0.0, diameter_mm)
    unit = Scene(0.0)
    unit.add(what, contrast=1.0)
    top = render_image(
        unit, shape=(1, 1), spacing_mm=spacing, psf_sigma_mm=sigma_mm, profile=profile, aperture=False,
        pose=Pose(-centre_mm[0], -centre_mm[1]),
    )[0, 0]  # fmt: skip
    scene = Scene(background)
    scene.add(what, contrast=peak / float(top))
    image = render_image(
        scene,
        shape=shape,
        spacing_mm=spacing,
        psf_sigma_mm=sigma_mm,
        profile=profile,
        aperture=aperture and kind == "wire",
    )
    rows, columns = np.indices(shape)
    row, column = pixel_of(*centre_mm, shape, spacing)
    image = (
        image + gradient_per_mm[0] * (columns - column) * spacing[1] + gradient_per_mm[1] * (rows - row) * spacing[0]
    )
    size = disc_mtf if kind == "wire" else sphere_mtf

    def mtf(f: float) -> float:
        return float(system_mtf(f, sigma_mm, spacing if aperture and kind == "wire" else None))

    record = mtf_record(mtf, 0.5 / max(spacing))
    truth: Truth = {
        "kind": kind,
        "sigma_mm": sigma_mm,
        "spacing_mm": list(spacing),
        "aperture": aperture and kind == "wire",
        "diameter_mm": diameter_mm,
        "peak": peak,
        "background": background,
        "gradient_per_mm": list(gradient_per_mm),
        "centre_mm": list(centre_mm),
        "centre_row_column": [row, column],
        "noise_sd": noise_sd,
        "seed": seed,
        **record,
        "mtf_with_wire": [mtf(f) * float(size(f, diameter_mm)) for f in record["frequency_per_mm"]],
        "mtf50_with_wire_per_mm": frequency_at(
            0.5, lambda f: mtf(f) * float(size(f, diameter_mm)), 8 * record["nyquist_per_mm"]
        ),
    }
    return add_noise(image, spacing, noise_sd, None, seed), truth
