"""Asks an archive for the studies of a period, day by day, so that no limit on answers bites unseen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import TYPE_CHECKING

from dose_audit.retrieve.entries import Study, Window

if TYPE_CHECKING:
    from dose_audit.retrieve.entries import Archive, Series

__all__ = ["Day", "Found", "days", "find_studies", "look_into"]

_SHORTEST_S = 1800
"""Seconds of a day below which a query is not split further."""


@dataclass(slots=True)
class Day:
    """What an archive answered about one day.

    Attributes
    ----------
    studies : dict
        Study Instance UID → Study.
    truncated : list of str
        Modalities of which the archive kept answers back even for half an hour.
    """

    day: date
    studies: dict[str, Study] = field(default_factory=dict)
    truncated: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Found:
    """The studies of a period.

    Attributes
    ----------
    studies : list of Study
        By day, then as the archive gave them.
    truncated : list of (date, str)
        Day and modality of which not everything was told.
    left_out : Counter
        Answers that could not be used, by reason.
    """

    studies: list[Study] = field(default_factory=list)
    truncated: list[tuple[date, str]] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)


def days(since: date, until: date) -> Iterator[date]:
    """Days of a period, both ends included."""
    for number in range((until - since).days + 1):
        yield since + timedelta(days=number)


def find_studies(
    archive: Archive,
    since: date,
    until: date,
    modalities: Sequence[str],
    *,
    result_limit: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Found:
    """Ask for all studies of a period.

    Parameters
    ----------
    archive : Archive
    since, until : date
        Both included.
    modalities : sequence of str
        Asked for one by one.
    result_limit : int
        Answers after which the archive stops without saying so; 0 when it says so.
    progress : callable, optional
        Called with days done and days in all.

    Returns
    -------
    Found
        Each study once.
    """
    found = Found()
    seen: set[str] = set()
    total = (until - since).days + 1
    for number, day in enumerate(days(since, until), start=1):
        told = Day(day)
        for modality in modalities:
            if not _ask(archive, Window(day), modality, result_limit, told, found.left_out):
                told.truncated.append(modality)
        # A study that an archive repeats on another day is counted once, on its first.
        found.studies += [study for uid, study in told.studies.items() if uid not in seen]
        seen.update(told.studies)
        found.truncated += [(day, modality) for modality in told.truncated]
        if progress is not None:
            progress(number, total)
    return found


def _ask(archive: Archive, window: Window, modality: str, limit: int, told: Day, left_out: Counter[str]) -> bool:
    """Ask for a window, and for its halves where answers were kept back; whether everything was told.

    A study without Study Time is in no half: what the whole window told stays.
    """
    answers = archive.studies(window, modality)
    for study in answers.entries:
        told.studies.setdefault(study.study_instance_uid, study)
    left_out.update(answers.left_out)
    if not answers.truncated and not (limit and len(answers.entries) >= limit):
        return True
    if answers.endless or window.last_s - window.first_s < _SHORTEST_S:
        return False
    first, second = window.halves()
    first_told = _ask(archive, first, modality, limit, told, left_out)
    return _ask(archive, second, modality, limit, told, left_out) and first_told


def look_into(study: Study, series: Sequence[Series]) -> Study:
    """A study with what its series say: the modalities that are really there, and a station's name."""
    modalities = tuple(dict.fromkeys(one.modality for one in series if one.modality))
    exposing = [one for one in series if one.modality not in ("SR", "PR", "KO", "OT", "SC", "REG", "SEG", "DOC")]
    stations = [one.station_name for one in exposing or series if one.station_name]
    return replace(
        study, modalities=modalities or study.modalities, station_name=stations[0] if stations else study.station_name
    )
