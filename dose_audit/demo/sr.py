"""Content items of structured reports, as bytes: one function for each value type, nested as the tree is
nested.

A report reads as its template does: ``container(concept, num(...), code(...))``. Concepts and units are code
triples.
"""

from __future__ import annotations

from functools import lru_cache

from dose_audit.demo.codes import Code, dcm, unit
from dose_audit.demo.encode import element, items, sequence

__all__ = [
    "CONTAINS",
    "MODIFIER",
    "OBSERVER",
    "PROPERTY",
    "code",
    "code_sequence",
    "composite",
    "container",
    "datetime",
    "device_observer",
    "document",
    "image",
    "num",
    "pname",
    "text",
    "uidref",
]

CONTAINS = "CONTAINS"
MODIFIER = "HAS CONCEPT MOD"
OBSERVER = "HAS OBS CONTEXT"
PROPERTY = "HAS PROPERTIES"


@lru_cache(maxsize=8192)
def _code_item(value: str, scheme: str, meaning: str) -> bytes:
    # A code value over 16 characters has a Long Code Value element instead (PS3.3, section 8.1).
    long_form = len(value) > 16
    return b"".join(
        (
            b"" if long_form else element(0x00080100, "SH", value.encode()),
            element(0x00080102, "SH", scheme.encode()),
            element(0x00080104, "LO", meaning.encode()),
            element(0x00080119, "UC", value.encode()) if long_form else b"",
        )
    )


def code_sequence(tag: int, code_: Code) -> bytes:
    """Encode a code sequence of one item under ``tag``."""
    return sequence(tag, (_code_item(*code_),))


@lru_cache(maxsize=8192)
def _head(relationship: str, value_type: str, concept: Code) -> bytes:
    return (
        element(0x0040A010, "CS", relationship.encode())
        + element(0x0040A040, "CS", value_type.encode())
        + code_sequence(0x0040A043, concept)
    )


def _children(children: tuple[bytes, ...]) -> bytes:
    present = [child for child in children if child]
    return sequence(0x0040A730, present) if present else b""


def _template(identifier: str | None) -> bytes:
    if identifier is None:
        return b""
    body = element(0x00080105, "CS", b"DCMR") + element(0x0040DB00, "CS", identifier.encode())
    return sequence(0x0040A504, (body,))


def container(
    concept: Code,
    *children: bytes,
    relationship: str = CONTAINS,
    template: str | None = None,
    continuity: str = "SEPARATE",
) -> bytes:
    """Encode a CONTAINER item; empty children are left out, so that an optional row can be ``b""``."""
    return (
        _head(relationship, "CONTAINER", concept)
        + element(0x0040A050, "CS", continuity.encode())
        + _template(template)
        + _children(children)
    )


def code(concept: Code, value: Code, *children: bytes, relationship: str = CONTAINS) -> bytes:
    """Encode a CODE item."""
    return _head(relationship, "CODE", concept) + code_sequence(0x0040A168, value) + _children(children)


@lru_cache(maxsize=1024)
def _unit_element(unit_text: str) -> bytes:
    return code_sequence(0x004008EA, unit(unit_text))


def num(concept: Code, value: str | None, unit_text: str, *children: bytes, relationship: str = CONTAINS) -> bytes:
    """Encode a NUM item; ``value`` is the decimal string as written, ``None`` is a measurement without a
    value.
    """
    if value is None:
        measured: tuple[bytes, ...] = ()
    else:
        measured = (_unit_element(unit_text) + element(0x0040A30A, "DS", value.encode()),)
    return _head(relationship, "NUM", concept) + element(0x0040A300, "SQ", items(measured)) + _children(children)


def text(concept: Code, value: str, *children: bytes, relationship: str = CONTAINS) -> bytes:
    """Encode a TEXT item."""
    return _head(relationship, "TEXT", concept) + element(0x0040A160, "UT", value.encode()) + _children(children)


def uidref(concept: Code, value: str, relationship: str = CONTAINS) -> bytes:
    """Encode a UIDREF item."""
    return _head(relationship, "UIDREF", concept) + element(0x0040A124, "UI", value.encode())


def datetime(concept: Code, value: str, relationship: str = CONTAINS) -> bytes:
    """Encode a DATETIME item; ``value`` is a DICOM DT string."""
    return _head(relationship, "DATETIME", concept) + element(0x0040A120, "DT", value.encode())


def pname(concept: Code, value: str, *children: bytes, relationship: str = CONTAINS) -> bytes:
    """Encode a PNAME item."""
    return _head(relationship, "PNAME", concept) + element(0x0040A123, "PN", value.encode()) + _children(children)


def _reference(sop_class_uid: str, sop_instance_uid: str) -> bytes:
    body = element(0x00081150, "UI", sop_class_uid.encode()) + element(0x00081155, "UI", sop_instance_uid.encode())
    return sequence(0x00081199, (body,))


def image(concept: Code, sop_class_uid: str, sop_instance_uid: str, relationship: str = CONTAINS) -> bytes:
    """Encode an IMAGE item that refers to one image."""
    return _reference(sop_class_uid, sop_instance_uid) + _head(relationship, "IMAGE", concept)


def composite(
    concept: Code, sop_class_uid: str, sop_instance_uid: str, *children: bytes, relationship: str = CONTAINS
) -> bytes:
    """Encode a COMPOSITE item that refers to one object."""
    reference = _reference(sop_class_uid, sop_instance_uid)
    return reference + _head(relationship, "COMPOSITE", concept) + _children(children)


def document(
    concept: Code,
    *children: bytes,
    template: str | None,
    continuity: str = "SEPARATE",
    completion: str = "COMPLETE",
) -> bytes:
    """Encode the root of a report: the SR Document General and Content modules after the header's attributes.

    Parameters
    ----------
    concept : Code
        The document's title.
    *children : bytes
        Its content items.
    template : str or None
        Template identifier (``"10011"``); ``None`` where a vendor sends none.
    continuity, completion : str
        Continuity Of Content; Completion Flag.
    """
    return (
        element(0x0040A040, "CS", b"CONTAINER")
        + code_sequence(0x0040A043, concept)
        + element(0x0040A050, "CS", continuity.encode())
        + element(0x0040A372, "SQ", b"")
        + element(0x0040A491, "CS", completion.encode())
        + element(0x0040A493, "CS", b"UNVERIFIED")
        + _template(template)
        + _children(children)
    )


def device_observer(
    uid: str, name: str, manufacturer: str, model: str, serial: str | None, location: str | None
) -> tuple[bytes, ...]:
    """Encode the observer context of a device (TID 1002 with TID 1004)."""
    return (
        code(dcm("Observer Type"), dcm("Device"), relationship=OBSERVER),
        uidref(dcm("Device Observer UID"), uid, OBSERVER),
        text(dcm("Device Observer Name"), name, relationship=OBSERVER),
        text(dcm("Device Observer Manufacturer"), manufacturer, relationship=OBSERVER),
        text(dcm("Device Observer Model Name"), model, relationship=OBSERVER),
        b"" if serial is None else text(dcm("Device Observer Serial Number"), serial, relationship=OBSERVER),
        b""
        if location is None
        else text(dcm("Device Observer Physical Location During Observation"), location, relationship=OBSERVER),
    )
