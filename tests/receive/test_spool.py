"""The spool: durable before acknowledged, each object in exactly one state, nothing lost or kept twice by a crash."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import sqlite3
import threading
import time
from pathlib import Path

import pydicom
import pytest

from dose_audit.receive import incoming as incoming_module
from dose_audit.receive.errors import InvalidUID, LedgerUnavailable, ObjectTooLarge, SpoolError, SpoolFull
from dose_audit.receive.part10 import clean_uid, file_header, read_file_meta
from dose_audit.receive.spool import END_STATES, Spool
from tests.patience import unhindered
from tests.receive.leftovers import unfinished
from tests.receive.spools import CLASS, EXPLICIT, put

LARGE = b"\x08\0\x05\0CS\x0a\0ISO_IR 100" + b"\xe0\x7f\x10\0OW\0\0\0\0\x02\0" + bytes(0x20000)


def test_a_stored_file_is_what_pydicom_reads_with_the_bytes_unchanged(spool: Spool) -> None:
    data_set = b"\x08\0\x05\0CS\x0a\0ISO_IR 100" + b"\x10\0\x20\0LO\x04\0X123"
    receipt = put(spool, "1.2.3.4.5", data_set)
    [item] = spool.claim(5, worker="w")
    assert receipt.state == "stored" and item.id == receipt.id
    read = pydicom.dcmread(item.path)
    assert read.PatientID == "X123"
    assert read.file_meta.MediaStorageSOPInstanceUID == "1.2.3.4.5"
    assert read.file_meta.TransferSyntaxUID == EXPLICIT
    raw = item.path.read_bytes()
    assert raw.endswith(data_set) and len(raw) == item.size
    assert hashlib.sha256(raw).hexdigest() == item.sha256


def test_file_meta_agrees_with_pydicom_both_ways() -> None:
    header = file_header(CLASS, "1.2.3", EXPLICIT)
    meta = pydicom.dcmread(io.BytesIO(header)).file_meta
    assert meta.MediaStorageSOPClassUID == CLASS
    assert read_file_meta(header)[:3] == (CLASS, "1.2.3", EXPLICIT)
    assert read_file_meta(header).data_offset == len(header)
    made = pydicom.dataset.FileDataset("", {}, file_meta=pydicom.dataset.FileMetaDataset(), preamble=b"\0" * 128)
    made.file_meta.MediaStorageSOPClassUID, made.file_meta.MediaStorageSOPInstanceUID = CLASS, "1.2.9"
    made.file_meta.TransferSyntaxUID = EXPLICIT
    stream = io.BytesIO()
    pydicom.dcmwrite(stream, made, enforce_file_format=True)
    assert read_file_meta(stream.getvalue())[:3] == (CLASS, "1.2.9", EXPLICIT)


@pytest.mark.parametrize(
    "bad", ["", "1..2", ".1", "1.", "1.2/../../etc/passwd", "../evil", "1." + "2" * 70, "1.2a", "1 2"]
)
def test_malformed_uids_are_refused_before_any_path(spool: Spool, bad: str) -> None:
    with pytest.raises(InvalidUID):
        clean_uid(bad)
    with pytest.raises(InvalidUID):
        put(spool, bad)
    assert spool.counts()["received"] == 0


def test_no_file_name_is_made_from_what_was_sent(spool: Spool) -> None:
    put(spool, "1.2.777.888")
    names = " ".join(str(path) for path in spool.root.rglob("*"))
    assert "777" not in names.replace(str(spool.root), "")


def test_same_bytes_again_is_a_duplicate_and_other_bytes_are_kept_as_conflict(spool: Spool) -> None:
    first, again, other = put(spool, "1.2.3"), put(spool, "1.2.3"), put(spool, "1.2.3", b"\x08\0\x05\0CS\x02\0AB")
    assert (first.state, again.state, other.state) == ("stored", "duplicate", "conflict")
    assert again.id == first.id
    assert len(list((spool.root / "objects").rglob("*.dcm"))) == 2
    counts = spool.counts()
    assert counts["received"] == 3 and counts["pending"] == 2 and counts["duplicate"] == 1


def test_concurrent_senders_of_one_object_store_it_once(spool: Spool) -> None:
    states: list[str] = []
    threads = [threading.Thread(target=lambda: states.append(put(spool, "1.2.3").state)) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(states) == ["duplicate"] * 11 + ["stored"]
    assert len(list((spool.root / "objects").rglob("*.dcm"))) == 1


def test_received_is_the_sum_of_states_whatever_happens(spool: Spool) -> None:
    settled = len(END_STATES)
    ids = [put(spool, f"1.2.{n}").id for n in range(settled + 4)]
    put(spool, "1.2.0")
    spool.claim(settled + 2, worker="w")
    spool.settle_many([(ids[n], state, "why") for n, state in enumerate(END_STATES)])
    counts = spool.counts()
    assert counts["received"] == settled + 5 == sum(n for state, n in counts.items() if state != "received")
    assert counts["in_work"] == 2 and counts["pending"] == 2 and counts["duplicate"] == 2 and counts["measured"] == 1


def test_settle_refuses_unknown_states_and_ids_and_then_changes_nothing(spool: Spool) -> None:
    identifier = put(spool, "1.2.3").id
    with pytest.raises(ValueError, match="no end state"):
        spool.settle(identifier, "lost")
    with pytest.raises(ValueError, match="no object"):
        spool.settle_many([(identifier, "extracted", ""), (999, "extracted", "")])
    assert spool.counts()["pending"] == 1


def test_quarantine_moves_the_file_aside_and_requeue_brings_it_back(spool: Spool) -> None:
    identifier = put(spool, "1.2.3").id
    [item] = spool.claim(1, worker="w")
    spool.settle(identifier, "quarantined", "cannot be parsed")
    [(kept, reason)] = spool.quarantined()
    assert reason == "cannot be parsed" and kept.path.parent.name == "quarantine" and kept.path.exists()
    assert not item.path.exists()
    assert spool.requeue() == 1
    [again] = spool.claim(1, worker="w")
    assert again.id == identifier and again.path == item.path and again.path.exists()


def test_a_crash_between_ledger_and_move_to_quarantine_still_finds_the_file(spool: Spool) -> None:
    identifier = put(spool, "1.2.3").id
    spool.ledger.transact(lambda c: c.execute("UPDATE objects SET state = 'quarantined' WHERE id = ?", (identifier,)))
    [(kept, _)] = spool.quarantined()
    assert kept.path.exists()


def test_size_cap_leaves_nothing_behind(tmp_path: Path) -> None:
    with Spool(tmp_path / "s", min_free_bytes=0, max_object_bytes=10_000) as spool:
        incoming = spool.begin(source="t", sop_class_uid=CLASS, sop_instance_uid="1.2", transfer_syntax_uid=EXPLICIT)
        incoming.write(b"x" * 5000)
        with pytest.raises(ObjectTooLarge):
            incoming.write(b"x" * 6000)
        assert list(spool.root.rglob("*.dcm")) == unfinished(spool.root) == []
        assert spool.counts()["received"] == 0


def test_disk_floor_refuses_before_writing(tmp_path: Path) -> None:
    with Spool(tmp_path / "s", min_free_bytes=1 << 60) as spool, pytest.raises(SpoolFull):
        put(spool, "1.2.3")


@pytest.mark.parametrize("step", ["writev", "fdatasync", "rename"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EROFS])
def test_a_failing_disk_acknowledges_nothing_and_leaves_nothing(
    spool: Spool, monkeypatch: pytest.MonkeyPatch, step: str, number: int
) -> None:
    put(spool, "1.2.1")

    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    if step == "rename":
        monkeypatch.setattr(os, step, fail)
    else:
        monkeypatch.setattr(incoming_module, f"_{step}", fail)
    with pytest.raises(SpoolFull if number == errno.ENOSPC else SpoolError):
        put(spool, "1.2.2")
    monkeypatch.undo()
    assert spool.counts()["received"] == 1
    assert len(list(spool.root.rglob("*.dcm"))) == 1 and unfinished(spool.root) == []
    assert put(spool, "1.2.2").state == "stored"


def test_a_locked_ledger_refuses_within_its_time_and_recovers(tmp_path: Path) -> None:
    with Spool(tmp_path / "s", min_free_bytes=0, busy_s=0.2) as spool:
        put(spool, "1.2.1")
        other = sqlite3.connect(tmp_path / "s" / "ledger.sqlite", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")

        def refused() -> None:
            with pytest.raises(LedgerUnavailable):
                put(spool, "1.2.2")

        assert unhindered(refused) < 2
        assert len(list(spool.root.rglob("*.dcm"))) == 1
        other.execute("ROLLBACK")
        other.close()
        assert put(spool, "1.2.2").state == "stored"


def test_one_bad_operation_in_a_group_spoils_no_other(spool: Spool) -> None:
    outcomes: dict[int, object] = {}

    def run(n: int) -> None:
        def operation(connection: sqlite3.Connection) -> int:
            connection.execute("INSERT INTO counters VALUES ('test', ?, 1)", (str(n),))
            if n == 3:
                raise ValueError("of its own making")
            return n

        try:
            outcomes[n] = spool.ledger.transact(operation)
        except ValueError as error:
            outcomes[n] = error

    threads = [threading.Thread(target=run, args=(n,)) for n in range(8)]
    with spool.ledger._commit_lock:  # all of them queue up behind it and form one group
        for thread in threads:
            thread.start()
        while len(spool.ledger._queue) < 8:
            time.sleep(0.001)
    for thread in threads:
        thread.join()
    assert isinstance(outcomes.pop(3), ValueError)
    assert outcomes == {n: n for n in (0, 1, 2, 4, 5, 6, 7)}
    written = {name for (name,) in spool.ledger.read("SELECT name FROM counters WHERE kind = 'test'")}
    assert written == {"0", "1", "2", "4", "5", "6", "7"}


def crash(spool: Spool) -> None:
    """Lose the process: locks are let go, nothing is closed or flushed."""
    if spool._writer is not None:
        os.close(spool._writer._descriptor)
    spool.ledger.close()


def test_power_cut_before_the_rename_removes_the_part_file(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "s", min_free_bytes=0)
    put(spool, "1.2.1")
    incoming = spool.begin(source="t", sop_class_uid=CLASS, sop_instance_uid="1.2.2", transfer_syntax_uid=EXPLICIT)
    incoming.write(b"half of it")
    crash(spool)
    with Spool(tmp_path / "s", min_free_bytes=0) as after:
        assert after.recover().parts_removed == 1
        assert unfinished(after.root) == []
        assert after.counts() == after.counts() | {"received": 1, "pending": 1}


def test_power_cut_between_rename_and_ledger_adopts_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = Spool(tmp_path / "s", min_free_bytes=0)
    put(spool, "1.2.1")

    def cut(*_: object, **__: object) -> None:
        raise LedgerUnavailable("power cut")

    for instance in ("1.2.2", "1.2.1"):  # the second is a copy of what is already recorded
        incoming = spool.begin(source="t", sop_class_uid=CLASS, sop_instance_uid=instance, transfer_syntax_uid=EXPLICIT)
        incoming.write(b"\x08\0\x05\0CS\x0a\0ISO_IR 100")
        with monkeypatch.context() as patch:
            patch.setattr(spool.ledger, "transact", cut)
            with pytest.raises(LedgerUnavailable):
                incoming.commit()
    crash(spool)
    with Spool(tmp_path / "s", min_free_bytes=0) as after:
        found = after.recover()
        assert (found.adopted, found.duplicates_removed) == (1, 1)
        items = after.claim(10, worker="w")
        assert sorted(item.sop_instance_uid for item in items) == ["1.2.1", "1.2.2"]
        assert all(hashlib.sha256(item.path.read_bytes()).hexdigest() == item.sha256 for item in items)
        assert after.recover() == type(found)()


@pytest.mark.parametrize(("data", "adopted"), [(LARGE, 0), (LARGE[:-2] + b"xy", 1)], ids=["copy", "other bytes"])
def test_power_cut_after_a_large_object_came_again_before_anybody_hashed_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: bytes, adopted: int
) -> None:
    spool = Spool(tmp_path / "s", min_free_bytes=0)
    put(spool, "1.2.1", LARGE)
    incoming = spool.begin(source="t", sop_class_uid=CLASS, sop_instance_uid="1.2.1", transfer_syntax_uid=EXPLICIT)
    incoming.write(data)
    with monkeypatch.context() as patch, pytest.raises(LedgerUnavailable):
        patch.setattr(spool.ledger, "transact", lambda *_, **__: (_ for _ in ()).throw(LedgerUnavailable("cut")))
        incoming.commit()
    crash(spool)
    with Spool(tmp_path / "s", min_free_bytes=0) as after:
        found = after.recover()
        assert (found.adopted, found.duplicates_removed) == (adopted, 1 - adopted)
        items = after.claim(10, worker="w")
        assert len(items) == 1 + adopted
        assert all(hashlib.sha256(item.path.read_bytes()).hexdigest() == item.sha256 for item in items)


def test_what_was_adopted_after_a_crash_goes_where_its_sender_says_when_it_comes_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = Spool(tmp_path / "s", min_free_bytes=0)
    incoming = spool.begin(
        source="dicom:CT1@192.0.2.7", sop_class_uid=CLASS, sop_instance_uid="1.2.1", transfer_syntax_uid=EXPLICIT
    )
    incoming.write(b"\x08\0\x05\0CS\x0a\0ISO_IR 100")
    with monkeypatch.context() as patch, pytest.raises(LedgerUnavailable):
        patch.setattr(spool.ledger, "transact", lambda *_, **__: (_ for _ in ()).throw(LedgerUnavailable("cut")))
        incoming.commit()
    crash(spool)
    with Spool(tmp_path / "s", min_free_bytes=0) as after:
        assert after.recover().adopted == 1
        again = put(after, "1.2.1", route="phantom")
        assert again.state == "duplicate"
        [series] = after.take_series(worker="w", quiet_s=0)
        assert [(item.id, item.source, item.route) for item in series.objects] == [(again.id, "test", "phantom")]
        assert put(after, "1.2.1", route="dose").state == "duplicate"  # by now its way is settled
        assert after.get(again.id).route == "phantom"


def test_power_cut_that_undoes_renames_finds_every_recorded_file(tmp_path: Path) -> None:
    """The rename is not flushed before the sender is told; the name before it was."""
    spool = Spool(tmp_path / "s", min_free_bytes=0)
    for n in range(3):
        put(spool, f"1.2.{n}", LARGE if n == 2 else b"\x08\0\x05\0CS\x0a\0ISO_IR 100")
    spool.settle(spool.claim(1, worker="w")[0].id, "quarantined", "why not")
    token = spool._writer.token
    for path in (*(spool.root / "objects").rglob("*.dcm"), *(spool.root / "quarantine").iterdir()):
        path.rename(spool.root / "part" / token / path.with_suffix(".part").name)
    crash(spool)
    with Spool(tmp_path / "s", min_free_bytes=0) as after:
        before_recovery = after.instances("1.2.2")[0]
        assert before_recovery.path.suffix == ".part" and before_recovery.path.exists()
        assert after.verify(CLASS, "1.2.2") == "ok"
        found = after.recover()
        assert (found.parts_removed, found.adopted, found.missing) == (0, 0, 0)
        items = after.claim(10, worker="w")
        assert [item.sop_instance_uid for item in items] == ["1.2.1", "1.2.2"]
        assert all(hashlib.sha256(item.path.read_bytes()).hexdigest() == item.sha256 for item in items)
        assert all(item.path.suffix == ".dcm" for item in items) and after.quarantined()[0][0].path.exists()
        assert after.recover() == type(found)()


def test_spare_part_files_are_no_leavings(tmp_path: Path) -> None:
    with Spool(tmp_path / "s", min_free_bytes=0) as spool:
        put(spool, "1.2.1")
        assert len(list((spool.root / "part").rglob("*.part"))) > 1
    assert list((tmp_path / "s" / "part").iterdir()) == []


@pytest.mark.parametrize("fsync", [True, False])
def test_part_files_opened_ahead_are_few_are_used_and_are_closed(tmp_path: Path, fsync: bool) -> None:
    def open_files() -> int:
        links = [os.readlink(entry) for entry in Path("/proc/self/fd").iterdir() if entry.exists()]
        return sum(link.startswith(str(tmp_path)) and link.endswith(".part") for link in links)

    with Spool(tmp_path / "s", min_free_bytes=0, fsync=fsync) as spool:
        spool.open_ahead()  # nothing has come yet: there is no folder of part files
        put(spool, "1.2.1")
        for _ in range(40):
            spool.open_ahead()
        assert open_files() == 16
        for number in range(20):
            assert put(spool, f"1.3.{number}").state == "stored"
        assert open_files() == 0
        spool.open_ahead()
        assert spool.recover().parts_removed == 0
    assert list((tmp_path / "s" / "part").iterdir()) == []
    assert open_files() == 0
    killed = Spool(tmp_path / "s", min_free_bytes=0)
    put(killed, "1.2.2")
    crash(killed)
    with Spool(tmp_path / "s", min_free_bytes=0) as after:
        assert after.recover().parts_removed == 0
        assert list((after.root / "part").rglob("*.part")) == []


def test_recovery_leaves_a_living_writer_alone(tmp_path: Path) -> None:
    with Spool(tmp_path / "s", min_free_bytes=0) as living, Spool(tmp_path / "s", min_free_bytes=0) as starting:
        incoming = living.begin(source="t", sop_class_uid=CLASS, sop_instance_uid="1.2", transfer_syntax_uid=EXPLICIT)
        incoming.write(b"\x08\0\x05\0CS\x0a\0ISO_IR 100")
        assert starting.recover().parts_removed == 0
        assert incoming.commit().state == "stored"


def test_a_lost_file_is_said_to_be_missing(tmp_path: Path) -> None:
    with Spool(tmp_path / "s", min_free_bytes=0) as spool:
        put(spool, "1.2.3")
        next((spool.root / "objects").rglob("*.dcm")).unlink()
        assert spool.recover().missing == 1
        assert spool.quarantined()[0][1] == "its file is missing"
        assert put(spool, "1.2.3").state == "stored"  # sent again it is not taken for a duplicate


def test_files_in_place_are_never_copied_moved_or_deleted(spool: Spool, tmp_path: Path) -> None:
    path = tmp_path / "theirs.dcm"
    path.write_bytes(b"contents")
    sha256 = hashlib.sha256(b"contents").hexdigest()
    arguments = {"source": "file", "sop_instance_uid": "1.2.3", "sop_class_uid": CLASS}
    first = spool.register_file(path, sha256, 8, **arguments)
    again = spool.register_file(path, sha256, 8, **arguments)
    assert (first.state, again.state) == ("stored", "duplicate")
    assert spool.known_file(path, 8, path.stat().st_mtime_ns) and not spool.known_file(path, 9, path.stat().st_mtime_ns)
    [item] = spool.claim(5, worker="w")
    assert item.path == path
    spool.settle(item.id, "quarantined", "why not")
    assert path.read_bytes() == b"contents" and spool.quarantined()[0][0].path == path
    assert not list(spool.root.rglob("*.dcm"))


def test_uploaded_bytes_are_kept_as_they_are(spool: Spool) -> None:
    whole = file_header(CLASS, "1.2.3", EXPLICIT) + b"\x08\0\x05\0CS\x02\0AB"
    assert spool.add_bytes(whole, source="upload").state == "stored"
    assert spool.add_bytes(b"no DICOM at all", source="upload").state == "stored"
    items = spool.claim(5, worker="w")
    assert [item.path.read_bytes() for item in items] == [whole, b"no DICOM at all"]
    assert [item.sop_instance_uid for item in items] == ["1.2.3", ""]


def test_a_ledger_of_the_first_version_goes_on(tmp_path: Path) -> None:
    with Spool(tmp_path / "s", min_free_bytes=0) as spool:
        put(spool, "1.2.1")
        spool.ledger.transact(lambda c: [c.execute(f"DROP TABLE {name}") for name in ("series_members", "bringing")])
    with sqlite3.connect(tmp_path / "s" / "ledger.sqlite") as connection:
        connection.execute("PRAGMA user_version = 1")
    connection.close()
    with Spool(tmp_path / "s", min_free_bytes=0) as spool:
        put(spool, "1.2.2", LARGE)
        assert [item.sop_instance_uid for item in spool.claim(5, worker="w")] == ["1.2.1", "1.2.2"]
        assert spool.take_series(worker="w", quiet_s=0) == []


def test_tallies_are_bounded_and_reach_the_disk(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "s", min_free_bytes=0)
    for n in range(5000):
        spool.tally("refusal", f"reason {n}")
    spool.tally("drop", "images", durable=True)
    spool.tally("refusal", "reason 1")
    assert len(spool.drops()["refusal"]) == 1000
    spool.close()
    with Spool(tmp_path / "s", min_free_bytes=0) as again:
        assert again.drops()["refusal"]["reason 1"] == 2
