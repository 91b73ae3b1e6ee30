"""Figures of merit and trade-offs against closed forms, scipy's intervals and made-up networks."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from dose_audit.quality.figure_of_merit import Merit, geometric_mean, merits
from dose_audit.quality.trade import ratio_of_means

_BY_ID = {one.id: one for one in merits()}


@pytest.mark.parametrize("dose", [2.0, 10.0, 37.5])
def test_quantum_noise_is_the_same_at_the_reference_dose(dose: float) -> None:
    noise = 4.0 * math.sqrt(10.0 / dose)
    assert _BY_ID["noise_at_reference_ctdi"].value(noise, None, dose) == pytest.approx(4.0)


def test_cnr_squared_per_dose_does_not_change_when_dose_is_traded_for_noise() -> None:
    merit = _BY_ID["cnr2_per_ctdi"]
    # CNR = 10/5 at 8 mGy; at half the dose noise is √2 times as large.
    assert merit.value(10.0, 5.0, 8.0) == pytest.approx(0.5)
    assert merit.value(10.0, 5.0 * math.sqrt(2), 4.0) == pytest.approx(0.5)
    assert merit.value(10.0, None, 8.0) is None
    assert merit.value(10.0, 5.0, 0.0) is None


@pytest.mark.parametrize("merit", [one for one in merits() if "ctdi" in one.dose], ids=lambda one: one.id)
def test_every_figure_over_ctdi_is_there_for_either_phantom_and_for_none_stated(merit: Merit) -> None:
    others = [one for one in merits() if (one.kind, one.numerator, one.denominator) == merit_of(merit)]
    doses = {one.dose for one in others if "ctdi" in one.dose}
    assert doses == {"ctdi_vol_mgy", "ctdi_vol_16_mgy", "ctdi_vol_32_mgy"}


def merit_of(merit: Merit) -> tuple[str, str, str]:
    return merit.kind, merit.numerator, merit.denominator


def test_the_interval_is_students() -> None:
    values = np.exp(np.random.default_rng(3).normal(1.0, 0.2, 11))
    found = geometric_mean(values)
    logs = np.log(values)
    low, high = stats.t.interval(0.95, 10, loc=logs.mean(), scale=stats.sem(logs))
    assert found is not None
    assert (found.value, found.low, found.high) == pytest.approx((stats.gmean(values), math.exp(low), math.exp(high)))


def test_too_few_values_have_no_interval() -> None:
    found = geometric_mean([2.0, 8.0])
    assert found is not None
    assert (found.value, found.low, found.high, found.n) == (pytest.approx(4.0), None, None, 2)
    assert geometric_mean([]) is None


def test_the_ratio_is_welchs() -> None:
    rng = np.random.default_rng(5)
    a, b = np.exp(rng.normal(0.0, 0.1, 6)), np.exp(rng.normal(0.3, 0.3, 9))
    found = ratio_of_means(a.tolist(), b.tolist())
    interval = stats.ttest_ind(np.log(b), np.log(a), equal_var=False).confidence_interval(0.95)
    assert found.value == pytest.approx(stats.gmean(b) / stats.gmean(a))
    assert (found.low, found.high) == pytest.approx((math.exp(interval.low), math.exp(interval.high)))


def test_the_true_ratio_is_covered_as_often_as_promised() -> None:
    rng = np.random.default_rng(11)
    covered = 0
    for _ in range(400):
        found = ratio_of_means(
            np.exp(rng.normal(0, 0.1, 5)).tolist(), np.exp(rng.normal(math.log(0.8), 0.1, 5)).tolist()
        )
        covered += found.low <= 0.8 <= found.high
    assert 0.91 < covered / 400 < 0.985  # 0.95 with four standard errors of 0.011


def test_every_figure_has_a_source_and_a_dose_that_images_can_state() -> None:
    from dose_audit.store.phantom_dose import _CTDI_PHANTOMS, _INDICATORS

    known = {name for name, _, _ in _INDICATORS} | set(_CTDI_PHANTOMS.values())
    for one in merits():
        assert one.source and one.dose in known and one.better in ("lower", "higher")
        assert one.kind in ("ratio", "contrast_to_noise", "noise_at_dose")
