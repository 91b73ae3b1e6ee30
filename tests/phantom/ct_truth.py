"""What a digital CT phantom's analysis must say: every value with status ``ok`` against the truth beside the images."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from math import cos, hypot, radians
from typing import Any

from dose_audit.measured import Measured
from dose_audit.phantom.digital import NoisePowerSpectrum
from dose_audit.phantom.results import Analysis

Truth = Mapping[str, Any]

# Where a recipe calls an insert otherwise than the definition.
_NAMES = {"air_2": "air hole"}


def values(analysis: Analysis) -> dict[str, Measured]:
    """What was measured, by name."""
    return {one.name: one.measured for one in analysis.measurements}


def roll_error_deg(analysis: Analysis, truth: Truth) -> float:
    """Difference of roll, within half a turn."""
    return float((analysis.pose.roll_deg - truth["pose"]["roll_deg"] + 180.0) % 360.0 - 180.0)


def centre_error_px(analysis: Analysis, truth: Truth) -> float:
    """Largest distance of the found axis from the true one within 15 mm of the origin."""
    errors = []
    for entry in truth["slices"]:
        if abs(entry["z_mm"] - truth["pose"]["z_mm"]) < 15.0:
            row, column = analysis.pose.centre_at(entry["z_mm"])
            errors.append(hypot(row - entry["axis_row_column"][0], column - entry["axis_row_column"][1]))
    return max(errors, default=0.0)


def position_error_mm(analysis: Analysis, truth: Truth) -> float:
    """Difference of the origin along the slices."""
    return float(analysis.pose.origin_z_mm - truth["pose"]["z_mm"])


def _mtf(truth: Truth) -> Callable[[float], float]:
    from dose_audit.phantom.digital.psf import system_mtf

    spacing = tuple(truth["spacing_mm"])
    aperture = spacing if truth["psf"]["aperture"] else None
    return lambda f: float(system_mtf(f, truth["psf"]["sigma_mm"], aperture))


def expected(name: str, truth: Truth) -> tuple[float, float, float] | None:
    """True value, absolute and relative tolerance of a measurement; `None` where the truth says nothing."""
    rendered = {entry["name"]: entry["value"] for entry in truth["features"]}
    mtf = _mtf(truth)
    noise = truth["noise"]
    head, _, rest = name.partition(".")
    lean = 1.0 / cos(radians(hypot(truth["pose"]["tilt_x_deg"], truth["pose"]["tilt_y_deg"])))
    if head == "hu":
        true = rendered.get(_NAMES.get(rest, rest))
        return None if true is None else (true, 2.0, 0.0)
    if name == "hu_slope":
        return 1.0, 0.005, 0.0
    if name == "hu_intercept":
        return 0.0, 2.0, 0.0
    if name == "body_diameter":
        return truth["body_diameter_mm"], 0.15, lean - 1.0
    if head == "node_distance":
        return 50.0, 0.1, lean - 1.0
    if head == "slice_thickness":
        return truth["slice"]["thickness_mm"], 0.0, 0.03
    if head == "slice_thickness_error":
        return 0.0, 0.03 * truth["slice"]["thickness_mm"], 0.0
    if head == "slice_thickness_error_percent":
        return 0.0, 3.0, 0.0
    if name == "uniformity":
        return truth["effects"]["cupping_hu"], 2.0, 0.3
    if name == "noise":
        return noise["sd"], 0.1, 0.03
    if name == "nps_f_av":
        spectrum = NoisePowerSpectrum(noise["sd"], noise["f0_per_mm"], noise["power"])
        return spectrum.mean_frequency_per_mm(0.5 / max(truth["spacing_mm"])), 0.005, 0.05
    if name == "nps_f_peak":
        spectrum = NoisePowerSpectrum(noise["sd"], noise["f0_per_mm"], noise["power"])
        return spectrum.peak_per_mm or 0.0, 0.03, 0.1
    if head == "ttf50" or name == "mtf50":
        return truth["psf"]["mtf50_per_mm"], 0.0, 0.05
    if name == "mtf10":
        return truth["psf"]["mtf10_per_mm"], 0.0, 0.05
    if name == "bead_distance":
        return 100.0, 0.3, lean - 1.0
    if name == "cnr" and truth["kind"] == "acr464":
        # The 25 mm disc of 6 HU in one slice.
        return 6.0 / noise["sd"], 0.05, 0.1
    if head == "low_contrast_contrast":
        return float(rest.removeprefix("rod_").replace("_", ".")) * 10.0, 0.5, 0.0
    if head == "mtf":
        return mtf(float(rest.rpartition("_")[2]) / 10.0), 0.03, 0.0
    return None


def ideal_observer_rods(truth: Truth, contrast_hu: float, diameters_mm: tuple[float, ...], images: int) -> list[float]:
    """Detectability of each rod for an ideal observer of the averaged slices, by the noise spectrum."""
    import numpy as np
    from scipy.special import j1

    noise = truth["noise"]
    spectrum = NoisePowerSpectrum(noise["sd"], noise["f0_per_mm"], noise["power"])
    mtf = _mtf(truth)
    f = np.linspace(1e-4, 0.5 / max(truth["spacing_mm"]), 2000)
    blur = np.array([mtf(float(one)) for one in f])
    nps = np.maximum(np.asarray(spectrum(f)), 1e-12) / images
    found = []
    for diameter in diameters_mm:
        radius = diameter / 2
        signal = contrast_hu * radius * j1(2 * np.pi * radius * f) / f
        found.append(float(np.sqrt(np.trapezoid(2 * np.pi * f * (signal * blur) ** 2 / nps, f))))
    return found


_RODS_MM = (15.0, 9.0, 8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0)


def rods_disagree(name: str, seen: float, images: int, truth: Truth) -> str:
    """Why a count of rods cannot be: more than the ideal observer sees, or fewer than any does; empty where it can."""
    percent = name.rpartition("rod_")[2].replace("_", ".")
    rods = [entry for entry in truth["features"] if entry["name"].startswith(f"{percent} %")]
    if not rods:
        return ""
    ideal = ideal_observer_rods(truth, 10.0 * float(percent), _RODS_MM, images)
    # Read without a gap, largest first; an observer who does not whiten the noise reaches a third of the ideal one's d'.
    at_most, at_least = sum(one > 2.0 for one in ideal) + 1, sum(one > 20.0 for one in ideal)
    return "" if at_least <= seen <= at_most else f"{name} = {seen:g}, an ideal observer sees {at_least} to {at_most}"


def disagreements(analysis: Analysis, truth: Truth) -> list[str]:
    """Silent failures: values with status ``ok`` beyond their tolerance plus three standard uncertainties."""
    wrong = []
    for one in analysis.measurements:
        measured = one.measured
        if measured.status != "ok" or measured.value is None:
            continue
        if measured.name.startswith("low_contrast_visible.rod_"):
            contrast = values(analysis)[measured.name.replace("visible", "contrast")]
            images = re.search(r"(\d+) slice", contrast.method)
            reason = rods_disagree(measured.name, measured.value, int(images[1]) if images else 1, truth)
            wrong += [reason] if reason else []
        true = expected(measured.name, truth)
        if true is None:
            continue
        value, absolute, relative = true
        allowed = absolute + relative * abs(value) + 3.0 * (measured.uncertainty or 0.0)
        if abs(measured.value - value) > allowed:
            wrong.append(f"{measured.name} = {measured.value:.4g} ± {measured.uncertainty or 0:.2g}, true {value:.4g}")
    if analysis.pose.status == "ok":
        step = analysis.series.step_mm or analysis.series.thickness_mm or 1.0
        if abs(roll_error_deg(analysis, truth)) > 0.1:
            wrong.append(f"roll off by {roll_error_deg(analysis, truth):.3f} degrees")
        if centre_error_px(analysis, truth) > 0.1:
            wrong.append(f"centre off by {centre_error_px(analysis, truth):.3f} px")
        if abs(position_error_mm(analysis, truth)) > max(0.25 * step, 0.25 * (truth["slice"]["thickness_mm"])):
            wrong.append(f"position off by {position_error_mm(analysis, truth):.3f} mm")
        if analysis.pose.mirrored != truth["pose"]["end_for_end"]:
            wrong.append("mirrored the wrong way")
    return wrong
