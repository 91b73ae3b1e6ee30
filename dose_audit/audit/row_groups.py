"""Joins Parquet files of one layout into one, their row groups byte for byte as they are: what was encoded once is never
encoded again.

A Parquet file is its row groups and, behind them, a footer that says where each column of each lies. Of the joined file
only the footer is new: the same entries, moved by as many bytes as lie before them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

__all__ = ["RowGroupsError", "join_row_groups"]

_MAGIC = b"PAR1"

# Types of the Thrift compact protocol.
_TRUE, _FALSE, _BYTE, _I16, _I32, _I64, _DOUBLE, _BINARY, _LIST, _SET, _STRUCT = 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12
_WHOLE_NUMBERS = (_I16, _I32, _I64)

# Numbers of the fields, of the format's own definition (parquet.thrift, Apache Parquet 2.x).
_SCHEMA, _ROWS, _ROW_GROUPS = 2, 3, 4
_COLUMNS, _GROUP_OFFSET, _ORDINAL = 1, 5, 7
_COLUMN_OFFSET, _COLUMN_META = 2, 3
_PAGES = (9, 10, 11, 14)
"""Offsets in a column's description: of its data, index and dictionary pages and of its Bloom filter."""
_INDEXES = (4, 6)
"""Offsets of a column's page indexes."""

_Struct = dict[int, tuple[int, Any]]
"""Fields by number, each with its type; a list is the type of its members and those."""


class RowGroupsError(ValueError):
    """The files are not Parquet, or not of one layout."""


def join_row_groups(parts: Iterable[bytes | memoryview]) -> Iterator[bytes | memoryview]:
    """Yield the joined file in pieces.

    Parameters
    ----------
    parts : iterable of bytes
        One or more whole Parquet files with the same columns, unencrypted; each is let go of once it is yielded.

    Raises
    ------
    RowGroupsError
        A part is no Parquet file, or has other columns than the first.

    Examples
    --------
    >>> import io
    >>> import pyarrow as pa, pyarrow.parquet as pq
    >>> def file(numbers):
    ...     sink = io.BytesIO()
    ...     pq.write_table(pa.table({"n": numbers}), sink)
    ...     return sink.getvalue()
    >>> joined = b"".join(join_row_groups([file([1, 2]), file([3])]))
    >>> pq.read_table(io.BytesIO(joined))["n"].to_pylist()
    [1, 2, 3]
    """
    yield _MAGIC
    length, rows = len(_MAGIC), 0
    whole: _Struct | None = None
    groups: list[_Struct] = []
    for part in parts:
        body, footer = _parted(memoryview(part))
        if whole is None:
            whole = footer
        elif footer[_SCHEMA] != whole[_SCHEMA]:
            raise RowGroupsError("the files to join have different columns")
        for group in footer[_ROW_GROUPS][1][1]:
            _move(group, length - len(_MAGIC), len(groups))
            groups.append(group)
        rows += footer[_ROWS][1]
        length += len(body)
        yield body
    if whole is None:
        raise RowGroupsError("no file to join")
    whole[_ROWS] = (_I64, rows)
    whole[_ROW_GROUPS] = (_LIST, (_STRUCT, groups))
    told = bytearray()
    _write_struct(told, whole)
    yield bytes(told) + len(told).to_bytes(4, "little") + _MAGIC


def _parted(file: memoryview) -> tuple[memoryview, _Struct]:
    """A file's row groups as they are, and its footer."""
    if len(file) < 12 or file[:4] != _MAGIC or file[-4:] != _MAGIC:
        raise RowGroupsError("a file to join is no Parquet file")
    end = len(file) - 8 - int.from_bytes(file[-8:-4], "little")
    if end < 4:
        raise RowGroupsError("a file to join is no Parquet file")
    try:
        footer, _ = _read_struct(bytes(file[end:-8]), 0)
    except IndexError as error:
        raise RowGroupsError("a file to join has a damaged footer") from error
    return file[4:end], footer


def _move(group: _Struct, by: int, ordinal: int) -> None:
    """Say of a row group that it lies so many bytes further on."""
    _shift(group, _GROUP_OFFSET, by)
    if _ORDINAL in group:
        group[_ORDINAL] = (_I16, ordinal)
    for column in group[_COLUMNS][1][1]:
        if column[_COLUMN_OFFSET][1]:  # nought says nothing
            _shift(column, _COLUMN_OFFSET, by)
        for number in _INDEXES:
            _shift(column, number, by)
        for number in _PAGES:
            _shift(column[_COLUMN_META][1], number, by)


def _shift(entry: _Struct, number: int, by: int) -> None:
    if number in entry:
        kind, offset = entry[number]
        entry[number] = (kind, offset + by)


def _read_struct(data: bytes, at: int) -> tuple[_Struct, int]:
    found: _Struct = {}
    number = 0
    while True:
        head = data[at]
        at += 1
        if head == 0:
            return found, at
        kind, step = head & 15, head >> 4
        if step:
            number += step
        else:
            number, at = _read_whole(data, at)
        if kind in (_TRUE, _FALSE):
            found[number] = (kind, None)
            continue
        value, at = _read(data, at, kind)
        found[number] = (kind, value)


def _read(data: bytes, at: int, kind: int) -> tuple[Any, int]:
    if kind in _WHOLE_NUMBERS:
        return _read_whole(data, at)
    if kind == _BINARY:
        size, at = _read_plain(data, at)
        if at + size > len(data):
            raise IndexError
        return data[at : at + size], at + size
    if kind == _STRUCT:
        return _read_struct(data, at)
    if kind in (_LIST, _SET):
        head = data[at]
        member, size, at = head & 15, head >> 4, at + 1
        if size == 15:
            size, at = _read_plain(data, at)
        values = []
        for _ in range(size):
            value, at = _read(data, at, member)
            values.append(value)
        return (member, values), at
    if kind in (_TRUE, _FALSE, _BYTE):  # within a list truth is a byte
        return data[at : at + 1], at + 1
    if kind == _DOUBLE:
        return data[at : at + 8], at + 8
    raise RowGroupsError(f"a file to join has a footer with an entry of type {kind}")


def _read_plain(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7


def _read_whole(data: bytes, at: int) -> tuple[int, int]:
    value, at = _read_plain(data, at)
    return (value >> 1) ^ -(value & 1), at


def _write_struct(out: bytearray, entry: _Struct) -> None:
    before = 0
    for number in sorted(entry):
        kind, value = entry[number]
        if 0 < number - before < 16:
            out.append((number - before) << 4 | kind)
        else:
            out.append(kind)
            _write_whole(out, number)
        before = number
        if kind not in (_TRUE, _FALSE):
            _write(out, kind, value)
    out.append(0)


def _write(out: bytearray, kind: int, value: Any) -> None:
    if kind in _WHOLE_NUMBERS:
        _write_whole(out, value)
    elif kind == _BINARY:
        _write_plain(out, len(value))
        out += value
    elif kind == _STRUCT:
        _write_struct(out, value)
    elif kind in (_LIST, _SET):
        member, values = value
        if len(values) < 15:
            out.append(len(values) << 4 | member)
        else:
            out.append(0xF0 | member)
            _write_plain(out, len(values))
        for one in values:
            _write(out, member, one)
    else:
        out += value


def _write_plain(out: bytearray, value: int) -> None:
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)


def _write_whole(out: bytearray, value: int) -> None:
    _write_plain(out, value << 1 if value >= 0 else (-value << 1) - 1)
