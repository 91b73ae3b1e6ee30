"""How often a control chart cries wolf and how soon it finds a step, computed by integral equations."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from dose_audit.statistics.order_statistics import OK

Floats = NDArray[np.float64]

EWMA = "ewma"
CUSUM = "cusum"

_NODES = 48
_NODES_PER_SIGMA = 2.5  # Gauss–Legendre on a normal kernel: far past the precision that is wanted


@dataclass(frozen=True, slots=True)
class RunLength:
    """What a chart does over a number of observations of one constant state.

    Attributes
    ----------
    value : float
        Mean number of observations until a signal (average run length).
    probability : float
        Of a signal within `n` observations; for a two-sided CUSUM the sum of its two sides, which is an upper
        bound and for rare signals exact to their square.
    n : int
        Observations.
    chart : str
        ``ewma`` or ``cusum``.
    limit : float
        L of the EWMA or h of the CUSUM.
    status, reason : str
        Always ``OK``: a computation with no data to be short of.
    """

    value: float
    probability: float
    n: int
    chart: str
    limit: float
    status: str = OK
    reason: str = ""


def ewma_run_length(
    *,
    weight: float = 0.1,
    width: float = 2.814,
    shift: float = 0.0,
    spread: float = 1.0,
    n: int = 365,
    early_limits: bool = True,
) -> RunLength:
    """Run length of `ewma` for a process that sits `shift` standard deviations from its target.

    Parameters
    ----------
    weight : float
        λ in (0, 1].
    width : float
        L.
    shift : float
        Mean of the observations less target, in the sigma that the chart was given.
    spread : float
        Their true standard deviation in that sigma.
    n : int
        Observations for the probability.
    early_limits : bool
        With True the limits widen with the observations as `ewma` draws them; with False they are the final ones
        from the start, which is what published tables are for.

    Returns
    -------
    RunLength

    Raises
    ------
    ValueError
        If a parameter is out of range.

    Notes
    -----
    The density of the average among runs without a signal is carried from one observation to the next by
    Gauss–Legendre quadrature between the limits, z' ~ N((1−λ)z + λ·shift, (λ·spread)²). Once the limits stand
    still the mean rest is the solution of the integral equation for the average run length.

    References
    ----------
    Crowder, Technometrics 29 (1987) 401; Lucas and Saccucci, Technometrics 32 (1990) 1.

    Examples
    --------
    >>> round(ewma_run_length(weight=0.1, width=2.814, early_limits=False).value)
    500
    """
    check_chart(EWMA, weight, width, spread, n)
    survival, mean = ewma_survival(weight, width, shift, spread, n, early_limits)
    return RunLength(mean, 1.0 - survival, n, EWMA, width)


def cusum_run_length(
    *, allowance: float = 0.5, decision: float = 5.0, shift: float = 0.0, spread: float = 1.0, n: int = 365
) -> RunLength:
    """Run length of the two-sided `cusum` for a process that sits `shift` standard deviations from its target.

    Parameters
    ----------
    allowance, decision : float
        k and h.
    shift, spread, n
        As for `ewma_run_length`.

    Returns
    -------
    RunLength

    Raises
    ------
    ValueError
        If a parameter is out of range.

    Notes
    -----
    Each side is a Markov process on {0} and (0, h], carried by Gauss–Legendre quadrature with the mass at 0 kept
    apart; 1/ARL of the two-sided chart is the sum of 1/ARL of its sides.

    References
    ----------
    Page, Biometrika 41 (1954) 100; Goel and Wu, Technometrics 13 (1971) 221; Hawkins and Olwell, Cumulative Sum
    Charts, Springer 1998.

    Examples
    --------
    >>> round(cusum_run_length(allowance=0.5, decision=5.0).value, 1)
    465.4
    """
    check_chart(CUSUM, allowance, decision, spread, n)
    up = cusum_survival(allowance, decision, shift, spread, n)
    down = cusum_survival(allowance, decision, -shift, spread, n)
    mean = 1.0 / (1.0 / up[1] + 1.0 / down[1])
    return RunLength(mean, min(1.0, 2.0 - up[0] - down[0]), n, CUSUM, decision)


def ewma_survival(
    weight: float, width: float, shift: float, spread: float, n: int, early_limits: bool
) -> tuple[float, float]:
    """Probability of no signal in `n` observations, and the average run length."""
    nodes, shares = _quadrature(_NODES)
    final = width * math.sqrt(weight / (2.0 - weight))
    step = weight * spread

    def limit(i: int) -> float:
        return final * math.sqrt(-math.expm1(2 * i * math.log1p(-weight))) if early_limits and weight < 1 else final

    def kernel(inner: float, outer: float) -> Floats:
        """Density at the nodes within ±outer after one more observation, from the nodes within ±inner."""
        start = (1.0 - weight) * inner * nodes + weight * shift
        distance = (outer * nodes[:, None] - start[None, :]) / step
        density: Floats = np.exp(-0.5 * distance**2) * (inner * shares[None, :] / (step * math.sqrt(2 * math.pi)))
        return density

    reach = limit(1)
    density = np.exp(-0.5 * ((reach * nodes - weight * shift) / step) ** 2) / (step * math.sqrt(2 * math.pi))
    within = float(ndtr((reach - weight * shift) / step) - ndtr((-reach - weight * shift) / step))
    survival, mean = 1.0, 1.0
    i = 1
    while True:
        survival = within if i <= n else survival
        mean += within
        if final - reach <= 1e-6 * final:
            break
        i += 1
        following = limit(i)
        density = kernel(reach, following) @ density
        reach = following
        within = float(reach * shares @ density)
    steady = kernel(final, final)
    # Expected observations after one that is at each node and gave no signal.
    rest = np.linalg.solve(np.eye(_NODES) - _transposed(steady, shares, final), np.ones(_NODES))
    mean += float(final * shares @ (density * (rest - 1.0)))
    if i < n:
        density = np.linalg.matrix_power(steady, n - i) @ density
        survival = float(final * shares @ density)
    return min(max(survival, 0.0), 1.0), mean


def _transposed(kernel: Floats, shares: Floats, reach: float) -> Floats:
    """Operator on functions of the starting point, from the one on densities, on the same nodes."""
    weight = reach * shares
    back: Floats = (kernel * weight[:, None] / weight[None, :]).T
    return back


def cusum_survival(allowance: float, decision: float, shift: float, spread: float, n: int) -> tuple[float, float]:
    """Probability that the upper side does not signal in `n` observations, and its average run length."""
    nodes, shares = _quadrature(max(24, math.ceil(_NODES_PER_SIGMA * decision / spread)))
    point, weight = decision * (nodes + 1.0) / 2.0, decision * shares / 2.0
    drift = shift - allowance
    size = nodes.size + 1
    move = np.empty((size, size))  # from state (row) to state (column); the last state is 0
    origin = np.append(point, 0.0)
    distance = (point[None, :] - origin[:, None] - drift) / spread
    move[:, :-1] = np.exp(-0.5 * distance**2) / (spread * math.sqrt(2.0 * math.pi)) * weight[None, :]
    move[:, -1] = ndtr((-origin - drift) / spread)
    mean = float(np.linalg.solve(np.eye(size) - move, np.ones(size))[-1])
    survival = float((np.linalg.matrix_power(move, n) @ np.ones(size))[-1])
    return min(max(survival, 0.0), 1.0), mean


@lru_cache(maxsize=64)
def _quadrature(count: int) -> tuple[Floats, Floats]:
    """Gauss–Legendre nodes and weights on (−1, 1)."""
    nodes, shares = np.polynomial.legendre.leggauss(count)
    return nodes, shares


def check_chart(chart: str, parameter: float, limit: float, spread: float, n: int) -> None:
    if chart == EWMA and not 0.0 < parameter <= 1.0:
        raise ValueError(f"weight {parameter} is not in (0, 1]")
    if chart == CUSUM and not parameter > 0.0:
        raise ValueError(f"allowance {parameter} is not positive")
    if not (limit > 0.0 and spread > 0.0 and n >= 1):
        raise ValueError(f"limit {limit}, spread {spread} and number of observations {n} must be positive")
