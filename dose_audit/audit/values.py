"""The audit's table of values: every exam and quantity of the period with its examination, band, reference
level, and whether it is compared or why it is not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dose_audit.audit.cohort import FACT_COLUMNS, fact_rows
from dose_audit.audit.columns import Columns
from dose_audit.audit.exams import name_devices_apart
from dose_audit.audit.mapping import ResolvedFacts, resolve_facts
from dose_audit.audit.references import COMPARED, References, find_references
from dose_audit.audit.value_blocks import period_values

if TYPE_CHECKING:
    import pyarrow as pa

    from dose_audit.audit.engine import Engine
    from dose_audit.drl import DrlRegistry, Examination, MappingTable

__all__ = ["REASONS", "Values", "exam_ref", "exam_refs", "read_values"]

REASONS = {
    "NOT_A_PATIENT": "quality assurance, service or test exposure",
    "NO_STUDY_DATE": "no study date: cannot be placed in any period",
    "NO_VALUE": "carries none of the audited dose quantities",
    "MIXED_PHANTOMS": "CTDIvol on the 16 cm and on the 32 cm phantom in one study: doses must not be added",
    "IMPLAUSIBLE_VALUE": "zero, negative or physically absurd value",
    "AMBIGUOUS_MAPPING": "two approved mapping rows name different examinations",
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

_SORT = ("site", "equipment", "examination", "quantity", "study_datetime", "exam_id")


@dataclass
class Values:
    """The table of values of one run.

    Attributes
    ----------
    columns : Columns
        One row per exam and quantity, sorted by place, examination, quantity and time.
    reason : array of str
        Empty where the value is compared, else one of `REASONS`.
    references : References
    band : array of str
        Band of each row; empty where none was looked up.
    """

    columns: Columns
    reason: NDArray[Any]
    references: References
    band: NDArray[Any]

    @property
    def compared(self) -> NDArray[np.bool_]:
        """Rows that are compared."""
        return self.reason == ""

    @cached_property
    def band_codes(self) -> NDArray[np.int64]:
        """The bands as numbers, ascending with their names."""
        import pyarrow as pa
        import pyarrow.compute as pc

        encoded = pc.dictionary_encode(pa.array(self.band, pa.string()))
        words = encoded.dictionary.to_pylist()
        rank = np.empty(len(words), dtype=np.int64)
        rank[sorted(range(len(words)), key=words.__getitem__)] = np.arange(len(words))
        return rank[encoded.indices.to_numpy()]

    def leave_out(self, rows: NDArray[np.int64], reason: str) -> None:
        """Leave rows out of the comparison for a reason found on the way."""
        self.reason[rows] = reason
        self.__dict__.pop("_fates", None)

    def exam_reasons(self) -> tuple[NDArray[np.int64], list[str]]:
        """Each exam once with its one fate: ``""`` (compared with at least one value) or the reason.

        Returns
        -------
        first : array of int
            A row of each exam.
        reasons : list of str
        """
        return self._fates

    @cached_property
    def _fates(self) -> tuple[NDArray[np.int64], list[str]]:
        import pyarrow as pa
        import pyarrow.compute as pc

        # Compared beats every reason; among reasons the first in the table counts.
        order = {"": 0} | {reason: rank for rank, reason in enumerate(REASONS, start=1)}
        encoded = pc.dictionary_encode(pa.array(self.reason, pa.string()))
        ranks = np.array([order[word] for word in encoded.dictionary.to_pylist()], dtype=np.int8)
        by_exam = np.lexsort((ranks[encoded.indices.to_numpy()], self.columns["exam_id"]))
        exams = self.columns["exam_id"][by_exam]
        first = by_exam[np.flatnonzero(np.concatenate([[True], exams[1:] != exams[:-1]])[: exams.size])]
        return first, self.reason[first].tolist()

    def counts(self) -> Counter[str]:
        """Exams by fate; they add up to the exams of the period."""
        return Counter(self.exam_reasons()[1])


def exam_ref(exam_id: int) -> str:
    """Short name of an exam in reports: this installation's own number, which tells nobody else anything.

    >>> exam_ref(42)
    'E000042'
    """
    return f"E{exam_id:06d}"


def exam_refs(exam_ids: pa.ChunkedArray) -> pa.ChunkedArray:
    """`exam_ref` of many exams.

    >>> import pyarrow as pa
    >>> exam_refs(pa.chunked_array([[42, 1234567]])).to_pylist()
    ['E000042', 'E1234567']
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    return pc.binary_join_element_wise("E", pc.utf8_lpad(exam_ids.cast(pa.string()), 6, padding="0"), "")


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
    """
    rows = period_values(engine, since, until)
    facts = engine.to_arrow(fact_rows(rows).order_by("fact"))
    keep = [name for name in FACT_COLUMNS if name not in ("site", "modality", "station_name")]
    table = engine.to_encoded(rows.drop(*keep))
    table = name_devices_apart(_with_examinations(table, resolve_facts(mapping, facts, examinations)))
    columns = Columns(table).sorted(_SORT)

    reason = np.array(columns["left_out"], dtype=object)
    reason[columns["left_out"] == None] = ""  # noqa: E711 (an array)
    status = columns["mapping_status"]
    reason[(reason == "") & (status == "ambiguous")] = "AMBIGUOUS_MAPPING"
    reason[(reason == "") & (status == "unmapped")] = "UNMAPPED"

    references = find_references(columns, registry, wanted=reason == "", view=view, now=now)
    band = np.full(len(columns), "", dtype=object)
    found = references.index >= 0
    if references.matches:
        band[found] = np.array(references.bands, dtype=object)[references.index[found]]
        statuses = np.array(["" if status in COMPARED else status for status in references.status()], dtype=object)
        reason[found] = statuses[references.index[found]]
    return Values(columns, reason, references, band)


def _with_examinations(table: pa.Table, resolved: ResolvedFacts) -> pa.Table:
    import pyarrow as pa

    fact = table.column("fact").to_numpy()
    known = np.asarray(resolved.fact, dtype=fact.dtype)
    order = np.argsort(known)
    place = order[np.searchsorted(known[order], fact)] if known.size else np.zeros(0, dtype=np.int64)
    for name, words in (
        ("examination", resolved.examination),
        ("examination_name", resolved.name),
        ("mapping_status", resolved.status),
        ("mapping_reason", resolved.reason),
        ("label", resolved.label),
    ):
        encoded = pa.array(words, pa.string()).dictionary_encode()
        column = pa.DictionaryArray.from_arrays(encoded.indices.take(pa.array(place)), encoded.dictionary)
        table = table.append_column(name, column)
    return table.drop_columns(["fact"])
