"""Whether a lower dose was bought with worse images: dose and noise of the latest runs against the first ones."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from dose_audit.quality.figure_of_merit import LEVEL, DeviceMerit

__all__ = ["Ratio", "Trade", "ratio_of_means", "trade_of"]

_LEAST = 3
_NOTEWORTHY = 0.05


@dataclass(frozen=True, slots=True)
class Ratio:
    """Later over earlier geometric mean with its 95 % interval."""

    value: float
    low: float
    high: float

    @property
    def direction(self) -> int:
        """+1 or −1 where it differs from one by more than 5 % and beyond its uncertainty; else 0."""
        if abs(self.value - 1) <= _NOTEWORTHY or self.low <= 1 <= self.high:
            return 0
        return 1 if self.value > 1 else -1


@dataclass(frozen=True, slots=True)
class Trade:
    """What happened to dose, image quality and their balance on one device.

    ``verdict`` is ``dose_down_images_worse``, ``dose_down_images_kept``, ``dose_up``, ``images_worse``,
    ``images_better`` or ``unchanged``.
    """

    dose: Ratio
    quality: Ratio
    merit: Ratio
    verdict: str
    text: str


def ratio_of_means(earlier: Sequence[float], later: Sequence[float], *, level: float = LEVEL) -> Ratio:
    """Ratio of two geometric means with Welch's interval.

    Parameters
    ----------
    earlier, later : sequence of float
        At least two positive values each.

    Notes
    -----
    Welch's interval of the difference of mean logarithms, degrees of freedom after Satterthwaite.

    Examples
    --------
    >>> found = ratio_of_means([10.0, 10.0, 10.0], [7.0, 7.0, 7.0])
    >>> round(found.value, 3), found.direction
    (0.7, -1)
    """
    a, b = (np.log(np.asarray(one, dtype=float)) for one in (earlier, later))
    if a.size < 2 or b.size < 2:
        raise ValueError("a ratio of means needs two values on either side")
    va, vb = float(a.var(ddof=1)) / a.size, float(b.var(ddof=1)) / b.size
    difference = float(b.mean() - a.mean())
    reach = 0.0
    if va + vb > 0:
        freedom = (va + vb) ** 2 / (va**2 / (a.size - 1) + vb**2 / (b.size - 1))
        reach = float(stdtrit(freedom, 0.5 + level / 2)) * math.sqrt(va + vb)
    return Ratio(math.exp(difference), math.exp(difference - reach), math.exp(difference + reach))


def trade_of(member: DeviceMerit) -> Trade | None:
    """Compare the last third of a device's runs with the first third; None below three runs in each.

    Parameters
    ----------
    member : DeviceMerit
    """
    third = len(member.points) // 3
    if third < _LEAST:
        return None
    first, last = member.points[:third], member.points[-third:]
    dose = ratio_of_means([p.dose for p in first], [p.dose for p in last])
    quality = ratio_of_means([p.quality for p in first], [p.quality for p in last])
    merit = ratio_of_means([p.value for p in first], [p.value for p in last])
    noise = member.merit.kind == "noise_at_dose"
    worse = quality.direction * (1 if noise else -1)
    verdict, told = _verdict(dose.direction, worse)
    name = "noise" if noise else "contrast" if member.merit.kind == "contrast_to_noise" else "CNR"
    balance = merit.direction * (-1 if member.merit.better == "lower" else 1)
    kept = {0: "is unchanged", 1: "has become better", -1: "has become worse"}[balance]
    text = (
        f"{told}: dose {_percent(dose)}, {name} {_percent(quality)} from the first {third} runs to the last {third}. "
        f"Image quality for its dose, {member.merit.title}, {kept}."
    )
    return Trade(dose, quality, merit, verdict, text)


def _verdict(dose: int, worse: int) -> tuple[str, str]:
    if dose < 0 and worse > 0:
        return "dose_down_images_worse", "The lower dose was bought with worse images"
    if dose < 0:
        return "dose_down_images_kept", "The dose fell and the images did not become worse"
    if dose > 0:
        return "dose_up", "The dose rose" + (" and the images became better" if worse < 0 else "")
    if worse > 0:
        return "images_worse", "The images became worse at the same dose"
    if worse < 0:
        return "images_better", "The images became better at the same dose"
    return "unchanged", "No change of dose or images beyond their spread"


def _percent(ratio: Ratio) -> str:
    """Change with its interval, which is left out where it rounds to nothing."""
    changes = (f"{100 * (one - 1):+.0f}".replace("-", "−") for one in (ratio.value, ratio.low, ratio.high))
    middle, low, high = ("±0" if change in ("+0", "−0") else change for change in changes)
    return f"{middle} %" if low == high else f"{middle} % ({low} to {high})"
