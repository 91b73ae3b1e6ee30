"""What was seen of a set of discs: each with its evidence, and how many groups of them count as visible."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from dose_audit.measured import Measured, not_measurable

__all__ = ["Detection", "LowContrast", "counted", "discoveries", "passed_levels", "unjudged"]

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Detection:
    """One disc and its evidence.

    Parameters
    ----------
    contrast : Measured
        Fitted contrast against the disc's surroundings, in the unit of the image.
    d_prime : float or None
        Filter output over its standard deviation where there is no object.
    p : float or None
        Probability of such an output by noise alone.
    visible : bool
        Whether it stands out after the correction for the number of discs.
    """

    contrast: Measured
    d_prime: float | None
    p: float | None
    visible: bool


@dataclass(frozen=True, slots=True)
class LowContrast:
    """Which discs, and which groups of discs, are visible.

    Parameters
    ----------
    count : Measured
        Number of visible groups (discs, without groups).
    detections : tuple of Detection
        One per disc.
    groups : tuple of bool
        Whether every disc of the group is visible.
    """

    count: Measured
    detections: tuple[Detection, ...]
    groups: tuple[bool, ...]


def unjudged(number: int, reason: str, *, unit: str, method: str) -> LowContrast:
    """Nothing is claimed of any disc."""
    nothing = Detection(not_measurable("disc_contrast", unit, reason, method=method), None, None, False)
    return LowContrast(not_measurable("visible_discs", "1", reason, method=method), (nothing,) * number, ())


def counted(
    detections: Sequence[Detection],
    thresholds: Floats,
    *,
    groups: Sequence[Sequence[int]] | None,
    consecutive: bool,
    method: str,
) -> LowContrast:
    """Count of the groups whose discs are all visible, with the spread that noise gives it.

    Parameters
    ----------
    thresholds : ndarray, shape (discs,)
        d' from which each disc counts as visible: how far the disc is from it says how sure its vote is.
    consecutive : bool
        Stop counting at the first group that is not visible.

    Notes
    -----
    Another image of the same phantom would show disc ``i`` with probability ``Φ(d'_i - threshold_i)`` and a group with the
    product over its discs; the count's variance follows, for a sequence that stops at its first gap from the
    probabilities that it reaches each group.
    """
    together = (
        [list(group) for group in groups] if groups is not None else [[index] for index in range(len(detections))]
    )
    seen = tuple(all(detections[index].visible for index in group) for group in together)
    number = (seen.index(False) if not all(seen) else len(seen)) if consecutive else sum(seen)
    sure = special.ndtr(np.array([one.d_prime or 0.0 for one in detections]) - thresholds)
    chance = np.array([float(np.prod([sure[index] for index in group])) for group in together])
    if consecutive:
        reached = np.cumprod(chance)
        mean = float(reached.sum())
        spread = math.sqrt(max(float((reached * (2 * np.arange(reached.size) + 1)).sum()) - mean**2, 0.0))
    else:
        spread = math.sqrt(float((chance * (1 - chance)).sum()))
    name = "visible_discs" if groups is None else "visible_groups"
    return LowContrast(Measured(name, float(number), "1", spread, method=method), tuple(detections), seen)


def passed_levels(
    chances: Floats, groups: Sequence[Sequence[int]] | None, significance: float, *, correct: bool
) -> Floats:
    """Level of each disc by itself, so that noise alone shows a whole group as rarely as `significance` says.

    Parameters
    ----------
    chances : ndarray, shape (discs,)
        p of each disc.
    groups : sequence of sequence of int, optional
        Indices of discs that count together; each disc by itself by default.
    significance : float
        Chance with which noise alone shows a group whole; with `correct` the false discovery rate among the groups.
    correct : bool
        Whether the number of groups is corrected for.

    Returns
    -------
    ndarray, shape (discs,)
        A disc is visible where its p does not exceed its level.

    Notes
    -----
    The discs of a group are equal: they are all there or none is. Noise alone puts all ``n`` of them below a level ``a`` with
    probability ``aⁿ``, so that ``a = significance^(1/n)``, and the p of a group is the n-th power of the largest of its discs'.

    Examples
    --------
    >>> levels = passed_levels(np.array([0.05, 0.2, 0.0005]), [[0, 1], [2]], 0.001, correct=False)
    >>> [round(float(level), 4) for level in levels]
    [0.0316, 0.0316, 0.001]
    """
    sizes = np.ones(chances.size)
    together = [list(group) for group in groups] if groups is not None else [[k] for k in range(chances.size)]
    for group in together:
        sizes[group] = len(group)
    level = significance
    if correct:
        whole = np.array([float(chances[group].max()) ** len(group) for group in together if group])
        passed = discoveries(whole, significance)
        # Without a discovery each group has the level of the first that would be one.
        level = (
            max(float(whole[passed].max()), significance / whole.size) if passed.any() else significance / whole.size
        )
    # A group that was just let through must not fail by rounding.
    return np.asarray(level ** (1.0 / sizes) * (1.0 + 1e-12))


def discoveries(chances: Floats, rate: float) -> Mask:
    """Which hypotheses of these p values are rejected at a false discovery rate (Benjamini and Hochberg)."""
    order = np.argsort(chances)
    limits = rate * (np.arange(chances.size) + 1) / chances.size
    below = np.flatnonzero(chances[order] <= limits)
    passed = np.zeros(chances.size, dtype=bool)
    if below.size:
        passed[order[: int(below[-1]) + 1]] = True
    return passed
