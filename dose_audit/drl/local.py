"""Local reference levels and typical values from a site's own doses: proposed with intervals, written as an edition.

A *typical value* is the median of one site's doses. A *local* reference level is the third quartile of the medians of
several rooms (ICRP Publication 135). Neither counts before a named role has approved it.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import bdtr

from dose_audit.drl.comparison import least_n
from dose_audit.drl.tables import ROW_COLUMNS, SLUG
from dose_audit.statistics.order_statistics import median_interval, quantile

__all__ = [
    "LEAST_ROOMS",
    "LocalValue",
    "local_level",
    "quantile_interval",
    "read_note",
    "rows_csv",
    "rows_sha256",
    "set_toml",
    "typical_value",
    "write_edition",
]

_NOTE = re.compile(r"n (\d+) in (\d+) rooms(?:; 95 % interval (\S+) to (\S+))?")
LEAST_ROOMS = 10
"""Rooms that a local reference level rests on at least (ICRP Publication 135: 10 to 20)."""


@dataclass(frozen=True, slots=True)
class LocalValue:
    """One proposed value.

    Attributes
    ----------
    examination, quantity, unit : str
    patient_group, band_type, band_low, band_high, band_unit : str
        Band as ``rows.csv`` writes it.
    phantom : str
    value, low, high : float or None
        Proposal and its 95 % interval; the interval is None where the sample gives none.
    n, rooms : int
        Exams, and rooms whose medians were used (1 for a typical value).
    statistic : str
    status, reason : str
        ``OK``, ``INSUFFICIENT_N`` or ``PHANTOM_NOT_REPORTED``.
    """

    examination: str
    quantity: str
    unit: str
    patient_group: str
    band_type: str
    band_low: str
    band_high: str
    band_unit: str
    phantom: str
    value: float | None
    low: float | None
    high: float | None
    n: int
    rooms: int
    statistic: str
    status: str = "OK"
    reason: str = ""


def typical_value(doses: ArrayLike, modality: str, patient_group: str, place: Mapping[str, str]) -> LocalValue:
    """Median of one site's doses with its order-statistic interval.

    Parameters
    ----------
    doses : array_like
        Positive, in the quantity's unit.
    modality, patient_group : str
        Set the least number of exams.
    place : mapping
        The descriptive fields of `LocalValue`.
    """
    median = median_interval(doses)
    least = least_n(modality, patient_group)
    status, reason = ("OK", "") if median.n >= least else ("INSUFFICIENT_N", f"{least} exams needed, {median.n} there")
    return LocalValue(
        **place,
        value=median.value if status == "OK" else None,
        low=median.low,
        high=median.high,
        n=median.n,
        rooms=1,
        statistic="median of the site's exams",
        status=status,
        reason=reason,
    )


def local_level(
    rooms: Mapping[str, ArrayLike], modality: str, patient_group: str, place: Mapping[str, str]
) -> LocalValue:
    """Third quartile of the medians of rooms that have enough exams, with its order-statistic interval.

    Parameters
    ----------
    rooms : mapping
        Doses by room.
    modality, patient_group, place
        As for `typical_value`.

    Examples
    --------
    >>> place = dict.fromkeys(("examination", "quantity", "unit", "patient_group", "band_type", "band_low",
    ...                        "band_high", "band_unit", "phantom"), "")
    >>> local_level({str(i): [float(i)] * 20 for i in range(1, 12)}, "CT", "adult", place).value
    8.833333333333334
    """
    least = least_n(modality, patient_group)
    arrays = {room: np.asarray(doses, dtype=float) for room, doses in rooms.items()}
    medians = [float(np.median(part)) for _, part in sorted(arrays.items()) if part.size >= least]
    enough = len(medians) >= LEAST_ROOMS
    low, high = quantile_interval(medians, 0.75) if enough else (None, None)
    return LocalValue(
        **place,
        value=quantile(medians, 0.75) if enough else None,
        low=low,
        high=high,
        n=int(sum(part.size for part in arrays.values())),
        rooms=len(medians),
        statistic="75th percentile of room medians",
        status="OK" if enough else "INSUFFICIENT_N",
        reason="" if enough else f"{len(medians)} rooms with {least} exams or more, {LEAST_ROOMS} needed",
    )


def quantile_interval(values: ArrayLike, q: float, level: float = 0.95) -> tuple[float | None, float | None]:
    """Distribution-free interval of a quantile: the shortest pair of order statistics with the coverage.

    Returns
    -------
    (float or None, float or None)
        None, None where even the whole sample has less coverage.

    Notes
    -----
    P(x_(r) ≤ Q < x_(s)) = B(s − 1) − B(r − 1), B the binomial distribution function of n and q.

    References
    ----------
    David and Nagaraja, Order Statistics, Wiley 2003, section 7.1.

    Examples
    --------
    >>> quantile_interval(range(1, 41), 0.75)
    (25.0, 36.0)
    """
    ordered = np.sort(np.asarray(values, dtype=float))
    n = ordered.size
    below = bdtr(np.arange(n + 1), n, q) if n else np.empty(0)  # P(B <= k)
    best: tuple[float, float, float] | None = None
    for r in range(1, n):
        for s in range(r + 1, n + 1):
            if below[s - 1] - below[r - 1] >= level:
                width = float(ordered[s - 1] - ordered[r - 1])
                if best is None or (s - r, width) < (best[2], best[1] - best[0]):
                    best = (float(ordered[r - 1]), float(ordered[s - 1]), s - r)
                break
    return (None, None) if best is None else best[:2]


def rows_csv(values: Sequence[LocalValue], modality_of: Mapping[str, str], basis_of: Mapping[str, str]) -> str:
    """The values that could be worked out as the ``rows.csv`` of an edition."""
    out = io.StringIO()
    writer = csv.DictWriter(out, ROW_COLUMNS, lineterminator="\n", restval="")
    writer.writeheader()
    for value in values:
        if value.value is None:
            continue
        band = f"{value.band_low or 0}-{value.band_high or 'up'}" if value.band_type != "none" else "all"
        parts = (
            value.examination,
            value.patient_group,
            band,
            value.quantity.lower().replace(",", "").replace(" ", "-"),
        )
        writer.writerow(
            {
                **{name: entry for name, entry in asdict(value).items() if name in ROW_COLUMNS},
                "row_id": ".".join((*parts, *([value.phantom.replace("_", "-")] if value.phantom else []))),
                "modality": modality_of[value.examination],
                "basis": basis_of[value.examination],
                "value": f"{value.value:.6g}",
                "role": "drl",
                "phantom_source": "primary" if value.phantom else "",
                "confidence": "primary",
                "note": _note(value),
            }
        )
    return out.getvalue()


def _note(value: LocalValue) -> str:
    """What a row says of its sample; `read_note` reads it."""
    interval = "" if value.low is None else f"; 95 % interval {value.low:.6g} to {value.high:.6g}"
    return f"n {value.n} in {value.rooms} rooms{interval}"


def read_note(note: str) -> tuple[int | None, int | None, float | None, float | None]:
    """Exams, rooms and the interval's ends that a row's note tells; None for what it does not.

    Examples
    --------
    >>> read_note("n 41 in 1 rooms; 95 % interval 380 to 420.5")
    (41, 1, 380.0, 420.5)
    >>> read_note("n 25 in 2 rooms"), read_note("")
    ((25, 2, None, None), (None, None, None, None))
    """
    found = _NOTE.fullmatch(note)
    if found is None:
        return None, None, None, None
    low, high = (float(end) if end else None for end in found.group(3, 4))
    return int(found[1]), int(found[2]), low, high


def rows_sha256(text: str) -> str:
    """Hash that ties an approval to the rows that were proposed."""
    return hashlib.sha256(text.encode()).hexdigest()


def set_toml(
    *,
    set_id: str,
    edition: str,
    kind: str,
    site: str,
    network: str,
    adult_from_years: float,
    approved_by: str,
    approved_on: date,
    valid_from: date,
    source_sha256: str,
    notes: str,
) -> str:
    """The ``set.toml`` of a local edition."""
    import json

    statistic = "median of one site" if kind == "typical" else "75th percentile of room medians"
    title = f"{'Typical values' if kind == 'typical' else 'Local reference levels'}, {site or network}"
    texts = {
        "set_id": set_id, "edition": edition, "title": title, "publisher": network, "region": "local",
        "url": "none: computed from the site's own exams", "licence": "the site's own", "status": "local",
        "statistic": statistic, "site": site, "approved_by": approved_by, "source_sha256": source_sha256,
        "notes": notes,
    }  # fmt: skip
    lines = [f"{name} = {json.dumps(text, ensure_ascii=False)}" for name, text in texts.items()]
    lines += [
        f"retrieved_on = {approved_on.isoformat()}",
        f"valid_from = {valid_from.isoformat()}",
        f"adult_from_years = {adult_from_years:g}",
    ]
    return "\n".join(lines) + "\n"


def write_edition(root: Path, set_id: str, edition: str, toml: str, rows: str) -> Path:
    """Write an approved edition's files and release it; see `check.release_edition`.

    Raises
    ------
    ValueError
        A set name that cannot be a folder, or an edition that is there already.
    """
    from dose_audit.drl.check import release_edition

    if not SLUG.fullmatch(set_id) or not SLUG.fullmatch(edition):
        raise ValueError(f"{set_id}/{edition}: a set and its edition are lower-case words joined by hyphens")
    folder = root / "local" / set_id / edition
    if folder.exists():
        raise ValueError(f"{folder} exists: an approved edition is never written again")
    folder.mkdir(parents=True)
    (folder / "rows.csv").write_text(rows, encoding="utf-8")
    (folder / "CHECK.md").write_text("Computed by dose-audit from the site's own exams; approved as set.toml says.\n")
    release_edition(folder, toml)
    (folder / "set.toml").write_text(toml, encoding="utf-8")  # last: a folder without it is no edition
    return folder
