"""DICOMweb against a server on loopback that serves real bytes, and against one that misbehaves."""

from __future__ import annotations

import hashlib
import itertools
import time
from collections.abc import Iterator

import pytest

from dose_audit.retrieve import ArchiveError, ArchiveSettings, open_archive, retrieve
from dose_audit.retrieve.find import find_studies
from tests.patience import quickest, seconds
from tests.receive.leftovers import unfinished
from tests.retrieve.held import DAY_1, DAY_2, DAY_3, EVERYTHING, WANTED, as_file, holdings, study_uid
from tests.retrieve.web_server import WebServer, serving, tag


@pytest.fixture
def server() -> Iterator[WebServer]:
    with serving(holdings()) as running:
        yield running


def row(server: WebServer, **more) -> ArchiveSettings:
    return ArchiveSettings(
        **{"name": "web", "method": "web", "url": server.url, "pause_s": 0.0, "timeout_s": 60.0, **more}
    )


def run(settings: ArchiveSettings, spool, journal, since=DAY_1, until=DAY_3, **more):
    with open_archive(settings) as archive:
        return retrieve(settings, archive, spool, journal, since, until, **more)


def test_the_same_is_fetched_as_over_dicom_byte_for_byte(server, spool, journal, in_spool) -> None:
    summary = run(row(server), spool, journal)
    assert in_spool() == EVERYTHING
    assert (summary.fetched, summary.failed, summary.reports, summary.images) == (6, 0, 3, 6)
    sent = {data.SOPInstanceUID: hashlib.sha256(as_file(data)).hexdigest() for data in holdings()}
    for item in spool.claim(100, worker="test"):
        assert item.sha256 == sent[item.sop_instance_uid] == hashlib.sha256(item.path.read_bytes()).hexdigest()
        assert item.source == "web:web"
    asked = [text for text in server.asked if "/instances/" in text]
    assert len(asked) == len(EVERYTHING) and "transfer-syntax=*" in server.headers[-1]["HTTP_ACCEPT"]


def test_small_pages_are_read_to_the_end(server, spool, journal, in_spool) -> None:
    server.page = 1
    assert run(row(server), spool, journal).fetched == 6
    assert in_spool() == EVERYTHING


def test_a_server_that_ignores_the_offset_ends(server, spool, journal, in_spool) -> None:
    honest = server._answer
    server._answer = lambda path, query: honest(path, query | {"offset": "0"})  # type: ignore[method-assign]
    assert run(row(server), spool, journal).fetched == 6
    assert in_spool() == EVERYTHING


def test_a_bare_instance_without_multipart_is_taken(server, spool, journal, in_spool) -> None:
    by_uid = {data.SOPInstanceUID: as_file(data) for data in holdings()}

    def bare(path: str, query: dict[str, str]):
        return (
            ("200 OK", [("Content-Type", "application/dicom")], [by_uid[path.rsplit("/", 1)[1]]])
            if "/instances/" in path
            else None
        )

    server.intercept = bare
    assert run(row(server), spool, journal).fetched == 6
    assert in_spool() == EVERYTHING


def test_token_and_password_are_sent_from_their_files(server, tmp_path) -> None:
    token, password = tmp_path / "token", tmp_path / "password"
    token.write_text("a.b.c\n")
    password.write_text("open sesame\n")
    for settings in (row(server, token_file=str(token)), row(server, username="u", password_file=str(password))):
        with open_archive(settings) as archive:
            archive.series(study_uid(1))
    sent = list(dict.fromkeys(headers["HTTP_AUTHORIZATION"] for headers in server.headers))
    assert sent == ["Bearer a.b.c", "Basic dTpvcGVuIHNlc2FtZQ=="]  # RFC 6750, RFC 7617


def endless() -> Iterator[bytes]:
    return itertools.repeat(b"[" * 60_000)


def slow() -> Iterator[bytes]:
    for _ in range(200):
        time.sleep(0.05)
        yield b" "


HOSTILE_ANSWERS = {
    "endless": ("200 OK", [("Content-Type", "application/json")], endless),
    "deep": ("200 OK", [("Content-Type", "application/json")], lambda: [b"[" * 200_000]),
    "not json": ("200 OK", [("Content-Type", "application/json")], lambda: [b"<html>Nobody^Real</html>"]),
    "a number": ("200 OK", [("Content-Type", "application/json")], lambda: [b"5"]),
    "slow": ("200 OK", [("Content-Type", "application/json")], slow),
    "forbidden": ("403 Forbidden", [], list),
    "broken": ("500 Oops", [], list),
    "elsewhere": ("302 Found", [("Location", "http://127.0.0.1:9/")], list),
}


@pytest.mark.parametrize("kind", HOSTILE_ANSWERS)
def test_a_hostile_answer_is_one_error_without_its_text(server, kind) -> None:
    status, headers, body = HOSTILE_ANSWERS[kind]
    server.intercept = lambda path, query: (status, headers, body())
    settings = row(server, transfer_timeout_s=1.0)

    def refused() -> None:
        server.asked.clear()
        with open_archive(settings) as archive, pytest.raises(ArchiveError) as failure:
            find_studies(archive, DAY_1, DAY_1, ["CT"])
        assert "Nobody" not in str(failure.value) and len(server.asked) == 1

    assert quickest(lambda: seconds(refused), 5) < 5  # the slow one would take ten seconds


def test_entries_that_are_none_are_counted_and_left_out(server) -> None:
    wrong = [
        {},
        7,
        None,
        {tag("StudyInstanceUID"): {"Value": ["../../etc/passwd"]}},
        {tag("StudyInstanceUID"): {"Value": [{"deep": 1}]}},
        {tag("StudyInstanceUID"): "1.2.3"},
        {tag("StudyInstanceUID"): {"Value": ["1." * 40 + "1"]}},
        {tag("StudyInstanceUID"): {"Value": ["1.2.3"]}, tag("StudyDate"): {"Value": ["19990101"]}},
        {tag("StudyInstanceUID"): {"Value": ["1.2.4"]}, tag("ModalitiesInStudy"): {"Value": ["MR"]}},
        {tag("StudyInstanceUID"): {"Value": ["1.2.5"]}, tag("StationName"): {"Value": ["CT\x1b[2J" + "x" * 500]}},
    ]
    server.intercept = lambda path, query: server.answers(wrong)
    with open_archive(row(server)) as archive:
        found = find_studies(archive, DAY_1, DAY_1, ["CT"])
    [study] = found.studies
    assert study.study_instance_uid == "1.2.5" and study.station_name == "CT[2J" + "x" * 59
    assert found.left_out == {
        "no valid Study Instance UID": 14,
        "study of another day": 2,
        "study of another modality": 2,
    }


def test_new_studies_without_end_are_cut_off(server) -> None:
    numbers = itertools.count()

    def more(path: str, query: dict[str, str]):
        return server.answers([{tag("StudyInstanceUID"): {"Value": [f"1.2.{next(numbers)}"]}} for _ in range(50)])

    server.intercept = more
    with open_archive(row(server, max_answers=300)) as archive:
        answers = archive.studies(window_of(DAY_1), "CT")
    assert answers.truncated and len(answers.entries) == 300 and len(server.asked) == 6


def window_of(day):
    from dose_audit.retrieve.entries import Window

    return Window(day)


def test_instances_that_are_not_what_was_asked_for(server, spool, journal, in_spool) -> None:
    """Another instance, half an instance, an instance too long, and no DICOM at all: each study fails, nothing is kept."""
    held = {data.SOPInstanceUID: data for data in holdings()}
    other, html = held[min(WANTED[1])], b"<html>sign in</html>"

    def answer(path: str, query: dict[str, str]):
        uid = path.rsplit("/", 1)[1]
        if uid in WANTED[2]:
            return server.instance(other)
        if uid in WANTED[3]:
            return server.instance(held[uid], cut=600)
        if uid in WANTED[4]:
            return "200 OK", [("Content-Type", "application/dicom")], itertools.repeat(b"\0" * 65_536, 100)
        if uid in WANTED[5] or uid in WANTED[7]:
            return "200 OK", [("Content-Type", "text/html")], [html]
        return None

    server.intercept = answer
    summary = run(row(server, max_object_bytes=1_000_000), spool, journal)
    assert in_spool() == WANTED[1]
    reasons = dict(summary.failures)
    assert set(reasons) == {study_uid(n) for n in (2, 3, 4, 5, 7)} - ({study_uid(7)} if summary.stopped else set())
    assert "another instance" in reasons[study_uid(2)] and "ends inside a part" in reasons[study_uid(3)]
    assert not unfinished(spool.root)


def test_a_second_part_that_nobody_asked_for_is_not_kept(server, spool, journal, in_spool) -> None:
    held = {data.SOPInstanceUID: data for data in holdings()}

    def two(path: str, query: dict[str, str]):
        if "/instances/" not in path:
            return None
        status, headers, body = server.instance(held[path.rsplit("/", 1)[1]])
        first = b"".join(body).rsplit(b"--", 1)[0]
        extra = b"\r\nContent-Type: application/dicom\r\n\r\n" + as_file(held[min(WANTED[7])]) + b"\r\n--a-boundary--"
        return status, headers, [first + extra]

    server.intercept = two
    summary = run(row(server), spool, journal, DAY_2, DAY_2, modalities=["MG"])
    assert in_spool() == WANTED[3] and summary.unasked == 2 and summary.fetched == 1
