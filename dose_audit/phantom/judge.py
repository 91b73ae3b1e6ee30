"""A measurement against its tolerance: remedial and suspension level about an absolute, nominal or baseline value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from dose_audit.phantom.definition import Definition, Tolerance
from dose_audit.phantom.results import Judgement, PhantomMeasurement

__all__ = ["judge", "judge_value"]


def judge_value(value: float, tolerance: Tolerance, baseline: float | None = None) -> Judgement:
    """Where a value lies against limits.

    Parameters
    ----------
    value : float
        In the tolerance's unit.
    tolerance : Tolerance
        Limits, and what they are taken about.
    baseline : float, optional
        The device's accepted value, for limits about a baseline.

    Returns
    -------
    str
        ``pass`` (limits belong to it), ``remedial``, ``suspension`` or ``no_baseline``.

    Examples
    --------
    >>> limits = Tolerance("hu.water", "HU", remedial=(-5, 5), suspension=(-10, 10))
    >>> judge_value(5.0, limits), judge_value(-7.0, limits), judge_value(11.0, limits)
    ('pass', 'remedial', 'suspension')
    """
    compared = value
    if tolerance.about == "nominal":
        assert tolerance.nominal is not None
        compared = value - tolerance.nominal
    elif tolerance.about in ("baseline", "baseline_percent"):
        if baseline is None or (tolerance.about == "baseline_percent" and baseline == 0):
            return "no_baseline"
        compared = value - baseline
        if tolerance.about == "baseline_percent":
            compared *= 100.0 / abs(baseline)
    if _beyond(compared, tolerance.suspension):
        return "suspension"
    if _beyond(compared, tolerance.remedial):
        return "remedial"
    return "pass"


def _beyond(value: float, limits: tuple[float | None, float | None]) -> bool:
    low, high = limits
    return (low is not None and value < low) or (high is not None and value > high)


def judge(
    measurement: PhantomMeasurement,
    definition: Definition,
    *,
    facts: Mapping[str, Any] | None = None,
    baselines: Mapping[str, float] | None = None,
) -> PhantomMeasurement:
    """The measurement with its tolerance and judgement.

    A value that is not there is ``not_measured``, and so is a suspect one: a doubtful number neither passes nor fails.
    A tolerance in another unit than the value's is a fault of the definition and is not applied.
    """
    measured = measurement.measured
    tolerance = definition.tolerance_of(measured.name, facts)
    baseline = (baselines or {}).get(measured.name)
    if tolerance is None:
        # Doubts show in status and reason; without limits there is nothing to be judged.
        return replace(measurement, baseline=baseline, judgement="no_tolerance")
    if tolerance.unit != measured.unit and tolerance.about != "baseline_percent":
        doubtful = measured.doubt(f"the tolerance is in {tolerance.unit}, the value in {measured.unit}: not judged")
        return replace(measurement, measured=doubtful, baseline=baseline, judgement="not_measured")
    if measured.value is None or measured.status != "ok":
        return replace(measurement, tolerance=tolerance, baseline=baseline, judgement="not_measured")
    return replace(
        measurement, tolerance=tolerance, baseline=baseline, judgement=judge_value(measured.value, tolerance, baseline)
    )
