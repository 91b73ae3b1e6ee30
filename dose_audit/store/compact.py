"""Exam records as compact JSON: the same shape as ``as_record``, without the nulls, fast enough for the ingest path."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import fields
from functools import lru_cache
from json.encoder import encode_basestring_ascii
from operator import attrgetter
from typing import Any

from dose_audit.extract.codes import Code
from dose_audit.extract.exam import Exam
from dose_audit.texts import clean, clean_values, is_clean_json

__all__ = ["clean_text", "cleaned", "dump", "load", "load_record", "record_text", "record_texts", "sparse"]

_PLAIN = frozenset({str, int, float, bool})
# Names of a class's fields and one call that reads them all; a last name twice, so that it never returns a bare value.
_READERS: dict[tuple[type, frozenset[str]], tuple[tuple[str, ...], Callable[[Any], tuple[Any, ...]]]] = {}
_NOTHING: frozenset[str] = frozenset()
# The same for `record_text`, with each name as JSON beside it.
_LAYOUTS: dict[tuple[type, frozenset[str]], tuple[tuple[tuple[str, str], ...], Callable[[Any], tuple[Any, ...]]]] = {}
# ASCII JSON without NaN: what neither database can hold shows as an escape or is refused here.
_encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False, check_circular=False).encode


def sparse(value: Any, omit: frozenset[str] = _NOTHING) -> Any:
    """Plain data of an exam or a part of one, leaving out ``None`` and empty lists and dictionaries.

    Parameters
    ----------
    value : Exam, or any dataclass, Code, list, dict or scalar of the exam record
    omit : frozenset of str
        Field names of `value` itself to leave out.

    Returns
    -------
    dict, list or scalar
        ``from_record`` reads it back to an equal exam: what is left out is what the dataclasses default to.

    Examples
    --------
    >>> from dose_audit.extract.exam import Filter
    >>> sparse(Filter(material="Cu", min_mm=0.1))
    {'material': 'Cu', 'min_mm': 0.1}
    """
    kind = type(value)
    if kind in _PLAIN or value is None:
        return value
    if kind is Code:
        return {"value": value.value, "scheme": value.scheme, "meaning": value.meaning}
    if kind is dict:
        return {key: sparse(item) for key, item in value.items()}
    if kind is list or kind is tuple:
        return [sparse(item) for item in value]
    reader = _READERS.get((kind, omit))
    if reader is None:
        names = tuple(part.name for part in fields(value) if part.name != "extra" and part.name not in omit)
        reader = _READERS[kind, omit] = (names, attrgetter(*names, names[0]))
    record = {}
    for name, item in zip(reader[0], reader[1](value), strict=False):
        if item is None:
            continue
        kind = type(item)
        if kind in _PLAIN:
            record[name] = item
        elif (kind is not list and kind is not dict) or item:
            record[name] = sparse(item)
    extra = getattr(value, "extra", None)
    if extra:
        for name, item in extra.items():
            record.setdefault(name, sparse(item))
    return record


def record_text(value: Any, omit: frozenset[str] = _NOTHING) -> str:
    """JSON of ``sparse(value, omit)`` in one pass over the value: what the ingest path spends its time on.

    Notes
    -----
    Texts are as they are in the value; `is_clean_json` tells whether it has to be `cleaned` first.

    Examples
    --------
    >>> from dose_audit.extract.exam import Filter
    >>> record_text(Filter(material="Cu", min_mm=0.1))
    '{"material":"Cu","min_mm":0.1}'
    """
    extra = getattr(value, "extra", None)
    if extra and not extra.keys().isdisjoint(value.__dataclass_fields__):
        return _encode(sparse(value, omit))
    return "{" + ",".join([part for _, part in _fragments(value, omit)]) + "}"


def record_texts(value: Any, omit: frozenset[str]) -> tuple[str, str]:
    """`record_text` of the whole value, and of it without the fields in `omit`.

    Examples
    --------
    >>> from dose_audit.extract.exam import Filter
    >>> record_texts(Filter(material="Cu", min_mm=0.1), frozenset({"min_mm"}))
    ('{"material":"Cu","min_mm":0.1}', '{"material":"Cu"}')
    """
    extra = getattr(value, "extra", None)
    if extra and not extra.keys().isdisjoint(value.__dataclass_fields__):
        return _encode(sparse(value)), _encode(sparse(value, omit))
    every, rest = [], []
    for name, part in _fragments(value, _NOTHING):
        every.append(part)
        if name not in omit:
            rest.append(part)
    return "{" + ",".join(every) + "}", "{" + ",".join(rest) + "}"


def cleaned(exam: Exam) -> Exam:
    """The exam with all its texts clean, as `load` gives it back once it is stored."""
    return load(dump(sparse(exam)))


def _fragments(value: Any, omit: frozenset[str]) -> list[tuple[str, str]]:
    """Each field that says something: its name, and ``"name":`` with its value; then what is in ``extra``."""
    kind = type(value)
    layout = _LAYOUTS.get((kind, omit))
    if layout is None:
        names = tuple(part.name for part in fields(kind) if part.name != "extra" and part.name not in omit)
        layout = _LAYOUTS[kind, omit] = (tuple((n, f'"{n}":') for n in names), attrgetter(*names, names[0]))
    found = []
    find = _WRITERS.get
    for (name, shown), item in zip(layout[0], layout[1](value), strict=False):
        if item is None:
            continue
        kind = type(item)
        write = find(kind)
        if write is not None:
            found.append((name, shown + write(item)))
        elif kind is list or kind is dict:
            if item:
                found.append((name, shown + _text_of(item)))
        else:
            found.append((name, shown + record_text(item)))
    extra = getattr(value, "extra", None)
    if extra:
        found += [(name, f"{_WRITERS[str](name)}:{_text_of(item)}") for name, item in extra.items()]
    return found


def _text_of(value: Any) -> str:
    kind = type(value)
    write = _WRITERS.get(kind)
    if write is not None:
        return write(value)
    if kind is list or kind is tuple:
        return "[" + ",".join([_text_of(item) for item in value]) + "]"
    if kind is dict and all(type(name) is str for name in value):
        return "{" + ",".join([f"{_WRITERS[str](name)}:{_text_of(item)}" for name, item in value.items()]) + "}"
    return record_text(value) if hasattr(value, "__dataclass_fields__") else _encode(sparse(value))


def _float_text(value: float) -> str:
    if value - value:
        raise ValueError("Out of range float values are not JSON compliant")
    return repr(value)


@lru_cache(maxsize=4096)
def _code_text(code: Code) -> str:
    return _encode(sparse(code))


_WRITERS: dict[type, Callable[[Any], str]] = {
    str: encode_basestring_ascii,
    float: _float_text,
    int: int.__repr__,
    bool: {False: "false", True: "true"}.__getitem__,
    type(None): lambda _: "null",
    Code: _code_text,
}


def dump(value: Any) -> str:
    """Compact ASCII JSON of what `sparse` returned, its texts clean.

    Raises
    ------
    ValueError
        A number that is not finite: a wrong number is worse than none, and neither database would take it.
    """
    text = _encode(value)
    return text if is_clean_json(text) else _encode(clean_values(value))


def load(text: str) -> Exam:
    """Exam of the JSON that `dump` wrote of ``sparse(exam)``; clean also where an earlier version wrote it."""
    from dose_audit.extract.records import from_record

    return from_record(load_record(text))


def load_record(text: str) -> dict[str, Any]:
    """What `load` makes the exam of."""
    record: dict[str, Any] = json.loads(text)
    return record if is_clean_json(text) else clean_values(record)


def clean_text(text: str | None, length: int = 1024) -> str | None:
    """Text as the store keeps it: clean (`dose_audit.texts`), at most `length` characters, or None when empty.

    Examples
    --------
    >>> clean_text("CT1" + chr(0))
    'CT1'
    """
    return clean(text)[:length] or None if text else None
