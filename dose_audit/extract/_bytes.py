"""Where an object's bytes come from: no more of them are read than are asked for."""

from __future__ import annotations

import os
import stat
import zlib
from types import TracebackType

from dose_audit.extract.archives import Member, MemberBytes
from dose_audit.extract.errors import Malformed, NotDicom, TooLarge, Truncated

FIRST_CHUNK = 32 << 10
"""Bytes read at first: the header of most images, the whole of most CT dose reports."""

_FLAGS = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NONBLOCK", 0)

Readable = bytes | bytearray | memoryview | str | os.PathLike | Member


class Source:
    """The bytes of one object, read from the front as far as needed.

    Parameters
    ----------
    source : bytes, bytearray, memoryview, str, os.PathLike or Member
        The object itself, or the path of the file that holds it, or its place in an archive.

    Attributes
    ----------
    size : int
        Size of the whole object in bytes.

    Raises
    ------
    OSError
        The file cannot be opened or read.
    NotDicom
        The path is not that of a regular file.
    """

    __slots__ = ("_file", "_member", "_memory", "_read", "size")

    def __init__(self, source: Readable) -> None:
        self._file: int | None = None
        self._member: MemberBytes | None = None
        self._read = b""
        if isinstance(source, bytes):
            self._memory: memoryview | None = None
            self._read = source
            self.size = len(source)
        elif isinstance(source, bytearray | memoryview):
            self._memory = memoryview(source).cast("B")
            self.size = len(self._memory)
        elif isinstance(source, Member):
            self._memory = None
            self._member = source.open()
            self.size = source.size
        else:
            self._memory = None
            self._file = os.open(source, _FLAGS)
            try:
                status = os.fstat(self._file)
                if not stat.S_ISREG(status.st_mode):
                    raise NotDicom("not a regular file")
            except BaseException:
                self.close()
                raise
            self.size = status.st_size

    def front(self, size: int) -> bytes:
        """At least the first `size` bytes, or all where there are fewer."""
        have = len(self._read)
        if have >= size or have >= self.size:
            return self._read
        if self._memory is not None:
            self._read = bytes(self._memory[:size])
        elif self._member is not None:
            wanted = min(size, self.size) - have
            part = self._member.read(wanted)
            self._read += part
            if len(part) < wanted:
                # It inflates to less than its entry says.
                self.size = len(self._read)
        elif self._file is not None:
            parts = [self._read] if have else []
            wanted = min(size, self.size) - have
            while wanted > 0 and (part := os.read(self._file, min(wanted, 8 << 20))):
                parts.append(part)
                wanted -= len(part)
            self._read = parts[0] if len(parts) == 1 else b"".join(parts)
            if wanted > 0:
                # The file became shorter while it was read.
                self.size = len(self._read)
        return self._read

    def close(self) -> None:
        """Close the file or the archive, if there is one."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
        if self._member is not None:
            self._member.close()
            self._member = None

    def __enter__(self) -> Source:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def inflate(data: bytes, most: int) -> bytes:
    """The data set of a deflated object (raw deflate, PS3.5 A.5), refused above `most` bytes.

    Raises
    ------
    TooLarge, Truncated, Malformed
    """
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        inflated = inflater.decompress(data, most + 1)
    except zlib.error:
        raise Malformed("the deflated data set cannot be inflated") from None
    if len(inflated) > most:
        raise TooLarge(f"the data set inflates to more than {most >> 20} MB")
    if not inflater.eof:
        raise Truncated("the deflated data set ends too early")
    return inflated
