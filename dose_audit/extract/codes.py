"""Coded concepts and the folding of their retired spellings, so that one concept has one key."""

import json
import re
from collections.abc import Container
from functools import cache, lru_cache
from importlib import resources
from typing import NamedTuple

SNOMED_RT_SCHEMES = frozenset({"SRT", "SNM3", "99SDM"})
"""Coding Scheme Designators under which SNOMED-RT style codes (``T-D4000``) are sent."""

SCHEME_SPELLINGS = {
    "DICOM": "DCM",
    "DCMR": "DCM",
    "SNOMED": "SCT",
    "SNOMED CT": "SCT",
    "SNOMED-CT": "SCT",
    "SNOMEDCT": "SCT",
    "SNOMED-RT": "SRT",
    "SNOMED RT": "SRT",
    "SNMI": "SRT",
    "LOINC": "LN",
}
"""Other names, in capitals, under which the codes of a scheme are sent."""

_SCHEMES = frozenset({"DCM", "SCT", "LN"}) | SNOMED_RT_SCHEMES

RETIRED_TWINS = {
    # Exposure Time: both numbers are in reports of the same scanners' generations.
    ("DCM", "113735"): ("DCM", "113824"),
}
"""Codes that a later edition of the standard replaced by another code for the same concept."""


class Code(NamedTuple):
    """A coded entry as it was sent; compare two of them by `key`.

    Attributes
    ----------
    value : str
        Code Value, Long Code Value or URN Code Value.
    scheme : str
        Coding Scheme Designator; empty when absent.
    meaning : str
        Code Meaning; empty when absent. For people: it is compared only where the code itself says nothing.
    """

    value: str
    scheme: str
    meaning: str


@cache
def snomed_pairs() -> dict[str, str]:
    """SNOMED-RT style code → SNOMED CT identifier, from ``snomed_rt.json`` beside this module."""
    table = json.loads(resources.files(__package__).joinpath("snomed_rt.json").read_text("utf-8"))
    return {srt: sct for srt, (sct, _meaning) in table.items()}


@cache
def concept_names() -> dict[tuple[str, str], str]:
    """Key → meaning of every standard concept that the tables of this package name, from ``concept_names.json``."""
    table = json.loads(resources.files(__package__).joinpath("concept_names.json").read_text("utf-8"))
    return {(scheme, value): meaning for scheme, names in table.items() for value, meaning in names.items()}


@cache
def _by_meaning() -> dict[str, list[tuple[str, str]]]:
    found: dict[str, list[tuple[str, str]]] = {}
    for name, meaning in concept_names().items():
        found.setdefault(plain_meaning(meaning), []).append(name)
    return found


def plain_meaning(meaning: str) -> str:
    """A meaning as it is compared: without letter case, hyphens and doubled blanks.

    Examples
    --------
    >>> plain_meaning("X-Ray  Tube Current") == plain_meaning("X-ray tube current")
    True
    """
    return re.sub(r"[\W_]+", " ", meaning.casefold()).strip()


@lru_cache(maxsize=4096)
def _meant(code: Code) -> tuple[tuple[str, str], ...]:
    """The keys with the meaning of a code; none where the code itself is a standard concept."""
    if not code.meaning or key(code) in concept_names():
        return ()
    return tuple(_by_meaning().get(plain_meaning(code.meaning), ()))


def key_by_meaning(code: Code, among: Container[tuple[str, str]]) -> tuple[str, str] | None:
    """The key of the one standard concept with the meaning of a code that says nothing itself.

    Parameters
    ----------
    code : Code
        As sent. Where its own key is that of a standard concept, the code is believed and not its meaning.
    among : container of keys
        What can be meant where the code stands.

    Examples
    --------
    >>> key_by_meaning(Code("K7", "99ABC", "Dose area product"), {("DCM", "122130")})
    ('DCM', '122130')
    >>> key_by_meaning(Code("113725", "DCM", "Dose Area Product"), {("DCM", "122130")}) is None
    True
    """
    meant = [name for name in _meant(code) if name in among]
    return meant[0] if len(meant) == 1 else None


def fold(scheme: str, value: str) -> tuple[str, str]:
    """Bring a code to the key under which its concept is looked up.

    Parameters
    ----------
    scheme, value : str
        Coding Scheme Designator and code value, as sent. A scheme in another spelling counts as itself; an
        absent one as that in which the value names a concept of the tables of this package.

    Returns
    -------
    tuple of str
        ``(scheme, value)``: SNOMED CT (``SCT``) for a SNOMED-RT style code whose pair is known, the current
        number for a retired twin, otherwise what was given.

    Examples
    --------
    >>> fold("SRT", "T-D4000")
    ('SCT', '113345001')
    >>> fold("DCM", "113735")
    ('DCM', '113824')
    >>> fold("UCUM", "mGy")
    ('UCUM', 'mGy')
    >>> fold("dicom", "113722"), fold("", "113722"), fold("SRT", "113345001")
    (('DCM', '113722'), ('DCM', '113722'), ('SCT', '113345001'))
    """
    if scheme not in _SCHEMES:
        scheme = _scheme_meant(scheme, value)
    if scheme in SNOMED_RT_SCHEMES or (scheme == "SCT" and not value.isdigit()):
        concept = snomed_pairs().get(value)
        if concept:
            return "SCT", concept
        # No SNOMED-RT code is made of digits alone; a DICOM one under its name is left to the vendor exceptions.
        is_number = value.isdigit() and ("DCM", value) not in concept_names()
        return ("SCT" if is_number else scheme), value
    return RETIRED_TWINS.get((scheme, value), (scheme, value))


def _scheme_meant(scheme: str, value: str) -> str:
    """The scheme that another spelling of its name stands for, or that an absent one must be; else as sent."""
    capitals = scheme.strip().upper()
    if capitals:
        known = SCHEME_SPELLINGS.get(capitals, capitals)
        return known if known in _SCHEMES else scheme
    if len(value) > 4:
        if value in snomed_pairs():
            return "SRT"
        for one in ("DCM", "SCT", "LN"):
            if (one, value) in concept_names():
                return one
    return scheme


def key(code: Code) -> tuple[str, str]:
    """The folded ``(scheme, value)`` of a code; two codes name the same concept when their keys are equal.

    Examples
    --------
    >>> key(Code("T-D4000", "99SDM", "abdomen")) == key(Code("113345001", "SCT", "Abdomen"))
    True
    """
    return fold(code.scheme, code.value)
