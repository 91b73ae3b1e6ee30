"""Threshold of detection from forced choices: how often the right one of some places was named, and where that falls off."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage
from scipy.special import expit, ndtr

from dose_audit.measured import Measured, not_measurable

__all__ = ["proportion_correct", "threshold_thickness"]

Floats = NDArray[np.float64]

METHOD = (
    "maximum likelihood of a logistic psychometric curve in the logarithm of thickness, one slope for all diameters"
)
_SLOPES = np.geomspace(0.8, 16.0, 15)
_STEP = 0.02  # of the logarithm of the threshold
_BEYOND = 1.5
_NEIGHBOURS = np.array([[0.25, 0.5, 0.25], [0.5, 1.0, 0.5], [0.25, 0.5, 0.25]])
_WIDE = 0.25  # relative standard uncertainty from which a threshold is doubted


def proportion_correct(d_prime: ArrayLike, alternatives: int = 4) -> Floats:
    """Share of right answers of an observer with that detectability among some places of which one holds the signal.

    Parameters
    ----------
    d_prime : array_like
        Detectability index, 0 and above.
    alternatives : int
        Places, two and more.

    Returns
    -------
    ndarray
        Between ``1/alternatives`` and 1.

    Notes
    -----
    ``∫ φ(x − d') Φ(x)^(M−1) dx``.

    References
    ----------
    Green & Swets, Signal detection theory and psychophysics, 1966.

    Examples
    --------
    >>> proportion_correct([0.0, 1.0, 10.0]).round(3).tolist()
    [0.25, 0.552, 1.0]
    """
    if alternatives < 2:
        raise ValueError(f"a choice is between two places at least, not {alternatives}")
    x = np.linspace(-9.0, 9.0, 1801)
    away = np.asarray(d_prime, dtype=np.float64)[..., None]
    # Around the signal's own place, so that a large d' leaves the grid's reach alone.
    weight = np.exp(-0.5 * x**2) / math.sqrt(2 * math.pi)
    return np.asarray(np.trapezoid(weight * ndtr(x + away) ** (alternatives - 1), x, axis=-1))


def threshold_thickness(
    correct: ArrayLike,
    shown: ArrayLike,
    thickness_um: ArrayLike,
    *,
    at: float = 0.625,
    alternatives: int = 4,
    neighbours: bool = True,
    resamples: int = 100,
    seed: int = 0,
) -> list[Measured]:
    """Thickness at which a share of the choices is right, for each diameter of a contrast-detail object.

    Parameters
    ----------
    correct, shown : array_like, shape (diameters, thicknesses)
        Right choices, and choices made; 0 shown where the object has no such disc. Rows and columns in order of size.
    thickness_um : array_like, shape (thicknesses,)
        In micrometres, ascending.
    at : float
        Share of right choices that makes the threshold.
    alternatives : int
        Places to choose from; ``1/alternatives`` is right by chance.
    neighbours : bool
        Correct each share by those of its eight neighbours (weights 1, ½ and ¼), as the European guidelines do.
    resamples : int
        Of the fitted curve, for the uncertainty.
    seed : int
        Of the resampling.

    Returns
    -------
    list of Measured
        Per diameter in micrometres, with ``interval`` (95 %) and ``slope`` in the details; ``not_measurable`` where the
        threshold lies outside of the discs that are there, ``suspect`` where its uncertainty is above a quarter.

    Raises
    ------
    ValueError
        If shapes disagree, more was right than shown, or thicknesses do not ascend.

    Notes
    -----
    ``p(t) = 1/M + (1 − 1/M) / (1 + exp(−f (ln t − ln t₀)))``; one ``f`` for all diameters. With four places and
    ``at = 0.625`` the threshold is ``t₀`` itself.

    References
    ----------
    European guidelines for quality assurance in breast cancer screening and diagnosis, 4th ed. (2006) and supplement
    (2013); Young et al., Proc. SPIE 6142 (2006) 614206.

    Examples
    --------
    >>> t = np.geomspace(0.1, 3.2, 6)
    >>> p = 0.25 + 0.75 / (1 + (t / 0.5) ** -4.0)
    >>> found = threshold_thickness([100 * p] * 3, [[100] * 6] * 3, t, neighbours=False, resamples=20)
    >>> round(found[1].value, 1)
    0.5
    """
    right, number = np.asarray(correct, dtype=np.float64), np.asarray(shown, dtype=np.float64)
    thickness = np.asarray(thickness_um, dtype=np.float64)
    if right.ndim != 2 or right.shape != number.shape or thickness.shape != right.shape[1:]:
        raise ValueError(f"shapes disagree: {right.shape}, {number.shape} and {thickness.shape}")
    if (right > number).any() or (number < 0).any() or (right < 0).any():
        raise ValueError("more choices were right than were made")
    if (np.diff(thickness) <= 0).any() or thickness[0] <= 0:
        raise ValueError("thicknesses are positive and ascend")
    chance = 1.0 / alternatives
    logs = np.log(thickness)
    trials = np.arange(logs[0] - _BEYOND, logs[-1] + _BEYOND, _STEP)
    curves = chance + (1 - chance) * expit(_SLOPES[:, None, None] * (logs[:, None] - trials))  # (f, t, t0)
    curves = np.clip(curves, 1e-6, 1 - 1e-6)
    tables = np.log(curves), np.log1p(-curves)
    share = _shares(right, number, neighbours)
    slope, thresholds = _fit(share, number, tables, trials)
    fitted = chance + (1 - chance) * expit(_SLOPES[slope] * (logs - thresholds[:, None]))
    random = np.random.default_rng(seed)
    again = np.array(
        [
            _fit(_shares(random.binomial(np.rint(number).astype(int), fitted), number, neighbours), number, tables, trials)[1]
            for _ in range(resamples)
        ]
    )  # fmt: skip
    level = (at - chance) / (1 - chance)
    moved = math.log(level / (1 - level)) / float(_SLOPES[slope])
    return [
        _measured(row, number, thickness, thresholds + moved, again + moved, float(_SLOPES[slope]))
        for row in range(right.shape[0])
    ]


def _measured(row: int, number: Floats, thickness: Floats, thresholds: Floats, again: Floats, slope: float) -> Measured:
    name = "threshold_thickness"
    there = thickness[number[row] > 0]
    if there.size < 3:
        return not_measurable(name, "um", "fewer than three thicknesses of this diameter were read", method=METHOD)
    value = float(np.exp(thresholds[row]))
    if value > there[-1] or value < there[0]:
        side = "above the thickest" if value > there[-1] else "below the thinnest"
        limit = there[-1] if value > there[-1] else there[0]
        return not_measurable(
            name, "um", f"the threshold lies {side} disc of this diameter ({limit:g} um)", method=METHOD
        )
    low, first, last, high = (
        np.quantile(again[:, row], [0.025, 0.16, 0.84, 0.975]) if again.size else [thresholds[row]] * 4
    )
    # A step of the grid is known no better than its width.
    relative = math.hypot(0.5 * float(last - first), _STEP / math.sqrt(12))
    found = Measured(
        name, value, "um", value * relative, method=METHOD,
        details={"interval": [float(np.exp(low)), float(np.exp(high))], "slope": slope, "choices": float(number[row].sum())},
    )  # fmt: skip
    if relative > _WIDE:
        return found.doubt(f"known to {100 * relative:.0f} % only: more images are needed")
    return found


def _shares(right: NDArray[Any], number: Floats, neighbours: bool) -> Floats:
    """Share of right choices, corrected by the neighbours' where wanted; 0 where nothing was shown."""
    if neighbours:
        right = ndimage.convolve(np.asarray(right, dtype=np.float64), _NEIGHBOURS, mode="constant")
        number = ndimage.convolve(number, _NEIGHBOURS, mode="constant")
    return np.asarray(np.where(number > 0, right / np.maximum(number, 1e-9), 0.0))


def _fit(share: Floats, number: Floats, tables: tuple[Floats, Floats], trials: Floats) -> tuple[int, Floats]:
    """Index of the common slope, and ln t₀ of each diameter: likelihood over a grid, its top refined by a parabola."""
    likelihood = np.einsum("dt,ftk->fdk", number * share, tables[0]) + np.einsum(
        "dt,ftk->fdk", number * (1 - share), tables[1]
    )
    slope = int(np.argmax(likelihood.max(axis=2).sum(axis=1)))
    own = likelihood[slope]
    top = np.clip(np.argmax(own, axis=1), 1, trials.size - 2)
    rows = np.arange(own.shape[0])
    before, at, after = own[rows, top - 1], own[rows, top], own[rows, top + 1]
    bend = before - 2 * at + after
    shift = np.where(bend < 0, 0.5 * (before - after) / np.where(bend < 0, bend, -1.0), 0.0)
    return slope, np.asarray(trials[top] + np.clip(shift, -1.0, 1.0) * _STEP)
