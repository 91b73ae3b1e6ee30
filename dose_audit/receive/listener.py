"""The DICOM listener: lets callers in, bounds them, and stops without losing what is in flight."""

import logging
import os
import signal
import socket
import struct
import threading
import time
from collections import Counter, deque
from concurrent.futures import ThreadPoolExecutor

from .access import Access, CallerRule, Certificate, RefusalLog
from .association import Association
from .delivery import Commitments
from .errors import ReceiveError, SpoolError
from .gate import Gate
from .metrics import Counters, MetricsServer, prometheus, spool_status
from .negotiator import Negotiator, shared_negotiator
from .notify import notify
from .pdu import BUFFER_BYTES, REJECT_CONGESTION, REJECT_LOCAL_LIMIT, associate_rj
from .routing import Route, Router
from .settings import ListenerSettings, TlsSettings
from .spool import Spool
from .tls import certificate_problem, server_context

__all__ = ["CallerRule", "Listener", "ListenerSettings", "PlainRefused", "Route", "TlsSettings"]

_log = logging.getLogger(__name__)
_BACKLOG = 512
_TELL_EVERY_S = 5.0


class PlainRefused(ReceiveError):
    """No TLS is configured, and plain DICOM was not allowed either."""


class Listener:
    """A C-STORE, C-ECHO and storage commitment SCP on one port.

    Parameters
    ----------
    settings : ListenerSettings
    spool : Spool
        Where objects go. Not closed by the listener.
    negotiator : Negotiator, optional
        The process's shared one by default.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> spool = Spool(Path(tempfile.mkdtemp()), min_free_bytes=0)
    >>> listener = Listener(ListenerSettings(port=0), spool)
    >>> listener.start()
    >>> listener.metrics()["associations_now"]
    0
    >>> listener.stop(0)
    """

    def __init__(self, settings: ListenerSettings, spool: Spool, *, negotiator: Negotiator | None = None) -> None:
        self.settings = settings
        self.spool = spool
        self.access = Access(settings.callers, settings.aet if settings.called_aet_check else None)
        self.router = Router(settings.routes)
        self.counters = Counters()
        self.negotiator = negotiator or shared_negotiator()
        self.commitments = Commitments(spool, settings)
        self.large_request = threading.Lock()
        self._refusals = RefusalLog()
        self._lock = threading.Lock()
        self._associations: set[Association] = set()
        self._per_address: Counter[str] = Counter()
        self._all_ended = threading.Condition(self._lock)
        self._buffers: deque[bytearray] = deque(maxlen=16)
        self._stopping = self._stopped = False
        self._stop_asked = threading.Event()
        self._server: socket.socket | None = None
        self._gate: Gate | None = None
        self._thread: threading.Thread | None = None
        self._metrics_server: MetricsServer | None = None

    @property
    def port(self) -> int:
        """The port that is listened on, chosen by the system when the settings say 0."""
        assert self._server is not None, "not started"
        return self._server.getsockname()[1]

    @property
    def metrics_port(self) -> int | None:
        """The port of the metrics, if any."""
        return self._metrics_server.port if self._metrics_server else None

    # -- life -----------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Recover the spool, open the port and return; connections are served from now on.

        Raises
        ------
        PlainRefused
            Without TLS and without the setting that allows plain DICOM.
        OSError
            When the port is taken or a certificate cannot be read.
        """
        settings = self.settings
        context = server_context(settings.tls) if settings.tls else None
        if settings.tls and (problem := certificate_problem(settings.tls)):
            _log.error("%s: callers that look at it will not come in", problem)
        if context is None and not settings.plain_allowed:
            raise PlainRefused("no TLS certificate is configured, and plain DICOM is not allowed by the settings")
        if context is None:
            _log.warning(
                "plain DICOM without TLS on %s:%s: identities and data travel in clear", settings.host, settings.port
            )
        self.spool.recover()
        _raise_descriptor_limit(settings.max_connections + 2 * settings.max_associations + 64)
        family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
        self._server = socket.create_server(
            (settings.host, settings.port),
            family=family,
            backlog=_BACKLOG,
            dualstack_ipv6=settings.host == "::" and socket.has_dualstack_ipv6(),
        )
        # Some more threads than associations: those being refused or told good-bye need a moment as well.
        self._pool = ThreadPoolExecutor(settings.max_associations + 16, thread_name_prefix="association")
        self._gate = Gate(
            self._server,
            tls=context,
            max_connections=settings.max_connections,
            max_per_address=settings.max_connections_per_address,
            timeout_s=settings.negotiation_timeout_s,
            knows_address=self.access.knows_address,
            admit=self._admit,
            refused=self.refused,
        )
        self._thread = threading.Thread(target=self._gate.run, name="gate", daemon=True)
        self._thread.start()
        self.negotiator.warm()
        self.commitments.start()
        if settings.metrics_port is not None:
            self._metrics_server = MetricsServer(settings.metrics_port, self.prometheus)
        _log.info("listening as %s on %s:%d", settings.aet, settings.host, self.port)
        notify("READY=1")

    def serve_forever(self, grace_s: float = 30.0) -> None:
        """Serve until `request_stop`, SIGTERM or SIGINT, then stop gracefully."""
        if self._server is None:
            self.start()
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, lambda *_: self._stop_asked.set())
        while not self._stop_asked.wait(_TELL_EVERY_S):
            try:
                # Whoever looks for why a scanner cannot send must find the refusals, though nothing was stored since.
                self.spool.flush_tallies()
            except SpoolError as error:
                _log.error("counters could not be written: %s", error)
        self.stop(grace_s)

    def request_stop(self) -> None:
        """Make `serve_forever` return; from any thread or signal handler."""
        self._stop_asked.set()

    def stop(self, grace_s: float = 30.0) -> None:
        """Refuse new associations, let objects in flight finish, then close everything; a second call does nothing.

        Parameters
        ----------
        grace_s : float
            How long objects in flight may take, s; what is not done by then is cut off, unacknowledged.
        """
        if self._server is None or self._stopped:
            return
        self._stopped = True
        notify("STOPPING=1")
        deadline = time.monotonic() + grace_s
        with self._lock:
            self._stopping = True
            current = list(self._associations)
        for association in current:
            association.stop()
        with self._lock:
            self._all_ended.wait_for(lambda: not self._associations, max(0.0, deadline - time.monotonic()))
            late = list(self._associations)
        for association in late:
            association.cut()
        if self._gate is not None and self._thread is not None:
            self._gate.close()
            self._thread.join()
        self._server.close()
        self._pool.shutdown(wait=True)
        if self._metrics_server is not None:
            self._metrics_server.close()
            self._metrics_server = None
        self.commitments.stop()
        try:
            self.spool.flush_tallies()
        except SpoolError as error:
            _log.error("counters of this run could not be written: %s", error)

    # -- accounts -------------------------------------------------------------------------------------------------

    def metrics(self) -> dict[str, int]:
        """Counters since the start, and what is going on now."""
        with self._lock:
            now = {"associations_now": len(self._associations), "connections_now": len(self._gate or ())}
        return self.counters.snapshot() | now

    def prometheus(self) -> str:
        """Listener and spool as Prometheus text."""
        return prometheus(spool_status(self.spool), self.metrics())

    def refused(self, reason: str, address: str, aet: str = "", hint: str = "") -> None:
        """Count and log a refusal."""
        self.counters.add("refusals")
        self.spool.tally("refusal", reason)
        self._refusals.write(reason, address, aet, hint)

    # -- for associations -----------------------------------------------------------------------------------------

    def borrow_buffer(self) -> bytearray:
        """A receive buffer; a few are kept between associations."""
        try:
            return self._buffers.pop()
        except IndexError:
            return bytearray(BUFFER_BYTES)

    def return_buffer(self, buffer: bytearray) -> None:
        """Give a buffer back."""
        self._buffers.append(buffer)

    # -- inside ---------------------------------------------------------------------------------------------------

    def _admit(
        self, connection: socket.socket, address: str, request: bytes, surplus: bytes, certificate: Certificate | None
    ) -> None:
        """Give a connection its thread, or turn it away; runs in the gate's thread and must not block."""
        association = Association(self, connection, address, request, surplus, certificate)
        with self._lock:
            rejection = self._rejection(address)
            if rejection is None:
                self._associations.add(association)
                self._per_address[address] += 1
        if rejection is not None:
            self.refused(
                "too many associations" if rejection == REJECT_LOCAL_LIMIT else "stopping", address, association.aet
            )
            try:
                connection.send(associate_rj(*rejection))
            except OSError:
                pass  # gone before it heard
            connection.close()
            return
        if self.settings.tls is None and os.name == "posix":
            # The kernel's time-outs: Python's own would cost a poll() before every recv().
            connection.setblocking(True)
            timeout = struct.pack("ll", int(self.settings.idle_timeout_s), int(self.settings.idle_timeout_s % 1 * 1e6))
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, timeout)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, timeout)
        else:
            connection.settimeout(self.settings.idle_timeout_s)
        try:
            self._pool.submit(self._run, association)
        except RuntimeError as error:  # no thread to be had; the pool keeps it in its queue all the same
            _log.error("no thread for an association with %s: %s", address, error)
            self._forget(association)
            association.turn_away()

    def _run(self, association: Association) -> None:
        try:
            association.run()
        finally:
            self._forget(association)

    def _forget(self, association: Association) -> None:
        """Give its place back; a second time changes nothing."""
        with self._lock:
            if association not in self._associations:
                return
            self._associations.remove(association)
            self._per_address[association.address] -= 1
            if not self._per_address[association.address]:
                del self._per_address[association.address]
            if not self._associations:
                self._all_ended.notify_all()

    def _rejection(self, address: str) -> tuple[int, int, int] | None:
        """Why there is no place for one more association; makes a place by ending the one that idles for longest."""
        settings = self.settings
        if self._stopping:
            return REJECT_CONGESTION
        from_address = self._per_address[address] >= settings.max_associations_per_address
        if not from_address and len(self._associations) < settings.max_associations:
            return None
        idle = [
            (since, association)
            for association in self._associations
            if (since := association.spare_since) is not None and (not from_address or association.address == address)
        ]
        for since, association in sorted(idle, key=lambda pair: pair[0]):
            if time.monotonic() - since < settings.spare_idle_s:
                break
            if association.spare():
                self.counters.add("associations_spared")
                return None
        return REJECT_LOCAL_LIMIT


def _raise_descriptor_limit(needed: int) -> None:
    """Ask for as many file descriptors as the bounds need, where the system has such a limit."""
    try:
        import resource
    except ImportError:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
