"""Sites beside each other: funnel, variance components, pairs and spread, at one patient size where it is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dose_audit.audit.context import AuditContext
from dose_audit.audit.findings import Finding
from dose_audit.audit.row_order import rows_by_groups
from dose_audit.audit.samples import evenly
from dose_audit.audit.sections.common import (
    Cell,
    cells,
    estimate_record,
    names_of,
    size_of,
    up_to_close,
    usable_sizes,
)

if TYPE_CHECKING:
    from dose_audit.audit.columns import Columns
    from dose_audit.statistics import Funnel, VarianceComponents

__all__ = ["LEAST_A_SITE", "build"]

LEAST_A_SITE = 10
_MOST_A_DEVICE = 1000
"""Values of one device that are used, spread evenly over the period: more would not narrow what lies between sites."""
_MOST_PAIRS = 100
_LIMIT_POINTS = 30


def build(context: AuditContext, findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """One entry for every examination, band and quantity that two sites or more do."""
    entries = []
    for cell in cells(context):
        for looked_at, until in up_to_close(context, cell):
            entry = _compared(context, looked_at)
            if entry is not None:
                entries.append(looked_at.record() | {"until": until} | entry)
                break
    return entries


def _compared(context: AuditContext, cell: Cell) -> dict[str, Any] | None:
    """The comparison, worked out anew only where the doses that it looks at are others."""
    columns = context.values.columns
    rows = _thinned(columns, cell.rows)
    if rows.size == 0 or np.count_nonzero(np.bincount(columns.codes("site")[0][rows])) < 2:
        return None
    axis, sizes = size_of(context, replace(cell, rows=rows))
    doses = np.asarray(columns["value"][rows], dtype=float)
    places = [names_of(columns, name, rows) for name in ("site", "equipment", "label")]
    found: dict[str, Any] | None = context.kept.result(
        "cross_site",
        (doses, sizes, axis, *(part for place in places for part in place)),
        lambda: _comparison(doses, axis, sizes, *(np.array(words, dtype=object)[code] for words, code in places)),
    )
    return found


def _comparison(
    values: NDArray[np.float64],
    axis: str,
    sizes: NDArray[np.float64],
    every_site: NDArray[Any],
    scanner: NDArray[Any],
    label: NDArray[Any],
) -> dict[str, Any] | None:
    from dose_audit.statistics import brown_forsythe, dunn, group_funnel, kruskal_wallis, variance_components

    names, counts = np.unique(every_site.astype(str), return_counts=True)
    # First, so that a site which is not shown anyway has no say in whether sizes are known well enough.
    shown = np.isin(every_site.astype(str), names[counts >= LEAST_A_SITE])
    values, sizes, every_site = values[shown], sizes[shown], every_site[shown]
    scanner, label = scanner[shown], label[shown]
    doses, used, size = _standardised(values, axis, sizes, every_site)
    sites = every_site[used]
    by_site = {str(site): doses[used][sites == site] for site in sorted(set(sites.tolist()))}
    enough = {site: part for site, part in by_site.items() if part.size >= LEAST_A_SITE}
    if len(enough) < 2:
        return None
    funnel = group_funnel(enough)
    kept = np.isin(sites.astype(str), list(enough))
    levels = {
        "site": sites[kept].tolist(),
        "scanner": scanner[used][kept].tolist(),
        "acquisition protocol": label[used][kept].tolist(),
    }
    components = variance_components(doses[used][kept], levels)
    ranks = kruskal_wallis(enough)
    pairs = dunn(enough)
    spread = brown_forsythe(enough)
    told = sorted(pairs.pairs, key=lambda pair: (pair.adjusted, pair.first, pair.second))[:_MOST_PAIRS]
    return {
        "n_used": int(sites.size),
        "sites_left_out": sorted(set(names.tolist()) - set(enough)),
        "size": size,
        "funnel": _funnel_record(funnel, [part.size for part in enough.values()]),
        "components": _components_record(components),
        "kruskal_wallis": {
            "epsilon_squared": ranks.value,
            "statistic": ranks.statistic,
            "degrees_of_freedom": ranks.degrees_of_freedom,
            "p_value": ranks.p_value,
            "status": ranks.status,
        },
        "dunn": [
            {
                "first": pair.first,
                "second": pair.second,
                "ratio": estimate_record(pair.ratio),
                "z": pair.z,
                "p_value": pair.p_value,
                "p_adjusted": pair.adjusted,
            }
            for pair in told
        ],
        "spread": {
            "ratio": spread.value,
            "by_site": spread.spreads,
            "statistic": spread.statistic,
            "p_value": spread.p_value,
            "status": spread.status,
        },
    }


def _thinned(columns: Columns, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """At most so many rows of each device."""
    if not rows.size:
        return rows
    device = [(codes[rows], len(words)) for codes, words in (columns.codes("site"), columns.codes("equipment"))]
    order, edges = rows_by_groups(device)
    return np.sort(np.concatenate([rows[evenly(order[a:b], _MOST_A_DEVICE)] for a, b in pairwise(edges.tolist())]))


def _standardised(
    doses: NDArray[np.float64], axis: str, sizes: NDArray[np.float64], sites: NDArray[Any]
) -> tuple[NDArray[np.float64], NDArray[np.bool_], dict[str, Any]]:
    """Doses at one size where sites know their patients' sizes; else as they are, and why.

    The slope is that within sites: doses and sizes are taken from their own site's median first, so that a site that
    gives more dose, and happens to have larger patients, does not make the slope.
    """
    from dose_audit.statistics import robust_slope, size_missingness
    from dose_audit.statistics.size import SIZE_AXES

    usable = usable_sizes(axis, sizes)
    names = sorted(set(sites.tolist()))
    total = {name: int(np.count_nonzero(sites == name)) for name in names}
    missing = {name: int(np.count_nonzero((sites == name) & ~usable)) for name in names}
    asked = size_missingness(missing, total)
    record: dict[str, Any] = {"axis": axis, "unit": SIZE_AXES[axis].unit, "missing_share": asked.value}
    record |= {"standardised": False, "reference": None, "slope": None}
    everything = np.ones(doses.size, dtype=bool)
    if asked.status != "OK":
        return doses, everything, record | {"reason": asked.reason}
    position, logs = SIZE_AXES[axis].position(sizes[usable]), np.log(doses[usable])
    inside_position, inside_logs = position.copy(), logs.copy()
    for name in names:
        here = sites[usable] == name
        if here.any():
            inside_position[here] -= np.median(position[here])
            inside_logs[here] -= np.median(logs[here])
    slope = robust_slope(inside_position, inside_logs, minimum_n=20)
    if slope.value is None:
        return doses, everything, record | {"reason": slope.reason}
    reference = float(np.median(sizes[usable]))
    at_reference = np.full(doses.size, np.nan)
    origin = float(SIZE_AXES[axis].position(reference))
    at_reference[usable] = np.exp(logs - slope.value * (position - origin))
    record |= {"standardised": True, "reference": reference, "slope": estimate_record(slope), "reason": ""}
    return at_reference, usable, record


def _funnel_record(funnel: Funnel, counts: Sequence[int]) -> dict[str, Any]:
    from dose_audit.statistics import funnel_limits

    limits = []
    if funnel.target is not None and funnel.unit_error is not None:
        at = np.unique(np.geomspace(max(5, 0.7 * min(counts)), 1.3 * max(counts), _LIMIT_POINTS).astype(int))
        for level in funnel.levels:
            low, high = funnel_limits(funnel, at, level)
            limits.append({"level": level, "n": at.tolist(), "low": low.tolist(), "high": high.tolist()})
    return {
        "target": funnel.target,
        "phi": funnel.phi,
        "tau": funnel.tau,
        "status": funnel.status,
        "reason": funnel.reason,
        "limits": limits,
        "points": [
            {
                "site": point.name,
                "median": point.value,
                "low": point.low,
                "high": point.high,
                "n": point.n,
                "z": point.z_adjusted,
                "p_value": point.p_value,
                "beyond": point.beyond,
                "direction": point.direction,
            }
            for point in funnel.points
        ],
    }


def _components_record(result: VarianceComponents) -> dict[str, Any]:
    return {
        "status": result.status,
        "reason": result.reason,
        "levels": [
            {
                "name": part.name,
                "sigma": part.value,
                "low": part.low,
                "high": part.high,
                "share": part.share,
                "p_value": part.p_value,
                "groups": part.n,
                "status": part.status,
                "reason": part.reason,
            }
            for part in result.components
        ],
        "site_factor": estimate_record(result.site_factor),
        "pair_factor": estimate_record(result.pair_factor),
        "effects": [
            {"site": effect.name, "factor": effect.value, "low": effect.low, "high": effect.high, "n": effect.n}
            for effect in result.effects
        ],
    }
