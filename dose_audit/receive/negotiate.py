"""What an A-ASSOCIATE-RQ is answered: pynetdicom's PDU and presentation-context code decides.

Run as a module it is the helper process of `negotiator`: the receiving process itself never imports pynetdicom, which
would bring some 80 MB and third-party parsing of hostile bytes into it.
"""

import json
import logging
import socket
import struct
import sys
from dataclasses import asdict, dataclass, field
from typing import Any

from .part10 import IMPLEMENTATION_CLASS_UID
from .pdu import (
    INVALID_PARAMETER,
    REJECT_APPLICATION_CONTEXT,
    REJECT_NO_REASON,
    REJECT_PROTOCOL_VERSION,
    abort,
    associate_rj,
)

IMPLEMENTATION_VERSION_NAME = "DOSE_AUDIT"
APPLICATION_CONTEXT = "1.2.840.10008.3.1.1.1"
VERIFICATION = "1.2.840.10008.1.1"
STORAGE_COMMITMENT = "1.2.840.10008.1.20.1"
STORAGE_COMMITMENT_INSTANCE = "1.2.840.10008.1.20.1.1"  # well-known

IMPLICIT_LITTLE, EXPLICIT_LITTLE = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"

# Storage SCP of level 2 (full: every attribute kept), digital signature level 3 (bit preserving), no coercion of
# elements; PS3.4 table B.3-2.
STORAGE_EXTENDED_ANSWER = b"\x02\0\x03\0\0\0"
# Media Storage Directory, the two Storage Commitment classes: storage by name alone.
_NAMED_STORAGE_BUT_NOT = ("1.2.840.10008.1.3.10", "1.2.840.10008.1.20.1", "1.2.840.10008.1.20.2")
_MAX_CONTEXTS = 128  # odd numbers of one byte


@dataclass(frozen=True)
class Answer:
    """The reply to an association request.

    Attributes
    ----------
    pdu : bytes
        A-ASSOCIATE-AC, A-ASSOCIATE-RJ or A-ABORT, ready to send.
    accepted : bool
        Whether the association stands.
    contexts : dict
        Accepted presentation contexts: ID → (abstract syntax, transfer syntax).
    peer_max_pdu : int
        Longest P-DATA PDU that the peer takes; 0 is no limit.
    has_identity : bool
        Whether the request carried a user identity (which must not be kept).
    """

    pdu: bytes
    accepted: bool
    contexts: dict[int, tuple[str, str]] = field(default_factory=dict)
    peer_max_pdu: int = 0
    has_identity: bool = False


def preferred(offered: list[str]) -> list[str]:
    """The order in which offered transfer syntaxes are taken.

    The sender's own, but Explicit VR before Implicit where both stand in one context: it keeps the VR of private
    elements.
    """
    if offered and offered[0] == IMPLICIT_LITTLE and EXPLICIT_LITTLE in offered:
        return [EXPLICIT_LITTLE, *(uid for uid in offered if uid != EXPLICIT_LITTLE)]
    return offered


def negotiate(request: bytes, *, max_pdu: int) -> Answer:
    """Decide on an association request.

    Every storage SOP class is accepted, known, private or of a later edition, in whatever transfer syntax; Verification
    and the Storage Commitment Push Model in the two uncompressed little-endian ones.

    Parameters
    ----------
    request : bytes
        A complete A-ASSOCIATE-RQ PDU, at most 64 kB.
    max_pdu : int
        Longest P-DATA PDU to offer, bytes.
    """
    from pynetdicom.pdu import A_ASSOCIATE_RQ

    pdu = A_ASSOCIATE_RQ()
    try:
        pdu.decode(request)
        primitive = pdu.to_primitive()
        contexts = primitive.presentation_context_definition_list
        identifiers = [context.context_id for context in contexts]
        information = pdu.user_information
        sane = (
            information is not None
            and len(contexts) <= _MAX_CONTEXTS
            and len(set(identifiers)) == len(identifiers)
            and all(context.abstract_syntax and context.transfer_syntax for context in contexts)
        )
    except Exception:  # noqa: BLE001  whatever a parser makes of hostile bytes: the request is malformed
        return Answer(abort(INVALID_PARAMETER), False)
    if not sane:
        return Answer(abort(INVALID_PARAMETER), False)
    if not pdu.protocol_version & 1:
        return Answer(associate_rj(*REJECT_PROTOCOL_VERSION), False)
    if primitive.application_context_name != APPLICATION_CONTEXT:
        return Answer(associate_rj(*REJECT_APPLICATION_CONTEXT), False)
    return _accept(request, pdu, primitive, max_pdu)


def _accept(request: bytes, pdu: Any, primitive: Any, max_pdu: int) -> Answer:
    from pynetdicom.pdu import A_ASSOCIATE_AC
    from pynetdicom.pdu_primitives import A_ASSOCIATE
    from pynetdicom.presentation import negotiate_as_acceptor

    requested = primitive.presentation_context_definition_list
    information = pdu.user_information
    roles: dict = {uid: (bool(item.scu_role), bool(item.scp_role)) for uid, item in information.role_selection.items()}
    results, role_answers = [], []
    for context in requested:
        result, answers = negotiate_as_acceptor([context], _supported(context), roles)
        results += result
        role_answers += [answer for answer in answers if answer not in role_answers]
    reply = A_ASSOCIATE()
    reply.application_context_name = APPLICATION_CONTEXT
    reply.calling_ae_title, reply.called_ae_title = "CALLING", "CALLED"  # the request's own bytes replace them below
    reply.result, reply.result_source = 0, 1
    reply.presentation_context_definition_results_list = results
    reply.user_information = _user_information(information, results, role_answers, max_pdu)
    answer = A_ASSOCIATE_AC()
    answer.from_primitive(reply)
    encoded = answer.encode()
    # PS3.8 table 9-17: these fields shall be sent with the value received.
    encoded = encoded[:10] + request[10:74] + encoded[74:]
    accepted = {
        int(c.context_id or 0): (str(c.abstract_syntax), str(c.transfer_syntax[0])) for c in results if c.result == 0
    }
    return Answer(encoded, True, accepted, information.maximum_length or 0, information.user_identity is not None)


def is_storage(abstract_syntax: str) -> bool:
    """Whether a SOP class is taken as storage: known as such (also when retired), private, or of a later edition."""
    from pynetdicom import sop_class

    if abstract_syntax in sop_class._STORAGE_CLASSES.values():
        return True
    uid = sop_class.UID(abstract_syntax)
    if uid.type:  # in the dictionary
        return uid.type == "SOP Class" and "Storage" in uid.name and abstract_syntax not in _NAMED_STORAGE_BUT_NOT
    services = (group for name, group in vars(sop_class).items() if name.endswith("_CLASSES"))
    return not any(abstract_syntax in group.values() for group in services)


def _supported(context: Any) -> list:
    from pynetdicom import build_context

    abstract = str(context.abstract_syntax)
    if abstract in (VERIFICATION, STORAGE_COMMITMENT):
        supported = build_context(abstract, [EXPLICIT_LITTLE, IMPLICIT_LITTLE])
    elif is_storage(abstract):
        supported = build_context(abstract, preferred([str(uid) for uid in context.transfer_syntax]))
    else:
        # A context that nobody proposes: the requested one is answered "abstract syntax not supported".
        supported = build_context("2.25.1", [IMPLICIT_LITTLE])
    supported.scu_role, supported.scp_role = True, False  # the peer may be SCU, never SCP
    return [supported]


def _user_information(information: Any, results: list, role_answers: list, max_pdu: int) -> list:
    from pynetdicom import pdu_primitives as items

    length = items.MaximumLengthNotification()
    length.maximum_length_received = max_pdu
    implementation = items.ImplementationClassUIDNotification()
    implementation.implementation_class_uid = IMPLEMENTATION_CLASS_UID
    version = items.ImplementationVersionNameNotification()
    version.implementation_version_name = IMPLEMENTATION_VERSION_NAME
    answers = [length, implementation, version, *role_answers]
    if information.async_ops_window is not None:
        window = items.AsynchronousOperationsWindowNegotiation()
        window.maximum_number_operations_invoked = 1
        window.maximum_number_operations_performed = 1
        answers.append(window)
    accepted = {str(c.abstract_syntax) for c in results if c.result == 0} - {VERIFICATION, STORAGE_COMMITMENT}
    for proposal in information.ext_neg:
        if str(proposal.uid) in accepted:
            extended = items.SOPClassExtendedNegotiation()
            extended.sop_class_uid = proposal.uid
            extended.service_class_application_information = STORAGE_EXTENDED_ANSWER
            answers.append(extended)
    # Common extended negotiation has no answer; a user identity is not verified and so not answered (PS3.7 D.3.3.7).
    return answers


def serve(channel: socket.socket) -> None:
    """Answer framed requests until the other end closes."""
    import pynetdicom.pdu_primitives  # noqa: F401  imported before the first caller waits for it

    logging.disable(logging.CRITICAL)  # what pynetdicom logs of a request may hold what nobody may read
    stream = channel.makefile("rwb")
    stream.write(struct.pack(">I", 0))
    stream.flush()
    while len(head := stream.read(8)) == 8:
        length, max_pdu = struct.unpack(">II", head)
        request = stream.read(length)
        try:
            answer = negotiate(request, max_pdu=max_pdu)
        except Exception:  # noqa: BLE001  a defect of ours or of the library: refuse this caller, serve the next
            answer = Answer(associate_rj(*REJECT_NO_REASON), False)
        fields = asdict(answer) | {"pdu": answer.pdu.hex()}
        body = json.dumps(fields).encode()
        stream.write(struct.pack(">I", len(body)) + body)
        stream.flush()


if __name__ == "__main__":
    serve(socket.socket(fileno=sys.stdin.fileno()))
