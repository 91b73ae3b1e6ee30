"""The audit's table of values: every exam and quantity of the period with its examination, band, reference
level, and whether it is compared or why it is not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dose_audit.audit.columns import Columns
from dose_audit.audit.numbering import Texts, places_among, renumbered
from dose_audit.audit.references import COMPARED, References, find_references
from dose_audit.audit.value_rows import read_value_rows

if TYPE_CHECKING:
    import pyarrow as pa

    from dose_audit.audit.engine import Engine
    from dose_audit.audit.kept import KeptResults
    from dose_audit.drl import DrlRegistry, Examination, MappingTable

__all__ = ["REASONS", "Values", "exam_ref", "exam_refs", "read_values"]

REASONS = {
    "NOT_A_PATIENT": "quality assurance, service or test exposure",
    "NO_STUDY_DATE": "no study date: cannot be placed in any period",
    "NO_VALUE": "carries none of the audited dose quantities",
    "MIXED_PHANTOMS": "CTDIvol on the 16 cm and on the 32 cm phantom in one study: doses must not be added",
    "IMPLAUSIBLE_VALUE": "zero, negative or physically absurd value",
    "UNLIKE_SEQUENCES": "its sequences differ twofold or more in this dose: their median would be the dose of none",
    "SEVERAL_SUBSTANCES": "activities of different radiopharmaceuticals are not one dose",
    "AMBIGUOUS_MAPPING": "two approved mapping rows name different examinations",
    "SEVERAL_PROJECTIONS": "different projections of one exam that the mapping does not tell apart: map them by view, in "
    "place of the row that takes them together (mapping export, then import), or by acquisition protocols of one view each",
    "UNMAPPED": "no approved mapping row fits",
    "PHANTOM_MISMATCH": "reported on another dosimetry phantom than the reference level's",
    "MISSING_WEIGHT": "weight needed for the band is missing, and the set gives no age in its place",
    "MISSING_SIZE": "size needed for the band is missing",
    "MISSING_AGE": "age is missing",
    "OUT_OF_BAND": "patient is in no band of the reference level's set",
    "OUTSIDE_WEIGHT_WINDOW": "adult weight is outside the window of the reference level's set",
    "UNIT_SLIP": "differs from the device's own doses by a power of ten: left out until the unit is settled",
}
"""Why a value is not compared. The order is the precedence of an exam's one reason."""


@dataclass
class Values:
    """The table of values of one run.

    Attributes
    ----------
    columns : Columns
        One row per exam and quantity, sorted by place, examination, quantity and time.
    reason : Texts
        Empty where the value is compared, else one of `REASONS`; its words are in the order of precedence.
    references : References
    band : Texts
        Band of each row; empty where none was looked up. Its words are sorted.
    weeks : mapping
        Weeks whose rows are what they were in earlier runs, each with a name for them; see `frozen_parts.weeks_of`.
    """

    columns: Columns
    reason: Texts
    references: References
    band: Texts
    weeks: Mapping[int, str] = field(default_factory=dict)

    @property
    def compared(self) -> NDArray[np.bool_]:
        """Rows that are compared."""
        compared: NDArray[np.bool_] = self.reason == ""
        return compared

    def leave_out(self, rows: NDArray[np.int64], reason: str) -> None:
        """Leave rows out of the comparison for a reason found on the way."""
        self.reason[rows] = reason
        self.__dict__.pop("_fates", None)

    @cached_property
    def by_device(self) -> list[tuple[tuple[str, str, str, str], NDArray[np.int64]]]:
        """Rows of each site, device, modality and quantity in time order, at the same moment in that of the exams' numbers."""
        times, exams = self.columns["study_datetime"], self.columns["exam_id"]
        found = []
        for key, rows in self.columns.groups(("site", "equipment", "modality", "quantity")):
            ordered = rows[np.argsort(times[rows], kind="stable")]
            moments = times[ordered]
            if np.any(moments[1:] == moments[:-1]):  # as they seldom are
                ordered = rows[np.lexsort((exams[rows], times[rows]))]
            found.append((key, ordered))
        return found

    def exam_reasons(self) -> tuple[NDArray[np.int64], Texts]:
        """Each exam once with its one fate: ``""`` (compared with at least one value) or the reason.

        Returns
        -------
        first : array of int
            A row of each exam.
        reasons : Texts
        """
        return self._fates

    @cached_property
    def _fates(self) -> tuple[NDArray[np.int64], Texts]:
        exams, ranks = self.columns["exam_id"], self.reason.codes
        if not exams.size:
            return np.zeros(0, dtype=np.int64), Texts(ranks, self.reason.words.tolist())
        low = int(exams.min())
        place, count = renumbered(exams - low, int(exams.max()) - low + 1)
        first, fate = np.empty(count, dtype=np.int64), np.empty(count, dtype=ranks.dtype)
        first[place[::-1]] = np.arange(place.size)[::-1]  # of several, the one that is put there last stays
        # Compared beats every reason; among reasons the first in the table counts.
        for rank in np.flatnonzero(np.bincount(ranks))[::-1]:
            fate[place[ranks == rank]] = rank
        return first, Texts(fate, self.reason.words.tolist())

    def counts(self) -> Counter[str]:
        """Exams by fate; they add up to the exams of the period."""
        reasons = self.exam_reasons()[1]
        numbers = np.bincount(reasons.codes, minlength=reasons.words.size)
        return Counter({word: int(n) for word, n in zip(reasons.words, numbers, strict=True) if n})

    def left_out_beside(self) -> Counter[str]:
        """Values that are left out of exams of which others are compared, by reason."""
        first, fates = self.exam_reasons()
        exams, left_out = self.columns["exam_id"], np.flatnonzero(self.reason != "")
        beside = left_out[places_among(exams[first[fates == ""]], exams[left_out]) >= 0]
        numbers = np.bincount(self.reason.codes[beside], minlength=self.reason.words.size)
        return Counter({word: int(n) for word, n in zip(self.reason.words, numbers, strict=True) if n})


def exam_ref(exam_id: int) -> str:
    """Short name of an exam in reports: this installation's own number, which tells nobody else anything.

    >>> exam_ref(42)
    'E000042'
    """
    return f"E{exam_id:06d}"


def exam_refs(exam_ids: NDArray[np.int64]) -> pa.DictionaryArray:
    """`exam_ref` of many exams, each text once.

    >>> exam_refs(np.array([42, 1234567, 42])).to_pylist()
    ['E000042', 'E1234567', 'E000042']
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    place: NDArray[np.integer[Any]] = exam_ids
    distinct = exam_ids
    if exam_ids.size:
        low = int(exam_ids.min())
        place, count = renumbered(exam_ids - low, int(exam_ids.max()) - low + 1)
        distinct = np.empty(count, dtype=np.int64)
        distinct[place] = exam_ids
    texts = pc.utf8_lpad(pa.array(distinct).cast(pa.string()), 6, padding="0")
    return pa.DictionaryArray.from_arrays(pa.array(place, pa.int32()), pc.binary_join_element_wise("E", texts, ""))


def read_values(
    engine: Engine,
    registry: DrlRegistry,
    mapping: MappingTable,
    examinations: Mapping[str, Examination],
    *,
    since: date | None,
    until: date | None,
    view: str,
    now: date,
    kept: KeptResults | None = None,
) -> Values:
    """Read the period's values and give each its examination, band and reference level.

    Parameters
    ----------
    engine : Engine
    registry : DrlRegistry
    mapping : MappingTable
    examinations : mapping
        Slug → Examination.
    since, until : date, optional
        First and last study date, both included.
    view : str
        ``then`` or ``now``, see `DrlRegistry.in_force`.
    now : date
        The run's date.
    kept : KeptResults, optional
        Has what the mapping made of facts in an earlier run.
    """
    columns, weeks = read_value_rows(engine, registry, mapping, examinations, since=since, until=until, kept=kept)
    words = ["", *REASONS]
    told, reasons = columns.codes("reason")
    reason = Texts(np.array([words.index(word) for word in reasons], dtype=np.int8)[told], words)

    references = find_references(columns, registry, view=view, now=now)
    bands = sorted({"", *references.bands})
    # The last place is that of -1: no reference was looked up.
    of_match = np.array([*map(bands.index, references.bands), bands.index("")], dtype=np.int16)
    statuses = ["" if status in COMPARED else status for status in references.status()]
    found = references.index >= 0
    reason.codes[found] = np.array([words.index(status) for status in statuses], dtype=np.int8)[references.index[found]]
    return Values(columns, reason, references, Texts(of_match[references.index], bands), weeks)
