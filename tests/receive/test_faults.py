"""Killed at random moments, aborted at random, fed ten thousand fuzzed PDUs: whatever was acknowledged is there.

The counts are small enough for every run; DOSE_AUDIT_LONG_TESTS=1 asks for 200 kills and 100,000 objects.
"""

from __future__ import annotations

import hashlib
import os
import random
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import psutil
import pytest

from bench.dicom_sender import (
    ABORT,
    CT_IMAGE,
    EXPLICIT_LITTLE,
    RELEASE_RQ,
    VERIFICATION,
    Sender,
    associate_rq,
    command,
    data_set,
    pdata,
    store_rq,
)
from dose_audit.receive.association import Association
from dose_audit.receive.listener import Listener, ListenerSettings
from dose_audit.receive.negotiate import negotiate
from dose_audit.receive.spool import Spool
from tests.children import ending_with_us
from tests.patience import held_up
from tests.receive.leftovers import unfinished

LONG = bool(os.environ.get("DOSE_AUDIT_LONG_TESTS"))
KILLS = 200 if LONG else 20
SOAK_OBJECTS = 100_000 if LONG else 3_000
FUZZED = 10_000
CONTEXTS = [(1, CT_IMAGE, (EXPLICIT_LITTLE,))]
REPOSITORY = Path(__file__).resolve().parents[2]


class Sent:
    """What was acknowledged, by instance: SHA-256 of the data set."""

    def __init__(self) -> None:
        self.acknowledged: dict[str, str] = {}
        self.unsure: dict[str, bytes] = {}  # sent, and no answer came
        self._serial = iter(range(1 << 40))
        self._lock = threading.Lock()

    def next_object(self, rng: random.Random) -> tuple[str, bytes]:
        """A new object, or one whose fate is unsure: a real sender tries again."""
        with self._lock:
            if self.unsure and rng.random() < 0.5:
                return self.unsure.popitem()
            instance = f"1.2.826.{next(self._serial)}"
        # Below and above the size up to which an object is hashed before it is acknowledged.
        size = rng.randrange(200, 60_000) if rng.random() < 0.8 else rng.randrange(60_000, 200_000)
        return instance, data_set(CT_IMAGE, instance, size, fill=bytes((rng.randrange(256),)))

    def check(self, spool: Spool) -> None:
        """Every acknowledged object is there byte for byte, none twice, no file without row and no row without file."""
        items = spool.claim(10_000_000, worker="check")
        assert max(Counter(item.sop_instance_uid for item in items).values(), default=1) == 1
        by_instance = {item.sop_instance_uid: item for item in items}
        assert self.acknowledged.keys() <= by_instance.keys()
        for item in items:
            content = item.path.read_bytes()
            assert hashlib.sha256(content).hexdigest() == item.sha256
            expected = self.acknowledged.get(item.sop_instance_uid)
            if expected is not None:
                start = content.index(b"\x08\0\x16\0UI")
                assert hashlib.sha256(content[start:]).hexdigest() == expected
        files = list((spool.root / "objects").rglob("*.dcm"))
        assert len(files) == len(items)
        assert unfinished(spool.root) == []


def send_until_it_dies(address: tuple[str, int], sent: Sent, rng: random.Random) -> None:
    try:
        sender = Sender(address, CONTEXTS)
    except OSError:
        return
    with sender:
        while True:
            instance, data = sent.next_object(rng)
            try:
                status = sender.store(CT_IMAGE, instance, data)
            except (OSError, KeyError):
                sent.unsure[instance] = data
                return
            assert status == 0
            sent.acknowledged[instance] = hashlib.sha256(data).hexdigest()


@pytest.fixture
def start_canned():
    """Start and kill listeners quickly."""
    pdu = negotiate(associate_rq(CONTEXTS), max_pdu=131072).pdu
    running: list[subprocess.Popen] = []

    def start(folder: Path) -> tuple[subprocess.Popen, tuple[str, int]]:
        arguments = [str(folder), "fsync", pdu.hex(), CT_IMAGE, EXPLICIT_LITTLE]
        process = subprocess.Popen(
            ending_with_us(sys.executable, Path(__file__).with_name("run_canned.py"), *arguments),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=dict(os.environ, PYTHONPATH=str(REPOSITORY)),
        )
        running.append(process)
        assert process.stdout is not None
        with process.stdout as output:
            return process, ("127.0.0.1", int(output.readline()))

    yield start
    for process in running:
        process.kill()
        process.wait()


def test_killed_at_random_moments_under_load(start_canned, tmp_path: Path, eventually) -> None:
    sent, rng = Sent(), random.Random(11)
    for round_number in range(KILLS):
        process, address = start_canned(tmp_path / "spool")
        threads = [
            threading.Thread(target=send_until_it_dies, args=(address, sent, random.Random(round_number * 10 + n)))
            for n in range(4)
        ]
        for thread in threads:
            thread.start()
        # Counted, not timed, so that rounds on a slow machine have objects too; then anywhere within the next ones.
        least = len(sent.acknowledged) + rng.randrange(25)
        eventually(lambda least=least: len(sent.acknowledged) >= least)
        time.sleep(rng.uniform(0, 0.02))
        process.kill()
        process.wait()
        for thread in threads:
            thread.join()
    with Spool(tmp_path / "spool", min_free_bytes=0) as spool:
        spool.recover()
        assert len(sent.acknowledged) > 5 * KILLS
        sent.check(spool)
        counts = spool.counts()
        assert counts["received"] == sum(n for state, n in counts.items() if state != "received")


def test_soak_with_random_aborts_loses_nothing_and_memory_stays_flat(own_process) -> None:
    process = own_process(fsync=False)
    sent = Sent()
    left = iter(range(SOAK_OBJECTS))
    marks: list[float] = []
    failures: list[BaseException] = []

    def work(number: int) -> None:
        rng = random.Random(number)
        try:
            sender = Sender(process.address, CONTEXTS)
            for index in left:
                instance, data = sent.next_object(rng)
                if rng.random() < 0.03:  # die in the middle of an object
                    wire = pdata(1, store_rq(CT_IMAGE, instance), is_command=True) + pdata(1, data, is_command=False)
                    # Cut so that an abort cannot fill the object up: its bytes would be the object's for all anyone knows.
                    cut = rng.randrange(len(wire) - len(ABORT))
                    sender.socket.sendall(wire[:cut] + (ABORT if rng.random() < 0.5 else b""))
                    sender.close()
                    sent.unsure[instance] = data
                    sender = Sender(process.address, CONTEXTS)
                    continue
                assert sender.store(CT_IMAGE, instance, data) == 0
                sent.acknowledged[instance] = hashlib.sha256(data).hexdigest()
                if index % (SOAK_OBJECTS // 20) == 0:
                    marks.append(process.rss_mb())
                if rng.random() < 0.05:
                    sender.release()
                    sender = Sender(process.address, CONTEXTS)
            sender.release()
        except BaseException as error:
            failures.append(error)
            raise

    threads = [threading.Thread(target=work, args=(n,)) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert max(marks) < 60 and process.rss_mb() < marks[len(marks) // 4] + 8
    assert process.descriptors() < 100
    process.ask_to_stop()
    assert process.wait() == 0
    with Spool(process.spool, min_free_bytes=0) as spool:
        sent.check(spool)


def test_ten_thousand_fuzzed_conversations(tmp_path: Path) -> None:
    """In this process over socket pairs: mutated P-DATA, command sets, data sets and control PDUs."""
    spool = Spool(tmp_path / "spool", fsync=False, min_free_bytes=0, max_object_bytes=1_000_000)
    listener = Listener(ListenerSettings(max_object_bytes=1_000_000, idle_timeout_s=5), spool)
    request = associate_rq([(1, CT_IMAGE, (EXPLICIT_LITTLE,)), (3, VERIFICATION, (EXPLICIT_LITTLE,))])
    listener.negotiator.warm()
    rng = random.Random(2026)
    before = psutil.Process().memory_info().rss
    started = time.monotonic() - held_up()
    acknowledged = 0
    for number in range(FUZZED):
        instance = f"1.2.{number}"
        wire = bytearray(pdata(1, store_rq(CT_IMAGE, instance), is_command=True))
        wire += pdata(
            1,
            data_set(CT_IMAGE, instance, rng.randrange(100, 2000)),
            is_command=False,
            max_pdu=rng.choice((64, 1000, 4096)),
        )
        wire += pdata(3, command({0x0002: VERIFICATION, 0x0100: 0x30, 0x0110: 1, 0x0800: 0x0101}), is_command=True)
        wire += rng.choice((RELEASE_RQ, ABORT, b""))
        mutate(wire, rng)
        ours, theirs = socket.socketpair()
        with theirs:
            theirs.sendall(wire)
            theirs.shutdown(socket.SHUT_WR)
            Association(listener, ours, "127.0.0.1", request, b"", None).run()
            theirs.settimeout(1)
            answer = b""
            while piece := theirs.recv(65536):
                answer += piece
        acknowledged += answer.count(b"\0\0\0\x01\x02\0\0\0\x01\x80") - count_failures(answer)
    assert time.monotonic() - held_up() - started < 120
    assert psutil.Process().memory_info().rss - before < 40e6
    assert unfinished(spool.root) == []
    counts = spool.counts()
    # Every C-STORE that was answered 0x0000 is an object or a duplicate, and nothing else is.
    assert counts["received"] == acknowledged > FUZZED / 20
    for item in spool.claim(FUZZED, worker="check"):
        assert hashlib.sha256(item.path.read_bytes()).hexdigest() == item.sha256
    spool.close()


def count_failures(answer: bytes) -> int:
    """C-STORE responses with another status than success."""
    failures, at = 0, 0
    while (at := answer.find(b"\0\0\0\x01\x02\0\0\0\x01\x80", at)) >= 0:
        status = answer.find(b"\0\0\0\x09\x02\0\0\0", at)
        failures += answer[status + 8 : status + 10] != b"\0\0"
        at += 1
    return failures


def mutate(wire: bytearray, rng: random.Random) -> None:
    """Between nothing and a dozen changes: flipped bytes, removed, repeated and inserted pieces, lengths that lie."""
    for _ in range(rng.choice((0, 1, 1, 2, 4, 12))):
        at = rng.randrange(len(wire))
        kind = rng.randrange(6)
        if kind == 0:
            wire[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            del wire[at : at + rng.randrange(1, 40)]
        elif kind == 2:
            wire[at:at] = wire[max(0, at - rng.randrange(1, 60)) : at]
        elif kind == 3:
            wire[at:at] = rng.randbytes(rng.randrange(1, 20))
        elif kind == 4:
            wire[at : at + 4] = rng.choice((b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\0\0\0\x06"))
        else:
            del wire[at:]
        if not wire:
            wire += b"\x04"


def test_fuzzed_association_requests_get_an_answer_and_harm_nothing(listen) -> None:
    from dose_audit.receive.negotiator import shared_negotiator

    listen()
    rng = random.Random(5)
    original = associate_rq([(2 * n + 1, CT_IMAGE, (EXPLICIT_LITTLE, "1.2.840.10008.1.2")) for n in range(4)])
    accepted = 0
    started = time.monotonic()
    for _ in range(2_000):
        request = bytearray(original)
        mutate(request, rng)
        if len(request) < 74:
            continue
        answer = shared_negotiator().answer(bytes(request), max_pdu=65536)
        assert answer.pdu[0] in (2, 3, 7)
        accepted += answer.accepted
    assert accepted > 200
    assert time.monotonic() - started < 60
