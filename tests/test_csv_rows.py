"""Rows of a person's CSV: separators, encodings, numbers as a spreadsheet counts, hostile ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from dose_audit.csv_rows import NotCsv, csv_rows


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252"])
def test_what_spreadsheets_write_is_read(tmp_path: Path, separator: str, encoding: str) -> None:
    path = tmp_path / "list.csv"
    path.write_bytes(
        separator.join(["site", "room"]).encode(encoding) + b"\r\n" + f"Süd{separator}1\r\n".encode("cp1252")
    )
    if encoding != "cp1252":
        path.write_bytes(f"site{separator}room\r\nSüd{separator}1\r\n".encode(encoding))
    assert list(csv_rows(path)) == [(1, ["site", "room"]), (2, ["Süd", "1"])]


def test_rows_are_numbered_as_a_spreadsheet_numbers_them() -> None:
    text = b'a,b\n\n"two\nlines",2\n,\n3,4\n'
    assert list(csv_rows(text)) == [(1, ["a", "b"]), (3, ["two\nlines", "2"]), (5, ["3", "4"])]


def test_a_cell_of_endless_length_costs_its_row_only() -> None:
    rows = dict(csv_rows(b"a,b\n" + b"x" * 200_000 + b",1\n3,4\n"))
    assert rows[2] is None and list(rows.values())[-1] == ["3", "4"]


@pytest.mark.parametrize("data", [b"a,b\n1,\0\n", b"x" * 101])
def test_what_is_no_text_or_too_much_is_refused(data: bytes) -> None:
    with pytest.raises(NotCsv):
        list(csv_rows(data, max_bytes=100))
