"""The few attributes by which a file is judged before it is read, from its first kilobytes."""

from __future__ import annotations

from dataclasses import dataclass
from struct import error as StructError

from dose_audit.extract._charset import charset
from dose_audit.extract._elements import (
    UNDEFINED,
    VALUE_OFFSET,
    Limits,
    Unusual,
    explicit_head,
    implicit_head,
    long_length,
    looks_explicit,
    skip_sequence,
    tag,
)
from dose_audit.extract._start import Start
from dose_audit.extract._values import PADDING, UID_PADDING

_CHARSET = tag(0x0008, 0x0005)
FIELDS = {
    tag(0x0008, 0x0008): ("image_type", "ImageType"),
    tag(0x0008, 0x0016): ("sop_class_uid", "SOPClassUID"),
    tag(0x0008, 0x0018): ("sop_instance_uid", "SOPInstanceUID"),
    tag(0x0008, 0x0060): ("modality", "Modality"),
    tag(0x0008, 0x0070): ("manufacturer", "Manufacturer"),
    tag(0x0008, 0x103E): ("series_description", "SeriesDescription"),
    tag(0x0008, 0x1090): ("manufacturer_model_name", "ManufacturerModelName"),
    tag(0x0020, 0x000D): ("study_instance_uid", "StudyInstanceUID"),
    tag(0x0020, 0x000E): ("series_instance_uid", "SeriesInstanceUID"),
}
"""Tag → attribute of `Peek`, keyword."""

GLANCE_BYTES = 8 << 10
_IN_CHARSET = frozenset({"manufacturer", "series_description", "manufacturer_model_name"})


@dataclass(slots=True)
class Peek:
    """What a glance at an object shows; None where it does not say.

    Attributes
    ----------
    transfer_syntax_uid : str
        As the file meta information says, else as the data set is found to be encoded.
    size : int
        Bytes of the whole object.
    image_type : str or None
        All values, with backslashes between them.
    """

    transfer_syntax_uid: str
    size: int
    sop_class_uid: str | None = None
    sop_instance_uid: str | None = None
    study_instance_uid: str | None = None
    series_instance_uid: str | None = None
    modality: str | None = None
    image_type: str | None = None
    manufacturer: str | None = None
    manufacturer_model_name: str | None = None
    series_description: str | None = None


def glance(front: bytes, start: Start, size: int, limits: Limits) -> Peek | None:
    """Read as far as Series Instance UID.

    Parameters
    ----------
    front : bytes
        The first bytes of the object.
    start : Start
        Where its data set starts, little endian and not deflated.
    size : int
        Bytes of the whole object.

    Returns
    -------
    Peek or None
        None when the bytes end too early, or are not laid out by the rules.
    """
    seen = Peek(start.transfer_syntax, size)
    position, explicit = start.position, start.explicit
    last = len(front) - 12
    own_charset = b""
    while position <= last:
        if explicit:
            number, vr, length = explicit_head(front, position)
            offset = VALUE_OFFSET.get(vr)
            if offset is None:
                return None
            if offset == 12:
                length = long_length(front, position + 8)[0]
            start_, stop = position + offset, position + offset + length
        else:
            number, length = implicit_head(front, position)
            start_, stop = position + 8, position + 8 + length
        if number & 0xFFFF > 0x0020:
            # What every object has and has not come yet may follow out of place.
            complete = seen.series_instance_uid and seen.study_instance_uid and seen.modality and seen.sop_class_uid
            return seen if complete else None
        if length == UNDEFINED:
            inside = explicit and (vr != b"UN" or looks_explicit(front, start_ + 8))
            try:
                stop = skip_sequence(front, start_, len(front), inside, limits)
            except (Unusual, StructError):
                return None
        if stop > last:
            return None
        if number in FIELDS:
            name, _keyword = FIELDS[number]
            raw = front[start_:stop]
            text = charset(own_charset).decode(raw) if name in _IN_CHARSET else raw.decode("latin-1")
            setattr(seen, name, text.strip(UID_PADDING if name.endswith("uid") else PADDING) or None)
        elif number == _CHARSET:
            own_charset = front[start_ : min(stop, start_ + 256)]
        position = stop
    return None
