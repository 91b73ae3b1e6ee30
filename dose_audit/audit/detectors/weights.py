"""Patient weights that stopped coming, or never came: without them doses cannot be judged by size."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dose_audit.audit.context import AuditContext
from dose_audit.audit.findings import Finding
from dose_audit.audit.quantities import QUANTITIES

__all__ = ["detect"]

MINIMUM_N = 20
STOPPED_RUN = 10
"""So many exams in a row without weight, on a device that used to send it, and it has stopped."""
USUALLY_SENT = 0.8
MOSTLY_MISSING = 0.5

_BY_WEIGHT = frozenset(modality for one in QUANTITIES if one.size == "weight_kg" for modality in one.modalities)
"""Exams whose doses follow the weight: those of mammography follow the compressed thickness."""


def detect(context: AuditContext) -> list[Finding]:
    """Raise ``missing_weight``: to be checked where it stopped, to be known where it hardly ever came."""
    exams = context.exams
    times, weights = exams["study_datetime"], exams["weight_kg"]
    patients = (exams["left_out"] == None) & ~np.isnat(times)  # noqa: E711 (an array)
    findings = []
    for key, rows in exams.groups(("site", "equipment", "modality"), patients):
        if rows.size < MINIMUM_N or key[2] not in _BY_WEIGHT:
            continue
        rows = rows[np.argsort(times[rows], kind="stable")]
        missing = np.isnan(np.asarray(weights[rows], dtype=float))
        start = _stopped_at(missing)
        if start is not None:
            findings.append(_stopped(key, times[rows], missing, start))
        elif missing.mean() >= MOSTLY_MISSING:
            findings.append(_mostly_missing(key, missing))
    return findings


def _stopped_at(missing: NDArray[np.bool_]) -> int | None:
    """Position from which on weight is missing to the end, on a device that usually sent it before."""
    present = np.flatnonzero(~missing)
    if present.size == 0:
        return None
    start = int(present[-1]) + 1
    before = missing[:start]
    if missing.size - start < STOPPED_RUN or before.size < STOPPED_RUN or 1 - before.mean() < USUALLY_SENT:
        return None
    return start


def _stopped(key: tuple[Any, ...], times: NDArray[Any], missing: NDArray[np.bool_], start: int) -> Finding:
    site, equipment, modality = key
    day = times[start].astype("datetime64[D]").item()
    last = times[start - 1].astype("datetime64[D]").item()
    count = missing.size - start
    before = 1 - float(missing[:start].mean())
    return Finding(
        kind="missing_weight",
        severity="check",
        subject=f"Weight missing since {day}",
        message=(
            f"The last {count} {modality} exams, since {day}, carry no patient weight; until {last} "
            f"{before:.0%} did. Doses can no longer be judged by size."
        ),
        site=site,
        equipment=equipment,
        identity=(modality or "", day.isoformat()),
        evidence=_evidence(missing, modality) | {"since": day.isoformat(), "n_since": int(count)},
    )


def _mostly_missing(key: tuple[Any, ...], missing: NDArray[np.bool_]) -> Finding:
    site, equipment, modality = key
    return Finding(
        kind="missing_weight",
        severity="note",
        subject=f"Weight mostly missing ({modality})",
        message=f"{float(missing.mean()):.0%} of {missing.size} {modality} exams carry no patient weight.",
        site=site,
        equipment=equipment,
        identity=(modality or "",),
        evidence=_evidence(missing, modality),
    )


def _evidence(missing: NDArray[np.bool_], modality: str | None) -> dict[str, Any]:
    return {
        "modality": modality,
        "n": int(missing.size),
        "n_missing": int(missing.sum()),
        "share": float(missing.mean()),
    }
