"""On which days a device's software became another."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dose_audit.audit.columns import Columns

__all__ = ["SoftwareChange", "software_changes"]

_SETTLED = np.timedelta64(14, "D")
"""A version that alone was in use for longer than this was the device's software, not that of its second console."""


@dataclass(frozen=True)
class SoftwareChange:
    """A device's first exam under another software version.

    Attributes
    ----------
    site, equipment : str
    day : date
    before, after : str
    returns : int
        0 where the version is new to the device; else how often the device has gone back to it by then.
    """

    site: str
    equipment: str
    day: date
    before: str
    after: str
    returns: int = 0

    @property
    def words(self) -> str:
        """The version, and whether it was there before.

        >>> SoftwareChange("N", "CT 1", date(2026, 4, 1), "2.0", "1.0", returns=1).words
        '1.0 (again)'
        """
        return f"{self.after} (again)" if self.returns else self.after


@dataclass(frozen=True, slots=True)
class _Stretch:
    """Exams of one version with none of another between them."""

    version: str
    first: Any
    last: Any


def software_changes(exams: Columns) -> list[SoftwareChange]:
    """Every change of a device's software version in the period, by device and in time order.

    Parameters
    ----------
    exams : Columns
        With `site`, `equipment`, `study_datetime` and `software_versions`.

    Notes
    -----
    A version that has not been seen on the device before is a change. So is the return to an earlier one, where the
    version that was left did not come and go: it was seen in one stretch alone, or both were in use for longer than two
    weeks on end. Two consoles of one device that alternate are one change.
    """
    changes = []
    times = exams["study_datetime"]
    dated = ~np.isnat(times)
    codes, words = exams.codes("software_versions")
    for (site, equipment), rows in exams.groups(("site", "equipment"), dated):
        if np.all(codes[rows] == codes[rows[0]]):
            continue
        rows = rows[np.argsort(times[rows], kind="stable")]
        stretches = _stretches(codes[rows], times[rows], words)
        often = Counter(stretch.version for stretch in stretches)
        returns: Counter[str] = Counter()
        seen = {stretch.version for stretch in stretches[:1]}
        for before, after in pairwise(stretches):
            if after.version in seen and not _settled(before, after, often[before.version]):
                continue
            returns[after.version] += after.version in seen
            seen.add(after.version)
            day: date = after.first.astype("datetime64[D]").item()
            changes.append(SoftwareChange(site, equipment, day, before.version, after.version, returns[after.version]))
    return changes


def _stretches(codes: NDArray[Any], times: NDArray[Any], words: list[str | None]) -> list[_Stretch]:
    """In time order; an exam that does not tell its version belongs to none."""
    told = np.array([bool(word) for word in words])[codes]
    codes, times = codes[told], times[told]
    if codes.size == 0:
        return []
    starts = np.concatenate([[0], np.flatnonzero(np.diff(codes)) + 1])
    ends = np.append(starts[1:], codes.size) - 1
    return [
        _Stretch(str(words[codes[a]]), times[a], times[b]) for a, b in zip(starts.tolist(), ends.tolist(), strict=True)
    ]


def _settled(before: _Stretch, after: _Stretch, often: int) -> bool:
    return often == 1 or all(stretch.last - stretch.first > _SETTLED for stretch in (before, after))
