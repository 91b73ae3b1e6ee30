"""Units: every spelling against UCUM's own arithmetic, and nothing guessed."""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dose_audit.extract.codes import Code
from dose_audit.extract.units import QUANTITIES, UNITS, convert, factor_for, own_unit

# UCUM: the prefixes, and what one of each unit is in SI units.
PREFIX = {"": 0, "d": -1, "c": -2, "m": -3, "u": -6, "n": -9, "k": 3, "M": 6, "G": 9}
SI = {
    "kap_gy_cm2": {
        f"{p}Gy.{q}m2": Fraction(10) ** (PREFIX[p] + 2 * PREFIX[q]) for p in ("", "d", "c", "m", "u") for q in ("", "c")
    },
    "dose_mgy": {f"{p}Gy": Fraction(10) ** PREFIX[p] for p in ("", "d", "c", "m", "u", "n")},
    "dlp_mgy_cm": {
        f"{p}Gy.{q}m": Fraction(10) ** (PREFIX[p] + PREFIX[q])
        for p, q in (("", "c"), ("m", "c"), ("c", "c"), ("m", "m"), ("u", ""), ("m", ""))
    },
    "length_mm": {f"{p}m": Fraction(10) ** PREFIX[p] for p in ("", "d", "c", "m", "u")},
    "area_cm2": {f"{p}m2": Fraction(10) ** (2 * PREFIX[p]) for p in ("", "d", "c", "m")},
    "time_s": {
        "s": Fraction(1),
        "ms": Fraction(1, 1000),
        "us": Fraction(1, 10**6),
        "min": Fraction(60),
        "h": Fraction(3600),
    },
    "current_ma": {"A": Fraction(1), "mA": Fraction(1, 1000), "uA": Fraction(1, 10**6)},
    "charge_mas": {
        "A.s": Fraction(1),
        "mA.s": Fraction(1, 1000),
        "uA.s": Fraction(1, 10**6),
        "mC": Fraction(1, 1000),
    },
    "voltage_kv": {"kV": Fraction(1000), "V": Fraction(1)},
    "activity_mbq": {
        "Bq": Fraction(1),
        "kBq": Fraction(10**3),
        "MBq": Fraction(10**6),
        "GBq": Fraction(10**9),
        "Ci": Fraction(37 * 10**9),
        "mCi": Fraction(37 * 10**6),
        "uCi": Fraction(37 * 10**3),
    },
    "force_n": {"N": Fraction(1), "dN": Fraction(1, 10), "daN": Fraction(10), "kgf": Fraction("9.80665")},
    "pressure_kpa": {
        "kPa": Fraction(1000),
        "Pa": Fraction(1),
        "hPa": Fraction(100),
        "mm[Hg]": Fraction("133.322387415"),
    },
    "mass_kg": {"kg": Fraction(1), "g": Fraction(1, 1000), "[lb_av]": Fraction("0.45359237")},
    "effective_dose_msv": {"Sv": Fraction(1), "mSv": Fraction(1, 1000), "uSv": Fraction(1, 10**6)},
    "volume_ml": {
        "l": Fraction(1),
        "ml": Fraction(1, 1000),
        "cm3": Fraction(1, 1000),
        "ul": Fraction(1, 10**6),
    },
}

# What reports really send for the UCUM unit beside it.
MISSPELT = [
    ("Gym2", "Gy.m2", "kap_gy_cm2"),
    ("Gy.cm^2", "Gy.cm2", "kap_gy_cm2"),
    ("Gy*m2", "Gy.m2", "kap_gy_cm2"),
    ("µGy.m2", "uGy.m2", "kap_gy_cm2"),
    ("μGy·m²", "uGy.m2", "kap_gy_cm2"),
    ("mGycm", "mGy.cm", "dlp_mgy_cm"),
    ("uAs", "uA.s", "charge_mas"),
    ("mAs", "mA.s", "charge_mas"),
    ("pulse/s", "{pulse}/s", "rate_per_s"),
    ("m^2", "m2", "area_cm2"),
    ("X-ray sources", "{X-Ray sources}", "count"),
    (" mGy ", "mGy", "dose_mgy"),
]


@pytest.mark.parametrize("quantity", sorted(SI))
def test_factors_are_those_of_the_international_system(quantity):
    own = SI[quantity][own_unit(quantity)]
    for unit, si in SI[quantity].items():
        assert Fraction(factor_for(unit, quantity)) == si / own, unit


@pytest.mark.parametrize(("sent", "ucum", "quantity"), MISSPELT)
def test_spellings_that_vendors_send(sent, ucum, quantity):
    assert factor_for(sent, quantity) == factor_for(ucum, quantity) is not None


@pytest.mark.parametrize("quantity", sorted(QUANTITIES))
def test_every_unit_of_a_dimension_has_a_positive_finite_factor(quantity):
    wanted = QUANTITIES[quantity]
    assert factor_for(wanted.unit, quantity) == 1
    for unit in UNITS[wanted.dimension]:
        factor = factor_for(unit, quantity)
        assert factor is not None and factor.is_finite() and factor > 0


@pytest.mark.parametrize(
    ("unit", "quantity"),
    [
        ("R", "dose_mgy"),
        ("rad", "dose_mgy"),
        ("MGy", "dose_mgy"),  # mega is not milli
        ("mgy", "dose_mgy"),
        ("Mgy.cm", "dlp_mgy_cm"),
        ("mbq", "activity_mbq"),  # milli is not mega
        ("MBQ", "activity_mbq"),  # nor in capitals, where M is milli
        ("mGy", "dlp_mgy_cm"),
        ("mGy.cm", "dose_mgy"),
        ("Gy.cm", "kap_gy_cm2"),
        ("ms", "length_mm"),
        ("%", "ratio"),
        ("constructor", "dose_mgy"),
    ],
)
def test_a_unit_of_another_kind_gives_no_value(unit, quantity):
    value, problem = convert(1.0, unit, quantity)
    assert value is None
    assert unit in problem


@pytest.mark.parametrize(
    ("sent", "meant", "quantity"),
    [
        # The case-insensitive form of UCUM.
        ("MGY", "mGy", "dose_mgy"),
        ("DGY.CM2", "dGy.cm2", "kap_gy_cm2"),
        ("GY.M2", "Gy.m2", "kap_gy_cm2"),
        ("GYM2", "Gym2", "kap_gy_cm2"),
        ("MGY.CM", "mGy.cm", "dlp_mgy_cm"),
        ("KV", "kV", "voltage_kv"),
        ("MA", "mA", "current_ma"),
        ("UA.S", "uA.s", "charge_mas"),
        ("MS", "ms", "time_ms"),
        ("DEG", "deg", "angle_deg"),
        ("MM", "mm", "length_mm"),
    ],
)
def test_units_in_capitals(sent, meant, quantity):
    assert convert(2.5, sent, quantity) == convert(2.5, meant, quantity)
    assert convert(2.5, sent, quantity)[1] is None


def test_a_hyphen_for_a_dot():
    assert convert(2.5, "mGy-cm", "dlp_mgy_cm") == (2.5, None)


def test_missing_units():
    assert convert(3.0, None, "count") == (3.0, None)
    value, problem = convert(3.0, None, "dose_mgy")
    assert value is None and "no unit" in problem
    assert convert(3.0, Code("", "UCUM", "mGy"), "dose_mgy") == (3.0, None)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_no_number_is_no_value(value):
    assert convert(value, "mGy", "dose_mgy")[0] is None


def test_impossible_values():
    assert convert(-0.1, "mGy", "dose_mgy")[0] is None
    assert convert(-30.0, "deg", "angle_deg") == (-30.0, None)
    assert convert(0.0, "kV", "voltage_kv")[0] is None
    assert convert(0.0, "mGy", "dose_mgy") == (0.0, None)


@given(
    st.decimals(min_value=0, max_value=10**6, places=12, allow_nan=False),
    st.sampled_from(sorted(SI["kap_gy_cm2"])),
)
def test_a_decimal_string_comes_back_to_its_last_digit(sent, unit):
    own = SI["kap_gy_cm2"]["Gy.cm2"]
    exact = Fraction(sent) * SI["kap_gy_cm2"][unit] / own
    value, problem = convert(float(sent), unit, "kap_gy_cm2")
    assert problem is None
    # The nearest double to the exact product of what the double itself prints as.
    printed = Fraction(Decimal(repr(float(sent)))) * SI["kap_gy_cm2"][unit] / own
    assert value == float(printed)
    assert math.isclose(value, float(exact), rel_tol=4e-16, abs_tol=0)


@pytest.mark.parametrize(
    ("sent", "quantity", "value"),
    [
        ("Gy.m2{DAP}", "kap_gy_cm2", 10_000.0),
        ("{frame}", "count", 1.0),
        ("{whatever}", "ratio", 1.0),
        ("{pulses}/s", "rate_per_s", 1.0),
        ("m{Gy}", "dose_mgy", None),
        ("{mGy}", "dose_mgy", None),
    ],
)
def test_an_annotation_in_braces_changes_no_unit(sent: str, quantity: str, value: float | None) -> None:
    assert convert(1.0, sent, quantity)[0] == value
