"""Archives for the tests: a real Orthanc with seven studies, a listener, a spool and a journal of our own."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dose_audit.receive.listener import Listener, ListenerSettings
from dose_audit.receive.spool import Spool
from dose_audit.retrieve import ArchiveSettings, Journal
from tests.retrieve.held import as_file, holdings


def port_of_ours() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Orthanc:
    """A running Orthanc; ``call(method, path, body)`` speaks to its REST interface."""

    def __init__(self, folder: Path, **more: Any) -> None:
        self.http_port, self.dicom_port = port_of_ours(), port_of_ours()
        settings = {
            "Name": "archive",
            "StorageDirectory": str(folder / "db"),
            "IndexDirectory": str(folder / "db"),
            "HttpPort": self.http_port,
            "DicomPort": self.dicom_port,
            "DicomAet": "ORTHANC",
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": False,
            "DicomAlwaysAllowGet": True,
            "DicomAlwaysAllowMove": True,
            "DicomAlwaysAllowFind": True,
            "DicomModalitiesInDatabase": True,
            "DicomModalities": {},
            "Plugins": [],
            "DicomCheckCalledAet": True,
            "SynchronousCMove": False,  # the harder way: it says that it has sent before it has
            **more,
        }
        configuration = folder / "orthanc.json"
        configuration.write_text(json.dumps(settings))
        binary = shutil.which("Orthanc")
        assert binary is not None
        self.process = subprocess.Popen(
            [binary, str(configuration)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=dict(os.environ, TCP_NODELAY="1"),
        )
        deadline = time.monotonic() + 30
        while True:
            try:
                self.call("GET", "/system")
                break
            except (urllib.error.URLError, ConnectionError):
                assert time.monotonic() < deadline and self.process.poll() is None, "Orthanc does not start"
                time.sleep(0.1)

    def call(self, method: str, path: str, body: object = None) -> Any:
        data = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.http_port}{path}", data=data, method=method)
        with urllib.request.urlopen(request, timeout=30) as reply:
            return json.loads(reply.read() or b"null")

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(20)

    def settings(self, method: str, **more: Any) -> ArchiveSettings:
        """The row of the settings that reaches it."""
        row = {"aet": "ORTHANC", "host": "127.0.0.1", "port": self.dicom_port, "pause_s": 0.0, "timeout_s": 20.0}
        return ArchiveSettings(**{"name": "pacs", "method": method, **row, **more})


@pytest.fixture(scope="session")
def orthanc_program() -> None:
    if shutil.which("Orthanc") is None:
        pytest.skip("Orthanc is not installed (tests/install_peers.sh installs it as root on Debian)")


@pytest.fixture(scope="session")
def orthanc(orthanc_program: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    """One Orthanc for all tests; nobody changes what it holds."""
    running = Orthanc(tmp_path_factory.mktemp("orthanc"))
    for data in holdings():
        running.call("POST", "/instances", as_file(data))
    yield running
    running.stop()


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    with Spool(tmp_path / "spool", min_free_bytes=0, fsync=False) as opened:
        yield opened


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal(tmp_path / "retrieve.sqlite3") as opened:
        yield opened


@pytest.fixture
def destination(orthanc: Orthanc, spool: Spool) -> Iterator[Listener]:
    """Our listener, and Orthanc told where it is."""
    listener = Listener(ListenerSettings(port=0), spool)
    listener.start()
    orthanc.call("PUT", "/modalities/audit", {"AET": "DOSEAUDIT", "Host": "127.0.0.1", "Port": listener.port})
    yield listener
    listener.stop(0.5)


@pytest.fixture
def in_spool(spool: Spool) -> Callable[[], set[str]]:
    """SOP Instance UIDs of everything in the spool, whoever brought it."""
    return lambda: {uid for (uid,) in spool.ledger.read("SELECT sop_instance_uid FROM objects")}
