"""Which of the studies and orders that somebody names are here: asked before fetching, and by reconciliation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dose_audit.store.identity import Protection, keyed_hash
from dose_audit.store.models import Exam

__all__ = ["orders_with_exams", "stations_of", "studies_with_exams"]

_PIECE = 500  # names in one statement


def studies_with_exams(study_instance_uids: Sequence[str]) -> set[str]:
    """Studies of which an exam is stored."""
    found: set[str] = set()
    for some in _pieces(study_instance_uids):
        found.update(Exam.objects.filter(study_instance_uid__in=some).values_list("study_instance_uid", flat=True))
    return found


def stations_of(study_instance_uids: Sequence[str]) -> dict[str, str]:
    """Station names of the studies of which an exam is stored, where their device tells its own."""
    found: dict[str, str] = {}
    for some in _pieces(study_instance_uids):
        rows = Exam.objects.filter(study_instance_uid__in=some).values_list(
            "study_instance_uid", "equipment__station_name"
        )
        found.update({uid: station for uid, station in rows if station})
    return found


def orders_with_exams(accession_numbers: Sequence[str], protection: Protection) -> set[str]:
    """Accession numbers, as given, of which an exam is stored; the store holds them as keyed hashes, or in clear."""
    stored: dict[str, list[str]] = {}
    for number in accession_numbers:
        hashed = number.strip() if protection.keep_identifiers else keyed_hash(number, protection.key, "accession")
        if hashed:
            stored.setdefault(hashed, []).append(number)
    found: set[str] = set()
    for some in _pieces(list(stored)):
        for value in Exam.objects.filter(accession_number__in=some).values_list("accession_number", flat=True):
            found.update(stored.get(value or "", ()))
    return found


def _pieces(names: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(names), _PIECE):
        yield names[start : start + _PIECE]
