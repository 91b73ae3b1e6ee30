"""Judges histories: each point in or out of tolerance, and in or out of statistical control by frozen limits."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dose_audit.phantom.definition import Tolerance
from dose_audit.phantom.judge import judge_value
from dose_audit.quality.history import Accepted, History, Mark, Point
from dose_audit.quality.states import ACT, RULES, SENTENCES, state_name
from dose_audit.statistics.individuals import ControlLimits, control_states
from dose_audit.statistics.monitor import ewma

__all__ = ["REPAIRS", "Judged", "judge_history", "sentence"]

# λ 0.2 with L 2.962: a mean of 500 points between false signals (Lucas and Saccucci, Technometrics 32 (1990) 1).
_EWMA_WEIGHT, _EWMA_WIDTH = 0.2, 2.962
# Values enter the average no further out than this many sigma: one spoilt scan alarms by itself and is then over.
_EWMA_REACH = 4.0
REPAIRS = ("service", "recalibration", "part", "move")
"""Recorded events after which a device may be another one. New software is no repair: a slow change goes on through it."""


@dataclass(frozen=True, slots=True)
class Judged:
    """One point with where it stands.

    Attributes
    ----------
    point : Point
    baseline : Accepted or None
        The one in force when the images were made.
    judgement : str
        As stored; where its tolerance is about a baseline, against the one now in force for its day, which may have been
        accepted since.
    tolerance : str
        ``in``, ``out`` or ``not_judged``.
    control : str
        ``in``, ``out`` or ``not_known``.
    rule : str
        The rule that says ``out``.
    phase_one : bool
        Made no later than the last of the runs that limits rest on.
    ewma : float or None
        The running average after this point.
    """

    point: Point
    baseline: Accepted | None
    judgement: str
    tolerance: str
    control: str
    rule: str = ""
    phase_one: bool = False
    ewma: float | None = None

    @property
    def accepted(self) -> bool:
        """Whether the baseline rests on this run: not every run of phase I was accepted, and repeats of a day seldom are."""
        return self.baseline is not None and self.point.run.id in self.baseline.runs

    @property
    def state(self) -> str:
        """One of the names in `STATE_NAMES`."""
        return state_name(self.tolerance, self.control)


def judge_history(history: History) -> list[Judged]:
    """Every point of a history with its state, in order of time.

    Parameters
    ----------
    history : History

    Returns
    -------
    list of Judged

    Notes
    -----
    Control is judged against limits that were frozen with a baseline, from the first counted run after the last accepted
    one until the next baseline: beyond the limits (rule 1), nine in a row on one side, or the exponentially weighted
    moving average (λ 0.2, L 2.962; values clipped at 4 sigma) beyond its own limits. A departure smaller than the value's
    own standard uncertainty (a third of it for the two rules that look at many values) is no change. The two rules that
    look back begin anew after a recorded event that may have mended the device (`REPAIRS`): what was wrong before it is
    over, and what it did not mend shows again. Limits and baseline stay until somebody accepts others. Repeats of a day,
    doubtful values and runs of phase I are not judged and do not enter the rules.
    """
    control: dict[int, tuple[str, str, float | None]] = {}
    phase_one: set[int] = set()
    for baseline, members in _segments(history):
        accepted = set(baseline.runs)
        end = max((point.run.at for point in members if point.run.id in accepted), default=None)
        first = [point for point in members if end is not None and point.run.at <= end]
        phase_one.update(point.run.id for point in first)
        later = [point for point in members if point.usable and point.run.id not in phase_one]
        for part in _between_repairs(later, history.marks):
            control.update(_control(baseline, part))
    judged = []
    for point in history.points:
        in_force = _baseline_at(history.accepted, point.run.at)
        judgement = _judgement(point, in_force)
        tolerance = {"pass": "in", "remedial": "out", "suspension": "out"}.get(judgement, "not_judged")
        state, rule, level = control.get(point.run.id, ("not_known", "", None))
        judged.append(
            Judged(point, in_force, judgement, tolerance, state, rule, point.run.id in phase_one, level),
        )
    return judged


def sentence(one: Judged) -> str:
    """What the state of a point means, in a sentence or two for a radiographer."""
    level = one.judgement if one.judgement in ACT else "remedial"
    return SENTENCES[one.state].format(
        rule=RULES.get(one.rule, ""),
        level=level,
        act=ACT[level],
        stop="; do not use the device before that" if level == "suspension" else "",
        missing=_missing(one),
        unjudged="Its tolerance is about a baseline, and none has been accepted"
        if one.judgement == "no_baseline"
        else "There is no tolerance to judge it by",
    )


def _missing(one: Judged) -> str:
    if one.baseline is None:
        return "no baseline has been accepted"
    if one.accepted:
        return "it is one of the runs that the limits rest on"
    if one.baseline.sigma is None:
        return "the accepted runs are too few for control limits, or all equal"
    if not one.point.run.counted:
        return "only the first run of a day is set against the limits"
    if one.phase_one:
        return "it was made before the last of the runs that the limits rest on"
    return "the value is in doubt"


def _segments(history: History) -> list[tuple[Accepted, list[Point]]]:
    """Each baseline with the points made while it held."""
    ends: list[dt.datetime | None] = [one.valid_from for one in history.accepted[1:]]
    return [
        (
            baseline,
            [p for p in history.points if p.run.at >= baseline.valid_from and (end is None or p.run.at < end)],
        )
        for baseline, end in zip(history.accepted, [*ends, None], strict=False)
    ]


def _between_repairs(points: Sequence[Point], marks: Sequence[Mark]) -> list[list[Point]]:
    """Points in order of time, parted where the device was worked on."""
    repairs = [mark.at for mark in marks if mark.kind in REPAIRS]
    parts: dict[int, list[Point]] = {}
    for point in points:
        parts.setdefault(sum(at <= point.run.at for at in repairs), []).append(point)
    return list(parts.values())


def _control(baseline: Accepted, points: Sequence[Point]) -> dict[int, tuple[str, str, float | None]]:
    """Control state, rule and running average of each run, by its id."""
    if baseline.sigma is None or baseline.lower is None or baseline.upper is None or not points:
        return {}
    values = [point.value for point in points if point.value is not None]
    centre = 0.5 * (baseline.lower + baseline.upper)
    limits = ControlLimits(centre, baseline.sigma, baseline.lower, baseline.upper, len(baseline.runs))
    shewhart = control_states(values, limits)
    reach = _EWMA_REACH * baseline.sigma
    clipped = [min(max(value, centre - reach), centre + reach) for value in values]
    average = ewma(clipped, target=centre, sigma=baseline.sigma, weight=_EWMA_WEIGHT, width=_EWMA_WIDTH)
    beyond = (average.upper > average.upper_limit) | (average.upper < average.lower_limit)
    found: dict[int, tuple[str, str, float | None]] = {}
    for point, state, out, level in zip(points, shewhart, beyond.tolist(), average.upper.tolist(), strict=True):
        assert point.value is not None
        doubt = point.uncertainty or 0.0
        rule = state.rule or ("ewma" if out else "")
        away = abs(point.value - centre) if rule == "beyond_limits" else abs(level - centre)
        # Nine values tell a third of what one can.
        if away <= (doubt if rule == "beyond_limits" else doubt / 3.0):
            rule = ""
        found[point.run.id] = ("out" if rule else "in", rule, float(level))
    return found


_ABOUT_BASELINES = ("no_baseline", "pass", "remedial", "suspension")
"""Judgements that another baseline may change; what could not be measured or is in doubt stays so."""


def _baseline_at(accepted: Sequence[Accepted], at: dt.datetime) -> Accepted | None:
    return next((one for one in reversed(accepted) if one.valid_from <= at), None)


def _judgement(point: Point, baseline: Accepted | None) -> str:
    """As stored; about a baseline, against the one that is now said to have held then."""
    if baseline is None or point.value is None or point.tolerance is None:
        return point.judgement
    if point.judgement not in _ABOUT_BASELINES or not point.tolerance["about"].startswith("baseline"):
        return point.judgement
    return judge_value(point.value, _limits(point.tolerance), baseline.value)


def _limits(stored: Mapping[str, Any]) -> Tolerance:
    return Tolerance(
        stored["measurement"],
        stored["unit"],
        about=stored["about"],
        nominal=stored["nominal"],
        remedial=(stored["remedial"][0], stored["remedial"][1]),
        suspension=(stored["suspension"][0], stored["suspension"][1]),
        source=stored["source"],
        edition=stored["edition"],
        status=stored["status"],
    )
