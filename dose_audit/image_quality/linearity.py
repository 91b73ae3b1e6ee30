"""Linearity: CT numbers of inserts against their nominal values, and a detector's signal against its exposure (STP)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from dose_audit.image_quality.mtf_curve import Floats
from dose_audit.image_quality.rois import as_floats
from dose_audit.measured import Measured, Status, not_measurable

__all__ = ["HuLinearity", "SignalTransfer", "hu_linearity", "signal_transfer"]

HU_METHOD = "straight line of measured against nominal CT number, Huber weights"
STP_METHOD = "signal transfer property (IEC 62220-1 6.3.1), least squares with Huber weights"
_TWICE = 0.97725  # of a normal variable lie below two standard deviations
Response = Literal["linear", "log", "square_root"]

_FORWARD: dict[str, Callable[[Floats], Floats]] = {
    "linear": lambda kerma: kerma,
    "log": np.log,
    "square_root": np.sqrt,
}
_BACKWARD: dict[str, Callable[[Floats], Floats]] = {
    "linear": lambda response: response,
    "log": np.exp,
    "square_root": np.square,
}


@dataclass(frozen=True)
class HuLinearity:
    """CT number linearity of a set of inserts.

    Parameters
    ----------
    slope, intercept, r_squared, largest_deviation : Measured
        Of measured = intercept + slope · nominal; the largest |measured − nominal| in HU.
    residuals_hu : tuple of float or None
        Measured minus the line; None for an insert that was not measured.
    deviations_hu : tuple of float or None
        Measured minus nominal; likewise.
    """

    slope: Measured
    intercept: Measured
    r_squared: Measured
    largest_deviation: Measured
    residuals_hu: tuple[float | None, ...]
    deviations_hu: tuple[float | None, ...]
    status: Status = "ok"
    reason: str = ""

    @property
    def measurements(self) -> tuple[Measured, ...]:
        """The numbers, without the curves."""
        return self.slope, self.intercept, self.r_squared, self.largest_deviation


@dataclass(frozen=True)
class SignalTransfer:
    """A detector's response ``signal = offset + gain · g(kerma)``.

    Parameters
    ----------
    response : {'linear', 'log', 'square_root'}
        g: the kerma itself, its natural logarithm, or its square root.
    gain, offset, r_squared, largest_deviation : Measured
        The largest deviation is of the linearised signal, in per cent of the kerma.
    """

    response: Response
    gain: Measured
    offset: Measured
    r_squared: Measured
    largest_deviation: Measured
    status: Status = "ok"
    reason: str = ""

    @property
    def measurements(self) -> tuple[Measured, ...]:
        """The numbers."""
        return self.gain, self.offset, self.r_squared, self.largest_deviation

    def linearise(self, image: ArrayLike) -> Floats | None:
        """Pixel values as air kerma, in the unit of the kerma that was fitted; None where there is no fit.

        Examples
        --------
        >>> transfer = signal_transfer([1.0, 2.0, 4.0, 8.0], [110.0, 120.0, 140.0, 180.0])
        >>> [round(float(kerma), 6) for kerma in transfer.linearise([130.0])]
        [3.0]
        """
        if self.gain.value is None or self.offset.value is None:
            return None
        return np.asarray(
            _BACKWARD[self.response]((np.asarray(image, dtype=float) - self.offset.value) / self.gain.value)
        )


def hu_linearity(
    measured_hu: Sequence[Measured | float | None], nominal_hu: Sequence[float], *, apart_hu: float = 10.0
) -> HuLinearity:
    """Linearity of CT numbers over the inserts of a phantom.

    Parameters
    ----------
    measured_hu : sequence of Measured, float or None
        Mean of each insert, best from `roi_mean` with its uncertainty; None (or ``not_measurable``) where an insert
        could not be measured.
    nominal_hu : sequence of float
        CT number, or any quantity linear in attenuation, of the same inserts.
    apart_hu : float
        How far at least an insert lies off the others' line before it is doubted; more for plastics that differ between
        specimens, beams and lists of nominal values.

    Returns
    -------
    HuLinearity
        ``not_measurable`` with fewer than three inserts; ``suspect`` where one lies off the others' line.

    Raises
    ------
    ValueError
        If the sequences differ in length, or a nominal value is no finite number.

    Notes
    -----
    Iterated least squares with Huber weights (k = 1.5 robust standard deviations of the residuals), so that one wrong
    insert does not bend the line. Means are of float pixels: a mean or median of whole numbers would be 0.5 HU off.
    Bone-like plastics deviate from their nominal value with tube voltage: compare with a baseline of the same beam.

    Uncertainties: of the scatter about the line, with Student's factor for so few points, or what the means' own make of it
    where that is more.

    References
    ----------
    IEC 61223-3-5:2019; Huber, *Robust Statistics* (1981).

    Examples
    --------
    >>> hu_linearity([-998.0, -95.0, 2.0, 122.0, 951.0], [-1000.0, -95.0, 0.0, 120.0, 955.0]).slope.status
    'ok'
    """
    nominal = np.asarray(nominal_hu, dtype=float)
    if nominal.ndim != 1 or nominal.size != len(measured_hu) or not np.isfinite(nominal).all():
        raise ValueError("as many finite nominal values as measured ones are wanted")
    values, errors = _values(measured_hu)
    known = np.isfinite(values)
    doubts = _absent(known, "insert")
    if known.sum() < 3 or np.unique(nominal[known]).size < 2:
        reason = f"{int(known.sum())} inserts measured, at least three of different CT number are needed"
        names = (("hu_slope", "1"), ("hu_intercept", "HU"), ("hu_r_squared", "1"), ("hu_deviation", "HU"))
        slope, intercept, r_squared, deviation = [
            not_measurable(name, unit, reason, method=HU_METHOD) for name, unit in names
        ]
        nothing, apart = (None,) * nominal.size, _listed(values - nominal)
        return HuLinearity(slope, intercept, r_squared, deviation, nothing, apart, "not_measurable", reason)
    line = _robust_line(nominal[known], values[known], errors[known], own=errors[known])
    residuals = values - line.intercept - line.slope * nominal
    deviations = values - nominal
    limit = max(6.0 * line.scale, apart_hu)
    for index in np.flatnonzero(known & (np.abs(residuals) > limit)):
        doubts.append(f"the insert of {nominal[index]:g} HU lies {residuals[index]:+.0f} HU off the others' line")
    status: Status = "suspect" if doubts else "ok"
    reason = "; ".join(doubts)
    worst = int(np.nanargmax(np.abs(deviations)))
    common = {"status": status, "reason": reason, "method": HU_METHOD}
    return HuLinearity(
        Measured("hu_slope", line.slope, "1", line.slope_error, **common),  # type: ignore[arg-type]
        Measured("hu_intercept", line.intercept, "HU", line.intercept_error, **common),  # type: ignore[arg-type]
        Measured("hu_r_squared", line.r_squared, "1", **common),  # type: ignore[arg-type]
        Measured(
            "hu_deviation", float(deviations[worst]), "HU", float(errors[worst]) if errors[worst] > 0 else None,
            details={"nominal_hu": float(nominal[worst])}, **common,  # type: ignore[arg-type]
        ),
        residuals_hu=_listed(residuals),
        deviations_hu=_listed(deviations),
        status=status,
        reason=reason,
    )  # fmt: skip


def signal_transfer(
    kerma_ugy: Sequence[float], signal: Sequence[Measured | float | None], *, response: Response = "linear"
) -> SignalTransfer:
    """Signal transfer property of a detector.

    Parameters
    ----------
    kerma_ugy : sequence of float
        Air kerma at the detector of each exposure, positive.
    signal : sequence of Measured, float or None
        Mean pixel value of each.
    response : {'linear', 'log', 'square_root'}
        As the manufacturer states it; detectors for processing are linear, many CR readers logarithmic.

    Returns
    -------
    SignalTransfer
        ``not_measurable`` with fewer than three exposures; ``suspect`` where R² is below 0.99, as the standard asks, an
        exposure lies more than 5 % off, or the signal does not grow with the kerma (saturation).

    Raises
    ------
    ValueError
        If the sequences differ in length or a kerma is not positive.

    Notes
    -----
    ``signal = offset + gain · g(kerma)``, Huber weights, residuals relative to the signal's change (kerma spans decades).
    `SignalTransfer.linearise` inverts it, which MTF, NNPS and DQE need.

    References
    ----------
    IEC 62220-1-1:2015, 6.3.1; IPEM Report 32 part VII.

    Examples
    --------
    >>> transfer = signal_transfer([1.0, 2.0, 4.0, 8.0, 16.0], [110.0, 120.0, 140.0, 180.0, 260.0])
    >>> round(transfer.gain.value, 6), round(transfer.offset.value, 6)
    (10.0, 100.0)
    """
    kerma = np.asarray(kerma_ugy, dtype=float)
    if response not in _FORWARD:
        raise ValueError(f"response is one of {', '.join(_FORWARD)}, not {response!r}")
    if kerma.ndim != 1 or kerma.size != len(signal) or not (np.isfinite(kerma).all() and np.all(kerma > 0)):
        raise ValueError("as many positive kermas as signals are wanted")
    values, errors = _values(signal)
    known = np.isfinite(values)
    doubts = _absent(known, "exposure")
    if known.sum() < 3 or np.unique(kerma[known]).size < 3:
        return _no_transfer(f"{int(known.sum())} exposures, at least three different ones are needed", response)
    x, y = _FORWARD[response](kerma[known]), values[known]
    # A tenth of the kerma is as worthy a point as the whole: a linear response is weighted by its relative error.
    weight = np.maximum(errors[known], 1e-3 * np.ptp(y) * (kerma[known] / kerma.max() if response == "linear" else 1.0))
    line = _robust_line(x, y, weight, own=errors[known])
    if not line.slope > 0:
        return _no_transfer("the signal does not grow with the kerma", response)
    back = _BACKWARD[response]((y - line.intercept) / line.slope)
    off = 100.0 * (back / kerma[known] - 1.0)
    worst = int(np.argmax(np.abs(off)))
    order = np.argsort(kerma[known])
    top = y[order]
    if line.r_squared < 0.99:
        doubts.append(f"R² is {line.r_squared:.3f}, below 0.99")
    if abs(off[worst]) > 5.0:
        doubts.append(f"the exposure at {kerma[known][worst]:g} µGy lies {off[worst]:+.1f} % off the response")
    if top[-1] <= top[-2]:
        doubts.append("the signal does not grow any more at the highest kerma: saturated")
    status: Status = "suspect" if doubts else "ok"
    common = {"status": status, "reason": "; ".join(doubts), "method": STP_METHOD}
    return SignalTransfer(
        response,
        Measured("stp_gain", line.slope, "1/uGy" if response == "linear" else "1", line.slope_error, **common),  # type: ignore[arg-type]
        Measured("stp_offset", line.intercept, "1", line.intercept_error, **common),  # type: ignore[arg-type]
        Measured("stp_r_squared", line.r_squared, "1", **common),  # type: ignore[arg-type]
        Measured("stp_deviation", float(off[worst]), "%", **common),  # type: ignore[arg-type]
        status,
        "; ".join(doubts),
    )


def _no_transfer(reason: str, response: Response) -> SignalTransfer:
    names = (("stp_gain", "1"), ("stp_offset", "1"), ("stp_r_squared", "1"), ("stp_deviation", "%"))
    gain, offset, r_squared, deviation = [not_measurable(name, unit, reason, method=STP_METHOD) for name, unit in names]
    return SignalTransfer(response, gain, offset, r_squared, deviation, "not_measurable", reason)


def _values(measured: Sequence[Measured | float | None]) -> tuple[Floats, Floats]:
    """Values and standard uncertainties; NaN and 0 where there is none."""
    values, errors = np.full(len(measured), np.nan), np.zeros(len(measured))
    for index, one in enumerate(measured):
        if isinstance(one, Measured):
            if one.value is not None:
                values[index], errors[index] = one.value, one.uncertainty or 0.0
        elif one is not None:
            values[index] = one
    return as_floats(values), errors


def _listed(values: Floats) -> tuple[float | None, ...]:
    return tuple(float(value) if math.isfinite(value) else None for value in values)


def _absent(known: np.ndarray, what: str) -> list[str]:
    absent = int((~known).sum())
    return [f"{absent} {what}{'s were' if absent > 1 else ' was'} not measured"] if absent else []


@dataclass(frozen=True)
class _Line:
    slope: float
    intercept: float
    slope_error: float
    intercept_error: float
    r_squared: float
    scale: float


def _robust_line(x: Floats, y: Floats, errors: Floats, *, own: Floats) -> _Line:
    """Weighted least squares, its outliers held back by Huber weights.

    The uncertainty is that of the points about the line, or what their `own` uncertainties make of it where that is more.
    Of n − 2 degrees of freedom twice the former covers as much as twice the uncertainty of many.
    """
    smallest = max(float(np.median(errors)), 1e-6 * float(np.ptp(y)), 1e-12)
    prior = 1.0 / np.maximum(errors, 0.3 * smallest) ** 2 if np.any(errors > 0) else np.ones_like(x)
    prior = prior / prior.mean()
    design = np.stack([np.ones_like(x), x], axis=1)
    weights = prior.copy()
    upper, lower = np.triu_indices(x.size, 1)
    apart = x[upper] != x[lower]
    # From Theil–Sen, so that the first residuals already show who is wrong.
    slope = float(np.median((y[upper] - y[lower])[apart] / (x[upper] - x[lower])[apart]))
    solution = np.array([np.median(y - slope * x), slope])
    scale = 0.0
    for _ in range(30):
        residual = y - design @ solution
        scale = 1.4826 * float(np.median(np.abs(residual) * np.sqrt(prior)))
        if scale <= 1e-12 * max(float(np.abs(y).max()), 1.0):
            break
        weights = prior * np.minimum(1.0, 1.5 * scale / np.maximum(np.abs(residual) * np.sqrt(prior), 1e-6 * scale))
        normal = design.T @ (weights[:, None] * design)
        new = np.linalg.solve(normal, design.T @ (weights * y))
        if np.allclose(new, solution, rtol=1e-12, atol=1e-12):
            solution = new
            break
        solution = new
    residual = y - design @ solution
    free = max(x.size - 2, 1)
    held = weights / prior  # 1, or less for what lies far off
    inside = float(np.mean(held >= 1.0 - 1e-9))
    # Huber (1981), 7.6: the weights make the residuals look smaller than they are.
    larger = (1.0 + 2.0 / x.size * (1.0 - inside) / inside) / inside if inside > 0 else 1.0
    spread = float((prior * (held * residual) ** 2).sum()) / free * larger**2
    about = np.linalg.pinv(design.T @ (prior[:, None] * design)).diagonal() * spread
    about = about * (float(special.stdtrit(free, _TWICE)) / 2.0) ** 2
    lever = np.linalg.pinv(design.T @ (weights[:, None] * design)) @ design.T * weights
    variance = np.maximum(about, lever**2 @ own**2)
    mean = float((prior * y).sum() / prior.sum())
    total = float((prior * (y - mean) ** 2).sum())
    r_squared = 1.0 - float((prior * residual**2).sum()) / total if total > 0 else 0.0
    return _Line(
        slope=float(solution[1]),
        intercept=float(solution[0]),
        slope_error=math.sqrt(float(variance[1])),
        intercept_error=math.sqrt(float(variance[0])),
        r_squared=r_squared,
        scale=scale,
    )
