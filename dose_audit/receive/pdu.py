"""Upper-layer PDUs as bytes (PS3.8 section 9.3), and a bounded reader that streams P-DATA through one fixed buffer."""

import struct
import time
from collections.abc import Callable
from enum import IntEnum

from .errors import ProtocolError

MAX_ASSOCIATE_BYTES = 65536
BUFFER_BYTES = 128 * 1024  # small enough to stay in the processor's cache between receiving and writing

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


class PeerReleased(Exception):
    """The peer asked for an orderly end."""


class PeerGone(Exception):
    """The peer aborted, closed or fell silent; the message says which."""


def associate_rj(result: int, source: int, reason: int) -> bytes:
    """A-ASSOCIATE-RJ."""
    return struct.pack(">BBIBBBB", PduType.ASSOCIATE_RJ, 0, 4, 0, result, source, reason)


def abort(reason: int = NOT_SPECIFIED) -> bytes:
    """A-ABORT by the service provider."""
    return struct.pack(">BBIBBBB", PduType.ABORT, 0, 4, 0, 0, 2, reason)


def p_data(context_id: int, data: bytes, *, command: bool, max_pdu: int) -> bytes:
    """P-DATA-TF PDUs that carry one command or data set, cut to what the peer takes (0: no limit)."""
    room = (max_pdu or 1 << 20) - 6
    pieces = [data[at : at + room] for at in range(0, len(data), room)] or [b""]
    return b"".join(
        struct.pack(
            ">BBIIBB",
            PduType.P_DATA,
            0,
            len(piece) + 6,
            len(piece) + 2,
            context_id,
            (1 if command else 0) | (2 if piece is pieces[-1] else 0),
        )
        + piece
        for piece in pieces
    )


def nothing() -> None:
    """Nobody holds views of the buffer."""


class PduReader:
    """Reads P-DATA fragments from a blocking socket into a buffer that never grows.

    Parameters
    ----------
    receive : callable
        ``recv_into`` of a socket with a receive time-out (SO_RCVTIMEO).
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
        receive: Callable[[memoryview], int],
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
        self._max_pdu = max_pdu
        self._object_timeout_s = object_timeout_s
        self._minimum_rate = minimum_rate
        self._grace_s = grace_s
        self._message_start: float | None = None
        self._message_bytes = 0
        self.before_refill: Callable[[], None] = nothing
        """Called before any byte of the buffer changes: until then every view that `take` gave is what was received."""

    def idle(self) -> None:
        """Between messages: no time-out runs but the socket's own."""
        self._message_start = None

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
        while self._pdu_left == 0:
            if self._end - self._start < 6:
                self._need(6)
            kind, _, length = struct.unpack_from(">BBI", self._view, self._start)
            if kind == PduType.P_DATA:
                if not 6 <= length <= self._max_pdu:
                    raise ProtocolError(
                        f"P-DATA PDU of {length} bytes, {self._max_pdu} were offered", INVALID_PARAMETER
                    )
                self._start += 6
                self._pdu_left = length
            else:
                self._not_data(kind, length)
        if self._end - self._start < 6:
            self._need(6)
        length, context_id, control = struct.unpack_from(">IBB", self._view, self._start)
        if length < 2 or length + 4 > self._pdu_left:
            raise ProtocolError(f"PDV of {length} bytes in a PDU with {self._pdu_left} left", INVALID_PARAMETER)
        if control > 3 or context_id % 2 == 0:
            raise ProtocolError(f"PDV header {context_id}, {control}", INVALID_PARAMETER)
        self._start += 6
        self._pdu_left -= length + 4
        if 0 < self._pdu_left < 6:
            raise ProtocolError("bytes after the last PDV of a PDU", INVALID_PARAMETER)
        return context_id, control, length - 2

    def take(self, limit: int) -> memoryview:
        """At least one and at most `limit` bytes of the current fragment; see `before_refill` for how long."""
        if self._start == self._end:
            self._fill()
        start, end = self._start, self._end
        if end - start > limit:
            end = start + limit
        self._start = end
        return self._view[start:end]

    def _not_data(self, kind: int, length: int) -> None:
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

    def _need(self, count: int) -> None:
        while self._end - self._start < count:
            self._fill()

    def _fill(self) -> None:
        self.before_refill()
        if self._start == self._end:
            self._start = self._end = 0
        elif len(self._view) - self._start < 16:  # the longest header read here; move what there is to the front
            rest = bytes(self._view[self._start : self._end])
            self._start, self._end = 0, len(rest)
            self._view[: self._end] = rest
        try:
            count = self._receive(self._view[self._end :])
        except (BlockingIOError, TimeoutError) as error:  # SO_RCVTIMEO of a plain socket, settimeout of a TLS one
            raise PeerGone("silent for too long") from error
        except OSError as error:
            raise PeerGone("connection lost") from error
        if count == 0:
            raise PeerGone("connection closed")
        self._end += count
        self._watch(count)

    def _watch(self, count: int) -> None:
        now = time.monotonic()
        if self._message_start is None:
            self._message_start, self._message_bytes = now, 0
        self._message_bytes += count
        allowed = min(self._object_timeout_s, self._grace_s + self._message_bytes / self._minimum_rate)
        if now - self._message_start > allowed:
            raise PeerGone("too slow")
