"""The report as a workbook: typed cells, frozen headers, no macros, and no text that a spreadsheet would run."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

from dose_audit.report.tables import Table

__all__ = ["write_workbook"]

MOST_ROWS = 50_000
"""A worksheet could hold 1,048,576 rows, in minutes and for nobody's eyes: of a table with more than this it shows a part,
and says so."""
LONG_TEXT = 40
"""Columns of so many characters are of sentences, which are broken into lines."""


def write_workbook(tables: Iterable[Table], path: Path, *, subject: str, created_at: str) -> None:
    """Write tables as a workbook, a sheet each; the same tables give the same bytes.

    Parameters
    ----------
    tables : iterable of Table
        The first says what the others are: what a sheet leaves out is told there too.
    path : Path
    subject : str
        What the tables are of: the run's name.
    created_at : str
        Moment of the run, ISO; the workbook bears it as its own.

    Raises
    ------
    OSError
        The file cannot be written: the disk is full, or a spreadsheet program holds it open.
    """
    import xlsxwriter
    from xlsxwriter.exceptions import FileCreateError

    options = {
        "strings_to_formulas": False,
        "strings_to_urls": False,
        "strings_to_numbers": False,
        "constant_memory": True,
    }
    path.open("ab").close()  # a file that is locked is refused before the work, which would leave its own files behind
    try:
        with xlsxwriter.Workbook(path, options) as book:
            created = datetime.fromisoformat(created_at).replace(tzinfo=None)
            book.set_properties({"title": "Dose audit", "subject": subject, "created": created})
            sheets = _Sheets(book)
            tables = list(tables)
            notes = [[f"Sheet {table.name}", _left_out(table)] for table in tables if len(table.rows) > MOST_ROWS]
            for number, table in enumerate(tables):
                sheets.write(table if number or not notes else replace(table, rows=[*table.rows, *notes]))
    except FileCreateError as error:
        if error.args and isinstance(
            error.args[0], OSError
        ):  # the library hides the system's own error in one of its own
            raise error.args[0] from error
        raise


class _Sheets:
    """Writes one table a sheet, header frozen, filterable and on every printed page."""

    def __init__(self, book: Any) -> None:
        self.book = book
        self.header = book.add_format({"bold": True, "bottom": 1, "text_wrap": True, "valign": "top"})
        self.date = book.add_format({"num_format": "yyyy-mm-dd hh:mm", "valign": "top"})
        self.numbers = {shown: book.add_format({"num_format": shown, "valign": "top"}) for shown in _SHOWN}
        self.plain = book.add_format({"valign": "top"})
        self.text = book.add_format({"valign": "top", "text_wrap": True})

    def write(self, table: Table) -> None:
        sheet = self.book.add_worksheet(table.name)
        for index, width in enumerate(table.widths):
            sheet.set_column(index, index, width)
        sheet.freeze_panes(1, 0)
        sheet.repeat_rows(0)
        sheet.set_landscape()
        sheet.set_paper(9)  # A4
        sheet.fit_to_pages(1, 0)
        for index, column in enumerate(table.columns):
            sheet.write_string(0, index, column, self.header)
        too_many = len(table.rows) > MOST_ROWS
        rows: Iterable[list[Any]] = table.fewer() if too_many and table.fewer else table.rows
        long = [width >= LONG_TEXT for width in table.widths]
        shown = 0
        for shown, row in enumerate(islice(rows, MOST_ROWS), start=1):
            for index, value in enumerate(row):
                self._cell(sheet, shown, index, value, long[index])
        if shown:
            sheet.autofilter(0, 0, shown, len(table.columns) - 1)
        if too_many:
            sheet.write_string(shown + 2, 0, f"{shown:,} rows. {_left_out(table)}")

    def _cell(self, sheet: Any, row: int, column: int, value: Any, long: bool) -> None:
        if value is None:
            return
        if isinstance(value, bool):
            sheet.write_boolean(row, column, value, self.plain)
        elif isinstance(value, int | float) and math.isfinite(value):
            shown = self.numbers[_shown(value)] if isinstance(value, float) else self.plain
            sheet.write_number(row, column, value, shown)
        elif isinstance(value, datetime):
            sheet.write_datetime(row, column, value.replace(tzinfo=None), self.date)
        else:
            # A dose that came as infinite or no number is a row of what was left out; a workbook has no such number.
            sheet.write_string(row, column, str(value)[:32_767], self.text if long else self.plain)


_SHOWN = ("0", "0.0", "0.00", "0.000", "0.0000", "0.00000", "0.00E+00")


def _shown(value: float) -> str:
    """How a cell shows a number, with three figures or so; the cell itself holds them all.

    >>> [_shown(value) for value in (819.4, 5.25, -0.0126, 0.63427, 40.0, 5.96e-08)]
    ['0.0', '0.00', '0.0000', '0.000', '0', '0.00E+00']
    """
    size = abs(value)
    if value == round(value) and size < 1e9:
        return "0"
    if not 1e-3 <= size < 1e9:
        return "0.00E+00"
    return _SHOWN[1 if size >= 100 else 2 if size >= 1 else 2 - math.floor(math.log10(size))]


def _left_out(table: Table) -> str:
    """Say what a worksheet does not show.

    >>> _left_out(Table("Values", ["Exam"], range(4_561_000), [9]))
    "Of 4,561,000 rows this sheet shows the first ones alone. All are in the run's values.parquet, and as CSV in the \
archive that `dose-audit report --format csv` makes."
    """
    return (
        f"Of {len(table.rows):,} rows this sheet shows {table.which} alone. All are in the run's values.parquet, and as CSV "
        "in the archive that `dose-audit report --format csv` makes."
    )
