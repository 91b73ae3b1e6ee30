"""Storage commitment: answered after a new hash, at once or on an association of our own, however long the list."""

from __future__ import annotations

import io
import struct
import threading
from pathlib import Path

import pydicom

from bench.dicom_sender import (
    COMMITMENT,
    CT_IMAGE,
    EXPLICIT_LITTLE,
    IMPLICIT_LITTLE,
    RDSR,
    VERIFICATION,
    Sender,
    command,
    data_set,
    element,
    pdata,
)
from dose_audit.receive.spool import Spool

CONTEXTS = [(1, CT_IMAGE, (EXPLICIT_LITTLE,)), (3, VERIFICATION, (EXPLICIT_LITTLE,)), (5, RDSR, (IMPLICIT_LITTLE,))]


def test_commitment_results_come_on_the_same_association_after_a_new_hash(listen) -> None:
    running = listen()
    offers = [*CONTEXTS, (7, COMMITMENT, (IMPLICIT_LITTLE,)), (9, COMMITMENT, (EXPLICIT_LITTLE,))]
    with Sender(running.address, offers) as sender:
        for n in range(3):
            assert sender.store(CT_IMAGE, f"1.2.{n}", data_set(CT_IMAGE, f"1.2.{n}", 900)) == 0
        damaged = next(item for item in running.objects() if item.sop_instance_uid == "1.2.2")
        damaged.path.write_bytes(damaged.path.read_bytes()[:-1] + b"!")
        for context, implicit in ((7, True), (9, False)):
            ask = pydicom.Dataset()
            ask.TransactionUID = f"1.9.{context}"
            ask.ReferencedSOPSequence = []
            for sop_class, instance in (
                (CT_IMAGE, "1.2.0"),
                (CT_IMAGE, "1.2.1"),
                (CT_IMAGE, "1.2.2"),
                (CT_IMAGE, "1.2.9"),
                (RDSR, "1.2.1"),
            ):
                reference = pydicom.Dataset()
                reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = sop_class, instance
                ask.ReferencedSOPSequence.append(reference)
            stream = io.BytesIO()
            pydicom.dcmwrite(stream, ask, implicit_vr=implicit, little_endian=True, enforce_file_format=False)
            request = command(
                {0x0003: COMMITMENT, 0x0100: 0x0130, 0x0110: 5, 0x0800: 1, 0x1001: "1.2.840.10008.1.20.1.1", 0x1008: 1}
            )
            sender.socket.sendall(
                pdata(context, request, is_command=True) + pdata(context, stream.getvalue(), is_command=False)
            )
            response = sender.read_response()
            assert response[0x0100] == b"\x30\x81" and response[0x0900] == b"\0\0" and response[0x1008] == b"\x01\0"
            event = sender.read_response()
            assert event[0x0100] == b"\0\x01" and event[0x1002] == b"\x02\0"
            result = pydicom.dcmread(io.BytesIO(sender.read_pdu()[12:]), force=True) if implicit else None
            if result is None:
                raw = pydicom.filereader.read_dataset(io.BytesIO(sender.read_pdu()[12:]), False, True)
                result = pydicom.Dataset(raw)
            assert result.TransactionUID == f"1.9.{context}"
            assert [r.ReferencedSOPInstanceUID for r in result.ReferencedSOPSequence] == ["1.2.0", "1.2.1"]
            failures = {
                (r.ReferencedSOPClassUID, r.ReferencedSOPInstanceUID): r.FailureReason for r in result.FailedSOPSequence
            }
            assert failures == {(CT_IMAGE, "1.2.2"): 0x0110, (CT_IMAGE, "1.2.9"): 0x0112, (RDSR, "1.2.1"): 0x0119}
            acknowledge = command({0x0002: COMMITMENT, 0x0100: 0x8100, 0x0120: 1, 0x0800: 0x0101, 0x0900: 0})
            sender.socket.sendall(pdata(context, acknowledge, is_command=True))
        assert sender.echo(3) == 0
    assert running.listener.metrics()["commitment_results_acknowledged"] == 2


def test_commitment_requests_that_cannot_be_served(listen) -> None:
    running = listen()
    with Sender(
        running.address, [(1, COMMITMENT, (IMPLICIT_LITTLE,)), (3, VERIFICATION, (IMPLICIT_LITTLE,))]
    ) as sender:
        head = {0x0003: COMMITMENT, 0x0100: 0x0130, 0x0110: 5, 0x0800: 1, 0x1001: "1.2.840.10008.1.20.1.1", 0x1008: 1}
        for context, elements, body, status in (
            (1, {0x1008: 2}, b"\0" * 10, 0x0123),
            (1, {}, b"rubbish that is no data set", 0x0115),
            (1, {}, b"\0" * 4_100_000, 0x0213),
            (3, {}, b"\0" * 10, 0x0122),
        ):
            request = command({**head, **elements})
            sender.socket.sendall(pdata(context, request, is_command=True) + pdata(context, body, is_command=False))
            assert sender.status() == status
        assert sender.echo(3) == 0


def test_commitment_of_twenty_thousand_instances_within_bounds(own_process) -> None:
    """A study's worth and more, by several callers at once: the answer names each, and memory stays bounded."""
    process = own_process(fsync=False)
    offers = [*CONTEXTS, (7, COMMITMENT, (IMPLICIT_LITTLE,))]
    root = "1.2.826.0.1.3680043.10.999.20261121." + "7" * 20
    with Sender(process.address, offers) as sender:
        for n in range(3):
            assert sender.store(CT_IMAGE, f"{root}.{n}", data_set(CT_IMAGE, f"{root}.{n}", 900)) == 0
    references = [
        element(0x00081150, b"UI", CT_IMAGE.encode(), IMPLICIT_LITTLE)
        + element(0x00081155, b"UI", f"{root}.{n}".encode(), IMPLICIT_LITTLE)
        for n in range(20_000)
    ]
    items = b"".join(struct.pack("<HHI", 0xFFFE, 0xE000, len(reference)) + reference for reference in references)
    asked = element(0x00081195, b"UI", b"1.9", IMPLICIT_LITTLE) + element(0x00081199, b"SQ", items, IMPLICIT_LITTLE)
    assert 2_000_000 < len(asked) < 4_000_000
    head = {0x0003: COMMITMENT, 0x0100: 0x0130, 0x0110: 5, 0x0800: 1, 0x1001: "1.2.840.10008.1.20.1.1", 0x1008: 1}
    told: list[tuple[int, int]] = []

    def work() -> None:
        with Sender(process.address, offers, timeout=120, max_pdu=0) as sender:
            sender.socket.sendall(pdata(7, command(head), is_command=True) + pdata(7, asked, is_command=False))
            assert sender.status() == 0
            assert sender.read_response()[0x1002] == b"\2\0"
            pieces, last = [], False
            while not last:
                pdu = sender.read_pdu()
                pieces.append(pdu[12:])
                last = bool(pdu[11] & 2)
            body = b"".join(pieces)
            failed = body.index(struct.pack("<HH", 0x0008, 0x1198))
            safe = body.index(struct.pack("<HH", 0x0008, 0x1199))
            assert failed < safe  # in the order of their tags
            instance = struct.pack("<HH", 0x0008, 0x1155)
            told.append((body[safe:].count(instance), body[failed:safe].count(instance)))

    before = process.rss_mb()
    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert told == [(3, 19_997)] * 3
    assert process.rss_mb() - before < 45


def test_undelivered_commitments_survive_a_restart(listen, tmp_path: Path, free_port: int, eventually) -> None:
    from pynetdicom import AE, evt
    from pynetdicom.sop_class import StorageCommitmentPushModel

    from dose_audit.receive.commitment import CommitmentRequest

    spool = Spool(tmp_path / "s", min_free_bytes=0)
    peers = {"CT1": ("127.0.0.1", free_port)}
    first = listen(spool=spool, commitment_peers=peers)
    with Sender(first.address, CONTEXTS) as sender:
        assert sender.store(CT_IMAGE, "1.2.1", data_set(CT_IMAGE, "1.2.1", 900)) == 0
    first.listener.stop(1)
    first.listener.commitments.accept("CT1", CommitmentRequest("1.9.1", ((CT_IMAGE, "1.2.1"),)))
    heard = []

    def handle(event: evt.Event):
        heard.append((event.event_type, event.event_information.TransactionUID))
        return 0x0000, None

    entity = AE("CT1")
    entity.add_supported_context(StorageCommitmentPushModel, scu_role=False, scp_role=True)
    server = entity.start_server(("127.0.0.1", free_port), block=False, evt_handlers=[(evt.EVT_N_EVENT_REPORT, handle)])
    try:
        listen(spool=spool, commitment_peers=peers)
        eventually(lambda: heard)
        eventually(lambda: not spool.ledger.read("SELECT 1 FROM commitments"))
    finally:
        server.shutdown()
    assert heard == [(1, "1.9.1")]
