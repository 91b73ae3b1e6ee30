"""Keeps what long calculations gave, by a hash of all that they depend on, so that a night repeats none that would give
the same again.

A result is found again only where the program's own text, the libraries and every input are those that gave it: with the
folder or without it a run's report is the same. The folder may be deleted at any time.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from dose_audit.audit.runs import json_ready
from dose_audit.kept_files import read_kept, write_kept
from dose_audit.program import program_sha256

__all__ = ["FOLDER", "Growing", "KeptResults", "no_results", "results_sha256"]

FOLDER = "results"
"""Beside the columnar copy, which can be made anew from the store as well."""
_FILE = "results.json"
_KEPT_RUNS = 10
"""A result that so many runs in a row did not ask for is dropped: a look at another period does not drop the nightly's."""
_GROWN = "grown.bin"
_PROGRAM = ("audit", "drl", "statistics")
_LIBRARIES = ("numpy", "scipy")

_ENCODER = json.JSONEncoder(sort_keys=True, default=str)


@dataclass(frozen=True, slots=True)
class _Grown:
    """An array that goes with the first `n` values of a series, of which `sha256` is the hash."""

    n: int
    sha256: str
    kept: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Growing:
    """An array that goes with the values of a series.

    Attributes
    ----------
    beginning : array of float or None
        What was kept for its first values.
    keep : callable
        Keeps an equally long array for all of them.
    """

    beginning: NDArray[np.float64] | None
    keep: Callable[[NDArray[np.float64]], None]


class KeptResults:
    """Results of earlier runs by name and inputs.

    Parameters
    ----------
    folder : Path or None
        None keeps results for this run alone.

    Attributes
    ----------
    found, made : int
        Results that were there, and that were worked out.
    """

    def __init__(self, folder: Path | None) -> None:
        self._path = None if folder is None else folder / _FILE
        self._results: dict[str, list[Any]] = {} if self._path is None else _read(self._path)
        self._grown = {} if self._path is None else _read_grown(self._path.with_name(_GROWN))
        self._growing: dict[str, _Grown] = {}
        self._asked: set[str] = set()
        self.found = self.made = 0

    @property
    def lasting(self) -> bool:
        """Whether the next run finds what this one keeps."""
        return self._path is not None

    def result(self, name: str, inputs: tuple[Any, ...], make: Callable[[], Any]) -> Any:
        """Return a result as JSON has it, worked out only where it is not there yet.

        Parameters
        ----------
        name : str
            Of the calculation.
        inputs : tuple
            All that the result depends on: arrays, texts, numbers, and lists of them.
        make : callable

        Examples
        --------
        >>> kept = KeptResults(None)
        >>> [kept.result("sum", (np.arange(3),), lambda: int(np.arange(3).sum())) for _ in range(2)], kept.made
        ([3, 3], 1)
        """
        key = _key(name, inputs)
        if key in self._results:
            self.found += 1
        else:
            self._results[key] = [0, json_ready(make())]
            self.made += 1
        self._asked.add(key)
        return self._results[key][1]

    def growing(self, name: str, values: NDArray[np.float64]) -> Growing:
        """What was kept for the first of some values, of which there will be more, where they are still its first."""
        known = self._grown.get(name)
        first = 0 if known is None or known.n > values.size else known.n
        digest = hashlib.sha256(_bytes(values[:first]))
        beginning = known.kept if known is not None and first and digest.hexdigest() == known.sha256 else None
        digest.update(_bytes(values[first:]))

        def keep(kept: NDArray[np.float64]) -> None:
            self._growing[name] = _Grown(values.size, digest.hexdigest(), kept)

        return Growing(beginning, keep)

    def write_growing(self) -> None:
        """Keep the arrays that grow and let go of them; to be called when nothing asks for them any more."""
        if self._path is not None and self._growing:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            _write_grown(self._path.with_name(_GROWN), self._growing)
        self._grown, self._growing = {}, {}

    def write(self) -> None:
        """Keep what was asked for, and for some runs what was not."""
        if self._path is None:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        aged = {key: [0 if key in self._asked else age + 1, value] for key, (age, value) in self._results.items()}
        write_kept(self._path, [orjson.dumps({key: row for key, row in aged.items() if row[0] <= _KEPT_RUNS})])


def no_results() -> KeptResults:
    """Results of this run alone."""
    return KeptResults(None)


def _read(path: Path) -> dict[str, list[Any]]:
    """What is kept; nothing where the file is missing, too large or not as it was written."""
    body = read_kept(path)
    kept: dict[str, list[Any]] = {} if body is None else orjson.loads(body)
    return kept


def _read_grown(path: Path) -> dict[str, _Grown]:
    body = read_kept(path)
    if body is None:
        return {}
    size = int.from_bytes(body[:8], "little")
    program, table = json.loads(bytes(body[8 : 8 + size]))
    if program != results_sha256():
        return {}
    numbers = np.frombuffer(body, dtype="<f8", offset=8 + size)
    found, start = {}, 0
    for name, (n, sha256) in table.items():
        found[name] = _Grown(n, sha256, numbers[start : start + n])
        start += n
    return found


def _write_grown(path: Path, grown: Mapping[str, _Grown]) -> None:
    head = json.dumps([results_sha256(), {name: [one.n, one.sha256] for name, one in grown.items()}]).encode()
    head += b" " * (-len(head) % 8)
    numbers = (np.ascontiguousarray(one.kept, dtype="<f8").data for one in grown.values())
    write_kept(path, chain([len(head).to_bytes(8, "little"), head], numbers))


def _key(name: str, inputs: tuple[Any, ...]) -> str:
    arrays = [part for part in inputs if _is_numbers(part)]
    # In place of an array stands what it is; its contents follow.
    words = [[part.dtype.str, part.shape] if _is_numbers(part) else _plain(part) for part in inputs]
    digest = hashlib.sha256(f"{results_sha256()}\x1e{name}\x1e{_ENCODER.encode(words)}\x1e".encode())
    for array in arrays:
        digest.update(_bytes(array))
    return digest.hexdigest()[:32]


def _is_numbers(part: Any) -> bool:
    return isinstance(part, np.ndarray) and part.dtype != object


def _plain(part: Any) -> Any:
    return part.tolist() if isinstance(part, np.ndarray) else part


def _bytes(array: NDArray[Any]) -> memoryview:
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data


def results_sha256() -> str:
    """Hash of the program that works results out, and of the libraries below it."""
    return program_sha256(_PROGRAM, _LIBRARIES)
