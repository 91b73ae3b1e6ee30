"""Files whose names are no text are registered, known again, read, and found missing like all others."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from dose_audit.receive.file_names import ledger_name, named_path
from dose_audit.receive.spool import Spool

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other file systems refuse these names")

NAMES = [b"b\xfcro.dcm", b"\xff\xfe%41 \x1b[2J", "büro.dcm".encode(), b"100%.dcm", b"bytes:x"]


@pytest.mark.parametrize("name", NAMES)
def test_any_name_is_text_and_leads_back(name: bytes, tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(name)
    told = ledger_name(path)
    told.encode("utf-8")
    assert named_path(told) == path


def test_a_spool_works_with_them(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool", min_free_bytes=0)
    try:
        paths = [tmp_path / os.fsdecode(name) for name in NAMES]
        for number, path in enumerate(paths):
            path.write_bytes(b"x" * 200)
            register = {"source": "scan", "sop_instance_uid": f"1.2.{number}", "sop_class_uid": "1.2.3"}
            assert spool.register_file(path, f"{number:064x}", 200, **register).state == "stored"
            assert spool.register_file(path, f"{number:064x}", 200, **register).state == "duplicate"
            assert spool.known_file(path, 200, path.stat().st_mtime_ns)
        assert [item.path for item in spool.claim(10, worker="me")] == paths
        paths[0].unlink()
        spool.recover()
        assert [item.path for item, _ in spool.quarantined()] == [paths[0]]
    finally:
        spool.close()
