"""Keeps pynetdicom's negotiation in a process of its own, and remembers answers: a modality asks the same each time."""

import atexit
import json
import os
import socket
import struct
import subprocess
import sys
import threading
from collections import OrderedDict
from pathlib import Path

from .errors import ReceiveError
from .negotiate import Answer
from .pdu import INVALID_PARAMETER, abort

_CACHED_ANSWERS = 128
_CACHED_REQUEST_BYTES = 32 * 1024
_MAX_ITEMS = 4096
_AE_TITLES = slice(10, 42)  # called and calling; echoed in the answer
_ANY_TITLES = b"CALLED".ljust(16) + b"CALLING".ljust(16)


class NegotiationUnavailable(ReceiveError):
    """The helper process does not answer; the caller is told to try again later."""


class Negotiator:
    """Asks the helper process what to answer; one request at a time, restarted when it dies.

    Parameters
    ----------
    timeout_s : float
        Longest wait for an answer, s.
    start_timeout_s : float
        Longest wait for a helper to start, s.
    """

    def __init__(self, *, timeout_s: float = 5.0, start_timeout_s: float = 60.0) -> None:
        self._timeout_s = timeout_s
        self._start_timeout_s = start_timeout_s
        self._lock = threading.Lock()
        self._cache_lock = threading.Lock()
        self._cache: OrderedDict[tuple[int, bytes], Answer] = OrderedDict()
        self._process: subprocess.Popen | None = None
        self._channel: socket.socket | None = None

    def warm(self) -> None:
        """Start the helper now, so that the first caller does not wait for its imports."""
        with self._lock:
            self._ensure()

    def answer(self, request: bytes, *, max_pdu: int) -> Answer:
        """What to answer to a complete A-ASSOCIATE-RQ.

        Raises
        ------
        NegotiationUnavailable
        """
        # Whose titles they are is the business of access rules alone; the answer must not depend on them.
        anonymous = request[: _AE_TITLES.start] + _ANY_TITLES + request[_AE_TITLES.stop :]
        key = (max_pdu, anonymous)
        with self._cache_lock:
            known = self._cache.get(key)
            if known is not None:
                self._cache.move_to_end(key)
        if known is None:
            if not _is_plausible(request):
                return Answer(abort(INVALID_PARAMETER), False)
            with self._lock:
                known = self._ask(anonymous, max_pdu)
            if known.accepted and not known.has_identity and len(request) <= _CACHED_REQUEST_BYTES:
                with self._cache_lock:
                    self._cache[key] = known
                    if len(self._cache) > _CACHED_ANSWERS:
                        self._cache.popitem(last=False)
        if not known.accepted:
            return known
        pdu = known.pdu[: _AE_TITLES.start] + request[_AE_TITLES] + known.pdu[_AE_TITLES.stop :]
        return Answer(pdu, True, known.contexts, known.peer_max_pdu, known.has_identity)

    @property
    def pid(self) -> int | None:
        """Process id of the helper, None when it is not running."""
        return self._process.pid if self._process is not None else None

    def close(self) -> None:
        """End the helper."""
        with self._lock:
            self._end()

    def _ask(self, request: bytes, max_pdu: int) -> Answer:
        for _ in range(2):  # a helper that died meanwhile is replaced once
            self._ensure()
            assert self._channel is not None
            try:
                self._channel.sendall(struct.pack(">II", len(request), max_pdu) + request)
                fields = json.loads(self._frame())
            except (OSError, ValueError, EOFError):
                self._end()
                continue
            contexts = {int(k): (v[0], v[1]) for k, v in fields["contexts"].items()}
            return Answer(
                bytes.fromhex(fields["pdu"]),
                fields["accepted"],
                contexts,
                fields["peer_max_pdu"],
                fields["has_identity"],
            )
        raise NegotiationUnavailable("the negotiating process does not answer")

    def _frame(self) -> bytes:
        (length,) = struct.unpack(">I", self._read(4))
        return self._read(length)

    def _read(self, count: int) -> bytes:
        assert self._channel is not None
        data = b""
        while len(data) < count:
            piece = self._channel.recv(count - len(data))
            if not piece:
                raise EOFError
            data += piece
        return data

    def _ensure(self) -> None:
        if self._process is not None and self._process.poll() is None:
            return
        self._end()
        try:
            self._start()
        except (OSError, EOFError) as error:
            self._end()
            raise NegotiationUnavailable("the negotiating process does not start") from error

    def _start(self) -> None:
        ours, theirs = socket.socketpair()
        self._channel = ours
        package_root = str(Path(__file__).resolve().parents[2])
        environment = dict(os.environ, OPENBLAS_NUM_THREADS="1", MALLOC_ARENA_MAX="1")
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, (package_root, os.environ.get("PYTHONPATH"))))
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", f"{__package__}.negotiate"],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                env=environment,
                start_new_session=True,  # Ctrl-C ends the listener gracefully; the helper ends with it, not before
            )
        ours.settimeout(self._start_timeout_s)
        self._frame()
        ours.settimeout(self._timeout_s)

    def _end(self) -> None:
        if self._channel is not None:
            self._channel.close()  # it ends when its requests end
            self._channel = None
        if self._process is not None:
            try:
                self._process.wait(timeout=0.2)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None


def _is_plausible(request: bytes) -> bool:
    """A quick look at the request's items, so that nobody buys much of the helper's time with 64 kB of tiny ones."""
    offset, items, end = 74, 0, len(request)
    while offset < end:
        if offset + 4 > end:
            return False
        kind, length = request[offset], int.from_bytes(request[offset + 2 : offset + 4], "big")
        items += 1
        offset += 8 if kind == 0x20 else 4  # walk into presentation contexts and user information
        if kind not in (0x20, 0x50):
            offset += length
        if items > _MAX_ITEMS:
            return False
    return offset == end and items > 0


_shared: Negotiator | None = None
_shared_lock = threading.Lock()


def shared_negotiator() -> Negotiator:
    """The one negotiator of this process; it ends with the process."""
    global _shared
    with _shared_lock:
        if _shared is None:
            _shared = Negotiator()
            atexit.register(_shared.close)
        return _shared
