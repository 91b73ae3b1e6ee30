"""A real archive for the tests: Debian's Orthanc on ports and in a folder of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from dose_audit.retrieve import ArchiveSettings
from tests.children import ending_with_us
from tests.patience import LONG_S, wait_until
from tests.ports import own_port


class Orthanc:
    """A running Orthanc; ``call(method, path, body)`` speaks to its REST interface."""

    def __init__(self, folder: Path, **more: Any) -> None:
        self.http_port, self.dicom_port = own_port(), own_port()
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
            "DicomAssociationCloseDelay": 0,  # else it goes on sending to a listener that was killed in the meantime
            **more,
        }
        configuration = folder / "orthanc.json"
        configuration.write_text(json.dumps(settings))
        binary = shutil.which("Orthanc")
        assert binary is not None
        self.process = subprocess.Popen(
            ending_with_us(binary, configuration),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=dict(os.environ, TCP_NODELAY="1"),
        )
        try:
            wait_until(self._answers)
        except BaseException:
            self.stop()
            raise

    def _answers(self) -> bool:
        """Whether it has started; it takes associations before it takes requests."""
        assert self.process.poll() is None, "Orthanc does not start"
        try:
            self.call("GET", "/system")
        except (urllib.error.URLError, ConnectionError):
            return False
        return True

    def call(self, method: str, path: str, body: object = None) -> Any:
        data = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.http_port}{path}", data=data, method=method)
        with urllib.request.urlopen(request, timeout=LONG_S) as reply:
            return json.loads(reply.read() or b"null")

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(LONG_S)
        finally:
            self.process.kill()

    def settings(self, method: str, **more: Any) -> ArchiveSettings:
        """The row of the settings that reaches it."""
        row = {"aet": "ORTHANC", "host": "127.0.0.1", "port": self.dicom_port, "pause_s": 0.0, "settle_s": LONG_S}
        return ArchiveSettings(**{"name": "pacs", "method": method, **row, **more})
