"""TLS towards an archive: both sides show certificates, and a stranger's is refused."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from wsgiref.simple_server import make_server

import pytest
from pydicom.dataset import Dataset
from pynetdicom import AE, evt
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind, StudyRootQueryRetrieveInformationModelGet

from dose_audit.retrieve import ArchiveError, ArchiveSettings, open_archive
from dose_audit.retrieve.entries import Window
from tests.certificates import Certificates
from tests.retrieve.held import DAY_1, holdings, study_uid
from tests.retrieve.web_server import WebServer, _Server, _Silent


@pytest.fixture(scope="session")
def authority(program, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an authority, a certificate for 127.0.0.1 and one of ours, and a stranger who signed himself."""
    made = Certificates(program("openssl"), tmp_path_factory.mktemp("certificates"))
    for name in ("ca", "stranger"):
        made.authority(name)
    for name in ("archive", "us"):
        made.signed(name, "ca", names="IP:127.0.0.1")
    return made.folder


@pytest.fixture
def demanding(authority: Path) -> ssl.SSLContext:
    """An archive's side, which wants to see our certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority / "archive.pem", authority / "archive.key")
    context.load_verify_locations(authority / "ca.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    return context


def ours(authority: Path, name: str = "us") -> dict[str, str]:
    return {
        "certificate": str(authority / f"{name}.pem"),
        "key": str(authority / f"{name}.key"),
        "authorities": str(authority / "ca.pem"),
    }


@pytest.fixture
def dicom(demanding: ssl.SSLContext, authority: Path) -> Iterator[ArchiveSettings]:
    def find(event) -> Iterator:
        answer = Dataset()
        answer.StudyInstanceUID = "1.2.3"
        yield 0xFF00, answer

    entity = AE("SECURE")
    entity.add_supported_context(StudyRootQueryRetrieveInformationModelFind)
    entity.add_supported_context(StudyRootQueryRetrieveInformationModelGet)
    server = entity.start_server(
        ("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_FIND, find)], ssl_context=demanding
    )
    yield ArchiveSettings(
        "pacs", "get", aet="SECURE", host="127.0.0.1", port=server.server_address[1], tls=True, pause_s=0, timeout_s=60,
        **ours(authority),
    )  # fmt: skip
    server.shutdown()
    server.server_close()


def test_dicom_over_tls_with_certificates_on_both_sides(dicom, authority) -> None:
    with open_archive(dicom) as archive:
        assert [one.study_instance_uid for one in archive.studies(Window(DAY_1), "CT").entries] == ["1.2.3"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"certificate": "", "key": ""}, "it wants to see a certificate of ours"),
        (
            {"certificate": "stranger.pem", "key": "stranger.key"},
            "it does not (know who signed|accept) our certificate",
        ),
        ({"authorities": "stranger.pem"}, "its certificate is not accepted: .*(self-signed|local issuer)"),
        ({"tls": False}, ".* does it want TLS"),
    ],
    ids=["we show none", "we show a stranger's", "theirs is a stranger's", "we speak plainly"],
)
def test_dicom_over_tls_refuses_the_rest_and_says_why(dicom, authority, change, told) -> None:
    paths = {
        name: str(authority / value) if isinstance(value, str) and value else value for name, value in change.items()
    }
    with (
        open_archive(replace(dicom, **paths)) as archive,
        pytest.raises(ArchiveError, match=f"cannot be reached: {told}"),
    ):
        archive.studies(Window(DAY_1), "CT")


def test_https_with_certificates_on_both_sides(demanding, authority) -> None:
    application = WebServer(holdings())
    with make_server("127.0.0.1", 0, application, server_class=_Server, handler_class=_Silent) as server:
        server.socket = demanding.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        settings = ArchiveSettings(
            "web",
            "web",
            url=f"https://127.0.0.1:{server.server_port}/dicom-web",
            pause_s=0,
            timeout_s=60,
            **ours(authority),
        )
        try:
            with open_archive(settings) as archive:
                assert len(archive.series(study_uid(1)).entries) == 2
            # What it thinks of us comes after the handshake, when we may be writing already.
            unknown = "it does not know who signed our|.*does it accept our certificate|connection reset|broken pipe"
            for wrong, told in (
                (ours(authority, "stranger"), rf"archive web: ({unknown})"),
                (
                    ours(authority) | {"authorities": str(authority / "stranger.pem")},
                    "archive web: its certificate is not accepted: ",
                ),
            ):
                with open_archive(replace(settings, **wrong)) as archive, pytest.raises(ArchiveError, match=told):
                    archive.series(study_uid(1))
        finally:
            server.shutdown()
            thread.join()
