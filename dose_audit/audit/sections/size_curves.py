"""Dose against patient size: a sample of the exams, the fitted curve with its interval, and the reference level."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dose_audit.audit.context import AuditContext
from dose_audit.audit.findings import Finding
from dose_audit.audit.samples import evenly
from dose_audit.audit.sections.common import (
    Cell,
    cells,
    estimate_record,
    size_of,
    up_to_close,
    usable_sizes,
)

if TYPE_CHECKING:
    from dose_audit.statistics import QuantileCurve

__all__ = ["build"]

_LEAST = 50
_MOST_POINTS = 400
_MOST_FITTED = 600
"""Exams that a quantile curve is fitted to, spread evenly: its bootstrap solves a linear programme a replicate."""
_REPLICATES = 60
_CURVE_POINTS = 25


def build(context: AuditContext, findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """One entry an examination and quantity with at least fifty known sizes; children's bands are one curve."""
    found = []
    for cell in cells(context, banded=False):
        if cell.quantity in ("fluoro_time", "administered_activity"):
            continue
        for looked_at, until in up_to_close(context, cell):
            axis, sizes = size_of(context, looked_at)
            known = usable_sizes(axis, sizes)
            if np.count_nonzero(known) >= _LEAST:
                found.append(_entry(context, looked_at, axis, sizes, known) | {"until": until})
                break
    return found


def _entry(
    context: AuditContext, cell: Cell, axis: str, sizes: NDArray[np.float64], known: NDArray[np.bool_]
) -> dict[str, Any]:
    from dose_audit.statistics.size import SIZE_AXES

    columns = context.values.columns
    places = np.flatnonzero(known)
    shown = evenly(places, _MOST_POINTS)
    doses = np.asarray(columns["value"][cell.rows], dtype=float)
    fit = _quantile_fit if cell.child else _slope_fit
    return cell.record() | {
        "population": cell.band,
        "axis": axis,
        "axis_unit": SIZE_AXES[axis].unit,
        "n_missing": int(cell.rows.size - places.size),
        "points_shown": int(shown.size),
        "points": {
            "size": [round(float(size), 3) for size in sizes[shown]],
            "dose": [float(f"{dose:.6g}") for dose in doses[shown]],
            "site": columns["site"][cell.rows][shown].tolist(),
        },
        "fit": context.kept.result(
            "size_curve", (doses, sizes, axis, cell.child), lambda: fit(doses, sizes, known, axis)
        ),
        "drl": _levels(context, cell),
    }


def _grid(sizes: NDArray[np.float64]) -> NDArray[np.float64]:
    from dose_audit.statistics.size import size_support

    support = size_support(sizes)
    return np.linspace(*support, _CURVE_POINTS) if support else np.empty(0)


def _slope_fit(
    doses: NDArray[np.float64], sizes: NDArray[np.float64], known: NDArray[np.bool_], axis: str
) -> dict[str, Any]:
    """The median at each size from one robust slope; the interval at the centre is the narrowest."""
    from dose_audit.statistics import standardise_size

    curve: list[dict[str, Any]] = []
    some = evenly(np.flatnonzero(known), 4 * _MOST_FITTED)
    slope = None
    for size in _grid(sizes[known]):
        found = standardise_size(doses[some], sizes[some], float(size), axis=axis)
        slope = found.slope
        curve.append({"size": float(size), "value": found.value, "low": found.low, "high": found.high})
    return {
        "method": "Theil-Sen slope of ln dose",
        "slope": None if slope is None else estimate_record(slope),
        "curves": [{"q": 0.5, "points": curve}],
        "status": "OK" if slope is not None and slope.value is not None else "INSUFFICIENT_N",
        "reason": "" if slope is None else slope.reason,
    }


def _quantile_fit(
    doses: NDArray[np.float64], sizes: NDArray[np.float64], known: NDArray[np.bool_], axis: str
) -> dict[str, Any]:
    """Median and 75th percentile by quantile regression."""
    from dose_audit.statistics import dose_curve

    some = evenly(np.flatnonzero(known), _MOST_FITTED)
    curves, median = [], None
    for q in (0.5, 0.75):
        curve = dose_curve(doses[some], sizes[some], q, axis=axis, replicates=_REPLICATES)
        median = median or curve
        points = _curve_points(curve, sizes[known])
        curves.append({"q": q, "points": points})
    assert median is not None
    return {
        "method": "quantile regression of ln dose",
        "slope": estimate_record(median.slope),
        "curves": curves,
        "status": median.status,
        "reason": median.reason,
    }


def _curve_points(curve: QuantileCurve, sizes: NDArray[np.float64]) -> list[dict[str, Any]]:
    if curve.support is None or curve.intercept is None:
        return []
    inside = [size for size in _grid(sizes) if curve.support[0] <= size <= curve.support[1]]
    found = [(float(size), curve.at(float(size))) for size in inside]
    return [{"size": size, "value": at.value, "low": at.low, "high": at.high} for size, at in found]


def _levels(context: AuditContext, cell: Cell) -> list[dict[str, Any]]:
    """Reference levels of the cell's patients, as steps over the size where their bands are of size."""
    references = context.values.references
    found = {}
    for index in np.flatnonzero(np.bincount(references.index[cell.rows])).tolist():
        row = references.matches[index].row
        if row is not None:
            banded = row.band.type in ("weight", "thickness", "water_equivalent_diameter")
            scale = 0.1 if row.band.type == "water_equivalent_diameter" else 1.0
            found[row.set_id, row.edition, row.row_id] = {
                "set": row.set_id,
                "edition": row.edition,
                "row_id": row.row_id,
                "value": row.value,
                "band": row.band.label,
                "band_type": row.band.type,
                "low": row.band.low * scale if banded and row.band.low is not None else None,
                "high": row.band.high * scale if banded and row.band.high is not None else None,
            }
    return sorted(found.values(), key=lambda level: (level["low"] or -math.inf, level["set"], level["row_id"]))
