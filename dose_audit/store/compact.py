"""Exam records as compact JSON: the same shape as ``as_record``, without the nulls, fast enough for the ingest path."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import fields
from operator import attrgetter
from typing import Any

from dose_audit.extract.codes import Code
from dose_audit.extract.exam import Exam

__all__ = ["clean_text", "dump", "load", "sparse"]

_PLAIN = frozenset({str, int, float, bool})
# Names of a class's fields and one call that reads them all; a last name twice, so that it never returns a bare value.
_READERS: dict[tuple[type, frozenset[str]], tuple[tuple[str, ...], Callable[[Any], tuple[Any, ...]]]] = {}
_NOTHING: frozenset[str] = frozenset()
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


def dump(value: Any) -> str:
    """Compact ASCII JSON of what `sparse` returned.

    Raises
    ------
    ValueError
        A number that is not finite: a wrong number is worse than none, and neither database would take it.
    """
    text = _encode(value)
    if "\\u0000" in text or "\\ud" in text:
        text = _encode(_cleaned(value))
    return text


def load(text: str) -> Exam:
    """Exam of the JSON that `dump` wrote of ``sparse(exam)``."""
    from dose_audit.extract.records import from_record

    return from_record(json.loads(text))


def clean_text(text: str | None, length: int = 1024) -> str | None:
    """Text that both databases take: no NUL, no lone surrogate, at most `length` characters, or None when empty.

    Examples
    --------
    >>> clean_text("CT1" + chr(0))
    'CT1'
    """
    if not text:
        return None
    if not text.isascii():
        text = text.encode("utf-8", "replace").decode("utf-8")
    if "\0" in text:
        text = text.replace("\0", "")
    return text[:length] or None


def _cleaned(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8").replace("\0", "")
    if isinstance(value, dict):
        return {_cleaned(key): _cleaned(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_cleaned(item) for item in value]
    return value
