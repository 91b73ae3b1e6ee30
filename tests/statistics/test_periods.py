"""Verdicts on fixed periods: the promise about false findings, computed, and no flapping."""

import math

import numpy as np
import pytest
from scipy import stats

from dose_audit.statistics import finding_probability, period_verdicts

HIGH, LOW = [12.0] * 22 + [8.0] * 3, [8.0] * 22 + [12.0] * 3
JUST_OVER, JUST_UNDER = [11.0] * 13 + [9.0] * 12, [11.0] * 12 + [9.0] * 13


def findings(*periods, **options):
    named = [(str(i), doses) for i, doses in enumerate(periods)]
    return [verdict.finding for verdict in period_verdicts(named, 10.0, **options)]


def test_a_median_that_strays_about_the_level_moves_the_flag_and_no_finding():
    named = [(str(i), (JUST_OVER, JUST_UNDER)[i % 2]) for i in range(12)]
    verdicts = period_verdicts(named, 10.0)
    assert [verdict.flag for verdict in verdicts] == [True, False] * 6
    assert {verdict.evidence for verdict in verdicts} == {"consistent"}
    assert {verdict.finding for verdict in verdicts} == {"clear"}
    assert not any(verdict.changed for verdict in verdicts)


def test_a_finding_once_raised_outlasts_the_strays_and_ends_on_evidence_or_quiet():
    assert findings(HIGH, JUST_UNDER, JUST_OVER, JUST_UNDER) == ["standing"] * 4
    assert findings(HIGH, LOW) == ["standing", "clear"]
    assert findings(HIGH, JUST_UNDER, JUST_UNDER) == ["standing", "standing", "clear"]
    assert findings(HIGH, [], HIGH, [11.0] * 5) == ["standing"] * 4
    assert findings(HIGH, JUST_UNDER, [9.0], JUST_UNDER) == ["standing"] * 3 + ["clear"]
    assert findings([], [9.0] * 3) == ["unknown", "unknown"]


def test_changes_are_marked_once():
    named = [("a", JUST_UNDER), ("b", HIGH), ("c", HIGH), ("d", LOW), ("e", LOW)]
    changed = [verdict.changed for verdict in period_verdicts(named, 10.0)]
    assert changed == [False, True, False, True, False]


def test_evidence_is_the_exact_test_at_the_shared_out_level():
    """16 of 20 has p = 0.0059 and 15 of 20 p = 0.0207: at 0.05/4 only the first is evidence."""
    for above, evidence in ((15, "consistent"), (16, "exceeds")):
        (verdict,) = period_verdicts([("Q1", [11.0] * above + [9.0] * (20 - above))], 10.0)
        assert verdict.p_above == pytest.approx(stats.binomtest(above, 20, alternative="greater").pvalue)
        assert verdict.evidence == evidence


@pytest.mark.parametrize("periods", [1, 4, 12])
def test_false_findings_of_groups_five_per_cent_under_the_level_stay_under_two_per_cent(periods):
    """GSD 1.6, any number of exams a period; and never more than the stated 5 % for a median at the level."""
    share = stats.norm.cdf(math.log(0.95) / math.log(1.6))
    for n in (20, 25, 30, 50, 100, 200, 500):
        assert finding_probability(n, share, periods_per_year=periods) < 0.02
        assert finding_probability(n, 0.5, periods_per_year=periods) <= 0.05


def test_finding_probability_equals_the_binomial_sum_and_the_procedure():
    needed = next(k for k in range(51) if stats.binom.sf(k - 1, 50, 0.5) <= 0.0125)
    once = stats.binom.sf(needed - 1, 50, 0.6)
    computed = finding_probability(50, 0.6)
    assert computed == pytest.approx(1 - (1 - once) ** 4)
    rng = np.random.default_rng(3)
    runs = 300
    raised = 0
    for _ in range(runs):
        year = [(str(q), np.where(rng.uniform(size=50) < 0.6, 11.0, 9.0)) for q in range(4)]
        raised += any(verdict.evidence == "exceeds" for verdict in period_verdicts(year, 10.0))
    assert abs(raised / runs - computed) < 3.5 * math.sqrt(computed * (1 - computed) / runs)


def test_refusals():
    with pytest.raises(ValueError, match="reference level"):
        period_verdicts([], 0.0)
    with pytest.raises(ValueError, match="same name"):
        period_verdicts([("a", HIGH), ("a", LOW)], 10.0)
    with pytest.raises(ValueError, match="periods per year"):
        period_verdicts([], 10.0, periods_per_year=0)
    with pytest.raises(ValueError, match="share"):
        finding_probability(20, 1.2)
    assert period_verdicts([], 10.0) == ()
