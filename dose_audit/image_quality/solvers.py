"""Roots, least squares and minima of the few smooth unknowns that fits here have, without what scipy.optimize loads for more.

That package brings sparse matrices, rotations and linear programmes with it, a third of all that a first analysis imports.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Fitted", "downhill_simplex", "fitted_within", "root_between"]

Floats = NDArray[np.float64]
# Damping's factor from one try to the next, from which nothing moves, and below which a step is all but the free one.
_STEPWISE, _RIGID, _FREELY = 5.0, 1e12, 0.1
# Share of the way to a bound that one step may go: a corner reached at once is one to be caught in.
_OF_THE_WAY, _NEAR = 0.9, 1e-6
_AS_FORESEEN = 0.5  # share of the gain that the slopes promise, from which the next step is freer


@dataclass(frozen=True, slots=True)
class Fitted:
    """Parameters of least squares, the misfits and their derivatives there, and half the sum of their squares."""

    x: Floats
    fun: Floats
    jac: Floats
    cost: float


def root_between(function: Callable[[float], float], low: float, high: float) -> float:
    """Where a continuous function changes its sign.

    Parameters
    ----------
    function : callable
        Of one number.
    low, high : float
        Places at which it has different signs.

    Returns
    -------
    float
        To 1e-12 of the interval, or the place of a sign that is zero.

    Raises
    ------
    ValueError
        If the signs are the same.

    Notes
    -----
    Regula falsi with the Illinois weight: the end that stays counts half.

    References
    ----------
    Dowell M, Jarratt P. A modified regula falsi method for computing the root of an equation. BIT 1971; 11: 168-174.

    Examples
    --------
    >>> round(root_between(lambda x: x**3 - 2.0, 0.0, 2.0), 9)
    1.25992105
    """
    below, above = function(low), function(high)
    if below == 0 or above == 0:
        return low if below == 0 else high
    if not below * above < 0:
        raise ValueError(f"no change of sign between {low:g} and {high:g}")
    within, middle = 1e-12 * abs(high - low), 0.5 * (low + high)
    for _ in range(200):
        last, middle = middle, (low * above - high * below) / (above - below)
        value = function(middle)
        if value == 0 or abs(high - low) <= within or abs(middle - last) <= 0.1 * within:
            break
        if value * above < 0:
            low, below = high, above
        else:
            below *= 0.5
        high, above = middle, value
    return middle


def fitted_within(
    misfits: Callable[[Floats], Floats],
    slopes: Callable[[Floats], Floats],
    begin: Floats,
    *,
    lower: Floats,
    upper: Floats,
    scales: Floats,
    tolerance: float = 1e-8,
    most: int = 100,
) -> Fitted:
    """Parameters within bounds for which the squares of the misfits are least.

    Parameters
    ----------
    misfits : callable
        Of the parameters, shape (k,): the misfits, shape (n,).
    slopes : callable
        Of the parameters: the misfits' derivatives, shape (n, k).
    begin, lower, upper, scales : ndarray, shape (k,)
        Where to start, the bounds, and a change of each parameter that matters.
    tolerance : float
        It ends with a free step that lowers the squares by less than this share.
    most : int
        Steps at most.

    Returns
    -------
    Fitted

    Notes
    -----
    Levenberg and Marquardt's steps, each parameter going nine tenths of the way to its bound at most; one that a bound holds
    back is left out.

    References
    ----------
    Marquardt D W. An algorithm for least-squares estimation of nonlinear parameters. J Soc Ind Appl Math 1963; 11: 431-441.

    Examples
    --------
    >>> t = np.arange(5.0)
    >>> found = fitted_within(lambda p: p[0] * np.exp(-p[1] * t) - 3.0 * np.exp(-0.5 * t),
    ...                       lambda p: np.column_stack([np.exp(-p[1] * t), -p[0] * t * np.exp(-p[1] * t)]),
    ...                       np.array([1.0, 1.0]), lower=np.zeros(2), upper=np.full(2, 9.0), scales=np.ones(2))
    >>> [round(float(one), 6) for one in found.x]
    [3.0, 0.5]
    """
    x = np.clip(begin, lower, upper)
    fun = misfits(x)
    cost, damping = 0.5 * float(fun @ fun), 1e-3
    jac = slopes(x)
    for _ in range(most):
        scaled = jac * scales
        downhill = -(scaled.T @ fun)
        # Who all but stands at a bound that holds it back is left out: the others would be led astray by it.
        near = _NEAR * scales
        free = ~(((x - lower < near) & (downhill < 0)) | ((upper - x < near) & (downhill > 0)))
        if not free.any():
            break
        normal = scaled[:, free].T @ scaled[:, free]
        sizes = np.diag(normal).copy()
        sizes[sizes <= 0] = 1.0
        gain, moved = 0.0, 0.0
        while damping < _RIGID:
            step = np.zeros(x.size)
            step[free] = np.linalg.solve(normal + damping * np.diag(sizes), downhill[free])
            there = x + np.clip(scales * step, _OF_THE_WAY * (lower - x), _OF_THE_WAY * (upper - x))
            taken = (there - x) / scales
            moved = float(np.abs(taken).max())
            tried = misfits(there)
            lowered = 0.5 * float(tried @ tried)
            foreseen = float(downhill @ taken) - 0.5 * float(np.sum((scaled @ taken) ** 2))
            gain = (cost - lowered) / foreseen if foreseen > 0 else float(lowered < cost)
            if lowered < cost or moved < 1e-3 * tolerance:
                break
            damping *= _STEPWISE
        if not lowered < cost:
            break
        # A short step of much damping says nothing about the way that is left.
        ends = (cost - lowered < tolerance * cost and damping < _FREELY) or moved < 1e-3 * tolerance
        x, fun, cost = there, tried, lowered
        damping = max(damping / _STEPWISE, 1e-12) if gain > _AS_FORESEEN else damping
        jac = slopes(x)
        if ends and gain > 0.25:
            break
    return Fitted(x, fun, jac, cost)


def downhill_simplex(
    function: Callable[[Floats], float], corners: Floats, *, within: float, falls: float = math.inf, most: int = 400
) -> Floats:
    """Where a function of a few numbers is least, by Nelder and Mead's simplex.

    Parameters
    ----------
    function : callable
        Of the parameters, shape (k,).
    corners : ndarray, shape (k + 1, k)
        The first simplex.
    within, falls : float
        It ends when no corner is farther than `within` from the best in any parameter, nor higher by more than `falls`.
    most : int
        Evaluations at most.

    Returns
    -------
    ndarray, shape (k,)

    References
    ----------
    Nelder J A, Mead R. A simplex method for function minimization. Comput J 1965; 7: 308-313.

    Examples
    --------
    >>> found = downhill_simplex(lambda p: (p[0] - 1.0) ** 2 + (p[1] + 2.0) ** 2, np.array([[0, 0], [1, 0], [0, 1]]),
    ...                          within=1e-5)
    >>> [round(float(one), 3) for one in found]
    [1.0, -2.0]
    """
    simplex = np.array(corners, dtype=float)
    values = np.array([function(one) for one in simplex])
    asked = len(values)
    while True:
        order = np.argsort(values, kind="stable")
        simplex, values = simplex[order], values[order]
        near = np.abs(simplex[1:] - simplex[0]).max() <= within
        if asked >= most or (near and values[-1] - values[0] <= falls):
            return np.asarray(simplex[0])
        middle = simplex[:-1].mean(axis=0)
        away = middle - simplex[-1]
        there, asked = middle + away, asked + 1
        value = function(there)
        if value < values[0]:
            farther, asked = middle + 2.0 * away, asked + 1
            beyond = function(farther)
            there, value = (farther, beyond) if beyond < value else (there, value)
        elif value >= values[-2]:
            nearer, asked = middle + (0.5 if value < values[-1] else -0.5) * away, asked + 1
            inside = function(nearer)
            if inside >= min(value, values[-1]):
                simplex[1:] = simplex[0] + 0.5 * (simplex[1:] - simplex[0])
                values[1:] = [function(one) for one in simplex[1:]]
                asked += len(values) - 1
                continue
            there, value = nearer, inside
        simplex[-1], values[-1] = there, value
