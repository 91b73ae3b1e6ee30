"""A table held as numpy columns, with groups of rows by several keys: what the audit's Python side works
on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Columns"]

_FEW = 1 << 16


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
        self.table = table
        self._arrays: dict[str, NDArray[Any]] = {}
        self._codes: dict[str, tuple[NDArray[np.int64], list[Any]]] = {}

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def __getitem__(self, name: str) -> NDArray[Any]:
        """The column as an array: numbers as float with NaN for absent, dates as datetime64, the rest as
        objects.
        """
        if name not in self._arrays:
            import pyarrow as pa

            column = self.table.column(name)
            if pa.types.is_dictionary(column.type):
                codes, words = self.codes(name)
                self._arrays[name] = np.array([*words, None], dtype=object)[:-1][codes]
            else:
                self._arrays[name] = column.combine_chunks().to_numpy(zero_copy_only=False)
        return self._arrays[name]

    def codes(self, name: str) -> tuple[NDArray[np.int64], list[Any]]:
        """The column as numbers into its sorted distinct values; absent is one of them."""
        if name not in self._codes:
            import pyarrow as pa
            import pyarrow.compute as pc

            column = self.table.column(name)
            if not pa.types.is_dictionary(column.type):
                column = pc.dictionary_encode(column)
            encoded = pa.table({name: column}).unify_dictionaries().column(name).combine_chunks()
            words: list[Any] = encoded.dictionary.to_pylist()
            indices = encoded.indices
            if indices.null_count:
                indices = pc.fill_null(indices, len(words))
                words.append(None)
            order = sorted(range(len(words)), key=lambda i: (words[i] is not None, words[i]))
            rank = np.empty(len(words), dtype=np.int64)
            rank[order] = np.arange(len(words))
            self._codes[name] = (rank[indices.to_numpy()], [words[i] for i in order])
        return self._codes[name]

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

        keys = []
        for name in names:
            column = self.table.column(name)
            if pa.types.is_string(column.type) or pa.types.is_dictionary(column.type):
                # Numbers sort many times faster than texts, of which there are few distinct ones.
                codes, words = self.codes(name)
                keys.append(np.where(codes == 0, len(words), codes) if words[:1] == [None] else codes)
            else:
                keys.append(self[name])
        return Columns(self.table.take(pa.array(np.lexsort(keys[::-1]))))

    def groups(
        self,
        names: Sequence[str],
        mask: NDArray[np.bool_] | None = None,
        *,
        within: NDArray[np.int64] | None = None,
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
        rows = np.arange(len(self)) if mask is None else np.flatnonzero(mask)
        if rows.size == 0:
            return
        keys = [(codes[rows], len(words)) for codes, words in map(self.codes, names)]
        if within is not None:
            keys.append((within[rows], int(within[rows].max()) + 1))
        combined, order = _sorted_places(keys)
        edges = np.flatnonzero(np.diff(combined[order])) + 1
        for part in np.split(order, edges):
            members = rows[part]
            first = members[0]
            yield tuple(self.codes(name)[1][self.codes(name)[0][first]] for name in names), members


def _sorted_places(keys: Sequence[tuple[NDArray[np.int64], int]]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """One number for each combination of keys, ascending with them, and the order of the rows by it."""
    combined, size = np.zeros(keys[0][0].size, dtype=np.int64), 1
    for codes, count in keys:
        combined, size = combined * count + codes, size * count
        if size > _FEW:
            # Renumbered at each step, so that many wide columns cannot overflow.
            combined, size = _renumbered(combined, size)
    narrow = combined.astype(np.uint16) if size <= _FEW else combined  # sixteen bits sort by radix
    return combined, np.argsort(narrow, kind="stable")


def _renumbered(numbers: NDArray[np.int64], size: int) -> tuple[NDArray[np.int64], int]:
    """Numbers under `size` as their ranks among the distinct ones, and how many those are."""
    if size > 8 * numbers.size:
        distinct, rank = np.unique(numbers, return_inverse=True)
        return rank, distinct.size
    present = np.zeros(size, dtype=np.int64)
    present[numbers] = 1
    rank = np.cumsum(present) - 1
    return rank[numbers], int(rank[-1]) + 1
