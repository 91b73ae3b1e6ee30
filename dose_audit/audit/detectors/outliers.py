"""Single exams far from their group, size and examination taken out, with false alarms held down over the
whole run.
"""

from __future__ import annotations

import math
from collections import defaultdict

import numpy as np

from dose_audit.audit.context import AuditContext
from dose_audit.audit.detectors.high_exposure import exposures_above
from dose_audit.audit.findings import Finding, likely_causes
from dose_audit.audit.residuals import GROUP, size_known
from dose_audit.audit.values import exam_ref
from dose_audit.figures import figure

__all__ = ["FALSE_ALARM", "MINIMUM_N", "SMALLEST_RATIO", "detect", "threshold"]

FALSE_ALARM = 0.05
"""Chance that a run over log-normal doses shows any outlier at all."""
MINIMUM_N = 30
SMALLEST_RATIO = 2.0
"""Nearer to its group than this factor, either way, an exam is nobody's errand."""
_NEAR_DECADE = 0.08
"""Decades: a single dose within 20 % of a power of ten may be one of a wrong unit; where doses spread further, up to 60 %."""
_MOST_NEAR = 0.2
_BEYOND_PATIENTS = 2.0
"""Decades above its group that no patient, procedure or fault of a device explains."""
_BEYOND_BREAKING_OFF = 3.0
"""Decades below its group that an acquisition that was broken off does not explain."""
_LARGEST_PATIENT = 5.0
"""Times the group's median that a very large patient may come to."""
_MAD_ERROR = 1.17  # standard error of a MAD-based spread is about 1.17 σ/√n for normal residuals


def detect(context: AuditContext) -> list[Finding]:
    """Raise ``outlier``, once an exam however many of its quantities stand out.

    Notes
    -----
    Exams that a high-exposure trigger already names are not named again. See `threshold` for the limit. Where only some
    sizes of a group are known, the others' doses spread as doses of all sizes do: each kind is judged by its own spread.
    """
    from dose_audit.statistics import log_outliers

    columns = context.values.columns
    usable = np.isfinite(context.residual)
    told = {exposure.exam_id for exposure in context.once(exposures_above)}
    tests = int(np.count_nonzero(usable))
    found: dict[int, list[tuple[float, int]]] = defaultdict(list)
    values = columns["value"]
    for key, rows in columns.groups(GROUP, usable, within=context.values.band.codes):
        limit, residual = threshold(rows.size, tests), context.residual[rows]
        known = size_known(context.values, rows, quantity=key[4], modality=key[2])
        kinds = [(rows, residual, None)]
        if MINIMUM_N <= np.count_nonzero(known) < rows.size:
            usual = values[rows] / np.median(values[rows])
            kinds = [(rows[known], residual[known], None), (rows[~known], residual[~known], usual)]
        for members, left, history in kinds:
            judged = log_outliers(np.exp(left), history=history, threshold=limit, minimum_n=MINIMUM_N)
            for place in (*judged.high, *judged.low):
                row = int(members[place])
                exam = int(columns["exam_id"][row])
                if exam not in told and abs(context.residual[row]) >= math.log(SMALLEST_RATIO):
                    found[exam].append((float(judged.z[place]), row))
    return [_finding(context, exam, sorted(parts, key=lambda p: -abs(p[0]))) for exam, parts in sorted(found.items())]


def threshold(n: int, tests: int) -> float:
    """Robust z beyond which one of `tests` values, in a group of `n`, is an outlier.

    Notes
    -----
    Bonferroni's two-sided normal limit for all tests of the run together, widened by twice the relative
    standard error of the group's own robust spread: in a small group that spread may be a third too small by
    chance.

    Examples
    --------
    >>> round(threshold(50, 5000), 2), round(threshold(5000, 5000), 2)
    (5.88, 4.56)
    """
    from scipy.special import ndtri

    limit = -float(ndtri(FALSE_ALARM / (2.0 * max(tests, 1))))
    return limit * (1.0 + 2.0 * _MAD_ERROR / math.sqrt(max(n, 1)))


def _finding(context: AuditContext, exam: int, parts: list[tuple[float, int]]) -> Finding:
    columns = context.values.columns
    row = parts[0][1]
    ratio = math.exp(float(context.residual[row]))
    decades = math.log10(ratio)
    # How near is near depends on how far doses of the group spread.
    spread = abs(float(context.residual[row]) / parts[0][0]) / math.log(10.0)
    near = min(max(_NEAR_DECADE, 1.5 * spread), _MOST_NEAR)
    beyond = decades > _BEYOND_PATIENTS or decades < -_BEYOND_BREAKING_OFF
    slip = beyond or (round(decades) != 0 and abs(decades - round(decades)) < near)
    others = ", ".join(
        f"{columns['quantity'][other]} {figure(math.exp(float(context.residual[other])), 2)} times"
        for _, other in parts[1:]
    )
    cause = _likely_cause(context, row, parts, slip)
    message = (
        f"{columns['quantity'][row]} {figure(float(columns['value'][row]))} {columns['unit'][row]} is "
        f"{figure(ratio, 2)} times what its group and the patient's size let expect"
        f"{'; also ' + others if others else ''}."
    )
    if slip:
        why = "Nothing that is done to a patient explains that" if beyond else "That is close to a power of ten"
        message += f" {why}: look for a wrong unit in this one report."
    return Finding(
        kind="outlier",
        severity="check",
        subject=f"Exam {exam_ref(exam)}, {columns['examination_name'][row]}",
        message=message,
        site=columns["site"][row],
        equipment=columns["equipment"][row],
        identity=(exam_ref(exam),),
        evidence={
            "exam_ref": exam_ref(exam),
            "examination": columns["examination"][row],
            "examination_name": columns["examination_name"][row],
            "band": context.values.band[row],
            "study_datetime": str(columns["study_datetime"][row].astype("datetime64[s]")),
            "likely_cause": cause,
            "values": [
                {
                    "quantity": columns["quantity"][part],
                    "value": float(columns["value"][part]),
                    "unit": columns["unit"][part],
                    "ratio": math.exp(float(context.residual[part])),
                    "robust_z": score,
                }
                for score, part in parts
            ],
        },
        likely_causes=(cause, *likely_causes("outlier")),
    )


def _likely_cause(context: AuditContext, row: int, parts: list[tuple[float, int]], slip: bool) -> str:
    """What the exam's own numbers point to first."""
    columns, residual = context.values.columns, context.residual
    ratios = {columns["quantity"][part]: math.exp(float(residual[part])) for _, part in parts}
    if slip:
        return "unit or unit code wrong in this one report"
    if residual[row] < 0.0:
        return "acquisition broken off, or the exam is filed under another name"
    if "DLP" in ratios and "CTDIvol" not in ratios:
        return "longer range, repeated or additional acquisitions: DLP stands out and CTDIvol does not"
    if "CTDIvol" in ratios and "DLP" not in ratios:
        return "short range at a high dose, such as perfusion: CTDIvol stands out and DLP does not"
    if {"KAP", "dose_rp"} <= ratios.keys():
        return "long or complex procedure, or a mode of high dose rate: area product and reference point dose agree"
    if set(ratios) == {"fluoro_time"}:
        return "long procedure at an ordinary dose"
    if (
        ratios[columns["quantity"][row]] < _LARGEST_PATIENT
        and not np.isfinite(columns["weight_kg"][row])
        and not np.isfinite(columns["thickness_mm"][row])
    ):
        return "the patient's size is not known: a very large patient looks like this"
    return "wrong acquisition protocol selected, or the exam is filed under another name"
