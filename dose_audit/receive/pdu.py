"""Upper-layer PDUs as bytes (PS3.8 section 9.3), and a bounded reader that streams P-DATA through one fixed buffer."""

import struct
import time
from collections.abc import Callable, Iterator
from enum import IntEnum
from typing import NoReturn

from .errors import ProtocolError

MAX_ASSOCIATE_BYTES = 65536
# A CT slice whole, which is then one write: file systems take one long write for a tenth less than several short ones.
BUFFER_BYTES = 560 * 1024
_PIECES = 64  # of a data set that are passed on together; senders that cut it finer are not worth more

RELEASE_RP = b"\x06\0\0\0\0\x04\0\0\0\0"


class PduType(IntEnum):
    """First byte of a PDU."""

    ASSOCIATE_RQ = 1
    ASSOCIATE_AC = 2
    ASSOCIATE_RJ = 3
    P_DATA = 4
    RELEASE_RQ = 5
    RELEASE_RP = 6
    ABORT = 7


# Provider reasons of an A-ABORT, PS3.8 table 9-26.
NOT_SPECIFIED, UNRECOGNIZED_PDU, UNEXPECTED_PDU, UNEXPECTED_PARAMETER, INVALID_PARAMETER = 0, 1, 2, 5, 6

# Result, source, reason of an A-ASSOCIATE-RJ, PS3.8 table 9-21.
REJECT_NO_REASON = (1, 1, 1)
REJECT_APPLICATION_CONTEXT = (1, 1, 2)
REJECT_CALLING_AET = (1, 1, 3)
REJECT_CALLED_AET = (1, 1, 7)
REJECT_PROTOCOL_VERSION = (1, 2, 2)
REJECT_CONGESTION = (2, 3, 1)
REJECT_LOCAL_LIMIT = (2, 3, 2)


_PDU_HEAD, _PDV_HEAD = struct.Struct(">BBI"), struct.Struct(">IBB")
_HEADS = struct.Struct(">BBIIBB")  # of a P-DATA PDU and of its first PDV
_P_DATA = int(PduType.P_DATA)  # a look into an enumeration takes as long as the comparison it serves


class PeerReleased(Exception):
    """The peer asked for an orderly end."""


class PeerGone(Exception):
    """The peer aborted, closed or fell silent; the message says which."""


class PeerDeaf(PeerGone):
    """The peer takes no answers; there is no point in sending it one more."""


def associate_rj(result: int, source: int, reason: int) -> bytes:
    """A-ASSOCIATE-RJ."""
    return struct.pack(">BBIBBBB", PduType.ASSOCIATE_RJ, 0, 4, 0, result, source, reason)


def abort(reason: int = NOT_SPECIFIED) -> bytes:
    """A-ABORT by the service provider."""
    return struct.pack(">BBIBBBB", PduType.ABORT, 0, 4, 0, 0, 2, reason)


def p_data(context_id: int, data: bytes, *, command: bool, max_pdu: int) -> bytes:
    """P-DATA-TF PDUs that carry one command or data set, cut to what the peer takes (0: no limit)."""
    room = (max_pdu or 1 << 20) - 6
    kind = 1 if command else 0
    if len(data) <= room:
        return _HEADS.pack(_P_DATA, 0, len(data) + 6, len(data) + 2, context_id, kind | 2) + data
    pieces = [data[at : at + room] for at in range(0, len(data), room)]
    return b"".join(
        _HEADS.pack(_P_DATA, 0, len(piece) + 6, len(piece) + 2, context_id, kind | (2 if piece is pieces[-1] else 0))
        + piece
        for piece in pieces
    )


class PduReader:
    """Reads P-DATA fragments from a blocking socket into a buffer that never grows.

    Parameters
    ----------
    receive : callable
        ``recv_into`` of a socket with a receive time-out (SO_RCVTIMEO); it is also told whether a message has begun.
    buffer : bytearray
        Where bytes land; its size is all the memory that an association takes, whatever is sent.
    max_pdu : int
        Longest P-DATA PDU offered to the peer, bytes.
    object_timeout_s : float
        Longest time one message may take, s.
    minimum_rate : float
        Bytes per second that a message must keep after `grace_s` seconds; a slow drip ends there.
    """

    def __init__(
        self,
        receive: Callable[[memoryview, bool], int],
        buffer: bytearray,
        *,
        max_pdu: int,
        object_timeout_s: float,
        minimum_rate: float,
        grace_s: float,
        surplus: bytes = b"",
    ) -> None:
        self._receive = receive
        self._view = memoryview(buffer)
        self._start = 0
        self._end = len(surplus)
        self._view[: self._end] = surplus
        self._pdu_left = 0
        self._held: list[memoryview] = []  # of a data set, received and not yet passed on
        self._max_pdu = max_pdu
        self._object_timeout_s = object_timeout_s
        self._minimum_rate = minimum_rate
        self._grace_s = grace_s
        self._never_late_s = min(object_timeout_s, grace_s)
        self._message_start = self._late_from = 0.0
        self._message_bytes = 0

    def idle(self) -> None:
        """Between messages: no time-out runs but the socket's own."""
        self._late_from = 0.0

    @property
    def buffered(self) -> int:
        """Bytes received and not yet taken."""
        return self._end - self._start

    def fragment(self) -> tuple[int, int, int]:
        """The next PDV: presentation context ID, message control header, length of what follows.

        Raises
        ------
        PeerReleased, PeerGone
            When the association ends instead.
        ProtocolError
            When the peer sends what it must not.
        """
        left, start = self._pdu_left, self._start
        if left == 0:
            if self._end - start < _HEADS.size:
                start = self._next_heads()
            kind, _, left, length, context_id, control = _HEADS.unpack_from(self._view, start)
            if kind != _P_DATA or not 6 <= left <= self._max_pdu:
                self._refuse(kind, left)
            start += _HEADS.size
        else:
            if self._end - start < _PDV_HEAD.size:
                start = self._need(_PDV_HEAD.size)
            length, context_id, control = _PDV_HEAD.unpack_from(self._view, start)
            start += _PDV_HEAD.size
        left -= length + 4
        if length < 2 or left < 0:
            raise ProtocolError(f"PDV of {length} bytes in a PDU with {left + length + 4} left", INVALID_PARAMETER)
        if control > 3 or context_id % 2 == 0:
            raise ProtocolError(f"PDV header {context_id}, {control}", INVALID_PARAMETER)
        if 0 < left < 6:
            raise ProtocolError("bytes after the last PDV of a PDU", INVALID_PARAMETER)
        self._start = start
        self._pdu_left = left
        return context_id, control, length - 2

    def take(self, limit: int) -> memoryview:
        """At least one and at most `limit` bytes of the current fragment, valid until the next call of anything."""
        if self._start == self._end:
            self._fill()
        start, end = self._start, self._end
        if end - start > limit:
            end = start + limit
        self._start = end
        return self._view[start:end]

    def data_set(self, context_id: int, limit: int) -> Iterator[list[memoryview]]:
        """The bytes of one data set, as many at a time as the buffer holds.

        Parameters
        ----------
        context_id : int
            Of the command before it.
        limit : int
            Longest data set that is read, bytes.

        Yields
        ------
        list of memoryview
            Pieces in order; what they show changes when the next are asked for.

        Raises
        ------
        ProtocolError
            As `fragment`, and at the header of the fragment that makes the data set longer than `limit`.
        """
        control = 0
        while not control & 2:
            if self._held and (len(self._held) >= _PIECES or len(self._view) - self._start < _HEADS.size):
                yield self._given()  # for the next header is not in the buffer's rest
            following, control, length = self.fragment()
            if control & 1 or following != context_id:
                raise ProtocolError("fragments of two messages are mixed", UNEXPECTED_PDU)
            limit -= length
            if limit < 0:
                raise ProtocolError("data set longer than the size cap")
            while length > self._end - self._start:  # the rest is still to come
                if self._end == len(self._view):
                    length -= self._hold(self._end - self._start)
                    if self._held:
                        yield self._given()
                self._fill()
            self._hold(length)
        if self._held:
            yield self._given()

    def _hold(self, length: int) -> int:
        """Keep the next bytes of the buffer for one who will take them together with others."""
        if length:
            start = self._start
            self._start = end = start + length
            self._held.append(self._view[start:end])
        return length

    def _given(self) -> list[memoryview]:
        """What is held; the buffer is free again when the caller comes back."""
        held, self._held = self._held, []
        return held

    def _next_heads(self) -> int:
        """Have the headers of the next PDU and of its first PDV in one piece; where they begin."""
        start = self._need(_PDU_HEAD.size)
        kind, _, length = _PDU_HEAD.unpack_from(self._view, start)
        if kind != _P_DATA or not 6 <= length <= self._max_pdu:
            self._refuse(kind, length)
        return self._need(_HEADS.size)

    def _refuse(self, kind: int, length: int) -> NoReturn:
        """Raise what a PDU means that does not go on with a message."""
        if kind == _P_DATA:
            raise ProtocolError(f"P-DATA PDU of {length} bytes, {self._max_pdu} were offered", INVALID_PARAMETER)
        if kind == PduType.RELEASE_RQ and length == 4:
            self._need(10)
            self._start += 10
            raise PeerReleased
        if kind == PduType.RELEASE_RP and length == 4:
            self._need(10)
            self._start += 10
            raise PeerGone("released")
        if kind == PduType.ABORT:
            raise PeerGone("aborted by the peer")
        if kind in PduType._value2member_map_:
            raise ProtocolError(f"PDU type {kind} in an association", UNEXPECTED_PDU)
        raise ProtocolError(f"PDU type {kind}", UNRECOGNIZED_PDU)

    def _need(self, count: int) -> int:
        """Have so many bytes in one piece; where they begin."""
        while self._end - self._start < count:
            self._fill()
        return self._start

    def _fill(self) -> None:
        if self._held:
            pass  # in front of what comes now; `data_set` sees to it that there is room behind
        elif self._start == self._end:
            self._start = self._end = 0
        elif len(self._view) - self._start < 16:  # the longest header read here; move what there is to the front
            rest = bytes(self._view[self._start : self._end])
            self._start, self._end = 0, len(rest)
            self._view[: self._end] = rest
        begun = self._late_from > 0.0 or self._end > 0
        try:
            count = self._receive(self._view[self._end :] if self._end else self._view, begun)
        except (BlockingIOError, TimeoutError) as error:  # SO_RCVTIMEO of a plain socket, settimeout of a TLS one
            raise PeerGone("silent for too long") from error
        except OSError as error:
            raise PeerGone("connection lost") from error
        if count == 0:
            raise PeerGone("connection closed")
        self._end += count
        self._message_bytes += count
        now = time.monotonic()
        if now > self._late_from:
            self._watch(now, count)

    def _watch(self, now: float, count: int) -> None:
        """Begin to count a message's time, or see whether it takes too long."""
        if self._late_from == 0.0:
            self._message_start, self._message_bytes = now, count
            self._late_from = now + self._never_late_s
        elif now - self._message_start > min(
            self._object_timeout_s, self._grace_s + self._message_bytes / self._minimum_rate
        ):
            raise PeerGone("too slow")
