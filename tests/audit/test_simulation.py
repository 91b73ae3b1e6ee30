"""A year of nightly runs on simulated groups: few false findings and false change signals, and real steps found soon.

The functions are those that the nightly run calls, from the table of values on. A night only adds exams to the charts
of the night before, and verdicts move at closes alone, so that the last night before each close shows all that the
nights of its period showed, and the night after the last one its verdict. DOSE_AUDIT_LONG=1 runs every seventh night
as well, and a wider spread of dose on ten times as many groups.
"""

from __future__ import annotations

import math
import os
from datetime import date, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from dose_audit.audit.charts import watch_all
from dose_audit.audit.columns import Columns
from dose_audit.audit.comparisons import judge_groups
from dose_audit.audit.detectors.drl import exceedances
from dose_audit.audit.nightly import default_since
from dose_audit.audit.numbering import Texts
from dose_audit.audit.references import References
from dose_audit.audit.residuals import log_residuals
from dose_audit.audit.schedule import nightly_schedule
from dose_audit.audit.steps import find_steps
from dose_audit.audit.values import REASONS, Values

LONG = bool(os.environ.get("DOSE_AUDIT_LONG"))
GROUPS = 200
BEGIN = date(2024, 7, 1)
DRL_MGY_CM = 290.0  # chest CT for lung cancer, UK 2024


def _values(doses: list[np.ndarray], days: list[np.ndarray], match) -> Values:
    """A table of values as `read_values` gives it: one scanner a group."""
    names = [f"Scanner {i:03d}" for i, part in enumerate(doses) for _ in range(part.size)]
    when = np.concatenate(days)
    n = when.size
    table = pa.table(
        {
            "exam_id": pa.array(np.arange(n)),
            "site": pa.array(["North"] * n),
            "equipment": pa.array(names),
            "modality": pa.array(["CT"] * n),
            "examination": pa.array(["ct-chest-lung-cancer"] * n),
            "examination_name": pa.array(["CT chest"] * n),
            "quantity": pa.array(["DLP"] * n),
            "unit": pa.array(["mGy.cm"] * n),
            "value": pa.array(np.concatenate(doses)),
            "study_datetime": pa.array(when.astype("datetime64[us]")),
            "study_date": pa.array(when.astype("datetime64[D]")),
            "weight_kg": pa.array([None] * n, pa.float64()),
            "thickness_mm": pa.array([None] * n, pa.float64()),
        }
    )
    everyone = np.zeros(n, dtype=np.int64)
    return Values(
        Columns(table),
        Texts(np.zeros(n, dtype=np.int8), ["", *REASONS]),
        References(everyone, [match], ["adult"]),
        Texts(np.ones(n, dtype=np.int8), ["", "adult"]),
    )


def _night(doses, days, match, night: date):
    """Exceedances and steps that a nightly run tells."""
    since = default_since(night)
    seen = [(part >= np.datetime64(since)) & (part < np.datetime64(night)) for part in days]
    values = _values(
        [d[s] for d, s in zip(doses, seen, strict=True)], [d[s] for d, s in zip(days, seen, strict=True)], match
    )
    schedule = nightly_schedule(since, night)
    groups = judge_groups(values, schedule)
    residual = log_residuals(values).judged
    steps, _ = find_steps(values, residual, [], watch_all(values, residual), schedule)
    return {f.equipment for f in exceedances(groups)}, steps


@pytest.fixture(scope="module")
def match(registry):
    found = registry.find("ct-chest-lung-cancer", "DLP", on=date(2025, 7, 1), age_years=50.0, phantom="body_32cm")
    assert found.row.value == DRL_MGY_CM
    return found


def _group(random, median: float, gsd: float, a_day: float, years: float = 2.0):
    n = int(365 * years * a_day)
    start = np.datetime64(datetime(BEGIN.year, BEGIN.month, BEGIN.day, 8), "s")
    days = start + (np.arange(n) / a_day * 86400).astype("timedelta64[s]")
    return median * np.exp(random.normal(0.0, math.log(gsd), n)), days


def _groups(groups):
    made = list(groups)
    return [doses for doses, _ in made], [days for _, days in made]


def _closes():
    """The last night before each close of the year, and the night after the last."""
    closes = [date(2025, 10, 1), date(2026, 1, 1), date(2026, 4, 1), date(2026, 7, 1)]
    return [*(close - timedelta(days=1) for close in closes), closes[-1]]


def _nights():
    weekly = {date(2025, 7, 1) + timedelta(days=d) for d in range(0, 365, 7)} if LONG else set()
    return sorted({*_closes(), *weekly})


def test_a_year_of_nights_on_groups_in_control(match):
    """True median 5 % under the level: an exceedance on under 2 % of groups, a change signal on under 5 %."""
    random = np.random.default_rng(20)
    exceeded, changed = _in_control(random, match, 1.5, _nights())
    assert len(exceeded) < 0.02 * GROUPS
    assert len(changed) < 0.05 * GROUPS


@pytest.mark.skipif(not LONG, reason="ten draws of 200 groups, every seventh night: DOSE_AUDIT_LONG=1")
def test_a_year_on_many_groups_in_control_with_a_wide_spread(match):
    """The same promises at a GSD of 2, over 2,000 groups.

    Over 4,800 groups the rates are 1.4 % and 1.8 %. Of 200 groups at 1.4 % four or more have an exceedance in three draws
    of ten, so that such a draw tells nothing; of 2,000, forty or more in one of fifty, and with a rate of 3 % hardly ever
    fewer.
    """
    exceeded = changed = 0
    for seed in range(20, 30):
        found = _in_control(np.random.default_rng(seed), match, 2.0, _nights())
        exceeded, changed = exceeded + len(found[0]), changed + len(found[1])
    assert exceeded < 0.02 * 10 * GROUPS
    assert changed < 0.05 * 10 * GROUPS


def _in_control(random, match, gsd, nights):
    """Groups with an exceedance, and groups with a step, on any of some nights."""
    rates = random.choice([0.15, 0.6, 1.5], GROUPS)
    doses, days = _groups(_group(random, 0.95 * DRL_MGY_CM, gsd, rate) for rate in rates)
    exceeded, changed = set(), set()
    for night in nights:
        found, steps = _night(doses, days, match, night)
        exceeded |= found
        changed |= {step.equipment for step in steps}
    return exceeded, changed


@pytest.mark.parametrize(
    ("gsd", "a_day", "least", "most"),
    [
        (1.2, 0.6, 0.98, 1.0),
        (1.25, 1.5, 0.94, 1.0),
        (1.3, 1.5, 0.90, 1.0),
        (1.3, 0.6, 0.79, 1.0),
        (1.35, 1.5, 0.68, 0.87),
        (1.5, 1.5, 0.25, 0.52),
    ],
)
def test_a_step_of_a_fifth_within_sixty_exams(match, gsd, a_day, least, most):
    """Nine in ten at a residual GSD of 1.25 and, of these 200 groups, at 1.3.

    Over 2,000 groups: 99.7 % at 1.2, 97.3 % at 1.25, 89.3 % at 1.3 (87.8 % at 0.6 exams a day), 75.8 % at 1.35 and 35.2 % at
    1.5, with standard errors of 1 % and less. But for the promise itself at 1.3 `least` is three standard errors of 200
    groups below. `most` at 1.35 and 1.5 is what Hawkins' self-starting CUSUM (The Statistician 36 (1987) 299) finds, with
    the same history of normal values and all of the promised 5 % a year for itself (docs/change_signals.md).
    """
    random = np.random.default_rng(7)
    groups = [_group(random, 150.0, gsd, a_day) for _ in range(GROUPS)]
    night = date(2026, 3, 20)  # well inside a period: the monitor alone can tell
    doses, days = [], []
    for dose, when in groups:
        last = int(np.searchsorted(when, np.datetime64(night)))
        dose = dose.copy()
        dose[last - 60 :] *= 1.2
        doses.append(dose)
        days.append(when)
    _, steps = _night(doses, days, match, night)
    begun = days[0][int(np.searchsorted(days[0], np.datetime64(night))) - 60].astype("datetime64[D]").item()
    found = {s.equipment for s in steps if s.ratio.value > 1.0 and abs((s.day - begun).days) < 60 / a_day}
    assert least <= len(found) / GROUPS <= most


def test_an_exceedance_that_is_real_is_found(match):
    """True median a quarter above the level, GSD 1.5, 50 exams a quarter: nearly every group within the year."""
    random = np.random.default_rng(3)
    doses, days = _groups(_group(random, 1.25 * DRL_MGY_CM, 1.5, 0.55) for _ in range(40))
    exceeded = set()
    for night in (date(2025, 10, 1), date(2026, 1, 1), date(2026, 4, 1), date(2026, 7, 1)):
        exceeded |= _night(doses, days, match, night)[0]
    assert len(exceeded) >= 38
