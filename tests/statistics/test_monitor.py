"""EWMA and CUSUM against worked tables and run lengths from the literature."""

import math

import numpy as np
import pytest

from dose_audit.statistics import cusum, ewma

X = [10.2, 10.5, 10.6, 10.4, 10.9]


def test_ewma_table():
    chart = ewma(X, target=10.1, sigma=0.25, weight=0.2, width=2.962)
    assert chart.upper == pytest.approx([10.12, 10.196, 10.2768, 10.30144, 10.42115], abs=5e-6)
    assert chart.upper_limit == pytest.approx([10.2481, 10.28966, 10.31203, 10.32518, 10.33321], abs=5e-5)
    assert (chart.first_signal, chart.direction) == (4, 1)


def test_cusum_table():
    chart = cusum(X, target=10.1, sigma=0.25)
    assert chart.upper == pytest.approx([0.0, 1.1, 2.6, 3.3, 6.0], abs=1e-9)
    assert (chart.first_signal, chart.direction) == (4, 1)
    down = cusum([-x for x in X], target=-10.1, sigma=0.25)
    assert down.lower == pytest.approx([0.0, -1.1, -2.6, -3.3, -6.0], abs=1e-9)
    assert (down.first_signal, down.direction) == (4, -1)


@pytest.mark.parametrize(
    ("chart", "options", "shift", "run_length"),
    [
        (cusum, {"decision": 5.0}, 1.0, 10.4),
        (cusum, {"decision": 4.0}, 1.0, 8.38),
        (ewma, {"weight": 0.1, "width": 2.814}, 1.0, 10.3),
        (cusum, {"decision": 4.0}, 0.0, 167.7),
    ],
)
def test_average_run_length(chart, options, shift, run_length):
    """Run lengths are near geometric; the mean of 300 is within four standard errors of the published one."""
    rng = np.random.default_rng(int(run_length * 10))
    lengths = []
    for _ in range(300):
        series = rng.standard_normal(int(run_length * 12)) + shift
        signal = chart(series, target=0.0, sigma=1.0, **options).first_signal
        lengths.append(len(series) if signal is None else signal + 1)
    spread = np.std(lengths) / math.sqrt(300)
    # An EWMA's exact early limits signal a little sooner than the steady ones that the table is for.
    assert abs(np.mean(lengths) - run_length) < 4 * spread + 0.08 * run_length


def test_empty_series_and_impossible_settings():
    assert ewma([], target=0, sigma=1).status == "EMPTY"
    with pytest.raises(ValueError, match="sigma"):
        cusum([1.0], target=0, sigma=0.0)
    with pytest.raises(ValueError, match="weight"):
        ewma([1.0], target=0, sigma=1, weight=0.0)


@pytest.mark.parametrize(
    "wrong", [{"target": math.nan}, {"sigma": math.nan}, {"sigma": 0.0}, {"limit": math.nan}, {"limit": 0.0}]
)
def test_a_chart_that_could_never_signal_is_refused(wrong):
    given = {"target": 0.0, "sigma": 1.0, "limit": 3.0} | wrong
    limit = given.pop("limit")
    with pytest.raises(ValueError, match=next(iter(wrong))):
        ewma([1.0, 200.0], width=limit, **given)
    with pytest.raises(ValueError, match=next(iter(wrong))):
        cusum([1.0, 200.0], decision=limit, **given)
    with pytest.raises(ValueError, match="allowance"):
        cusum([1.0, 200.0], target=0.0, sigma=1.0, allowance=math.nan)
