"""Units as vendors really send them → one unit per quantity. An unknown unit is a problem, never a guess.

Two tables a physicist can extend: `UNITS` lists, per dimension, every accepted spelling with its factor to
the dimension's first unit; `QUANTITIES` names, per quantity, its dimension, its own unit and what values are
possible.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from functools import lru_cache
from math import isfinite
from typing import NamedTuple

from dose_audit.extract.codes import Code

__all__ = ["QUANTITIES", "UNITS", "Quantity", "convert", "factor_for", "own_unit", "scaled", "spellings"]

UNITS: dict[str, dict[str, str]] = {
    "kerma_area": {
        "Gy.m2": "1", "Gym2": "1", "Gy.cm2": "1e-4", "Gycm2": "1e-4", "dGy.cm2": "1e-5", "dGycm2": "1e-5",
        "cGy.cm2": "1e-6", "cGycm2": "1e-6", "mGy.cm2": "1e-7", "mGycm2": "1e-7", "uGy.cm2": "1e-10",
        "uGycm2": "1e-10", "mGy.m2": "1e-3", "mGym2": "1e-3", "uGy.m2": "1e-6", "uGym2": "1e-6",
        "cGy.m2": "1e-2", "dGy.m2": "1e-1", "Gy-m2": "1", "Gy-cm2": "1e-4", "dGy-cm2": "1e-5",
        "cGy-cm2": "1e-6", "mGy-cm2": "1e-7", "uGy-m2": "1e-6",
    },
    "absorbed_dose": {"Gy": "1", "dGy": "1e-1", "cGy": "1e-2", "mGy": "1e-3", "uGy": "1e-6", "nGy": "1e-9"},
    "effective_dose": {"Sv": "1", "mSv": "1e-3", "uSv": "1e-6"},
    "dose_length": {
        "mGy.cm": "1", "mGycm": "1", "mGy-cm": "1", "Gy.cm": "1e3", "Gycm": "1e3", "cGy.cm": "10", "cGycm": "10",
        "mGy.mm": "0.1", "mGymm": "0.1", "uGy.cm": "1e-3", "uGy.m": "0.1", "mGy.m": "100",
    },
    "dose_per_charge": {"mGy/mA.s": "1", "mGy/mAs": "1", "mGy/(mA.s)": "1", "mGy/100mAs": "0.01"},
    "dose_per_length_dose": {
        "mSv/mGy.cm": "1", "mSv/(mGy.cm)": "1", "mSv/mGycm": "1", "mSv.mGy-1.cm-1": "1",
    },
    "length": {"mm": "1", "cm": "10", "dm": "100", "m": "1000", "um": "1e-3"},
    "area": {"cm2": "1", "m2": "1e4", "mm2": "1e-2", "dm2": "100"},
    "time": {
        "s": "1", "sec": "1", "seconds": "1", "ms": "1e-3", "msec": "1e-3", "us": "1e-6", "ns": "1e-9",
        "min": "60", "minutes": "60", "h": "3600", "hours": "3600",
    },
    "age": {"a": "1", "year": "1", "years": "1", "mo": "1/12", "wk": "7/365.25", "d": "1/365.25"},
    "voltage": {"kV": "1", "V": "1e-3", "kVp": "1"},
    "current": {"mA": "1", "A": "1e3", "uA": "1e-3"},
    "charge": {
        "mA.s": "1", "mAs": "1", "uA.s": "1e-3", "uAs": "1e-3", "A.s": "1e3", "As": "1e3", "mC": "1",
        "uC": "1e-3",
    },
    "rate": {
        "{pulse}/s": "1", "pulse/s": "1", "pulses/s": "1", "{pulses}/s": "1", "/s": "1", "1/s": "1",
        "s-1": "1", "Hz": "1", "{frames}/s": "1", "{frame}/s": "1", "frames/s": "1", "fps": "1", "pps": "1",
    },
    "angle": {"deg": "1", "degrees": "1", "degree": "1", "°": "1"},
    "force": {"N": "1", "dN": "0.1", "daN": "10", "kgf": "9.80665"},
    "pressure": {"kPa": "1", "Pa": "1e-3", "hPa": "0.1", "mm[Hg]": "0.133322387415", "mbar": "0.1"},
    "activity": {
        "MBq": "1", "Bq": "1e-6", "kBq": "1e-3", "GBq": "1e3", "mCi": "37", "uCi": "0.037", "Ci": "37000",
    },
    "activity_per_amount": {
        "Bq/mol": "1", "Bq/mmol": "1e3", "Bq/umol": "1e6", "MBq/mol": "1e6", "MBq/mmol": "1e9",
        "MBq/umol": "1e12", "GBq/mmol": "1e12", "GBq/umol": "1e15", "Bq/nmol": "1e9",
    },
    "volume": {"cm3": "1", "ml": "1", "mL": "1", "l": "1e3", "L": "1e3", "ul": "1e-3", "uL": "1e-3"},
    "mass": {"kg": "1", "g": "1e-3", "mg": "1e-6", "[lb_av]": "0.45359237"},
    "number": {
        "1": "1", "": "1", "no units": "1", "{ratio}": "1", "ratio": "1", "{events}": "1", "events": "1",
        "{X-Ray sources}": "1", "{X-ray sources}": "1", "X-Ray sources": "1", "X-ray sources": "1",
        "{sources}": "1", "{frames}": "1", "{pulses}": "1", "{pulse}": "1", "{count}": "1",
        "{exposures}": "1",
    },
    "percentage": {"%": "1", "percent": "1", "Percent": "1"},
    "mass_per_area": {"kg/m2": "1"},
    "body_area": {"m2": "1", "cm2": "1e-4"},
    "substance": {"mmol/l": "1", "mmol/L": "1"},
    "mass_concentration": {"mg/dl": "1", "mg/dL": "1"},
    "filtration_rate": {"ml/min{1.73_m2}": "1", "mL/min{1.73_m2}": "1", "ml/min/{1.73_m2}": "1"},
}  # fmt: skip
"""Dimension → {unit as sent: factor to the dimension's first unit}. ``a/b`` in a factor is a quotient."""


class Quantity(NamedTuple):
    """What a quantity is measured in here, and which values it can have.

    Attributes
    ----------
    dimension : str
        A key of `UNITS`.
    unit : str
        The unit of the record; one of that dimension's spellings.
    negative : bool
        Whether a value below zero is possible; where it is not, such a value is a problem.
    unitless : bool
        Whether a value sent without any unit may be taken as being in the record's unit.
    zero : bool
        Whether 0 is possible; where it is not, it means *unknown*.
    """

    dimension: str
    unit: str
    negative: bool = False
    unitless: bool = False
    zero: bool = True


QUANTITIES: dict[str, Quantity] = {
    "kap_gy_cm2": Quantity("kerma_area", "Gy.cm2"),
    "dose_mgy": Quantity("absorbed_dose", "mGy"),
    "effective_dose_msv": Quantity("effective_dose", "mSv"),
    "dlp_mgy_cm": Quantity("dose_length", "mGy.cm"),
    "dose_per_charge_mgy_per_mas": Quantity("dose_per_charge", "mGy/mA.s"),
    "dose_factor_msv_per_mgy_cm": Quantity("dose_per_length_dose", "mSv/mGy.cm"),
    "length_mm": Quantity("length", "mm"),
    "distance_mm": Quantity("length", "mm", zero=False),
    "position_mm": Quantity("length", "mm", negative=True),
    "height_m": Quantity("length", "m"),
    "area_cm2": Quantity("area", "cm2", zero=False),
    "time_s": Quantity("time", "s"),
    "time_ms": Quantity("time", "ms"),
    "time_ns": Quantity("time", "ns"),
    "time_h": Quantity("time", "h"),
    "age_years": Quantity("age", "a"),
    "voltage_kv": Quantity("voltage", "kV", zero=False),
    "current_ma": Quantity("current", "mA"),
    "charge_mas": Quantity("charge", "mA.s"),
    "rate_per_s": Quantity("rate", "{pulse}/s"),
    "angle_deg": Quantity("angle", "deg", negative=True),
    "force_n": Quantity("force", "N"),
    "pressure_kpa": Quantity("pressure", "kPa"),
    "activity_mbq": Quantity("activity", "MBq"),
    "specific_activity_bq_per_mol": Quantity("activity_per_amount", "Bq/mol"),
    "volume_ml": Quantity("volume", "ml"),
    "mass_kg": Quantity("mass", "kg"),
    "mass_g": Quantity("mass", "g"),
    "count": Quantity("number", "1", unitless=True),
    "ratio": Quantity("number", "1", unitless=True),
    "index": Quantity("number", "1", negative=True, unitless=True),
    "percent": Quantity("percentage", "%"),
    "body_mass_index_kg_per_m2": Quantity("mass_per_area", "kg/m2"),
    "body_surface_area_m2": Quantity("body_area", "m2"),
    "glucose_mmol_per_l": Quantity("substance", "mmol/l"),
    "creatinine_mg_per_dl": Quantity("mass_concentration", "mg/dl"),
    "filtration_ml_per_min": Quantity("filtration_rate", "ml/min{1.73_m2}"),
}
"""Quantity → dimension and unit of the record. The name ends in the suffix that the field carries."""

# Characters that different editors write for the same thing.
_SPELLING = str.maketrans({"µ": "u", "μ": "u", "^": None, "*": ".", "·": ".", "⋅": ".", "²": "2", "³": "3"})


# What UCUM says in braces is for people and changes nothing: Gy.m2{DAP} is Gy.m2.
_ANNOTATION = re.compile(r"\{[^{}]*\}")


def _decimal(text: str) -> Decimal:
    above, _, below = text.partition("/")
    return Decimal(above) / Decimal(below) if below else Decimal(above)


@lru_cache(maxsize=4096)
def factor_for(unit: str, quantity: str) -> Decimal | None:
    """Factor from a unit as sent to the quantity's own; `None` when it is not a unit of its dimension.

    Examples
    --------
    >>> factor_for("dGy.cm2", "kap_gy_cm2")
    Decimal('0.1')
    >>> factor_for("mGy", "kap_gy_cm2") is None
    True
    >>> factor_for("DGY.CM2", "kap_gy_cm2") == factor_for("dGy.cm2", "kap_gy_cm2")
    True
    >>> factor_for("MGy", "dose_mgy") is None
    True
    """
    wanted = QUANTITIES[quantity]
    known = UNITS[wanted.dimension]
    spelling = unit.strip()
    if spelling not in known:
        spelling = spelling.translate(_SPELLING).replace(" ", "")
    if spelling not in known:
        spelling = _ANNOTATION.sub("", spelling)
    if spelling not in known:
        spelling = _in_capitals(spelling, known)
    if spelling not in known:
        return None
    return _decimal(known[spelling]) / _decimal(known[wanted.unit])


def _in_capitals(spelling: str, known: Mapping[str, str]) -> str:
    """The unit that is meant by one in capitals (``MGY.CM``), UCUM's case-insensitive form, or what was given.

    M is milli there, mega is MA: what would be mega in its own letters (``MBQ``) is left alone, and so is whatever has
    small letters in other places than they belong.
    """
    found = [unit for unit in known if unit.upper() == spelling and not unit.startswith("M")]
    return found[0] if len({known[unit] for unit in found}) == 1 else spelling


def own_unit(quantity: str) -> str:
    """The unit in which the record holds a quantity.

    Examples
    --------
    >>> own_unit("kap_gy_cm2")
    'Gy.cm2'
    """
    return QUANTITIES[quantity].unit


def spellings(quantity: str) -> frozenset[str]:
    """How the record's own unit of a quantity is written in `UNITS`: what needs no conversion.

    Examples
    --------
    >>> sorted(spellings("charge_mas"))
    ['mA.s', 'mAs', 'mC']
    """
    known = UNITS[QUANTITIES[quantity].dimension]
    return frozenset(unit for unit in known if unit and factor_for(unit, quantity) == 1)


def convert(value: float, unit: Code | str | None, quantity: str) -> tuple[float | None, str | None]:
    """Bring a value to its quantity's own unit.

    Parameters
    ----------
    value : float
        As sent.
    unit : Code, str or None
        As sent. A code counts by its value; by its meaning only where the value is empty.
    quantity : str
        A key of `QUANTITIES`.

    Returns
    -------
    value : float or None
        Converted in decimal arithmetic, so that a number of up to 17 digits keeps its last one; `None` when
        the unit is missing or unknown, or the value impossible for the quantity.
    problem : str or None
        One line for a warning when there is no value.

    Examples
    --------
    >>> convert(0.0000235, Code("Gym2", "UCUM", "Gym2"), "kap_gy_cm2")
    (0.235, None)
    >>> convert(12.5, "R", "dose_mgy")
    (None, "unit 'R' is not one of mGy's")
    >>> convert(-1.0, "mGy", "dose_mgy")
    (None, 'below zero')
    """
    wanted = QUANTITIES[quantity]
    sent = (unit.value or unit.meaning) if isinstance(unit, Code) else unit
    if not isfinite(value):
        return None, "not a finite number"
    if value < 0 and not wanted.negative:
        return None, "below zero"
    if value == 0 and not wanted.zero:
        return None, "zero, which means unknown"
    if not sent:
        return (value, None) if wanted.unitless else (None, f"no unit; {wanted.unit} expected")
    factor = factor_for(sent, quantity)
    if factor is None:
        return None, f"unit {sent[:32]!r} is not one of {wanted.unit}'s"
    if factor == 1:
        return value, None
    return scaled(value, factor), None


@lru_cache(maxsize=4096)
def scaled(value: float, factor: Decimal) -> float:
    """The product in decimal arithmetic, so that 0.0156 dGy is 1.56 mGy to the last digit.

    Examples
    --------
    >>> scaled(0.0156, Decimal(100))
    1.56
    """
    return float(Decimal(repr(value)) * factor)
