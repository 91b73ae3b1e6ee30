"""Members of a zip archive as streams of bytes, within bounds that hold whatever its directory claims."""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["ArchiveLimits", "BadMember", "open_members"]

_BLOCK = 1 << 20
_ENCRYPTED = 0x1
_END = struct.Struct("<4s4H2LH")  # end of central directory record
_LONGEST_COMMENT = 0xFFFF


class BadMember(Exception):
    """An archive or one of its members passes a bound or is damaged; one line, without a name from the archive."""


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
        Inflated to stored size of one file, once it is larger than 10 MB. Deflate cannot pass 1,032; DICOM that was
        packed by anybody stays under 100.
    directory_bytes : int
        Size of the archive's directory, which is read as a whole.
    """

    members: int = 100_000
    member_bytes: int = 2_000_000_000
    total_bytes: int = 100_000_000_000
    ratio: int = 200
    directory_bytes: int = 12_000_000


_RATIO_FROM = 10_000_000


def open_members(path: Path, limits: ArchiveLimits) -> Iterator[tuple[str, Iterator[bytes] | str]]:
    """Walk an archive.

    Parameters
    ----------
    path : Path
        The zip file. Nothing is ever unpacked to a path of the archive's choosing: names are for the summary only.
    limits : ArchiveLimits

    Yields
    ------
    name : str
    member : iterator of bytes, or str
        Its content in blocks of up to 1 MB (the first is as long as the member allows), to be used before the next
        member is asked for; it raises `BadMember` where a bound is passed or the data are damaged. Or, as text, why
        the member is refused.
    """
    try:
        _check_directory(path, limits)
        archive = zipfile.ZipFile(path)
    except BadMember as error:
        yield "", str(error)
        return
    except (zipfile.BadZipFile, ValueError, NotImplementedError, EOFError) as error:
        yield "", f"no readable zip archive ({type(error).__name__})"
        return
    spent = [0]
    with archive:
        for number, member in enumerate(archive.infolist()):
            if number >= limits.members:
                yield "", f"more than {limits.members} members: the rest is not looked at"
                return
            if member.is_dir():
                continue
            if member.flag_bits & _ENCRYPTED:
                yield member.filename, "encrypted"
            elif spent[0] > limits.total_bytes:
                yield (
                    member.filename,
                    f"the archive inflates beyond {limits.total_bytes} bytes: the rest is not read",
                )
                return
            else:
                yield member.filename, _blocks(archive, member, limits, spent)


def _blocks(
    archive: zipfile.ZipFile, member: zipfile.ZipInfo, limits: ArchiveLimits, spent: list[int]
) -> Iterator[bytes]:
    """Inflate one member; what really comes out is counted, not what the directory announces."""
    size = 0
    try:
        with archive.open(member) as file:
            while block := file.read(_BLOCK):
                size += len(block)
                spent[0] += len(block)
                if size > limits.member_bytes or spent[0] > limits.total_bytes:
                    raise BadMember(f"inflates beyond {limits.member_bytes} bytes")
                if size > _RATIO_FROM and size > limits.ratio * max(member.compress_size, 1):
                    raise BadMember(f"inflates more than {limits.ratio}-fold")
                yield block
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        # The kind only: zipfile's own text repeats member names, and names of files repeat names of patients.
        raise BadMember(f"damaged in the archive ({type(error).__name__})") from error


def _check_directory(path: Path, limits: ArchiveLimits) -> None:
    """Refuse a directory that would fill memory before a single member was looked at."""
    with path.open("rb") as file:
        file.seek(0, 2)
        start = max(0, file.tell() - _END.size - _LONGEST_COMMENT)
        file.seek(start)
        tail = file.read()
    place = tail.rfind(b"PK\x05\x06")
    if place < 0 or len(tail) - place < _END.size:
        raise BadMember("no readable zip archive (its directory is missing)")
    length = _END.unpack_from(tail, place)[5]
    # A zip64 archive says so by the highest number, and is larger than we take anyway.
    if length > limits.directory_bytes:
        raise BadMember(f"its directory is larger than {limits.directory_bytes} bytes")
