"""Sequential normal scores against their definition, and the running chart against the promise it makes."""

import math

import numpy as np
import pytest
from scipy import stats

from dose_audit.statistics import calibrate, running_chart, sequential_scores
from dose_audit.statistics.run_length import CUSUM, cusum_survival
from dose_audit.statistics.sequential import ALLOWANCE, FALSE_ALARM


def test_scores_are_normal_quantiles_of_sequential_ranks():
    values = np.random.default_rng(1).lognormal(size=60)
    expected = [stats.norm.ppf((stats.rankdata(values[: i + 1])[i] - 0.5) / (i + 1)) for i in range(60)]
    np.testing.assert_allclose(sequential_scores(values), expected, atol=1e-12)
    tied = [3.0, 1.0, 3.0, 3.0, 2.0]
    expected = [stats.norm.ppf((stats.rankdata(tied[: i + 1])[i] - 0.5) / (i + 1)) for i in range(5)]
    np.testing.assert_allclose(sequential_scores(tied), expected, atol=1e-12)


@pytest.mark.parametrize("known", [0, 1, 200, 1290])
def test_scores_of_many_exams_at_once_and_of_few_more_are_those_of_the_definition(known):
    values = np.round(np.random.default_rng(2).normal(size=1300), 1)  # with many ties
    expected = [stats.norm.ppf((stats.rankdata(values[: i + 1])[i] - 0.5) / (i + 1)) for i in range(values.size)]
    told = np.array(expected[:known])
    np.testing.assert_allclose(sequential_scores(values, told), expected, atol=1e-12)


@pytest.mark.parametrize("draw", ["standard_normal", "standard_cauchy", "standard_exponential"])
def test_false_signals_are_no_more_than_promised_whatever_the_distribution(draw):
    random = np.random.default_rng(5)
    runs, promise = 300, 0.05
    signals = sum(bool(running_chart(getattr(random, draw)(300), false_alarm=promise).signals) for _ in range(runs))
    assert signals / runs < promise + 2.5 * math.sqrt(promise * (1 - promise) / runs)


@pytest.mark.parametrize("gsd", [1.2, 1.3, 1.35, 1.5])
def test_the_allowance_is_the_best_for_sixty_exams_whatever_the_spread(gsd):
    """By integral equations, level known: half the shift, the usual choice, would be 0.5 at 1.2 and 0.22 at 1.5."""

    def found(allowance):
        limit = calibrate(CUSUM, n=673, parameter=allowance, false_alarm=FALSE_ALARM)
        return 1.0 - cusum_survival(allowance, limit.value, math.log(1.2) / math.log(gsd), 1.0, 60)[0]

    assert found(ALLOWANCE) > max(found(allowance) for allowance in (0.2, 0.35, 0.5)) - 0.002


def test_two_steps_are_two_signals_with_their_directions_and_days():
    random = np.random.default_rng(9)
    series = np.concatenate([random.normal(m, 1.0, 200) for m in (0.0, 1.5, -0.5)])
    chart = running_chart(series)
    assert [signal.direction for signal in chart.signals] == [1, -1]
    assert all(abs(s.change - at) <= 8 for s, at in zip(chart.signals, (200, 400), strict=True))
    # The charts are silent while they learn anew, and what was drawn up to the signal stands.
    first = chart.signals[0]
    assert np.isfinite(chart.high[first.index]) and chart.high[first.index] > chart.decision
    assert np.isnan(chart.high[first.index + 1 : first.change + 30]).all()


def test_short_and_constant_series_have_no_signal():
    assert running_chart(np.zeros(60)).status == "INSUFFICIENT_N"
    assert running_chart(np.zeros(400)).signals == ()
    with pytest.raises(ValueError):
        running_chart([math.nan] * 100)
