"""Tables of a content item (PS3.3 C.18.9, value type TABLE): values over time, and the one number that stands for a span."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import fsum
from typing import TYPE_CHECKING, NamedTuple

from dose_audit.extract.codes import Code, key
from dose_audit.extract.content import Item

if TYPE_CHECKING:
    from dose_audit.extract._header import Header

__all__ = ["Column", "mean_over", "tabulated"]

_MOMENTS = ("DT",)
_NUMBERS = ("DS", "IS", "FD", "FL", "US", "UL", "UV", "SS", "SL", "SV")
MOST_CELLS = 100_000


class Column(NamedTuple):
    """What a table says of one quantity.

    Attributes
    ----------
    concept, unit : Code or None
    numbers : dict of int to float
        By line of the table, from 1.
    moments : dict of int to str
        DT values as sent, by line.
    """

    concept: Code | None
    unit: Code | None
    numbers: dict[int, float]
    moments: dict[int, str]


def tabulated(header: Header) -> list[Column]:
    """The columns of an item of Tabulated Values Sequence; its rows where these are what is defined.

    A cell may be given alone, or a whole line or column of them by one entry with many values.
    """
    defined = header.items("TableColumnDefinitionSequence")
    own, other = "TableColumnNumber", "TableRowNumber"
    if not defined:
        defined = header.items("TableRowDefinitionSequence")
        own, other = other, own
    columns: dict[int, Column] = {}
    for place, item in enumerate(defined, 1):
        number = item.number(own)
        units = item.code("MeasurementUnitsCodeSequence")
        columns[int(number) if number else place] = Column(item.code("ConceptNameCodeSequence"), units, {}, {})
    left = MOST_CELLS
    for cell in header.items("CellValuesSequence"):
        vr = cell.text("SelectorAttributeVR") or ""
        if vr not in _NUMBERS and vr not in _MOMENTS:
            continue
        sent: Sequence[float | str] = (cell.numbers if vr in _NUMBERS else cell.texts)(f"Selector{vr}Value")
        column, line = cell.number(own), cell.number(other)
        for place, value in enumerate(sent, 1):
            left -= 1
            found = columns.get(int(column) if column else place)
            if found is None or left < 0:
                continue
            at = int(line) if line else place
            if isinstance(value, float):
                found.numbers[at] = value
            elif value:
                found.moments[at] = value
    return list(columns.values())


def mean_over(item: Item, within: Callable[[str | None], bool]) -> Item | None:
    """A NUM item with the mean of those values of a TABLE item whose moments lie within a span.

    Parameters
    ----------
    item : Item
        Of value type TABLE; its value column has the item's own concept, or is the only one with numbers.
    within : callable
        Whether a moment, as sent, counts; asked with None where the table tells no moments.

    Returns
    -------
    Item or None
        With the single values under ``rare["single"]``; None where the table has none for the span.
    """
    columns: list[Column] = (item.rare or {}).get("table") or []
    filled = [column for column in columns if column.numbers]
    named = [column for column in filled if column.concept is not None and key(column.concept) == item.key]
    if len(named or filled) != 1:
        return None
    [values] = named or filled
    moments = next((column.moments for column in columns if column.moments), None)
    chosen = [value for line, value in sorted(values.numbers.items()) if within(moments.get(line) if moments else None)]
    if not chosen:
        return None
    made = Item(item.position)
    made.value_type, made.relationship, made.concept, made.key = "NUM", item.relationship, item.concept, item.key
    made.unit, made.children = values.unit, item.children
    made.number = float(f"{fsum(chosen) / len(chosen):.12g}")  # the sum's binary noise is no measurement
    made.set_rare("single", chosen)
    return made
