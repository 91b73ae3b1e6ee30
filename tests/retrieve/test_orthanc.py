"""A real archive: Orthanc asked by C-FIND, sending by C-MOVE to our listener and by C-GET."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import date, datetime

import pydicom
import pytest
from pynetdicom.acse import ACSE

from dose_audit.retrieve import ArchiveError, ArchiveSettings, open_archive, retrieve
from dose_audit.retrieve.reconciliation import Received, done_by_archive, reconcile
from tests.orthanc import Orthanc
from tests.patience import wait_until
from tests.retrieve.held import DAY_1, DAY_2, DAY_3, EVERYTHING, WANTED, as_file, holdings, study_uid

pytestmark = pytest.mark.peer


def run(settings: ArchiveSettings, spool, journal, since: date = DAY_1, until: date = DAY_3, **more):
    with open_archive(settings) as archive:
        return retrieve(settings, archive, spool, journal, since, until, **more)


@pytest.mark.parametrize("method", ["move", "get"])
def test_reports_come_and_images_only_where_there_is_none(
    orthanc, destination, spool, journal, in_spool, method
) -> None:
    summary = run(orthanc.settings(method), spool, journal)
    assert in_spool() == EVERYTHING
    assert (summary.found, summary.fetched, summary.failed) == (6, 6, 0)
    assert (summary.reports, summary.images) == (3, 6)
    sent = {data.SOPInstanceUID: pydicom.dcmread(io.BytesIO(as_file(data))) for data in holdings()}
    for item in spool.claim(100, worker="test"):
        assert pydicom.dcmread(item.path).to_json_dict() == sent[item.sop_instance_uid].to_json_dict()
    again = run(orthanc.settings(method), spool, journal)
    assert (again.done_before, again.fetched, again.failed) == (6, 0, 0)


@pytest.mark.parametrize("method", ["move", "get"])
def test_dry_run_plans_and_leaves_no_trace(orthanc, destination, spool, journal, in_spool, method) -> None:
    summary = run(orthanc.settings(method), spool, journal, dry_run=True)
    planned = {one.study.study_instance_uid: (one.reports, one.images) for one in summary.planned}
    reports = {1, 5, 7}
    assert planned == {
        study_uid(number): (1, len(wanted) - 1) if number in reports else (0, len(wanted))
        for number, wanted in WANTED.items()
    }
    assert {one.study.station_name for one in summary.planned} == {"CT1", "CT2", "MG1", "PET1"}
    assert not in_spool() and not journal.kept("pacs", [study_uid(n) for n in WANTED])


def test_modality_and_days_narrow_what_is_asked(orthanc, spool, journal, in_spool) -> None:
    summary = run(orthanc.settings("get"), spool, journal, DAY_2, DAY_2, modalities=["MG"])
    assert summary.found == 1 and in_spool() == WANTED[3]


def test_studies_that_are_here_are_not_asked_for(orthanc, spool, journal, in_spool) -> None:
    here = {study_uid(1), study_uid(2)}
    settings = orthanc.settings("get")
    summary = run(settings, spool, journal, known=lambda uids: here & set(uids))
    assert summary.already_here == 2 and in_spool() == EVERYTHING - WANTED[1] - WANTED[2]
    everything = run(settings, spool, journal, known=lambda uids: here & set(uids), again=True)
    assert everything.fetched == 6 and in_spool() == EVERYTHING


def test_an_interrupted_retrieval_goes_on_where_it_was(orthanc, spool, journal, in_spool) -> None:
    settings = orthanc.settings("get")

    def interrupt(done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(settings, spool, journal, progress=interrupt)
    first = in_spool()
    assert first and first < EVERYTHING
    summary = run(settings, spool, journal)
    assert (summary.done_before, summary.fetched) == (2, 4)
    assert in_spool() == EVERYTHING
    [[received]] = spool.ledger.read("SELECT COUNT(*) FROM objects")
    assert received == len(EVERYTHING)


def test_what_is_in_the_spool_already_is_not_sent_again(orthanc, spool, journal) -> None:
    """A study that was cut in the middle: one of its two objects came."""
    [half] = [data for data in holdings() if data.SOPInstanceUID == min(WANTED[3])]
    spool.add_bytes(as_file(half), source="test")
    summary = run(orthanc.settings("get"), spool, journal, DAY_2, DAY_2, modalities=["MG"])
    assert summary.fetched == 1 and summary.images == 2
    assert spool.counts()["received"] == 2 and spool.counts()["duplicate"] == 0


def test_a_move_that_arrives_nowhere_is_a_failure(orthanc, spool, journal) -> None:
    """The archive says that it sent everything; it went to somebody else."""
    other = spool.root.parent / "elsewhere"
    from dose_audit.receive.listener import Listener, ListenerSettings
    from dose_audit.receive.spool import Spool

    with Spool(other, min_free_bytes=0, fsync=False) as elsewhere:
        listener = Listener(ListenerSettings(port=0), elsewhere)
        listener.start()
        orthanc.call("PUT", "/modalities/audit", {"AET": "DOSEAUDIT", "Host": "127.0.0.1", "Port": listener.port})
        try:
            settings = orthanc.settings("move", modalities=("MG",), settle_s=0.3)
            summary = run(settings, spool, journal, DAY_2, DAY_2)
        finally:
            listener.stop(0.5)
    assert summary.failed == 1 and "did not arrive" in summary.failures[0][1]
    assert journal.kept("pacs", [study_uid(3)])[study_uid(3)].state == "failed"


def test_an_unknown_destination_is_told_with_the_archives_status(orthanc, spool, journal) -> None:
    settings = orthanc.settings("move", modalities=("MG",), destination_aet="NOBODY")
    summary = run(settings, spool, journal, DAY_2, DAY_2)
    assert summary.failed == 1 and "C-MOVE was refused with status 0x" in summary.failures[0][1]


def test_an_archive_that_is_not_there(spool, journal, free_port) -> None:
    settings = ArchiveSettings("pacs", "get", aet="ORTHANC", host="127.0.0.1", port=free_port, pause_s=0)
    with pytest.raises(ArchiveError, match="cannot be reached"):
        run(settings, spool, journal)


def test_an_archive_that_refuses_the_title_by_which_we_call_it(orthanc, spool, journal) -> None:
    settings = replace(orthanc.settings("get"), aet="SOMEBODY_ELSE")
    with pytest.raises(ArchiveError, match="refused us: it does not answer to that AE title"):
        run(settings, spool, journal)


def test_a_refusal_that_came_before_anybody_waited_for_it(orthanc, spool, journal, monkeypatch) -> None:
    """On a busy machine the archive has refused and hung up before our own thread asks whether there is a connection."""
    send = ACSE.send_request

    def slow_to_wait(self: ACSE) -> None:
        send(self)
        wait_until(lambda: self.dul.to_user_queue.qsize() > 0 and not self.dul.is_alive())

    monkeypatch.setattr(ACSE, "send_request", slow_to_wait)
    settings = replace(orthanc.settings("get"), aet="SOMEBODY_ELSE")
    with pytest.raises(ArchiveError, match="refused us: it does not answer to that AE title"):
        run(settings, spool, journal)


def test_reconciliation_by_station_and_day(orthanc, journal) -> None:
    settings = orthanc.settings("get")
    with open_archive(settings) as archive:
        done, truncated, left_out = done_by_archive(settings, archive, journal, DAY_1, DAY_3)
    assert not truncated and left_out == 0
    here = Received({study_uid(1), study_uid(3)}, {study_uid(4)})
    told = reconcile(done, here, source="pacs", since=DAY_1, until=DAY_3, checked_at=datetime(2026, 3, 5))
    counted = {
        (row.station, row.day): (row.archived, row.received, row.without_dose, row.missing) for row in told.by_device
    }
    assert counted == {
        ("CT1", DAY_1): (1, 1, 0, 0),
        ("CT1", DAY_2): (1, 0, 1, 0),
        ("CT1", DAY_3): (1, 0, 0, 1),
        ("CT2", DAY_2): (1, 0, 0, 1),
        ("MG1", DAY_2): (1, 1, 0, 0),
        ("PET1", DAY_3): (1, 0, 0, 1),
    }
    assert told.percent == pytest.approx(100 * 2 / 6)
    assert [one.name for one in told.missing] == [study_uid(2), study_uid(7), study_uid(5)]


def test_a_limited_archive_is_asked_in_shorter_pieces(orthanc_program, tmp_path) -> None:
    """Twenty studies on one day at an Orthanc that answers with five at most."""
    from tests.retrieve.held import CT_IMAGE, image

    running = Orthanc(tmp_path, LimitFindResults=5)
    try:
        for number in range(20):
            data = image(100 + number, 1, 1, sop_class=CT_IMAGE, modality="CT", station="CT1", day=DAY_1)
            data.StudyTime = f"{number:02d}3000"
            running.call("POST", "/instances", as_file(data))
        settings = running.settings("get", modalities=("CT",))
        from dose_audit.retrieve.find import find_studies

        with open_archive(settings) as archive:
            found = find_studies(archive, DAY_1, DAY_1, ["CT"], result_limit=5)
        assert {study.study_instance_uid for study in found.studies} == {study_uid(100 + n) for n in range(20)}
        assert not found.truncated
    finally:
        running.stop()
