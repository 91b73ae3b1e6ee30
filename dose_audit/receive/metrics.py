"""What the listener has done and how the spool stands: a dict for `status`, Prometheus text for monitoring."""

import os
import socket
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from .errors import ReceiveError
from .spool import Spool

_REQUEST_BYTES = 4096
_PAUSE_S = 0.1
_CONTENT_TYPE = "Content-Type: text/plain; version=0.0.4"


class Counters:
    """Named counters that threads raise."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values: dict[str, int] = {}

    def add(self, name: str, by: int = 1) -> None:
        """Raise a counter."""
        with self._lock:
            self._values[name] = self._values.get(name, 0) + by

    def snapshot(self) -> dict[str, int]:
        """All counters at one moment."""
        with self._lock:
            return dict(sorted(self._values.items()))


def spool_status(spool: Spool) -> dict[str, object]:
    """Queue, rates, last object of each sender, disk, quarantine, drops and refusals.

    Returns
    -------
    dict
        ``counts``, ``received_last`` (objects in the last ``minute``, ``hour``, ``day``), ``sources``, ``kept_bytes`` (of the
        spool's own files), ``free_bytes``, ``min_free_bytes``, ``drops``, ``refusals``.
    """
    now = datetime.now(UTC)
    spans = {"minute": timedelta(minutes=1), "hour": timedelta(hours=1), "day": timedelta(days=1)}
    tallies = spool.drops()
    return {
        "counts": spool.counts(),
        "received_last": {name: spool.received_since(now - span) for name, span in spans.items()},
        "sources": spool.sources(),
        "kept_bytes": spool.kept_bytes(),
        "free_bytes": spool.free_bytes(),
        "min_free_bytes": spool.min_free_bytes,
        "drops": tallies["drop"],
        "refusals": tallies["refusal"],
    }


def prometheus(status: dict[str, object], listener: dict[str, int]) -> str:
    """The Prometheus text exposition format, version 0.0.4."""
    lines: list[str] = []

    def family(name: str, kind: str, help_text: str, samples: list[tuple[str, object]]) -> None:
        lines.append(f"# HELP dose_audit_{name} {help_text}")
        lines.append(f"# TYPE dose_audit_{name} {kind}")
        lines.extend(f"dose_audit_{name}{labels} {value}" for labels, value in samples)

    counts: dict = status["counts"]  # type: ignore[assignment]
    states = [(_labels(state=state), n) for state, n in counts.items() if state != "received"]
    family("objects", "gauge", "Objects received, by what became of them.", states)
    sources: list = status["sources"]  # type: ignore[assignment]
    family(
        "source_objects_total",
        "counter",
        "Objects stored, by sender.",
        [(_labels(source=row["source"]), row["objects"]) for row in sources],
    )
    family(
        "source_duplicates_total",
        "counter",
        "Objects that came again and were not stored, by sender.",
        [(_labels(source=row["source"]), row["duplicates"]) for row in sources],
    )
    family(
        "source_last_object_timestamp_seconds",
        "gauge",
        "When the last object of a sender came, Unix time.",
        [
            (_labels(source=row["source"]), datetime.fromisoformat(row["last_at"]).timestamp())
            for row in sources
            if row["last_at"]
        ],
    )
    for key, text in (("drops", "Objects acknowledged and dropped, by rule."), ("refusals", "Refusals, by reason.")):
        rows: dict = status[key]  # type: ignore[assignment]
        family(f"{key}_total", "counter", text, [(_labels(by=name), n) for name, n in rows.items()])
    family("spool_free_bytes", "gauge", "Free space of the spool's file system.", [("", status["free_bytes"])])
    family(
        "listener_events_total",
        "counter",
        "What the listener did since it started.",
        [(_labels(event=name), n) for name, n in listener.items() if not name.endswith("_now")],
    )
    for name, text in (
        ("associations_now", "Associations now."),
        ("connections_now", "Connections without association."),
    ):
        family(f"listener_{name}", "gauge", text, [("", listener.get(name, 0))])
    return "\n".join(lines) + "\n"


def _labels(**labels: object) -> str:
    def escape(value: object) -> str:
        return str(value).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")

    return "{" + ",".join(f'{key}="{escape(value)}"' for key, value in labels.items()) + "}"


class MetricsServer:
    """Answers any HTTP request on a loopback port with the metrics; one at a time, one second each."""

    def __init__(self, port: int, text: Callable[[], str]) -> None:
        self._socket = socket.create_server(("127.0.0.1", port))
        self._text = text
        self._closing = False
        self.port = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, name="metrics", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop answering."""
        self._closing = True
        if os.name == "posix":
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(2)

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                if self._closing:
                    return
                time.sleep(_PAUSE_S)  # no descriptor to be had now, or whoever knocked has gone
                continue
            with connection:
                try:
                    connection.settimeout(1.0)
                    connection.recv(_REQUEST_BYTES)
                    connection.sendall(self._answer())
                except OSError:
                    pass  # whoever asked has gone

    def _answer(self) -> bytes:
        try:
            status, body = "200 OK", self._text().encode()
        except ReceiveError as error:
            status, body = "503 Service Unavailable", f"{error}\n".encode()
        head = f"HTTP/1.0 {status}\r\n{_CONTENT_TYPE}\r\nContent-Length: {len(body)}\r\n\r\n"
        return head.encode() + body
