"""The parts that need no archive: plan, pace, journal, RIS lists, settings, results."""

from __future__ import annotations

import itertools
import json
from datetime import UTC, date, datetime, time, timedelta

import pytest

from dose_audit.config import SettingsError, load_settings
from dose_audit.retrieve import (
    ArchiveSettings,
    Journal,
    keep_reconciliation,
    latest_reconciliation,
    read_ris,
    reconcile,
)
from dose_audit.retrieve.entries import Answers, Delivery, Instance, Series, Study, Window
from dose_audit.retrieve.find import find_studies
from dose_audit.retrieve.journal import JournalError
from dose_audit.retrieve.multipart import MultipartError, boundary_of, read_parts
from dose_audit.retrieve.pace import BusyNow, Pace
from dose_audit.retrieve.plan import IMAGES_PER, covered_by, plan_images, plan_reports
from dose_audit.retrieve.reconciliation import Done, Received, done_by_ris
from dose_audit.retrieve.ris import RisError
from dose_audit.retrieve.run import MAX_ATTEMPTS, fetch_studies

SR = "1.2.840.10008.5.1.4.1.1.88"
DAY = date(2026, 3, 2)
PACS = {"name": "pacs", "method": "get", "aet": "PACS", "host": "192.0.2.1"}


# -- plan ---------------------------------------------------------------------------------------------------------


def plan(held: dict[str, list[tuple[str, int | None]]]) -> list[tuple[str, int | None]]:
    """``modality → [(SOP Class, acquisition number)]``, one series each; what is planned, as (modality, number)."""
    series = [Series("1", f"1.{n}", modality) for n, modality in enumerate(held, start=1)]
    instances = {
        one.series_instance_uid: [
            Instance("1", one.series_instance_uid, f"{one.series_instance_uid}.{n}", sop_class, n, acquisition)
            for n, (sop_class, acquisition) in enumerate(held[one.modality], start=1)
        ]
        for one in series
    }
    names = {one.series_instance_uid: one.modality for one in series}

    def lister(one: Series) -> list[Instance]:
        return instances[one.series_instance_uid]

    reports = plan_reports(series, lister)
    covered = covered_by(report.sop_class_uid for report in reports)
    wanted = [*reports, *plan_images(series, lister, covered=covered, modalities=list(IMAGES_PER))]
    return [(names[instance.series_instance_uid], instance.number) for instance in wanted]


@pytest.mark.parametrize(
    ("report", "images"),
    [
        (f"{SR}.67", [("PT", 1)]),
        (f"{SR}.76", [("PT", 1)]),
        (f"{SR}.68", [("CT", 1)]),
        (f"{SR}.22", [("CT", 1), ("PT", 1)]),  # may be a dose summary, may be anything: it covers nothing
    ],
)
def test_a_report_stands_for_the_images_that_it_covers(report, images) -> None:
    assert plan({"SR": [(report, None)], "CT": [("ct", 1)], "PT": [("pt", 1)]}) == [("SR", 1), *images]


def test_other_reports_are_left_and_unnamed_ones_fetched() -> None:
    assert plan({"SR": [(f"{SR}.11", None), ("", None)], "MR": [("mr", 1)]}) == [("SR", 2)]


def test_one_image_of_every_acquisition_and_all_of_projections() -> None:
    acquisitions = [("ct", 1)] * 3 + [("ct", 2)] * 5 + [("ct", None)]
    assert plan({"CT": acquisitions}) == [("CT", 2), ("CT", 6), ("CT", 9)]
    assert plan({"XA": [("xa", 1)] * 3}) == [("XA", 1), ("XA", 2), ("XA", 3)]
    assert plan({"NM": [("nm", 1)] * 3}) == [("NM", 2)]


def test_what_is_fetched_of_one_study_is_bounded_and_told(spool, journal) -> None:
    class Many:
        asked = 0

        def series(self, uid: str) -> Answers:
            return Answers([Series(uid, f"{uid}.1", "XA")])

        def instances(self, uid: str, series_uid: str) -> Answers:
            return Answers([Instance(uid, series_uid, f"{series_uid}.{n}", "xa", n) for n in range(1, 31)])

        def fetch(self, wanted: list[Instance], spool) -> Delivery:
            self.asked = max(self.asked, len(wanted))
            return Delivery("out of tape")

    settings, archive = ArchiveSettings(**PACS, pause_s=0, max_study_objects=10), Many()
    summary = fetch_studies(settings, archive, spool, journal, [Study("1.2", DAY)])
    assert archive.asked == 10 and summary.failed == 1 and "at most 10" in summary.failures[0][1]


# -- days and pieces of days --------------------------------------------------------------------------------------


class Silent:
    """An archive with one study a minute that stops after `limit` answers, saying so or not."""

    def __init__(self, limit: int, *, says: bool, timeless: bool = False) -> None:
        self.limit, self.says, self.queries = limit, says, 0
        self.minutes = list(range(0, 1440, 7))
        self.timeless = timeless

    def studies(self, window: Window, modality: str) -> Answers:
        self.queries += 1
        inside = [m for m in self.minutes if window.first_s <= m * 60 <= window.last_s]
        entries = [Study(f"1.{m}", window.day) for m in inside][: self.limit]
        if self.timeless and window.whole:
            entries = [Study("1.9999", window.day), *entries][: self.limit]
        return Answers(entries, truncated=self.says and len(inside) > self.limit)


@pytest.mark.parametrize("says", [True, False])
def test_a_limit_on_answers_does_not_bite(says) -> None:
    archive = Silent(20, says=says, timeless=True)
    found = find_studies(archive, DAY, DAY, ["CT"], result_limit=0 if says else 20)
    assert {study.study_instance_uid for study in found.studies} == {f"1.{m}" for m in archive.minutes} | {"1.9999"}
    assert not found.truncated and archive.queries < 64


def test_a_limit_that_bites_all_the_same_is_told() -> None:
    archive = Silent(2, says=True)
    found = find_studies(archive, DAY, DAY, ["CT"])
    assert found.truncated == [(DAY, "CT")] and archive.queries < 130


def test_windows_cover_the_day_without_gap_or_overlap() -> None:
    windows = [Window(DAY)]
    for _ in range(5):
        windows = [half for window in windows for half in window.halves()]
    assert windows[0].first_s == 0 and windows[-1].last_s == 86_399
    assert all(b.first_s == a.last_s + 1 for a, b in itertools.pairwise(windows))
    assert windows[0].time_key == "000000-004459.999999"


# -- pace ---------------------------------------------------------------------------------------------------------


class Clock:
    def __init__(self) -> None:
        self.time = 0.0

    def sleep(self, seconds: float) -> None:
        self.time += seconds


def test_pauses_and_studies_an_hour() -> None:
    clock = Clock()
    settings = ArchiveSettings(**PACS, pause_s=0.5, studies_per_hour=60)
    pace = Pace(settings, sleep=clock.sleep, clock=lambda: clock.time)
    for _ in range(10):
        pace.study()
        pace.leave()
    assert clock.time == pytest.approx(9 * 60 + 0.5)


def test_busy_hours_stop_a_run_and_leave_the_rest(spool, journal) -> None:
    settings = ArchiveSettings(**PACS, busy_hours="07:00-18:00")
    pace = Pace(settings, now=lambda: datetime(2026, 3, 2, 17, 59))
    with pytest.raises(BusyNow):
        pace.leave()
    Pace(settings, sleep=lambda s: None, now=lambda: datetime(2026, 3, 2, 18, 0)).leave()

    class Asked:
        def series(self, uid: str) -> Answers:
            raise BusyNow("busy hours of the archive")

    summary = fetch_studies(settings, Asked(), spool, journal, [Study("1.2"), Study("1.3")])
    assert summary.stopped and summary.failed == 0 and not journal.kept("pacs", ["1.2", "1.3"])


# -- journal ------------------------------------------------------------------------------------------------------


class Failing:
    def __init__(self) -> None:
        self.asked: list[str] = []

    def series(self, uid: str) -> Answers:
        from dose_audit.retrieve import ArchiveError

        self.asked.append(uid)
        raise ArchiveError("archive pacs: down")


def test_three_failures_in_a_row_end_the_run_and_five_runs_the_study(spool, journal) -> None:
    settings, archive = ArchiveSettings(**PACS, pause_s=0), Failing()
    studies = [Study(f"1.{n}", DAY) for n in range(10)]
    first = fetch_studies(settings, archive, spool, journal, studies)
    assert first.failed == 3 and "in a row" in first.stopped and archive.asked == ["1.0", "1.1", "1.2"]
    for _ in range(MAX_ATTEMPTS - 1):
        fetch_studies(settings, archive, spool, journal, studies[:1])
    assert journal.kept("pacs", ["1.0"])["1.0"].attempts == MAX_ATTEMPTS
    given_up = fetch_studies(settings, archive, spool, journal, studies[:1])
    assert given_up.given_up == 1 and given_up.failed == 0
    assert fetch_studies(settings, archive, spool, journal, studies[:1], again=True).failed == 1


class Killed(BaseException):
    """The process ends here."""


class OneByOne:
    """An archive with one study of two images, sent one after the other; the process may be killed between them."""

    def __init__(self, kills: int) -> None:
        self.kills, self.asked = kills, []

    def series(self, uid: str) -> Answers:
        return Answers([Series(uid, f"{uid}.1", "MG")])

    def instances(self, uid: str, series_uid: str) -> Answers:
        return Answers([Instance(uid, series_uid, f"{series_uid}.{n}", f"{SR}.1", n) for n in (1, 2)])

    def fetch(self, wanted: list[Instance], spool) -> Delivery:
        self.asked.append([one.number for one in wanted])
        for instance in wanted:
            incoming = spool.begin(
                source="dicom:PACS@127.0.0.1",
                sop_class_uid=instance.sop_class_uid,
                sop_instance_uid=instance.sop_instance_uid,
                transfer_syntax_uid="1.2.840.10008.1.2.1",
            )
            incoming.write(b"\x08\0\x05\0CS\x0a\0ISO_IR 100")
            incoming.commit()
            if self.kills:
                self.kills -= 1
                raise Killed
        return Delivery("")


def test_a_study_that_was_cut_short_is_not_taken_for_whole_though_an_exam_of_it_is_stored(spool, journal) -> None:
    settings, archive, studies = ArchiveSettings(**PACS, pause_s=0), OneByOne(kills=1), [Study("1.2", DAY)]
    with pytest.raises(Killed):
        fetch_studies(settings, archive, spool, journal, studies)
    assert journal.kept("pacs", ["1.2"])["1.2"].attempts == 0 and journal.unfinished(["1.2", "1.3"]) == {"1.2"}
    # By now the first image is an exam in the store.
    resumed = fetch_studies(settings, archive, spool, journal, studies, known=lambda uids: {"1.2"})
    assert (resumed.fetched, resumed.already_here, resumed.images) == (1, 0, 2)
    assert archive.asked == [[1, 2], [2]]  # what is here is not asked for again
    assert journal.kept("pacs", ["1.2"])["1.2"].state == "fetched" and not journal.unfinished(["1.2"])
    assert fetch_studies(settings, archive, spool, journal, studies).done_before == 1


def test_runs_that_were_killed_are_no_attempts_and_failed_ones_are_counted_once(spool, journal) -> None:
    class Asked(OneByOne):
        def fetch(self, wanted: list[Instance], spool) -> Delivery:
            if self.kills:
                raise Killed
            return Delivery("out of tape")

    settings, studies = ArchiveSettings(**PACS, pause_s=0), [Study("1.2", DAY)]
    for failed in (1, 2):
        for _ in range(2):
            with pytest.raises(Killed):
                fetch_studies(settings, Asked(kills=1), spool, journal, studies)
        assert fetch_studies(settings, Asked(kills=0), spool, journal, studies).failed == 1
        assert journal.kept("pacs", ["1.2"])["1.2"].attempts == failed


def test_a_study_without_dose_is_looked_at_again_while_reports_may_come(spool, journal) -> None:
    class Empty:
        asked = 0

        def series(self, uid: str) -> Answers:
            self.asked += 1
            return Answers([])

    settings, archive = ArchiveSettings(**PACS, pause_s=0), Empty()
    today = datetime.now(UTC).date()
    fresh, old = Study("1.1", today - timedelta(days=2)), Study("1.2", today - timedelta(days=30))
    for expected in (2, 3):
        assert fetch_studies(settings, archive, spool, journal, [fresh, old]).failed == 0
        assert archive.asked == expected


def test_a_journal_of_a_later_version_and_a_second_run_are_refused(tmp_path) -> None:
    import sqlite3

    path = tmp_path / "journal.sqlite3"
    with Journal(path) as first, Journal(path) as second, first.alone():
        another = second.alone()
        with pytest.raises(JournalError, match="one at a time"):
            another.__enter__()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 1")  # as the first release left it: the same tables
    connection.close()
    with Journal(path) as opened:
        opened.begin("pacs", "1.2")
        assert opened.unfinished(["1.2"])
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(JournalError, match="later version"):
        Journal(path)
    (tmp_path / "no.sqlite3").write_bytes(b"no database at all" * 100)
    with pytest.raises(JournalError, match="cannot be opened"):
        Journal(tmp_path / "no.sqlite3")


# -- multipart ----------------------------------------------------------------------------------------------------


class Kept:
    def __init__(self) -> None:
        self.data, self.complete = b"", False

    def write(self, data: bytes) -> None:
        self.data += data

    def finish(self) -> None:
        self.complete = True


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_parts_however_they_are_cut_into_chunks(size) -> None:
    tricky = b"\r\n--b\r\n-- \r\n--bound"  # as good as a delimiter
    body = b"preamble\r\n--bound!\r\nA: b\r\n\r\n" + tricky + b"\r\n--bound!\r\n\r\nC\r\n--bound!--epilogue"
    sinks: list[Kept] = []

    def another() -> Kept:
        sinks.append(Kept())
        return sinks[-1]

    # The second part has no header: a blank line follows the delimiter's own line end.
    body = body.replace(b"--bound!\r\n\r\nC", b"--bound!\r\nX: y\r\n\r\nC")
    assert read_parts([body[i : i + size] for i in range(0, len(body), size)], b"bound!", another) == 2
    assert [(sink.data, sink.complete) for sink in sinks] == [(tricky, True), (b"C", True)]


@pytest.mark.parametrize(
    "body", [b"", b"--b\r\nA: b\r\n\r\nhalf", b"--b\r\n" + b"A" * 50_000, b"--b", b"nothing of the kind"]
)
def test_bodies_that_are_not_multipart(body) -> None:
    sink = Kept()
    with pytest.raises(MultipartError):
        read_parts([body], b"b", lambda: sink)
    assert not sink.complete
    with pytest.raises(MultipartError):
        boundary_of("multipart/related; type=x")


# -- RIS lists ----------------------------------------------------------------------------------------------------


def test_a_ris_list_in_any_of_its_forms(tmp_path) -> None:
    path = tmp_path / "list.csv"
    path.write_text(
        "﻿Study UID;Exam Date;Modality;Room;Patient\n1.2.3;01.03.2026;ct;CT1;Nobody\n\n1.2.4;2026-03-02 08:15;MR;MR1;X\n"
    )
    rows = list(read_ris(path))
    assert [(r.study_instance_uid, r.day, r.modality, r.station_name) for r in rows] == [
        ("1.2.3", date(2026, 3, 1), "CT", "CT1"),
        ("1.2.4", date(2026, 3, 2), "MR", "MR1"),
    ]
    path.write_text("accession,date\nA1,20260301\nA1,20260301\na2,20260302\n")
    done = done_by_ris(read_ris(path))
    assert [(one.name, one.day) for one in done] == [("line 2", date(2026, 3, 1)), ("line 4", date(2026, 3, 2))]
    assert "A1" not in repr(done) and "A1" not in repr(list(read_ris(path)))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a,b\n1,2\n", "line 1"),
        ("", "line 1"),
        ("uid,date\n../x,20260301\n", "line 2"),
        ("uid,date\n1.2.3,Nobody Real\n", "line 2"),
        ("uid,date\n,20260301\n", "line 2"),
        ('uid,date\n"' + "1" * 200_000, "characters"),
    ],
)
def test_a_ris_list_that_cannot_be_read_is_told_by_line(tmp_path, text, told) -> None:
    path = tmp_path / "list.csv"
    path.write_text(text)
    with pytest.raises(RisError, match=told) as failure:
        list(read_ris(path))
    assert "Nobody" not in str(failure.value)


def test_a_ris_list_in_utf_16_is_refused_as_such(tmp_path) -> None:
    path = tmp_path / "list.csv"
    path.write_text("uid,date\n1.2.3,20260301\n", encoding="utf-16")
    with pytest.raises(RisError, match="zero bytes in it; save it as CSV"):
        list(read_ris(path))


def test_period_and_modality_narrow_a_ris_list(tmp_path) -> None:
    path = tmp_path / "list.csv"
    path.write_text(
        "uid,date,modality\n1.1,20260301,CT\n1.2,20260302,CT\n1.3,20260302,MR\n1.4,20260302,\n1.5,20260303,CT\n"
    )
    done = done_by_ris(read_ris(path), since=DAY, until=DAY, modalities=("CT",))
    assert [one.name for one in done] == ["1.2", "1.4"]


# -- results ------------------------------------------------------------------------------------------------------


def told(moment: datetime, missing: int = 1):
    done = [Done(f"1.{n}", DAY, "CT1", ("CT",), f"1.{n}", f"ACC{n}") for n in range(4)]
    here = {one.name for one in done[missing:]}
    return reconcile(done, Received(here), source="pacs", since=DAY, until=DAY, checked_at=moment)


def test_the_latest_reconciliation_is_kept_without_accession_numbers(tmp_path) -> None:
    assert latest_reconciliation(tmp_path) is None
    keep_reconciliation(tmp_path, told(datetime(2026, 3, 3, 2), missing=2))
    path = keep_reconciliation(tmp_path, told(datetime(2026, 3, 4, 2)))
    record = latest_reconciliation(tmp_path)
    assert record is not None and "ACC" not in path.read_text()
    assert (record["archived"], record["received"], record["percent"], record["missing_count"]) == (4, 3, 75.0, 1)
    assert record["missing"] == [{"study": "1.0", "day": "2026-03-02", "station": "CT1", "modalities": ["CT"]}]
    assert record["by_device"] == [
        {
            "station": "CT1",
            "day": "2026-03-02",
            "archived": 4,
            "received": 3,
            "without_dose": 0,
            "missing": 1,
            "percent": 75.0,
        }
    ]
    path.write_text("{")
    assert latest_reconciliation(tmp_path) is None
    path.write_text(json.dumps({"version": 99}))
    assert latest_reconciliation(tmp_path) is None


def test_nothing_done_has_no_completeness() -> None:
    nothing = reconcile([], Received(), source="pacs", since=DAY, until=DAY, checked_at=datetime(2026, 3, 3))
    assert nothing.percent is None and nothing.record()["percent"] is None


# -- settings -----------------------------------------------------------------------------------------------------


def test_archives_are_read_from_the_settings_file(tmp_path) -> None:
    (tmp_path / "dose-audit.toml").write_text(
        '[[archives]]\nname = "pacs"\naet = "PACS"\nhost = "192.0.2.1"\nmodalities = ["ct", "MG"]\nbusy_hours = "07:00-18:30"\n'
        '[[archives]]\nname = "web"\nmethod = "web"\nurl = "https://192.0.2.2/dicom-web"\n'
    )
    first, second = load_settings(home=tmp_path, environment={}).archives
    assert (first.method, first.port, first.modalities) == ("move", 104, ("CT", "MG"))
    assert time(12) in first.busy and time(19) not in first.busy and time(12) not in second.busy


@pytest.mark.parametrize(
    "row",
    [
        'name = "pacs"\n',
        'name = ""\naet = "A"\nhost = "h"\n',
        'name = "p"\nmethod = "ftp"\n',
        'name = "p"\naet = "ALTOGETHER_TOO_LONG"\nhost = "h"\n',
        'name = "p"\naet = "A"\nhost = "h"\nport = 0\n',
        'name = "p"\naet = "A"\nhost = "h"\nbusy_hours = "noon"\n',
        'name = "p"\naet = "A"\nhost = "h"\npause_s = -1\n',
        'name = "p"\naet = "A"\nhost = "h"\nmodalities = "CT"\n',
        'name = "p"\nmethod = "web"\nurl = "ftp://192.0.2.1/"\n',
        'name = "p"\nmethod = "web"\nurl = "https://me:secret@192.0.2.1/"\n',
        'name = "p"\nmethod = "web"\nurl = "http://192.0.2.1/"\ntoken_file = "t"\n',
        'name = "p"\naet = "A"\nhost = "h"\nspeed = 3\n',
        'name = "p"\naet = "A"\nhost = "h"\nport = "many"\n',
    ],
)
def test_rows_that_cannot_be_used_are_refused(tmp_path, row) -> None:
    (tmp_path / "dose-audit.toml").write_text("[[archives]]\n" + row)
    with pytest.raises(SettingsError, match="archives entry 1"):
        load_settings(home=tmp_path, environment={})
