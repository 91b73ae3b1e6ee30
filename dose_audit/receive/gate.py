"""Connections before they are associations: one thread holds them all, bounded in number, bytes and time."""

import errno
import logging
import selectors
import socket
import ssl
import time
from collections import Counter
from collections.abc import Callable

from .access import Certificate
from .notify import notify, watchdog_interval_s
from .pdu import (
    INVALID_PARAMETER,
    MAX_ASSOCIATE_BYTES,
    NOT_SPECIFIED,
    UNEXPECTED_PDU,
    UNRECOGNIZED_PDU,
    PduType,
    abort,
)
from .tls import handshake_refusal, peer_certificate

_log = logging.getLogger(__name__)
_MIN_ASSOCIATE_BYTES = 68  # the fixed fields of an A-ASSOCIATE-RQ behind its length
_FAREWELL_S = 1.0
_FAREWELL_BYTES = 256 * 1024
_READ_BYTES = 16 * 1024
_ACCEPT_PAUSE_S = 0.05

Admit = Callable[[socket.socket, str, bytes, bytes, Certificate | None], None]


class _Waiting:
    """One connection that has not yet said who it is, or that is being told good-bye."""

    __slots__ = ("address", "connection", "data", "deadline", "handshake_done", "leaving", "scrap")

    def __init__(self, connection: socket.socket, address: str, deadline: float, handshake_done: bool) -> None:
        self.connection = connection
        self.address = address
        self.deadline = deadline
        self.handshake_done = handshake_done
        self.data = b""
        self.leaving = False
        self.scrap = 0


class Gate:
    """Accepts connections and hands each on when its A-ASSOCIATE-RQ is complete.

    Parameters
    ----------
    server : socket.socket
        Listening.
    tls : ssl.SSLContext or None
    max_connections, max_per_address : int
        Beyond these the connection that has been silent for longest is closed, never the newcomer: connections that
        only wait cannot shut the door.
    timeout_s : float
        From connection to complete request.
    knows_address : callable
        Whether anybody at an address may call.
    admit : callable
        Takes over a connection: socket, address, request, bytes behind it, certificate. Must not block.
    refused : callable
        Told the reason and address of each refusal.
    """

    def __init__(
        self,
        server: socket.socket,
        *,
        tls: ssl.SSLContext | None,
        max_connections: int,
        max_per_address: int,
        timeout_s: float,
        knows_address: Callable[[str], bool],
        admit: Admit,
        refused: Callable[[str, str], None],
    ) -> None:
        self._server = server
        self._tls = tls
        self._max_connections = max_connections
        self._max_per_address = max_per_address
        self._timeout_s = timeout_s
        self._knows_address = knows_address
        self._admit = admit
        self._refused = refused
        # In order of arrival, and all have the same time: the first is the next to lapse.
        self._waiting: dict[socket.socket, _Waiting] = {}
        self._per_address: Counter[str] = Counter()
        self._selector = selectors.DefaultSelector()
        self._wake, self._woken = socket.socketpair()
        self._closing = False
        server.setblocking(False)
        self._selector.register(server, selectors.EVENT_READ)
        self._selector.register(self._woken, selectors.EVENT_READ)

    def __len__(self) -> int:
        return len(self._waiting)

    def close(self) -> None:
        """Make `run` return; from any thread."""
        self._closing = True
        try:
            self._wake.send(b"\0")
        except OSError:
            pass  # it has returned already

    def run(self) -> None:
        """Serve until closed."""
        interval = watchdog_interval_s()
        next_ping = time.monotonic()
        try:
            while not self._closing:
                now = time.monotonic()
                if interval is not None and now >= next_ping:
                    notify("WATCHDOG=1")
                    next_ping = now + interval
                self._expire(now)
                for key, _ in self._selector.select(self._patience(now, next_ping if interval else None)):
                    self._serve(key.fileobj)
        finally:
            for waiting in list(self._waiting.values()):
                self._forget(waiting, close=True)
            self._selector.close()
            self._wake.close()
            self._woken.close()

    def _serve(self, ready: object) -> None:
        waiting = self._waiting.get(ready)  # type: ignore[call-overload]
        try:
            if ready is self._server:
                self._accept()
            elif waiting is not None:
                self._attend(waiting)
        except Exception:  # noqa: BLE001  a defect of ours costs one connection, never the door
            _log.exception("a connection could not be served")
            if waiting is not None:
                self._forget(waiting, close=False)
                waiting.connection.close()

    def _patience(self, now: float, next_ping: float | None) -> float | None:
        times = [waiting.deadline for waiting in _first(self._waiting)]
        if next_ping is not None:
            times.append(next_ping)
        return max(0.0, min(times) - now) if times else None

    def _expire(self, now: float) -> None:
        while self._waiting:
            waiting = next(iter(self._waiting.values()))
            if waiting.deadline > now:
                return
            if not waiting.leaving:
                self._refused("no association request in time", waiting.address)
            self._forget(waiting, close=True)

    def _accept(self) -> None:
        for _ in range(64):  # then look after those who are here
            try:
                connection, peer = self._server.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                    self._short_of_descriptors()
                return  # otherwise the peer has gone between knocking and opening
            address = peer[0].split("%", 1)[0].removeprefix("::ffff:")
            if not self._knows_address(address):
                self._refused("address", address)
                connection.close()
                continue
            self._make_room(address)
            self._welcome(connection, address)

    def _welcome(self, connection: socket.socket, address: str) -> None:
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.setblocking(False)
            if self._tls is not None:
                connection = self._tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        except OSError:
            connection.close()
            return
        waiting = _Waiting(connection, address, time.monotonic() + self._timeout_s, self._tls is None)
        self._waiting[connection] = waiting
        self._per_address[address] += 1
        self._selector.register(connection, selectors.EVENT_READ)

    def _make_room(self, address: str) -> None:
        if self._per_address[address] >= self._max_per_address:
            self._evict(next(w for w in self._waiting.values() if w.address == address))
        elif len(self._waiting) >= self._max_connections:
            # Whoever holds most places gives one up, so that a crowd at one address does not push out the others.
            crowded = self._per_address.most_common(1)[0][0]
            self._evict(next(w for w in self._waiting.values() if w.address == crowded))

    def _evict(self, waiting: _Waiting) -> None:
        self._refused("too many connections", waiting.address)
        self._forget(waiting, close=True)

    def _short_of_descriptors(self) -> None:
        _log.error("out of file descriptors; closing connections that have not asked for anything")
        for waiting in list(self._waiting.values())[:16]:
            self._evict(waiting)
        time.sleep(_ACCEPT_PAUSE_S)  # associations hold the rest; do not spin until one ends

    def _attend(self, waiting: _Waiting) -> None:
        try:
            if not waiting.handshake_done:
                self._shake_hands(waiting)
                return
            while True:
                data = waiting.connection.recv(_READ_BYTES)
                if not data:
                    self._forget(waiting, close=True)
                    return
                if self._take(waiting, data):
                    return
                if self._tls is None or not waiting.connection.pending():  # type: ignore[attr-defined]
                    return
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return
        except OSError:
            self._forget(waiting, close=True)

    def _shake_hands(self, waiting: _Waiting) -> None:
        connection = waiting.connection
        assert isinstance(connection, ssl.SSLSocket)
        try:
            connection.do_handshake()
        except ssl.SSLWantReadError:
            self._selector.modify(connection, selectors.EVENT_READ)
        except ssl.SSLWantWriteError:
            self._selector.modify(connection, selectors.EVENT_WRITE)
        except OSError as error:
            self._refused(handshake_refusal(error), waiting.address)
            self._forget(waiting, close=True)
        else:
            waiting.handshake_done = True
            self._selector.modify(connection, selectors.EVENT_READ)

    def _take(self, waiting: _Waiting, data: bytes) -> bool:
        """Add received bytes; True when the connection has been handed on or closed."""
        if waiting.leaving:
            waiting.scrap += len(data)
            if waiting.scrap > _FAREWELL_BYTES:
                self._forget(waiting, close=True)
                return True
            return False
        waiting.data += data
        kind = waiting.data[0]
        if kind != PduType.ASSOCIATE_RQ:
            if kind == PduType.ABORT:
                self._forget(waiting, close=True)
                return True
            self._dismiss(waiting, UNEXPECTED_PDU if kind in PduType._value2member_map_ else UNRECOGNIZED_PDU)
            return False
        if len(waiting.data) < 6:
            return False
        length = int.from_bytes(waiting.data[2:6], "big")
        if not _MIN_ASSOCIATE_BYTES <= length <= MAX_ASSOCIATE_BYTES:
            self._dismiss(waiting, INVALID_PARAMETER)
            return False
        if len(waiting.data) < 6 + length:
            return False
        self._hand_on(waiting, 6 + length)
        return True

    def _hand_on(self, waiting: _Waiting, length: int) -> None:
        self._forget(waiting, close=False)
        connection = waiting.connection
        certificate = peer_certificate(connection) if isinstance(connection, ssl.SSLSocket) else None
        self._admit(connection, waiting.address, waiting.data[:length], waiting.data[length:], certificate)

    def _dismiss(self, waiting: _Waiting, reason: int) -> None:
        """A-ABORT, then wait a moment for the peer to read it."""
        self._refused("no association request", waiting.address)
        self._forget(waiting, close=False)
        try:
            waiting.connection.send(abort(reason or NOT_SPECIFIED))
            socket.socket.shutdown(waiting.connection, socket.SHUT_WR)
        except OSError:
            waiting.connection.close()
            return
        waiting.leaving = True
        waiting.data = b""
        # Its time is shorter than the others', but it stands behind them in the queue: at worst it stays as long.
        waiting.deadline = time.monotonic() + min(_FAREWELL_S, self._timeout_s)
        self._waiting[waiting.connection] = waiting
        self._per_address[waiting.address] += 1
        self._selector.register(waiting.connection, selectors.EVENT_READ)

    def _forget(self, waiting: _Waiting, *, close: bool) -> None:
        if self._waiting.pop(waiting.connection, None) is None:
            return
        self._per_address[waiting.address] -= 1
        if not self._per_address[waiting.address]:
            del self._per_address[waiting.address]
        self._selector.unregister(waiting.connection)
        if close:
            waiting.connection.close()


def _first(waiting: dict[socket.socket, _Waiting]) -> list[_Waiting]:
    return [next(iter(waiting.values()))] if waiting else []
