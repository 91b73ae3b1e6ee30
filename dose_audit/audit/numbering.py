"""Texts as numbers into their words, and numbers as places among those that occur."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Texts", "places_among", "renumbered", "used_words", "with_sorted_words"]


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
    >>> texts[2] = "N"
    >>> texts.isin(["N"]).tolist()
    [False, True, True]
    """

    __hash__ = None  # type: ignore[assignment]

    def __init__(self, codes: NDArray[np.integer[Any]], words: Sequence[Any]) -> None:
        self.codes = codes
        self.words: NDArray[Any] = np.array([*words, None], dtype=object)[:-1]  # of texts or not, an array of objects

    def __len__(self) -> int:
        return int(self.codes.size)

    def __getitem__(self, rows: Any) -> Any:
        return self.words[self.codes[rows]]

    def __eq__(self, other: object) -> Any:
        return self._where(np.asarray(self.words == other))

    def __ne__(self, other: object) -> Any:
        return self._where(np.asarray(self.words != other))

    def __setitem__(self, rows: Any, word: Any) -> None:
        self.codes[rows] = self.words.tolist().index(word)

    def isin(self, words: Iterable[Any]) -> NDArray[np.bool_]:
        """Which of them are one of some words."""
        wanted = set(words)
        return self._where(np.array([word in wanted for word in self.words], dtype=np.bool_))

    def _where(self, hit: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Which of them are words that are hit."""
        hits = np.flatnonzero(hit)
        if hits.size == 1:  # numbers are compared many times faster than they are looked up
            found: NDArray[np.bool_] = self.codes == int(hits[0])
            return found
        return hit[self.codes] if hits.size else np.zeros(self.codes.shape, dtype=np.bool_)

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


def used_words(codes: NDArray[np.integer[Any]], words: list[Any]) -> tuple[NDArray[np.integer[Any]], list[Any]]:
    """Numbers into words, as narrow as they can be, and the words, without those that no row has.

    >>> codes, words = used_words(np.array([2, 0], np.int32), ["a", "b", "c"])
    >>> codes.tolist(), words
    ([1, 0], ['a', 'c'])
    """
    there = np.bincount(codes, minlength=len(words)) > 0
    kind = np.min_scalar_type(max(1, int(np.count_nonzero(there))))
    if there.all():
        return codes.astype(kind, copy=False), words
    rank = (np.cumsum(there) - 1).astype(kind)
    return rank[codes], [word for word, used in zip(words, there, strict=True) if used]


def with_sorted_words(column: pa.DictionaryArray) -> pa.DictionaryArray:
    """The same texts with their words in ascending order, so that the column's own numbers are its codes.

    >>> import pyarrow as pa
    >>> with_sorted_words(pa.array(["b", None, "a"]).dictionary_encode()).indices.to_pylist()
    [1, None, 0]
    """
    import pyarrow as pa

    words = column.dictionary.to_pylist()
    order = sorted(range(len(words)), key=words.__getitem__)
    rank = np.empty(len(words), dtype=np.int32)
    rank[order] = np.arange(len(words))
    indices = pa.array(rank, pa.int32()).take(column.indices)
    return pa.DictionaryArray.from_arrays(indices, column.dictionary.take(pa.array(order, pa.int64())))


def renumbered(numbers: NDArray[np.integer[Any]], size: int) -> tuple[NDArray[np.integer[Any]], int]:
    """Numbers from zero to under `size` as their ranks among the distinct ones, and how many those are."""
    if size > 8 * numbers.size:
        distinct, place = np.unique(numbers, return_inverse=True)
        return place.astype(np.int32), distinct.size
    present = np.zeros(size, dtype=np.bool_)
    present[numbers] = True
    rank = np.cumsum(present, dtype=np.int32) - np.int32(1)
    return rank[numbers], int(rank[-1]) + 1


def places_among(known: NDArray[np.int64], wanted: NDArray[np.int64]) -> NDArray[np.int64]:
    """Place of each wanted number among the known ones, each of which is there once; −1 where it is not.

    >>> places_among(np.array([7, 3]), np.array([3, 5, 7])).tolist()
    [1, -1, 0]
    """
    if not known.size:
        return np.full(wanted.size, -1, dtype=np.int64)
    low, high = int(known.min()), int(known.max())
    if high - low < 8 * (known.size + wanted.size):  # a table of all numbers between them is the fastest
        table = np.full(high - low + 2, -1, dtype=np.int64)
        table[known - low] = np.arange(known.size)
        inside = (wanted >= low) & (wanted <= high)
        found: NDArray[np.int64] = table[np.where(inside, wanted - low, high - low + 1)]
        return found
    order = np.argsort(known)
    place = order[np.minimum(np.searchsorted(known[order], wanted), known.size - 1)]
    return np.where(known[place] == wanted, place, -1)
