"""The method appendix of a report: what was done, with the limits and versions that were in force."""

from __future__ import annotations

import tomllib
from importlib import resources
from typing import TYPE_CHECKING, Any

from dose_audit.audit.comparisons import CI_LEVEL
from dose_audit.audit.detectors import drl, glandular, outliers, totals
from dose_audit.audit.limits import limit
from dose_audit.audit.sections.cross_site import LEAST_A_SITE
from dose_audit.audit.silences import MINIMUM_DAYS
from dose_audit.audit.slips import RECENT
from dose_audit.audit.steps import ASSOCIATED_DAYS, FALSE_ALARM, SERIES_FALSE_ALARM, SMALLEST_RATIO
from dose_audit.audit.verdicts import ALPHA_A_YEAR

if TYPE_CHECKING:
    from dose_audit.audit.mapping import StoredMapping
    from dose_audit.audit.schedule import Schedule

__all__ = ["ALGORITHMS", "method_texts"]

ALGORITHMS = {
    "cohort": "3, projections as far as the mapping tells them apart",
    "median_interval": "order statistics, at least 95 %",
    "quantile": "type 8 (median-unbiased)",
    "verdict": "2, at closes",
    "change_points": "PELT on normal scores at closes",
    "monitor": "self-starting CUSUM on sequential normal scores",
    "outliers": "robust log residuals",
}
"""Names and versions of what decides a result: a change of any of them changes the frozen hash."""


def method_texts(
    drl_sets: list[dict[str, Any]], mapping: StoredMapping, view: str, schedule: Schedule, doses: str = "displayed"
) -> list[dict[str, Any]]:
    """Build the report's ``methods`` from ``data/methods.toml``.

    Parameters
    ----------
    drl_sets : list of dict
        The run's own entries.
    mapping : StoredMapping
    view : str
        ``then`` or ``now``.
    schedule : Schedule
    doses : str
        ``displayed`` or ``corrected``: the site's choice of what is compared.
    """
    from dose_audit.drl.comparison import MINIMUM_N, MINIMUM_N_CHILD
    from dose_audit.statistics import sequential
    from dose_audit.statistics.size import MOST_MISSING

    words = {
        "mapping_version": mapping.version or "none",
        "mapping_rows": len(mapping.table.rows),
        "doses": _DOSES[doses],
        "view": "on the study date" if view == "then" else "on the date of the run",
        "sets": _sets(drl_sets),
        "least": ", ".join(f"{modality} {n}" for modality, n in MINIMUM_N.items()),
        "least_child": MINIMUM_N_CHILD,
        "ci_level": CI_LEVEL,
        "false_discovery": drl.FALSE_DISCOVERY_RATE,
        "alpha_a_year": ALPHA_A_YEAR,
        "looks": _looks(schedule),
        "monitor_false_alarm": sequential.FALSE_ALARM,
        "warm_up": sequential.WARM_UP,
        "series_false_alarm": SERIES_FALSE_ALARM,
        "step_false_alarm": FALSE_ALARM,
        "smallest_step": SMALLEST_RATIO - 1,
        "associated_days": ASSOCIATED_DAYS,
        "slip_exams": RECENT,
        "outlier_exams": outliers.MINIMUM_N,
        "outlier_false_alarm": outliers.FALSE_ALARM,
        "outlier_ratio": outliers.SMALLEST_RATIO,
        "site_exams": LEAST_A_SITE,
        "most_missing": MOST_MISSING,
        "cumulative_weeks": limit("cumulative_weeks"),
        "deviation_share": limit("deviation_index_share"),
        "deviation_exams": limit("deviation_index_minimum_n"),
        "deviation_beyond": limit("deviation_index_beyond"),
        "deviation_drift": limit("deviation_index_drift"),
        "target_change": limit("target_index_change"),
        "habit": limit("habit_minimum_n"),
        "glandular_views": glandular.MINIMUM_N,
        "silent_days": MINIMUM_DAYS,
        "totals_tolerance": totals.RELATIVE_TOLERANCE,
    }
    text = resources.files("dose_audit.audit").joinpath("data/methods.toml").read_text(encoding="utf-8")
    return [
        {"title": entry["title"], "text": entry["text"].format(**words)} for entry in tomllib.loads(text)["methods"]
    ]


_DOSES = {
    "displayed": "the dose as the device displays it",
    "corrected": "the dose as its calibration corrects it, or as displayed where an exam's values have no factor",
}


def _looks(schedule: Schedule) -> str:
    if schedule.single_look:
        return "once, over the whole period that was asked for"
    closed = ", ".join(period.name for period in schedule.periods) or "none has closed yet"
    return f"{schedule.periods_per_year} times a year, when a fixed period closes ({closed})"


def _sets(drl_sets: list[dict[str, Any]]) -> str:
    return "; ".join(f"{s['title']}, edition {s['edition']} ({s['status']})" for s in drl_sets) or "no set was loaded"
