"""What pydicom makes of an object beside what our reader makes of it: every element, every content item."""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Iterator, Set
from contextlib import contextmanager
from io import BytesIO
from typing import Any
from unittest import mock

import pydicom
import pydicom.charset
from pydicom.datadict import dictionary_has_tag, keyword_for_tag
from pydicom.dataset import Dataset

from dose_audit.extract.content import Item
from dose_audit.extract.reader import DicomObject, Header

TEXTS = {"SH", "LO", "ST", "LT", "UC", "UT", "PN", "UI", "CS", "AE", "AS", "DA", "DT", "TM", "UR"}
DECIMALS = {"DS", "IS"}
BINARIES = {"US", "SS", "UL", "SL", "FL", "FD", "SV", "UV"}
PADDING = " \0"
# Attribute of a content item → the elements in whose place the reader records that it could not be read.
KEYWORDS_OF = {
    "value_type": ("ValueType",),
    "relationship": ("RelationshipType",),
    "numbers": ("NumericValue", "MeasuredValueSequence"),
    "concept": ("ConceptNameCodeSequence",),
    "code": ("ConceptCodeSequence",),
    "texts": ("TextValue", "DateTime", "Date", "Time", "UID", "PersonName"),
    "template": ("ContentTemplateSequence",),
    "reference": ("ReferencedSOPSequence",),
}


class _Forgiving(dict[str, str]):
    """Names of character sets in any case of letters, with any of the usual separators.

    The one exception that this comparison knows. Defined terms are in capitals (PS3.3 C.12.1.1.2); pydicom reads
    UTF-8 under ``iso_ir 192`` or ``ISO_IR-192`` as if nothing were said, byte by byte. Ours reads what was meant.
    """

    def __missing__(self, term: str) -> str:
        for name, codec in self.items():
            if _plainly(name) == _plainly(term):
                return codec
        raise KeyError(term)


def _plainly(term: str) -> str:
    return re.sub(r"[ _-]+", " ", term.upper())


_CHARACTER_SETS = _Forgiving(pydicom.charset.python_encoding)


@contextmanager
def _pydicom() -> Iterator[None]:
    """Within it pydicom is quiet and as forgiving as `_Forgiving`."""
    with warnings.catch_warnings(), mock.patch.object(pydicom.charset, "python_encoding", _CHARACTER_SETS):
        warnings.simplefilter("ignore")
        yield


def pydicom_read(data: bytes) -> Dataset:
    """The data set up to its pixel data, as pydicom reads it when it has to."""
    with _pydicom():
        return pydicom.dcmread(BytesIO(data), stop_before_pixels=True, force=True)


def differences(ours: DicomObject, theirs: Dataset, *, tree_only: bool = False) -> list[str]:
    """Where the two differ; an empty list when they agree.

    A value that ours refuses, and has put on record, is no difference. With `tree_only` the content is
    compared by its items and not also element by element, which takes pydicom long for a large report.
    """
    with _pydicom():
        found = list(_elements(ours, theirs, "", {"ContentSequence"} if tree_only else frozenset()))
        if ours.content is not None:
            found += _content(ours.content, theirs, ours)
        elif "ContentSequence" in theirs:
            found.append("the content tree is missing")
    return found


def _elements(ours: Header, theirs: Dataset, path: str, without: Set[str] = frozenset()) -> Iterator[str]:
    # Overlays and curves (60xx, 50xx) are left out: a keyword of theirs stands for many tags at once.
    # So are stray delimiters (FFFE), which pydicom keeps as if they were attributes.
    keys = theirs.keys()
    tags = [tag for tag in keys if tag.group != 0xFFFE and dictionary_has_tag(tag)]
    public = {keyword_for_tag(tag) for tag in tags} - {""} - without
    present = set(ours.keywords()) - without
    if present != public:
        yield f"{path}: elements differ: {sorted(present ^ public)}"
    for keyword in sorted(public & present):
        yield from _element(ours, theirs, keyword, f"{path}/{keyword}")
    yield from _private(ours, theirs, path)


def _element(ours: Header, theirs: Dataset, keyword: str, path: str) -> Iterator[str]:
    try:
        element = theirs[keyword]
        value = element.value
    except Exception:  # noqa: BLE001 (pydicom cannot decode it; ours must not raise, no more)
        ours.texts(keyword), ours.numbers(keyword), ours.items(keyword)
        return
    values = [] if value is None or value == "" else _several(value)
    actual: list[Any]
    expected: list[Any] | None
    if element.VR == "SQ":
        actual, expected = ours.items(keyword), list(value or ())
        if len(actual) == len(expected):
            for index, (our_item, their_item) in enumerate(zip(actual, expected, strict=True)):
                yield from _elements(our_item, their_item, f"{path}[{index}]")
            return
    elif element.VR in BINARIES:
        actual, expected = ours.numbers(keyword), [float(v) for v in values]
    elif element.VR in DECIMALS:
        actual, expected = ours.numbers(keyword), _floats(values)
    elif element.VR in TEXTS:
        # Python's own strip takes the no-break space too, which pydicom does to UIDs; a long text keeps what leads it.
        actual = [t.strip(PADDING).strip() for t in ours.texts(keyword)] or [""]
        expected = [str(v).strip(PADDING).strip() for v in values] or [""]
        if "\x1b" in "".join(expected):
            return  # pydicom leaves the escape sequences of ISO 2022 IR 58 in the text
    elif element.VR == "AT":
        actual, expected = ours.texts(keyword), [f"{int(v):08X}" for v in values]
    else:
        return
    if actual != expected and not _on_record(ours, keyword):
        yield f"{path}: {actual}, pydicom {expected}"


def _on_record(ours: Header, *keywords: str) -> bool:
    return any(name in keywords for name, _raw in ours.problems)


def _private(ours: Header, theirs: Dataset, path: str) -> Iterator[str]:
    for tag in list(theirs.keys()):
        if not tag.is_private or tag.is_private_creator or tag.element < 0x1000:
            continue
        if theirs.get_item(tag, keep_deferred=True).VR in ("UN", None):
            continue  # pydicom has a dictionary of private elements for these
        try:
            creator = theirs.private_creators(tag.group)
            name = theirs[(tag.group << 16) | (tag.element >> 8)].value
            element = theirs[tag]
        except Exception:  # noqa: BLE001, S112 (as above)
            continue
        if not isinstance(name, str) or creator.count(name) != 1 or "\x1b" in name:
            continue  # of several blocks nobody knows which; escape sequences are left in the text by pydicom
        offset = tag.element & 0xFF
        actual: Any
        expected: Any
        if element.VR in TEXTS:
            values = [] if element.value in (None, "") else _several(element.value)
            actual = (ours.private_text(tag.group, name, offset) or "").strip(PADDING) or None
            expected = (str(values[0]).strip(PADDING) or None) if values else None
            if "\x1b" in (expected or ""):
                continue
        elif element.VR in BINARIES:
            values = [] if element.value is None else _several(element.value)
            actual = ours.private_number(tag.group, name, offset)
            expected = float(values[0]) if values and math.isfinite(values[0]) else None
        elif element.VR == "SQ":
            actual = len(ours.private_items(tag.group, name, offset))
            expected = len(element.value)
        else:
            continue
        if actual != expected and not _on_record(ours, f"({tag.group:04X},xx{offset:02X})"):
            yield f"{path}/{tag}: {actual!r}, pydicom {expected!r}"


def _content(item: Item, theirs: Dataset, root: DicomObject) -> Iterator[str]:
    where = f"content item {item.position}"
    try:
        expected = _item_values(theirs)
    except Exception:  # noqa: BLE001 (as above)
        return
    actual = _our_values(item)
    for name, value in expected.items():
        if "\x1b" in repr(value) or "\\x1b" in repr(value):
            continue
        if name == "texts" and actual[name] and actual[name] <= value:
            continue  # an item has one value; only a broken one has elements for two
        if actual[name] != value:
            if not actual[name] and _on_record(root, *KEYWORDS_OF.get(name, ())):
                continue
            yield f"{where}: {name} {actual[name]!r}, pydicom {value!r}"
    children = theirs.get("ContentSequence") or ()
    if len(children) != len(item.children):
        yield f"{where}: {len(item.children)} children, pydicom {len(children)}"
        return
    for child, their_child in zip(item.children, children, strict=True):
        yield from _content(child, their_child, root)


def _item_values(ds: Dataset) -> dict[str, Any]:
    measured = list(ds.get("MeasuredValueSequence") or ())
    numbers = _floats([v for m in measured[:1] for v in _several(m.get("NumericValue"))])
    template = (ds.get("ContentTemplateSequence") or [Dataset()])[0]
    reference = (ds.get("ReferencedSOPSequence") or [Dataset()])[0]
    uids = (_text(reference, "ReferencedSOPClassUID"), _text(reference, "ReferencedSOPInstanceUID"))
    texts = ("TextValue", "DateTime", "Date", "Time", "UID", "PersonName")
    return {
        "value_type": _text(ds, "ValueType") or "",
        "relationship": _text(ds, "RelationshipType"),
        "concept": _code(ds, "ConceptNameCodeSequence"),
        "code": _code(ds, "ConceptCodeSequence"),
        "texts": {t for keyword in texts if (t := _text(ds, keyword))},
        "numbers": numbers,
        "unit": _code(measured[0], "MeasurementUnitsCodeSequence") if measured else None,
        "qualifier": _code(ds, "NumericValueQualifierCodeSequence"),
        "template": _text(template, "TemplateIdentifier"),
        "reference": uids if all(uids) else None,
        "observation_uid": _text(ds, "ObservationUID"),
        "observation_datetime": _text(ds, "ObservationDateTime"),
    }


def _our_values(item: Item) -> dict[str, Any]:
    names = ("value_type", "relationship", "numbers", "template", "reference", "observation_uid")
    values: dict[str, Any] = {name: getattr(item, name) for name in (*names, "observation_datetime")}
    for name in ("concept", "code", "unit", "qualifier"):
        code = getattr(item, name)
        values[name] = tuple(code) if code else None
    values["texts"] = {item.text} - {None}
    return values


def _code(ds: Dataset, keyword: str) -> tuple[str, str, str] | None:
    for item in (ds.get(keyword) or ())[:1]:
        value = _text(item, "CodeValue") or _text(item, "LongCodeValue") or _text(item, "URNCodeValue") or ""
        meaning = _text(item, "CodeMeaning") or ""
        if value or meaning:
            return value, _text(item, "CodingSchemeDesignator") or "", meaning
    return None


def _text(ds: Dataset, keyword: str) -> str | None:
    value = ds.get(keyword)
    if value is None or isinstance(value, pydicom.Sequence):  # whose text would be that of its items' printing
        return None
    values = _several(value)
    return (str(values[0]).strip(PADDING) or None) if values else None


def _floats(values: list[Any]) -> list[float] | None:
    """The values as numbers, lists with commas too; None, which equals nothing, when one is no number."""
    try:
        return [float(part) for v in values if v is not None and str(v).strip() for part in str(v).split(",")]
    except ValueError:
        return None


def _several(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, pydicom.multival.MultiValue | list) else [value]
