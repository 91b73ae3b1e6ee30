"""One object on its way in: a part file that becomes a spooled object, or nothing at all."""

import errno
import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import ObjectTooLarge, SpoolError, SpoolFull
from .part10 import file_header

if TYPE_CHECKING:
    from .objects import Receipt
    from .spool import Spool

HASHED_AT_ONCE_BYTES = 64 * 1024
"""Files up to this size are hashed before their sender is answered, larger ones before a worker gets them."""

Buffer = bytes | bytearray | memoryview
_fdatasync = getattr(os, "fdatasync", os.fsync)  # not every platform has the cheaper one
_writev = getattr(os, "writev", lambda descriptor, pieces: os.write(descriptor, b"".join(pieces)))
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def as_spool_error(error: OSError) -> SpoolError:
    """The typed failure for an operating system's refusal; names no path, which may lie in a user's folder."""
    reason = errno.errorcode.get(error.errno or 0, "unknown")
    return SpoolFull(f"no space left ({reason})") if error.errno in _FULL else SpoolError(f"cannot write ({reason})")


class Incoming:
    """Bytes are written as they come; `commit` makes them durable, `abort` forgets them.

    Made by `Spool.begin`; used by one thread. Any failure removes the part file, and the object counts as never
    received.

    Notes
    -----
    What a sender is promised is that its bytes are on disk, not that they were hashed: the hash serves later, to tell
    copies from conflicts and to find damage. Over half a megabyte it takes as long as receiving and writing it, while
    the scanner waits. Larger files are therefore hashed when somebody first needs it: before a worker gets them
    (`WorkQueue.claim`), when the same instance comes again, and for storage commitment. The price: damage to such a
    file between its acknowledgement and that moment, seconds as a rule, is not noticed by its hash. A crash in between
    loses nothing, the row says that the hash is outstanding.
    """

    __slots__ = (
        "_descriptor",
        "_hash_at_once",
        "_header",
        "_part",
        "_spool",
        "association",
        "route",
        "size",
        "sop_class_uid",
        "sop_instance_uid",
        "source",
        "transfer_syntax_uid",
    )  # fmt: skip

    def __init__(
        self,
        spool: "Spool",
        part: str,
        descriptor: int,
        *,
        source: str,
        route: str,
        sop_class_uid: str,
        sop_instance_uid: str,
        transfer_syntax_uid: str,
        whole_file: bool,
        association: str = "",
    ) -> None:
        self._spool = spool
        self._part = part
        self.source = source
        self.route = route
        self.sop_class_uid = sop_class_uid
        self.sop_instance_uid = sop_instance_uid
        self.transfer_syntax_uid = transfer_syntax_uid
        self.association = association
        # An upload without UIDs is known again by its hash alone.
        self._hash_at_once = whole_file
        # The header waits for the first bytes of the data set, so that a small object is one write.
        self._header = b"" if whole_file else file_header(sop_class_uid, sop_instance_uid, transfer_syntax_uid)
        self.size = len(self._header)
        self._descriptor = descriptor

    def write(self, *pieces: Buffer) -> None:
        """Append bytes of the data set, several pieces in one call to the system.

        Raises
        ------
        ObjectTooLarge, SpoolFull, SpoolError
            The part file is gone by then; go on reading from the peer if you must, but write no more.
        """
        count = sum(map(len, pieces))
        self.size += count
        if self.size > self._spool.max_object_bytes:
            self.abort()
            raise ObjectTooLarge(f"object exceeds {self._spool.max_object_bytes} bytes")
        if self._header:
            pieces = (self._header, *pieces)
            count += len(self._header)
            self._header = b""
        try:
            written = _writev(self._descriptor, pieces) if len(pieces) > 1 else os.write(self._descriptor, pieces[0])
            if written < count:  # the disk is full, or nearly
                self._write_rest(pieces, written)
        except OSError as error:
            self.abort()
            raise as_spool_error(error) from error

    def _write_rest(self, pieces: tuple[Buffer, ...], written: int) -> None:
        for piece in pieces:
            while written < len(piece):
                written += os.write(self._descriptor, memoryview(piece)[written:])
            written -= len(piece)

    def commit(self) -> "Receipt":
        """Flush, rename, record; only then is the object safe. (`PartFiles` flushed its name beforehand.)

        Returns
        -------
        Receipt
            ``state`` is ``"stored"``, ``"duplicate"`` (the same bytes are here already; nothing is kept twice) or
            ``"conflict"`` (the same UID with other bytes; both are kept).

        Raises
        ------
        SpoolError
            The object counts as not received, and the sender may try again.
        """
        if self._header:
            self.write()
        try:
            if self._spool.fsync:
                _fdatasync(self._descriptor)
            sha256 = self._sha256() if self._hash_at_once or self.size <= HASHED_AT_ONCE_BYTES else ""
            descriptor, self._descriptor = self._descriptor, -1
            os.close(descriptor)
        except OSError as error:
            self.abort()
            raise as_spool_error(error) from error
        return self._spool._admit(self, self._part, sha256)

    def _sha256(self) -> str:
        """Of the bytes that are in the file, as others will read them."""
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        if self.size <= HASHED_AT_ONCE_BYTES:
            return hashlib.sha256(os.read(self._descriptor, self.size)).hexdigest()
        with open(self._descriptor, "rb", closefd=False) as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()

    def abort(self) -> None:
        """Forget the object; safe to call more than once."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        try:
            Path(self._part).unlink(missing_ok=True)
        except OSError:
            # A read-only or failing file system keeps it; `Spool.recover` tries again at the next start.
            pass
