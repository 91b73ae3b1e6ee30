"""A measured value never travels alone: name, value, unit, uncertainty, status and the reason in words.

This is the one plain type that the pure rooms (``image_quality``, ``dosimetry``, ``phantom``) give back. A metric that
cannot be measured is a value too: status ``not_measurable``, no number, and the reason.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

__all__ = ["Measured", "Status", "not_measurable"]

Status = Literal["ok", "suspect", "not_measurable"]


@dataclass(frozen=True, slots=True)
class Measured:
    """One measured or computed quantity.

    Parameters
    ----------
    name : str
        What was measured, in the field's own words: ``mtf50``, ``ssde``, ``slice_thickness``.
    value : float or None
        The number in ``unit``; ``None`` exactly when `status` is ``not_measurable``.
    unit : str
        UCUM-like unit: ``mm``, ``mGy``, ``/mm``, ``HU``, ``%``; ``1`` for a ratio.
    uncertainty : float or None
        Standard uncertainty (k = 1) in the same unit; ``None`` where it is not known.
    status : {'ok', 'suspect', 'not_measurable'}
        ``suspect`` has a value that must not be used without a look; `reason` says why.
    reason : str
        In words; empty only for ``ok``.
    method : str
        Formula or standard by which it was found, and its validity.
    quality : float or None
        0 (worthless) to 1 (a perfect fit), where the method has such a score.
    details : mapping
        Curves and intermediate numbers (plain floats, lists or arrays), for charts and for whoever must defend the value.

    Raises
    ------
    ValueError
        If value and status contradict each other, a number is not finite, or a doubt comes without a reason.

    Examples
    --------
    >>> Measured("mtf50", 1.25, "/mm", uncertainty=0.01).status
    'ok'
    >>> not_measurable("mtf50", "/mm", "no edge found in the region").value is None
    True
    """

    name: str
    value: float | None
    unit: str
    uncertainty: float | None = None
    status: Status = "ok"
    reason: str = ""
    method: str = ""
    quality: float | None = None
    details: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if (self.value is None) != (self.status == "not_measurable"):
            raise ValueError(f"{self.name}: status {self.status!r} contradicts value {self.value!r}")
        for what, number in (("value", self.value), ("uncertainty", self.uncertainty)):
            if number is not None and not math.isfinite(number):
                raise ValueError(f"{self.name}: {what} is {number!r}; say not_measurable instead")
        if self.status != "ok" and not self.reason:
            raise ValueError(f"{self.name}: status {self.status!r} needs a reason")

    @property
    def usable(self) -> bool:
        """Whether there is a number and nothing speaks against it."""
        return self.status == "ok"

    def doubt(self, reason: str) -> Measured:
        """The same value as ``suspect``, with `reason` added unless it is said already; a value that is not there stays so.

        Examples
        --------
        >>> Measured("mtf50", 1.25, "/mm").doubt("few pixels").doubt("tilted").doubt("few pixels").reason
        'few pixels; tilted'
        """
        if self.status == "not_measurable":
            return self
        if self.status == "suspect" and f"; {reason}; " in f"; {self.reason}; ":
            return self
        return replace(self, status="suspect", reason=f"{self.reason}; {reason}" if self.reason else reason)

    def as_record(self) -> dict[str, Any]:
        """Plain data for JSON, without the details."""
        return {
            "name": self.name,
            "value": self.value,
            "unit": self.unit,
            "uncertainty": self.uncertainty,
            "status": self.status,
            "reason": self.reason,
            "method": self.method,
            "quality": self.quality,
        }


def not_measurable(name: str, unit: str, reason: str, *, method: str = "", **details: Any) -> Measured:
    """A quantity that could not be measured, and why."""
    return Measured(name, None, unit, status="not_measurable", reason=reason, method=method, details=details)
