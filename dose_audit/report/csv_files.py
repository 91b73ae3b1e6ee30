"""The report's tables as CSV in one archive, a file a table, for whoever goes on in R, pandas or a spreadsheet."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any, TextIO

from dose_audit.report.tables import Table
from dose_audit.texts import no_formula

__all__ = ["csv_text", "write_csv_archive"]

_EARLIEST = (1980, 1, 1, 0, 0, 0)
"""The oldest date that a zip archive knows: the same for every file, so that the same run gives the same bytes."""

_MANY_ROWS = 1_000_000


def write_csv_archive(tables: Iterable[Table], path: Path) -> None:
    """Write one zip archive with a CSV file (RFC 4180, UTF-8) a table.

    Parameters
    ----------
    tables : iterable of Table
    path : Path
    """
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for table in tables:
            entry = zipfile.ZipInfo(table.file_name, _EARLIEST)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            many = len(table.rows) > _MANY_ROWS  # past 4 GiB a file needs another kind of entry, chosen beforehand
            with (
                archive.open(entry, "w", force_zip64=many) as part,
                io.TextIOWrapper(part, encoding="utf-8", newline="") as text,
            ):
                _write(table, text)


def csv_text(table: Table) -> str:
    r"""One table as CSV: numbers in full, moments as ISO text, nothing for what is not known.

    Text that a spreadsheet would take for a formula gets an apostrophe in front.

    Examples
    --------
    >>> csv_text(Table("A", ["x", "y"], [[0.1, None], ["=1+1", True]], [9, 9]))
    "x,y\r\n0.1,\r\n'=1+1,true\r\n"
    """
    text = io.StringIO()
    _write(table, text)
    return text.getvalue()


def _write(table: Table, text: TextIO) -> None:
    writer = csv.writer(text)
    writer.writerow([no_formula(column) for column in table.columns])
    writer.writerows([_field(value) for value in row] for row in table.rows)


def _field(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, datetime):
        return value.isoformat()
    return no_formula(str(value))
