"""Members of a zip archive as streams of bytes, within bounds that hold whatever its directory claims."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from dose_audit.zip_bounds import ArchiveLimits, directory_problem

__all__ = ["ArchiveLimits", "BadMember", "open_members"]

_BLOCK = 1 << 20
_ENCRYPTED = 0x1


class BadMember(Exception):
    """An archive or one of its members passes a bound or is damaged; one line, without a name from the archive."""


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
        problem = directory_problem(path, limits)
        if problem:
            yield "", problem
            return
        archive = zipfile.ZipFile(path)
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
                if size > limits.ratio_from and size > limits.ratio * max(member.compress_size, 1):
                    raise BadMember(f"inflates more than {limits.ratio}-fold")
                yield block
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        # The kind only: zipfile's own text repeats member names, and names of files repeat names of patients.
        raise BadMember(f"damaged in the archive ({type(error).__name__})") from error
