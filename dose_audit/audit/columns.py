"""A table held as numpy columns, with groups of rows by several keys: what the audit's Python side works
on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from dose_audit.audit.numbering import Texts, used_words
from dose_audit.audit.row_order import rows_by_groups, sorted_order

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Columns", "Deferred", "Parted"]

_ORDERS = 3
"""Groupings that a table remembers: the same ones are asked for again and again."""

_Order = tuple[tuple[str, ...], "NDArray[np.integer[Any]] | None", "tuple[NDArray[np.int64], NDArray[np.int64]]"]


class Deferred(Protocol):
    """A column of `size` rows that is put together when somebody asks for it, whole or some rows."""

    @property
    def size(self) -> int:
        """How many rows it has."""

    def __call__(self, rows: NDArray[Any] | None = None) -> NDArray[Any]:
        """The column, or some rows of it."""


_Numbers = NDArray[Any] | Deferred
_Texts = tuple[NDArray[np.integer[Any]] | Deferred, list[Any]]


class Columns:
    """Columns of a table by name, converted when first asked for.

    Parameters
    ----------
    table : pyarrow.Table
        Its row order is kept; groups list their rows in it.

    Examples
    --------
    >>> import pyarrow as pa
    >>> columns = Columns(pa.table({"site": ["N", "S", "N"], "value": [1.0, None, 3.0]}))
    >>> [(key, rows.tolist()) for key, rows in columns.groups(["site"])]
    [(('N',), [0, 2]), (('S',), [1])]
    >>> columns["value"].tolist()
    [1.0, nan, 3.0]
    """

    def __init__(self, table: pa.Table) -> None:
        self._table: pa.Table | None = table
        self._arrays: dict[str, NDArray[Any]] = {}
        self._codes: dict[str, tuple[NDArray[np.int32], list[Any]]] = {}
        self._numbers: dict[str, _Numbers] = {}
        self._narrow: dict[str, _Texts] = {}
        self._orders: list[_Order] = []
        self._every: NDArray[np.int64] | None = None

    @classmethod
    def of_arrays(cls, numbers: Mapping[str, _Numbers], texts: Mapping[str, _Texts]) -> Columns:
        """Columns of arrays of numbers and dates, NaN and NaT where there is none, and of texts as numbers of any width into
        their sorted words, the absent one first if any; each an array, or deferred.

        Examples
        --------
        >>> columns = Columns.of_arrays({"value": np.array([1.0, np.nan])}, {"site": (np.array([1, 0], np.int32), ["N", "S"])})
        >>> columns["site"].tolist(), columns.table["value"].to_pylist()
        (['S', 'N'], [1.0, None])
        """
        found = cls.__new__(cls)
        found._table, found._arrays, found._codes, found._orders, found._every = None, {}, {}, [], None
        found._numbers, found._narrow = dict(numbers), dict(texts)
        return found

    @property
    def table(self) -> pa.Table:
        """The same as a table, in which nothing stands for what is not known."""
        if self._table is not None:
            return self._table
        import pyarrow as pa

        parts = {name: pa.array(self[name], from_pandas=True) for name in self._numbers}
        for name, (codes, words) in self.texts.items():
            known = [word for word in words if word is not None]
            wide = codes.astype(np.int32)
            indices = pa.array(wide - np.int32(1), mask=wide == 0) if len(known) < len(words) else pa.array(wide)
            parts[name] = pa.DictionaryArray.from_arrays(indices, pa.array(known, pa.string()))
        return pa.table(parts)

    @property
    def names(self) -> list[str]:
        """Names of the columns."""
        return [*self._numbers, *self._narrow] if self._table is None else list(self._table.column_names)

    @property
    def texts(self) -> dict[str, tuple[NDArray[np.integer[Any]], list[Any]]]:
        """Columns of texts, of columns of arrays, as they were given."""
        return {name: self._text(name) for name in self._narrow}

    def _text(self, name: str) -> tuple[NDArray[np.integer[Any]], list[Any]]:
        codes, words = self._narrow[name]
        codes = codes() if callable(codes) else codes
        self._narrow[name] = (codes, words)
        return codes, words

    def __len__(self) -> int:
        if self._table is not None:
            return int(self._table.num_rows)
        held = [*self._numbers.values(), *(codes for codes, _ in self._narrow.values())]
        return held[0].size if held else 0

    def __getitem__(self, name: str) -> NDArray[Any]:
        """The column as an array: numbers as float with NaN for absent, dates as datetime64, the rest as
        objects; encoded texts as `Texts`, which is used like an array.
        """
        if name in self._numbers:
            held = self._numbers[name]
            array = self._numbers[name] = held() if callable(held) else held
            return array
        if name not in self._arrays and name in self._narrow:
            self._arrays[name] = cast("NDArray[Any]", Texts(*self._text(name)))
        if name not in self._arrays:
            import pyarrow as pa

            column = self.table.column(name)
            if pa.types.is_dictionary(column.type):
                self._arrays[name] = cast("NDArray[Any]", Texts(*self.codes(name)))
            else:
                self._arrays[name] = column.combine_chunks().to_numpy(zero_copy_only=False)
        return self._arrays[name]

    def _numbered(self, name: str) -> tuple[NDArray[np.integer[Any]], list[Any]]:
        """The same as `codes`, as narrow as the numbers are held."""
        return self._text(name) if name in self._narrow else self.codes(name)

    def codes(self, name: str) -> tuple[NDArray[np.int32], list[Any]]:
        """The column as numbers into its sorted distinct values; absent is one of them."""
        if name not in self._codes and name in self._narrow:
            codes, words = self._text(name)
            self._codes[name] = (codes.astype(np.int32, copy=False), words)
        if name not in self._codes:
            import pyarrow as pa
            import pyarrow.compute as pc

            column = self.table.column(name)
            if not pa.types.is_dictionary(column.type):
                column = pc.dictionary_encode(column)
            encoded = pa.table({name: column}).unify_dictionaries().column(name).combine_chunks()
            words = encoded.dictionary.to_pylist()
            indices = encoded.indices
            if indices.null_count:
                indices = pc.fill_null(indices, len(words))
                words.append(None)
            order = sorted(range(len(words)), key=lambda i: (words[i] is not None, words[i]))
            if order == list(range(len(words))) and indices.type == pa.int32():
                self._codes[name] = (indices.to_numpy(), words)  # the column's own, not a copy
                return self._codes[name]
            rank = np.empty(len(words), dtype=np.int32)
            rank[order] = np.arange(len(words))
            self._codes[name] = (rank[indices.to_numpy()], [words[i] for i in order])
        return self._codes[name]

    def let_go(self) -> None:
        """Forget the arrays that were made of columns: whoever asks for one again gets it made again."""
        self._arrays.clear()
        self._codes.clear()
        self._orders.clear()
        self._every = None

    def with_numbers(self, name: str, numbers: NDArray[Any]) -> Columns:
        """The same with other numbers in one column."""
        if self._table is None:
            return Columns.of_arrays(self._numbers | {name: numbers}, self._narrow)
        import pyarrow as pa

        place = self._table.column_names.index(name)
        return Columns(self._table.set_column(place, name, pa.array(numbers, from_pandas=True)))

    def with_texts(self, name: str, codes: NDArray[np.integer[Any]], words: Sequence[str | None]) -> Columns:
        """The same, of arrays, with a column of texts given as numbers into words, in whatever order these are."""
        order = sorted(set(words), key=lambda word: (word is not None, word or ""))
        rank = {word: place for place, word in enumerate(order)}
        moved = np.array([rank[word] for word in words], dtype=np.int32)[codes]
        return Columns.of_arrays(self._numbers, self._narrow | {name: used_words(moved, order)})

    def without(self, *names: str) -> Columns:
        """The same, of arrays, without some columns."""
        numbers = {name: array for name, array in self._numbers.items() if name not in names}
        return Columns.of_arrays(numbers, {name: held for name, held in self._narrow.items() if name not in names})

    def only(self, *names: str) -> Columns:
        """The same, of arrays, with some of the columns."""
        return self.without(*(name for name in self.names if name not in names))

    def some(self, rows: NDArray[Any]) -> Columns:
        """Some rows of columns of arrays."""

        def part(held: _Numbers) -> NDArray[Any]:
            return held(rows) if callable(held) else held[rows]

        numbers = {name: part(held) for name, held in self._numbers.items()}
        return Columns.of_arrays(numbers, {name: (part(codes), words) for name, (codes, words) in self._narrow.items()})

    def sorted_arrays(self, names: Sequence[str]) -> Columns:
        """A table's rows as `sorted` gives them, as arrays alone, of texts with the words that occur and no others.

        The table is used up column by column: where nobody else holds it, nothing is there twice for long.
        """
        order = self._sorting(names)
        numbers: dict[str, NDArray[Any]] = {}
        texts = {}
        for name in self.names:
            found = self[name]
            if isinstance(found, Texts) or found.dtype == object:
                codes, words = used_words(*self.codes(name))
                texts[name] = (codes[order], words)
            else:
                numbers[name] = found[order]
            self._arrays.pop(name)
            self._codes.pop(name, None)
            self._table = self.table.drop_columns([name])
        return Columns.of_arrays(numbers, texts)

    def sorted(self, names: Sequence[str]) -> Columns:
        """The same rows in ascending order of some columns, absent values last; equal rows keep their order.

        Examples
        --------
        >>> import pyarrow as pa
        >>> columns = Columns(pa.table({"site": ["S", None, "N", "N"], "n": [1.0, 2.0, 4.0, 3.0]}))
        >>> columns.sorted(["site", "n"]).table.to_pydict()
        {'site': ['N', 'N', 'S', None], 'n': [3.0, 4.0, 1.0, 2.0]}
        """
        import pyarrow as pa

        order = self._sorting(names)
        if np.array_equal(order, np.arange(order.size)):
            return self
        return Columns(self.table.take(pa.array(order)))

    def _sorting(self, names: Sequence[str]) -> NDArray[np.int64]:
        import pyarrow as pa

        texts: list[tuple[NDArray[np.integer[Any]], int]] = []
        others: list[NDArray[Any]] = []
        for name in names:
            column = self.table.column(name)
            if pa.types.is_string(column.type) or pa.types.is_dictionary(column.type):
                # Numbers sort many times faster than texts, of which there are few distinct ones.
                codes, words = self.codes(name)
                if words[:1] == [None]:
                    codes = np.where(codes == 0, np.int32(len(words)), codes)
                if others:
                    others.append(codes)
                else:
                    texts.append((codes, len(words) + 1))
            else:
                others.append(self[name])
        return sorted_order(texts, others)

    def groups(
        self,
        names: Sequence[str],
        mask: NDArray[np.bool_] | None = None,
        *,
        within: NDArray[np.integer[Any]] | None = None,
    ) -> Iterator[tuple[tuple[Any, ...], NDArray[np.int64]]]:
        """Yield each combination of values of `names` with its rows, in sorted order of the combination.

        Parameters
        ----------
        names : sequence of str
        mask : array of bool, optional
            Only rows where it is true.
        within : array of int, optional
            A number of each row, zero or more, by which each combination is parted further, in its ascending order.
        """
        parted = self.parted(names, mask, within=within)
        for key, (a, b) in zip(parted.keys, pairwise(parted.edges), strict=True):
            yield key, parted.rows[a:b]

    def parted(
        self,
        names: Sequence[str],
        mask: NDArray[np.bool_] | None = None,
        *,
        within: NDArray[np.integer[Any]] | None = None,
    ) -> Parted:
        """What `groups` yields, all together."""
        if mask is not None and not mask.any():
            return Parted(np.zeros(0, dtype=np.int64), [0], [])
        rows, edges = self._order_by(tuple(names), within)
        if mask is not None and not mask.all():
            wanted = mask[rows]
            counts = np.add.reduceat(wanted, edges[:-1], dtype=np.int64)  # no group is empty
            rows, edges = rows[wanted], np.concatenate([[0], np.cumsum(counts[counts > 0])])
        first = rows[edges[:-1]]
        held = [self._numbered(name) for name in names]
        words = [np.array([*of, None], dtype=object)[codes[first]].tolist() for codes, of in held]
        return Parted(rows, edges.tolist(), list(zip(*words, strict=True)))

    def _order_by(
        self, names: tuple[str, ...], within: NDArray[np.integer[Any]] | None
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Rows by each combination of some columns, and where in them one ends and the next begins; the last few are kept."""
        for kept_names, kept_within, found in self._orders:
            if kept_names == names and kept_within is within:
                return found
        if not len(self):
            return np.zeros(0, dtype=np.int64), np.zeros(1, dtype=np.int64)
        keys = [(codes, len(words)) for codes, words in map(self._numbered, names)]
        if within is not None:
            keys.append((within, int(within.max()) + 1))
        found = rows_by_groups(keys, self._all_rows)
        self._orders = [(names, within, found), *self._orders][:_ORDERS]
        return found

    def _all_rows(self) -> NDArray[np.int64]:
        if self._every is None:
            self._every = np.arange(len(self))
        return self._every


class Parted(NamedTuple):
    """Rows by groups: those of group number *n*, which bears `keys` [n], lie from `edges` [n] to `edges` [n + 1]."""

    rows: NDArray[np.int64]
    edges: list[int]
    keys: list[tuple[Any, ...]]
