"""The engine behind every extraction table: one pass over the items, one look-up by coded concept each.

A table maps the key of a concept to a *rule*: what the item fills and in which quantity. The rules below are
all there is: `number`, `pulses`, `code`, `term`, `flag`, `text`, `wording`, `moment`, `aside`, `group`,
`part`, `on`, `each`. What no table names is kept under its own meaning in ``extra`` and trusted by nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from math import fsum, inf
from typing import TYPE_CHECKING, Any

from dose_audit.extract.codes import Code, key, key_by_meaning
from dose_audit.extract.concepts import YES_NO, Key, Terms
from dose_audit.extract.context import MAX_EXTRA, Context, Extra, short
from dose_audit.extract.errors import TooLarge
from dose_audit.extract.times import iso_datetime
from dose_audit.extract.units import QUANTITIES, convert, spellings

if TYPE_CHECKING:
    from dose_audit.extract.reader import Item

__all__ = [
    "Context",
    "Extra",
    "Rule",
    "Table",
    "aside",
    "code",
    "each",
    "flag",
    "group",
    "mean_of_pulses",
    "moment",
    "number",
    "on",
    "one_more",
    "part",
    "pulses",
    "term",
    "text",
    "walk",
    "wording",
]

MAX_PULSES = 100_000
"""Values kept of one list; a cine run has a few thousand."""

MAX_ENTRIES = 20_000
"""Events, or other entries of one list, of one report; the longest day of an angiography unit has a tenth of it."""

Rule = Callable[[Any, "Item", Extra, "Context"], None]
Table = Mapping[Key, Rule]

_EMPTY: Table = {}


def walk(children: Iterable[Item], table: Table, target: Any, extra: Extra, ctx: Context) -> None:
    """Let every item fill what its rule says.

    Parameters
    ----------
    children : iterable of Item
    table : mapping of key to rule
    target : object
        What the rules fill.
    extra : dict
        Where items without a rule are kept.
    ctx : Context
    """
    find = table.get
    for item in children:
        rule = find(item.key)  # type: ignore[arg-type]
        if rule is None:
            rule = _meant(item, table, ctx)
            if rule is None:
                ctx.keep(extra, item)
                continue
        rule(target, item, extra, ctx)


_LONGEST_MEANING = 64  # characters of a Code Meaning (VR LO)


def _meant(item: Item, table: Table, ctx: Context) -> Rule | None:
    """The rule of what an item stands for: by an active exception, else by its meaning where its code says nothing."""
    concept = item.concept
    if concept is None:
        return None
    code, how = "concept_repaired", ""
    meant = ctx.quirks.concepts.get((concept.scheme, concept.value))
    if meant is None:
        meant = ctx.quirks.meanings.get((concept.scheme, concept.meaning.strip().lower()))
    if meant is None:
        meant = key_by_meaning(concept, table)
        code, how = "concept_by_meaning", ", whose meaning it has"
    if meant is None:
        return None
    rule = table.get(meant)
    if rule is not None:
        sent = f"{concept.scheme} {concept.value}"
        ctx.warn(code, f"{sent} read as {meant[0]} {meant[1]}{how}", item, sent)
    return rule


def _term_of(terms: Terms, value: Code, field: str, item: Item, ctx: Context) -> str | None:
    """What a table of terms has for a code, or for its meaning where the code says nothing."""
    found = terms.get(key(value))
    if found is None:
        meant = key_by_meaning(value, terms)
        if meant is not None:
            found = terms[meant]
            ctx.warn("code_by_meaning", f"{field}: an unknown code is read by its meaning", item, short(value))
    return found


def _below(item: Item, then: Table, target: Any, extra: Extra, ctx: Context) -> None:
    if item.children:
        walk(item.children, then, target, extra, ctx)


def number(field: str, quantity: str, then: Table = _EMPTY) -> Rule:
    """The item's value fills `field`, in the quantity's own unit; its properties go through `then`."""
    same, least = spellings(quantity), -inf if QUANTITIES[quantity].negative else 0.0

    def rule(target: Any, item: Item, extra: Extra, ctx: Context) -> None:
        value, unit = item.number, item.unit
        # What nearly every number is: one, above the least, and in our own unit. All others are looked at with care.
        if value is None or unit is None or unit.value not in same or value <= least or item.rare:
            value = ctx.measured(item, quantity)
        if value is not None:
            if getattr(target, field) is None:
                setattr(target, field, value)
            else:
                ctx.put(target, field, value, item)
        if item.children:
            walk(item.children, then, target, extra, ctx)

    return rule


def pulses(field: str, quantity: str) -> Rule:
    """Every value, of one item or of many, joins the list ``<field>_pulses``; `mean_of_pulses` ends it."""
    listed = f"{field}_pulses"

    def rule(target: Any, item: Item, extra: Extra, ctx: Context) -> None:
        values = item.numbers
        if not values:
            ctx.measured(item, quantity)
        kept = getattr(target, listed)
        for value in values:
            converted, problem = convert(value, item.unit, quantity)
            if problem:
                ctx.problem(item, problem)
            elif len(kept) < MAX_PULSES:
                kept.append(converted)
            else:
                ctx.warn("more_values", f"more than {MAX_PULSES} values; the rest is left out", item)
                break
        _below(item, _EMPTY, target, extra, ctx)

    return rule


def mean_of_pulses(target: Any, *fields: str) -> None:
    """Turn each ``<field>_pulses`` of one value into the field, and set the mean beside a longer one."""
    for field in fields:
        listed = f"{field}_pulses"
        values = getattr(target, listed)
        if len(values) == 1:
            setattr(target, field, values[0])
            setattr(target, listed, [])
        elif values:
            # Twelve digits: the sum's binary noise is no measurement.
            setattr(target, field, float(f"{fsum(values) / len(values):.12g}"))


def code(field: str, then: Table = _EMPTY) -> Rule:
    """The item's code, as sent, fills `field`."""

    def rule(target: Any, item: Item, extra: Extra, ctx: Context) -> None:
        value = ctx.coded(item)
        if value is None:
            ctx.warn("empty_code", f"{field} has no code", item, ctx.text_of(item))
        else:
            ctx.put(target, field, value, item)
        _below(item, then, target, extra, ctx)

    return rule


def term(field: str, terms: Terms, then: Table = _EMPTY, *, many: bool = False) -> Rule:
    """The item's code fills `field` with the term that `terms` has for it.

    A code that is not in `terms` is kept in ``extra`` with a warning. With `many` the field is a list.
    """

    def rule(target: Any, item: Item, extra: Extra, ctx: Context) -> None:
        value = ctx.coded(item)
        if value is not None:
            found = _term_of(terms, value, field, item, ctx)
            if found is None:
                ctx.warn("unknown_code", f"{field} has a code that is not in its table", item, short(value))
                extra.setdefault(f"{field}_sent", value)
            elif many:
                getattr(target, field).append(found)
            else:
                ctx.put(target, field, found, item)
        elif item.text:
            # Free text counts where it is the meaning of a code that belongs here: "Left".
            found = _term_of(terms, Code("", "", item.text[:_LONGEST_MEANING]), field, item, ctx)
            if found is None:
                ctx.warn("unknown_code", f"{field} is text where a code belongs", item, ctx.text_of(item))
            elif many:
                getattr(target, field).append(found)
            else:
                ctx.put(target, field, found, item)
        _below(item, then, target, extra, ctx)

    return rule


def flag(field: str, then: Table = _EMPTY) -> Rule:
    """A yes-or-no code fills `field` with True or False."""

    def rule(target: Any, item: Item, extra: Extra, ctx: Context) -> None:
        sent = ctx.coded(item)
        answer = _term_of(YES_NO, sent, field, item, ctx) if sent else None
        if answer is not None:
            ctx.put(target, field, answer == "yes", item)
        elif sent:
            ctx.warn("unknown_code", f"{field} is neither yes nor no", item, short(sent))
        _below(item, then, target, extra, ctx)

    return rule


def text(field: str, then: Table = _EMPTY, *, names_a_person: bool = False) -> Rule:
    """The item's text fills `field`; a person's name only when the caller keeps identifiers."""

    def rule(target: Any, item: Item, extra: Extra, ctx: Context) -> None:
        value = ctx.text_of(item)
        if value and (ctx.options.with_identifiers or not names_a_person):
            ctx.put(target, field, value, item)
        _below(item, then, target, extra, ctx)

    return rule


def wording(field: str, *, coded_as: str | None = None) -> Rule:
    """Text, or the meaning of a code, fills `field`; with `coded_as` the code is kept in ``extra``."""

    def rule(target: Any, item: Item, extra: Extra, ctx: Context) -> None:
        value = ctx.text_of(item) or (item.code.meaning or item.code.value if item.code else None)
        if value:
            ctx.put(target, field, value, item)
        if item.code and coded_as:
            extra.setdefault(coded_as, item.code)
        _below(item, _EMPTY, target, extra, ctx)

    return rule


def moment(field: str) -> Rule:
    """The item's date and time fill `field` in ISO 8601, with the object's offset when the value has none."""

    def rule(target: Any, item: Item, extra: Extra, ctx: Context) -> None:
        value = iso_datetime(item.text, ctx.offset)
        if value is not None:
            ctx.put(target, field, value, item)
        elif item.text:
            ctx.warn("unreadable_time", f"{field} is no date and time", item, ctx.text_of(item))
        _below(item, _EMPTY, target, extra, ctx)

    return rule


def group(table: Table) -> Rule:
    """A container whose items belong to the same target."""

    def rule(target: Any, item: Item, extra: Extra, ctx: Context) -> None:
        walk(item.children, table, target, extra, ctx)

    return rule


def part(field: str, table: Table) -> Rule:
    """A container whose items belong to the object in `field`; unnamed ones to its own ``extra``."""

    def rule(target: Any, item: Item, extra: Extra, ctx: Context) -> None:
        whole = getattr(target, field)
        walk(item.children, table, whole, whole.extra, ctx)

    return rule


def on(field: str, inner: Rule) -> Rule:
    """A rule that fills the object in `field` instead of the target itself."""

    def rule(target: Any, item: Item, extra: Extra, ctx: Context) -> None:
        whole = getattr(target, field)
        inner(whole, item, whole.extra, ctx)

    return rule


def one_more(values: dict[str, Any], name: str, value: Any) -> None:
    """Keep one more value under a name; a second, different one makes a list of them.

    Examples
    --------
    >>> values = {}
    >>> for lot in ("A", "A", "B"):
    ...     one_more(values, "lot", lot)
    >>> values
    {'lot': ['A', 'B']}
    """
    kept = values.get(name)
    if kept is None:
        values[name] = value
    elif not isinstance(kept, list):
        if kept != value:
            values[name] = [kept, value]
    elif value not in kept and len(kept) < MAX_EXTRA:
        kept.append(value)


def aside(name: str, inner: Terms | str | None = None, *, below: Table = _EMPTY, many: bool = False) -> Rule:
    """A value without a field of its own, kept in ``extra`` under `name`.

    `inner` is a quantity for a number, a table of terms for a code, nothing for a code or a text as sent. Of several
    values the first is kept, or with `many` every different one.
    """

    def rule(target: Any, item: Item, extra: Extra, ctx: Context) -> None:
        value: Any
        if isinstance(inner, str):
            value = ctx.measured(item, inner)
        elif item.code is not None:
            value = ctx.coded(item)
            if inner is not None and value is not None:
                value = _term_of(inner, value, name, item, ctx) or value
        elif item.value_type == "DATETIME":
            value = iso_datetime(item.text, ctx.offset)
            if value is None and item.text:
                ctx.warn("unreadable_time", f"{name} is no date and time", item, ctx.text_of(item))
        else:
            value = ctx.text_of(item)
        if value is not None:
            if many:
                one_more(extra, name, value)
            else:
                extra.setdefault(name, value)
        _below(item, below, target, extra, ctx)

    return rule


def each(
    field: str,
    make: Callable[[], Any],
    table: Table,
    finish: Callable[[Any, Item, Context], None] | None = None,
) -> Rule:
    """A container that is one more entry of the list `field`; unnamed items go to its own ``extra``."""

    def rule(target: Any, item: Item, extra: Extra, ctx: Context) -> None:
        if len(getattr(target, field)) >= MAX_ENTRIES:
            raise TooLarge(f"the report has more than {MAX_ENTRIES} {field}")
        entry = make()
        walk(item.children, table, entry, getattr(entry, "extra", extra), ctx)
        if finish is not None:
            finish(entry, item, ctx)
        getattr(target, field).append(entry)

    return rule
