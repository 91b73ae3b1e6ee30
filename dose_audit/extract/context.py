"""What every extraction rule may need around its item: options, exceptions, warnings, the unnamed rest."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from dose_audit.extract.codes import Code
from dose_audit.extract.common import warn
from dose_audit.extract.exam import Exam
from dose_audit.extract.options import ReadOptions
from dose_audit.extract.quirks import NO_QUIRKS, ActiveQuirks
from dose_audit.extract.times import iso_datetime
from dose_audit.extract.units import convert

if TYPE_CHECKING:
    from dose_audit.extract.reader import Item

__all__ = ["MAX_EXTRA", "MAX_TEXT", "Context", "Extra", "short"]

MAX_TEXT = 4096
"""Characters kept of one text value."""

MAX_EXTRA = 200
"""Unnamed items kept per container; further ones are counted in a warning."""

MAX_SAME_WARNINGS = 50
"""How often one warning is listed with its place; further ones are counted."""

HABITS = frozenset(
    {
        *("code_by_meaning", "code_repaired", "concept_by_meaning", "concept_repaired"),
        *("field_from_shutters", "modulation_in_comment", "zero_unknown"),
    }
)
"""Warnings of what a device does in every event: three are listed."""

Extra = dict[str, Any]
"""What no field names, by its own meaning in snake_case."""

# Staff and patient names under these concepts are identifiers; PNAME items are by their type.
_NAMING = frozenset(
    {
        ("DCM", "113870"),  # Person Name
        ("DCM", "113871"),  # Person ID
        ("DCM", "121008"),  # Person Observer Name
        ("DCM", "121114"),  # Performing Physician
        ("DCM", "121029"),  # Subject Name
        ("DCM", "121030"),  # Subject ID
        ("DCM", "121031"),  # Subject Birth Date
        ("DCM", "128774"),  # Person Observer's Login Name
        ("DCM", "128775"),  # Identifier within Person Observer's Role
    }
)
# PNAME, and what some write instead.
_NAME_TYPES = frozenset({"PNAME", "PERSON NAME"})
# Siemens writes XML into comments, names of staff included.
_NAME_IN_XML = re.compile(r'(<\w*(?:Physician|Operator|Patient|Person)\w*\s+SRData=")[^"]*', re.IGNORECASE)
_NAMES_A_PERSON = re.compile(r"physician|operator|patient.?(name|id)|person|technolog|radiograph|birth|login", re.I)


class Context:
    """What every rule may need of the object around its item.

    Attributes
    ----------
    exam : Exam
        The record being filled.
    options : ReadOptions
    offset : str
        ISO offset of the object's times, empty when it has none.
    quirks : ActiveQuirks
        The exceptions that apply to this manufacturer and model.
    """

    __slots__ = ("_said", "exam", "offset", "options", "quirks")

    def __init__(self, exam: Exam, options: ReadOptions, offset: str = "", quirks: ActiveQuirks = NO_QUIRKS) -> None:
        self.exam = exam
        self.options = options
        self.offset = offset
        self.quirks = quirks
        self._said: dict[tuple[str, str], int] = {}

    def warn(self, code: str, message: str, item: Item | None = None, raw: object = None) -> None:
        """Add a warning that says where in the tree the item stands; the same one a few times at most."""
        said = self._said.get((code, message), 0)
        self._said[code, message] = said + 1
        if said >= _listed(code):
            return
        where = None
        if item is not None:
            where = f"{item.position} {item.concept.meaning if item.concept else ''}".strip()[:120]
        warn(self.exam.warnings, code, message, where, raw)

    def finish(self) -> None:
        """Say how often the warnings that were not repeated would have been."""
        for (code, message), times in self._said.items():
            unlisted = times - _listed(code)
            if unlisted > 0:
                warn(self.exam.warnings, code, f"{message} ({unlisted} more times)")

    def measured(self, item: Item, quantity: str) -> float | None:
        """The item's value in the quantity's own unit, or `None`, with a warning where one is due."""
        value = item.number
        if value is None:
            if item.raw_number:
                self.warn("unreadable_number", "not a number", item, item.raw_number)
            elif item.text:
                words = f"{item.value_type or 'no value type'} where a number belongs"
                self.warn("unreadable_number", words, item, self.text_of(item))
            return None
        converted, problem = convert(value, item.unit, quantity)
        if problem:
            self.problem(item, problem)
        elif len(item.numbers) > 1:
            self.warn("several_values", "several values where one belongs; the first is used", item, item.raw_number)
        return converted

    def problem(self, item: Item, problem: str) -> None:
        """Warn of a value that cannot be used, with what was sent."""
        unit = item.unit.value if item.unit else ""
        code = "unknown_unit" if "unit" in problem else "zero_unknown" if "zero," in problem else "impossible_value"
        self.warn(code, problem, item, f"{item.raw_number or item.number} {unit}".strip())

    def put(self, target: Any, field: str, value: Any, item: Item) -> None:
        """Set a field once; a second, different value for it is a warning and changes nothing."""
        old = getattr(target, field)
        if old is None:
            setattr(target, field, value)
        elif old != value:
            self.warn("repeated_item", f"a second value for {field}; the first is used", item, short(value))

    def text_of(self, item: Item) -> str | None:
        """The item's text, or `None` when it has none or is a person's name and identifiers are not kept."""
        sent = item.text
        if not sent:
            return None
        if not self.options.with_identifiers:
            if item.value_type in _NAME_TYPES:
                return None
            if "<" in sent:
                sent = _NAME_IN_XML.sub(r"\1", sent[:MAX_TEXT])
        return sent.strip()[:MAX_TEXT] or None

    def coded(self, item: Item) -> Code | None:
        """The item's code as meant: what was sent, or what an active exception says it stands for."""
        sent = item.code
        if sent is None:
            return None
        meant = self.quirks.values.get((sent.scheme, sent.value))
        if meant is None:
            return sent
        self.warn("code_repaired", f"value read as {meant[0]} {meant[1]}", item, f"{sent.scheme} {sent.value}")
        return Code(meant[1], meant[0], sent.meaning)

    def keep(self, extra: Extra, item: Item) -> None:
        """Keep an item that no table names, under its own meaning, untrusted."""
        if len(extra) >= MAX_EXTRA:
            if len(extra) == MAX_EXTRA:
                self.warn("more_items", f"more than {MAX_EXTRA} unnamed items here; the rest is left out", item)
                extra["more_items_left_out"] = True
            return
        value, unit = _plain_value(item, self)
        if value is None:
            return
        name = _name(item.concept.meaning or item.concept.value if item.concept else item.value_type, unit)
        if name not in extra:
            extra[name] = value
        elif isinstance(extra[name], list):
            if len(extra[name]) < MAX_EXTRA:
                extra[name].append(value)
        else:
            extra[name] = [extra[name], value]


def _listed(code: str) -> int:
    return 3 if code in HABITS else MAX_SAME_WARNINGS


def short(value: object) -> str:
    """A value as a warning shows it."""
    return value.value if isinstance(value, Code) else str(value)[:64]


@lru_cache(maxsize=4096)
def _name(meaning: str, unit: str) -> str:
    """``Dose Reduce Ratio`` in ``%`` → ``dose_reduce_ratio_percent``."""
    words = meaning.replace("%", " percent ").lower()
    name = re.sub(r"[^a-z0-9]+", "_", words).strip("_")[:80] or "item"
    if unit and unit not in ("1", "no units"):
        suffix = re.sub(r"[^a-z0-9]+", "_", unit.replace("%", "percent").replace("/", "_per_").lower()).strip("_")
        name = f"{name}_{suffix}"[:100]
    return name


def _identifies(item: Item) -> bool:
    if item.value_type in _NAME_TYPES or item.key in _NAMING:
        return True
    return bool(item.value_type == "TEXT" and item.concept and _NAMES_A_PERSON.search(item.concept.meaning))


def _plain_value(item: Item, ctx: Context) -> tuple[Any, str]:
    """Plain data of any item, its children inside; `None` for an item that says nothing or names a person."""
    if _identifies(item) and not ctx.options.with_identifiers:
        return None, ""
    value: Any
    unit = ""
    if item.number is not None:
        numbers = item.numbers
        value = item.number if len(numbers) <= 1 else list(numbers[:MAX_EXTRA])
        unit = item.unit.value if item.unit else ""
    elif item.code is not None:
        value = ctx.coded(item)
    elif item.text:
        value = ctx.text_of(item)
        if item.value_type == "DATETIME":
            value = iso_datetime(item.text, ctx.offset) or value
    elif item.raw_number:
        value = item.raw_number[:64]
    elif item.reference:
        value = item.reference[1]
    else:
        value = None
    if not item.children:
        return value, unit
    inside: Extra = {}
    if value is not None:
        inside["value"] = value
    for child in item.children:
        ctx.keep(inside, child)
    return (inside or None), unit
