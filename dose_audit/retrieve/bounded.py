"""Bounds on what an archive may send us over DICOM: PDU length, bytes of a request, time for a PDU.

pynetdicom reads whatever length a PDU announces; here its socket reads through a counter that hangs up instead.
"""

from __future__ import annotations

import logging
import socket
import time
from typing import Any

__all__ = ["MAX_PDU", "Meter", "quiet_log"]

MAX_PDU = 1 << 20
"""Longest PDU that is read, bytes. We offer 64 kB; some archives exceed what they were offered."""

_CHUNK = 1 << 16


class Meter:
    """Counts what comes in on one association and hangs up when it is too much.

    Parameters
    ----------
    pdu_timeout_s : float
        Longest time for one PDU, s.

    Attributes
    ----------
    exceeded : str
        Why it hung up; empty when it did not.
    """

    def __init__(self, pdu_timeout_s: float) -> None:
        self.exceeded = ""
        self._timeout = pdu_timeout_s
        self._left = MAX_PDU
        self._socket: Any = None

    def allow(self, size: int) -> None:
        """Begin a request, or one object of it, that may bring so many bytes."""
        self._left = size

    def attach(self, event: Any) -> None:
        """Handle ``EVT_CONN_OPEN``: from now on the association's socket reads through this meter."""
        self._socket = event.assoc.dul.socket
        self._socket.recv = self._receive
        # A question is two small PDUs; with Nagle's algorithm the second waits 40 ms for the peer's delayed acknowledgement.
        self._socket.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def _receive(self, count: int) -> bytearray:
        """As ``AssociationSocket.recv``: short when the connection is to be treated as closed."""
        data = bytearray()
        self._left -= count
        if count > MAX_PDU or self._left < 0:
            self.exceeded = "a PDU too long" if count > MAX_PDU else "more bytes than one request may bring"
            self._hang_up()
            return data
        connection = self._socket.socket
        deadline = time.monotonic() + self._timeout
        while len(data) < count:
            left = deadline - time.monotonic()
            if left <= 0 or connection is None:
                self.exceeded = "a PDU that does not end"
                self._hang_up()
                return bytearray()
            connection.settimeout(left)
            try:
                chunk = connection.recv(min(_CHUNK, count - len(data)))
            except TimeoutError:
                continue
            if not chunk:
                return data
            data += chunk
        connection.settimeout(None)
        return data

    def _hang_up(self) -> None:
        try:
            self._socket.socket.shutdown(socket.SHUT_RDWR)
        except (OSError, AttributeError):
            pass  # it is closed already, which is what is wanted


def quiet_log() -> None:
    """Keep pynetdicom's log to failures, and the contents of answers out of it: they may name patients."""
    from pynetdicom import _config

    _config.LOG_RESPONSE_IDENTIFIERS = False
    _config.LOG_REQUEST_IDENTIFIERS = False
    # It logs exceptions with the bytes that caused them; what matters is told by `ArchiveError`.
    logging.getLogger("pynetdicom").setLevel(logging.CRITICAL)
