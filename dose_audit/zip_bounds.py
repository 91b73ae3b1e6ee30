"""Bounds on zip archives that come from outside, and the one that must be asked before an archive is opened."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from struct import Struct

__all__ = ["ArchiveLimits", "directory_problem"]

_END = Struct("<4s4H2LH")  # end of central directory record
_LOCATOR_64 = Struct("<4sLQL")  # in front of it in an archive with sizes of 64 bits: where that one's record is
_END_64 = Struct("<4sQ2H2L4Q")
_LONGEST_COMMENT = 0xFFFF
_SEE_64 = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class ArchiveLimits:
    """Bounds on one archive.

    Attributes
    ----------
    members : int
        Files that are looked at; the rest is refused in one line.
    member_bytes, total_bytes : int
        Inflated size of one file and of all together.
    ratio : int
        Inflated to stored size of one file, once it is larger than `ratio_from`. Deflate cannot pass 1,032; DICOM that
        was packed by anybody stays under 100.
    ratio_from : int
        Bytes.
    directory_bytes : int
        Size of the archive's directory, which is read as a whole.
    """

    members: int = 100_000
    member_bytes: int = 2_000_000_000
    total_bytes: int = 100_000_000_000
    ratio: int = 200
    ratio_from: int = 10_000_000
    directory_bytes: int = 12_000_000


def directory_problem(path: Path, limits: ArchiveLimits) -> str:
    """Why an archive's directory is not read: it would fill memory before a single member was looked at, or is not there.

    Parameters
    ----------
    path : Path
    limits : ArchiveLimits

    Returns
    -------
    str
        Empty where nothing speaks against opening the archive.

    Raises
    ------
    OSError
        The file cannot be read.

    Notes
    -----
    PKWARE, *APPNOTE.TXT*, 4.3.14 to 4.3.16. A record of 64 bits is looked for where its locator says and right in front
    of the locator, since readers differ in which of the two they take.
    """
    with path.open("rb") as file:
        end = file.seek(0, 2)
        file.seek(max(0, end - _END.size - _LONGEST_COMMENT))
        tail = file.read()
        place = tail.rfind(b"PK\x05\x06")
        if place < 0 or len(tail) - place < _END.size:
            return "no readable zip archive (its directory is missing)"
        plain = _END.unpack_from(tail, place)[5]
        announced = []
        before = end - len(tail) + place - _LOCATOR_64.size
        if before >= 0:
            file.seek(before)
            signature, _, offset, _ = _LOCATOR_64.unpack(file.read(_LOCATOR_64.size))
            if signature == b"PK\x06\x07":
                for at in (offset, before - _END_64.size):
                    if not 0 <= at <= end - _END_64.size:
                        continue
                    file.seek(at)
                    record = _END_64.unpack(file.read(_END_64.size))
                    if record[0] == b"PK\x06\x06":
                        announced.append(record[8])
    if plain != _SEE_64 or not announced:
        announced.append(plain)
    if max(announced) > limits.directory_bytes:
        return f"its directory is larger than {limits.directory_bytes / 1_000_000:g} MB"
    return ""
