"""Devices whose detector dose drifts or steps from its target, misses it too often, or whose target is another."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtrc

from dose_audit.audit.context import AuditContext
from dose_audit.audit.deviation import IndexGroup, TargetChange, drift_a_year, index_groups, step_of
from dose_audit.audit.findings import Finding
from dose_audit.audit.limits import limit
from dose_audit.audit.verdicts import ALPHA_A_YEAR
from dose_audit.figures import figure

__all__ = ["detect"]


def detect(context: AuditContext) -> list[Finding]:
    """Raise ``exposure_index``, judged at the schedule's closes like a reference level."""
    last = context.schedule.last_day
    if last is None:
        return []
    groups = context.once(index_groups)
    # One chance of error for all groups of the run together: acquisition protocols are many.
    alpha = ALPHA_A_YEAR / context.schedule.periods_per_year / max(1, len(groups))
    findings = []
    for group in groups:
        closed = group.times.astype("datetime64[D]") <= np.datetime64(last, "D")
        findings.extend(_too_often(group, group.deviation[closed], alpha))
        findings.extend(_drifting(group, closed, alpha))
        findings.extend(_another_target(group, change) for change in group.target_changes)
    return findings


def _too_often(group: IndexGroup, deviation: NDArray[np.float64], alpha: float) -> list[Finding]:
    far, ordinary = limit("deviation_index_beyond"), limit("deviation_index_share")
    n = int(deviation.size)
    beyond = int(np.count_nonzero(np.abs(deviation) > far))
    if n < limit("deviation_index_minimum_n") or beyond == 0 or float(bdtrc(beyond - 1, n, ordinary)) > alpha:
        return []
    above = int(np.count_nonzero(deviation > far))
    return [
        _finding(
            group,
            "beyond",
            f"deviation index beyond ±{far:g} in {beyond / n:.0%}",
            f"{beyond} of {n} exposures lie further than ±{far:g} from their target ({above} above it, {beyond - above} "
            f"below), clearly more than {ordinary:.0%}.",
            {"n": n, "beyond": beyond, "above": above},
        )
    ]


def _drifting(group: IndexGroup, closed: NDArray[np.bool_], alpha: float) -> list[Finding]:
    times, deviation = group.times[closed], group.deviation[closed]
    drift = drift_a_year(times, deviation, level=1.0 - alpha)
    if drift.value is None or drift.low is None or drift.high is None:
        return []
    least = limit("deviation_index_drift")
    if abs(drift.value) < least or drift.low <= 0.0 <= drift.high:
        return []
    step = step_of(times, deviation, false_alarm=alpha)
    if step is not None:
        by = step.after - step.before
        return [
            _finding(
                group,
                "step up" if by > 0 else "step down",
                f"deviation index {by:+.1f} from {step.day}",
                f"The median deviation index is {step.before:+.1f} before {step.day} and {step.after:+.1f} from then on "
                f"({step.n_before} and {step.n_after} exposures): the dose to the detector changed by "
                f"{10 ** (by / 10) - 1:+.0%} beside its target, at once.",
                {"day": str(step.day), "before": step.before, "after": step.after, "n": drift.n},
            )
        ]
    return [
        _finding(
            group,
            "drift up" if drift.value > 0 else "drift down",
            f"deviation index drifts {drift.value:+.1f} a year",
            f"The deviation index moves by {drift.value:+.1f} a year ({drift.low:+.1f} to {drift.high:+.1f}): the dose to the "
            f"detector changes by {10 ** (drift.value / 10) - 1:+.0%} a year beside its target.",
            {"drift_di_a_year": drift.value, "low": drift.low, "high": drift.high, "n": drift.n},
        )
    ]


def _another_target(group: IndexGroup, change: TargetChange) -> Finding:
    day = change.day.astype("datetime64[D]")
    index = ""
    if change.index_before is not None and change.index_after is not None:
        index = f" The median exposure index was {figure(change.index_before)} and is {figure(change.index_after)}."
    return _finding(
        group,
        f"target {change.after:.3g}",
        f"target exposure index {figure(change.before)} to {figure(change.after)} from {day}",
        f"From {day} on the target exposure index is {figure(change.after)}; it was {figure(change.before)} "
        f"({change.n_before} and {change.n_after} exposures in a row).{index} The deviation index is measured from the "
        "target: it cannot show whether the dose to the detector changed that day.",
        {
            "day": str(day),
            "target_before": change.before,
            "target_after": change.after,
            "median_ei_before": change.index_before,
            "median_ei_after": change.index_after,
        },
    )


def _finding(group: IndexGroup, what: str, subject: str, message: str, evidence: dict[str, object]) -> Finding:
    name = group.acquisition_protocol or "exposures without a name"
    return Finding(
        kind="exposure_index",
        severity="check",
        subject=f"{name}: {subject}",
        message=message,
        site=group.site,
        equipment=group.equipment,
        identity=(group.acquisition_protocol, what),
        evidence={"acquisition_protocol": group.acquisition_protocol, **evidence},
    )
