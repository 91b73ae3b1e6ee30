"""Benjamini–Hochberg against a worked example and scipy."""

import numpy as np
import pytest
from scipy import stats

from dose_audit.statistics import benjamini_hochberg

P = [0.001, 0.008, 0.039, 0.041, 0.042, 0.06, 0.074, 0.205, 0.212, 0.216]


def test_worked_example():
    result = benjamini_hochberg(P)
    expected = [0.01, 0.04, 0.084, 0.084, 0.084, 0.1, 0.1057, 0.216, 0.216, 0.216]
    assert result.adjusted == pytest.approx(expected, abs=5e-5)
    assert result.rejected == (True, True, *[False] * 8)


def test_equals_scipy_in_any_order_and_with_ties():
    rng = np.random.default_rng(3)
    for n in (1, 2, 17, 200):
        p = np.round(rng.uniform(size=n) ** 2, 2)
        assert benjamini_hochberg(p).adjusted == pytest.approx(stats.false_discovery_control(p), rel=1e-12)


def test_no_tests_and_impossible_p_values():
    assert benjamini_hochberg([]).adjusted == ()
    for bad in (-0.1, 1.1, float("nan")):
        with pytest.raises(ValueError, match="position 1"):
            benjamini_hochberg([0.5, bad])
