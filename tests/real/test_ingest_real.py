"""Real objects from the door to the store: by scan, by both senders, and what is broken on purpose."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pydicom
import pytest

from dose_audit.config import Settings
from dose_audit.ingest import listener_settings, open_spool, run_ingest, scan_paths
from tests.patience import LONG_S

NOT_BY_DCMTK = {"MG-Im-Hologic-PropProj.dcm"}
"""dcmtk cannot parse it (a length beyond the end of the file), so it cannot send it either."""


@pytest.fixture
def home(tmp_path: Path, django_db_blocker: Any) -> Iterator[Callable[[str], Settings]]:
    """Makes settings of a fresh home by name; all homes share one pseudonym key."""
    from django.db import connections

    with django_db_blocker.unblock():
        yield lambda name: Settings(
            home=tmp_path / name, min_free_bytes=0, pseudonym_key_file=tmp_path / "key", default_site="North"
        )
        connections.close_all()


def _rows() -> list[Any]:
    from dose_audit.store.models import Event, Exam

    not_content = {"id", "received_at", "updated_at", "site_id", "equipment_id", "exam_id"}
    orders = ((Exam, ["study_instance_uid"]), (Event, ["exam__study_instance_uid", "event_index"]))
    return [
        {name: value for name, value in row.items() if name not in not_content}
        for model, order in orders
        for row in model.objects.order_by(*order).values()
    ]


def _differences(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """What differs between two rows, by name."""
    return {name: (one[name], other[name]) for name in one if one[name] != other[name]}


def _total_dlp(item: pydicom.Dataset) -> float | None:
    """CT Dose Length Product Total (113813, DCM) as pydicom reads it."""
    for child in item.get("ContentSequence", ()):
        names = child.get("ConceptNameCodeSequence")
        if names and names[0].CodeValue == "113813" and child.ValueType == "NUM":
            return float(child.MeasuredValueSequence[0].NumericValue)
        found = _total_dlp(child)
        if found is not None:
            return found
    return None


def test_every_dose_object_is_stored(real_dir: Path, home: Callable[[str], Settings]) -> None:
    from django.db import connections

    from dose_audit.store.models import Exam, ReceivedObject

    settings = home("scanned")
    files = sorted((real_dir / "dose").glob("*.dcm"))
    assert scan_paths(settings, [real_dir / "dose"]).registered == len(files)
    summary = run_ingest(settings, workers=0)
    assert summary.objects == len(files)
    assert summary.by_state["quarantined"] == 0
    assert summary.by_state["not_relevant"] == 1  # the structured report that says in its name that it has no dose
    headers = {path.name: pydicom.dcmread(path, stop_before_pixels=True) for path in files}
    studies = {header.StudyInstanceUID for name, header in headers.items() if name != "ESR_non-dose.dcm"}
    assert set(Exam.objects.values_list("study_instance_uid", flat=True)) == studies
    assert ReceivedObject.objects.count() == len(files)

    for name, header in headers.items():
        if name.startswith("CT-RDSR") and "Multi" not in name:
            exam = Exam.objects.get(study_instance_uid=header.StudyInstanceUID)
            assert exam.ct_dlp_mgy_cm == pytest.approx(_total_dlp(header), rel=1e-6), name
    # Three cumulative reports of one study are one exam.
    multi = Exam.objects.get(study_instance_uid=headers["CT-RDSR-Siemens-Multi-3.dcm"].StudyInstanceUID)
    assert (multi.event_count, multi.ct_dlp_mgy_cm) == (3, 236.09)

    connections.close_all()
    stored = b"".join(path.read_bytes() for path in settings.home.glob("dose-audit.sqlite3*"))
    for name, header in headers.items():
        for keyword in ("PatientName", "PatientID", "AccessionNumber", "OperatorsName"):
            text = str(header.get(keyword, "")).strip()
            # Shorter ones ("1234567") turn up inside UIDs and hashes by chance.
            if len(text) > 8 and not text.replace(".", "").isdigit():
                assert text.encode("utf-8", "replace") not in stored, f"{name}: {keyword}"


@pytest.mark.peer
def test_sent_by_two_peers_they_give_the_rows_of_a_scan(
    real_dir: Path, home: Callable[[str], Settings], program: Callable[[str], str]
) -> None:
    from pynetdicom import AE

    from dose_audit.receive.listener import Listener

    dcmsend = program("dcmsend")
    files = sorted((real_dir / "dose").glob("*.dcm"))

    def by_dcmsend(port: int, aet: str) -> list[Path]:
        sendable = [path for path in files if path.name not in NOT_BY_DCMTK]
        command = [dcmsend, "--no-uid-checks", "-aec", aet, "127.0.0.1", str(port), *map(str, sendable)]
        subprocess.run(command, check=True, capture_output=True, timeout=120)
        return sendable

    def by_pynetdicom(port: int, aet: str) -> list[Path]:
        objects = [pydicom.dcmread(path) for path in files]
        sender = AE("SENDER")
        sender.acse_timeout = sender.dimse_timeout = sender.network_timeout = LONG_S  # a busy machine is no fault
        for sop_class, syntax in sorted({(o.SOPClassUID, o.file_meta.TransferSyntaxUID) for o in objects}):
            sender.add_requested_context(sop_class, syntax)
        association = sender.associate("127.0.0.1", port, ae_title=aet)
        assert [association.send_c_store(item).Status for item in objects] == [0x0000] * len(objects)
        association.release()
        return files

    for send in (by_dcmsend, by_pynetdicom):
        sent = home(send.__name__)
        with open_spool(sent) as spool:
            listener = Listener(listener_settings(sent, port=0), spool)
            listener.start()
            try:
                paths = send(listener.port, sent.aet)
            finally:
                listener.stop()
        run_ingest(sent, workers=0)
        rows = _rows()
        scanned = home(f"scanned for {send.__name__}")
        scan_paths(scanned, paths)
        run_ingest(scanned, workers=0)
        again = _rows()
        assert len(again) == len(rows), send.__name__
        assert [_differences(*pair) for pair in zip(again, rows, strict=True) if pair[0] != pair[1]] == [], (
            send.__name__
        )


def test_hostile_files_end_somewhere_by_scan_and_by_upload(real_dir: Path, home: Callable[[str], Settings]) -> None:
    files = [path for path in sorted((real_dir / "hostile").rglob("*")) if path.is_file()]
    scanned = home("scanned")
    summary = scan_paths(scanned, [real_dir / "hostile"])
    assert summary.files == len(files)
    passed_over = sum(summary.not_relevant.values())
    registered = summary.registered + summary.conflicts + summary.duplicates
    assert registered + passed_over + summary.unreadable_count == len(files)
    assert run_ingest(scanned, workers=1, object_cap_s=10.0).objects == summary.registered + summary.conflicts

    uploaded = home("uploaded")
    with open_spool(uploaded) as spool:
        receipts = [spool.add_bytes(path.read_bytes(), source="upload").state for path in files]
    assert run_ingest(uploaded, workers=1, object_cap_s=10.0).objects == len(files) - receipts.count("duplicate")
