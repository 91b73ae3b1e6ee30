"""The report's words and marks: verdicts, severities, units and numbers as a person reads them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import floor, isfinite, log10

from dose_audit.audit.findings import kind_words
from dose_audit.audit.labels import quantity_label, unit_label
from dose_audit.texts import counted

__all__ = [
    "KIND_WORDS",
    "SEVERITY_WORDS",
    "VERDICTS",
    "Verdict",
    "band_label",
    "band_order",
    "number",
    "p_value",
    "percent",
    "plural",
    "quantity_label",
    "signed",
    "unit_label",
    "whole",
    "with_band",
    "with_days",
]


@dataclass(frozen=True)
class Verdict:
    """How one verdict reads and looks. The mark and the word stand without the colour."""

    word: str
    mark: str
    shape: str
    tone: str
    meaning: str


VERDICTS = {
    "ABOVE": Verdict("Above", "▲", "triangle-up", "act", "the group's median is above the reference level"),
    "WITHIN": Verdict("Within", "●", "circle", "ok", "the group's median is at or below the reference level"),
    "BELOW_P25_CHECK_IQ": Verdict(
        "Low, check images", "▼", "triangle-down", "check", "the median is below the 25th percentile of the survey"
    ),
    "INSUFFICIENT_N": Verdict("Too few", "○", "diamond", "quiet", "fewer exams than a judgement needs"),
    "NO_DRL": Verdict("No level", "–", "square", "quiet", "no reference level in the sets that were used"),
    "AMBIGUOUS": Verdict("Ambiguous", "?", "cross", "check", "more than one reference level matches"),
    "PHANTOM_MISMATCH": Verdict(
        "Phantom differs", "≠", "cross", "check", "CTDIvol was reported on another phantom than the level's"
    ),
}

SEVERITY_WORDS = {"act": ("Act", "▲"), "check": ("Check", "◆"), "note": ("Note", "·")}

KIND_WORDS = kind_words()
"""What each kind of finding is called."""

_INTERVAL = re.compile(r"(?:from )?([\d.]+)(?:-<([\d.]+))? (month|year|kg|mm|cm)")


def band_label(band: str | None) -> str:
    """A band of age, weight or size as printed; nothing for the whole adult group.

    Examples
    --------
    >>> band_label("12-<72 month"), band_label("3-<12 month"), band_label("5-<15 kg"), band_label("adult")
    ('1–<6 years', '3–<12 months', '5–<15 kg', '')
    """
    if band in (None, "", "adult", "all"):
        return ""
    found = _INTERVAL.fullmatch(str(band))
    if not found:
        return str(band)
    low, high, unit = float(found[1]), float(found[2]) if found[2] else None, found[3]
    if unit == "month" and low >= 12 and low % 12 == 0 and (high is None or high % 12 == 0):
        low, high, unit = low / 12, high / 12 if high else None, "year"
    unit += "s" if unit in ("month", "year") else ""
    return f"{low:g}–<{high:g} {unit}" if high is not None else f"from {low:g} {unit}"


def band_order(band: str | None) -> tuple[str, float]:
    """Sorts bands of one kind by their lower edge."""
    found = _INTERVAL.fullmatch(band or "")
    return (found[3], float(found[1])) if found else (band or "", 0.0)


def with_band(name: str, band: str | None) -> str:
    """Examination and band in one phrase."""
    label = band_label(band)
    return f"{name}, {label}" if label else name


def number(value: float | None, digits: int = 3) -> str:
    """A measured number to so many significant figures; a dash where there is none.

    Examples
    --------
    >>> number(361.54), number(0.02531), number(1234.5), number(-0.5), number(None)
    ('362', '0.0253', '1230', '−0.500', '–')
    """
    if value is None or not isfinite(value):
        return "–"
    if value == 0:
        return "0"
    places = digits - 1 - floor(log10(abs(value)))
    return f"{round(value, places):.{max(places, 0)}f}".replace("-", "−")


def signed(value: float, places: int) -> str:
    """A deviation with its sign, to so many places.

    >>> signed(-0.25, 1), signed(3.0, 2)
    ('−0.2', '+3.00')
    """
    return f"{value:+.{places}f}".replace("-", "−")


def p_value(value: float | None) -> str:
    """A probability as printed.

    Examples
    --------
    >>> p_value(0.0312), p_value(1e-9), p_value(None)
    ('0.031', '< 0.001', '–')
    """
    if value is None:
        return "–"
    return "< 0.001" if value < 0.001 else f"{value:.3f}" if value < 0.1 else f"{value:.2f}"


def percent(value: float | None, places: int = 1) -> str:
    """A percentage as printed.

    Examples
    --------
    >>> percent(98.75)
    '98.8 %'
    """
    return "–" if value is None else f"{value:.{places}f} %"


_ISO_DAY = re.compile(r"(?<![\w-])([a-z]\w*(?:-\w+)+ )?(\d{4})-(\d\d)-(\d\d)(?![\w-])")
"""A day, and the set's name where it is a set's edition."""


def with_days(text: str) -> str:
    r"""A sentence with its ISO dates as people write them, and no line's end before a percent sign; an edition's or a version's
    name stays as it is.

    Examples
    --------
    >>> with_days("Silent from 2026-04-03 (level of uk-adult-ct 2024-11-20)").replace("\u00a0", " ")
    'Silent from 3 Apr 2026 (level of uk-adult-ct 2024-11-20)'
    """

    def day(found: re.Match[str]) -> str:
        month = int(found[3])
        if found[1] or not 1 <= month <= 12:
            return found[0]
        return f"{int(found[4])}\u00a0{_MONTHS[month - 1]}\u00a0{found[2]}"

    return _PERCENT.sub("\\1\u00a0%", _ISO_DAY.sub(day, text))


_PERCENT = re.compile(r"(\d) %")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def whole(count: int) -> str:
    r"""A count, thousands a narrow space apart.

    >>> whole(12), whole(4012).replace("\u202f", " ")
    ('12', '4 012')
    """
    return f"{count:,}".replace(",", "\u202f")


def plural(count: int, one: str, many: str | None = None) -> str:
    r"""A count with its noun, thousands a narrow space apart.

    Examples
    --------
    >>> plural(1, "exam"), plural(4012, "exam").replace("\u202f", " ")
    ('1 exam', '4 012 exams')
    """
    return counted(count, one, many, thousands="\u202f")
