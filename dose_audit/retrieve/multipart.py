"""Reads a ``multipart/related`` answer part by part as it comes, in constant memory (RFC 2387, RFC 2046)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

__all__ = ["MultipartError", "Sink", "boundary_of", "read_parts"]

_MAX_HEADER = 16 * 1024


class MultipartError(ValueError):
    """The body is not what its content type says."""


class Sink(Protocol):
    """Takes the bytes of one part."""

    def write(self, data: bytes) -> None: ...
    def finish(self) -> None: ...


def boundary_of(content_type: str) -> bytes | None:
    """The boundary that a content type names; None when it is not multipart.

    >>> boundary_of('multipart/related; type="application/dicom"; boundary="a b"')
    b'a b'
    >>> boundary_of("application/dicom") is None
    True
    """
    if not content_type.lower().lstrip().startswith("multipart/"):
        return None
    found = re.search(r';\s*boundary=(?:"([^"]{1,70})"|([^\s;"]{1,70}))', content_type, re.IGNORECASE)
    if found is None:
        raise MultipartError("multipart without a boundary")
    return (found[1] or found[2]).encode("latin-1", "replace")


def read_parts(chunks: Iterable[bytes], boundary: bytes, open_part: Callable[[], Sink]) -> int:
    """Give each part's bytes to a sink of its own.

    Parameters
    ----------
    chunks : iterable of bytes
        The body.
    open_part : callable
        Makes a sink; called when a part begins. Its `finish` is called when the part ended as it should.

    Returns
    -------
    int
        Number of complete parts.

    Raises
    ------
    MultipartError
        When the body ends inside a part, or is no multipart body; sinks of complete parts are finished by then.
    """
    body = _Body(chunks, b"\r\n--" + boundary)
    for _ in body.until_delimiter():
        pass  # the preamble means nothing
    parts = 0
    while body.another_part():
        body.skip_headers()
        sink = open_part()
        for data in body.until_delimiter():
            sink.write(data)
        sink.finish()
        parts += 1
    return parts


class _Body:
    """A window over the body: what was read and not yet given away."""

    def __init__(self, chunks: Iterable[bytes], delimiter: bytes) -> None:
        self._chunks = iter(chunks)
        self._delimiter = delimiter
        self._held = b"\r\n"  # the first delimiter may stand at the very beginning

    def until_delimiter(self) -> Iterator[bytes]:
        """Bytes before the next delimiter, which is taken off."""
        keep = len(self._delimiter) - 1
        while True:
            found = self._held.find(self._delimiter)
            if found >= 0:
                data, self._held = self._held[:found], self._held[found + len(self._delimiter) :]
                if data:
                    yield data
                return
            if len(self._held) > keep:
                yield self._held[:-keep]
                self._held = self._held[-keep:]
            self._more("the answer ends inside a part")

    def another_part(self) -> bool:
        """Whether a part follows the delimiter that was just taken off."""
        while len(self._held) < 2:
            self._more("the answer ends at a delimiter")
        return not self._held.startswith(b"--")

    def skip_headers(self) -> None:
        """Take off the part's headers."""
        while (end := self._held.find(b"\r\n\r\n")) < 0:
            if len(self._held) > _MAX_HEADER:
                raise MultipartError("headers of a part too long")
            self._more("the answer ends inside a part's headers")
        self._held = self._held[end + 4 :]

    def _more(self, problem: str) -> None:
        chunk = next(self._chunks, None)
        if chunk is None:
            raise MultipartError(problem)
        self._held += chunk
