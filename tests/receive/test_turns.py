"""What threads and processes do to each other at bad moments, each moment made by hand."""

from __future__ import annotations

import os
import socket
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.dicom_sender import CT_IMAGE, EXPLICIT_LITTLE, Rejected, Sender, associate_rq, data_set, pdata, store_rq
from dose_audit.locks import lock_file
from dose_audit.receive import part_files, recovery, rows
from dose_audit.receive import spool as spool_module
from dose_audit.receive.association import Association
from dose_audit.receive.errors import LedgerUnavailable, SpoolError, SpoolFull
from dose_audit.receive.listener import Listener, ListenerSettings
from dose_audit.receive.metrics import MetricsServer, prometheus, spool_status
from dose_audit.receive.negotiator import Negotiator
from dose_audit.receive.spool import Spool
from tests.receive.leftovers import unfinished

CONTEXTS = [(1, CT_IMAGE, (EXPLICIT_LITTLE,))]
REQUEST = associate_rq(CONTEXTS)
PATIENCE = 60.0


def put(spool: Spool, instance: str, *, source: str = "test", size: int = 100) -> str:
    incoming = spool.begin(
        source=source, sop_class_uid=CT_IMAGE, sop_instance_uid=instance, transfer_syntax_uid=EXPLICIT_LITTLE
    )
    incoming.write(bytes(size))
    return incoming.commit().state


# -- places in the listener -------------------------------------------------------------------------------------------


def test_an_association_that_has_begun_to_work_by_then_keeps_its_place(listen, eventually) -> None:
    running = listen(max_associations=2, spare_idle_s=0)
    with Sender(running.address, CONTEXTS) as first:
        [oldest] = running.listener._associations
        with Sender(running.address, CONTEXTS) as second:
            spare = oldest.spare

            def too_late() -> bool:  # between the choice and the asking its next object has come
                oldest.idle_since = None
                return spare()

            oldest.spare = too_late
            with Sender(running.address, CONTEXTS) as newcomer:
                assert second.read_pdu()[:1] == b"\x07"
                assert not oldest._stop_asked
                for sender, instance in ((first, "1.2.1"), (newcomer, "1.2.2")):
                    assert sender.store(CT_IMAGE, instance, data_set(CT_IMAGE, instance)) == 0


def test_a_caller_for_whom_there_is_no_thread_is_told_to_come_later_and_takes_no_place(
    listen, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = listen(max_associations=1)
    left: list[tuple] = []

    def refuse(*work: object) -> None:  # an executor that cannot start a thread has taken the work all the same
        left.append(work)
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(running.listener._pool, "submit", refuse)
        with pytest.raises(Rejected) as told:
            Sender(running.address, CONTEXTS)
        assert told.value.pdu[6:] == bytes((0, 2, 3, 1))
    assert running.listener.metrics()["associations_now"] == 0
    with Sender(running.address, CONTEXTS) as sender:
        [(run, *arguments)] = left
        run(*arguments)  # it comes to a thread at last, and finds its connection closed
        assert running.listener.metrics()["associations_now"] == 1
        assert sender.store(CT_IMAGE, "1.2.1", data_set(CT_IMAGE, "1.2.1")) == 0


def test_an_object_begun_as_the_listener_stops_is_aborted_and_not_half_read(tmp_path: Path) -> None:
    with Spool(tmp_path / "spool", fsync=False, min_free_bytes=0) as spool:
        listener = Listener(ListenerSettings(), spool)
        ours, theirs = socket.socketpair()
        ours.settimeout(PATIENCE)
        theirs.settimeout(PATIENCE)
        association = Association(listener, ours, "127.0.0.1", REQUEST, b"", None)

        def stop_as_the_next_begins() -> None:
            wire = pdata(1, store_rq(CT_IMAGE, "1.2.2"), is_command=True)
            wire += pdata(1, data_set(CT_IMAGE, "1.2.2", 5000), is_command=False)
            theirs.sendall(wire[:3000])
            association.stop()
            theirs.shutdown(socket.SHUT_WR)

        spool.open_ahead = stop_as_the_next_begins  # called once the first object has been answered
        with theirs:
            wire = pdata(1, store_rq(CT_IMAGE, "1.2.1"), is_command=True)
            theirs.sendall(wire + pdata(1, data_set(CT_IMAGE, "1.2.1", 5000), is_command=False))
            association.run()
            answer = b""
            while piece := theirs.recv(65536):
                answer += piece
        assert answer[0] == 2 and answer.endswith(bytes((7, 0, 0, 0, 0, 4, 0, 0, 2, 0)))
        assert answer.count(b"1.2.1\0") == 1 and b"1.2.2" not in answer
        assert listener.counters.snapshot()["associations_ended_by_us"] == 1
        assert "objects_aborted" not in listener.counters.snapshot()
        assert unfinished(spool.root) == []
        assert [item.sop_instance_uid for item in spool.claim(5, worker="w")] == ["1.2.1"]


def test_metrics_go_on_after_a_locked_ledger_and_after_a_lack_of_descriptors(monkeypatch: pytest.MonkeyPatch) -> None:
    texts: list[Callable[[], str]] = []

    def locked() -> str:
        raise LedgerUnavailable("the ledger cannot be read: database is locked")

    server = MetricsServer(0, lambda: texts.pop(0)())
    try:
        texts += [locked, lambda: "objects 1\n"]
        assert ask(server.port).startswith(b"HTTP/1.0 503 ")
        answer = ask(server.port)
        assert answer.startswith(b"HTTP/1.0 200 ") and answer.endswith(b"\r\n\r\nobjects 1\n")
        accept, failures = socket.socket.accept, [OSError(24, "Too many open files")]

        def sometimes(listening: socket.socket) -> tuple:
            if failures and listening is server._socket:
                raise failures.pop()
            return accept(listening)

        monkeypatch.setattr(socket.socket, "accept", sometimes)
        texts += [lambda: "objects 2\n"] * 2
        assert ask(server.port).endswith(b"objects 2\n")  # by a call of `accept` that had begun before
        assert ask(server.port).endswith(b"objects 2\n")
        assert failures == []
    finally:
        server.close()


def ask(port: int) -> bytes:
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as connection:
        connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
        return answer


def test_a_negotiating_process_that_cannot_be_started_sends_callers_away_until_it_can(
    listen, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = listen()
    running.listener.negotiator = Negotiator()

    def fails(*_: object, **__: object) -> None:
        raise OSError(24, "Too many open files")

    with monkeypatch.context() as patch:
        patch.setattr(subprocess, "Popen", fails)
        with pytest.raises(Rejected) as told:
            Sender(running.address, CONTEXTS)
        assert told.value.pdu[6:] == bytes((0, 2, 3, 1))
    with Sender(running.address, CONTEXTS) as sender:
        assert sender.store(CT_IMAGE, "1.2.1", data_set(CT_IMAGE, "1.2.1")) == 0
    running.listener.negotiator.close()


# -- two processes at one spool -----------------------------------------------------------------------------------------


def test_recovery_is_one_process_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    find, seen = recovery._orphans, []

    def watched(spool: Spool, *rest: object) -> list[Path]:
        with (spool.root / "recovery.lock").open("r+b") as other:
            seen.append(lock_file(other.fileno(), wait=False))
        return find(spool, *rest)

    monkeypatch.setattr(recovery, "_orphans", watched)
    with Spool(tmp_path / "spool", min_free_bytes=0) as spool:
        spool.recover()
        assert seen == [False]
        with (spool.root / "recovery.lock").open("r+b") as other:
            assert lock_file(other.fileno(), wait=False), "held beyond its end"


# -- the ledger -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [sqlite3.OperationalError("disk I/O error"), ValueError("of its own making")])
def test_what_was_counted_comes_back_when_its_transaction_is_lost(tmp_path: Path, error: Exception) -> None:
    def fails(connection: sqlite3.Connection) -> None:
        spool._tallies.write(connection, spool.ledger)
        raise error

    with Spool(tmp_path / "spool", min_free_bytes=0) as spool:
        spool.tally("drop", "images")
        with pytest.raises((LedgerUnavailable, ValueError)):
            spool.ledger.transact(fails)
        spool.tally("drop", "images")
        spool.flush_tallies()
        spool.flush_tallies()
    with Spool(tmp_path / "spool", min_free_bytes=0) as spool:
        assert spool.drops()["drop"] == {"images": 2}


def test_a_damaged_ledger_is_a_failure_that_senders_are_told(tmp_path: Path) -> None:
    def damaged(connection: sqlite3.Connection) -> None:
        raise sqlite3.DatabaseError("database disk image is malformed")

    with Spool(tmp_path / "spool", min_free_bytes=0) as spool:
        with pytest.raises(LedgerUnavailable) as told:
            spool.ledger.transact(damaged)
        assert not told.value.certain
        assert put(spool, "1.2.1") == "stored"


def test_a_locked_ledger_is_certain_to_hold_nothing_of_what_was_refused(tmp_path: Path) -> None:
    with Spool(tmp_path / "spool", min_free_bytes=0, busy_s=0.05) as spool:
        assert put(spool, "1.2.0") == "stored"
        other = sqlite3.connect(tmp_path / "spool" / "ledger.sqlite", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(LedgerUnavailable) as told:
            put(spool, "1.2.1")
        other.execute("ROLLBACK")
        other.close()
        assert told.value.certain
        assert len(list((spool.root / "objects").rglob("*.dcm"))) == 1
        assert put(spool, "1.2.1") == "stored"


def test_senders_are_counted_right_whether_their_objects_are_in_the_totals_yet_or_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool_module, "_COUNT_EVERY", 3)
    expected = {"a": 0, "b": 0}
    with Spool(tmp_path / "spool", min_free_bytes=0) as spool:
        for n in range(12):
            source = "ab"[n % 4 == 1]
            assert put(spool, f"1.2.{n}", source=source, size=100 + n) == "stored"
            if n == 5:
                assert put(spool, f"1.2.{n}", source=source, size=100 + n) == "duplicate"
            expected[source] += 1
            assert {row["source"]: row["objects"] for row in spool.sources()} == {
                k: v for k, v in expected.items() if v
            }
        before = spool.sources()
        assert {row["source"]: row["duplicates"] for row in before} == {"a": 0, "b": 1}
        assert sum(row["objects"] + row["duplicates"] for row in before) == spool.counts()["received"] == 13
        held = sum(row[0] for row in spool.ledger.read("SELECT objects FROM sources"))
        assert 0 < held < 12, "nothing of it was in arrears"
        files = [path.stat().st_size for path in (spool.root / "objects").rglob("*.dcm")]
        assert sum(row["bytes"] for row in before) == sum(files)
        spool.ledger.transact(rows.count_sources)
        assert spool.sources() == before
    with Spool(tmp_path / "spool", min_free_bytes=0) as spool:
        assert spool.sources() == before


def test_duplicates_without_a_noted_sender_still_add_up(tmp_path: Path) -> None:
    with Spool(tmp_path / "spool", min_free_bytes=0) as spool:
        assert [put(spool, "1.2.1", source=source) for source in "aba"] == ["stored", "duplicate", "duplicate"]
        rows_of = {row["source"]: (row["objects"], row["duplicates"]) for row in spool.sources()}
        assert rows_of == {"a": (1, 1), "b": (0, 1)}
        spool.ledger.transact(lambda c: c.execute("DELETE FROM counters WHERE kind <> 'duplicate'"))  # as it was before
        rows_of = {row["source"]: (row["objects"], row["duplicates"]) for row in spool.sources()}
        assert rows_of == {"a": (1, 0), "not recorded": (0, 2)}
        assert "source_last_object" in prometheus(spool_status(spool), {})


def test_the_totals_of_a_ledger_of_the_second_version_go_on(tmp_path: Path) -> None:
    with Spool(tmp_path / "spool", min_free_bytes=0) as spool:
        for n in range(4):
            put(spool, f"1.2.{n}")
        spool.ledger.transact(rows.count_sources)  # as that version had them after every object
    with sqlite3.connect(tmp_path / "spool" / "ledger.sqlite") as connection:
        connection.execute("DROP TABLE sources_counted")
        connection.execute("PRAGMA user_version = 2")
    connection.close()
    with Spool(tmp_path / "spool", min_free_bytes=0) as spool:
        assert [row["objects"] for row in spool.sources()] == [4]
        put(spool, "1.2.9")
        assert [row["objects"] for row in spool.sources()] == [5]


# -- the disk -------------------------------------------------------------------------------------------------------


def test_names_that_could_not_be_made_durable_are_not_left_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(directory: Path) -> None:
        raise OSError(5, "Input/output error")

    with Spool(tmp_path / "spool", min_free_bytes=0) as spool:
        put(spool, "1.2.0")
        assert spool._parts is not None and spool._writer is not None
        spool._parts.close()
        with monkeypatch.context() as patch:
            patch.setattr(part_files, "sync_directory", fails)
            for _ in range(3):
                with pytest.raises(SpoolError):
                    put(spool, "1.2.1")
        assert os.listdir(spool._writer.folder) == []
        assert put(spool, "1.2.1") == "stored"


def test_free_space_is_asked_for_every_object_once_it_gets_scarce(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool_module, "_AMPLE_S", 1e6)
    with Spool(tmp_path / "spool", min_free_bytes=1000) as spool:
        free, asked = [10**12], []

        def free_bytes() -> int:
            asked.append(free[0])
            return free[0]

        monkeypatch.setattr(spool, "free_bytes", free_bytes)
        for n in range(5):
            put(spool, f"1.2.{n}")
        assert len(asked) == 1
        spool.min_free_bytes = 10**12 - 10**9  # a gigabyte above it: from now on every time
        for n in range(5, 10):
            put(spool, f"1.2.{n}")
        assert len(asked) == 6
        free[0] = 10**12 - 10**9 - 1
        with pytest.raises(SpoolFull):
            put(spool, "1.2.10")
