"""Run lengths against published tables, closed forms and the charts themselves."""

import math

import numpy as np
import pytest
from scipy import stats

from dose_audit.statistics import calibrate, cusum, cusum_run_length, ewma, ewma_run_length, false_signal


@pytest.mark.parametrize(
    ("weight", "width", "expected"),
    [
        (0.1, 2.814, {0.0: 499.5, 0.5: 31.3, 1.0: 10.3}),
        (0.2, 2.962, {0.0: 499.7, 0.5: 41.8, 1.0: 10.5, 2.0: 3.74}),
        (0.2, 2.7, {0.0: 237.7, 1.0: 8.77}),
        (1.0, 3.0, {0.0: 370.4, 0.5: 155.2, 1.0: 43.9, 2.0: 6.3, 3.0: 2.0}),  # Shewhart's chart
    ],
)
def test_ewma_tables(weight, width, expected):
    """Limits that stand still; λ 0.1 and 0.2 at 500 are the designs of Lucas and Saccucci, Technometrics 32 (1990) 1."""
    for shift, run_length in expected.items():
        ours = ewma_run_length(weight=weight, width=width, shift=shift, early_limits=False).value
        digits = 0.05 if run_length >= 10 else 0.006 if run_length not in (6.3, 2.0) else 0.05
        assert ours == pytest.approx(run_length, abs=max(digits, 2e-4 * run_length))


@pytest.mark.parametrize(
    ("decision", "expected"),
    [
        (4.0, {0.0: 167.7, 0.5: 26.6, 1.0: 8.38, 2.0: 3.34}),
        (4.77, {0.0: 368.5, 1.0: 9.92}),
        (5.0, {0.0: 465.4, 0.5: 38.0, 1.0: 10.4, 2.0: 4.01}),
    ],
)
def test_cusum_tables(decision, expected):
    """k = ½, two sides; h 4 and 5 as in Montgomery, Introduction to Statistical Quality Control, chapter 9."""
    for shift, run_length in expected.items():
        ours = cusum_run_length(decision=decision, shift=shift).value
        # As printed; the table's 368.5 is short of the integral equation's 368.56 by 0.02 %.
        assert ours == pytest.approx(run_length, rel=2e-4, abs=0.06 if run_length >= 10 else 0.006)


@pytest.mark.parametrize(("decision", "shift"), [(4.77, 0.0), (5.0, 0.5)])
def test_cusum_equals_a_markov_chain(decision, shift):
    """Brook and Evans, Biometrika 59 (1972) 539: t states, their error falling with 1/t², taken away."""

    def one_side(t, drift):
        width = 2 * decision / (2 * t - 1)
        start = np.arange(t)[:, None] * width - drift
        reach = np.arange(t)[None, :] * width
        edges = stats.norm.cdf(reach + width / 2 - start + 0.5)
        move = np.diff(edges, axis=1, prepend=0.0)
        return np.linalg.solve(np.eye(t) - move, np.ones(t))[0]

    def refined(drift):
        return (4 * one_side(320, drift) - one_side(160, drift)) / 3

    expected = 1 / (1 / refined(-shift) + 1 / refined(shift))
    assert cusum_run_length(decision=decision, shift=shift).value == pytest.approx(expected, rel=1e-4)


def test_independent_looks_closed_form():
    """With λ = 1 every observation is a look of its own: 1 − (1 − p)ⁿ."""
    p = 2 * stats.norm.sf(3.0)
    result = ewma_run_length(weight=1.0, width=3.0, n=200)
    assert result.probability == pytest.approx(1 - (1 - p) ** 200, rel=1e-6)
    assert result.value == pytest.approx(1 / p, rel=1e-6)


def test_the_first_two_observations_by_a_double_integral():
    """P(no signal in two observations) of the chart as drawn, from the bivariate normal distribution."""
    weight, width, shift = 0.1, 1.5, 0.4
    variance = [weight**2, weight**2 * (1 + (1 - weight) ** 2)]
    mean = [weight * shift, weight * shift * (2 - weight)]
    shared = (1 - weight) * weight**2
    cover = [[variance[0], shared], [shared, variance[1]]]
    edge = [width * math.sqrt(v) for v in variance]
    inside = stats.multivariate_normal(mean, cover).cdf(edge, lower_limit=[-e for e in edge])
    result = ewma_run_length(weight=weight, width=width, shift=shift, n=2)
    assert 1 - result.probability == pytest.approx(inside, abs=1e-6)


@pytest.mark.parametrize(("chart", "name", "parameter"), [(ewma, "ewma", 0.1), (cusum, "cusum", 0.5)])
def test_the_charts_signal_as_often_as_computed(chart, name, parameter):
    limit = 2.4 if name == "ewma" else 4.0
    options = {"width": limit} if name == "ewma" else {"decision": limit}
    rng = np.random.default_rng(8)
    runs = 400
    signals = sum(
        chart(rng.standard_normal(60), target=0.0, sigma=1.0, **options).first_signal is not None for _ in range(runs)
    )
    expected = false_signal(name, parameter, limit, 60)
    assert abs(signals / runs - expected) < 3.5 * math.sqrt(expected * (1 - expected) / runs) + 0.01


@pytest.mark.parametrize("chart", ["ewma", "cusum"])
def test_a_calibrated_year_keeps_its_promise(chart):
    limit = calibrate(chart, n=365)
    assert 0.0497 < limit.probability <= 0.05
    assert false_signal(chart, limit.parameter, limit.value, 365) == limit.probability
    assert false_signal(chart, limit.parameter, limit.value - 0.01, 365) > 0.05
    assert calibrate(chart, n=1825).value > limit.value > calibrate(chart, n=52).value


def test_an_estimated_baseline_needs_wider_limits():
    known, few = (calibrate("ewma", n=100, baseline_n=m).value for m in (None, 50))
    assert known < few
    simulated, runs = 0, 400
    rng = np.random.default_rng(12)
    for _ in range(runs):
        series = rng.standard_normal(150)
        base = series[:50]
        chart = ewma(series[50:], target=base.mean(), sigma=base.std(ddof=1), width=few)
        simulated += chart.first_signal is not None
    assert abs(simulated / runs - 0.05) < 3.5 * math.sqrt(0.05 * 0.95 / runs)


def test_refusals():
    assert calibrate("ewma", n=100, baseline_n=5).status == "INSUFFICIENT_N"
    out_of_reach = calibrate("cusum", n=5000, baseline_n=10, parameter=0.2)
    assert (out_of_reach.status, out_of_reach.value) == ("NOT_ATTAINABLE", None)
    with pytest.raises(ValueError, match="chart"):
        calibrate("shewhart", n=100)
    with pytest.raises(ValueError, match="false alarm"):
        calibrate("ewma", n=100, false_alarm=0.0)
    with pytest.raises(ValueError, match="weight"):
        ewma_run_length(weight=0.0)
    with pytest.raises(ValueError, match="allowance"):
        cusum_run_length(allowance=0.0)
