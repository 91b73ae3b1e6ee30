"""Coded concepts and the folding of their retired spellings, so that one concept has one key."""

import json
from functools import cache
from importlib import resources
from typing import NamedTuple

SNOMED_RT_SCHEMES = frozenset({"SRT", "SNM3", "99SDM"})
"""Coding Scheme Designators under which SNOMED-RT style codes (``T-D4000``) are sent."""

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
        Code Meaning; empty when absent. For people only, never compared.
    """

    value: str
    scheme: str
    meaning: str


@cache
def snomed_pairs() -> dict[str, str]:
    """SNOMED-RT style code → SNOMED CT identifier, from ``snomed_rt.json`` beside this module."""
    table = json.loads(resources.files(__package__).joinpath("snomed_rt.json").read_text("utf-8"))
    return {srt: sct for srt, (sct, _meaning) in table.items()}


def fold(scheme: str, value: str) -> tuple[str, str]:
    """Bring a code to the key under which its concept is looked up.

    Parameters
    ----------
    scheme, value : str
        Coding Scheme Designator and code value, as sent.

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
    """
    if scheme in SNOMED_RT_SCHEMES:
        concept = snomed_pairs().get(value)
        return ("SCT", concept) if concept else (scheme, value)
    return RETIRED_TWINS.get((scheme, value), (scheme, value))


def key(code: Code) -> tuple[str, str]:
    """The folded ``(scheme, value)`` of a code; two codes name the same concept when their keys are equal.

    Examples
    --------
    >>> key(Code("T-D4000", "99SDM", "abdomen")) == key(Code("113345001", "SCT", "Abdomen"))
    True
    """
    return fold(code.scheme, code.value)
