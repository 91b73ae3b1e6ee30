"""The few bytes of DICOM Part 10 that the spool writes and reads itself: preamble, file meta, UIDs."""

import struct
from functools import lru_cache
from typing import NamedTuple

from .errors import InvalidUID

# One fixed implementation UID (2.25 root: derived from a UUID) in every file that this project writes. It never changes
# with the software's version, so that the same data set always gives the same file and the same SHA-256.
IMPLEMENTATION_CLASS_UID = "2.25.210366423891047012633107342868427310871"

PREFIX_LENGTH = 132  # 128 bytes of preamble, then "DICM"
_PREFIX = b"\0" * 128 + b"DICM"
_META_LENGTH = struct.Struct("<HH2sHI")
_META_VERSION = struct.pack("<HH2sHI", 0x0002, 0x0001, b"OB", 0, 2) + b"\0\1"
_META_READ_CAP = 64 * 1024
_KEPT_UIDS = 256  # whose checks or encodings are remembered: a modality sends few classes, each instance is met thrice


class FileMeta(NamedTuple):
    """The file meta elements that matter here, and where the data set starts."""

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    data_offset: int


def clean_uid(value: str | bytes | bytearray, *, what: str = "UID") -> str:
    """Return a UID without its padding, or refuse it.

    Components with leading zeros break PS3.5 but are sent by old modalities; they are let in because no file name is
    ever made from a UID.

    Parameters
    ----------
    value : str or bytes
        As it came, possibly padded with NUL or (wrongly) a space.
    what : str
        Its name, for the error message.

    Raises
    ------
    InvalidUID
        When empty, longer than 64 characters, or not digits and dots.

    Examples
    --------
    >>> clean_uid(b"1.2.840.10008.1.1\\0")
    '1.2.840.10008.1.1'
    """
    text = value.decode("ascii", "replace") if isinstance(value, (bytes, bytearray)) else str(value)
    text = text.rstrip("\0 ")
    if len(text) > 64 or not _is_uid(text):
        raise InvalidUID(f"{what} is not a valid UID ({len(text)} characters)")
    return text


@lru_cache(_KEPT_UIDS)
def _is_uid(text: str) -> bool:
    return text.isascii() and all(map(str.isdigit, text.split(".")))


def _ui(element: int, uid: str) -> bytes:
    value = uid.encode("ascii")
    if len(value) % 2:
        value += b"\0"
    return struct.pack("<HH2sH", 0x0002, element, b"UI", len(value)) + value


_kept_ui = lru_cache(_KEPT_UIDS)(_ui)  # for classes and syntaxes; an instance is sent once


def file_header(sop_class_uid: str, sop_instance_uid: str, transfer_syntax_uid: str) -> bytes:
    """Preamble, prefix and file meta group for a data set (PS3.10 section 7.1).

    Deterministic: equal arguments give equal bytes, now and in later versions.
    """
    body = b"".join(
        (
            _META_VERSION,
            _kept_ui(0x0002, sop_class_uid),
            _ui(0x0003, sop_instance_uid),
            _kept_ui(0x0010, transfer_syntax_uid),
            _kept_ui(0x0012, IMPLEMENTATION_CLASS_UID),
        )
    )
    return _PREFIX + _META_LENGTH.pack(0x0002, 0x0000, b"UL", 4, len(body)) + body


def read_file_meta(data: bytes) -> FileMeta | None:
    """Read the file meta group at the start of a Part 10 file.

    Parameters
    ----------
    data : bytes
        The first bytes of the file; 64 kB are always enough, less is mostly enough.

    Returns
    -------
    FileMeta or None
        None when this is no Part 10 file or one of the three UIDs is missing or invalid.
    """
    if data[128:132] != b"DICM":
        return None
    values: dict[int, bytes] = {}
    offset, end = PREFIX_LENGTH, min(len(data), _META_READ_CAP)
    while offset + 8 <= end:
        group, element, vr, length = struct.unpack_from("<HH2sH", data, offset)
        if group != 0x0002:
            break
        offset += 8
        if vr in (b"OB", b"UN", b"OW", b"SQ", b"UT"):
            if offset + 4 > end:
                return None
            (length,) = struct.unpack_from("<I", data, offset)
            offset += 4
        if offset + length > end:
            return None
        values[element] = bytes(data[offset : offset + length])
        offset += length
    try:
        uids = [clean_uid(values[element]) for element in (0x0002, 0x0003, 0x0010)]
    except (KeyError, InvalidUID):
        return None
    return FileMeta(uids[0], uids[1], uids[2], offset)
