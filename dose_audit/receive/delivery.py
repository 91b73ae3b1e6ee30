"""Delivers storage commitment results on associations of our own, from a queue in the ledger that survives restarts.

Run as a module it makes one delivery with pynetdicom, in a process of its own that ends with it.
"""

import json
import logging
import os
import sqlite3
import subprocess
import sys
import threading
import time
from dataclasses import asdict
from pathlib import Path

from .commitment import CommitmentRequest
from .errors import SpoolError
from .negotiate import STORAGE_COMMITMENT, STORAGE_COMMITMENT_INSTANCE
from .settings import ListenerSettings
from .spool import Spool

_log = logging.getLogger(__name__)
_RETRY_AFTER_S = (0.0, 2.0, 10.0, 60.0, 600.0)
_DELIVERY_TIMEOUT_S = 60.0


class Commitments:
    """The queue and the thread that works on it.

    Parameters
    ----------
    settings : ListenerSettings
        `commitment_peers` says where each AE title listens.
    """

    def __init__(self, spool: Spool, settings: ListenerSettings) -> None:
        self._spool = spool
        self._settings = settings
        self._changed = threading.Event()
        self._stopping = False
        self._not_before: dict[int, float] = {}
        self._thread = threading.Thread(target=self._work, name="commitment", daemon=True)

    def start(self) -> None:
        """Begin with what an earlier run left."""
        if self._settings.commitment_peers:
            self._thread.start()

    def stop(self) -> None:
        """Stop after the delivery at hand; the rest waits in the ledger."""
        self._stopping = True
        self._changed.set()
        if self._thread.is_alive():
            self._thread.join(_DELIVERY_TIMEOUT_S)

    def accept(self, aet: str, request: CommitmentRequest) -> None:
        """Put a request in the ledger; once this returns it will be answered.

        Raises
        ------
        SpoolError
            When it could not be recorded.
        """
        kept = json.dumps({"aet": aet, **asdict(request)})
        self._spool.ledger.transact(
            lambda c: c.execute(
                "INSERT OR IGNORE INTO commitments (transaction_uid, request) VALUES (?, ?)",
                (request.transaction_uid, kept),
            )
        )
        self._changed.set()

    def _work(self) -> None:
        while not self._stopping:
            self._changed.clear()
            try:
                wait = self._deliver_due()
            except SpoolError as error:
                _log.error("storage commitment waits for the ledger: %s", error)
                wait = 5.0
            self._changed.wait(wait)

    def _deliver_due(self) -> float | None:
        """Deliver what is due; how long until more is, s."""
        waits: list[float] = []
        rows = self._spool.ledger.read("SELECT id, request, attempts FROM commitments WHERE state = 'due' ORDER BY id")
        for identifier, kept, attempts in rows:
            if self._stopping:
                return None
            wait = self._not_before.get(identifier, 0.0) - time.monotonic()
            if wait > 0:
                waits.append(wait)
                continue
            delivered = self._deliver(json.loads(kept))
            attempts += 1
            state = "delivered" if delivered else "due" if attempts < len(_RETRY_AFTER_S) else "failed"
            if state == "due":
                self._not_before[identifier] = time.monotonic() + _RETRY_AFTER_S[attempts]
                waits.append(_RETRY_AFTER_S[attempts])
            if state == "failed":
                _log.error("a storage commitment result could not be delivered in %d attempts", attempts)
            self._settle(identifier, state, attempts)
        return min(waits, default=None)

    def _settle(self, identifier: int, state: str, attempts: int) -> None:
        def operation(connection: sqlite3.Connection) -> None:
            if state == "delivered":
                connection.execute("DELETE FROM commitments WHERE id = ?", (identifier,))
            else:
                connection.execute(
                    "UPDATE commitments SET state = ?, attempts = ? WHERE id = ?", (state, attempts, identifier)
                )

        self._spool.ledger.transact(operation)

    def _deliver(self, kept: dict) -> bool:
        peer = self._settings.commitment_peers.get(kept["aet"])
        if peer is None:
            return False
        result = CommitmentRequest.from_json(kept).check(self._spool)
        tls = self._settings.tls
        order = {
            "aet": self._settings.aet,
            "peer_aet": kept["aet"],
            "host": peer[0],
            "port": peer[1],
            "tls": None if tls is None else [str(tls.certificate), str(tls.key), str(tls.authorities)],
            **asdict(result),
        }
        package_root = str(Path(__file__).resolve().parents[2])
        path = os.pathsep.join(filter(None, (package_root, os.environ.get("PYTHONPATH"))))
        try:
            done = subprocess.run(
                [sys.executable, "-m", f"{__package__}.delivery"],
                input=json.dumps(order).encode(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=dict(os.environ, PYTHONPATH=path),
                timeout=_DELIVERY_TIMEOUT_S,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            _log.warning("storage commitment result for %s not delivered: %s", kept["aet"], type(error).__name__)
            return False
        return done.returncode == 0


def deliver(order: dict) -> bool:
    """Open an association to the requester and send it the result; True when it acknowledged."""
    import ssl

    from pydicom.dataset import Dataset
    from pynetdicom import AE, build_role

    from dose_audit.receive.answers import keep_answers

    event = Dataset()
    event.TransactionUID = order["transaction_uid"]
    event.ReferencedSOPSequence = [_reference(c, i) for c, i in order["safe"]]
    if not order["safe"]:
        del event.ReferencedSOPSequence
    if order["failed"]:
        event.FailedSOPSequence = [_reference(c, i, reason) for c, i, reason in order["failed"]]
    tls_args = None
    if order["tls"]:
        certificate, key, authorities = order["tls"]
        context = ssl.create_default_context(cafile=authorities)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(certificate, key)
        tls_args = (context, order["host"])
    entity = AE(order["aet"])
    entity.add_requested_context(STORAGE_COMMITMENT)
    association = entity.associate(
        order["host"],
        order["port"],
        ae_title=order["peer_aet"],
        ext_neg=[build_role(STORAGE_COMMITMENT, scu_role=False, scp_role=True)],
        tls_args=tls_args,
    )
    if not association.is_established:
        return False
    keep_answers(association)
    status, _ = association.send_n_event_report(
        event, 2 if order["failed"] else 1, STORAGE_COMMITMENT, STORAGE_COMMITMENT_INSTANCE
    )
    association.release()
    return bool(status) and status.Status == 0


def _reference(sop_class_uid: str, sop_instance_uid: str, failure_reason: int | None = None):
    from pydicom.dataset import Dataset

    item = Dataset()
    item.ReferencedSOPClassUID = sop_class_uid
    item.ReferencedSOPInstanceUID = sop_instance_uid
    if failure_reason is not None:
        item.FailureReason = failure_reason
    return item


if __name__ == "__main__":
    sys.exit(0 if deliver(json.load(sys.stdin)) else 1)
