"""Two more real archives: dcmtk's dcmqrscp, which ignores what it does not know, and Orthanc's DICOMweb plugin."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from dose_audit.receive.listener import Listener, ListenerSettings
from dose_audit.retrieve import ArchiveSettings, open_archive, retrieve
from dose_audit.retrieve.listening import someone_listens
from dose_audit.retrieve.reconciliation import Received, done_by_archive, reconcile
from tests.children import ending_with_us
from tests.orthanc import Orthanc
from tests.patience import LONG_S, wait_until
from tests.ports import own_port
from tests.retrieve.held import DAY_1, DAY_3, EVERYTHING, ROOT, as_file, holdings

pytestmark = pytest.mark.peer
# Debian's orthanc-dicomweb, or a plugin that the environment names.
PLUGINS = [os.environ.get("ORTHANC_DICOMWEB_PLUGIN", ""), "/usr/share/orthanc/plugins/libOrthancDicomWeb.so"]


def run(settings: ArchiveSettings, spool, journal):
    with open_archive(settings) as archive:
        return retrieve(settings, archive, spool, journal, DAY_1, DAY_3)


@pytest.fixture
def dcmqrscp(program, spool, tmp_path: Path) -> Iterator[ArchiveSettings]:
    """dcmqrscp with the same studies, and a listener of ours that it may send to."""
    binary, sender = program("dcmqrscp"), program("storescu")
    listener = Listener(ListenerSettings(port=0), spool)
    listener.start()
    port, area = own_port(), tmp_path / "area"
    area.mkdir()
    configuration = tmp_path / "dcmqrscp.cfg"
    configuration.write_text(
        f"NetworkTCPPort = {port}\nMaxPDUSize = 16384\nMaxAssociations = 16\n"
        f"HostTable BEGIN\naudit = (DOSEAUDIT, 127.0.0.1, {listener.port})\nHostTable END\n"
        "VendorTable BEGIN\nVendorTable END\n"
        f"AETable BEGIN\nDCMQR {area} RW (200, 1024mb) ANY\nAETable END\n"
    )
    process = subprocess.Popen(
        ending_with_us(binary, "-c", configuration),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        wait_until(lambda: process.poll() is not None or someone_listens("127.0.0.1", port))
        assert process.poll() is None, "dcmqrscp does not start"
        folder = tmp_path / "files"
        folder.mkdir()
        for number, data in enumerate(holdings()):
            (folder / f"{number}.dcm").write_bytes(as_file(data))
        subprocess.run(
            [sender, "-aec", "DCMQR", "+sd", "127.0.0.1", str(port), str(folder)], check=True, timeout=LONG_S
        )
        yield ArchiveSettings("qr", "move", aet="DCMQR", host="127.0.0.1", port=port, pause_s=0, settle_s=LONG_S)
    finally:
        os.killpg(process.pid, 15)  # it forks a child for each association
        process.wait(LONG_S)
        listener.stop(0.5)


@pytest.mark.parametrize("method", ["move", "get"])
def test_dcmqrscp(dcmqrscp, spool, journal, in_spool, method) -> None:
    settings = replace(dcmqrscp, method=method)
    summary = run(settings, spool, journal)
    # It says neither SOP Class nor acquisition of an image: study 4's text is fetched as well, and it is found out by its
    # bytes that the others are dose reports; study 2 gives one image for its series, the fourth of six.
    differs = {f"{ROOT}.2.1.2", f"{ROOT}.2.1.5"}
    assert in_spool() == EVERYTHING - differs | {f"{ROOT}.2.1.4", f"{ROOT}.4.2.1"}
    # It ignores Modalities in Study, so that the MR study is found as well; nothing of it is wanted.
    assert (summary.fetched, summary.nothing, summary.failed) == (6, 1, 0), summary
    with open_archive(settings) as archive:
        done, _, _ = done_by_archive(settings, archive, journal, DAY_1, DAY_3)
    told = reconcile(done, Received(), source="qr", since=DAY_1, until=DAY_3, checked_at=datetime(2026, 3, 5))
    # Six, not seven: the modality of a study that the archive does not name comes from its series. It names no station.
    assert told.archived == 6 and {row.station for row in told.by_device} == {"not named"}


def test_orthanc_dicomweb(orthanc_program, spool, journal, in_spool, tmp_path: Path) -> None:
    plugin = next((path for path in PLUGINS if path and Path(path).is_file()), None)
    if plugin is None:
        pytest.skip("Orthanc's DICOMweb plugin is not installed (Debian: orthanc-dicomweb)")
    running = Orthanc(tmp_path, Plugins=[plugin], DicomWeb={"Enable": True, "Root": "/dicom-web/"})
    try:
        for data in holdings():
            running.call("POST", "/instances", as_file(data))
        url = f"http://127.0.0.1:{running.http_port}/dicom-web"
        summary = run(ArchiveSettings("web", "web", url=url, pause_s=0), spool, journal)
    finally:
        running.stop()
    assert in_spool() == EVERYTHING and (summary.fetched, summary.failed) == (6, 0)
    sent = {data.SOPInstanceUID: hashlib.sha256(as_file(data)).hexdigest() for data in holdings()}
    assert {item.sop_instance_uid: item.sha256 for item in spool.claim(100, worker="test")}.items() <= sent.items()
