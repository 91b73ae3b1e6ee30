"""The report as a workbook: typed cells, frozen headers, no macros, and no text that a spreadsheet would run."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

from dose_audit.report.tables import Table

__all__ = ["write_workbook"]

MOST_ROWS = 1_000_000
"""A worksheet holds 1,048,576 rows; past this many the rest stays in the run's Parquet file, and a row says so."""


def write_workbook(tables: Iterable[Table], path: Path, *, subject: str, created_at: str) -> None:
    """Write tables as a workbook, a sheet each; the same tables give the same bytes.

    Parameters
    ----------
    tables : iterable of Table
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
            for table in tables:
                sheets.write(table)
    except FileCreateError as error:
        if error.args and isinstance(
            error.args[0], OSError
        ):  # the library hides the system's own error in one of its own
            raise error.args[0] from error
        raise


class _Sheets:
    """Writes one table a sheet, header frozen and filterable."""

    def __init__(self, book: Any) -> None:
        self.book = book
        self.header = book.add_format({"bold": True, "bottom": 1, "text_wrap": True, "valign": "top"})
        self.date = book.add_format({"num_format": "yyyy-mm-dd hh:mm"})

    def write(self, table: Table) -> None:
        sheet = self.book.add_worksheet(table.name)
        for index, width in enumerate(table.widths):
            sheet.set_column(index, index, width)
        sheet.freeze_panes(1, 0)
        for index, column in enumerate(table.columns):
            sheet.write_string(0, index, column, self.header)
        shown = min(len(table.rows), MOST_ROWS)
        for number, row in enumerate(islice(table.rows, MOST_ROWS), start=1):
            for index, value in enumerate(row):
                self._cell(sheet, number, index, value)
        if len(table.rows) > MOST_ROWS:
            left = f"{len(table.rows) - MOST_ROWS} more rows are in values.parquet beside this file"
            sheet.write_string(shown + 1, 0, left)
        if shown:
            sheet.autofilter(0, 0, shown, len(table.columns) - 1)

    def _cell(self, sheet: Any, row: int, column: int, value: Any) -> None:
        if value is None:
            return
        if isinstance(value, bool):
            sheet.write_boolean(row, column, value)
        elif isinstance(value, int | float) and math.isfinite(value):
            sheet.write_number(row, column, value)
        elif isinstance(value, datetime):
            sheet.write_datetime(row, column, value.replace(tzinfo=None), self.date)
        else:
            # A dose that came as infinite or no number is a row of what was left out; a workbook has no such number.
            sheet.write_string(row, column, str(value)[:32_767])
