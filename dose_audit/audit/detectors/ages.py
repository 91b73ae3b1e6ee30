"""Exams that are compared with nothing because the patient's age is not known: no band of a reference level can be chosen."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dose_audit.audit.context import AuditContext
from dose_audit.audit.findings import Finding

__all__ = ["MINIMUM_N", "SHARE", "detect"]

SHARE = 0.2
"""Of a site's exams of one examination; more without age are worth a person's time."""
MINIMUM_N = 5


def detect(context: AuditContext) -> list[Finding]:
    """Raise ``low_coverage`` for each examination of a site of which many exams are left out for want of age."""
    values = context.values
    missing = values.reason == "MISSING_AGE"
    if not missing.any():
        return []
    columns = values.columns
    (sites, of_sites), (examinations, of_examinations) = columns.codes("site"), columns.codes("examination")
    place = sites.astype(np.int64) * len(of_examinations) + examinations
    left_out = _exams(place[missing], columns["exam_id"][missing])
    concerned = np.zeros(len(of_sites) * len(of_examinations), dtype=bool)
    concerned[list(left_out)] = True
    rows = np.flatnonzero(concerned[place])
    every = _exams(place[rows], columns["exam_id"][rows])
    names = dict(zip(place[rows].tolist(), rows.tolist(), strict=True))  # a row of each
    return [
        _finding(
            of_sites[one // len(of_examinations)],
            of_examinations[one % len(of_examinations)],
            columns["examination_name"][names[one]],
            n,
            every[one],
        )
        for one, n in sorted(left_out.items())
        if n >= MINIMUM_N and n > SHARE * every[one]
    ]


def _exams(place: NDArray[np.int64], exams: NDArray[np.int64]) -> dict[int, int]:
    """How many different exams each place has."""
    order = np.lexsort((exams, place))
    place, exams = place[order], exams[order]
    first = np.ones(place.size, dtype=bool)
    first[1:] = (np.diff(place) != 0) | (np.diff(exams) != 0)
    found, counts = np.unique(place[first], return_counts=True)
    return dict(zip(found.tolist(), counts.tolist(), strict=True))


def _finding(site: str | None, examination: str, name: str, n: int, every: int) -> Finding:
    return Finding(
        kind="low_coverage",
        severity="check",
        subject=f"{name}: age not known",
        message=(
            f"{n} of {every} exams carry neither an age nor a date of birth. Without it no band of a reference level can be "
            "chosen: they are compared with nothing."
        ),
        site=site,
        identity=("age", examination),
        evidence={"examination": examination, "n": every, "n_missing": n, "share": n / every},
    )
