"""Verdicts on closed periods: each group is judged once at a close, on the period or, with too few exams, on its year."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from dose_audit.audit.kept import KeptResults
    from dose_audit.audit.schedule import Period, Schedule
    from dose_audit.statistics import PeriodVerdict

__all__ = ["ALPHA_A_YEAR", "GroupVerdict", "judge_at_closes"]

ALPHA_A_YEAR = 0.05
"""Chance in a year that a group whose true median is at its reference level is given an exceedance."""


@dataclass(frozen=True)
class GroupVerdict:
    """What the closes say of one group.

    Attributes
    ----------
    basis : str
        ``period``, ``year`` (the twelve months up to the last close), ``single look`` or ``none`` (nothing has
        closed).
    windows : tuple of Period
    verdicts : tuple of PeriodVerdict
        One a window, oldest first.
    """

    basis: str
    windows: tuple[Period, ...]
    verdicts: tuple[PeriodVerdict, ...]

    @property
    def latest(self) -> PeriodVerdict | None:
        """The last verdict that could be given."""
        judged = [verdict for verdict in self.verdicts if verdict.flag is not None]
        return judged[-1] if judged else None

    @property
    def window(self) -> Period | None:
        """Window of `latest`."""
        latest = self.latest
        return next((w for w, v in zip(self.windows, self.verdicts, strict=True) if v is latest), None)

    @property
    def exceeded(self) -> bool:
        """Whether an exceedance was shown and not yet taken back."""
        return bool(self.verdicts) and self.verdicts[-1].finding == "standing"

    def record(self) -> dict[str, Any]:
        """Entry of ``report.json``: both axes of every verdict."""
        return {
            "basis": self.basis,
            "finding": self.verdicts[-1].finding if self.verdicts else "unknown",
            "periods": [
                window.record()
                | {
                    "n": verdict.n,
                    "median": verdict.median.value,
                    "ci_low": verdict.median.low,
                    "ci_high": verdict.median.high,
                    "icrp_flag": verdict.flag,
                    "evidence": verdict.evidence,
                    "p_above": verdict.p_above,
                    "p_below": verdict.p_below,
                    "finding": verdict.finding,
                    "changed": verdict.changed,
                    "reason": verdict.reason,
                }
                for window, verdict in zip(self.windows, self.verdicts, strict=True)
            ],
        }


def judge_at_closes(
    doses: NDArray[np.float64],
    days: NDArray[np.datetime64],
    reference: float | None,
    schedule: Schedule,
    *,
    minimum_n: int,
    level: float = 0.95,
    stood_before: bool = False,
    kept: KeptResults | None = None,
) -> GroupVerdict:
    """Judge one group against its reference level at the closes of a schedule.

    Parameters
    ----------
    doses : array of float
        Positive, of one group, in the reference level's unit.
    days : array of datetime64
        Their study dates.
    reference : float or None
        None gives no verdict.
    schedule : Schedule
    minimum_n : int
        Fewer exams in a window give no verdict.
    level : float
        Of the medians' intervals.
    stood_before : bool
        Whether an exceedance of this group stands from earlier runs. It matters for the year alone: once raised,
        it then stands until the year's median is no longer above the level.
    kept : KeptResults, optional
        Has the verdicts of earlier runs on the same doses.

    Notes
    -----
    At each close there is one test, on the period or on the year, and which of them depends on the number of exams
    alone. With the year's chance of error shared out among the closes it is kept whatever the overlap of the
    windows (Bonferroni).
    """
    from dose_audit.statistics import Estimate, PeriodVerdict, period_verdicts

    if reference is None or not schedule.periods:
        return GroupVerdict("none", (), ())
    day = days.astype("datetime64[D]")
    windows, basis = schedule.periods, "single look" if schedule.single_look else "period"
    inside = [doses[_within(day, window)] for window in windows]
    quiet, standing = 2, False
    if schedule.year is not None and not any(part.size >= minimum_n for part in inside):
        year = doses[_within(day, schedule.year)]
        if year.size >= minimum_n:
            windows, inside, basis = (schedule.year,), [year], "year"
            quiet, standing = 1, stood_before
    names = [window.name for window in windows]
    settings: dict[str, Any] = {
        "periods_per_year": schedule.periods_per_year,
        "alpha_per_year": ALPHA_A_YEAR,
        "minimum_n": minimum_n,
        "quiet_periods": quiet,
        "level": level,
        "standing": standing,
    }

    def judged() -> tuple[PeriodVerdict, ...]:
        return period_verdicts(list(zip(names, inside, strict=True)), reference, **settings)

    if kept is None or schedule.single_look:
        return GroupVerdict(basis, windows, judged())
    rows = kept.result(
        "verdicts", (names, *inside, reference, settings), lambda: [asdict(verdict) for verdict in judged()]
    )
    return GroupVerdict(
        basis, windows, tuple(PeriodVerdict(**(row | {"median": Estimate(**row["median"])})) for row in rows)
    )


def _within(day: NDArray[np.datetime64], window: Period) -> NDArray[np.bool_]:
    return (day >= np.datetime64(window.first, "D")) & (day <= np.datetime64(window.last, "D"))
