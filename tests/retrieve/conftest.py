"""Archives for the tests: a real Orthanc with seven studies, a listener, a spool and a journal of our own."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dose_audit.receive.listener import Listener, ListenerSettings
from dose_audit.receive.spool import Spool
from dose_audit.retrieve import Journal
from tests.orthanc import Orthanc
from tests.retrieve.held import as_file, holdings


@pytest.fixture(scope="session")
def orthanc_program() -> None:
    if shutil.which("Orthanc") is None:
        pytest.skip("Orthanc is not installed (tests/install_peers.sh installs it as root on Debian)")


@pytest.fixture(scope="session")
def orthanc(orthanc_program: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    """One Orthanc for all tests; nobody changes what it holds."""
    running = Orthanc(tmp_path_factory.mktemp("orthanc"))
    try:
        for data in holdings():
            running.call("POST", "/instances", as_file(data))
        yield running
    finally:
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
