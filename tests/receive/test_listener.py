"""What senders are told, where objects go, what is counted, and how the listener stops."""

from __future__ import annotations

import io
import os
import socket
import sqlite3
import threading
import time
import urllib.request
import zlib
from pathlib import Path

import pydicom
import pytest

from bench.dicom_sender import (
    CT_IMAGE,
    DEFLATED,
    DX_IMAGE,
    EXPLICIT_BIG,
    EXPLICIT_LITTLE,
    IMPLICIT_LITTLE,
    RDSR,
    VERIFICATION,
    Rejected,
    Sender,
    command,
    data_set,
    element,
    pdata,
    store_rq,
)
from dose_audit.receive import incoming
from dose_audit.receive.access import CallerRule
from dose_audit.receive.header import peek
from dose_audit.receive.pdu import BUFFER_BYTES
from dose_audit.receive.routing import Route, Router, unwanted_images
from dose_audit.receive.spool import Spool
from tests.patience import LONG_S, quickest, seconds
from tests.receive.leftovers import unfinished

CONTEXTS = [(1, CT_IMAGE, (EXPLICIT_LITTLE,)), (3, VERIFICATION, (EXPLICIT_LITTLE,)), (5, RDSR, (IMPLICIT_LITTLE,))]


def test_each_uncompressed_and_deflated_syntax_arrives_byte_for_byte(listen) -> None:
    running = listen()
    syntaxes = [EXPLICIT_LITTLE, IMPLICIT_LITTLE, EXPLICIT_BIG, DEFLATED, "1.2.840.10008.1.2.4.90", "1.2.3.4.5.6.7"]
    contexts = [(2 * n + 1, CT_IMAGE, (uid,)) for n, uid in enumerate(syntaxes)]
    sent = {}
    with Sender(running.address, contexts) as sender:
        for n, uid in enumerate(syntaxes):
            assert sender.contexts[2 * n + 1] == (0, uid)
            plain = data_set(CT_IMAGE, f"1.2.{n}", 3001, syntax=EXPLICIT_LITTLE if uid == DEFLATED else uid)
            packer = zlib.compressobj(wbits=-15)
            sent[f"1.2.{n}"] = packer.compress(plain) + packer.flush() if uid == DEFLATED else plain
            assert sender.store(CT_IMAGE, f"1.2.{n}", sent[f"1.2.{n}"], context=2 * n + 1) == 0
    items = {item.sop_instance_uid: item for item in running.objects()}
    assert {uid: item.path.read_bytes()[-len(sent[uid]) :] for uid, item in items.items()} == sent
    assert [items[f"1.2.{n}"].transfer_syntax_uid for n in range(6)] == syntaxes
    assert pydicom.dcmread(items["1.2.3"].path).SOPInstanceUID == "1.2.3"


def test_explicit_is_preferred_to_implicit_in_one_context_and_else_the_senders_order(listen) -> None:
    running = listen()
    offers = [
        (1, CT_IMAGE, (IMPLICIT_LITTLE, EXPLICIT_LITTLE)),
        (3, CT_IMAGE, ("1.2.840.10008.1.2.4.90", EXPLICIT_LITTLE)),
        (5, "1.2.840.10008.5.1.4.1.2.2.1", (IMPLICIT_LITTLE,)),  # Study Root Query/Retrieve FIND: not served
        (7, VERIFICATION, ("1.2.840.10008.1.2.4.90",)),
        (9, "1.3.6.1.4.1.99999.1", (IMPLICIT_LITTLE,)),  # a private SOP class
        (11, "1.2.840.10008.5.1.4.1.1.999.1", (IMPLICIT_LITTLE,)),  # a storage class of a later edition
        (13, "1.2.840.10008.5.1.4.1.1.5", (IMPLICIT_LITTLE,)),  # Nuclear Medicine Image Storage, retired
        (15, "1.2.840.10008.1.20.2", (IMPLICIT_LITTLE,)),  # Storage Commitment Pull Model, retired: not served
    ]
    with Sender(running.address, offers) as sender:
        assert {k: v[0] for k, v in sender.contexts.items()} == {1: 0, 3: 0, 5: 3, 7: 4, 9: 0, 11: 0, 13: 0, 15: 3}
        assert sender.contexts[1][1] == EXPLICIT_LITTLE
        assert sender.contexts[3][1] == "1.2.840.10008.1.2.4.90"


@pytest.mark.parametrize(
    ("request_options", "reply"),
    [
        ({"version": 2}, "03000000000400010202"),
        ({"application_context": "1.2.840.10008.3.1.1.2"}, "03000000000400010102"),
    ],
)
def test_requests_for_what_we_do_not_speak(listen, request_options: dict, reply: str) -> None:
    running = listen()
    with pytest.raises(Rejected) as rejection:
        Sender(running.address, CONTEXTS, **request_options)
    assert rejection.value.pdu == bytes.fromhex(reply)


def test_statuses(listen) -> None:
    running = listen()
    with Sender(running.address, CONTEXTS) as sender:
        good = data_set(CT_IMAGE, "1.2.1", 900)
        assert sender.store(CT_IMAGE, "1.2.1", good) == 0x0000
        assert sender.store(CT_IMAGE, "1.2.1", good) == 0x0000  # the same bytes again
        assert sender.store(CT_IMAGE, "1.2.1", data_set(CT_IMAGE, "1.2.1", 950)) == 0x0000  # other bytes: both are kept
        assert sender.store(CT_IMAGE, "1.2.2", data_set(DX_IMAGE, "1.2.2", 900)) == 0xA900
        assert sender.store(CT_IMAGE, "1.2.3", data_set(CT_IMAGE, "1.2.4", 900)) == 0xA900
        assert sender.store(CT_IMAGE, "1.2.5", b"") == 0xC000
        assert sender.store(CT_IMAGE, "1.2.6", b"1234") == 0xC000
        assert sender.store(CT_IMAGE, "1.2.x", good) == 0x0117
        assert sender.store("not a class", "1.2.7", good) == 0x0117
        assert sender.store(CT_IMAGE, "1.2.8", data_set(CT_IMAGE, "1.2.8", 900), context=3) == 0x0122
        sender.socket.sendall(pdata(1, command({0x0100: 0x0020, 0x0110: 1, 0x0800: 0x0101}), is_command=True))
        assert sender.status() == 0x0211  # C-FIND
        assert sender.echo(3) == 0
    metrics = running.listener.metrics()
    assert metrics["objects_stored"] == 1 and metrics["objects_duplicate"] == 1 and metrics["objects_conflict"] == 1
    assert len(running.objects()) == 2
    assert running.spool.drops()["refusal"] == {
        "UID mismatch": 2, "empty data set": 1, "data set too short": 1, "invalid UID": 2, "no storage context": 1,
    }  # fmt: skip


def test_many_objects_in_one_association_and_in_fragments_of_any_size(listen) -> None:
    running = listen()
    sent = {}
    with Sender(running.address, CONTEXTS) as sender:
        for n, size in enumerate((200, 8_000, 40_000, 130_000, 131_072, 700_001)):
            data = data_set(CT_IMAGE, f"1.2.{n}", size, fill=bytes((n,)))
            sent[f"1.2.{n}"] = data
            wire = pdata(1, store_rq(CT_IMAGE, f"1.2.{n}"), is_command=True, max_pdu=40)
            wire += pdata(1, data, is_command=False, max_pdu=(7, 8, 100, 999, 16_384, 262_144)[n])
            sender.socket.sendall(wire)
            assert sender.status() == 0
    assert {
        item.sop_instance_uid: item.path.read_bytes()[-len(sent[item.sop_instance_uid]) :] for item in running.objects()
    } == sent


def test_several_messages_may_already_be_waiting(listen) -> None:
    running = listen()
    with Sender(running.address, CONTEXTS) as sender:
        wire = b""
        for n in range(20):
            wire += pdata(1, store_rq(CT_IMAGE, f"1.2.{n}"), is_command=True)
            wire += pdata(1, data_set(CT_IMAGE, f"1.2.{n}", 500), is_command=False)
        sender.socket.sendall(wire)
        assert [sender.status() for _ in range(20)] == [0] * 20
    assert len(running.objects()) == 20


def test_out_of_space_is_told_and_the_sender_may_try_again(listen, tmp_path: Path) -> None:
    spool = Spool(tmp_path / "small", min_free_bytes=1 << 60, fsync=False)
    running = listen(spool=spool)
    with Sender(running.address, CONTEXTS) as sender:
        data = data_set(CT_IMAGE, "1.2.1", 300_000)
        assert sender.store(CT_IMAGE, "1.2.1", data) == 0xA700
        spool.min_free_bytes = 0
        assert sender.store(CT_IMAGE, "1.2.1", data) == 0x0000
    assert running.spool.drops()["refusal"] == {"out of resources": 1}


def test_a_disk_that_fills_up_in_mid_object(listen, monkeypatch: pytest.MonkeyPatch) -> None:
    running = listen()
    write, written = os.write, [0]

    def fills_up(descriptor: int, data: bytes) -> int:
        written[0] += len(data)
        if len(data) > 1000 and written[0] > 200_000:
            raise OSError(28, "No space left on device")
        return write(descriptor, data)

    with Sender(running.address, CONTEXTS) as sender:
        monkeypatch.setattr(os, "write", fills_up)
        monkeypatch.setattr(incoming, "_writev", lambda descriptor, pieces: fills_up(descriptor, b"".join(pieces)))
        assert sender.store(CT_IMAGE, "1.2.1", data_set(CT_IMAGE, "1.2.1", 2_000_000)) == 0xA700
        monkeypatch.undo()
        assert running.parts() == []
        assert sender.store(CT_IMAGE, "1.2.1", data_set(CT_IMAGE, "1.2.1", 2_000_000)) == 0


def test_a_kernel_that_refuses_to_write_on(own_process) -> None:
    process = own_process(limits={"longest_file": 12_000_000})
    with Sender(process.address, CONTEXTS) as sender:
        assert sender.store(CT_IMAGE, "1.2.1", data_set(CT_IMAGE, "1.2.1", 13_000_000)) == 0xA700
        assert unfinished(process.spool) == []
        assert sender.store(CT_IMAGE, "1.2.2", data_set(CT_IMAGE, "1.2.2", 9_000_000)) == 0


def test_a_locked_ledger_is_told_and_everything_recovers(listen, tmp_path: Path) -> None:
    running = listen(spool=Spool(tmp_path / "s", min_free_bytes=0, busy_s=0.2))
    with Sender(running.address, CONTEXTS) as sender:
        assert sender.store(CT_IMAGE, "1.2.0", data_set(CT_IMAGE, "1.2.0", 900)) == 0
        other = sqlite3.connect(tmp_path / "s" / "ledger.sqlite", isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        assert sender.store(CT_IMAGE, "1.2.1", data_set(CT_IMAGE, "1.2.1", 900)) == 0xA700
        other.execute("ROLLBACK")
        other.close()
        assert sender.store(CT_IMAGE, "1.2.1", data_set(CT_IMAGE, "1.2.1", 900)) == 0
    assert len(running.objects()) == 2


def test_a_read_only_spool_is_told(listen, monkeypatch: pytest.MonkeyPatch) -> None:
    """Played, for root is not stopped by permissions; `test_real_disks` has a real one where it may mount."""
    running = listen()
    real = os.open

    def read_only(path, flags, *rest):
        if flags & os.O_CREAT and str(path).endswith(".part"):
            raise OSError(30, "Read-only file system")
        return real(path, flags, *rest)

    with Sender(running.address, CONTEXTS) as sender:
        monkeypatch.setattr(os, "open", read_only)
        assert sender.store(CT_IMAGE, "1.2.1", data_set(CT_IMAGE, "1.2.1", 900)) == 0xA700
        monkeypatch.undo()
        assert sender.store(CT_IMAGE, "1.2.1", data_set(CT_IMAGE, "1.2.1", 900)) == 0


PHANTOM = {0x00081010: ("LO", "CT3"), 0x00100020: ("LO", "qa-2026"), 0x00181030: ("LO", "CATPHAN")}


def text(values: dict[int, tuple[str, str]]) -> dict[int, tuple[bytes, str]]:
    return {tag: (vr.encode(), value) for tag, (vr, value) in values.items()}


def test_routes_by_header(listen) -> None:
    routes = (Route("phantom", patient_id="QA*"), Route("phantom", aet="PHANTOM"), *unwanted_images())
    running = listen(routes=routes)
    written = []
    with Sender(running.address, CONTEXTS) as sender:
        phantom = data_set(CT_IMAGE, "1.2.1", 5000, text=text(PHANTOM))
        assert sender.store(CT_IMAGE, "1.2.1", phantom) == 0
        written.append(phantom)
        patient = data_set(CT_IMAGE, "1.2.2", 200_000, text=text({0x00100020: ("LO", "PAT-IENT")}))
        assert sender.store(CT_IMAGE, "1.2.2", patient) == 0
        report = data_set(RDSR, "1.2.3", 3000, syntax=IMPLICIT_LITTLE)
        assert sender.store(RDSR, "1.2.3", report, context=5) == 0
    with Sender(running.address, CONTEXTS, calling="PHANTOM") as sender:
        assert sender.store(CT_IMAGE, "1.2.4", data_set(CT_IMAGE, "1.2.4", 800)) == 0
    routed = dict(running.spool.ledger.read("SELECT sop_instance_uid, route FROM objects"))
    assert routed == {"1.2.1": "phantom", "1.2.3": "dose", "1.2.4": "phantom"}
    assert [item.sop_instance_uid for item in running.objects()] == ["1.2.3"]  # what dose extraction gets
    assert running.spool.drops()["drop"] == {"drop by sop_class": 1}
    everything = b"".join(path.read_bytes() for path in running.spool.root.rglob("*") if path.is_file())
    assert b"PAT-IENT" not in everything and b"qa-2026" in everything


@pytest.mark.parametrize("syntax", [EXPLICIT_LITTLE, IMPLICIT_LITTLE, EXPLICIT_BIG])
def test_peek_agrees_with_pydicom(syntax: str) -> None:
    data = pydicom.Dataset()
    data.SOPClassUID, data.SOPInstanceUID, data.Modality, data.PatientID = CT_IMAGE, "1.2.3", "CT", "QA1"
    data.ReferencedImageSequence = [pydicom.Dataset(), pydicom.Dataset()]
    data.ReferencedImageSequence[0].Modality = "XX"  # must not be taken for the object's own
    data.ReferencedImageSequence[0].AnatomicRegionSequence = [pydicom.Dataset()]
    data.ReferencedImageSequence[0].AnatomicRegionSequence[0].CodeValue = "1"
    data["ReferencedImageSequence"].is_undefined_length = True
    data.StationName, data.ProtocolName = "CT3", "Thorax"
    data.add_new(0x00091010, "UN", b"private" * 200)
    stream = io.BytesIO()
    implicit, little = syntax == IMPLICIT_LITTLE, syntax != EXPLICIT_BIG
    pydicom.dcmwrite(stream, data, implicit_vr=implicit, little_endian=little, enforce_file_format=False)
    tags = {0x00080016, 0x00080018, 0x00080060, 0x00081010, 0x00100020, 0x00181030}
    expected = {tag: str(data[tag].value) for tag in tags}
    assert peek(stream.getvalue(), syntax, frozenset(tags)) == expected
    for cut in range(0, len(stream.getvalue()), 37):  # truncated heads give less, never something else
        part = peek(stream.getvalue()[:cut], syntax, frozenset(tags))
        assert part.items() <= expected.items()


def test_a_deflate_bomb_in_the_header_is_bounded() -> None:
    packer = zlib.compressobj(9, wbits=-15)
    bomb = packer.compress(element(0x00080005, b"UT", b"\0" * 100_000_000)) + packer.flush()
    started = time.process_time()
    assert peek(bomb, DEFLATED, frozenset({0x00080016})) == {}
    assert time.process_time() - started < 1
    assert peek(b"no deflate stream", DEFLATED, frozenset({0x00080016})) == {}


def test_rule_names_for_counters_hold_no_patterns() -> None:
    assert Route("drop", patient_id="SMITH*").name() == "drop by patient_id"
    assert not Router([Route("drop", sop_class=CT_IMAGE)]).needs_header


def test_metrics_answer_on_request(listen) -> None:
    running = listen(metrics_port=0)
    with Sender(running.address, CONTEXTS, calling='A"B\\C') as sender:
        assert sender.store(CT_IMAGE, "1.2.1", data_set(CT_IMAGE, "1.2.1", 900)) == 0
        with urllib.request.urlopen(f"http://127.0.0.1:{running.listener.metrics_port}/metrics", timeout=60) as reply:
            body = reply.read().decode()
    assert 'dose_audit_objects{state="pending"} 1' in body
    assert "dose_audit_listener_associations_now 1" in body
    assert 'source="dicom:A\\"B\\\\C@127.0.0.1"} 1' in body
    names = [line.split("{")[0].split(" ")[0] for line in body.splitlines() if not line.startswith("#")]
    typed = {line.split()[2] for line in body.splitlines() if line.startswith("# TYPE")}
    assert set(names) <= typed


def test_stop_finishes_objects_in_flight_ends_idle_ones_and_refuses_newcomers(listen, eventually) -> None:
    running = listen()
    idle = Sender(running.address, CONTEXTS)
    busy = Sender(running.address, CONTEXTS)
    data = data_set(CT_IMAGE, "1.2.1", 2 * BUFFER_BYTES)
    wire = pdata(1, store_rq(CT_IMAGE, "1.2.1"), is_command=True) + pdata(1, data, is_command=False)
    sent = BUFFER_BYTES + 50_000  # so much that some of it is written
    busy.socket.sendall(wire[:sent])
    eventually(running.parts)
    stopping = threading.Thread(target=running.listener.stop, args=(60,))
    stopping.start()
    assert idle.read_pdu()[:1] == b"\x07"
    with pytest.raises(Rejected) as refusal:
        Sender(running.address, CONTEXTS)
    assert refusal.value.pdu == bytes.fromhex("03000000000400020301")
    busy.socket.sendall(wire[sent:])
    assert busy.status() == 0
    stopping.join(LONG_S)
    assert not stopping.is_alive()
    assert [item.sop_instance_uid for item in running.objects()] == ["1.2.1"]
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(running.address, 1)
    idle.close()
    busy.close()


def test_stop_cuts_off_what_is_not_done_in_time(listen, eventually) -> None:
    def stop() -> float:
        running = listen()
        with Sender(running.address, CONTEXTS) as slow:
            slow.socket.sendall(pdata(1, store_rq(CT_IMAGE, "1.2.1"), is_command=True))
            begun = data_set(CT_IMAGE, "1.2.1", 2 * BUFFER_BYTES)
            slow.socket.sendall(pdata(1, begun, is_command=False, last=False))
            eventually(running.parts)
            took = seconds(lambda: running.listener.stop(0.3))
        assert running.parts() == [] and running.spool.counts()["received"] == 0
        return took

    assert 0.25 < quickest(stop, 3) < 3


def test_sigterm_stops_the_process_in_order_and_the_service_manager_is_told(
    own_process, tmp_path: Path, monkeypatch
) -> None:
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.bind(str(tmp_path / "notify"))
    manager.settimeout(LONG_S)
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    monkeypatch.setenv("WATCHDOG_USEC", "2000000")
    process = own_process()
    heard = set()
    while not {b"READY=1", b"WATCHDOG=1"} <= heard:
        heard.add(manager.recv(100))
    with Sender(process.address, CONTEXTS) as sender:
        assert sender.store(CT_IMAGE, "1.2.1", data_set(CT_IMAGE, "1.2.1", 900)) == 0
    process.ask_to_stop()
    assert process.wait() == 0
    while b"STOPPING=1" not in heard:
        heard.add(manager.recv(100))
    manager.close()
    with Spool(process.spool, min_free_bytes=0) as spool:
        assert spool.recover() == type(spool.recover())()
        assert spool.counts()["pending"] == 1


def test_a_negotiating_process_that_dies_is_replaced(listen) -> None:
    import psutil

    running = listen()
    Sender(running.address, CONTEXTS).release()
    psutil.Process(running.listener.negotiator.pid).kill()
    fresh = [(1, f"1.3.6.1.4.1.99999.{time.time_ns()}", (IMPLICIT_LITTLE,))]  # an offer not answered before
    assert Sender(running.address, fresh).release()[:1] == b"\x06"


def test_rules_of_access_can_name_sites() -> None:
    assert CallerRule("CT1", site="North").site == "North"
