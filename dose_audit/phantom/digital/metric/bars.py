"""One-call bar patterns with their truth: sine-wave and square-wave response and the variance over whole periods."""

from __future__ import annotations

import math

import numpy as np

from dose_audit.phantom.digital.metric.common import Array, Truth, add_noise, mtf_record, pair
from dose_audit.phantom.digital.objects import BarGroup, Rectangle
from dose_audit.phantom.digital.pose import Pose, pixel_of
from dose_audit.phantom.digital.psf import coltman_ctf, system_mtf
from dose_audit.phantom.digital.render import Scene, Spacing, render_image

__all__ = ["bar_image"]


def bar_image(
    frequencies_per_mm: tuple[float, ...] = (0.5, 1.0, 1.5, 2.0, 2.5),
    sigma_mm: float = 0.15,
    spacing_mm: Spacing = 0.1,
    *,
    periods: int = 10,
    length_mm: float = 8.0,
    bar: float = 1200.0,
    gap: float = 400.0,
    angle_deg: float = 0.0,
    noise_sd: float = 0.0,
    aperture: bool = True,
    seed: int = 0,
) -> tuple[Array, Truth]:
    """Rows of bars, one frequency below the other, beside a solid square of bar material; around them gap material.

    Parameters
    ----------
    frequencies_per_mm : tuple of float
        Line pairs per mm of the groups.
    periods : int
        Bars in a group; the region given in the truth holds the inner ``periods - 4`` whole periods.
    length_mm : float
        Length of the bars.
    bar, gap : float
        Values of bar and gap material.
    angle_deg : float
        Roll of the whole pattern.

    Returns
    -------
    (ndarray, dict)
        Truth: per group ``frequency_per_mm``, ``mtf`` (sine wave), ``ctf`` (square wave, Coltman sum of the same MTF), the
        ``variance`` of the noise-free signal over whole periods, ``roi``; regions of solid bar and gap.

    Notes
    -----
    A region is centre (row, column), extent across and along the bars in mm, and angle. For a square wave of contrast C
    the n-th odd harmonic has amplitude 2 C M(nf)/(pi n), so the variance is the sum of 2 (C M(nf)/(pi n))².
    """
    spacing = pair(spacing_mm)
    group_width = max(periods / f for f in frequencies_per_mm)
    solid_mm = length_mm
    pitch = length_mm + 3.0
    width = group_width + solid_mm + 14.0 + 8 * sigma_mm
    height = pitch * len(frequencies_per_mm) + 6.0
    reach = math.hypot(width, height) if angle_deg % 90 else max(width, height)
    shape = (
        math.ceil((height if angle_deg == 0 else reach) / spacing[0]),
        math.ceil((width if angle_deg == 0 else reach) / spacing[1]),
    )
    scene, pose = Scene(gap), Pose(roll_deg=angle_deg)
    left = -width / 2 + 4.0
    solid_x, gap_x = left + solid_mm / 2, left + solid_mm + 3.0
    bars_x = gap_x + 3.0 + group_width / 2
    scene.add(Rectangle(solid_x, 0.0, solid_mm, height - 6.0), contrast=bar - gap)

    def region(x: float, y: float, across: float, along: float) -> Truth:
        at = pose.to_image(np.array([x, y, 0.0]))
        return {
            "row_column": list(pixel_of(float(at[0]), float(at[1]), shape, spacing)),
            "across_mm": across,
            "along_mm": along,
            "angle_deg": angle_deg,
        }

    def mtf(f: float) -> float:
        return float(system_mtf(f, sigma_mm, spacing if aperture else None, angle_deg))

    groups = []
    for k, f in enumerate(frequencies_per_mm):
        y = (k - (len(frequencies_per_mm) - 1) / 2) * pitch
        scene.add(BarGroup(bars_x, y, f, periods, length_mm), contrast=bar - gap)
        harmonics = range(1, 65, 2)
        groups.append(
            {
                "frequency_per_mm": f,
                "mtf": mtf(f),
                "ctf": coltman_ctf(f, mtf),
                "variance": sum(2 * ((bar - gap) * mtf(n * f) / (math.pi * n)) ** 2 for n in harmonics),
                "roi": region(bars_x, y, (periods - 4) / f, length_mm - 2.0 - 8 * sigma_mm),
            }
        )
    image = render_image(scene, shape=shape, spacing_mm=spacing, psf_sigma_mm=sigma_mm, pose=pose, aperture=aperture)
    truth: Truth = {
        "kind": "bars",
        "sigma_mm": sigma_mm,
        "spacing_mm": list(spacing),
        "aperture": aperture,
        "angle_deg": angle_deg,
        "bar": bar,
        "gap": gap,
        "groups": groups,
        "solid_roi": region(solid_x, 0.0, solid_mm - 2.0 - 8 * sigma_mm, height - 10.0),
        "gap_roi": region(gap_x + 1.0, 0.0, 2.0, height - 10.0),
        "noise_sd": noise_sd,
        "seed": seed,
        **mtf_record(mtf, 0.5 / max(spacing)),
    }
    return add_noise(image, spacing, noise_sd, None, seed), truth
