"""DIMSE command sets as bytes (PS3.7 section 6.3 and annex E): the few that a storage listener speaks."""

import struct

from .errors import ProtocolError
from .pdu import INVALID_PARAMETER

MAX_COMMAND_BYTES = 16 * 1024
NO_DATA_SET = 0x0101

# Command Field values.
C_STORE_RQ, C_STORE_RSP = 0x0001, 0x8001
C_ECHO_RQ, C_ECHO_RSP = 0x0030, 0x8030
C_CANCEL_RQ = 0x0FFF
N_EVENT_REPORT_RQ, N_EVENT_REPORT_RSP = 0x0100, 0x8100
N_ACTION_RQ, N_ACTION_RSP = 0x0130, 0x8130

# Status values, PS3.7 annex C and PS3.4 table B.2-1.
SUCCESS = 0x0000
PROCESSING_FAILURE = 0x0110
NO_SUCH_OBJECT_INSTANCE = 0x0112
INVALID_ARGUMENT = 0x0115
INVALID_SOP_INSTANCE = 0x0117
SOP_CLASS_NOT_SUPPORTED = 0x0122
NO_SUCH_ACTION = 0x0123
NOT_AUTHORISED = 0x0124
UNRECOGNISED_OPERATION = 0x0211
RESOURCE_LIMITATION = 0x0213
OUT_OF_RESOURCES = 0xA700
DATA_SET_MISMATCH = 0xA900
CANNOT_UNDERSTAND = 0xC000

# Elements of group 0000.
AFFECTED_SOP_CLASS, REQUESTED_SOP_CLASS = 0x0002, 0x0003
COMMAND_FIELD, MESSAGE_ID, MESSAGE_ID_RESPONDED = 0x0100, 0x0110, 0x0120
DATA_SET_TYPE, STATUS, ERROR_COMMENT = 0x0800, 0x0900, 0x0902
AFFECTED_SOP_INSTANCE, REQUESTED_SOP_INSTANCE = 0x1000, 0x1001
EVENT_TYPE, ACTION_TYPE = 0x1002, 0x1008

Command = dict[int, bytes]
_HEAD, _US, _GROUP_LENGTH = struct.Struct("<HHI"), struct.Struct("<HHIH"), struct.Struct("<HHII")


def decode_command(data: bytes) -> Command:
    """Elements of a command set (always Implicit VR Little Endian), by element number.

    Raises
    ------
    ProtocolError
        When lengths do not add up or there is no Command Field.
    """
    command: Command = {}
    offset, end = 0, len(data)
    head = _HEAD.unpack_from
    while offset < end:
        if offset + 8 > end:
            raise ProtocolError("truncated command set", INVALID_PARAMETER)
        group, element, length = head(data, offset)
        start = offset + 8
        offset = start + length
        if group or offset > end:
            raise ProtocolError("malformed command set", INVALID_PARAMETER)
        command[element] = data[start:offset]
    if number(command, COMMAND_FIELD) is None:
        raise ProtocolError("command set without Command Field", INVALID_PARAMETER)
    return command


def number(command: Command, element: int) -> int | None:
    """A US element, or None when absent or of another length."""
    value = command.get(element, b"")
    return int.from_bytes(value, "little") if len(value) == 2 else None


def encode_command(elements: dict[int, int | str | bytes]) -> bytes:
    """A command set from element numbers; integers become US, UIDs and text are padded to even length."""
    parts = []
    for element, value in sorted(elements.items()):
        if isinstance(value, int):
            parts.append(_US.pack(0, element, 2, value))
        else:
            parts.append(_element(element, value.encode("ascii", "replace") if isinstance(value, str) else value))
    body = b"".join(parts)
    return _GROUP_LENGTH.pack(0, 0, 4, len(body)) + body


def _element(element: int, value: bytes) -> bytes:
    if len(value) % 2:
        value += b" " if element == ERROR_COMMENT else b"\0"
    return _HEAD.pack(0, element, len(value)) + value


def response(command: Command, field: int, status: int, comment: str = "") -> bytes:
    """The response to a request: its message ID and UIDs mirrored, a status, and a comment when it failed."""
    sop_class = command.get(AFFECTED_SOP_CLASS) or command.get(REQUESTED_SOP_CLASS) or b""
    instance = command.get(AFFECTED_SOP_INSTANCE) or command.get(REQUESTED_SOP_INSTANCE) or b""
    message_id = number(command, MESSAGE_ID) or 0
    # In ascending order and in one go, for a sender waits for it after every object.
    body = (
        (_element(AFFECTED_SOP_CLASS, sop_class) if 0 < len(sop_class) <= 64 else b"")
        + _US.pack(0, COMMAND_FIELD, 2, field)
        + _US.pack(0, MESSAGE_ID_RESPONDED, 2, message_id)
        + _US.pack(0, DATA_SET_TYPE, 2, NO_DATA_SET)
        + _US.pack(0, STATUS, 2, status)
        + (_element(ERROR_COMMENT, comment[:64].encode("ascii", "replace")) if comment else b"")
        + (_element(AFFECTED_SOP_INSTANCE, instance) if 0 < len(instance) <= 64 else b"")
        + (_element(ACTION_TYPE, command[ACTION_TYPE]) if field == N_ACTION_RSP and ACTION_TYPE in command else b"")
    )
    return _GROUP_LENGTH.pack(0, 0, 4, len(body)) + body
