"""A sender of prebuilt DICOM PDUs: fast enough to measure a listener, plain enough to misbehave on purpose in tests.

It shares no code with the listener, so that the two cannot agree on the same mistake.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable, Mapping

CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
RDSR = "1.2.840.10008.5.1.4.1.1.88.67"
DX_IMAGE = "1.2.840.10008.5.1.4.1.1.1.1"
VERIFICATION = "1.2.840.10008.1.1"
COMMITMENT = "1.2.840.10008.1.20.1"
IMPLICIT_LITTLE = "1.2.840.10008.1.2"
EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"
DEFLATED = "1.2.840.10008.1.2.1.99"
EXPLICIT_BIG = "1.2.840.10008.1.2.2"

_LONG = {b"OB", b"OW", b"SQ", b"UN", b"UT"}


def item(kind: int, value: bytes) -> bytes:
    """A PDU item or sub-item."""
    return struct.pack(">BBH", kind, 0, len(value)) + value


def associate_rq(
    contexts: Iterable[tuple[int, str, Iterable[str]]],
    *,
    calling: str = "SENDER",
    called: str = "DOSEAUDIT",
    max_pdu: int = 131072,
    user_items: bytes = b"",
    version: int = 1,
    application_context: str = "1.2.840.10008.3.1.1.1",
) -> bytes:
    """An A-ASSOCIATE-RQ PDU."""
    body = struct.pack(">HH", version, 0) + called.encode().ljust(16) + calling.encode().ljust(16) + b"\0" * 32
    body += item(0x10, application_context.encode())
    for identifier, abstract, syntaxes in contexts:
        inner = bytes((identifier, 0, 0, 0)) + item(0x30, abstract.encode())
        body += item(0x20, inner + b"".join(item(0x40, uid.encode()) for uid in syntaxes))
    user = item(0x51, struct.pack(">I", max_pdu)) + item(0x52, b"1.2.826.0.1.3680043.2.1") + user_items
    body += item(0x50, user)
    return struct.pack(">BBI", 1, 0, len(body)) + body


def element(tag: int, vr: bytes, value: bytes, syntax: str = EXPLICIT_LITTLE) -> bytes:
    """One encoded element; text is padded to even length, binary values are taken as they are."""
    if len(value) % 2:
        value += b"\0" if vr in (b"UI", b"OB") else b" "
    order = ">" if syntax == EXPLICIT_BIG else "<"
    head = struct.pack(order + "HH", tag >> 16, tag & 0xFFFF)
    if syntax == IMPLICIT_LITTLE:
        return head + struct.pack("<I", len(value)) + value
    if vr in _LONG:
        return head + vr + struct.pack(order + "HI", 0, len(value)) + value
    return head + vr + struct.pack(order + "H", len(value)) + value


def data_set(
    sop_class: str,
    instance: str,
    size: int = 1000,
    *,
    syntax: str = EXPLICIT_LITTLE,
    text: Mapping[int, tuple[bytes, str]] | None = None,
    fill: bytes = b"\x5a",
) -> bytes:
    """A small valid data set of about `size` bytes; `text` adds elements: tag → (VR, value)."""
    elements = {
        0x00080016: (b"UI", sop_class),
        0x00080018: (b"UI", instance),
        0x00080060: (b"CS", "CT"),
        **(text or {}),
    }
    head = b"".join(element(tag, vr, value.encode(), syntax) for tag, (vr, value) in sorted(elements.items()))
    return head + element(0x7FE00010, b"OW", fill * (max(0, size - len(head) - 12) // 2 * 2), syntax)


def command(elements: Mapping[int, int | str]) -> bytes:
    """A command set: integers as US, text as UI."""
    body = b""
    for number, value in sorted(elements.items()):
        encoded = struct.pack("<H", value) if isinstance(value, int) else value.encode() + b"\0" * (len(value) % 2)
        body += struct.pack("<HHI", 0, number, len(encoded)) + encoded
    return struct.pack("<HHII", 0, 0, 4, len(body)) + body


def pdata(context: int, data: bytes, *, is_command: bool, max_pdu: int = 131072, last: bool = True) -> bytes:
    """P-DATA-TF PDUs for one command or data set."""
    room = max_pdu - 6
    pieces = [data[at : at + room] for at in range(0, len(data), room)] or [b""]
    out = []
    for index, piece in enumerate(pieces):
        control = int(is_command) | (2 if last and index == len(pieces) - 1 else 0)
        out.append(struct.pack(">BBIIBB", 4, 0, len(piece) + 6, len(piece) + 2, context, control) + piece)
    return b"".join(out)


def store_rq(sop_class: str, instance: str, message: int = 1) -> bytes:
    """A C-STORE-RQ command set."""
    return command({0x0002: sop_class, 0x0100: 1, 0x0110: message, 0x0700: 0, 0x0800: 1, 0x1000: instance})


RELEASE_RQ = b"\x05\0\0\0\0\x04\0\0\0\0"
ABORT = b"\x07\0\0\0\0\x04\0\0\0\0"


class Rejected(ConnectionError):
    """An answer to the association request other than acceptance; `pdu` is what came."""

    def __init__(self, pdu: bytes) -> None:
        super().__init__(pdu.hex())
        self.pdu = pdu


class Sender:
    """An association as a storage SCU over a blocking socket.

    Parameters
    ----------
    address : tuple of (str, int)
    contexts : iterable of (ID, abstract syntax, transfer syntaxes)
    source : str or None
        Loopback address to call from.
    """

    def __init__(
        self,
        address: tuple[str, int],
        contexts: Iterable[tuple[int, str, Iterable[str]]] = ((1, CT_IMAGE, (EXPLICIT_LITTLE,)),),
        *,
        timeout: float = 60.0,
        source: str | None = None,
        connection: socket.socket | None = None,
        **request: object,
    ) -> None:
        self.socket = connection or connect(address, timeout=timeout, source=source)
        self.contexts: dict[int, tuple[int, str]] = {}
        self._contexts = list(contexts)
        try:
            self.socket.sendall(associate_rq(self._contexts, **request))  # type: ignore[arg-type]
            self.answer = self.read_pdu()
        except BaseException:
            self.socket.close()
            raise
        if self.answer[:1] != b"\x02":
            self.socket.close()
            raise Rejected(self.answer)
        self.max_pdu = 0
        self._read_accept(self.answer)

    def _read_accept(self, pdu: bytes) -> None:
        offset = 74
        while offset + 4 <= len(pdu):
            kind, length = pdu[offset], int.from_bytes(pdu[offset + 2 : offset + 4], "big")
            value = pdu[offset + 4 : offset + 4 + length]
            if kind == 0x21:
                self.contexts[value[0]] = (value[2], value[8:].rstrip(b"\0").decode())
            elif kind == 0x50 and value[0] == 0x51:
                self.max_pdu = int.from_bytes(value[4:8], "big")
            offset += 4 + length

    def read_pdu(self) -> bytes:
        """One whole PDU, or what came before the peer closed."""
        head = self._read(6)
        return head if len(head) < 6 else head + self._read(int.from_bytes(head[2:6], "big"))

    def _read(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            piece = self.socket.recv(count - len(data))
            if not piece:
                break
            data += piece
        return data

    def read_response(self) -> dict[int, bytes]:
        """Elements of the next command set that comes."""
        pdu = self.read_pdu()
        if pdu[:1] != b"\x04":
            raise ConnectionError(f"PDU {pdu.hex()} instead of a response")
        body, found, offset = pdu[12:], {}, 0
        while offset + 8 <= len(body):
            _, number, length = struct.unpack_from("<HHI", body, offset)
            found[number] = body[offset + 8 : offset + 8 + length]
            offset += 8 + length
        return found

    def status(self) -> int:
        """Status of the next response."""
        return int.from_bytes(self.read_response()[0x0900], "little")

    def store(self, sop_class: str, instance: str, data: bytes, *, context: int = 1) -> int:
        """Send one object and return the status."""
        limit = self.max_pdu or 131072
        self.socket.sendall(
            pdata(context, store_rq(sop_class, instance), is_command=True)
            + pdata(context, data, is_command=False, max_pdu=limit)
        )
        return self.status()

    def echo(self, context: int = 1) -> int:
        """C-ECHO; returns the status."""
        request = command({0x0002: VERIFICATION, 0x0100: 0x30, 0x0110: 1, 0x0800: 0x0101})
        self.socket.sendall(pdata(context, request, is_command=True))
        return self.status()

    def release(self) -> bytes:
        """A-RELEASE; returns the answer and closes."""
        self.socket.sendall(RELEASE_RQ)
        answer = self.read_pdu()
        self.socket.close()
        return answer

    def close(self) -> None:
        """Close without a word."""
        self.socket.close()

    def __enter__(self) -> Sender:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()


def connect(address: tuple[str, int], *, timeout: float = 60.0, source: str | None = None) -> socket.socket:
    """A TCP connection with TCP_NODELAY."""
    connection = socket.create_connection(address, timeout, (source, 0) if source else None)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def sequence(tag: int, items: Iterable[bytes]) -> bytes:
    """A sequence of items of defined length, Explicit VR Little Endian."""
    return element(tag, b"SQ", b"".join(struct.pack("<HHI", 0xFFFE, 0xE000, len(item)) + item for item in items))


def code(tag: int, value: str, scheme: str, meaning: str) -> bytes:
    """A code sequence of one item."""
    parts = ((0x00080100, b"SH", value), (0x00080102, b"SH", scheme), (0x00080104, b"LO", meaning))
    return sequence(tag, [b"".join(element(number, vr, text.encode()) for number, vr, text in parts)])


def report(instance: str, size: int) -> bytes:
    """A structured report of about `size` bytes whose content is as deep and as many-parted as a real dose report's."""
    events, length = [], 0
    while length < size - 1500:
        measured = code(0x004008EA, "mGy", "UCUM", "mGy") + element(0x0040A30A, b"DS", b"12.34")
        number = element(0x0040A010, b"CS", b"CONTAINS") + element(0x0040A040, b"CS", b"NUM")
        number += code(0x0040A043, "113830", "DCM", "Mean CTDIvol") + sequence(0x0040A300, [measured])
        event = element(0x0040A010, b"CS", b"CONTAINS") + element(0x0040A040, b"CS", b"CONTAINER")
        event += code(0x0040A043, "113819", "DCM", "CT Acquisition") + sequence(0x0040A730, [number] * 8)
        events.append(event)
        length += len(event) + 8
    head = element(0x00080016, b"UI", RDSR.encode()) + element(0x00080018, b"UI", instance.encode())
    head += element(0x00080060, b"CS", b"SR") + element(0x00100020, b"LO", b"BENCH")
    head += element(0x0020000D, b"UI", b"1.2.826.0.1.3680043.2.2") + element(
        0x0020000E, b"UI", b"1.2.826.0.1.3680043.2.3"
    )
    head += element(0x0040A040, b"CS", b"CONTAINER") + code(0x0040A043, "113701", "DCM", "X-Ray Radiation Dose Report")
    return head + sequence(0x0040A730, events)


def image(sop_class: str, instance: str, size: int) -> bytes:
    """An image of about `size` bytes with as many header elements as scanners write: some 150, many of them private."""
    text = {0x00181000 + 2 * n: (b"LO", f"value {n}") for n in range(80)}
    text |= {0x00190010: (b"LO", "BENCH"), **{0x00191000 + n: (b"LO", f"private {n}") for n in range(60)}}
    text |= {
        0x00100020: (b"LO", "BENCH"),  # Orthanc refuses objects without these three
        0x0020000D: (b"UI", "1.2.826.0.1.3680043.2.2"),
        0x0020000E: (b"UI", "1.2.826.0.1.3680043.2.3"),
        0x00280002: (b"US", "\x01\0"),
        0x00280010: (b"US", "\0\x02"),
        0x00280011: (b"US", "\0\x02"),
        0x00280100: (b"US", "\x10\0"),
    }
    return data_set(sop_class, instance, size, text=text)


class Prebuilt:
    """One object as ready PDUs; only the SOP Instance UID changes from one sending to the next.

    Parameters
    ----------
    size : int
        Of the data set, bytes.
    max_pdu : int
        Longest PDU to send.
    """

    PLACE = "2.25." + "1" * 30

    def __init__(self, sop_class: str, size: int, max_pdu: int, context: int = 1) -> None:
        whole = pdata(context, store_rq(sop_class, self.PLACE), is_command=True)
        data = report(self.PLACE, size) if sop_class == RDSR else image(sop_class, self.PLACE, size)
        whole += pdata(context, data, is_command=False, max_pdu=max_pdu)
        self.size = size
        self._bytes = bytearray(whole)
        self._places = []
        at = whole.find(self.PLACE.encode())
        while at >= 0:
            self._places.append(at + 5)
            at = whole.find(self.PLACE.encode(), at + 1)

    def patched(self, number: int) -> bytearray:
        """The PDUs with UID 2.25.1…number; valid until the next call."""
        digits = b"1%029d" % number
        for place in self._places:
            self._bytes[place : place + 30] = digits
        return self._bytes
