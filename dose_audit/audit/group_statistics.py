"""Medians, intervals and quartiles of many groups in one pass of the engine.

The engine gathers each group's values, which is what its own quantile does; ranks and quantiles are then those of
`dose_audit.statistics`, so that a group has the same figures wherever they are asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import ibis.expr.types as ir
    from numpy.typing import NDArray

    from dose_audit.audit.engine import Engine

__all__ = ["group_statistics"]


def group_statistics(
    engine: Engine, rows: ir.Table, keys: Sequence[str], value: str = "value", *, level: float = 0.95
) -> list[dict[str, Any]]:
    """Describe every group of some rows.

    Parameters
    ----------
    engine : Engine
    rows : ibis table
        Rows without a finite value count for nothing.
    keys : sequence of str
        Columns that make a group.
    value : str
        Column of positive or negative finite numbers, in any unit.
    level : float
        Of the median's interval: its coverage is never under this.

    Returns
    -------
    list of dict
        One entry a group, in the order of its keys: the keys, `n`, `median`, `ci_low`, `ci_high` (None where so few
        values have no interval), `p25`, `p75` (quantile type 8).
    """
    from dose_audit.statistics import interval_ranks

    column = rows[value]
    kept = rows.filter(column.notnull() & ~column.isnan() & ~column.isinf())
    table = engine.to_arrow(kept.group_by(*keys).agg(values=kept[value].collect()))
    names = [table.column(key).to_pylist() for key in keys]
    lists = table.column("values").combine_chunks()
    doses, edges = np.asarray(lists.values), np.asarray(lists.offsets, dtype=np.int64)
    n = np.diff(edges)
    # Group by group, ascending: any order statistic of any group is then a place in one array.
    doses = doses[np.lexsort((doses, np.repeat(np.arange(n.size), n)))]
    figures = {
        "n": n.tolist(),
        "median": _quantile(doses, edges, n, 0.5).tolist(),
        "p25": _quantile(doses, edges, n, 0.25).tolist(),
        "p75": _quantile(doses, edges, n, 0.75).tolist(),
    }
    ranks = {int(size): interval_ranks(int(size), level) for size in np.unique(n)}
    for name, end in (("ci_low", 0), ("ci_high", 1)):
        figures[name] = [
            None if (found := ranks[size]) is None else float(doses[start + found[end] - 1])
            for start, size in zip(edges[:-1].tolist(), figures["n"], strict=True)
        ]
    entries = [
        dict(zip((*keys, *figures), entry, strict=True)) for entry in zip(*names, *figures.values(), strict=True)
    ]
    return sorted(entries, key=lambda entry: [(entry[key] is not None, entry[key]) for key in keys])


def _quantile(
    doses: NDArray[np.float64], edges: NDArray[np.int64], n: NDArray[np.int64], share: float
) -> NDArray[np.float64]:
    """Quantile of type 8 (Hyndman and Fan 1996) of every group: order statistic at (n + 1/3)·share + 1/3."""
    place = np.clip((n + 1.0 / 3.0) * share + 1.0 / 3.0, 1.0, n)
    low = np.floor(place).astype(np.int64)
    high = np.minimum(low + 1, n)
    below, above = doses[edges[:-1] + low - 1], doses[edges[:-1] + high - 1]
    found: NDArray[np.float64] = below + (place - low) * (above - below)
    return found
