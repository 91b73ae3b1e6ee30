"""Units of DRL tables against their definitions."""

from decimal import Decimal

import pytest

from dose_audit.drl.units import QUANTITIES, UNITS, UnitError, find_quantity, to_canonical

# In Gy·m², from the SI prefixes.
KAP_IN_GY_M2 = {
    "Gy.m2": "1",
    "Gy.cm2": "0.0001",
    "dGy.cm2": "0.00001",
    "cGy.cm2": "0.000001",
    "uGy.m2": "0.000001",
    "mGy.cm2": "0.0000001",
    "mGy.m2": "0.001",
}


@pytest.mark.parametrize(("unit", "gy_m2"), KAP_IN_GY_M2.items())
def test_every_kap_unit_reaches_gy_cm2_exactly(unit, gy_m2):
    assert to_canonical(Decimal("3.7"), unit, QUANTITIES["KAP"]) == Decimal("3.7") * Decimal(gy_m2) * 10000


def test_every_unit_leads_to_the_unit_of_some_quantity():
    assert {canonical for canonical, _ in UNITS.values()} == {q.unit for q in QUANTITIES.values()}


@pytest.mark.parametrize(
    ("name", "symbol"),
    [
        ("DAP", "KAP"),
        ("kap_gy_cm2", "KAP"),
        ("MGD", "AGD"),
        ("dose_rp_mgy", "Ka,r"),
        ("ct_dlp_mgy_cm", "DLP"),
    ],
)
def test_names_of_one_quantity_meet(name, symbol):
    assert find_quantity(name).symbol == symbol


def test_backscatter_is_never_dropped():
    assert find_quantity("ESAK").symbol == "ESD"
    assert find_quantity("Ka,i").symbol == "Ka,i"


def test_unknown_and_wrong_units_are_refused_by_name():
    with pytest.raises(UnitError, match="mSv"):
        to_canonical(Decimal(1), "mSv", QUANTITIES["DLP"])
    with pytest.raises(UnitError, match=r"mGy is not a unit of DLP"):
        to_canonical(Decimal(1), "mGy", QUANTITIES["DLP"])
    with pytest.raises(UnitError, match="SUVmax"):
        find_quantity("SUVmax")
