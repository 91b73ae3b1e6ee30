"""The demonstration tells of as many objects as lie on its disk, and the inbox of as many as its senders brought."""

from __future__ import annotations

import zipfile
from pathlib import Path

from dose_audit.cli.common import settings_for
from dose_audit.demo import run
from dose_audit.ingest import open_spool
from dose_audit.receive.metrics import spool_status


def test_every_object_on_disk_is_counted_as_sent_or_scanned_and_by_its_sender(tmp_path: Path) -> None:
    home = tmp_path / "home"
    run.write_settings(home)
    settings = settings_for(home)
    files = run.write_network(tmp_path / "dicom", scale=0.05)
    to_send = sum(path.is_file() for folder in files.listener.values() for path in folder.rglob("*"))
    in_folders = sum(path.is_file() for folder in files.folder.values() for path in folder.rglob("*"))
    in_zips = 0
    for path in files.archive.values():
        with zipfile.ZipFile(path) as archive:
            in_zips += len(archive.namelist())
    assert to_send + in_folders + in_zips == files.object_count

    result = run.receive_network(settings, files, lambda _text, _done, _total: None)

    assert sum(result.sent.values()) == to_send
    assert sum(result.scanned.values()) == in_folders + in_zips
    assert result.repeated == 1  # the report that is planted as sent twice, the same bytes
    with open_spool(settings) as spool:
        status = spool_status(spool)
    received = status["counts"]["received"]
    assert received == files.object_count
    assert sum(row["objects"] + row["duplicates"] for row in status["sources"]) == received
    assert sum(row["duplicates"] for row in status["sources"]) == 1
