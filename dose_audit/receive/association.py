"""One association, from its request to its end: negotiation, then C-ECHO, C-STORE and storage commitment requests."""

import itertools
import logging
import socket
import ssl
import threading
import time
from contextlib import nullcontext
from typing import TYPE_CHECKING

from . import dimse
from .access import Certificate
from .commitment import LONGEST_REQUEST_BYTES, MAX_REQUEST_BYTES, CommitmentRequest, RequestBuffer, parse_request
from .errors import ProtocolError, SpoolError
from .negotiate import STORAGE_COMMITMENT, STORAGE_COMMITMENT_INSTANCE, VERIFICATION, Answer
from .negotiator import NegotiationUnavailable
from .pdu import (
    INVALID_PARAMETER,
    REJECT_CALLED_AET,
    REJECT_CALLING_AET,
    REJECT_CONGESTION,
    RELEASE_RP,
    UNEXPECTED_PDU,
    PduReader,
    PeerDeaf,
    PeerGone,
    PeerReleased,
    abort,
    associate_rj,
    p_data,
)
from .sockets import acknowledging, shut_down
from .storing import Outcome, Storing, read_over

if TYPE_CHECKING:
    from .listener import Listener

_log = logging.getLogger(__name__)
_SERIAL = itertools.count(1)


class Association:
    """Runs in one thread. Whatever the peer does ends here, with the socket closed and nothing half-stored.

    Parameters
    ----------
    connection : socket.socket or ssl.SSLSocket
        Blocking; becomes this object's to close.
    request : bytes
        The complete A-ASSOCIATE-RQ.
    surplus : bytes
        What was received behind it.
    """

    def __init__(
        self,
        listener: "Listener",
        connection: socket.socket,
        address: str,
        request: bytes,
        surplus: bytes,
        certificate: Certificate | None,
    ) -> None:
        self._listener = listener
        self._connection = connection
        self._request = request
        self._surplus = surplus
        self._certificate = certificate
        self._state = threading.Lock()
        self._stop_asked = False
        self._contexts: dict[int, tuple[str, str]] = {}
        self._peer_max_pdu = 0
        self._reader: PduReader
        self._storing: Storing
        self._name = f"a{next(_SERIAL)}"
        self.address = address
        self.aet = _title(request[26:42])
        self.idle_since: float | None = time.monotonic()

    def run(self) -> None:
        """The whole life of the association; never raises."""
        metrics = self._listener.counters
        try:
            answer = self._negotiate()
            if answer is not None:
                metrics.add("associations_accepted")
                self._contexts = answer.contexts
                self._peer_max_pdu = answer.peer_max_pdu
                self._converse()
        except PeerReleased:
            self._send_quietly(RELEASE_RP)
            metrics.add("associations_released")
        except PeerGone as end:
            metrics.add("associations_lost")
            _log.info("%s at %s: %s", self.aet, self.address, end)
            if "silent" in str(end) or "slow" in str(end):
                self._send_quietly(abort())
        except ProtocolError as error:
            metrics.add("associations_aborted")
            self._listener.refused("protocol error", self.address, self.aet)
            _log.info("%s at %s aborted: %s", self.aet, self.address, error)
            self._send_quietly(abort(error.reason))
            self._drain()
        except Exception:  # noqa: BLE001  a defect of ours must not take the listener down; it is logged with its trace
            metrics.add("associations_aborted")
            _log.exception("association with %s failed", self.address)
            self._send_quietly(abort())
        finally:
            self._close()
            try:
                self._listener.spool.association_ended(self._name)
            except SpoolError as error:
                _log.error("the ledger does not know yet that an association ended: %s", error)

    # -- making room, stopping; called from the listener's thread -------------------------------------------------

    @property
    def spare_since(self) -> float | None:
        """Since when its place could be given to another; None while it works, and once it was asked to end."""
        return None if self._stop_asked else self.idle_since

    def spare(self) -> bool:
        """End this association if it is idle, because its place is needed; False when it works by now."""
        with self._state:
            if self.idle_since is None:
                return False
            self._ask_to_stop()
            return True

    def stop(self) -> None:
        """End this association because the listener stops: now if it is idle, otherwise after the object at hand."""
        with self._state:
            self._ask_to_stop()

    def _ask_to_stop(self) -> None:
        self._stop_asked = True
        if self.idle_since is not None:
            try:
                shut_down(self._connection, socket.SHUT_RD)  # wakes the thread, which says good-bye
            except OSError:
                pass  # it is ending by itself

    def cut(self) -> None:
        """End this association now, whatever it does; the peer has no answer and will send again."""
        with self._state:  # its descriptor must not become somebody else's in between
            try:
                shut_down(self._connection, socket.SHUT_RDWR)
            except OSError:
                pass  # it is ending by itself

    def turn_away(self) -> None:
        """Tell the caller to come later, instead of `run`."""
        self._send_quietly(associate_rj(*REJECT_CONGESTION))
        self._close()

    # -- opening --------------------------------------------------------------------------------------------------

    def _negotiate(self) -> Answer | None:
        """Admit or refuse; the answer has been sent by then."""
        listener = self._listener
        called = _title(self._request[10:26])
        refusal = listener.access.refusal(self.aet, called, self.address, self._certificate)
        if refusal is not None:
            listener.refused(refusal, self.address, self.aet, listener.access.hint(refusal, called))
            self._send(associate_rj(*(REJECT_CALLED_AET if refusal.startswith("called") else REJECT_CALLING_AET)))
            return None
        try:
            answer = listener.negotiator.answer(self._request, max_pdu=listener.settings.max_pdu)
        except NegotiationUnavailable:
            _log.error("the negotiating process does not answer; %s is told to try again", self.address)
            self._send(associate_rj(*REJECT_CONGESTION))
            return None
        self._send(answer.pdu)
        if not answer.accepted:
            listener.refused("malformed or unsupported association request", self.address, self.aet)
            self._drain()
            return None
        self._request = b""
        return answer

    def _converse(self) -> None:
        settings = self._listener.settings
        buffer = self._listener.borrow_buffer()
        try:
            self._reader = reader = PduReader(
                acknowledging(self._connection),
                buffer,
                max_pdu=settings.max_pdu,
                object_timeout_s=settings.object_timeout_s,
                minimum_rate=settings.minimum_rate,
                grace_s=settings.slow_grace_s,
                surplus=self._surplus,
            )
            self._surplus = b""
            self._storing = Storing(
                self._listener.spool, self._listener.router, aet=self.aet, address=self.address, association=self._name
            )
            while True:
                reader.idle()
                if not reader.buffered and not self._become_idle():
                    self._part()
                    self._drain()  # of the next object, if the sender has begun it
                    return
                try:
                    context_id, control, length = reader.fragment()
                    self.idle_since = None
                    self._message(context_id, control, length)
                except PeerGone as end:
                    if self._stop_asked and not isinstance(end, PeerDeaf):
                        self._part()  # woken, or cut off at the first bytes of what is now sent again
                        return
                    raise
        finally:
            self._listener.return_buffer(buffer)

    def _become_idle(self) -> bool:
        """From now on this association may be ended; False when it was asked to end while it worked."""
        with self._state:
            if self.idle_since is None:  # else it has had nothing to do since it asked to come in
                self.idle_since = time.monotonic()
            return not self._stop_asked

    def _part(self) -> None:
        """End an idle association from our side: by A-ABORT, for whoever asks for a release has to wait for the answer.

        Over TLS the peer may see the end of the connection alone: the waiting thread cannot be woken without breaking
        the encrypted stream.
        """
        self._listener.counters.add("associations_ended_by_us")
        self._send_quietly(abort())

    # -- messages -------------------------------------------------------------------------------------------------

    def _message(self, context_id: int, control: int, length: int) -> None:
        command = self._read_command(context_id, control, length)
        if context_id not in self._contexts:
            raise ProtocolError(f"presentation context {context_id} was not accepted", INVALID_PARAMETER)
        field = dimse.number(command, dimse.COMMAND_FIELD)
        if field == dimse.C_STORE_RQ:
            self._store(context_id, command)
        elif field == dimse.C_ECHO_RQ:
            self._listener.counters.add("echoes")
            self._respond(context_id, dimse.response(command, dimse.C_ECHO_RSP, dimse.SUCCESS))
        elif field == dimse.N_ACTION_RQ:
            self._commitment(context_id, command)
        elif field == dimse.N_EVENT_REPORT_RSP:
            self._skip_data_set(context_id, command)
            self._listener.counters.add("commitment_results_acknowledged")
        elif field == dimse.C_CANCEL_RQ:
            pass  # nothing here takes long enough to be cancelled
        elif field is not None and field & 0x8000:
            raise ProtocolError("a response to nothing that was asked", UNEXPECTED_PDU)
        else:
            self._skip_data_set(context_id, command)
            self._respond(context_id, dimse.response(command, (field or 0) | 0x8000, dimse.UNRECOGNISED_OPERATION))

    def _read_command(self, context_id: int, control: int, length: int) -> dimse.Command:
        data = bytearray()
        while True:
            if not control & 1:
                raise ProtocolError("data set without command", UNEXPECTED_PDU)
            if len(data) + length > dimse.MAX_COMMAND_BYTES:
                raise ProtocolError("command set too long", INVALID_PARAMETER)
            while length:
                chunk = self._reader.take(length)
                data += chunk
                length -= len(chunk)
            if control & 2:
                return dimse.decode_command(bytes(data))
            following, control, length = self._reader.fragment()
            if following != context_id:
                raise ProtocolError("fragments of two messages are mixed", INVALID_PARAMETER)

    def _store(self, context_id: int, command: dimse.Command) -> None:
        listener = self._listener
        abstract_syntax, transfer_syntax = self._contexts[context_id]
        data_set = self._reader.data_set(context_id, listener.settings.max_object_bytes)
        try:
            if abstract_syntax in (VERIFICATION, STORAGE_COMMITMENT):
                read_over(data_set)
                outcome = Outcome(dimse.SOP_CLASS_NOT_SUPPORTED, "no storage context", "no storage context")
            else:
                outcome = self._storing.store(command, transfer_syntax, data_set)
        except BaseException:
            listener.counters.add("objects_aborted")
            raise
        listener.counters.add(f"objects_{outcome.kind.replace(' ', '_')}")
        if outcome.status != dimse.SUCCESS:
            listener.refused(outcome.kind, self.address, self.aet)
        self._respond(context_id, dimse.response(command, dimse.C_STORE_RSP, outcome.status, outcome.comment))
        if outcome.kind == "stored":
            listener.spool.open_ahead()

    def _commitment(self, context_id: int, command: dimse.Command) -> None:
        listener = self._listener
        buffer = RequestBuffer(listener.spool.root / "part")
        try:
            if dimse.number(command, dimse.DATA_SET_TYPE) != dimse.NO_DATA_SET:
                for pieces in self._reader.data_set(context_id, LONGEST_REQUEST_BYTES):
                    buffer.write(*pieces)
            # Long requests one after the other, so that memory does not grow with the number of associations.
            with listener.large_request if buffer.large else nullcontext():
                self._answer_commitment(context_id, command, buffer)
        finally:
            buffer.abort()

    def _answer_commitment(self, context_id: int, command: dimse.Command, buffer: RequestBuffer) -> None:
        listener = self._listener
        abstract_syntax, transfer_syntax = self._contexts[context_id]
        request: CommitmentRequest | None = None
        if abstract_syntax != STORAGE_COMMITMENT:
            status = dimse.SOP_CLASS_NOT_SUPPORTED
        elif dimse.number(command, dimse.ACTION_TYPE) != 1:
            status = dimse.NO_SUCH_ACTION
        elif buffer.refused:
            status = dimse.RESOURCE_LIMITATION
        else:
            request = parse_request(buffer.read(), transfer_syntax)
            status = dimse.SUCCESS if request else dimse.INVALID_ARGUMENT
        peer = listener.settings.commitment_peers.get(self.aet)
        if request is not None and peer is not None:
            try:
                listener.commitments.accept(self.aet, request)  # durable before it is promised
            except SpoolError:
                status = dimse.PROCESSING_FAILURE
        self._respond(context_id, dimse.response(command, dimse.N_ACTION_RSP, status))
        if request is not None and peer is None:
            self._report(context_id, request, transfer_syntax)

    def _report(self, context_id: int, request: CommitmentRequest, transfer_syntax: str) -> None:
        """Send the result on this association: re-hash first, then N-EVENT-REPORT."""
        result = request.check(self._listener.spool)
        self._listener.counters.add("commitment_results_sent")
        event = dimse.encode_command(
            {
                dimse.AFFECTED_SOP_CLASS: STORAGE_COMMITMENT,
                dimse.COMMAND_FIELD: dimse.N_EVENT_REPORT_RQ,
                dimse.MESSAGE_ID: 1,
                dimse.DATA_SET_TYPE: 1,
                dimse.AFFECTED_SOP_INSTANCE: STORAGE_COMMITMENT_INSTANCE,
                dimse.EVENT_TYPE: result.event_type,
            }
        )
        self._send(
            p_data(context_id, event, command=True, max_pdu=self._peer_max_pdu)
            + p_data(context_id, result.encode(transfer_syntax), command=False, max_pdu=self._peer_max_pdu)
        )

    def _skip_data_set(self, context_id: int, command: dimse.Command) -> None:
        if dimse.number(command, dimse.DATA_SET_TYPE) not in (None, dimse.NO_DATA_SET):
            read_over(self._reader.data_set(context_id, MAX_REQUEST_BYTES))

    # -- sending and closing --------------------------------------------------------------------------------------

    def _respond(self, context_id: int, command: bytes) -> None:
        self._send(p_data(context_id, command, command=True, max_pdu=self._peer_max_pdu))

    def _send(self, data: bytes) -> None:
        try:
            self._connection.sendall(data)
        except (OSError, ssl.SSLError) as error:
            raise PeerDeaf("takes no answers") from error

    def _send_quietly(self, data: bytes) -> None:
        try:
            self._connection.sendall(data)
        except OSError:
            pass  # the association is ending anyway

    def _drain(self) -> None:
        """Let the peer read our last PDU: closing with unread bytes would reset the connection under it."""
        try:
            shut_down(self._connection, socket.SHUT_WR)
            self._connection.settimeout(0.3)
            scrap = bytearray(65536)
            for _ in range(16):
                if not self._connection.recv_into(scrap):
                    return
        except OSError:
            pass  # gone, or still sending after all that time

    def _close(self) -> None:
        with self._state:
            try:
                self._connection.close()
            except OSError:
                pass  # already gone


def _title(field: bytes) -> str:
    """An AE title that can be compared, logged and kept: whatever is not printable ASCII becomes a question mark."""
    return "".join(chr(byte) if 0x20 <= byte < 0x7F else "?" for byte in field.rstrip(b"\0")).strip()
