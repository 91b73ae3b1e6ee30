"""Individuals and moving-range (XmR) chart: is a measurement in statistical control, by limits frozen after phase I?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dose_audit.statistics.order_statistics import OK

__all__ = ["ControlLimits", "ControlState", "control_limits", "control_states"]

# Mean range of two normal values over their standard deviation.
_D2 = 1.128
_RUN = 9
_MINIMUM = 8


@dataclass(frozen=True, slots=True)
class ControlLimits:
    """Limits of a phase I, to be frozen.

    Attributes
    ----------
    centre, sigma, lower, upper : float or None
        Mean of phase I, short-term standard deviation from the mean moving range, and centre ± 3 sigma; ``None`` unless
        `status` is ``ok``.
    n : int
        Values that they rest on.
    status, reason : str
    """

    centre: float | None
    sigma: float | None
    lower: float | None
    upper: float | None
    n: int
    status: str = OK
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ControlState:
    """One value against frozen limits.

    Attributes
    ----------
    state : str
        ``in_control``, ``out_of_control`` or ``not_known`` (no limits, or no value).
    rule : str
        ``beyond_limits`` (rule 1), ``run_of_nine``, or empty.
    """

    state: str
    rule: str = ""


def control_limits(values: ArrayLike, *, resolution: float | None = None, minimum_n: int = _MINIMUM) -> ControlLimits:
    """Limits from accepted values of phase I.

    Parameters
    ----------
    values : array_like, shape (n,)
        In order of time, without a known change between them.
    resolution : float, optional
        Smallest step in which the quantity can change (a pixel, an integer); the standard deviation is at least a step
        over √12, so that rounding alone cannot make limits of width zero.
    minimum_n : int
        Fewest values; with fewer there are no limits.

    Returns
    -------
    ControlLimits
        ``insufficient`` below `minimum_n`, ``no_spread`` where all values are equal and no resolution is given.

    Notes
    -----
    ``sigma = mean |x_i − x_(i−1)| / 1.128``: the moving range is little moved by a slow drift in phase I, which a plain standard
    deviation would take for noise.

    References
    ----------
    Shewhart; Wheeler and Chambers, Understanding Statistical Process Control, 1992; ISO 7870-2:2013.

    Examples
    --------
    >>> found = control_limits([10.0, 10.2, 9.9, 10.1, 10.0, 9.8, 10.1, 9.9])
    >>> round(found.centre, 3), round(found.sigma, 3)
    (10.0, 0.19)
    """
    x = np.asarray(values, dtype=float)
    if x.ndim != 1:
        raise ValueError("values are one series")
    x = x[np.isfinite(x)]
    if x.size < minimum_n:
        reason = f"{x.size} accepted values; limits need {minimum_n}"
        return ControlLimits(None, None, None, None, int(x.size), "insufficient", reason)
    sigma = float(np.abs(np.diff(x)).mean()) / _D2
    if resolution is not None:
        sigma = max(sigma, resolution / 12**0.5)
    if sigma <= 0:
        return ControlLimits(None, None, None, None, int(x.size), "no_spread", "all accepted values are equal")
    centre = float(x.mean())
    return ControlLimits(centre, sigma, centre - 3 * sigma, centre + 3 * sigma, int(x.size))


def control_states(values: ArrayLike, limits: ControlLimits) -> Sequence[ControlState]:
    """State of each value in order of time: beyond the limits, or ninth and later of a run on one side of the centre.

    Parameters
    ----------
    values : array_like, shape (n,)
        In order of time, beginning after the last recorded change. One that is not finite is ``not_known`` and
        neither continues nor ends a run.
    limits : ControlLimits

    Returns
    -------
    sequence of ControlState

    Examples
    --------
    >>> limits = control_limits([10.0, 10.2, 9.9, 10.1, 10.0, 9.8, 10.1, 9.9])
    >>> [one.rule for one in control_states([10.1, 11.0, 10.1], limits)]
    ['', 'beyond_limits', '']
    """
    x: NDArray[np.float64] = np.asarray(values, dtype=float)
    if limits.centre is None or limits.lower is None or limits.upper is None:
        return [ControlState("not_known")] * x.size
    found = []
    run, side = 0, 0.0
    for value in x:
        if not np.isfinite(value):
            found.append(ControlState("not_known"))
            continue
        now = float(np.sign(value - limits.centre))
        run = run + 1 if now == side and now != 0 else (1 if now != 0 else 0)
        side = now
        if value < limits.lower or value > limits.upper:
            found.append(ControlState("out_of_control", "beyond_limits"))
        elif run >= _RUN:
            found.append(ControlState("out_of_control", "run_of_nine"))
        else:
            found.append(ControlState("in_control"))
    return found
