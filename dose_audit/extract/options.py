"""What a caller may choose about extraction, and the value that says "readable, but no dose in it"."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["NotDose", "ReadOptions"]


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """Choices of one installation; the defaults keep every identifier out.

    Attributes
    ----------
    with_identifiers : bool
        Keep patient name, ID, birth date and the names of staff in the record.
    pseudonym_key : bytes or None
        Key of the patient pseudonym (HMAC-SHA-256); without it there is no pseudonym.
    phantom_patterns : tuple of str
        Further shell-style patterns on patient name and ID that mean *not a patient*.
    """

    with_identifiers: bool = False
    pseudonym_key: bytes | None = None
    phantom_patterns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NotDose:
    """A readable object without dose; false in a condition, so that ``if exam:`` reads as it should.

    Attributes
    ----------
    reason : str
        One line for the ledger.
    kind : str
        ``not_relevant``, or ``pixels_only`` for a dose screen that exists only as pixels.
    """

    reason: str
    kind: str = "not_relevant"

    def __bool__(self) -> bool:
        return False
