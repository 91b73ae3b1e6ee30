"""Zip archives as folders: a member is read where it stands, from its front, and nothing is unpacked to disk.

What an archive claims of itself is not believed. Its directory, its members and their sizes are bounded, a
member gives no more bytes than its entry says, and its name is used for messages only.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from struct import Struct
from struct import error as StructError
from typing import TYPE_CHECKING

from dose_audit.extract.errors import Malformed, ReadError, TooLarge, Truncated
from dose_audit.zip_bounds import ArchiveLimits, directory_problem

if TYPE_CHECKING:
    from zipfile import ZipInfo

__all__ = ["ARCHIVE_LIMITS", "ArchiveLimits", "Member", "is_archive", "members"]

_LOCAL = Struct("<4s5H3L2H")  # local file header; in front of a member's bytes
_ENCRYPTED = 0x1
_STORED, _DEFLATED = 0, 8
_STEP = 64 << 10

ARCHIVE_LIMITS = ArchiveLimits()


@dataclass(frozen=True, slots=True)
class Member:
    """A file inside an archive, to be read as one on disk is.

    Attributes
    ----------
    archive, name : str
        Path of the archive, and the member's own name in it.
    offset, packed, size : int
        Where it begins, its bytes in the archive, and its bytes when they are inflated.
    deflated : bool
        Whether it is packed at all.
    """

    archive: str
    name: str
    offset: int
    packed: int
    size: int
    deflated: bool

    def __str__(self) -> str:
        return f"{self.archive}!{self.name}"

    def open(self) -> MemberBytes:
        """The member's bytes, from its front; to be closed."""
        return MemberBytes(self)


class MemberBytes:
    """Reads a member from its front.

    Raises
    ------
    OSError
        The archive cannot be opened or read.
    Truncated, Malformed
        The member is not where its entry says, or its bytes cannot be inflated.
    """

    def __init__(self, member: Member) -> None:
        self._file = Path(member.archive).open("rb")  # noqa: SIM115 (closed by `close`)
        try:
            self._file.seek(member.offset)
            signature, *_, name, extra = _LOCAL.unpack(self._file.read(_LOCAL.size))
            if signature != b"PK\x03\x04":
                raise Malformed("not where the archive says")
            self._file.seek(name + extra, 1)
        except StructError:
            self.close()
            raise Truncated("the archive ends in front of it") from None
        except BaseException:
            self.close()
            raise
        self._packed_left, self._left = member.packed, member.size
        self._inflater = zlib.decompressobj(-zlib.MAX_WBITS) if member.deflated else None
        self._waiting = b""  # packed bytes that are not inflated yet

    def read(self, size: int) -> bytes:
        """Up to `size` further bytes; none at the end."""
        wanted = min(size, self._left)
        parts: list[bytes] = []
        while wanted > 0 and (part := self._part(wanted)):
            parts.append(part)
            wanted -= len(part)
            self._left -= len(part)
        return b"".join(parts)

    def _part(self, most: int) -> bytes:
        while True:
            packed = self._waiting
            if not packed and self._packed_left > 0:
                packed = self._file.read(min(_STEP, self._packed_left))
                self._packed_left -= len(packed)
                if not packed:
                    self._packed_left = 0
            if self._inflater is None:
                self._waiting = packed[most:]
                return packed[:most]
            try:
                part = self._inflater.decompress(packed, most)
            except zlib.error:
                raise Malformed("damaged in the archive") from None
            self._waiting = self._inflater.unconsumed_tail
            if part or self._inflater.eof or not (self._waiting or self._packed_left):
                return part

    def close(self) -> None:
        """Close the archive."""
        self._file.close()


def is_archive(path: str) -> bool:
    """Whether a file begins as a zip archive does; not when it cannot be opened."""
    try:
        with Path(path).open("rb") as file:
            return file.read(4) in (b"PK\x03\x04", b"PK\x05\x06")
    except OSError:
        return False


def members(path: str, limits: ArchiveLimits = ARCHIVE_LIMITS) -> Iterator[Member | tuple[str, ReadError | OSError]]:
    """The files in an archive, in the order of its directory.

    Parameters
    ----------
    path : str
    limits : ArchiveLimits

    Yields
    ------
    Member, or tuple of str and ReadError or OSError
        What can be read; or the place, ``archive!name``, of what is refused, and why.
    """
    import zipfile  # most runs meet no archive

    try:
        problem = directory_problem(Path(path), limits)
        if problem:
            yield path, TooLarge(problem)
            return
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except (ReadError, OSError) as error:
        yield path, error
        return
    except (zipfile.BadZipFile, ValueError, NotImplementedError, EOFError, StructError) as error:
        yield path, Malformed(f"no readable zip archive ({type(error).__name__})")
        return
    total = 0
    for number, entry in enumerate(entries):
        if entry.is_dir():
            continue
        place = f"{path}!{entry.filename}"
        total += entry.file_size
        if number >= limits.members:
            yield path, TooLarge(f"more than {limits.members} members: the rest is not looked at")
            return
        if total > limits.total_bytes:
            yield path, TooLarge(f"inflates beyond {limits.total_bytes // 1_000_000} MB: the rest is not looked at")
            return
        why = _refusal(entry, limits)
        if why is not None:
            yield place, why
        else:
            deflated = entry.compress_type == _DEFLATED
            yield Member(path, entry.filename, entry.header_offset, entry.compress_size, entry.file_size, deflated)


def _refusal(entry: ZipInfo, limits: ArchiveLimits) -> ReadError | None:
    if entry.flag_bits & _ENCRYPTED:
        return Malformed("encrypted")
    if entry.compress_type not in (_STORED, _DEFLATED):
        return Malformed("packed in a way that is not read here")
    if entry.file_size > limits.member_bytes:
        return TooLarge(f"inflates beyond {limits.member_bytes // 1_000_000} MB")
    if entry.file_size > limits.ratio_from and entry.file_size > limits.ratio * max(entry.compress_size, 1):
        return TooLarge(f"inflates more than {limits.ratio}-fold")
    return None
