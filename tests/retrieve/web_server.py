"""A small DICOMweb server on loopback over a list of data sets, which can be told to misbehave."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from socketserver import ThreadingMixIn
from typing import Any
from urllib.parse import parse_qs
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from pydicom.datadict import keyword_for_tag, tag_for_keyword
from pydicom.dataset import Dataset

from tests.retrieve.held import as_file

BOUNDARY = "a-boundary"
Reply = tuple[str, list[tuple[str, str]], Iterable[bytes]]


class WebServer:
    """QIDO-RS for studies, series, instances with paging; WADO-RS for one instance.

    Attributes
    ----------
    asked : list of str
        Path and query of every request.
    headers : list of dict
        Environment of every request.
    intercept : callable or None
        Given path and query, answers in the server's place, or returns None.
    page : int
        Most answers of one page, whatever the client asks for.
    """

    def __init__(self, held: list[Dataset]) -> None:
        self.held = held
        self.asked: list[str] = []
        self.headers: list[dict[str, Any]] = []
        self.intercept: Callable[[str, dict[str, str]], Reply | None] = lambda path, query: None
        self.page = 1_000_000
        self.url = ""

    def __call__(self, environment: dict[str, Any], start: Callable) -> Iterable[bytes]:
        path = environment["PATH_INFO"]
        query = {name: values[-1] for name, values in parse_qs(environment["QUERY_STRING"]).items()}
        self.asked.append(f"{path}?{environment['QUERY_STRING']}")
        self.headers.append(environment)
        status, headers, body = self.intercept(path, query) or self._answer(path, query)
        start(status, headers)
        return body

    def _answer(self, path: str, query: dict[str, str]) -> Reply:
        parts = path.strip("/").split("/")[1:]
        given = dict(zip(parts[::2], parts[1::2], strict=False))
        level = parts[-1] if len(parts) % 2 else "instance"
        keys = {"studies": "StudyInstanceUID", "series": "SeriesInstanceUID", "instances": "SOPInstanceUID"}
        chosen = [d for d in self.held if all(d.get(keys[name]) == uid for name, uid in given.items())]
        if level == "instance":
            return self.instance(chosen[0]) if chosen else ("404 Not Found", [], [])
        chosen = [d for d in chosen if self._matches(d, query)]
        entries = list({d.get(keys[level]): self._entry(d, level) for d in chosen}.values())
        offset, limit = int(query.get("offset", 0)), min(self.page, int(query.get("limit", self.page)))
        return self.answers(entries[offset : offset + limit])

    def _matches(self, data: Dataset, query: dict[str, str]) -> bool:
        if "StudyDate" in query and data.StudyDate != query["StudyDate"]:
            return False
        if "AccessionNumber" in query and data.AccessionNumber != query["AccessionNumber"]:
            return False
        return "ModalitiesInStudy" not in query or query["ModalitiesInStudy"] in self._modalities(data)

    def _modalities(self, data: Dataset) -> list[str]:
        return sorted({d.Modality for d in self.held if d.StudyInstanceUID == data.StudyInstanceUID})

    def _entry(self, data: Dataset, level: str) -> dict[str, Any]:
        names = {
            "studies": ["StudyInstanceUID", "StudyDate", "PatientName"],
            "series": ["StudyInstanceUID", "SeriesInstanceUID", "Modality", "StationName"],
            "instances": [
                "StudyInstanceUID",
                "SeriesInstanceUID",
                "SOPInstanceUID",
                "SOPClassUID",
                "InstanceNumber",
                "AcquisitionNumber",
            ],
        }
        values = {name: data.get(name) for name in names[level]}
        entry = {tag(name): {"Value": [_plain(value)]} for name, value in values.items() if value is not None}
        if level == "studies":
            entry[tag("ModalitiesInStudy")] = {"vr": "CS", "Value": self._modalities(data)}
        return entry

    def answers(self, entries: list[Any]) -> Reply:
        """A QIDO-RS answer."""
        return "200 OK", [("Content-Type", "application/dicom+json")], [json.dumps(entries).encode()]

    def instance(self, data: Dataset, *, cut: int | None = None) -> Reply:
        """A WADO-RS answer, in small pieces so that delimiters fall across them; `cut` ends it early."""
        body = f"--{BOUNDARY}\r\nContent-Type: application/dicom\r\n\r\n".encode() + as_file(data)
        body += f"\r\n--{BOUNDARY}--\r\n".encode()
        kind = f'multipart/related; type="application/dicom"; boundary={BOUNDARY}'
        whole = body[:cut]
        return "200 OK", [("Content-Type", kind)], [whole[i : i + 1000] for i in range(0, len(whole), 1000)]


def tag(keyword: str) -> str:
    number = tag_for_keyword(keyword)
    assert number is not None and keyword_for_tag(number) == keyword
    return f"{number:08X}"


def _plain(value: Any) -> Any:
    return int(value) if isinstance(value, int) else str(value)


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients hang up in these tests; that is what is tested."""


class _Silent(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def serving(held: list[Dataset]) -> Iterator[WebServer]:
    application = WebServer(held)
    with make_server("127.0.0.1", 0, application, server_class=_Server, handler_class=_Silent) as server:
        application.url = f"http://127.0.0.1:{server.server_port}/dicom-web"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        yield application
        server.shutdown()
        thread.join()
