"""Exams that the mapping does not reach, by the name they came under, with proposals for a person to
approve.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from dose_audit.audit.values import Values
    from dose_audit.drl import Examination, MappingTable

__all__ = ["UnmappedName", "find_unmapped"]

_MOST_NAMES = 500
"""Proposals are worked out for so many names; the list itself is complete."""
_LONGEST_LABEL = 160


@dataclass(frozen=True)
class UnmappedName:
    """One name that no approved mapping row fits, or that two contradict.

    Attributes
    ----------
    site, equipment, modality, label : str
    n : int
        Exams.
    reason : str
        ``UNMAPPED`` or ``AMBIGUOUS_MAPPING``.
    detail : str
        The mapping's own words.
    suggestions : tuple of str
        Names and slugs, best first. They never count by themselves.
    """

    site: str
    equipment: str
    modality: str
    label: str
    n: int
    reason: str
    detail: str
    suggestions: tuple[str, ...]

    def record(self) -> dict[str, Any]:
        """Entry of ``report.json``."""
        return {
            "site": self.site,
            "equipment": self.equipment,
            "modality": self.modality,
            "label": self.label,
            "n": self.n,
            "reason": self.reason,
            "detail": self.detail,
            "suggestions": list(self.suggestions),
        }


def find_unmapped(values: Values, mapping: MappingTable, examinations: Mapping[str, Examination]) -> list[UnmappedName]:
    """Return the unmapped names, most exams first."""
    columns = values.columns
    mask = values.reason.isin(("UNMAPPED", "AMBIGUOUS_MAPPING"))
    groups = []
    for key, rows in columns.groups(("site", "equipment", "modality", "label"), mask):
        n = int(np.unique(columns["exam_id"][rows]).size)
        groups.append((-n, *key, str(values.reason[rows[0]]), columns["mapping_reason"][rows[0]]))
    groups.sort(key=lambda group: (group[0], *(part or "" for part in group[1:])))
    proposals = _proposals({(g[3], g[4]) for g in groups[:_MOST_NAMES]}, mapping, examinations)
    return [
        UnmappedName(
            site,
            equipment,
            modality,
            _short(label),
            -n,
            reason,
            detail,
            tuple(proposals.get((modality, label), ())),
        )
        for n, site, equipment, modality, label, reason, detail in groups
    ]


def _proposals(
    names: set[tuple[str, str]], mapping: MappingTable, examinations: Mapping[str, Examination]
) -> dict[tuple[str, str], list[str]]:
    from dose_audit.drl import suggest

    found: dict[tuple[str, str], list[str]] = {}
    for modality in sorted({modality or "" for modality, _ in names}):
        labels = sorted(label for m, label in names if (m or "") == modality)
        for proposal in suggest(labels, examinations, modality=modality, mapping=mapping, limit=3):
            found.setdefault((modality, proposal.name), []).append(
                f"{examinations[proposal.examination].name} ({proposal.examination})"
            )
    return found


def _short(label: str) -> str:
    text = " ".join(label.split())
    return text if len(text) <= _LONGEST_LABEL else f"{text[: _LONGEST_LABEL - 1]}…"
