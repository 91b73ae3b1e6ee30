"""The DRL quantities and the units they are printed in, converted exactly to one unit per quantity."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Quantity:
    """A dose quantity that a DRL may be set in.

    Attributes
    ----------
    symbol : str
        Name in tables and reports.
    unit : str
        The one unit it is compared in.
    exam_field : str
        Field of the exam record (event or totals) that carries it; empty where none does.
    exam_factor : float
        From the exam field's unit to `unit`.
    largest : float
        Physically absurd above this, in `unit`: left out of statistics and reported.
    aliases : tuple of str
        Other printed names.
    meaning : str
    """

    symbol: str
    unit: str
    exam_field: str
    exam_factor: float
    largest: float
    aliases: tuple[str, ...]
    meaning: str


QUANTITIES: dict[str, Quantity] = {
    q.symbol: q
    for q in (
        Quantity("CTDIvol", "mGy", "ctdi_vol_mgy", 1.0, 2e4, ("ctdi_vol",), "volume CT dose index"),
        Quantity("DLP", "mGy.cm", "dlp_mgy_cm", 1.0, 2e5, ("ct_dlp_mgy_cm",), "dose length product"),
        Quantity("SSDE", "mGy", "", 1.0, 2e4, ("size-specific dose estimate",), "size-specific dose estimate"),
        Quantity("KAP", "Gy.cm2", "kap_gy_cm2", 1.0, 1e5, ("DAP", "PKA"), "kerma area product"),
        Quantity(
            "Ka,r",
            "mGy",
            "dose_rp_mgy",
            1.0,
            1e5,
            ("dose (rp)", "air kerma at the reference point"),
            "air kerma at the patient entrance reference point",
        ),
        Quantity("PSD", "mGy", "", 1.0, 1e5, ("peak_skin_dose", "peak skin dose"), "peak skin dose"),
        Quantity("Ka,i", "mGy", "", 1.0, 1e4, ("incident air kerma",), "incident air kerma, without backscatter"),
        Quantity(
            "ESD",
            "mGy",
            "",
            1.0,
            1e4,
            ("ESAK", "Ka,e", "entrance surface dose"),
            "entrance surface dose, with backscatter",
        ),
        Quantity(
            "PED",
            "mGy",
            "",
            1.0,
            1e3,
            ("patient entrance dose",),
            "patient entrance dose at the cone tip (dental)",
        ),
        Quantity("AGD", "mGy", "agd_mgy", 1.0, 1e3, ("MGD", "mean glandular dose"), "average glandular dose"),
        Quantity("fluoroscopy time", "min", "fluoro_time_s", 1.0 / 60.0, 1e4, ("fluoro_time",), "fluoroscopy time"),
        Quantity(
            "activity",
            "MBq",
            "administered_activity_mbq",
            1.0,
            1e6,
            ("administered activity",),
            "administered activity",
        ),
        Quantity(
            "activity per weight",
            "MBq/kg",
            "",
            1.0,
            1e5,
            ("administered activity per weight",),
            "administered activity per body mass",
        ),
    )
}
"""Quantities by symbol. ESD and Ka,i differ by backscatter and never stand in for each other."""

UNITS: dict[str, tuple[str, Decimal]] = {
    "mGy": ("mGy", Decimal(1)),
    "cGy": ("mGy", Decimal(10)),
    "Gy": ("mGy", Decimal(1000)),
    "uGy": ("mGy", Decimal("0.001")),
    "mGy.cm": ("mGy.cm", Decimal(1)),
    "Gy.cm": ("mGy.cm", Decimal(1000)),
    "Gy.cm2": ("Gy.cm2", Decimal(1)),
    "dGy.cm2": ("Gy.cm2", Decimal("0.1")),
    "cGy.cm2": ("Gy.cm2", Decimal("0.01")),
    "mGy.cm2": ("Gy.cm2", Decimal("0.001")),
    "uGy.m2": ("Gy.cm2", Decimal("0.01")),
    "mGy.m2": ("Gy.cm2", Decimal(10)),
    "Gy.m2": ("Gy.cm2", Decimal(10000)),
    "min": ("min", Decimal(1)),
    "MBq": ("MBq", Decimal(1)),
    "GBq": ("MBq", Decimal(1000)),
    "MBq/kg": ("MBq/kg", Decimal(1)),
}
"""Printed unit → (canonical unit, exact factor). Spelling counts: a unit that is not here is an error."""

_BY_NAME = {name.casefold(): q for q in QUANTITIES.values() for name in (q.symbol, q.exam_field, *q.aliases) if name}


class UnitError(ValueError):
    """A quantity or unit that no table here knows, or that do not belong together."""


def find_quantity(name: str) -> Quantity:
    """Return the quantity of a symbol, alias or exam-record field name.

    Raises
    ------
    UnitError
        If the name is none of them.

    Examples
    --------
    >>> find_quantity("DAP").symbol, find_quantity("dose_rp_mgy").symbol
    ('KAP', 'Ka,r')
    """
    try:
        return _BY_NAME[name.strip().casefold()]
    except KeyError:
        raise UnitError(f"unknown quantity {name!r}; known: {', '.join(QUANTITIES)}") from None


def to_canonical(value: Decimal, unit: str, quantity: Quantity) -> Decimal:
    """Convert a printed value to the quantity's unit, without rounding.

    Raises
    ------
    UnitError
        If the unit is unknown or is not one of the quantity's.

    Examples
    --------
    >>> to_canonical(Decimal("12"), "cGy.cm2", find_quantity("DAP"))
    Decimal('0.12')
    """
    if unit not in UNITS:
        raise UnitError(f"unknown unit {unit!r}; known: {', '.join(UNITS)}")
    canonical, factor = UNITS[unit]
    if canonical != quantity.unit:
        raise UnitError(f"{unit} is not a unit of {quantity.symbol}, which is compared in {quantity.unit}")
    return value * factor
