"""How complete the data are: every received object has one state, every exam one fate, and the counts add
up.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from dose_audit.audit.cohort import LIST_SEPARATOR
from dose_audit.audit.detectors.objects import short_reason
from dose_audit.audit.values import REASONS

if TYPE_CHECKING:
    from dose_audit.audit.columns import Columns
    from dose_audit.audit.exams import Received
    from dose_audit.audit.values import Values
    from dose_audit.statistics import SilenceScan

__all__ = ["NO_SITE", "STATES", "UnbalancedError", "completeness_record", "excluded_record"]

STATES = ("extracted", "measured", "duplicate", "superseded", "conflict", "not_relevant", "quarantined", "pending")
_UNMAPPED = ("UNMAPPED", "AMBIGUOUS_MAPPING")

NO_SITE = "Site not known"
"""What stands for the site of an object whose sender did not tell it and whose device is not registered."""


class UnbalancedError(AssertionError):
    """The audit's own exam counts do not add up: a fault of this program, never of the data."""


def completeness_record(
    values: Values,
    exams: Columns,
    objects: Received,
    silences: dict[tuple[str, str], SilenceScan],
    *,
    exams_stored: int,
) -> dict[str, Any]:
    """Build the report's ``completeness``.

    Parameters
    ----------
    values, exams, objects
        Of the run.
    silences : dict
        Scan of each device.
    exams_stored : int
        All exams in the store, whatever their date.

    Raises
    ------
    UnbalancedError
        When an exam of the period has no fate or two.

    Notes
    -----
    `balanced` is false where an object stands in a state that no rule knows. That is a red banner and no
    reason to withhold the report.
    """
    states: Counter[Any] = Counter()
    for (state,), rows in objects.counts.groups(("state",)):
        states[state] = int(objects.counts["n"][rows].sum())
    fates = values.counts()
    in_period = len(exams)
    if sum(fates.values()) != in_period:
        raise UnbalancedError(f"{in_period} exams in the period, {sum(fates.values())} with a fate: {dict(fates)}")
    known = sum(states[state] for state in STATES)
    received = sum(states.values())
    mappable = in_period - fates["NOT_A_PATIENT"] - fates["NO_VALUE"]
    unmapped = sum(fates[reason] for reason in _UNMAPPED)
    return {
        "received": received,
        "by_state": {state: states[state] for state in STATES} | _unknown_states(states),
        "balanced": known == received,
        "quarantined": _quarantined(objects),
        "exams": exams_stored,
        "in_period": in_period,
        "compared": fates[""],
        "unmapped": unmapped,
        "excluded": in_period - fates[""] - unmapped,
        "mapped_percent": 100.0 * (mappable - unmapped) / mappable if mappable else None,
        "by_site": _by_site(values, objects),
        "acquisitions_left_out": _acquisitions_left_out(exams),
        "devices": _devices(exams, silences),
        "data_quality": _data_quality(exams),
    }


def excluded_record(values: Values) -> list[dict[str, Any]]:
    """Build the report's ``excluded``: exams by the reason for which they are in no comparison, most
    first. `single_values` is how many single values are left out for it in exams whose others are compared.
    """
    counts, beside = values.counts(), values.left_out_beside()
    rows = [(-counts[reason], -beside[reason], reason) for reason in REASONS if counts[reason] or beside[reason]]
    return [
        {"reason": reason, "n": -n, "detail": REASONS[reason]} | ({"single_values": -others} if others else {})
        for n, others, reason in sorted(rows)
    ]


_NO_SEQUENCES = {
    "localisers": "localisers",
    "standing": "CT acquisitions without table movement (bolus tracking, perfusion)",
}
"""Acquisitions that are no sequence of their own, by the column of `exams.read_exams` that counts them."""


def _acquisitions_left_out(exams: Columns) -> list[dict[str, Any]]:
    """How many acquisitions of patients' CT exams give no CTDIvol or SSDE, and in how many exams there are any."""
    patients = (exams["modality"] == "CT") & (exams["left_out"] != "NOT_A_PATIENT")
    found = []
    for name, what in _NO_SEQUENCES.items():
        counts = np.nan_to_num(exams[name][patients])
        found.append({"what": what, "acquisitions": int(counts.sum()), "exams": int(np.count_nonzero(counts))})
    return found


def _unknown_states(states: Counter[Any]) -> dict[str, int]:
    return {str(state): n for state, n in sorted(states.items(), key=str) if state not in STATES}


def _quarantined(objects: Received) -> list[dict[str, Any]]:
    reasons: Counter[str] = Counter()
    for (state, reason), rows in objects.counts.groups(("state", "reason")):
        if state == "quarantined":
            reasons[short_reason(reason)] += int(objects.counts["n"][rows].sum())
    return [{"reason": reason, "n": n} for reason, n in sorted(reasons.items(), key=lambda item: (-item[1], item[0]))]


def _by_site(values: Values, objects: Received) -> list[dict[str, Any]]:
    sites: dict[str, Counter[str]] = {}
    for (site, state), rows in objects.counts.groups(("site", "state")):
        count, n = sites.setdefault(site or "", Counter()), int(objects.counts["n"][rows].sum())
        count["received"] += n
        count["quarantined"] += n if state == "quarantined" else 0
    first, reasons = values.exam_reasons()
    codes, places = values.columns.codes("site")
    exams = np.bincount(codes[first] * reasons.words.size + reasons.codes, minlength=len(places) * reasons.words.size)
    for site, fates in zip(places, exams.reshape(-1, reasons.words.size), strict=True):
        for reason, n in zip(reasons.words, fates.tolist(), strict=True):
            count = sites.setdefault(site or "", Counter())
            count["exams"] += n
            count["compared" if not reason else "unmapped" if reason in _UNMAPPED else "left_out"] += n
            if reason not in (*_UNMAPPED, "NOT_A_PATIENT", "NO_VALUE"):
                count["mapped"] += n
    fields = ("received", "exams", "compared", "mapped", "unmapped", "left_out", "quarantined")
    return [
        {"site": site or NO_SITE, **{name: count[name] for name in fields}} for site, count in sorted(sites.items())
    ]


def _devices(exams: Columns, silences: dict[tuple[str, str], SilenceScan]) -> list[dict[str, Any]]:
    times = exams["study_datetime"]
    rows = []
    for (site, equipment), members in exams.groups(("site", "equipment")):
        dated = times[members][~np.isnat(times[members])]
        scan = silences.get((site, equipment))
        habit = scan.longest_usual_days if scan else None
        rows.append(
            {
                "site": site,
                "equipment": equipment,
                "exams": int(members.size),
                "last_exam": str(dated.max().astype("datetime64[s]")) if dated.size else None,
                "expected_gap_h": round(habit * 24.0, 1) if habit is not None else None,
                "silent": any(gap.ongoing for gap in scan.gaps) if scan else False,
            }
        )
    return rows


def _data_quality(exams: Columns) -> list[dict[str, Any]]:
    found, words = exams.codes("warning_codes")
    codes: Counter[str] = Counter()
    for word, n in zip(words, np.bincount(found, minlength=len(words)).tolist(), strict=True):
        for code in (word or "").split(LIST_SEPARATOR):
            codes[code] += n if code else 0
    return [{"code": code, "n": n} for code, n in sorted((+codes).items(), key=lambda item: (-item[1], item[0]))]
