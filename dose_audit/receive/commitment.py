"""Storage commitment, push model, as SCP (PS3.4 annex J): an instance is committed once its bytes were hashed again."""

import struct
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from .errors import InvalidUID
from .header import IMPLICIT_LITTLE, Walker
from .part10 import clean_uid
from .spool import Spool

MAX_REQUEST_BYTES = 4_000_000  # some 30,000 instances; larger requests are refused
LONGEST_REQUEST_BYTES = 64 * MAX_REQUEST_BYTES  # are read over, to be answered; then the association ends
IN_MEMORY_BYTES = 256 * 1024  # some 2,000; what is longer waits in a file and is read by one association at a time

TRANSACTION_UID = 0x00081195
REFERENCED_SOP_SEQUENCE = 0x00081199
FAILED_SOP_SEQUENCE = 0x00081198
REFERENCED_SOP_CLASS_UID = 0x00081150
REFERENCED_SOP_INSTANCE_UID = 0x00081155
FAILURE_REASON = 0x00081197

# PS3.3 C.14.1.1: what `Spool.verify` says → Failure Reason.
FAILURE_REASONS = {"absent": 0x0112, "class_differs": 0x0119, "damaged": 0x0110}

Reference = tuple[str, str]  # SOP Class UID, SOP Instance UID


@dataclass(frozen=True)
class CommitmentResult:
    """What is safe and what is not.

    Attributes
    ----------
    transaction_uid : str
        The requester's.
    safe : tuple of (SOP Class UID, SOP Instance UID)
    failed : tuple of (SOP Class UID, SOP Instance UID, Failure Reason)
    """

    transaction_uid: str
    safe: tuple[Reference, ...]
    failed: tuple[tuple[str, str, int], ...]

    @property
    def event_type(self) -> int:
        """1: all are committed; 2: failures exist."""
        return 2 if self.failed else 1

    def encode(self, transfer_syntax_uid: str) -> bytes:
        """The data set of the N-EVENT-REPORT."""
        encoder = _Encoder(transfer_syntax_uid != IMPLICIT_LITTLE)
        failed = [
            encoder.uid(REFERENCED_SOP_CLASS_UID, c)
            + encoder.uid(REFERENCED_SOP_INSTANCE_UID, i)
            + encoder.number(FAILURE_REASON, reason)
            for c, i, reason in self.failed
        ]
        safe = [
            encoder.uid(REFERENCED_SOP_CLASS_UID, c) + encoder.uid(REFERENCED_SOP_INSTANCE_UID, i) for c, i in self.safe
        ]
        return (
            encoder.uid(TRANSACTION_UID, self.transaction_uid)
            + (encoder.sequence(FAILED_SOP_SEQUENCE, failed) if failed else b"")
            + (encoder.sequence(REFERENCED_SOP_SEQUENCE, safe) if safe else b"")
        )


@dataclass(frozen=True)
class CommitmentRequest:
    """One N-ACTION request: the instances that somebody wants to know safe."""

    transaction_uid: str
    references: tuple[Reference, ...]

    def check(self, spool: Spool) -> CommitmentResult:
        """Hash every instance's bytes again."""
        safe, failed = [], []
        for sop_class_uid, sop_instance_uid in self.references:
            found = spool.verify(sop_class_uid, sop_instance_uid)
            if found == "ok":
                safe.append((sop_class_uid, sop_instance_uid))
            else:
                failed.append((sop_class_uid, sop_instance_uid, FAILURE_REASONS[found]))
        return CommitmentResult(self.transaction_uid, tuple(safe), tuple(failed))

    @classmethod
    def from_json(cls, fields: dict) -> Self:
        """From what was kept in the ledger."""
        return cls(fields["transaction_uid"], tuple((c, i) for c, i in fields["references"]))


def parse_request(data: bytes | bytearray, transfer_syntax_uid: str) -> CommitmentRequest | None:
    """Read the data set of an N-ACTION request; None when it is not one."""
    walker = Walker(data, transfer_syntax_uid)
    transaction, references = "", []
    try:
        for element in walker.elements():
            if element.tag == TRANSACTION_UID:
                transaction = clean_uid(data[element.offset : element.offset + element.length])
            elif element.tag == REFERENCED_SOP_SEQUENCE:
                for start, end in walker.items(element):
                    found = {
                        inner.tag: data[inner.offset : inner.offset + inner.length]
                        for inner in walker.elements(start, end)
                    }
                    references.append(
                        (
                            clean_uid(found.get(REFERENCED_SOP_CLASS_UID, b"")),
                            clean_uid(found.get(REFERENCED_SOP_INSTANCE_UID, b"")),
                        )
                    )
    except InvalidUID:
        return None
    # Each once: a list that names one large object a thousand times would have it read as often.
    return CommitmentRequest(transaction, tuple(dict.fromkeys(references))) if transaction and references else None


class RequestBuffer:
    """Keeps the data set of one request, on disk where it is long; one that is too long is read over.

    Attributes
    ----------
    refused : bool
        It was too long, or could not be kept.
    large : bool
        Longer than `IN_MEMORY_BYTES`.
    """

    def __init__(self, folder: Path) -> None:
        self._file = tempfile.SpooledTemporaryFile(IN_MEMORY_BYTES, dir=str(folder))  # noqa: SIM115  closed by `read`
        self._size = 0
        self.refused = False

    @property
    def large(self) -> bool:
        return self._size > IN_MEMORY_BYTES

    def write(self, *pieces: memoryview) -> None:
        self._size += sum(map(len, pieces))
        if self._size > MAX_REQUEST_BYTES:
            self.refused = True
        if self.refused:
            return
        try:
            self._file.writelines(pieces)
        except OSError:
            self.refused = True  # the disk is full

    def read(self) -> bytes:
        """All of it, once."""
        with self._file as file:
            file.seek(0)
            return file.read()

    def abort(self) -> None:
        self._file.close()


class _Encoder:
    """Explicit or Implicit VR Little Endian, for the three VRs that a result needs."""

    def __init__(self, explicit: bool) -> None:
        self._explicit = explicit

    def uid(self, tag: int, uid: str) -> bytes:
        value = uid.encode("ascii")
        return self._element(tag, b"UI", value + b"\0" * (len(value) % 2))

    def number(self, tag: int, value: int) -> bytes:
        return self._element(tag, b"US", struct.pack("<H", value))

    def sequence(self, tag: int, items: list[bytes]) -> bytes:
        value = b"".join(struct.pack("<HHI", 0xFFFE, 0xE000, len(item)) + item for item in items)
        if self._explicit:
            return struct.pack("<HH2sHI", tag >> 16, tag & 0xFFFF, b"SQ", 0, len(value)) + value
        return struct.pack("<HHI", tag >> 16, tag & 0xFFFF, len(value)) + value

    def _element(self, tag: int, vr: bytes, value: bytes) -> bytes:
        if self._explicit:
            return struct.pack("<HH2sH", tag >> 16, tag & 0xFFFF, vr, len(value)) + value
        return struct.pack("<HHI", tag >> 16, tag & 0xFFFF, len(value)) + value
