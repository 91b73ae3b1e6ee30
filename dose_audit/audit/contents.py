"""Hashes what a table holds, whole or in parts, whatever way its texts are encoded."""

from __future__ import annotations

import hashlib
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dose_audit.audit.numbering import renumbered

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["content_digests", "table_sha256", "text_codes", "used_codes", "words_in_order"]


def table_sha256(table: pa.Table) -> str:
    """Hash of a table's contents, column by column; independent of file format, compression and library
    version.

    Examples
    --------
    >>> import pyarrow as pa
    >>> table_sha256(pa.table({"a": [1.0, None]})) == table_sha256(pa.table({"a": pa.array([1.0, None])}))
    True
    """
    return content_digests(table, [0, table.num_rows])[0]


def content_digests(table: pa.Table, edges: list[int], order: NDArray[np.int64] | None = None) -> list[str]:
    """Hash of the contents of each part of a table.

    Parameters
    ----------
    table : pyarrow.Table
    edges : list of int
        Where the parts begin, and where the last one ends, in the ordered table.
    order : array of int, optional
        Rows of the table in the order in which they are parted; as they are by default.
    """
    import pyarrow as pa

    digests = [hashlib.sha256(f"{b - a}\x1e".encode()) for a, b in pairwise(edges)]
    for name in table.column_names:
        column = table[name].combine_chunks()
        texts = pa.types.is_dictionary(column.type) or pa.types.is_string(column.type)
        if texts:
            column = column.dictionary_encode() if pa.types.is_string(column.type) else column
            numbers, words = text_codes(column), column.dictionary
        else:
            numbers, valid = _numbers(column)
            valid = valid if order is None or valid is None else valid[order]
        numbers = numbers if order is None else numbers[order]
        kind = "text" if texts else str(column.type)
        for digest, a, b in zip(digests, edges[:-1], edges[1:], strict=True):
            digest.update(f"{name}\x1f{kind}\x1e".encode())
            if texts:
                places, used = used_codes(numbers[a:b])
                known, rank = words_in_order(words, used)
                digest.update(_with_lengths(known).data)
                digest.update(rank.astype("<i4")[places].data)
            else:
                # A part says of each row whether it has a number, or of none where all have.
                told = b"" if valid is None or valid[a:b].all() else valid[a:b].tobytes()
                digest.update(f"{len(told)}\x1e".encode() + told)
                digest.update(numbers[a:b].data)
    return [digest.hexdigest() for digest in digests]


def text_codes(column: pa.DictionaryArray) -> NDArray[np.int32]:
    """Numbers into a column's words, from one on; nought where there is none."""
    import pyarrow.compute as pc

    numbers = pc.fill_null(column.indices, -1) if column.indices.null_count else column.indices
    return numbers.to_numpy(zero_copy_only=False).astype(np.int32, copy=False) + np.int32(1)


def _numbers(column: pa.Array) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
    """A column's numbers, nought where there is none, and where there is one; None where all rows have one."""
    import pyarrow as pa
    import pyarrow.compute as pc

    valid = column.is_valid().to_numpy(zero_copy_only=False) if column.null_count else None
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.int64())
    column = column.cast(pa.float64() if pa.types.is_floating(column.type) else pa.int64())
    found = (pc.fill_null(column, 0) if column.null_count else column).to_numpy(zero_copy_only=False)
    return found.astype("<f8" if found.dtype.kind == "f" else "<i8", copy=False), valid


def used_codes(codes: NDArray[np.integer[Any]]) -> tuple[NDArray[np.integer[Any]], NDArray[np.int64]]:
    """Each row's place among the codes that occur, and those, ascending."""
    if not codes.size:
        return codes, np.zeros(0, dtype=np.int64)
    low = int(codes.min())
    places, count = renumbered(codes - low, int(codes.max()) - low + 1)
    used = np.empty(count, dtype=np.int64)
    used[places] = codes
    return places, used


def words_in_order(words: pa.Array, used: NDArray[np.int64]) -> tuple[pa.Array, NDArray[np.int64]]:
    """The words that occur in their own order, and for each code that occurs which of them it is, −1 where it is none."""
    import pyarrow as pa
    import pyarrow.compute as pc

    known = used[used > 0] - 1
    told = words.take(pa.array(known))
    nothing = np.full(used.size - known.size, -1)
    if pc.all(pc.less(told[:-1], told[1:])).as_py() is not False:  # as most are, in order already
        return told, np.concatenate([nothing, np.arange(known.size)])
    order = pc.array_sort_indices(told).to_numpy()
    rank = np.empty(known.size, dtype=np.int64)
    rank[order] = np.arange(known.size)
    return told.take(pa.array(order)), np.concatenate([nothing, rank])


def _with_lengths(words: pa.Array) -> NDArray[np.uint8]:
    """The bytes of texts behind their lengths in eight each: no two lists of texts give the same."""
    import pyarrow as pa

    _, ends, data = words.cast(pa.large_string()).buffers()
    if not len(words):
        return np.zeros(8, dtype=np.uint8)
    end = np.frombuffer(ends, dtype=np.int64, count=len(words) + 1 + words.offset)[words.offset :]
    told = np.zeros(0, dtype=np.uint8) if data is None else np.frombuffer(data, dtype=np.uint8)[end[0] : end[-1]]
    return np.concatenate([np.append(len(words), np.diff(end)).astype("<u8").view(np.uint8), told])
