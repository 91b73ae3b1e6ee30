"""The same objects give the same rows, whether they were sent or scanned, loose or in an archive."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

from dose_audit.config import Settings
from dose_audit.ingest import listener_settings, open_spool, run_ingest, scan_paths
from dose_audit.receive.access import CallerRule


def _rows() -> tuple[list[Any], list[Any]]:
    from dose_audit.store.models import Event, Exam

    not_content = {"id", "received_at", "updated_at", "site_id", "equipment_id", "exam_id"}
    return tuple(  # type: ignore[return-value]
        [
            {name: value for name, value in row.items() if name not in not_content}
            for row in model.objects.order_by(*order).values()
        ]
        for model, order in ((Exam, ["study_instance_uid"]), (Event, ["exam__study_instance_uid", "event_index"]))
    )


def _ingested(settings: Settings) -> tuple[list[Any], list[Any]]:
    assert run_ingest(settings, workers=0).by_state == {"extracted": 12}
    return _rows()


def test_sent_scanned_and_archived_objects_give_the_same_rows(
    tmp_path: Path, radiographs: Path, django_db_blocker: Any
) -> None:
    from django.db import connections
    from pydicom import dcmread
    from pynetdicom import AE

    from dose_audit.receive.listener import Listener

    def settings(name: str) -> Settings:
        return Settings(
            home=tmp_path / name,
            min_free_bytes=0,
            pseudonym_key_file=tmp_path / "key",
            callers=(CallerRule("RAY*", ("127.0.0.0/8",), site="North"),),
        )

    with django_db_blocker.unblock():
        scanned = settings("scanned")
        scan_paths(scanned, [radiographs], site="North")
        expected = _ingested(scanned)
        assert {exam["received_site"] for exam in expected[0]} == {"North"}

        archive = tmp_path / "files.zip"
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
            for path in radiographs.iterdir():
                file.write(path, f"PATIENT/{path.name}")
        archived = settings("archived")
        scan_paths(archived, [archive], site="North")
        assert _ingested(archived) == expected

        sent = settings("sent")
        with open_spool(sent) as spool:
            listener = Listener(listener_settings(sent, port=0), spool)
            listener.start()
            try:
                sender = AE("RAY1")
                sender.add_requested_context("1.2.840.10008.5.1.4.1.1.1.1", "1.2.840.10008.1.2.1")
                association = sender.associate("127.0.0.1", listener.port, ae_title=sent.aet)
                statuses = [association.send_c_store(dcmread(path)).Status for path in sorted(radiographs.iterdir())]
                association.release()
            finally:
                listener.stop()
        assert statuses == [0x0000] * 12
        assert _ingested(sent) == expected
        connections.close_all()
