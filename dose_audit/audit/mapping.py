"""Applies the approved exam mapping: each distinct combination of facts once, then every exam that has it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from dose_audit.audit.cohort import LIST_SEPARATOR

if TYPE_CHECKING:
    import pyarrow as pa

    from dose_audit.drl import ExamFacts, Examination, MappingTable
    from dose_audit.extract.codes import Code

__all__ = [
    "ResolvedFacts",
    "StoredMapping",
    "approve_mapping",
    "exam_facts",
    "resolve_facts",
    "stored_mapping",
]


@dataclass(frozen=True)
class StoredMapping:
    """The mapping version in force.

    Attributes
    ----------
    table : MappingTable
    version : int or None
        None before anything was approved: then every exam is unmapped.
    sha256 : str
    """

    table: MappingTable
    version: int | None
    sha256: str

    def record(self) -> dict[str, Any]:
        """Entry of ``report.json``."""
        return {"version": self.version, "sha256": self.sha256, "rows": len(self.table.rows)}


def stored_mapping() -> StoredMapping:
    """Return the latest approved mapping of the store. Django must be set up."""
    from dose_audit.drl import ExamMapping, MappingTable
    from dose_audit.store.mappings import current_mapping

    current = current_mapping()
    if current is None:
        return StoredMapping(MappingTable(()), None, "")
    return StoredMapping(
        MappingTable(tuple(ExamMapping(**row) for row in current.rows)), current.version, current.sha256
    )


def approve_mapping(table: MappingTable, *, approved_by: str, note: str = "") -> int:
    """Store a mapping as the version in force, and return its number. Django must be set up.

    Parameters
    ----------
    table : MappingTable
        From `MappingTable.from_csv`; the same rows as the version in force make no new version.
    approved_by : str
        Who answers for it.
    note : str
        What changed.
    """
    from dose_audit.store.mappings import save_mapping

    return int(save_mapping([asdict(row) for row in table.rows], approved_by=approved_by, note=note).version)


WHOLE_PROJECTION = -1
"""In `ResolvedFacts.overlooked`: neither the name nor the view of a projection was looked at."""


@dataclass(frozen=True)
class ResolvedFacts:
    """What the mapping made of each combination of facts, in the order given.

    Attributes
    ----------
    fact : list of int
        Number of the combination.
    examination, name : list of str
        Slug and readable name; empty unless mapped.
    status : list of str
        ``mapped``, ``unmapped`` or ``ambiguous``.
    reason : list of str
    overlooked : list of int
        What tells projections of one exam apart and the rows that mapped it did not look at: nothing (0; they look at the
        view, or at the acquisition protocol where no view is known), the view (its number, from 1) or all
        (`WHOLE_PROJECTION`). A target region tells none apart: a frontal and a lateral chest are both of the chest.
    label : list of str
        What a person knows an unmapped exam by: its acquisition protocols, else its description.
    """

    fact: list[int]
    examination: list[str]
    name: list[str]
    status: list[str]
    reason: list[str]
    overlooked: list[int]
    label: list[str]


def resolve_facts(table: MappingTable, facts: pa.Table, examinations: Mapping[str, Examination]) -> ResolvedFacts:
    """Resolve every row of facts.

    Parameters
    ----------
    table : MappingTable
        The approved rows.
    facts : pyarrow.Table
        From `cohort.fact_rows`.
    examinations : mapping
        Slug → Examination, for the names.
    """
    resolved = ResolvedFacts([], [], [], [], [], [], [])
    views = {"": 0}
    for row in facts.to_pylist():
        resolution = table.resolve(row["site"], exam_facts(row))
        slug = resolution.examination or ""
        resolved.fact.append(row["fact"])
        resolved.examination.append(slug)
        resolved.name.append(examinations[slug].name if slug in examinations else slug)
        resolved.status.append(resolution.status)
        resolved.reason.append(resolution.reason)
        view = views.setdefault(row["views"], len(views))
        by_name = view if "acquisition_protocol" in resolution.criteria else WHOLE_PROJECTION
        resolved.overlooked.append(0 if "view" in resolution.criteria else by_name)
        resolved.label.append(_label(row))
    return resolved


def exam_facts(row: Mapping[str, Any]) -> ExamFacts:
    """Turn one row of facts into the mapping's own type."""
    from dose_audit.drl import ExamFacts

    return ExamFacts(
        site=row["site"],
        station_name=row["station_name"],
        modality=row["modality"],
        study_description=row["study_description"],
        requested_procedure=row["requested_procedure_description"],
        procedure_codes=(*_codes(row["procedure_codes"]), *_codes(row["requested_procedure_codes"])),
        acquisition_protocols=_texts(row["acquisition_protocols"]),
        target_regions=_codes(row["target_regions"]),
        anatomical_structures=_codes(row["anatomical_structures"]),
        views=_codes(row["views"]),
        radiopharmaceuticals=_codes(row["radiopharmaceuticals"]),
        acquisition_types=_texts(row["acquisition_types"]),
        phantoms=_texts(row["phantoms"]),
    )


def _texts(joined: str) -> tuple[str, ...]:
    return tuple(filter(None, joined.split(LIST_SEPARATOR)))


def _codes(joined: str) -> tuple[Code, ...]:
    """Codes as the store writes them, ``scheme:value``; a scheme has no colon."""
    from dose_audit.extract.codes import Code

    pairs = (text.partition(":") for text in _texts(joined))
    return tuple(Code(value, scheme, "") for scheme, _, value in pairs)


def _label(row: Mapping[str, Any]) -> str:
    """Acquisition protocols but the localisers', since devices are set up by them; else the description."""
    names = " + ".join(_texts(row["imaging_protocols"]) or _texts(row["acquisition_protocols"]))
    return names or row["study_description"] or row["requested_procedure_description"] or "(no name)"
