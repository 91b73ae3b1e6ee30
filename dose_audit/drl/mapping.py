"""Which examination an exam was: approved rows on exact facts, in a fixed order, and no keyword guess."""

from __future__ import annotations

import csv
import hashlib
import io
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from dose_audit.drl.mapping_rows import (
    ALLOWED,
    COLUMNS,
    DECIDING,
    LEVELS,
    MAXIMUM_CHARACTERS,
    ExamMapping,
    MappingError,
    agrees,
    criterion,
    fold,
    parse_mapping,
)
from dose_audit.drl.reader import read_examinations
from dose_audit.drl.tables import Examination, Problem
from dose_audit.extract.codes import Code
from dose_audit.extract.codes import key as code_key
from dose_audit.texts import no_formula

__all__ = [
    "Coverage",
    "ExamFacts",
    "ExamMapping",
    "MappingError",
    "MappingTable",
    "Resolution",
    "coverage",
]

MAPPED = "mapped"
UNMAPPED = "unmapped"
AMBIGUOUS = "ambiguous"


@dataclass(frozen=True, slots=True)
class ExamFacts:
    """What an exam says of itself, as far as mapping may use it.

    Text is compared after folding case and runs of white space; codes by scheme and value, with SNOMED-RT
    spellings folded into SNOMED CT. A body part examined is deliberately missing: it may propose, never
    count.

    Attributes
    ----------
    procedure_codes : tuple of Code
        Procedure Code Sequence (0008,1032) and Requested Procedure Code Sequence (0032,1064).
    acquisition_protocols : tuple of str
        Of every irradiation event.
    target_regions, anatomical_structures, views, radiopharmaceuticals : tuple of Code
    acquisition_types, phantoms : tuple of str
        The exam record's words: ``spiral``, ``head_16cm`` …
    """

    site: str = ""
    station_name: str = ""
    modality: str = ""
    study_description: str = ""
    requested_procedure: str = ""
    procedure_codes: tuple[Code, ...] = ()
    acquisition_protocols: tuple[str, ...] = ()
    target_regions: tuple[Code, ...] = ()
    anatomical_structures: tuple[Code, ...] = ()
    views: tuple[Code, ...] = ()
    radiopharmaceuticals: tuple[Code, ...] = ()
    acquisition_types: tuple[str, ...] = ()
    phantoms: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Resolution:
    """What the mapping says of one exam.

    Attributes
    ----------
    examination : str or None
        Slug; None unless mapped.
    status : str
        ``mapped``, ``unmapped`` or ``ambiguous``.
    rule : str
        The rule that decided, or that could not.
    candidates : tuple of str
        Slugs between which no choice was made.
    reason : str
    criteria : frozenset of str
        Columns that the rows which decided look at; empty unless mapped.
    """

    examination: str | None
    status: str
    rule: str = ""
    candidates: tuple[str, ...] = ()
    reason: str = ""
    criteria: frozenset[str] = frozenset()


@dataclass(slots=True)
class MappingTable:
    """The approved mapping rows of a network.

    Attributes
    ----------
    rows : tuple of ExamMapping
    version : str
        First twelve digits of the SHA-256 of the rows, whatever their order: what a run stores.
    """

    rows: tuple[ExamMapping, ...]
    version: str = field(init=False)
    _by_level: dict[str, dict[tuple[str, str], list[ExamMapping]]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        text = "\n".join(sorted("\x1f".join(getattr(row, column) for column in COLUMNS) for row in self.rows))
        self.version = hashlib.sha256(text.encode("utf-8")).hexdigest()[:12]
        self._by_level = {level: {} for level in LEVELS}
        for row in self.rows:
            self._by_level[row.level].setdefault(_anchor(row), []).append(row)

    @classmethod
    def from_csv(cls, source: Path | str, examinations: Mapping[str, Examination] | None = None) -> MappingTable:
        """Read and validate a mapping.

        Parameters
        ----------
        source : Path or str
            A file, or the CSV text itself (a str is always text).
        examinations : mapping, optional
            Slug → Examination; the packaged list by default.

        Raises
        ------
        MappingError
            With every fault at once, each naming file and row.
        """
        name, text = ("mapping", source) if isinstance(source, str) else (str(source), _text_of(source))
        known = read_examinations() if examinations is None else examinations
        rows, problems = parse_mapping(text.removeprefix("\ufeff"), name, known)
        if problems:
            raise MappingError(problems)
        return cls(tuple(rows))

    def to_csv(self) -> str:
        """The rows as CSV text that `from_csv` reads back to the same version."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(COLUMNS)
        for row in self.rows:
            writer.writerow([no_formula(getattr(row, column)) for column in COLUMNS])
        return out.getvalue()

    def resolve(self, site: str, facts: ExamFacts) -> Resolution:
        """Find the examination of one exam.

        Parameters
        ----------
        site : str
            Site that the exam belongs to (it wins over `facts.site`).
        facts : ExamFacts

        Returns
        -------
        Resolution
            The first level on which any row fits decides. Rows that agree are one hit; rows that name
            different examinations on that level are ``ambiguous``, and no lower level is asked. So is an exam
            that is mapped by a target region alone while its report names another region that no row reaches:
            its total dose would be held against a part of it. A row never reaches exams of a modality that its
            examination cannot have, whether or not the row names a modality.
        """
        known = _known(site, facts)
        for level in LEVELS:
            hits = [row for row in self._hits(level, known) if agrees(row.examination, facts.modality)]
            slugs = sorted({row.examination for row in hits})
            beside = _regions_beside(hits, known) if len(slugs) == 1 else ()
            if beside:
                reason = f"the report names another region too: {', '.join(beside)}"
                return Resolution(None, AMBIGUOUS, hits[0].rule, tuple(slugs), reason)
            if len(slugs) == 1:
                criteria = frozenset().union(*(row.criteria for row in hits))
                return Resolution(slugs[0], MAPPED, hits[0].rule, criteria=criteria)
            if slugs:
                rules = "; ".join(f"{row.rule} → {row.examination}" for row in hits[:6])
                reason = f"{len(slugs)} examinations fit on level {level}: {', '.join(slugs)}"
                return Resolution(None, AMBIGUOUS, rules, tuple(slugs), reason)
        return Resolution(None, UNMAPPED, reason="no approved row fits")

    def _hits(self, level: str, known: dict[str, frozenset[str]]) -> list[ExamMapping]:
        index = self._by_level[level]
        if not index:
            return []
        hits: list[ExamMapping] = []
        for column in DECIDING[level]:
            for value in known[column]:
                hits.extend(row for row in index.get((column, value), ()) if _fits(row, known))
        return sorted(hits, key=lambda row: row.line)


@dataclass(frozen=True, slots=True)
class Coverage:
    """How much of a site's exams the mapping reaches.

    Attributes
    ----------
    site : str
    n, mapped, ambiguous, unmapped : int
    percent : float or None
        Mapped of all; None without exams.
    """

    site: str
    n: int
    mapped: int
    ambiguous: int
    unmapped: int
    percent: float | None


def coverage(resolutions: Iterable[tuple[str, Resolution]]) -> list[Coverage]:
    """Count (site, resolution) pairs into one line a site, sorted by site."""
    counts: dict[str, Counter[str]] = {}
    for site, resolution in resolutions:
        counts.setdefault(site, Counter())[resolution.status] += 1
    return [
        Coverage(
            site,
            n := sum(c.values()),
            c[MAPPED],
            c[AMBIGUOUS],
            c[UNMAPPED],
            100.0 * c[MAPPED] / n if n else None,
        )
        for site, c in sorted(counts.items())
    ]


def _text_of(path: Path) -> str:
    """Text of a mapping file, never more than a mapping may be long."""
    try:
        with path.open(encoding="utf-8") as file:
            return file.read(MAXIMUM_CHARACTERS + 1)
    except (OSError, UnicodeDecodeError) as error:
        fault = Problem("error", str(path), "", "READ", f"cannot be read as UTF-8 text: {error}")
        raise MappingError([fault]) from error


def _anchor(row: ExamMapping) -> tuple[str, str]:
    """The criterion that a row is filed under: the first deciding one that is filled."""
    column = next(column for column in DECIDING[row.level] if getattr(row, column))
    return column, criterion(row, column)


def _known(site: str, facts: ExamFacts) -> dict[str, frozenset[str]]:
    """What may stand in each criterion for this exam."""

    def folded(*texts: str) -> frozenset[str]:
        return frozenset(filter(None, map(fold, texts)))

    def coded(codes: Iterable[Code]) -> frozenset[str]:
        return frozenset(":".join(code_key(code)) for code in codes if code.scheme and code.value)

    return {
        "site": folded(site or facts.site),
        "modality": folded(facts.modality),
        "station_name": folded(facts.station_name),
        "code_value": coded(facts.procedure_codes),
        "acquisition_protocol": folded(*facts.acquisition_protocols),
        "study_description": folded(facts.study_description),
        "requested_procedure": folded(facts.requested_procedure),
        "target_region": coded(facts.target_regions),
        "anatomical_structure": coded(facts.anatomical_structures),
        "view": coded(facts.views),
        "radiopharmaceutical": coded(facts.radiopharmaceuticals),
        "acquisition_type": folded(*facts.acquisition_types),
        "phantom": folded(*facts.phantoms),
    }


def _regions_beside(hits: Iterable[ExamMapping], known: dict[str, frozenset[str]]) -> tuple[str, ...]:
    """Target regions of the exam that no hit asks for, where a hit asks for one at all."""
    reached = {criterion(row, "target_region") for row in hits if row.level == "rdsr" and row.target_region}
    return tuple(sorted(known["target_region"] - reached)) if reached else ()


def _fits(row: ExamMapping, known: dict[str, frozenset[str]]) -> bool:
    """Whether every criterion that the row states holds; an empty one asks for nothing."""
    return all(
        criterion(row, column) in known[column]
        for column in ALLOWED[row.level]
        if column != "code_scheme" and getattr(row, column)
    )
