"""The form of one vendor exception, and of those that apply to a device."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

__all__ = ["NO_QUIRKS", "ActiveQuirks", "Quirk", "Sent"]

Sent = tuple[str, str]
"""Coding scheme and code value as sent, or coding scheme and lower-case meaning."""


@dataclass(frozen=True, slots=True)
class Quirk:
    """One exception.

    Attributes
    ----------
    id : str
        Short name, unique in the table.
    manufacturer, model : str
        Regular expressions, matched anywhere and without regard to case; empty matches every device.
    defect : str
        What the objects get wrong.
    handling : str
        What is done, in words.
    evidence : str
        The kind of object, or the public issue, that shows it.
    concepts : mapping
        Concept as sent → folded key of the concept that is meant. Asked only where the sent one has no rule.
    values : mapping
        Code of a CODE item as sent → ``(scheme, value)`` that is meant.
    meanings : mapping
        ``(scheme, lower-case meaning)`` of a private concept → folded key of the standard one.
    repairs : mapping
        Name of a repair step → its settings.
    rule : str
        For a row without its own data: the general rule that covers the defect.
    refused : str
        Why nothing is done, where nothing is.
    """

    id: str
    defect: str
    handling: str
    evidence: str
    manufacturer: str = ""
    model: str = ""
    concepts: Mapping[Sent, Sent] = field(default_factory=dict)
    values: Mapping[Sent, Sent] = field(default_factory=dict)
    meanings: Mapping[Sent, Sent] = field(default_factory=dict)
    repairs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    rule: str = ""
    refused: str = ""

    @property
    def acts(self) -> bool:
        """Whether this row itself changes what is read."""
        return bool(self.concepts or self.values or self.meanings or self.repairs)

    def applies_to(self, manufacturer: str, model: str) -> bool:
        """Whether this row is about a device."""
        return bool(
            re.search(self.manufacturer, manufacturer, re.IGNORECASE) and re.search(self.model, model, re.IGNORECASE)
        )


@dataclass(frozen=True, slots=True)
class ActiveQuirks:
    """The exceptions of one device, ready for look-up."""

    concepts: Mapping[Sent, Sent]
    values: Mapping[Sent, Sent]
    meanings: Mapping[Sent, Sent]
    repairs: Mapping[str, Mapping[str, Any]]


_NONE: Mapping[Any, Any] = MappingProxyType({})
NO_QUIRKS = ActiveQuirks(_NONE, _NONE, _NONE, _NONE)
"""For an object of no particular device."""
