"""What every MTF comes back as: the curve with its uncertainty, its crossings, and whether it may be believed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dose_audit.measured import Measured, Status, not_measurable

__all__ = ["Floats", "MtfCurve", "crossings", "curve_from_replicates", "frequency_axis", "no_curve"]

Floats = NDArray[np.float64]

LEVELS = (0.5, 0.2, 0.1)
_STEPS_TO_NYQUIST = 100
_CENTRAL_95 = (0.025, 0.975)
_RAISED, _RAISED_SIGMAS = 1.02, 3.0  # a curve significantly above this was raised by processing
_BEYOND = 1.6  # the presampled MTF goes on behind the Nyquist frequency, and its crossings may lie there


@dataclass(frozen=True)
class MtfCurve:
    """A modulation transfer function (or task transfer function) and its crossings.

    Parameters
    ----------
    frequencies_per_mm, mtf, mtf_uncertainty : ndarray, shape (n,)
        From 0 to somewhat beyond the Nyquist frequency, the curve normalised to 1 at 0, and its standard uncertainty
        (k = 1) at each frequency. Empty where nothing could be measured.
    mtf50, mtf20, mtf10 : Measured
        Lowest frequency at which the curve falls to 50, 20 and 10 %, in /mm.
    nyquist_per_mm : float
        Of the pixels across the edge.
    status, reason : str
        Of the curve as a whole.
    positions_mm, spread : ndarray, shape (m,)
        What the curve was found from: the oversampled edge or point spread function.
    details : mapping
        Plain numbers about the fit: angle, contrast, noise, centre, radius; always ``highest`` and ``highest_at_per_mm``, the
        top of the curve up to the Nyquist frequency, above 1 where the image was sharpened.
    """

    frequencies_per_mm: Floats
    mtf: Floats
    mtf_uncertainty: Floats
    mtf50: Measured
    mtf20: Measured
    mtf10: Measured
    nyquist_per_mm: float
    status: Status = "ok"
    reason: str = ""
    method: str = ""
    positions_mm: Floats = field(default_factory=lambda: np.empty(0))
    spread: Floats = field(default_factory=lambda: np.empty(0))
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def measurements(self) -> tuple[Measured, Measured, Measured]:
        """The crossings, highest level first."""
        return self.mtf50, self.mtf20, self.mtf10

    def at(self, frequency_per_mm: float) -> Measured:
        """The curve at one frequency."""
        name = f"mtf at {frequency_per_mm:g} /mm"
        if not self.frequencies_per_mm.size:
            return not_measurable(name, "1", self.reason, method=self.method)
        if not 0 <= frequency_per_mm <= self.frequencies_per_mm[-1]:
            return not_measurable(name, "1", "the frequency lies outside the measured curve", method=self.method)
        value, spread = (
            float(np.interp(frequency_per_mm, self.frequencies_per_mm, values))
            for values in (self.mtf, self.mtf_uncertainty)
        )
        return Measured(name, value, "1", spread, self.status, self.reason, self.method)


def frequency_axis(nyquist_per_mm: float) -> Floats:
    """From 0 to beyond the Nyquist frequency, in hundredths of it."""
    return np.arange(round(_STEPS_TO_NYQUIST * _BEYOND) + 1, dtype=np.float64) * (nyquist_per_mm / _STEPS_TO_NYQUIST)


def crossings(frequencies: Floats, curves: ArrayLike, level: float) -> Floats:
    """Where each curve (last axis) first falls to `level`, by linear interpolation; NaN where it does not.

    Examples
    --------
    >>> crossings(np.array([0.0, 1.0, 2.0]), [[1.0, 0.6, 0.4], [1.0, 0.9, 0.8]], 0.5).tolist()
    [1.5, nan]
    """
    values = np.atleast_2d(np.asarray(curves, dtype=float))
    below = values <= level
    first = np.argmax(below, axis=1)
    found = below.any(axis=1) & (first > 0)
    at = np.where(found, first, 1)
    lines = np.arange(values.shape[0])
    high, low = values[lines, at - 1], values[lines, at]
    with np.errstate(divide="ignore", invalid="ignore"):
        crossing = frequencies[at - 1] + (high - level) / (high - low) * (frequencies[at] - frequencies[at - 1])
    return np.where(found, crossing, np.nan)


def curve_from_replicates(
    frequencies: Floats,
    mtf: Floats,
    replicates: Floats,
    *,
    nyquist_per_mm: float,
    method: str,
    doubts: list[str],
    prefix: str = "mtf",
    method_error: float = 0.002,
    inflation: float = 1.0,
    sharpening: str = "",
    positions_mm: Floats | None = None,
    spread: Floats | None = None,
    details: Mapping[str, Any] | None = None,
) -> MtfCurve:
    """The curve with uncertainties from its bootstrap replicates and an error of the method itself.

    `method_error` is a standard uncertainty of the curve, and relative to the frequency of the crossings; `inflation`
    widens the replicates' spread where few blocks were resampled; `sharpening` is the doubt, with places for the height and
    the frequency, of a curve that rises above 1.
    """
    uncertainty = np.hypot(inflation * replicates.std(axis=0, ddof=1), method_error * (np.abs(mtf - 1.0) > 1e-12))
    top = int(np.argmax(np.where(frequencies <= nyquist_per_mm * (1 + 1e-9), mtf, 0.0)))
    raised = float(mtf[top]) - _RAISED_SIGMAS * float(uncertainty[top]) > _RAISED
    if raised and sharpening:
        doubts = [*doubts, sharpening.format(mtf[top], frequencies[top])]
    quality = float(np.clip(1.0 - np.interp(nyquist_per_mm, frequencies, uncertainty) / 0.1, 0.0, 1.0))
    found = []
    for level in LEVELS:
        name = f"{prefix}{100 * level:.0f}"
        value = float(crossings(frequencies, mtf, level)[0])
        others = crossings(frequencies, replicates, level)
        reached = others[np.isfinite(others)]
        if not np.isfinite(value):
            reason = f"the curve does not fall to {level:.0%} up to {frequencies[-1]:.3g} /mm"
            found.append(not_measurable(name, "/mm", reason, method=method))
            continue
        why = list(doubts)
        spread_ = inflation * float(reached.std(ddof=1)) if reached.size > 2 else 0.0
        if reached.size < 0.9 * others.size:
            why.append("noise hides where the curve crosses this level")
        elif spread_ > 0.1 * value:
            why.append(f"noise makes it uncertain by {spread_ / value:.0%}")
        interval = [value, value]
        if reached.size > 2:
            interval = np.interp(_CENTRAL_95, np.linspace(0.0, 1.0, reached.size), np.sort(reached)).tolist()
        found.append(
            Measured(
                name,
                value,
                "/mm",
                float(np.hypot(spread_, method_error * value)),
                "suspect" if why else "ok",
                "; ".join(why),
                method,
                quality,
                {"bootstrap_95": interval},
            )
        )
    half, fifth, tenth = found
    return MtfCurve(
        frequencies,
        mtf,
        uncertainty,
        half,
        fifth,
        tenth,
        nyquist_per_mm=nyquist_per_mm,
        status="suspect" if doubts else "ok",
        reason="; ".join(doubts),
        method=method,
        positions_mm=np.empty(0) if positions_mm is None else positions_mm,
        spread=np.empty(0) if spread is None else spread,
        details={
            **(details or {}),
            "highest": float(mtf[top]),
            "highest_at_per_mm": float(frequencies[top]),
        },
    )


def no_curve(reason: str, *, nyquist_per_mm: float, method: str, prefix: str = "mtf", **details: Any) -> MtfCurve:
    """A curve that could not be measured, and why."""
    half, fifth, tenth = [
        not_measurable(f"{prefix}{100 * level:.0f}", "/mm", reason, method=method) for level in LEVELS
    ]
    empty = np.empty(0)
    return MtfCurve(
        empty, empty, empty, half, fifth, tenth, nyquist_per_mm=nyquist_per_mm, status="not_measurable", reason=reason,
        method=method, details=details,
    )  # fmt: skip
