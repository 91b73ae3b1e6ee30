"""Calibration factors of devices: each from a certificate, each with its dates; raw and corrected values stay together."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

from dose_audit.measured import Measured, not_measurable

__all__ = ["CalibrationFactor", "calibrated", "factor_on", "load_calibrations"]

_PLAUSIBLE = (0.2, 5.0)
_MOST_ROWS = 100_000


@dataclass(frozen=True, slots=True)
class CalibrationFactor:
    """What a certificate says of one displayed quantity of one device.

    Parameters
    ----------
    device : str
        The site's name of the device.
    quantity : str
        Name of the quantity as in its `Measured`: ``kap``, ``ctdi_vol``, ``exposure_index``.
    factor : float
        Measured over displayed value, 0.2 to 5.
    relative_uncertainty : float
        Relative standard uncertainty (k = 1) of the factor, 0 to 1.
    valid_from : date
        Day of the calibration.
    valid_to : date or None
        Last day on which it holds.
    certificate : str
        Number or name of the certificate, for the chain of traceability.
    kv_from, kv_to : float or None
        Beam qualities for which it was found, as tube voltages.

    Raises
    ------
    ValueError
        A number is out of its range, or the dates are in the wrong order.
    """

    device: str
    quantity: str
    factor: float
    relative_uncertainty: float
    valid_from: date
    valid_to: date | None = None
    certificate: str = ""
    kv_from: float | None = None
    kv_to: float | None = None

    def __post_init__(self) -> None:
        if not (math.isfinite(self.factor) and _PLAUSIBLE[0] <= self.factor <= _PLAUSIBLE[1]):
            raise ValueError(f"{self.device}: a factor of {self.factor} is outside {_PLAUSIBLE[0]} to {_PLAUSIBLE[1]}")
        if not 0 <= self.relative_uncertainty <= 1:
            raise ValueError(f"{self.device}: a relative uncertainty of {self.relative_uncertainty}")
        if self.valid_to is not None and self.valid_to < self.valid_from:
            raise ValueError(f"{self.device}: valid to {self.valid_to}, from {self.valid_from}")


def load_calibrations(path: str | Path) -> list[CalibrationFactor]:
    """Read calibration factors from a CSV file.

    Parameters
    ----------
    path : path
        Columns as the attributes of `CalibrationFactor`; dates as ``2026-01-31``; empty cells where nothing is said.

    Returns
    -------
    list of CalibrationFactor

    Raises
    ------
    ValueError
        A row cannot be used; the message gives its line.
    OSError
        The file cannot be read.
    """
    found = []
    with Path(path).open(encoding="utf-8-sig", newline="") as file:
        for line, row in enumerate(csv.DictReader(file), start=2):
            if line > _MOST_ROWS:
                raise ValueError(f"more than {_MOST_ROWS} rows")
            try:
                found.append(
                    CalibrationFactor(
                        row["device"],
                        row["quantity"],
                        float(row["factor"]),
                        float(row["relative_uncertainty"]),
                        date.fromisoformat(row["valid_from"]),
                        date.fromisoformat(row["valid_to"]) if row.get("valid_to") else None,
                        row.get("certificate") or "",
                        float(row["kv_from"]) if row.get("kv_from") else None,
                        float(row["kv_to"]) if row.get("kv_to") else None,
                    )
                )
            except (KeyError, TypeError, ValueError) as error:
                raise ValueError(f"line {line}: {error}") from None
    return found


def factor_on(
    factors: Iterable[CalibrationFactor], device: str, quantity: str, day: date, *, kvp_kv: float | None = None
) -> CalibrationFactor | None:
    """The factor that holds for a device and quantity on a day: of several the latest, ``None`` when there is none.

    Parameters
    ----------
    factors : iterable of CalibrationFactor
    device, quantity : str
    day : date
        Day of the exposure.
    kvp_kv : float, optional
        Tube voltage; factors for other voltages are then left out.

    Returns
    -------
    CalibrationFactor or None
    """
    held = [
        item
        for item in factors
        if (item.device, item.quantity) == (device, quantity)
        and item.valid_from <= day
        and (item.valid_to is None or day <= item.valid_to)
        and (kvp_kv is None or item.kv_from is None or item.kv_from <= kvp_kv)
        and (kvp_kv is None or item.kv_to is None or kvp_kv <= item.kv_to)
    ]
    return max(held, key=lambda item: item.valid_from, default=None)


def calibrated(raw: Measured, factor: CalibrationFactor | None) -> Measured:
    """A displayed value corrected by its device's factor, the raw one beside it.

    Parameters
    ----------
    raw : Measured
        As displayed.
    factor : CalibrationFactor or None
        From `factor_on`; without one the value stays as it is and is called *indicated*.

    Returns
    -------
    Measured
        `details` with ``raw_value``, ``calibration_factor`` and ``certificate``. The display's own uncertainty, its
        accuracy, is replaced by that of the factor.

    Raises
    ------
    ValueError
        The factor is one of another quantity.

    Examples
    --------
    >>> kap = Measured("kap", 2.0, "Gy.cm2", 0.3)
    >>> n = CalibrationFactor("room 1", "kap", 1.1, 0.03, date(2026, 1, 1), certificate="K-17")
    >>> corrected = calibrated(kap, n)
    >>> round(corrected.value, 6), round(corrected.uncertainty, 6), corrected.details["raw_value"]
    (2.2, 0.066, 2.0)
    """
    if raw.value is None:
        return raw
    if factor is None:
        details = {**raw.details, "raw_value": raw.value, "calibration_factor": None}
        return replace(raw, method=f"{raw.method}; indicated" if raw.method else "indicated", details=details)
    if factor.quantity != raw.name:
        raise ValueError(f"a factor for {factor.quantity} does not correct {raw.name}")
    value = raw.value * factor.factor
    if not math.isfinite(value):
        return not_measurable(raw.name, raw.unit, f"{raw.value} times {factor.factor} is no number")
    words = f"calibrated {factor.valid_from.isoformat()}" + (f", {factor.certificate}" if factor.certificate else "")
    details = {
        **raw.details,
        "raw_value": raw.value,
        "calibration_factor": factor.factor,
        "certificate": factor.certificate,
    }
    method = f"{raw.method}; {words}" if raw.method else words
    return replace(raw, value=value, uncertainty=factor.relative_uncertainty * value, method=method, details=details)
