"""What sites of a network may show each other: counts and medians by examination and site, small numbers hidden."""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from string import ascii_uppercase
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dose_audit.report.frozen import FrozenRun
from dose_audit.report.page import templates, text_of
from dose_audit.report.stamp import version_stamp
from dose_audit.report.suppression import suppress_counts
from dose_audit.report.tables import Table
from dose_audit.report.words import band_order, quantity_label, with_band
from dose_audit.statistics import median_interval, quantile

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["HIDDEN", "about_table", "shared_json", "shared_page", "shared_tables", "site_letters"]

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
    exams: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    doses: dict[tuple[str, str, str, str], dict[str, tuple[int, NDArray[np.float64]]]] = defaultdict(dict)
    labels: dict[tuple[str, str], str] = {}
    counted, grouped = _compared(run, names)
    for row in counted.to_pylist():
        key = (row["examination"] or "", row["band"] or "")
        labels[key] = with_band(row["examination_name_max"] or "", row["band"])
        exams[key][row["site"]] += row["exam_ref_count_distinct"]
    for row, values in zip(grouped.drop_columns("value_list").to_pylist(), grouped["value_list"], strict=True):
        key = (row["examination"] or "", row["band"] or "")
        # Several values may be one exam's: a median of few exams is as good as theirs.
        if row["exam_ref_count_distinct"] >= smallest:
            dose = (row["exam_ref_count_distinct"], values.values.to_numpy())
            doses[(*key, row["quantity"], row["unit"] or "")][row["site"]] = dose
    order = sorted(exams, key=lambda key: (labels[key], band_order(key[1]), key))
    sites = sorted({site for counts in exams.values() for site in counts})
    if not order:
        return [Table("Exams", ["Examination", "All sites"], [], [40, 12]), _medians([])]
    shown = suppress_counts([[exams[key][site] for site in sites] for key in order], smallest=smallest)
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
        [labels[key[:2]], key[2], key[3], site, *_summary(*doses[key][site])]
        for key in sorted(doses, key=lambda key: (order.index(key[:2]), key[2:]))
        for site in sites
        if (key[:2], site) in visible and site in doses[key]
    ]
    return [Table("Exams", ["Examination", *sites, "All sites"], rows, [40, *[12] * len(sites), 12]), _medians(medians)]


def _compared(run: FrozenRun, names: dict[str, str]) -> tuple[pa.Table, pa.Table]:
    """Exams by examination, band and site's shown name; and their values by quantity and unit too."""
    import pyarrow as pa
    import pyarrow.compute as pc

    columns = ["exam_ref", "site", "examination", "examination_name", "band", "quantity", "unit", "value", "included"]
    table = run.columns(columns).unify_dictionaries()
    table = table.filter(pc.and_(table["included"], pc.is_valid(table["value"])))
    for place, name in enumerate(columns):
        if name in ("site", "examination", "examination_name", "band"):  # absent and empty are one
            table = table.set_column(place, name, pc.fill_null(table[name].cast(pa.string()), ""))
    sites = table["site"].combine_chunks().dictionary_encode()
    shown = pa.array([names.get(site, "Site not known") for site in sites.dictionary.to_pylist()], pa.string())
    table = table.set_column(columns.index("site"), "site", shown.take(sites.indices))
    groups = ["examination", "band", "site"]
    exams = table.group_by(groups).aggregate([("exam_ref", "count_distinct"), ("examination_name", "max")])
    return exams, table.group_by([*groups, "quantity", "unit"]).aggregate(
        [("value", "list"), ("exam_ref", "count_distinct")]
    )


def _medians(rows: list[list[Any]]) -> Table:
    columns = ["Examination", "Quantity", "Unit", "Site", "Median", "CI low", "CI high", "P25", "P75"]
    return Table("Medians", columns, rows, [40, 14, 10, 14, 10, 10, 10, 10, 10])


def _summary(exams: int, values: NDArray[np.float64]) -> list[float | None]:
    """Median; its interval and quartiles only where they are not single patients' values. Three figures of each."""
    median = median_interval(values)
    enough = exams >= _FEWEST_FOR_QUARTILES
    quartiles = [quantile(values, q) if enough else None for q in (0.25, 0.75)]
    interval = [median.low, median.high] if enough else [None, None]
    return [None if value is None else float(f"{value:.3g}") for value in (median.value, *interval, *quartiles)]


def _shown(count: int | None) -> int | str:
    return HIDDEN if count is None else count


def about_table(run: FrozenRun, *, smallest: int) -> Table:
    """What a reader of the tables alone has to know: the period, what is hidden, which version drew them."""
    rows = [
        ["From", run.data["run"]["since"]],
        ["To", run.data["run"]["until"]],
        ["Exams", "exams grouped for comparison, by examination and site; an exam of two regions is counted in each"],
        ["Hidden", f"numbers from 1 to {smallest - 1}, and enough others that no total gives them back"],
        ["Medians", f"of a site's devices together, for groups of {smallest} exams or more whose number is shown"],
        ["CI, P25, P75", f"95 % interval of the median, and quartiles, from {_FEWEST_FOR_QUARTILES} exams on"],
    ]
    stamp = version_stamp(run)
    return Table(
        "About", ["Item", "Meaning"], rows + ([["Drawn by another version", stamp]] if stamp else []), [26, 100]
    )


def shared_page(run: FrozenRun, tables: list[Table], *, smallest: int) -> str:
    """The tables as a page that stands alone, without script."""
    page: str = (
        templates()
        .get_template("shared.html.j2")
        .render(
            run=run.data["run"],
            stamp=version_stamp(run),
            exams=tables[0],
            medians=tables[1],
            smallest=smallest,
            hidden=HIDDEN,
            quantity_label=quantity_label,
            css=text_of("report.css"),
        )
    )
    return page


def shared_json(run: FrozenRun, tables: list[Table], *, smallest: int) -> str:
    """The tables as JSON, a record a row."""
    about = run.data["run"]
    data: dict[str, Any] = {"since": about["since"], "until": about["until"], "smallest_shown": smallest}
    data |= {table.name.lower(): [dict(zip(table.columns, row, strict=True)) for row in table.rows] for table in tables}
    return json.dumps(data, ensure_ascii=False, indent=1, allow_nan=False) + "\n"
