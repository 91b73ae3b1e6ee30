"""Many tests in one run: the false discovery rate within a family."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike


@dataclass(frozen=True, slots=True)
class FalseDiscovery:
    """Adjusted p values of one family of tests, in the order they came in.

    Attributes
    ----------
    adjusted : tuple of float
        Smallest false discovery rate at which each test would be rejected.
    rejected : tuple of bool
        Whether that is at most `q`.
    q : float
        False discovery rate that was asked for.
    n : int
        Tests in the family.
    """

    adjusted: tuple[float, ...]
    rejected: tuple[bool, ...]
    q: float
    n: int


def benjamini_hochberg(p_values: ArrayLike, q: float = 0.05) -> FalseDiscovery:
    """Benjamini–Hochberg step-up adjustment within one family of tests.

    Parameters
    ----------
    p_values : array_like
        Each in [0, 1]. Verdicts, outliers and change signals are separate families: adjust each on its own.
    q : float
        False discovery rate.

    Raises
    ------
    ValueError
        If a p value is not a number in [0, 1].

    References
    ----------
    Benjamini and Hochberg, J. R. Stat. Soc. B 57 (1995) 289.

    Examples
    --------
    >>> benjamini_hochberg([0.01, 0.04, 0.03]).adjusted
    (0.03, 0.04, 0.04)
    """
    p = np.asarray(p_values, dtype=float).ravel()
    outside = ~((p >= 0.0) & (p <= 1.0))
    if outside.any():
        where = int(np.argmax(outside))
        raise ValueError(f"p value {p[where]} at position {where} is not between 0 and 1")
    n = p.size
    adjusted = np.empty(n)
    order = np.argsort(p, kind="stable")
    stepped = p[order] * n / np.arange(1, n + 1)
    adjusted[order] = np.minimum(np.minimum.accumulate(stepped[::-1])[::-1], 1.0)
    return FalseDiscovery(tuple(adjusted.tolist()), tuple((adjusted <= q).tolist()), q, n)
