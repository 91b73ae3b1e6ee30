"""Ranked proposals for names that no mapping reaches; a person approves them, nothing counts by itself."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from dose_audit.drl.mapping import MappingTable
from dose_audit.drl.reader import read_csv
from dose_audit.drl.tables import Examination, Problem, tables_root

_WORD = re.compile(r"[a-z]+|\d+")
_ABBREVIATION_COLUMNS = ("abbreviation", "words", "modality")


@dataclass(frozen=True, slots=True)
class Suggestion:
    """One proposal.

    Attributes
    ----------
    name : str
        The unmapped name (acquisition protocol, study description).
    examination : str
        Proposed slug.
    score : float
        0 to 1, for ranking only.
    why : str
        The words that agree.
    """

    name: str
    examination: str
    score: float
    why: str


def read_abbreviations(root: Path | None = None) -> dict[str, dict[str, tuple[str, ...]]]:
    """Return modality (or ``""`` for any) → abbreviation → words, from ``abbreviations.csv``.

    Raises
    ------
    ValueError
        If the file is faulty.
    """
    problems: list[Problem] = []
    table: dict[str, dict[str, tuple[str, ...]]] = {}
    for _, cells in read_csv((root or tables_root()) / "abbreviations.csv", _ABBREVIATION_COLUMNS, problems):
        words = tuple(cells["words"].split())
        table.setdefault(cells["modality"], {})[cells["abbreviation"].casefold()] = words
    if problems:
        raise ValueError("\n".join(map(str, problems)))
    return table


def suggest(
    names: Iterable[str],
    examinations: Mapping[str, Examination],
    *,
    modality: str = "",
    mapping: MappingTable | None = None,
    abbreviations: Mapping[str, Mapping[str, tuple[str, ...]]] | None = None,
    limit: int = 5,
) -> list[Suggestion]:
    """Propose examinations for unmapped names.

    Parameters
    ----------
    names : iterable of str
        As the devices send them.
    examinations : mapping
        Slug → Examination.
    modality : str
        Only examinations of this modality; all when empty.
    mapping : MappingTable, optional
        Names that are mapped already lend their words to their examination.
    abbreviations : mapping, optional
        From `read_abbreviations`; the packaged list by default.
    limit : int
        Proposals a name.

    Returns
    -------
    list of Suggestion
        Best first within each name; names without a common word give none.

    Notes
    -----
    Whole words only (``PE`` never meets ``pelvis``), each weighted by how rare it is among the examinations:
    score = weight of the common words / weight of all words of either side.
    """
    table = abbreviations if abbreviations is not None else read_abbreviations()
    wordings: dict[str, list[frozenset[str]]] = {}
    for slug, examination in examinations.items():
        if not modality or examination.modality == modality:
            text = f"{examination.name} {examination.clinical_task}"
            wordings[slug] = [
                _words(text, examination.modality, table),
                _words(examination.name, examination.modality, table),
            ]
    for row in mapping.rows if mapping else ():
        if row.examination in wordings:
            for text in (row.acquisition_protocol, row.study_description, row.requested_procedure):
                if text:
                    wordings[row.examination].append(_words(text, examinations[row.examination].modality, table))
    seen = Counter(word for sets in wordings.values() for word in frozenset().union(*sets))
    total = max(1, len(wordings))

    def weight(words: Iterable[str]) -> float:
        return sum(1.0 + math.log(total / seen[word]) if seen[word] else 1.0 for word in words)

    proposals: list[Suggestion] = []
    for name in dict.fromkeys(names):
        words = _words(name, modality, table)
        ranked: list[Suggestion] = []
        for slug, sets in wordings.items():
            score, common = max(
                ((weight(words & own) / weight(words | own) if words & own else 0.0, words & own) for own in sets),
                key=lambda pair: pair[0],
            )
            if score > 0.0:
                ranked.append(Suggestion(name, slug, round(score, 4), "common words: " + ", ".join(sorted(common))))
        ranked.sort(key=lambda suggestion: (-suggestion.score, suggestion.examination))
        proposals.extend(ranked[:limit])
    return proposals


def _words(text: str, modality: str, table: Mapping[str, Mapping[str, tuple[str, ...]]]) -> frozenset[str]:
    """Words of a name, abbreviations written out, the modality's own name left out."""
    known = {**table.get("", {}), **table.get(modality, {})}
    words: set[str] = set()
    for word in _WORD.findall(text.casefold()):
        words.update(known.get(word, (word,)))
    return frozenset(words - {"ct", "and", "of", "the", "with", "or", modality.casefold()})
