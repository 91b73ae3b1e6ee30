"""Which phantom a series shows: every definition of its modality is asked, and the best one wins."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from dose_audit.phantom.defects import told
from dose_audit.phantom.definition import Definition
from dose_audit.phantom.workbench import Match, Workbench, find_locator

__all__ = ["ACCEPTED", "Candidate", "header_agreement", "named_as", "recognise"]

# A score from which a phantom counts as recognised, and the lead over the next that makes it certain.
ACCEPTED = 0.6
LEAD = 0.05

# Texts that a site writes the phantom's name into.
_LABELS = ("SeriesDescription", "StudyDescription", "ProtocolName")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A definition with how well the images agree, and others that they agree with as well."""

    definition: Definition
    match: Match
    alike: tuple[Definition, ...] = ()


def header_agreement(bench: Workbench, definition: Definition) -> float:
    """1 if a header text names the phantom as its definition says, 0 if none does.

    The patterns stand under ``[recognise] labels`` as regular expressions without regard to case.
    """
    return 1.0 if named_as(bench, definition.recognise.get("labels", ())) else 0.0


def named_as(bench: Workbench, patterns: Iterable[str]) -> str:
    """The part of the header's texts that one of the patterns fits; empty where none does."""
    texts = " ".join(str(bench.header(keyword) or "") for keyword in _LABELS)
    found = (re.search(pattern, texts, re.IGNORECASE) for pattern in patterns)
    return next((one[0] for one in found if one), "")


def recognise(bench: Workbench, known: Sequence[Definition]) -> list[Candidate]:
    """All definitions that agree at all, best first.

    A name in the header decides between phantoms that look alike, never against what the image shows: it adds at most
    the lead that two scores must be apart. A definition whose locator fails is none of them; `Workbench.defects` says why.
    """
    found = []
    modality = bench.series.modality
    for definition in known:
        if modality not in definition.modalities:
            continue
        locator = find_locator(definition.locator)
        try:
            match = locator.match(bench, definition)
        except Exception as error:  # noqa: BLE001 - a defect in one locator must not take the other phantoms with it
            bench.defects[definition.id] = told(error, f"looking for {definition.name}")
            continue
        if not match.score > 0:
            continue
        if header_agreement(bench, definition):
            match = replace(
                match, score=min(1.0, match.score + 2 * LEAD), evidence=(*match.evidence, "named in the description")
            )
        found.append(Candidate(definition, match))
    return _told_apart(sorted(found, key=lambda one: (-one.match.score, one.definition.id)))


def _told_apart(ranked: list[Candidate]) -> list[Candidate]:
    """The best one says which others these images do not tell it from."""
    if not ranked or ranked[0].match.score < ACCEPTED:
        return ranked
    best = ranked[0]
    alike = tuple(one.definition for one in ranked[1:] if best.match.score - one.match.score < LEAD)
    if not alike:
        return ranked
    said = f"these images do not tell it from {' or '.join(one.name for one in alike)}"
    match = replace(best.match, evidence=(*best.match.evidence, said))
    return [replace(best, match=match, alike=alike), *ranked[1:]]
