"""Cases of whole digital phantoms in DICOM: CatPhan 504 with its slices apart, touching and overlapping, ACR MRI."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from math import asin, hypot, pi, sqrt
from pathlib import Path
from typing import Any

from scipy.optimize import brentq
from scipy.special import ndtr

from compare.case import Case, Quantity
from dose_audit.phantom.digital import NoiseModel, NoisePowerSpectrum, Pose, recipe, slice_positions, write_series
from dose_audit.phantom.digital.acquisition import Effects
from dose_audit.phantom.digital.metric.noise import detectability
from dose_audit.phantom.digital.noise import rician_mean
from dose_audit.phantom.digital.psf import coltman_ctf, gaussian_mtf
from dose_audit.phantom.digital.recipes.acr_mri import LCD_DIAMETERS_MM, LCD_SLICES

CT = ("ours", "pylinac")
MR = ("ours", "pylinac", "hazen")
Prepared = tuple[Path, list[Quantity]]

_INSERTS = {"air": "air", "pmp": "PMP", "ldpe": "LDPE", "polystyrene": "polystyrene", "acrylic": "Acrylic",
            "delrin": "Delrin", "teflon": "Teflon"}  # fmt: skip
# From the uniform module to the bar gauge: what pylinac wants to find in a scan.
_FROM_MM, _TO_MM = -90.0, 45.0

ACR_RADIUS_MM = 95.0
ACR_SIGNAL = 1000.0
# What hazen needs to find in a header before it measures anything.
_HEADER = {"Manufacturer": "SIEMENS", "WindowCenter": "500", "WindowWidth": "1000"}
# One-sided p < 0.1 for each of a spoke's three discs, so that noise alone shows all three with p < 0.001: what an ideal
# observer must reach for a disc to count as seen.
SEEN = 1.2816
ONE_A_SLICE = 4.0


def _catphan(
    folder: Path, *, thickness_mm: float, step_mm: float, pose: Pose, sd_hu: float, all_of_it: bool
) -> Prepared:
    phantom = recipe("catphan504")
    used = replace(
        phantom.acquisition,
        thickness_mm=thickness_mm,
        z_mm=slice_positions(_FROM_MM, _TO_MM, step_mm),
        noise=NoiseModel("coloured", sd_hu),
    )
    write_series(folder, phantom, acquisition=used, pose=pose, seed=1)
    # 0.1 mm or 3 %, whichever is larger.
    asked = [Quantity("slice thickness", "mm", thickness_mm, max(0.1, 0.03 * thickness_mm))]
    if all_of_it:
        values = {feature.name: feature.value for feature in phantom.features}
        asked += [Quantity(f"HU {name}", "HU", values[own], 2.0) for own, name in _INSERTS.items()]
        asked.append(Quantity("node distance, mean", "mm", 50.0, 0.1))
        asked.append(Quantity("roll", "°", pose.roll_deg, 0.1))
        asked.append(Quantity("uniformity, largest difference", "HU", 0.0, 2.0))
        asked.append(Quantity("MTF50 of the bars", "/mm", _mtf50(used.psf_sigma_mm), 0.05, True))
        asked.append(Quantity("rMTF50 of the bars", "/mm", _rmtf50(used.psf_sigma_mm), 0.05, True))
        nps = NoisePowerSpectrum(sd_hu, used.noise.f0_per_mm, used.noise.power)
        asked.append(Quantity("noise SD", "HU", sd_hu, 0.03, True))
        asked.append(Quantity("NPS f_av", "/mm", nps.mean_frequency_per_mm(0.5 / max(used.spacing_mm)), 0.05, True))
    return folder, asked


def _mtf50(sigma_mm: float) -> float:
    """Of a Gaussian blur without pixel aperture."""
    return sqrt(0.5 * 0.6931471805599453) / (pi * sigma_mm)


def _rmtf50(sigma_mm: float, first_per_mm: float = 0.1) -> float:
    """Where the square-wave response falls to half of what it is at the first group."""

    def response(f: float) -> float:
        return coltman_ctf(f, lambda g: float(gaussian_mtf(g, sigma_mm)))

    half = 0.5 * response(first_per_mm)
    return float(brentq(lambda f: response(f) - half, first_per_mm, 4 * _mtf50(sigma_mm)))


# --------------------------------------------------------------------------------------------------------------------


def _acr(
    folder: Path,
    *,
    ask: Callable[[Any], list[Quantity]],
    pose: Pose | None = None,
    sd: float = 8.0,
    bias: tuple[float, float, float] = (0.0, 0.0, 0.0),
    ghost: float = 0.0,
    bubble_mm: float = 0.0,
    thickness_mm: float = 5.0,
) -> Prepared:
    phantom = recipe("acr-mri-large")
    used = replace(
        phantom.acquisition,
        thickness_mm=thickness_mm,
        noise=NoiseModel("rician", sd),
        effects=Effects(bias=bias, ghost_fraction=ghost, bubble_mm=bubble_mm),
        header={**phantom.acquisition.header, **_HEADER},
    )
    write_series(folder, phantom, acquisition=used, pose=pose or Pose(), seed=1)
    return folder, ask(used)


def _diameters(width_mm: float) -> list[Quantity]:
    return [Quantity("diameter 0°", "mm", width_mm, 0.1), Quantity("diameter 90°", "mm", width_mm, 0.1)]


def _ask_everything(used: Any) -> list[Quantity]:
    return [
        *_diameters(2 * ACR_RADIUS_MM),
        Quantity("slice thickness", "mm", used.thickness_mm, 0.05),
        Quantity("bar difference, slice 1", "mm", 0.0, 0.2),
        Quantity("bar difference, slice 11", "mm", 0.0, 0.2),
        Quantity("PIU", "%", 100.0, 2.0),
        Quantity("PSG", "%", 0.0, 0.05),
        Quantity("SNR", "1", ACR_SIGNAL / used.noise.sd, 0.02, True),
        Quantity("LCD spokes", "1", _spokes(used), ONE_A_SLICE),
    ]


def _ask_slices(used: Any, *, offset_mm: float) -> list[Quantity]:
    return [
        Quantity("slice thickness", "mm", used.thickness_mm, 0.05),
        Quantity("bar difference, slice 1", "mm", 2 * offset_mm, 0.2),
        Quantity("bar difference, slice 11", "mm", 2 * offset_mm, 0.2),
    ]


def _ask_uniformity(used: Any) -> list[Quantity]:
    return [Quantity("PIU", "%", _piu(used.effects.bias), 0.3), *_diameters(2 * ACR_RADIUS_MM)]


def _ask_ghost(used: Any) -> list[Quantity]:
    return [Quantity("PSG", "%", _psg(used.effects.ghost_fraction * ACR_SIGNAL, used.noise.sd), 0.05)]


def _ask_spokes(used: Any) -> list[Quantity]:
    return [Quantity("LCD spokes", "1", _spokes(used), ONE_A_SLICE)]


def _piu(bias: tuple[float, float, float]) -> float:
    """Highest and lowest mean of 1 cm² within 200 cm², from the field itself.

    Over a disc of radius a the mean of ``1 + b·r/R + c (r/R)²`` is its value in the middle plus ``c a²/(2R²)``.
    """
    slope, curve = hypot(bias[0], bias[1]), bias[2]
    small, large = sqrt(100.0 / pi), sqrt(20_000.0 / pi)
    extra = curve * small**2 / (2 * ACR_RADIUS_MM**2)
    reach = (large - small) / ACR_RADIUS_MM
    ends = [1 + slope * u + curve * u * u + extra for u in (reach, -reach)]
    if curve > 0 and slope / (2 * curve) < reach:
        ends.append(1 - slope**2 / (4 * curve) + extra)
    return 100.0 * (1 - (max(ends) - min(ends)) / (max(ends) + min(ends)))


def _psg(ghost: float, sd: float) -> float:
    """The formula's value with the mean of magnitude noise in air and on the ghost.

    The ghost, shifted by half the field, lies on the signal too where |y| > 30 mm, which raises it there by its own share.
    """
    air, on_ghost = float(rician_mean(0.0, sd)), float(rician_mean(ghost, sd))
    large, half = sqrt(20_000.0 / pi), 30.0
    strip = 2 * (half * sqrt(large**2 - half**2) + large**2 * asin(half / large))
    signal = ACR_SIGNAL + ghost * (1 - strip / (pi * large**2))
    return 100.0 * (on_ghost - air) / signal


def _spokes(used: Any) -> float:
    """Spokes that an ideal observer of the pixels is expected to count, all slices.

    With d' of a disc and the threshold t of `SEEN` a disc is seen with probability Phi(d' - t); a spoke counts when its three
    discs and all larger spokes of the slice are seen.
    """
    noise, total = NoisePowerSpectrum(used.noise.sd), 0.0
    for _, _, percent in LCD_SLICES:
        complete = 1.0
        for diameter in LCD_DIAMETERS_MM:
            _, ideal = detectability(diameter, ACR_SIGNAL * percent / 100, used.psf_sigma_mm, noise, used.spacing_mm)
            complete *= float(ndtr((ideal or 0.0) - SEEN)) ** 3
            total += complete
    return total


def _scaled(diameter_mm: float) -> Case:
    pose = Pose(x_mm=3.3, y_mm=-2.1, scale=diameter_mm / (2 * ACR_RADIUS_MM))
    prepare = partial(_acr, pose=pose, ask=lambda used: _diameters(diameter_mm))
    return Case(f"acr-{diameter_mm:g}", "ACR MRI, large, digital", f"Diameter {diameter_mm:g} mm, off centre", "acr_mri",
                MR, prepare, 1)  # fmt: skip


CASES = (
    Case("catphan-upright", "CatPhan 504, digital", "Thickness and spacing 2.5 mm, roll 2°, off centre, noise 8 HU",
         "catphan504", CT, partial(_catphan, thickness_mm=2.5, step_mm=2.5, sd_hu=8.0, all_of_it=True,
                                   pose=Pose(4.0, -6.0, 1.1, roll_deg=2.0)), 1,
         "Pixels of 0.49 mm, Gaussian blur of 0.6 mm. pylinac's rMTF is the square-wave response"
         " relative to the first group, and its HU are whole numbers."),
    *(Case(f"catphan-{t:g}-{d:g}", "CatPhan 504, digital", f"Overlapping slices, {t:g} mm every {d:g} mm", "catphan504", CT,
           partial(_catphan, thickness_mm=t, step_mm=d, sd_hu=12.0, all_of_it=False, pose=Pose(roll_deg=-1.0)), e)
      for t, d, e in ((1.0, 0.75, 1), (2.0, 1.0, 1), (3.0, 1.5, 0))),
    Case("acr-upright", "ACR MRI, large, digital", "Upright, SNR 125, even field", "acr_mri", MR,
         partial(_acr, ask=_ask_everything), 0,
         "Eleven slices of 5 mm, 256 × 256 pixels of 0.98 mm, Rician noise; a known manufacturer's name and a window in the"
         " header, which hazen needs. LCD truth: what an ideal observer of the pixels is"
         " expected to count at p < 0.001 for a spoke, 0.1 for each of its three discs; the target is one spoke a slice."),
    Case("acr-slices", "ACR MRI, large, digital", "Slices of 5.7 mm, 1 mm too far in, roll 1.5°", "acr_mri", MR,
         partial(_acr, thickness_mm=5.7, pose=Pose(z_mm=-1.0, roll_deg=1.5), ask=partial(_ask_slices, offset_mm=1.0))),
    Case("acr-bubble", "ACR MRI, large, digital", "Air bubble 8 mm deep, uneven field", "acr_mri", MR,
         partial(_acr, bubble_mm=8.0, bias=(0.10, -0.08, 0.20), sd=4.0, ask=_ask_uniformity)),
    Case("acr-uniformity", "ACR MRI, large, digital", "Uneven field, no bubble", "acr_mri", MR,
         partial(_acr, bias=(0.10, -0.08, 0.20), sd=4.0, ask=_ask_uniformity)),
    Case("acr-ghost", "ACR MRI, large, digital", "Ghost of 1.5 %", "acr_mri", MR,
         partial(_acr, ghost=0.015, sd=2.0, ask=_ask_ghost), 1,
         "Truth by the ACR formula: magnitude noise in air takes its share, so that 1.5 % give a little less."),
    Case("acr-spokes", "ACR MRI, large, digital", "Low contrast at SNR 50", "acr_mri", MR,
         partial(_acr, sd=20.0, ask=_ask_spokes)),
    *(_scaled(d) for d in (188.0, 190.0, 191.3)),
)  # fmt: skip
