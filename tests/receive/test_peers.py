"""Real senders: dcmtk's storescu, dcmsend and echoscu, Orthanc, pynetdicom, and an old modality's way of speaking."""

from __future__ import annotations

import hashlib
import io
import sqlite3
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pydicom
import pytest
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, generate_uid

from bench.dicom_sender import CT_IMAGE, RDSR, connect
from tests.children import ending_with_us
from tests.orthanc import Orthanc
from tests.patience import LONG_S, wait_until

pytestmark = pytest.mark.peer
SAMPLES = Path(__file__).resolve().parents[2] / "testdata"


def make_file(folder: Path, number: int, *, syntax: str = ExplicitVRLittleEndian, sop_class: str = CT_IMAGE) -> Path:
    """A valid Part 10 file with some pixels."""
    data = pydicom.Dataset()
    data.SOPClassUID, data.SOPInstanceUID = sop_class, generate_uid(entropy_srcs=["peers", str(number), syntax])
    data.StudyInstanceUID, data.SeriesInstanceUID = generate_uid(), generate_uid()
    data.PatientID, data.PatientName, data.Modality = f"P{number}", "Test^Peer", "CT"
    data.StudyID, data.SeriesNumber, data.InstanceNumber = "1", 1, number
    data.Rows = data.Columns = 64
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 12, 11, 0
    data.PixelData = bytes(range(256)) * 32
    data.file_meta = pydicom.dataset.FileMetaDataset()
    data.file_meta.TransferSyntaxUID = syntax
    path = folder / f"{number}.dcm"
    data.save_as(path, enforce_file_format=True)
    return path


def data_set_bytes(path: Path) -> bytes:
    """What stands behind the file meta, by pydicom's reading."""
    whole = path.read_bytes()
    stream = io.BytesIO(whole)
    stream.seek(132)
    pydicom.filereader._read_file_meta_info(stream)
    return whole[stream.tell() :]


def assert_received(running, files: list[Path]) -> None:
    stored = {item.sop_instance_uid: item for item in running.objects()}
    assert len(stored) == len(files)
    for file in files:
        sent = pydicom.dcmread(file)
        item = stored[sent.SOPInstanceUID]
        assert hashlib.sha256(item.path.read_bytes()).hexdigest() == item.sha256
        assert data_set_bytes(item.path) == data_set_bytes(file)


def run(*arguments: object) -> subprocess.CompletedProcess:
    return subprocess.run([str(a) for a in arguments], capture_output=True, text=True, timeout=LONG_S, check=False)


def test_echoscu(listen, program) -> None:
    running = listen()
    assert run(program("echoscu"), "-aec", "DOSEAUDIT", "127.0.0.1", running.address[1]).returncode == 0
    assert run(program("echoscu"), "-aec", "ANOTHER", "127.0.0.1", running.address[1]).returncode != 0
    assert running.listener.metrics()["echoes"] == 1


def test_storescu_and_dcmsend_bytes_arrive_unchanged(listen, program, tmp_path: Path) -> None:
    running = listen()
    files = [make_file(tmp_path, n) for n in range(6)]
    port = running.address[1]
    assert run(program("storescu"), "-aec", "DOSEAUDIT", "127.0.0.1", port, *files[:3]).returncode == 0
    assert run(program("dcmsend"), "-aec", "DOSEAUDIT", "127.0.0.1", port, *files[3:]).returncode == 0
    assert_received(running, files)


def test_storescu_with_every_storage_class_proposed_at_once(listen, program, tmp_path: Path) -> None:
    running = listen()
    file = make_file(tmp_path, 1, sop_class=RDSR)
    outcome = run(program("storescu"), "-v", "-aec", "DOSEAUDIT", "127.0.0.1", running.address[1], file)
    assert outcome.returncode == 0, outcome.stderr
    assert_received(running, [file])


def test_small_pdus_of_storescu(listen, program, tmp_path: Path) -> None:
    running = listen(max_pdu=4096)
    file = make_file(tmp_path, 1)
    outcome = run(program("storescu"), "-pdu", 4096, "-aec", "DOSEAUDIT", "127.0.0.1", running.address[1], file)
    assert outcome.returncode == 0, outcome.stderr
    assert_received(running, [file])


def test_pynetdicom_sender_with_extended_negotiation(listen, tmp_path: Path) -> None:
    from pynetdicom import AE
    from pynetdicom.pdu_primitives import (
        AsynchronousOperationsWindowNegotiation,
        SOPClassExtendedNegotiation,
        UserIdentityNegotiation,
    )

    running = listen()
    files = [make_file(tmp_path, 1), make_file(tmp_path, 2, syntax=ImplicitVRLittleEndian)]
    window = AsynchronousOperationsWindowNegotiation()
    window.maximum_number_operations_invoked = window.maximum_number_operations_performed = 8
    extended = SOPClassExtendedNegotiation()
    extended.sop_class_uid, extended.service_class_application_information = CT_IMAGE, b"\x02\0\x03\0\0\0"
    identity = UserIdentityNegotiation()
    identity.user_identity_type, identity.primary_field, identity.secondary_field = 2, b"someone", b"a secret"
    identity.positive_response_requested = True
    entity = AE("PYNET")
    entity.add_requested_context(CT_IMAGE, ExplicitVRLittleEndian)
    entity.add_requested_context(CT_IMAGE, ImplicitVRLittleEndian)
    association = entity.associate(*running.address, ae_title="DOSEAUDIT", ext_neg=[window, extended, identity])
    assert association.is_established
    assert association.acceptor.asynchronous_operations == (1, 1)
    assert association.acceptor.sop_class_extended == {CT_IMAGE: b"\x02\0\x03\0\0\0"}
    assert association.acceptor.user_identity is None
    for file in files:
        assert association.send_c_store(file).Status == 0
    association.release()
    assert_received(running, files)


@pytest.fixture
def orthanc(program, tmp_path: Path) -> Iterator[Orthanc]:
    """Orthanc with a folder of its own."""
    program("Orthanc")
    running = Orthanc(tmp_path)
    yield running
    running.stop()


def test_orthanc_sends_and_asks_for_commitment(listen, orthanc, tmp_path: Path, eventually) -> None:
    running = listen(commitment_peers={"ORTHANC": ("127.0.0.1", orthanc.dicom_port)})
    modality = {"AET": "DOSEAUDIT", "Host": "127.0.0.1", "Port": running.address[1], "AllowStorageCommitment": True}
    orthanc.call("PUT", "/modalities/audit", modality)
    files = [make_file(tmp_path, n) for n in range(3)]
    ids = [orthanc.call("POST", "/instances", file.read_bytes())["ID"] for file in files]
    orthanc.call("POST", "/modalities/audit/store", {"Resources": ids, "Synchronous": True})
    assert_received(running, files)
    sent = [pydicom.dcmread(file) for file in files]
    asked = [[s.SOPClassUID, s.SOPInstanceUID] for s in sent] + [[CT_IMAGE, "1.2.3.404"]]
    transaction = orthanc.call("POST", "/modalities/audit/storage-commitment", {"DicomInstances": asked})["ID"]

    def report() -> dict:
        return orthanc.call("GET", f"/storage-commitment/{transaction}")

    eventually(lambda: report()["Status"] != "Pending")
    assert {entry["SOPInstanceUID"] for entry in report()["Success"]} == {s.SOPInstanceUID for s in sent}
    [failure] = report()["Failures"]
    assert failure["SOPInstanceUID"] == "1.2.3.404" and failure["FailureReason"] == 0x0112


def test_orthanc_pushes_to_a_listener_that_is_killed_and_started_again(orthanc, tmp_path: Path, free_port: int) -> None:
    """Every object in the store once, under the site of its sender, whatever Orthanc was told and sends again."""
    home, files = tmp_path / "home", [path for path in SAMPLES.glob("*.dcm") if "truncated" not in path.name]
    home.mkdir()
    (home / "dose-audit.toml").write_text(
        f"port = {free_port}\nmin_free_bytes = 0\n[[callers]]\naet = 'ORTH*'\nnetworks = ['127.0.0.0/8']\nsite = 'North'\n"
    )
    modality = {"AET": "DOSEAUDIT", "Host": "127.0.0.1", "Port": free_port, "Timeout": 60}
    orthanc.call("PUT", "/modalities/audit", modality)
    ids = [orthanc.call("POST", "/instances", file.read_bytes())["ID"] for file in files]

    def states() -> list[tuple[str, str]]:
        with closing(sqlite3.connect(f"file:{home}/spool/ledger.sqlite?mode=ro", uri=True)) as ledger:
            return ledger.execute("SELECT sop_instance_uid, state FROM objects").fetchall()

    def settled() -> bool:
        return not {"pending", "in_work"} & {state for _, state in states()}

    def push() -> str:
        job = orthanc.call("POST", "/modalities/audit/store", {"Resources": ids, "Asynchronous": True})["ID"]
        return str(job)

    with listening(home):
        push()
        wait_until(lambda: len(states()) >= 5)  # and killed, in mid-stream
    with listening(home) as program:
        job = push()
        wait_until(lambda: orthanc.call("GET", f"/jobs/{job}")["State"] in ("Success", "Failure"))
        assert orthanc.call("GET", f"/jobs/{job}")["State"] == "Success"
        wait_until(settled)
        program.terminate()
        assert program.wait(LONG_S) == 0
    fates = states()
    kept = [uid for uid, state in fates if state in ("extracted", "superseded")]
    assert sorted(kept) == sorted(str(pydicom.dcmread(file, stop_before_pixels=True).SOPInstanceUID) for file in files)
    assert {state for _, state in fates} <= {"extracted", "superseded", "duplicate"}
    with closing(sqlite3.connect(home / "dose-audit.sqlite3")) as store:
        assert store.execute("SELECT DISTINCT name FROM store_site").fetchall() == [("North",)]


@contextmanager
def listening(home: Path) -> Iterator[subprocess.Popen[str]]:
    """`dose-audit listen` on this home; killed in the end, where it has not ended."""
    command = ending_with_us(sys.executable, "-m", "dose_audit.cli", "--home", home, "listen")
    program = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert program.stdout is not None and "Listening as DOSEAUDIT" in program.stdout.readline()
        yield program
    finally:
        program.kill()
        program.communicate(timeout=LONG_S)


def test_an_old_modality_with_implicit_vr_and_odd_padding(listen) -> None:
    """Bytes as a capture of an old digitiser shows them.

    Implicit VR Little Endian and nothing else, PDUs of at most 16 kB, no version name, a wrong group length, a retired
    command element, UIDs padded with a space instead of NUL, command and data set as two PDVs of one PDU, odd lengths.
    """
    running = listen()
    cr_image = b"1.2.840.10008.5.1.4.1.1.1"
    context = b"\x01\0\0\0" + struct.pack(">BBH", 0x30, 0, len(cr_image)) + cr_image
    context += struct.pack(">BBH", 0x40, 0, 17) + b"1.2.840.10008.1.2"
    user = struct.pack(">BBHI", 0x51, 0, 4, 16384) + struct.pack(">BBH", 0x52, 0, 10) + b"1.2.392.20"
    body = b"\0\x01\0\0" + b"DOSEAUDIT       " + b"OLD_CR          " + b"\0" * 32
    body += struct.pack(">BBH", 0x10, 0, 21) + b"1.2.840.10008.3.1.1.1"
    body += struct.pack(">BBH", 0x20, 0, len(context)) + context + struct.pack(">BBH", 0x50, 0, len(user)) + user
    connection = connect(running.address)
    connection.sendall(struct.pack(">BBI", 1, 0, len(body)) + body)
    accepted = connection.recv(4096)
    assert accepted[0] == 2 and accepted.endswith(b"DOSE_AUDIT") and b"1.2.840.10008.1.2" in accepted

    def element(group: int, number: int, value: bytes) -> bytes:
        return struct.pack("<HHI", group, number, len(value)) + value

    command = element(0, 0, struct.pack("<I", 9999))  # a group length that is wrong
    command += element(0, 1, struct.pack("<I", 130))  # Length to End, retired
    command += element(0, 2, cr_image + b" ") + element(0, 0x100, b"\x01\0") + element(0, 0x110, b"\x07\0")
    command += element(0, 0x700, b"\0\0") + element(0, 0x800, b"\x02\x01") + element(0, 0x1000, b"1.2.392.20.1.5 ")
    data = (
        element(8, 0, struct.pack("<I", 70)) + element(8, 0x16, cr_image + b" ") + element(8, 0x18, b"1.2.392.20.1.5 ")
    )
    data += element(0x10, 0x20, b"ABC") + element(0x7FE0, 0x10, b"\x11" * 40_001)
    first, rest = data[:16_000], data[16_000:]
    pdvs = struct.pack(">IBB", len(command) + 2, 1, 3) + command + struct.pack(">IBB", len(first) + 2, 1, 0) + first
    wire = struct.pack(">BBI", 4, 0, len(pdvs)) + pdvs
    while rest:
        piece, rest = rest[:16_378], rest[16_378:]
        wire += struct.pack(">BBIIBB", 4, 0, len(piece) + 6, len(piece) + 2, 1, 0 if rest else 2) + piece
    connection.sendall(wire)
    response = connection.recv(4096)
    at = response.find(b"\0\0\0\x09\x02\0\0\0")
    assert response[at + 8 : at + 10] == b"\0\0"  # Status 0x0000
    connection.sendall(b"\x05\0\0\0\0\x04\0\0\0\0")
    assert connection.recv(10) == b"\x06\0\0\0\0\x04\0\0\0\0"
    connection.close()
    [item] = running.objects()
    assert item.path.read_bytes().endswith(data)
    assert item.transfer_syntax_uid == "1.2.840.10008.1.2" and item.sop_instance_uid == "1.2.392.20.1.5"
    assert item.source == "dicom:OLD_CR@127.0.0.1"
    assert pydicom.dcmread(item.path, force=True).PatientID == "ABC"
