"""A table held as numpy columns, with groups of rows by several keys: what the audit's Python side works
on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Columns", "Texts"]

_FEW = 1 << 16
_MANY = (1 << 31) - 1


class Texts:
    """A column of millions of texts of which few are distinct: numbers into words, to be used like an array of objects.

    Parameters
    ----------
    codes : array of int
    words : sequence of str or None

    Examples
    --------
    >>> texts = Texts(np.array([1, 0, 1]), ["N", "S"])
    >>> texts[0], texts[np.array([1, 2])].tolist(), (texts == "S").tolist()
    ('S', ['N', 'S'], [True, False, True])
    """

    __hash__ = None  # type: ignore[assignment]

    def __init__(self, codes: NDArray[np.int32], words: Sequence[Any]) -> None:
        self.codes = codes
        self.words: NDArray[Any] = np.array([*words, None], dtype=object)[:-1]  # of texts or not, an array of objects

    def __len__(self) -> int:
        return int(self.codes.size)

    def __getitem__(self, rows: Any) -> Any:
        return self.words[self.codes[rows]]

    def __eq__(self, other: object) -> Any:
        return np.asarray(self.words == other)[self.codes]

    def __ne__(self, other: object) -> Any:
        return np.asarray(self.words != other)[self.codes]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        found = self.words[self.codes]
        return found if dtype is None else found.astype(dtype)

    @property
    def size(self) -> int:
        """How many there are."""
        return len(self)

    def astype(self, kind: Any) -> NDArray[Any]:
        """All of them as another type."""
        return self.words.astype(kind)[self.codes]

    def tolist(self) -> list[Any]:
        """All of them as objects."""
        found: list[Any] = self.words[self.codes].tolist()
        return found


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
        self._codes: dict[str, tuple[NDArray[np.int32], list[Any]]] = {}

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def __getitem__(self, name: str) -> NDArray[Any]:
        """The column as an array: numbers as float with NaN for absent, dates as datetime64, the rest as
        objects; encoded texts as `Texts`, which is used like an array.
        """
        if name not in self._arrays:
            import pyarrow as pa

            column = self.table.column(name)
            if pa.types.is_dictionary(column.type):
                self._arrays[name] = cast("NDArray[Any]", Texts(*self.codes(name)))
            else:
                self._arrays[name] = column.combine_chunks().to_numpy(zero_copy_only=False)
        return self._arrays[name]

    def codes(self, name: str) -> tuple[NDArray[np.int32], list[Any]]:
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
            rank = np.empty(len(words), dtype=np.int32)
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
        rows = None if mask is None else np.flatnonzero(mask)
        if (len(self) if rows is None else rows.size) == 0:
            return
        keys: list[tuple[NDArray[np.integer[Any]], int]]
        keys = [(codes if rows is None else codes[rows], len(words)) for codes, words in map(self.codes, names)]
        if within is not None:
            parts = within if rows is None else within[rows]
            keys.append((parts, int(parts.max()) + 1))
        for part in _places(keys):
            members = part if rows is None else rows[part]
            first = members[0]
            yield tuple(self.codes(name)[1][self.codes(name)[0][first]] for name in names), members


def _places(keys: Sequence[tuple[NDArray[np.integer[Any]], int]]) -> list[NDArray[np.int64]]:
    """The places of each combination of keys that occurs, ascending with them; within one in their order."""
    combined, size = keys[0]
    for codes, count in keys[1:]:
        if size * count > _MANY:
            combined, size = _renumbered(combined, size)  # so that many wide columns cannot overflow
        if size * count > _MANY:
            combined = combined.astype(np.int64)
        combined, size = combined * count + codes, size * count
    combined, size = _renumbered(combined, size)
    narrow = combined.astype(np.uint16) if size <= _FEW else combined  # sixteen bits sort by radix
    edges = np.cumsum(np.bincount(combined, minlength=size))[:-1]
    return np.split(np.argsort(narrow, kind="stable"), edges)


def _renumbered(numbers: NDArray[np.integer[Any]], size: int) -> tuple[NDArray[np.integer[Any]], int]:
    """Numbers under `size` as their ranks among the distinct ones, and how many those are."""
    if size > 8 * numbers.size:
        distinct, place = np.unique(numbers, return_inverse=True)
        return place.astype(np.int32), distinct.size
    present = np.zeros(size, dtype=np.bool_)
    present[numbers] = True
    rank = np.cumsum(present, dtype=np.int32) - np.int32(1)
    return rank[numbers], int(rank[-1]) + 1
