"""Many groups at once have the figures that each has alone, and those of scipy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, quantile_test
from scipy.stats.mstats import mquantiles

from dose_audit.statistics import SortedGroups, median_interval, quantile, sign_test

DOSES = st.floats(0.001, 1e6, allow_nan=False).map(lambda dose: round(dose, 3))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(DOSES, max_size=40), min_size=1, max_size=8), st.sampled_from([0.9, 0.95, 0.99]))
def test_the_figures_are_those_of_each_group_alone(groups: list[list[float]], level: float) -> None:
    together = SortedGroups([dose for group in groups for dose in group], [len(group) for group in groups])
    for group, found in zip(groups, together.figures(level), strict=True):
        assert found.median == median_interval(group, level)
        assert (found.p25, found.p75) == (quantile(group, 0.25), quantile(group, 0.75))
    references = [None if len(group) % 5 == 4 else (group[0] if group else 1.0) for group in groups]
    for group, reference, test in zip(groups, references, together.sign_tests(references), strict=True):
        assert test == (None if reference is None else sign_test(group, reference))


def test_the_figures_are_those_of_scipy() -> None:
    random = np.random.default_rng(3)
    groups = [random.lognormal(5.0, 0.4, n) for n in (1, 5, 6, 7, 19, 20, 50, 333)]
    together = SortedGroups(np.concatenate(groups), [group.size for group in groups])
    tests = together.sign_tests([150.0] * len(groups))
    for group, found, test in zip(groups, together.figures(), tests, strict=True):
        quartiles = mquantiles(group, [0.25, 0.5, 0.75], alphap=1 / 3, betap=1 / 3)
        assert [found.p25, found.median.value, found.p75] == pytest.approx(quartiles.tolist(), rel=1e-12)
        above = quantile_test(group, q=150.0, p=0.5, alternative="greater")
        assert test is not None
        assert test.p_above == pytest.approx(above.pvalue, abs=1e-12)
        if found.median.low is None:
            assert group.size < 6
            continue
        low, high = np.searchsorted(np.sort(group), [found.median.low, found.median.high]) + 1
        assert binom.cdf(high - 1, group.size, 0.5) - binom.cdf(low - 1, group.size, 0.5) >= 0.95


def test_sizes_that_do_not_add_up_are_refused() -> None:
    with pytest.raises(ValueError, match="do not add up"):
        SortedGroups([1.0, 2.0], [3])
    with pytest.raises(ValueError, match="do not add up"):
        SortedGroups([1.0, 2.0], [3, -1])
    with pytest.raises(ValueError, match="position 1 is not finite"):
        SortedGroups([1.0, np.inf], [2])


def test_no_group_and_empty_groups() -> None:
    assert SortedGroups([], []).figures() == []
    [empty, one] = SortedGroups([4.0], [0, 1]).figures()
    assert (empty.median.value, empty.p25, empty.median.status) == (None, None, "EMPTY")
    assert (one.median.value, one.p25, one.median.low) == (4.0, 4.0, None)
