"""Phantom images wait by series until their sender has finished, apart from what goes to dose extraction."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

import pytest

from bench.dicom_sender import CT_IMAGE, DX_IMAGE, EXPLICIT_LITTLE, IMPLICIT_LITTLE, Sender, data_set
from dose_audit.receive.part10 import file_header
from dose_audit.receive.routing import Route
from dose_audit.receive.spool import Spool
from tests.receive.conftest import Clock

STUDY = 0x0020000D
SERIES = 0x0020000E


@pytest.fixture
def spool(tmp_path: Path):
    with Spool(tmp_path / "spool", min_free_bytes=0, fsync=False) as made:
        yield made


def body(instance: str, series: str = "", *, syntax: str = EXPLICIT_LITTLE, size: int = 900) -> bytes:
    uids = {STUDY: (b"UI", "1.9"), SERIES: (b"UI", series)} if series else {}
    return data_set(CT_IMAGE, instance, size, syntax=syntax, text=uids)


def put(spool: Spool, instance: str, series: str = "", *, route: str = "phantom", size: int = 900, **extra) -> int:
    incoming = spool.begin(
        source="test",
        sop_class_uid=CT_IMAGE,
        sop_instance_uid=instance,
        transfer_syntax_uid=EXPLICIT_LITTLE,
        route=route,
        **extra,
    )
    incoming.write(body(instance, series, size=size))
    return incoming.commit().id


def test_dose_extraction_never_gets_phantoms_and_the_counts_add_up(spool: Spool) -> None:
    put(spool, "1.1", route="dose")
    for n in range(3):
        put(spool, f"1.2.{n}", "2.1")
    assert [item.sop_instance_uid for item in spool.claim(10, worker="dose")] == ["1.1"]
    counts = spool.counts()
    assert (counts["phantom"], counts["in_work"], counts["pending"], counts["received"]) == (3, 1, 0, 4)
    [series] = spool.take_series(worker="w", quiet_s=0)
    assert (spool.counts()["phantom"], spool.counts()["in_work"]) == (0, 4)
    fates = ("measured", "not_relevant", "quarantined")
    spool.settle_many((item.id, state, "why") for item, state in zip(series.objects, fates, strict=True))
    counts = spool.counts()
    assert [counts[state] for state in (*fates, "in_work")] == [1, 1, 1, 1]
    assert counts["received"] == sum(n for state, n in counts.items() if state != "received")


def test_whole_series_in_order_of_arrival_hashed_and_once(spool: Spool) -> None:
    for n, series in enumerate(("2.1", "2.2", "2.1", "2.2", "2.1")):
        put(spool, f"1.2.{n}", series, size=100_000 if n == 2 else 900)
    first, second = spool.take_series(worker="w", quiet_s=0, limit=5)
    assert (first.study_instance_uid, first.series_instance_uid, second.series_instance_uid) == ("1.9", "2.1", "2.2")
    assert [item.sop_instance_uid for item in first.objects] == ["1.2.0", "1.2.2", "1.2.4"]
    assert [item.sop_instance_uid for item in second.objects] == ["1.2.1", "1.2.3"]
    for item in (*first.objects, *second.objects):
        assert item.route == "phantom" and hashlib.sha256(item.path.read_bytes()).hexdigest() == item.sha256
    assert spool.take_series(worker="other", quiet_s=0, limit=5) == []


def test_a_series_is_quiet_some_time_after_its_last_image(
    spool: Spool, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(spool, "1.2.1", "2.1")
    clock.now += 20
    put(spool, "1.2.2", "2.1")
    later = time.time() + 1e9
    monkeypatch.setattr(time, "time", lambda: later)  # the wall clock has no say
    clock.now += 29
    assert spool.take_series(worker="w", quiet_s=30) == []
    clock.now += 1.5
    [series] = spool.take_series(worker="w", quiet_s=30)
    assert len(series.objects) == 2


def test_what_came_before_a_restart_is_quiet_once_the_system_has_run_so_long(spool: Spool, clock: Clock) -> None:
    put(spool, "1.2.1", "2.1")
    spool._boot = "another boot"
    clock.now = 10.0
    assert spool.take_series(worker="w", quiet_s=30) == []
    clock.now = 31.0
    assert len(spool.take_series(worker="w", quiet_s=30)) == 1


def test_an_association_that_still_brings_a_series_holds_it_back(spool: Spool) -> None:
    put(spool, "1.2.1", "2.1", association="a1")
    put(spool, "1.2.2", "2.2", association="a2")
    assert spool.take_series(worker="w", quiet_s=0, limit=9) == []
    spool.association_ended("a2")
    assert [one.series_instance_uid for one in spool.take_series(worker="w", quiet_s=0, limit=9)] == ["2.2"]
    spool.association_ended("a1")
    assert [one.series_instance_uid for one in spool.take_series(worker="w", quiet_s=0, limit=9)] == ["2.1"]


def test_a_listener_that_died_holds_nothing_back(spool: Spool, tmp_path: Path) -> None:
    dead = Spool(tmp_path / "spool", min_free_bytes=0, fsync=False)
    put(dead, "1.2.1", "2.1", association="a1")
    assert spool.take_series(worker="w", quiet_s=0) == []
    assert dead._writer is not None
    os.close(dead._writer._descriptor)  # what the system does with a process's locks when it ends
    dead.ledger.close()
    assert len(spool.take_series(worker="w", quiet_s=0)) == 1
    spool.recover()
    assert spool.ledger.read("SELECT COUNT(*) FROM bringing") == [(0,)]


def test_an_end_that_a_locked_ledger_was_not_told_is_told_with_the_next(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dose_audit.receive.errors import LedgerUnavailable

    put(spool, "1.2.1", "2.1", association="a1")
    put(spool, "1.2.2", "2.2", association="a2")

    def locked(*_: object, **__: object) -> None:
        raise LedgerUnavailable("locked")

    with monkeypatch.context() as patch:
        patch.setattr(spool.ledger, "transact", locked)
        with pytest.raises(LedgerUnavailable):
            spool.association_ended("a1")
    spool.association_ended("a2")
    assert len(spool.take_series(worker="w", quiet_s=0, limit=9)) == 2


def test_late_images_come_with_those_that_were_handed_out_before(spool: Spool) -> None:
    put(spool, "1.2.1", "2.1")
    [first] = spool.take_series(worker="w", quiet_s=0)
    put(spool, "1.2.2", "2.1")
    spool.settle(first.objects[0].id, "measured")
    [again] = spool.take_series(worker="w", quiet_s=0)
    assert [item.sop_instance_uid for item in again.objects] == ["1.2.2"]
    assert [item.sop_instance_uid for item in again.earlier] == ["1.2.1"] and again.earlier[0].path.exists()


def test_an_endless_series_comes_in_pieces(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dose_audit.receive.series_queue._MOST_IMAGES", 2)
    for n in range(5):
        put(spool, f"1.2.{n}", "2.1")
    pieces = [spool.take_series(worker="w", quiet_s=0) for _ in range(4)]
    assert [[item.sop_instance_uid for one in piece for item in one.objects] for piece in pieces] == [
        ["1.2.0", "1.2.1"],
        ["1.2.2", "1.2.3"],
        ["1.2.4"],
        [],
    ]


def test_objects_that_name_no_series_are_each_their_own(spool: Spool) -> None:
    for n in range(2):
        put(spool, f"1.2.{n}")
    spool.add_bytes(b"no DICOM at all", source="upload", route="phantom")
    taken = spool.take_series(worker="w", quiet_s=0, limit=9)
    assert [len(one.objects) for one in taken] == [1, 1, 1]
    assert {one.series_instance_uid for one in taken} == {""}


def test_a_worker_that_vanishes_gives_its_series_back_six_times(tmp_path: Path, clock: Clock) -> None:
    with Spool(tmp_path / "s", min_free_bytes=0, lease_s=60, fsync=False) as spool:
        put(spool, "1.2.1", "2.1")
        for _ in range(6):
            assert len(spool.take_series(worker="dies", quiet_s=0)) == 1
            clock.now += 61
            assert spool.claim(9, worker="dose") == []
        assert spool.take_series(worker="w", quiet_s=0) == []
        assert "ended or hung 6 times" in spool.quarantined()[0][1]
        assert spool.requeue() == 1 and spool.counts()["phantom"] == 1
        assert len(spool.take_series(worker="w", quiet_s=0)) == 1


def test_phantoms_of_before_there_was_this_queue_can_be_asked_for(spool: Spool) -> None:
    identifier = put(spool, "1.2.1", "2.1")
    spool.ledger.transact(lambda c: c.execute("DELETE FROM series_members"))
    [(state,)] = spool.ledger.read("SELECT state FROM objects")
    assert state == "phantom"
    spool.settle(identifier, "not_relevant", "routed to phantom analysis")
    assert spool.requeue(state="not_relevant", ids=[identifier]) == 1
    [series] = spool.take_series(worker="w", quiet_s=0)
    assert series.series_instance_uid == "2.1"


def test_files_in_place_can_be_phantoms(spool: Spool, tmp_path: Path) -> None:
    path = tmp_path / "theirs.dcm"
    path.write_bytes(file_header(CT_IMAGE, "1.2.3", IMPLICIT_LITTLE) + body("1.2.3", "2.7", syntax=IMPLICIT_LITTLE))
    content = path.read_bytes()
    spool.register_file(
        path,
        hashlib.sha256(content).hexdigest(),
        len(content),
        source="file",
        sop_instance_uid="1.2.3",
        sop_class_uid=CT_IMAGE,
        route="phantom",
    )
    [series] = spool.take_series(worker="w", quiet_s=0)
    assert series.series_instance_uid == "2.7" and series.objects[0].path == path


def test_from_the_association_to_the_series(listen, eventually) -> None:
    running = listen(routes=(Route("phantom", patient_id="QA*"),))
    offers = [(1, CT_IMAGE, (EXPLICIT_LITTLE,)), (3, DX_IMAGE, (EXPLICIT_LITTLE,))]
    wanted = {0x00100020: (b"LO", "QA-7"), STUDY: (b"UI", "1.9"), SERIES: (b"UI", "2.1")}
    with Sender(running.address, offers) as sender:
        for n in range(3):
            data = data_set(CT_IMAGE, f"1.2.{n}", 70_000, text=wanted)
            assert sender.store(CT_IMAGE, f"1.2.{n}", data) == 0
        assert sender.store(DX_IMAGE, "1.3", data_set(DX_IMAGE, "1.3"), context=3) == 0
        assert running.spool.take_series(worker="w", quiet_s=0) == []
        assert sender.release()[:1] == b"\x06"
    taken: list = []
    eventually(lambda: taken.extend(running.spool.take_series(worker="w", quiet_s=0)) or taken)
    assert [item.sop_instance_uid for item in taken[0].objects] == ["1.2.0", "1.2.1", "1.2.2"]
    assert [item.sop_instance_uid for item in running.objects()] == ["1.3"]
    assert 'state="phantom"' in running.listener.prometheus() and 'state="measured"' in running.listener.prometheus()
