"""Reads one DICOM object: a lazy header and, of a structured report, the content tree; never pixel data.

The bytes are walked by this package's own code. What does not follow the rules is given to pydicom, and what
pydicom cannot read either is refused with one line.
"""

from __future__ import annotations

from struct import error as StructError

from dose_audit.extract._bytes import FIRST_CHUNK, Readable, Source, inflate
from dose_audit.extract._elements import (
    CONTENT_SEQUENCE,
    ITEM_END,
    MARKS,
    PIXEL_DATA,
    Elements,
    Limits,
    Overrun,
    Unusual,
    implicit_head,
    scan,
)
from dose_audit.extract._header import Header
from dose_audit.extract._item_values import fill
from dose_audit.extract._peek import FIELDS, GLANCE_BYTES, Peek, glance
from dose_audit.extract._start import Start, find_start
from dose_audit.extract._tree import TreeReader
from dose_audit.extract.content import Item
from dose_audit.extract.errors import Malformed, NotDicom, ReadError, TooLarge, Truncated

__all__ = ["DicomObject", "Header", "Item", "Limits", "Peek", "ReadError", "peek", "read_object"]

_REPORTS = "1.2.840.10008.5.1.4.1.1.88."  # all structured report SOP classes begin so
_FALLBACK_BYTES = 1 << 20  # what pydicom is given first, so that it is not handed the pixels of a large image
_STOPS = PIXEL_DATA | {CONTENT_SEQUENCE, ITEM_END}


class DicomObject(Header):
    """One object's data set up to its pixel data.

    Attributes
    ----------
    size : int
        Bytes of the whole object, pixel data included.
    transfer_syntax_uid : str
        As the file meta information says, else as the data set is found to be encoded.
    content : Item or None
        Root content item of a structured report.
    problems : list of tuple of str
        ``(keyword, raw text)`` of values that could not be decoded so far.
    """

    __slots__ = ("content", "size", "transfer_syntax_uid")

    size: int
    transfer_syntax_uid: str
    content: Item | None

    @property
    def sop_class_uid(self) -> str | None:
        """SOP Class UID."""
        return self.text("SOPClassUID")

    @property
    def sop_instance_uid(self) -> str | None:
        """SOP Instance UID."""
        return self.text("SOPInstanceUID")


def read_object(source: Readable, *, limits: Limits = Limits()) -> DicomObject:  # noqa: B008 (immutable)
    """Read one DICOM object.

    Parameters
    ----------
    source : bytes, bytearray, memoryview, str or os.PathLike
        The object, or the path of its file, of which no more is read than the header, or the report.
    limits : Limits
        Caps above which an object is refused.

    Returns
    -------
    DicomObject

    Raises
    ------
    ReadError
        `NotDicom`, `Truncated`, `TooLarge`, `TooDeep` or `Malformed`; the message is one line for people.
    OSError
        The file cannot be opened or read.
    """
    with Source(source) as whole:
        if whole.size > limits.object_bytes:
            raise TooLarge(f"the object is larger than {limits.object_bytes >> 20} MB")
        start = find_start(whole.front(FIRST_CHUNK))
        if start.deflated:
            packed = _all(whole, limits.report_bytes)[start.position :]
            unpacked = Source(inflate(packed, limits.inflated_bytes))
            start = start._replace(position=0, explicit=True, little_endian=True)
            found = _read(unpacked, start, limits)
        else:
            found = _read(whole, start, limits)
        found.size = whole.size
        found.transfer_syntax_uid = start.transfer_syntax
        return found


def peek(source: Readable, *, limits: Limits = Limits()) -> Peek:  # noqa: B008 (immutable)
    """Look at the few attributes by which an object is judged, reading 8 kB where that is enough.

    Parameters
    ----------
    source, limits
        As `read_object`.

    Returns
    -------
    Peek

    Raises
    ------
    ReadError, OSError
        As `read_object`; an object that is broken further down is only found out there.
    """
    with Source(source) as whole:
        front = whole.front(GLANCE_BYTES)
        start = find_start(front)
        seen = None
        if start.little_endian and not start.deflated:
            seen = glance(front, start, whole.size, limits)
    if seen is None:
        found = read_object(source, limits=limits)
        seen = Peek(found.transfer_syntax_uid, found.size)
        for name, keyword in FIELDS.values():
            setattr(seen, name, "\\".join(found.texts(keyword)) or None)
    return seen


def _all(source: Source, most: int) -> bytes:
    if source.size > most:
        raise TooLarge(f"the object is larger than {most >> 20} MB, the most that is read whole")
    return source.front(source.size)


def _read(source: Source, start: Start, limits: Limits) -> DicomObject:
    """Read with our own walk, else with pydicom."""
    try:
        if not start.little_endian:
            raise Unusual("big endian")
        return _walk(source, start.position, start.explicit, start.sop_class.startswith(_REPORTS), limits)
    except (Unusual, StructError):
        pass
    from dose_audit.extract._fallback import Heads, transcode_dataset

    heads = Heads(limits)
    most = min(limits.header_bytes, limits.fallback_bytes)
    # A report has no pixels in front of which to stop, so that its first megabyte would only be read twice.
    for size in (most,) if start.sop_class.startswith(_REPORTS) else (_FALLBACK_BYTES, most):
        front = source.front(min(size, source.size))
        whole = len(front) >= source.size
        try:
            plain, reached_pixels = transcode_dataset(
                front[start.position :], start.explicit, start.little_endian, limits, heads
            )
        except Truncated:
            if whole:
                raise
            continue
        if whole or reached_pixels:
            break
    else:
        raise TooLarge("the data set breaks the encoding rules and is too large to be repaired")
    try:
        return _walk(Source(plain), 0, True, True, limits)
    except (Unusual, StructError) as error:
        raise Malformed(f"the data set breaks the encoding rules: {error}") from None


def _walk(source: Source, position: int, explicit: bool, report: bool, limits: Limits) -> DicomObject:
    """Walk the data set, reading on as it asks for more bytes."""
    buffer = _all(source, limits.report_bytes) if report else source.front(FIRST_CHUNK)
    elements: Elements = {}
    problems: list[tuple[str, str]] = []
    tree: TreeReader | None = None
    children: list[Item] = []
    while True:
        needed = 0
        try:
            position = scan(buffer, position, len(buffer), explicit, elements, limits, _STOPS)
        except Overrun as overrun:
            if len(buffer) >= source.size or overrun.needed > source.size:
                raise
            position, needed = overrun.position, overrun.needed
        if needed or (len(buffer) - position < 8 and len(buffer) < source.size):
            if needed > limits.header_bytes or len(buffer) >= limits.header_bytes:
                raise TooLarge(f"the header is larger than {limits.header_bytes >> 20} MB")
            buffer = source.front(min(max(needed, 2 * len(buffer)), limits.header_bytes))
            continue
        if len(buffer) - position < 8 or implicit_head(buffer, position)[0] != CONTENT_SEQUENCE:
            break
        buffer = _all(source, limits.report_bytes)
        header = Header(buffer, elements, explicit, limits, problems)
        tree = TreeReader(buffer, explicit, limits, problems)
        if explicit and buffer[position + 4 : position + 6] != b"SQ":
            raise Unusual("the content is no explicit sequence")
        value = position + (12 if explicit else 8)
        children, position = tree.children(value, len(buffer), True, "1", header.charset)
        elements[CONTENT_SEQUENCE] = (b"SQ", value, position)
    if not MARKS.isdisjoint(elements):
        raise Unusual("a mark of items stands among elements")
    if not elements:
        raise NotDicom("the data set is empty")
    found = DicomObject(buffer, elements, explicit, limits, problems)
    found.content = None
    content = elements.get(CONTENT_SEQUENCE)
    if content is not None or found.has("ValueType"):
        if content is not None and tree is None:
            if explicit and content[0] != b"SQ":
                raise Unusual("the content is no explicit sequence")
            tree = TreeReader(buffer, explicit, limits, problems)
            children, _ = tree.children(content[1], content[2], False, "1", found.charset)
        found.content = Item("1")
        fill(found.content, found)
        found.content.children = children
    return found
