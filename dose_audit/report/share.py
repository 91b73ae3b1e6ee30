"""What sites of a network may show each other: counts and medians by examination and site, small numbers hidden."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from string import ascii_uppercase
from typing import Any

import numpy as np

from dose_audit.report.frozen import FrozenRun
from dose_audit.report.page import templates, text_of
from dose_audit.report.suppression import suppress_counts
from dose_audit.report.tables import Table
from dose_audit.report.words import band_order, quantity_label, with_band
from dose_audit.statistics import median_interval, quantile

__all__ = ["HIDDEN", "shared_json", "shared_page", "shared_tables", "site_letters"]

HIDDEN = "hidden"
"""Stands where a number is not shown."""

_FEWEST_FOR_QUARTILES = 20


def site_letters(run: FrozenRun) -> dict[str, str]:
    """A letter for each site, in an order that its name does not tell: by a hash of the run's inputs and the name."""
    secret = run.data["run"]["frozen_input_sha256"]
    sites = sorted(run.data["run"]["sites"], key=lambda site: hashlib.sha256(f"{secret}{site}".encode()).hexdigest())
    return {site: f"Site {_letters(index)}" for index, site in enumerate(sites)}


def _letters(index: int) -> str:
    """A to Z, then AA, AB and on."""
    first, last = divmod(index, len(ascii_uppercase))
    return (_letters(first - 1) if first else "") + ascii_uppercase[last]


def shared_tables(run: FrozenRun, names: dict[str, str], *, smallest: int) -> list[Table]:
    """Counts and medians by examination and site.

    Parameters
    ----------
    run : FrozenRun
    names : dict
        Name to show of each site.
    smallest : int
        Counts from 1 to one below this are hidden, and more so that no total gives them back.

    Returns
    -------
    list of Table
        ``Exams``: a row an examination and band, a column a site, with totals. ``Medians``: groups whose count is
        shown. Exact counts stand in the first table alone, so that no second one undoes what it hides.
    """
    exams: dict[tuple[str, str], dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    doses: dict[tuple[str, str, str, str], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    labels: dict[tuple[str, str], str] = {}
    for row in run.values:
        if not row["included"] or row["value"] is None:
            continue
        key = (row["examination"] or "", row["band"] or "")
        site = names.get(row["site"] or "", "Site not known")
        labels[key] = with_band(row["examination_name"] or "", row["band"])
        exams[key][site].add(row["exam_ref"])
        doses[(*key, row["quantity"], row["unit"] or "")][site].append(row["value"])
    order = sorted(exams, key=lambda key: (labels[key], band_order(key[1]), key))
    sites = sorted({site for counts in exams.values() for site in counts})
    if not order:
        return [Table("Exams", ["Examination", "All sites"], [], [40, 12]), _medians([])]
    shown = suppress_counts([[len(exams[key][site]) for site in sites] for key in order], smallest=smallest)
    rows = [
        [labels[key], *(_shown(cell) for cell in cells), _shown(total)]
        for key, cells, total in zip(order, shown.cells, shown.row_totals, strict=True)
    ]
    rows.append(["All examinations", *(_shown(cell) for cell in shown.column_totals), _shown(shown.total)])
    visible = {
        (key, site)
        for key, cells in zip(order, shown.cells, strict=True)
        for site, cell in zip(sites, cells, strict=True)
        if cell is not None
    }
    medians = [
        [labels[key[:2]], key[2], key[3], site, *_summary(doses[key][site])]
        for key in sorted(doses, key=lambda key: (order.index(key[:2]), key[2:]))
        for site in sites
        if (key[:2], site) in visible and len(doses[key][site]) >= smallest
    ]
    return [Table("Exams", ["Examination", *sites, "All sites"], rows, [40, *[12] * len(sites), 12]), _medians(medians)]


def _medians(rows: list[list[Any]]) -> Table:
    columns = ["Examination", "Quantity", "Unit", "Site", "Median", "CI low", "CI high", "P25", "P75"]
    return Table("Medians", columns, rows, [40, 14, 10, 14, 10, 10, 10, 10, 10])


def _summary(values: list[float]) -> list[float | None]:
    """Median with its interval; quartiles only where they are not single patients' values. Three figures of each."""
    known = np.asarray(values)
    median = median_interval(known)
    quartiles = [quantile(known, q) if known.size >= _FEWEST_FOR_QUARTILES else None for q in (0.25, 0.75)]
    interval = [median.low, median.high] if known.size >= _FEWEST_FOR_QUARTILES else [None, None]
    return [None if value is None else float(f"{value:.3g}") for value in (median.value, *interval, *quartiles)]


def _shown(count: int | None) -> int | str:
    return HIDDEN if count is None else count


def shared_page(run: FrozenRun, tables: list[Table], *, smallest: int) -> str:
    """The tables as a page that stands alone, without script."""
    page: str = (
        templates()
        .get_template("shared.html.j2")
        .render(
            run=run.data["run"],
            exams=tables[0],
            medians=tables[1],
            smallest=smallest,
            hidden=HIDDEN,
            quantity_label=quantity_label,
            css=text_of("report.css"),
        )
    )
    return page


def shared_json(run: FrozenRun, tables: list[Table]) -> str:
    """The tables as JSON, a record a row."""
    data: dict[str, Any] = {"since": run.data["run"]["since"], "until": run.data["run"]["until"]}
    data |= {table.name.lower(): [dict(zip(table.columns, row, strict=True)) for row in table.rows] for table in tables}
    return json.dumps(data, ensure_ascii=False, indent=1, allow_nan=False) + "\n"
