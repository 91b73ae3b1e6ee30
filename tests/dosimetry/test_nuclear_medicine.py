"""Activity: decay by hand, the EANM card by its table, and its conflict told."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dose_audit.dosimetry import (
    activity_per_kg,
    administered_activity,
    decay_factor,
    eanm_activity,
    extravasation,
    half_life,
)

NOON = datetime(2026, 3, 1, 12, 0)


def test_decay_and_residual_by_hand() -> None:
    result = administered_activity(
        400.0,
        3600.0,
        measured_at=NOON,
        administered_at=NOON + timedelta(hours=1),
        residual_mbq=10.0,
        residual_at=NOON + timedelta(hours=2),
    )
    # 400 halves to 200; the residual of 10 was 20 at the administration.
    assert result.value == pytest.approx(180.0)
    assert result.status == "ok"


def test_across_midnight_and_time_zones() -> None:
    before = datetime(2026, 3, 1, 23, 30, tzinfo=UTC)
    result = administered_activity(
        100.0, 3600.0, measured_at=before, administered_at=before + timedelta(hours=1), residual_mbq=0.0
    )
    assert result.value == pytest.approx(50.0)
    mixed = administered_activity(100.0, 3600.0, measured_at=before, administered_at=NOON, residual_mbq=0.0)
    assert mixed.status == "suspect"  # one has a time zone, the other none


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"measured_mbq": -1.0}, "activity"),
        ({"measured_mbq": None}, "activity"),
        ({"half_life_s": 0.0}, "half-life"),
        ({"residual_mbq": 500.0, "residual_at": NOON}, "exceeds"),
        ({"administered_at": NOON - timedelta(hours=3)}, "administered"),
        ({"administered_at": NOON + timedelta(days=30)}, "administered"),
        ({"residual_mbq": math.nan}, "residual"),
    ],
)
def test_what_is_refused(change: dict[str, object], word: str) -> None:
    given_ = {"measured_mbq": 100.0, "half_life_s": 6586.0, "measured_at": NOON, "administered_at": NOON, **change}
    result = administered_activity(**given_)  # type: ignore[arg-type]
    assert result.value is None
    assert word in result.reason


def test_doubts_are_told() -> None:
    assert "residual" in administered_activity(100.0, 6586.0, measured_at=NOON, administered_at=NOON).reason
    assert "decay" in administered_activity(100.0, 6586.0, residual_mbq=0.0).reason


@given(st.floats(1, 1e4), st.floats(60, 1e6), st.floats(0, 5), st.floats(0, 5))
def test_decay_composes(activity: float, half_life_s: float, first: float, second: float) -> None:
    one = decay_factor(first * half_life_s, half_life_s) * decay_factor(second * half_life_s, half_life_s)
    assert activity * one == pytest.approx(activity * decay_factor((first + second) * half_life_s, half_life_s))


@pytest.mark.parametrize(
    ("tracer", "kg", "mbq"),
    [
        ("F18_FDG_torso", 20, 125.874),
        ("Tc99m_MDP", 10, 94.85),
        ("Tc99m_MDP", 20, 170.1),
        ("Tc99m_MDP", 30, 240.1),
        ("Tc99m_MDP", 40, 310.1),
        ("Tc99m_DMSA", 4, 18.5),
    ],
)
def test_the_eanm_card(tracer: str, kg: float, mbq: float) -> None:
    assert eanm_activity(tracer, kg).value == pytest.approx(mbq)


def test_the_card_is_not_extrapolated_and_tells_its_conflict() -> None:
    for kg in (2.9, 68.1, None, math.nan, 0):
        assert eanm_activity("Tc99m_MDP", kg).value is None
    assert eanm_activity("Tc99m_MDP", 53).status == "suspect"
    assert eanm_activity("Tc99m_MDP", 56).status == "ok"
    assert eanm_activity("Xx", 20).value is None
    assert eanm_activity("Tc99m_MDP", 20, version="1999").value is None


@given(st.floats(3, 67), st.floats(0.01, 1))
def test_the_card_never_falls_with_weight(kg: float, more: float) -> None:
    assert (eanm_activity("Tc99m_MAG3", kg).value or 9e9) <= (eanm_activity("Tc99m_MAG3", kg + more).value or 0) + 1e-9


def test_per_kg_and_half_lives() -> None:
    assert activity_per_kg(210.0, 70.0).value == pytest.approx(3.0)
    for weight in (0.0, None, -3.0, 1000.0):
        assert activity_per_kg(210.0, weight).value is None
    assert half_life("Tc-99m").value is None
    assert half_life("99mTc", allow_unverified=True).value == pytest.approx(6.0067 * 3600)
    assert half_life("^18^Fluorine", allow_unverified=True).value == pytest.approx(109.77 * 60)
    assert "unverified" in half_life("Ga-68", allow_unverified=True).method
    assert half_life("Unobtainium-1", allow_unverified=True).value is None


@pytest.mark.parametrize(
    ("words", "told"),
    [("yes", True), ("No", False), ("Extravasation: no", False), ("", None), (None, None), ("mild", True)],
)
def test_extravasation(words: str | None, told: bool | None) -> None:
    assert extravasation(words) is told
