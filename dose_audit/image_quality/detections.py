"""What was seen of a set of discs: each with its evidence, and how many groups of them count as visible."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from dose_audit.measured import Measured, not_measurable

__all__ = ["Detection", "LowContrast", "counted", "discoveries", "unjudged"]

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
    threshold: float,
    *,
    groups: Sequence[Sequence[int]] | None,
    consecutive: bool,
    method: str,
) -> LowContrast:
    """Count of the groups whose discs are all visible, with the spread that noise gives it.

    Parameters
    ----------
    threshold : float
        d' from which a disc counts as visible: how far each disc is from it says how sure its vote is.
    consecutive : bool
        Stop counting at the first group that is not visible.

    Notes
    -----
    Another image of the same phantom would show disc ``i`` with probability ``Φ(d'_i - threshold)`` and a group with the
    product over its discs; the count's variance follows, for a sequence that stops at its first gap from the
    probabilities that it reaches each group.
    """
    together = (
        [list(group) for group in groups] if groups is not None else [[index] for index in range(len(detections))]
    )
    seen = tuple(all(detections[index].visible for index in group) for group in together)
    number = (seen.index(False) if not all(seen) else len(seen)) if consecutive else sum(seen)
    sure = special.ndtr(np.array([one.d_prime or 0.0 for one in detections]) - threshold)
    chance = np.array([float(np.prod([sure[index] for index in group])) for group in together])
    if consecutive:
        reached = np.cumprod(chance)
        mean = float(reached.sum())
        spread = math.sqrt(max(float((reached * (2 * np.arange(reached.size) + 1)).sum()) - mean**2, 0.0))
    else:
        spread = math.sqrt(float((chance * (1 - chance)).sum()))
    name = "visible_discs" if groups is None else "visible_groups"
    return LowContrast(Measured(name, float(number), "1", spread, method=method), tuple(detections), seen)


def discoveries(chances: Floats, rate: float) -> Mask:
    """Which hypotheses of these p values are rejected at a false discovery rate (Benjamini and Hochberg)."""
    order = np.argsort(chances)
    limits = rate * (np.arange(chances.size) + 1) / chances.size
    below = np.flatnonzero(chances[order] <= limits)
    passed = np.zeros(chances.size, dtype=bool)
    if below.size:
        passed[order[: int(below[-1]) + 1]] = True
    return passed
