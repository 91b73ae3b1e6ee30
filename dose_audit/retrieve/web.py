"""An archive reached by DICOMweb: QIDO-RS to ask (dicomweb-client), WADO-RS to bring, its bytes kept as they come.

dicomweb-client hands out parsed data sets; an object has to reach the spool byte for byte, so only its session brings it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import requests
import urllib3

from dose_audit.receive.errors import ObjectTooLarge, SpoolError
from dose_audit.receive.part10 import read_file_meta
from dose_audit.retrieve.answers import LEVELS, Gathering, Raw, instance_reader, series_reader, study_reader
from dose_audit.retrieve.entries import Answers, ArchiveError, Delivery, Instance, Window
from dose_audit.retrieve.multipart import MultipartError, boundary_of, read_parts
from dose_audit.retrieve.reach import trouble

if TYPE_CHECKING:
    from dose_audit.receive.incoming import Incoming
    from dose_audit.receive.spool import Spool
    from dose_audit.retrieve.pace import Pace
    from dose_audit.retrieve.settings import ArchiveSettings

__all__ = ["WebArchive"]

MAX_ANSWER_BYTES = 32 << 20
_PAGE = 500
_CHUNK = 1 << 16
# Any transfer syntax: the archive sends what it has and converts nothing.
_ACCEPT = 'multipart/related; type="application/dicom"; transfer-syntax=*'


class WebArchive:
    """A DICOMweb origin server.

    Parameters
    ----------
    settings : ArchiveSettings
        ``method`` is ``web``.
    pace : Pace
        Asked for leave before every request.
    """

    def __init__(self, settings: ArchiveSettings, pace: Pace) -> None:
        from dicomweb_client import DICOMwebClient

        self._settings = settings
        self._pace = pace
        # Both would print what an archive sends, which may name patients; what matters is told by `ArchiveError`.
        for name in ("retrying", "dicomweb_client"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
        self._session = _session(settings)
        self._client = DICOMwebClient(settings.url.rstrip("/"), session=self._session, timeout=settings.timeout_s)
        self._client.set_http_retry_params(retry=False)  # what failed is asked for again by the next run

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    # -- asking --------------------------------------------------------------------------------------------------

    def studies(self, window: Window, modality: str) -> Answers:
        filters = {"StudyDate": window.date_key, "ModalitiesInStudy": modality}
        if not window.whole:
            filters["StudyTime"] = window.time_key
        return self._search(
            self._client.search_for_studies, "STUDY", study_reader(window, modality), search_filters=filters
        )

    def studies_by_accession(self, accession_number: str) -> Answers:
        filters = {"AccessionNumber": accession_number}
        return self._search(self._client.search_for_studies, "STUDY", study_reader(None, None), search_filters=filters)

    def series(self, study_instance_uid: str) -> Answers:
        return self._search(
            self._client.search_for_series,
            "SERIES",
            series_reader(study_instance_uid),
            study_instance_uid=study_instance_uid,
        )

    def instances(self, study_instance_uid: str, series_instance_uid: str) -> Answers:
        return self._search(
            self._client.search_for_instances,
            "IMAGE",
            instance_reader(study_instance_uid, series_instance_uid),
            study_instance_uid=study_instance_uid,
            series_instance_uid=series_instance_uid,
        )

    def _search(self, search: Callable[..., list], level: str, read: Callable[[Raw], Any], **question: Any) -> Answers:
        """Ask page by page until a page brings nothing new: some servers ignore the offset."""
        gathering = Gathering(read, self._settings.max_answers)
        fields = [name for name in LEVELS[level] if not name.endswith("InstanceUID")]
        offset = 0
        while True:
            self._pace.leave()
            with self._told():
                page = search(fields=fields, limit=_PAGE, offset=offset, **question)
            if not isinstance(page, list):
                raise ArchiveError(f"archive {self._settings.name}: the answer is no list")
            new = 0
            for answer in page:
                new += gathering.add(_raw(answer, level))
                if gathering.full:
                    return gathering.answers
            if not new:
                return gathering.answers
            offset += len(page)

    # -- bringing ------------------------------------------------------------------------------------------------

    def fetch(self, wanted: Sequence[Instance], spool: Spool) -> Delivery:
        delivery = Delivery()
        for instance in wanted:
            self._pace.leave()
            try:
                self._bring(instance, spool, delivery)
            except (ArchiveError, ObjectTooLarge) as error:
                delivery.problem = delivery.problem or str(error)
        return delivery

    def _bring(self, instance: Instance, spool: Spool, delivery: Delivery) -> None:
        from dicomweb_client import URI

        address = str(
            URI(
                self._settings.url.rstrip("/"),
                instance.study_instance_uid,
                instance.series_instance_uid,
                instance.sop_instance_uid,
                permissive=True,
            )
        )
        sink = _Part(instance, spool, f"web:{self._settings.name}", self._settings.max_object_bytes)
        try:
            with (
                self._told(),
                self._session.get(
                    address, headers={"Accept": _ACCEPT}, stream=True, timeout=self._settings.timeout_s
                ) as answer,
            ):
                answer.raise_for_status()
                chunks = _chunks(answer, self._settings.transfer_timeout_s)
                boundary = boundary_of(answer.headers.get("Content-Type", ""))
                if boundary is None:  # some servers send a single instance bare
                    for chunk in chunks:
                        sink.write(chunk)
                    sink.finish()
                else:
                    read_parts(chunks, boundary, sink.again)
        finally:
            sink.abort()
        delivery.unasked += sink.unasked

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Turn every way in which an answer can fail into one `ArchiveError` without the answer's text."""
        name = self._settings.name
        try:
            yield
        except requests.HTTPError as error:
            status = error.response.status_code if error.response is not None else "?"
            raise ArchiveError(f"archive {name}: HTTP status {status}") from None
        except requests.Timeout:
            raise ArchiveError(f"archive {name}: no answer within {self._settings.timeout_s:g} s") from None
        except MultipartError as error:
            raise ArchiveError(f"archive {name}: {error}") from None
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            raise ArchiveError(f"archive {name}: {trouble(error) or type(error).__name__}") from None
        except (ArchiveError, SpoolError):
            raise
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ArchiveError(f"archive {name}: the answer cannot be read ({type(error).__name__})") from None


class _Part:
    """One part of an answer on its way into the spool, if it is the instance that was asked for."""

    def __init__(self, instance: Instance, spool: Spool, source: str, most: int) -> None:
        self.unasked = 0
        self._instance = instance
        self._spool = spool
        self._source = source
        self._left = most
        self._head = b""
        self._incoming: Incoming | None = None
        self._done = False

    def again(self) -> _Part:
        """The sink of the next part: the first that is wanted is kept."""
        self.abort()
        self._head = b""
        return self

    def write(self, data: bytes) -> None:
        self._left -= len(data)
        if self._left < 0:
            raise ArchiveError("the answer is longer than an object may be")
        if self._done:
            return
        if self._incoming is None:
            self._head += data
            if len(self._head) < _CHUNK:
                return
            self._open()
            data, self._head = self._head, b""
        if self._incoming is not None:
            self._incoming.write(data)

    def finish(self) -> None:
        if self._done:
            self.unasked += 1
            return
        if self._incoming is None:
            self._open()
            if self._incoming is None:
                return
            self._incoming.write(self._head)
        incoming, self._incoming = self._incoming, None
        incoming.commit()
        self._done = True

    def abort(self) -> None:
        """Forget what is not complete."""
        if self._incoming is not None:
            self._incoming.abort()
            self._incoming = None

    def _open(self) -> None:
        meta = read_file_meta(self._head)
        if meta is None:
            raise ArchiveError("the answer is no DICOM file")
        if meta.sop_instance_uid != self._instance.sop_instance_uid:
            raise ArchiveError("the answer is another instance than the one asked for")
        self._incoming = self._spool.begin(
            source=self._source,
            sop_class_uid=meta.sop_class_uid,
            sop_instance_uid=meta.sop_instance_uid,
            transfer_syntax_uid=meta.transfer_syntax_uid,
            whole_file=True,
        )


class _Session(requests.Session):
    """A session that follows nobody elsewhere, knows no environment, and reads answers only up to a length."""

    def __init__(self, timeout_s: float) -> None:
        super().__init__()
        self.trust_env = False  # neither a proxy nor a password file of whoever runs this
        self._timeout_s = timeout_s
        self.hooks["response"].append(self._read)

    def get_redirect_target(self, resp: requests.Response) -> None:
        return None

    def _read(self, answer: requests.Response, **how: Any) -> requests.Response:
        """Read an answer that is not streamed, within bounds of length and time."""
        if answer.is_redirect:
            raise ArchiveError("the archive sends us elsewhere; set its own address")
        if not how.get("stream"):
            body = bytearray()
            try:
                for chunk in _chunks(answer, self._timeout_s):
                    body += chunk
                    if len(body) > MAX_ANSWER_BYTES:
                        raise ArchiveError(f"an answer of more than {MAX_ANSWER_BYTES >> 20} MB")
            finally:
                answer.close()
            answer._content = bytes(body)
            answer._content_consumed = True
        return answer


def _session(settings: ArchiveSettings) -> _Session:
    session = _Session(settings.transfer_timeout_s)
    if settings.authorities:
        session.verify = settings.authorities
    if settings.certificate:
        session.cert = (settings.certificate, settings.key) if settings.key else settings.certificate
    if settings.token_file:
        session.headers["Authorization"] = f"Bearer {settings.secret('token_file')}"
    elif settings.username:
        session.auth = (settings.username, settings.secret("password_file"))
    return session


def _chunks(answer: requests.Response, seconds: float) -> Iterator[bytes]:
    """The body as it comes, within a time: whoever sends byte by byte is not waited for until a block is full."""
    deadline = time.monotonic() + seconds
    while chunk := answer.raw.read1(_CHUNK, decode_content=True):
        yield chunk
        if time.monotonic() > deadline:
            raise ArchiveError(f"the answer took longer than {seconds:g} s")


def _tags() -> dict[str, str]:
    from pydicom.datadict import tag_for_keyword

    return {name: f"{tag_for_keyword(name):08X}" for names in LEVELS.values() for name in names}


_TAGS = _tags()


def _raw(answer: Any, level: str) -> Raw:
    """One answer in the DICOM JSON model as keyword → value (PS3.18 annex F)."""
    raw: dict[str, object] = {}
    for keyword in LEVELS[level]:
        element = answer.get(_TAGS[keyword]) if isinstance(answer, dict) else None
        values = element.get("Value") if isinstance(element, dict) else None
        if isinstance(values, list) and values:
            plain = [value for value in values[:32] if isinstance(value, str | int)]
            raw[keyword] = plain if keyword == "ModalitiesInStudy" else (plain[0] if plain else "")
    return raw
