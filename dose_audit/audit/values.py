"""The audit's table of values: every exam and quantity of the period with its examination, band, reference
level, and whether it is compared or why it is not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dose_audit.audit.block_tables import in_blocks, period_rows, sums_by_block
from dose_audit.audit.cohort import FACT_COLUMNS, value_rows
from dose_audit.audit.columns import Columns, Texts, places_among, renumbered, with_sorted_words
from dose_audit.audit.exams import name_devices_apart
from dose_audit.audit.kept import no_results
from dose_audit.audit.mapping import ResolvedFacts, resolve_facts
from dose_audit.audit.references import COMPARED, References, find_references

if TYPE_CHECKING:
    import ibis.expr.types as ir
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

_SORT = ("site", "equipment", "examination", "quantity", "study_datetime", "exam_id", "value")


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
    """

    columns: Columns
    reason: Texts
    references: References
    band: Texts

    @property
    def compared(self) -> NDArray[np.bool_]:
        """Rows that are compared."""
        compared: NDArray[np.bool_] = self.reason == ""
        return compared

    def leave_out(self, rows: NDArray[np.int64], reason: str) -> None:
        """Leave rows out of the comparison for a reason found on the way."""
        self.reason[rows] = reason
        self.__dict__.pop("_fates", None)

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
        exams = self.columns["exam_id"]
        compared = places_among(exams[first[fates == ""]], exams) >= 0
        numbers = np.bincount(self.reason.codes[compared], minlength=self.reason.words.size)
        return Counter({word: int(n) for word, n in zip(self.reason.words, numbers, strict=True) if n and word})


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
    # What only the mapping looks at has few distinct combinations.
    without = [name for name in FACT_COLUMNS if name not in ("site", "modality")]
    if in_blocks(engine, since, until):
        table = period_rows(engine, "values", value_rows, since, until, without=without)
        facts = sums_by_block(
            engine, "facts", lambda part, *_: _facts(part.table("values")), since, until, from_rows="values"
        )
    else:
        rows = engine.keep(value_rows(engine, since, until), "value_rows")
        table, facts = engine.to_encoded(rows.drop(*without)), engine.to_arrow(_facts(rows))
    table = _with_examinations(table, _resolved(mapping, _distinct(facts), examinations, kept))
    columns = Columns(name_devices_apart(table)).sorted(_SORT)
    del table

    words = ["", *REASONS]
    told, left_out = columns.codes("left_out")
    reason = Texts(np.array([words.index(word or "") for word in left_out], dtype=np.int8)[told], words)
    status = columns["mapping_status"]
    reason[(reason == "") & (status == "ambiguous")] = "AMBIGUOUS_MAPPING"
    reason[(reason == "") & (status == "unmapped")] = "UNMAPPED"

    references = find_references(columns, registry, wanted=reason == "", view=view, now=now)
    bands = sorted({"", *references.bands})
    # The last place is that of -1: no reference was looked up.
    of_match = np.array([*map(bands.index, references.bands), bands.index("")], dtype=np.int16)
    statuses = ["" if status in COMPARED else status for status in references.status()]
    found = references.index >= 0
    reason.codes[found] = np.array([words.index(status) for status in statuses], dtype=np.int8)[references.index[found]]
    return Values(columns, reason, references, Texts(of_match[references.index], bands))


def _facts(rows: ir.Table) -> ir.Table:
    return rows.select("fact", *FACT_COLUMNS).distinct()


def _distinct(facts: pa.Table) -> pa.Table:
    """Facts of all blocks, each once."""
    _, first = np.unique(facts["fact"].to_numpy(), return_index=True)
    return facts.take(first)


def _resolved(
    mapping: MappingTable, facts: pa.Table, examinations: Mapping[str, Examination], kept: KeptResults | None
) -> ResolvedFacts:
    """What the mapping makes of each combination of facts, asked anew where one of them or the mapping is another."""
    known = {slug: (one.name, one.modality) for slug, one in examinations.items()}
    found = (kept or no_results()).result(
        "mapped facts",
        (mapping.rows, known, [facts[name].to_pylist() for name in facts.column_names]),
        lambda: asdict(resolve_facts(mapping, facts, examinations)),
    )
    return ResolvedFacts(**found)


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
        encoded = with_sorted_words(pa.array(words, pa.string()).dictionary_encode())
        column = pa.DictionaryArray.from_arrays(encoded.indices.take(pa.array(place)), encoded.dictionary)
        table = table.append_column(name, column)
    return table.drop_columns(["fact"])
