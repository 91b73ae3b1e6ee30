"""Rows in an order, as arrays: some of them taken out and others put in without sorting the rest, written to a file and
mapped back from it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dose_audit.audit.columns import Columns
from dose_audit.kept_files import map_kept, writing_kept

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["merged", "read_rows", "write_rows"]

_A_PIECE = 32
"""Rows that pieces have on average where it pays to copy piece by piece."""
_LAST = np.iinfo(np.int64).max
_FACTS = b"facts"

_TextColumn = tuple[NDArray[np.integer[Any]], list[Any]]


def merged(held: Columns, stay: NDArray[np.bool_], more: Columns, order: Sequence[str]) -> Columns:
    """Rows that stay and more rows, in one order.

    Parameters
    ----------
    held, more : Columns
        As arrays, with the same columns, each in that order: as `Columns.sorted` gives it.
    stay : array of bool
        Rows of `held` that are part of the result.
    order : sequence of str
        Columns of texts, then one of times or whole numbers, then others.

    Returns
    -------
    Columns
        What sorting all of them would give; of texts the words that occur alone.

    Examples
    --------
    >>> def rows(texts, times):
    ...     codes = np.array([ord(text) - ord("a") for text in texts], np.int32)
    ...     return Columns.of_arrays({"at": np.array(times, "M8[us]")}, {"text": (codes, ["a", "b"])})
    >>> found = merged(rows("aab", [1, 5, 2]), np.array([True, False, True]), rows("ab", [3, 1]), ["text", "at"])
    >>> found["text"].tolist(), found["at"].astype(int).tolist()
    (['a', 'a', 'b', 'b'], [1, 3, 1, 2])
    """
    gone = ~stay
    texts = {
        name: _one_numbering(first, more.texts[name], _vanished(first, more.texts[name], gone))
        for name, first in held.texts.items()
    }
    keys = [name for name in order if name in texts]
    times, *others = (name for name in order if name not in texts)
    before = _staying_before(held, stay, more, [texts[name] for name in keys], times, others)
    new = np.zeros(int(np.count_nonzero(stay)) + len(more), dtype=np.bool_)
    new[before + np.arange(before.size)] = True
    # Of both, one behind the other, the row that each place has.
    source = np.empty(new.size, dtype=np.int64)
    source[~new] = np.flatnonzero(stay)
    source[new] = np.arange(stay.size, stay.size + before.size)

    places = _Places(source, stay.size)
    numbers = {name: _Together(held[name], more[name], places) for name in held.names if name not in texts}
    return Columns.of_arrays(
        numbers, {name: (_Together(first, second, places), words) for name, (first, second, words) in texts.items()}
    )


class _Places:
    """Where rows lie that come from two arrays, the second behind the first.

    Parameters
    ----------
    source : array of int
        Of each row, its place in both.
    first_size : int
    """

    def __init__(self, source: NDArray[np.int64], first_size: int) -> None:
        self.source, self.first_size = source, first_size
        self._asked: tuple[NDArray[Any], NDArray[np.int64], NDArray[np.int64]] | None = None

    @cached_property
    def pieces(self) -> list[tuple[bool, slice]] | None:
        """Successive rows that lie so in one of the arrays, whether that is the second, and where in it; None of short ones."""
        breaks = np.flatnonzero(np.diff(self.source) != 1) + 1
        # Both arrays may go on from one to the other as if they were one.
        border = np.flatnonzero((self.source[1:] == self.first_size) & (self.source[:-1] == self.first_size - 1)) + 1
        edges = np.unique(np.concatenate([[0], breaks, border, [self.source.size]]))
        if edges.size * _A_PIECE > self.source.size:
            return None
        found = []
        for a, n in zip(self.source[edges[:-1]].tolist(), np.diff(edges).tolist(), strict=True):
            later = a >= self.first_size
            start = a - self.first_size if later else a
            found.append((later, slice(start, start + n)))
        return found

    def of(self, rows: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Places of some rows, and which of them lie in the second array; remembered, as many columns ask for the same."""
        if self._asked is None or self._asked[0] is not rows:
            places = self.source[rows]
            self._asked = rows, places, np.flatnonzero(places >= self.first_size)
        return self._asked[1:]


@dataclass(frozen=True)
class _Together:
    """Rows of one column behind those of another, in the order of their places: put together when they are asked for."""

    first: NDArray[Any]
    second: NDArray[Any]
    places: _Places

    @property
    def size(self) -> int:
        """Rows of both."""
        return self.places.source.size

    def __call__(self, rows: NDArray[Any] | None = None) -> NDArray[Any]:
        if rows is None:
            if self.places.pieces is None:
                whole: NDArray[Any] = np.concatenate([self.first, self.second])[self.places.source]
                return whole
            return np.concatenate([(self.second if later else self.first)[part] for later, part in self.places.pieces])
        places, late = self.places.of(rows)
        if not self.first.size:
            return self.second[places]
        found = self.first.take(places, mode="clip").astype(
            np.promote_types(self.first.dtype, self.second.dtype), copy=False
        )
        found[late] = self.second[places[late] - self.first.size]
        return found


def _vanished(first: _TextColumn, second: _TextColumn, gone: NDArray[np.bool_]) -> set[Any]:
    """Words that only rows which are taken out have."""
    codes, words = first
    lost = set(np.flatnonzero(np.bincount(codes[gone], minlength=len(words))).tolist())
    doubtful = {place for place in lost if words[place] not in set(second[1])}
    if not doubtful:
        return set()
    left = np.bincount(codes, minlength=len(words)) - np.bincount(codes[gone], minlength=len(words))
    return {words[place] for place in doubtful if not left[place]}


def _one_numbering(
    first: _TextColumn, second: _TextColumn, vanished: set[Any]
) -> tuple[NDArray[np.integer[Any]], NDArray[np.integer[Any]], list[Any]]:
    """Two columns of texts as numbers into the same sorted words, the absent one first if any; words that vanish have the
    number of another."""
    words = sorted({*first[1], *second[1]} - vanished, key=lambda word: (word is not None, word or ""))
    place = {word: rank for rank, word in enumerate(words)}
    kind = np.min_scalar_type(max(1, len(words)))

    def moved(column: _TextColumn) -> NDArray[np.integer[Any]]:
        if column[1] == words:
            return column[0].astype(kind, copy=False)
        return np.array([place.get(word, 0) for word in column[1]], dtype=kind)[column[0]]

    return moved(first), moved(second), words


def _staying_before(
    held: Columns, stay: NDArray[np.bool_], more: Columns, keys: list[Any], times: str, others: Sequence[str]
) -> NDArray[np.int64]:
    """How many rows that stay come before each of the others."""
    held_times, rows = _as_numbers(held[times]), np.flatnonzero(stay)
    group, wanted = np.zeros(stay.size, dtype=np.int64), np.zeros(len(more), dtype=np.int64)
    for first, second, words in keys:
        # Rows without a text come last, though their number is the first.
        last = len(words) - 1 if words[:1] == [None] else None
        for combined, codes in ((group, first), (wanted, second)):
            combined *= len(words)
            combined += codes if last is None else np.where(codes == 0, last, codes - 1)
    if rows.size < stay.size:
        group, held_times = group[rows], held_times[rows]
    starts = np.concatenate([[0], np.flatnonzero(group[1:] != group[:-1]) + 1, [group.size]])
    known, moments = group[starts[:-1][starts[:-1] < group.size]], _as_numbers(more[times])
    low, high = np.empty(wanted.size, dtype=np.int64), np.empty(wanted.size, dtype=np.int64)
    parts = np.flatnonzero(np.diff(wanted, prepend=-1, append=-1)).tolist()
    for a, b in pairwise(parts):
        place = int(np.searchsorted(known, wanted[a]))
        start = int(starts[place])
        end = int(starts[place + 1]) if place < known.size and known[place] == wanted[a] else start
        low[a:b] = start + np.searchsorted(held_times[start:end], moments[a:b], side="left")
        high[a:b] = start + np.searchsorted(held_times[start:end], moments[a:b], side="right")
    # At the same moment the other columns decide, and what was there goes before what is equal.
    for row in np.flatnonzero(high > low).tolist():
        own = tuple(_rank(more[name][row]) for name in others)
        rivals = rows[low[row] : high[row]].tolist()
        low[row] += sum(tuple(_rank(held[name][rival]) for name in others) <= own for rival in rivals)
    return low


def _as_numbers(times: NDArray[Any]) -> NDArray[np.int64]:
    """Times as whole numbers, the last of all where there is none; whole numbers as they are."""
    if times.dtype.kind != "M":
        return times
    numbers = times.view(np.int64)
    return np.where(np.isnat(times), _LAST, numbers) if numbers.size and np.isnat(times).any() else numbers


def _rank(number: Any) -> tuple[bool, Any]:
    unknown = bool(number != number)
    return (unknown, 0 if unknown else number)


def write_rows(path: Path, columns: Columns, facts: dict[str, Any]) -> None:
    """Write columns of arrays and what is said of them, whole or not at all."""
    import pyarrow as pa
    import pyarrow.ipc as ipc

    arrays, kinds, words = [], {}, {}
    for name in columns.names:
        if name in columns.texts:
            array, words[name] = columns.texts[name]
        else:
            array = columns[name]
            kinds[name] = array.dtype.str
            array = array.view(np.int64) if array.dtype.kind == "M" else array
        arrays.append(pa.array(array))
    body = json.dumps({"facts": facts, "kinds": kinds, "words": words}).encode()
    table = pa.table(dict(zip(columns.names, arrays, strict=True))).replace_schema_metadata({_FACTS: body})
    with writing_kept(path) as kept, ipc.new_file(pa.PythonFile(kept, mode="w"), table.schema) as file:
        file.write_table(table)


def read_rows(path: Path) -> tuple[Columns, dict[str, Any]] | None:
    """What was written, mapped into memory; None where there is nothing, or nothing that can be read."""
    import pyarrow as pa
    import pyarrow.ipc as ipc

    body = map_kept(path)
    if body is None:
        return None
    try:
        table = ipc.open_file(pa.py_buffer(body)).read_all()
        told = json.loads(table.schema.metadata[_FACTS])
        numbers, texts = {}, {}
        for name in table.column_names:
            array = _array(table, name)
            if name in told["words"]:
                texts[name] = (array, told["words"][name])
            else:
                numbers[name] = array.view(told["kinds"][name])
        return Columns.of_arrays(numbers, texts), told["facts"]
    except (pa.ArrowInvalid, ValueError, KeyError, TypeError):
        return None  # of another version: it is made anew


def _array(table: pa.Table, name: str) -> NDArray[Any]:
    column = table.column(name)
    if column.num_chunks == 0:
        import pyarrow as pa

        column = pa.chunked_array([pa.array([], column.type)])
    found: NDArray[Any] = column.chunk(0).to_numpy(zero_copy_only=False)
    return found
