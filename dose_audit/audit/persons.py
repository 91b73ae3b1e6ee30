"""Which exams of one Patient ID are one person's: hospitals that number alike give two persons one number."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

__all__ = ["Visit", "persons"]

_DAYS_A_YEAR = 365.25
_SAME_BIRTH_YEARS = 1.1
"""An age in whole years leaves a year open in which somebody was born."""


@dataclass(frozen=True, slots=True)
class Visit:
    """An exam of a Patient ID, as far as it tells whose it is.

    Attributes
    ----------
    site : str
    day : float
        Days since any fixed day.
    sex : str or None
        As sent; ``O`` and what is empty say nothing.
    age_years : float or None
    """

    site: str
    day: float
    sex: str | None
    age_years: float | None


def persons(visits: Sequence[Visit]) -> list[list[int]]:
    """Part the exams of one Patient ID into those of one person each.

    Parameters
    ----------
    visits : sequence of Visit

    Returns
    -------
    list of list of int
        Places in `visits`, ascending, in the order of the first of each.

    Notes
    -----
    Exams are one person's where sex and time of birth agree, whatever the site. An exam that lacks one of them goes with
    the one person of its own site, or, where there is none or more than one, with the others of that site that lack it:
    across sites an equal number alone proves nothing.

    Examples
    --------
    >>> north, south = Visit("N", 0.0, "F", 60.0), Visit("S", 30.0, "F", 60.0)
    >>> persons([north, south, Visit("S", 40.0, "M", 60.0), Visit("N", 50.0, None, None)])
    [[0, 1, 3], [2]]
    """
    parts = [*_told_apart(visits)]
    at_site = defaultdict(list)
    for part in parts:
        for site in {visits[place].site for place in part}:
            at_site[site].append(part)
    told = {place for part in parts for place in part}
    rest = defaultdict(list)
    for place, visit in enumerate(visits):
        if place not in told:
            here = at_site[visit.site]
            (here[0] if len(here) == 1 else rest[visit.site]).append(place)
    return sorted(sorted(part) for part in [*parts, *rest.values()])


def _told_apart(visits: Sequence[Visit]) -> Iterator[list[int]]:
    """Exams of which sex and age are known."""
    births = defaultdict(list)
    for place, visit in enumerate(visits):
        if visit.sex in ("F", "M") and visit.age_years is not None:
            births[visit.sex].append((visit.day / _DAYS_A_YEAR - visit.age_years, place))
    for found in births.values():
        found.sort()
        part = [found[0][1]]
        for (before, _), (birth, place) in pairwise(found):
            if birth - before > _SAME_BIRTH_YEARS:
                yield part
                part = []
            part.append(place)
        yield part
