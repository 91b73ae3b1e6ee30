"""Quantities and units as people read them, in messages and on the report's axes alike."""

from __future__ import annotations

__all__ = ["quantity_label", "unit_label"]

_UNITS = {"mGy.cm": "mGy·cm", "Gy.cm2": "Gy·cm²"}

_QUANTITIES = {
    "dose_rp": "Dose at reference point",
    "fluoro_time": "Fluoroscopy time",
    "AGD": "AGD per view",
    "peak_skin_dose": "Peak skin dose (estimate)",
    "AGD_total": "AGD of all views",
    "MGD_total": "Mean glandular dose of all views",
    "ESAK": "Entrance surface air kerma",
    "administered_activity": "Administered activity",
}


def unit_label(unit: str | None) -> str:
    """Unit as printed.

    Examples
    --------
    >>> unit_label("Gy.cm2"), unit_label("mGy")
    ('Gy·cm²', 'mGy')
    """
    return _UNITS.get(unit or "", unit or "")


def quantity_label(quantity: str, unit: str | None = None) -> str:
    """Quantity, with its unit in brackets when one is given.

    Examples
    --------
    >>> quantity_label("dose_rp", "mGy")
    'Dose at reference point (mGy)'
    """
    name = _QUANTITIES.get(quantity, quantity)
    return f"{name} ({unit_label(unit)})" if unit else name
