"""A worksheet for significant accidental and unintended exposures (UK): which thresholds an incident reaches.

It never decides. It says where a threshold of the table is reached that notification is to be considered, by whoever
the employer's procedure names.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from operator import ge, gt
from typing import Any

__all__ = ["NATIONS", "Reach", "Threshold", "Worksheet", "fill_worksheet", "reaches", "thresholds"]

NATIONS = ("England", "Northern Ireland", "Scotland", "Wales")
CATEGORIES = ("accidental", "unintended")
POPULATIONS = ("adult", "child")


@dataclass(frozen=True, slots=True)
class Threshold:
    """One row of ``data/significant_exposures.csv``.

    `comparison` is whether the dose must be the threshold ``or more``, or ``over`` it; `intended_ends` which ends of the
    interval of intended doses are part of it, as ``[)``.
    """

    version: str
    code: str
    nations: str
    scope: str
    category: str
    population: str
    threshold_type: str
    comparison: str
    threshold_value: float | None
    threshold_unit: str
    intended_low_msv: float | None
    intended_high_msv: float | None
    intended_ends: str
    source_url: str
    confidence: str
    note: str

    def words(self) -> str:
        """The criterion as a sentence part."""
        what = f"{self.threshold_value or 0:g} {self.threshold_unit}"
        if self.threshold_type == "any":
            what = "any dose"
        elif self.threshold_type == "event":
            what = self.threshold_unit
        elif self.comparison == "over":
            what = f"over {what}"
        else:
            what = f"{what} {self.comparison}"
        intended = "" if self.intended_low_msv is None else f", intended {self._intended()} mSv"
        return f"code {self.code}, {self.category}, {self.population}{intended}: {what}"

    def intends(self, intended_msv: float | None) -> bool:
        """Whether the intended dose lies in this row's interval; where the row has none, any does."""
        if self.intended_low_msv is None:
            return True
        if intended_msv is None or intended_msv < self.intended_low_msv:
            return False
        if intended_msv == self.intended_low_msv:
            return self.intended_ends.startswith("[")
        high = self.intended_high_msv
        return high is None or intended_msv < high or (intended_msv == high and self.intended_ends.endswith("]"))

    def _intended(self) -> str:
        low, high = self.intended_low_msv, self.intended_high_msv
        if high is None:
            return f"{'over ' if self.intended_ends.startswith('(') else ''}{low:g}"
        top = f"{'' if self.intended_ends.endswith(']') else 'under '}{high:g}"
        return f"{low:g} to {top}" if low else top


@dataclass(frozen=True, slots=True)
class Worksheet:
    """A filled-in worksheet.

    Attributes
    ----------
    facts : dict
        What was entered, and the factor of total over intended dose.
    reached : tuple of Threshold
    looked_at : tuple of Threshold
        Rows for this nation, category and population whose intended doses fit.
    other_criteria : tuple of Threshold
        Rows of the nation that dose alone cannot answer.
    conclusion : str
    """

    facts: dict[str, Any]
    reached: tuple[Threshold, ...]
    looked_at: tuple[Threshold, ...]
    other_criteria: tuple[Threshold, ...]
    conclusion: str


@lru_cache(maxsize=1)
def thresholds() -> tuple[Threshold, ...]:
    """Return the rows of the table."""
    text = resources.files("dose_audit.audit").joinpath("data/significant_exposures.csv").read_text(encoding="utf-8")
    numbers = ("threshold_value", "intended_low_msv", "intended_high_msv")
    return tuple(
        Threshold(**(row | {name: float(row[name]) if row[name] else None for name in numbers}))  # type: ignore[arg-type]
        for row in csv.DictReader(text.splitlines())
    )


def fill_worksheet(
    *, nation: str, population: str, category: str, total_msv: float, intended_msv: float | None = None
) -> Worksheet:
    """Hold an incident against the thresholds.

    Parameters
    ----------
    nation : str
        One of `NATIONS`.
    population : str
        ``adult`` or ``child``.
    category : str
        ``accidental`` (no exposure was intended) or ``unintended`` (another one was).
    total_msv : float
        Effective dose of the whole incident in mSv, the intended part included.
    intended_msv : float, optional
        Needed for unintended exposures.

    Raises
    ------
    ValueError
        A word that the table does not know, or a dose that is none.

    Notes
    -----
    Bands of intended dose meet as the table says: 0.3 mSv belongs to 0.3 to 2.5 mSv, 10 mSv to 2.5 to 10 mSv. Where it does not
    say, at 2.5 mSv, the higher band counts; both then ask for 25 mSv. Effective dose from DLP or KAP
    is a coarse estimate; near a threshold the medical physics expert's own calculation counts.

    Examples
    --------
    >>> sheet = fill_worksheet(
    ...     nation="England", population="adult", category="unintended", total_msv=12.0, intended_msv=1.0
    ... )
    >>> [threshold.code for threshold in sheet.reached]
    ['2.2']
    """
    for word, known in ((nation, NATIONS), (population, POPULATIONS), (category, CATEGORIES)):
        if word not in known:
            raise ValueError(f"{word!r} is none of {', '.join(known)}")
    if not 0.0 < total_msv < 1e5 or (intended_msv is not None and not 0.0 <= intended_msv < 1e5):
        raise ValueError("the total dose must be positive and the intended one not negative, in mSv")
    if category == "unintended" and intended_msv is None:
        raise ValueError("an unintended exposure needs the intended dose in mSv")
    here = [row for row in thresholds() if nation in row.nations.split("|") or row.nations == "UK"]
    fitting = [row for row in here if row.category == category and row.population in (population, "any")]
    by_dose = [row for row in fitting if row.scope in ("all", "imaging") and row.intends(intended_msv)]
    factor = None if not intended_msv else total_msv / intended_msv
    reached = tuple(row for row in by_dose if _reached(row, total_msv, factor))
    others = tuple(row for row in here if row.scope not in ("all", "imaging") or row.category == "foetal")
    if reached:
        conclusion = (
            "Consider notification: the dose reaches "
            + "; ".join(row.words() for row in reached)
            + ". The employer's procedure says who decides; this worksheet does not."
        )
    else:
        conclusion = (
            "No threshold of dose in the table is reached. That is no decision: consider the other criteria, the "
            "uncertainty of the dose estimate, and the employer's procedure."
        )
    facts = {
        "nation": nation,
        "population": population,
        "category": category,
        "total_msv": total_msv,
        "intended_msv": intended_msv,
        "factor": factor,
    }
    return Worksheet(facts, reached, tuple(by_dose), others, conclusion)


@dataclass(frozen=True, slots=True)
class Reach:
    """What would have to have been intended for a total dose to reach a threshold.

    Attributes
    ----------
    threshold : Threshold
    reached : bool
        For some intended dose, or without any where the threshold is of accidental exposures.
    intended_low_msv, intended_high_msv : float or None
        From and to what intended dose; None for accidental exposures and where it is never reached.
    """

    threshold: Threshold
    reached: bool
    intended_low_msv: float | None = None
    intended_high_msv: float | None = None

    def words(self) -> str:
        """The assumption in words."""
        if self.threshold.category == "accidental":
            return "no exposure was intended"
        if self.intended_high_msv is None:
            return "whatever smaller dose was intended"
        low, high = self.intended_low_msv or 0.0, self.intended_high_msv
        return f"another exposure was intended, of {f'{low:.2g} to ' if low else 'up to '}{high:.2g} mSv"


def reaches(total_msv: float, population: str | None) -> list[Reach]:
    """Hold a total effective dose against every threshold of dose, whatever was intended.

    Parameters
    ----------
    total_msv : float
        Above zero.
    population : str or None
        ``adult`` or ``child``; None where the age is not known: thresholds of both.

    Returns
    -------
    list of Reach
        In the order of the table; thresholds of intended doses above the total are left out.

    Examples
    --------
    >>> for one in reaches(12.0, "adult"):
    ...     print(one.threshold.code, one.threshold.nations, one.reached, one.words())
    1 England True no exposure was intended
    1 Northern Ireland|Scotland|Wales True no exposure was intended
    2.1 UK True another exposure was intended, of up to 0.3 mSv
    2.2 UK True another exposure was intended, of 0.3 to 1.2 mSv
    2.3 UK False whatever smaller dose was intended
    2.4 UK False whatever smaller dose was intended
    """
    found = []
    for row in thresholds():
        if row.scope not in ("all", "imaging") or row.category not in CATEGORIES:
            continue
        if population is not None and row.population not in (population, "any"):
            continue
        if row.category == "accidental":
            found.append(Reach(row, _reached(row, total_msv, None)))
            continue
        low, high = row.intended_low_msv or 0.0, row.intended_high_msv
        if low >= total_msv:
            continue
        top = total_msv if high is None else min(high, total_msv)
        if row.threshold_type == "multiplier" and row.threshold_value:
            top = min(top, total_msv / row.threshold_value)
        reached = top > low and (row.threshold_type == "multiplier" or _reached(row, total_msv, None))
        found.append(Reach(row, reached, low if reached else None, top if reached else None))
    return found


def _reached(row: Threshold, total_msv: float, factor: float | None) -> bool:
    if row.threshold_type == "any":
        return True
    if row.threshold_value is None:
        return False
    reached = gt if row.comparison == "over" else ge
    if row.threshold_type == "absolute":
        return row.threshold_unit == "mSv" and reached(total_msv, row.threshold_value)
    return row.threshold_type == "multiplier" and factor is not None and reached(factor, row.threshold_value)
