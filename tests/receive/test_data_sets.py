"""The bytes of a data set arrive as they were sent, however the network cuts them."""

from __future__ import annotations

import random
import socket
import time
from collections.abc import Callable
from itertools import accumulate, pairwise
from pathlib import Path

import pytest

from bench.dicom_sender import CT_IMAGE, EXPLICIT_LITTLE, Sender, data_set, pdata, store_rq
from dose_audit.receive import pdu
from dose_audit.receive.listener import Listener, ListenerSettings
from dose_audit.receive.pdu import PduReader, PeerGone
from dose_audit.receive.sockets import acknowledging
from dose_audit.receive.spool import Spool

HEADERS = 12
"""Bytes of a PDU's header and its first PDV's; dcmtk writes them apart from what follows."""


def read(stream: bytes, cuts: list[int], buffer_bytes: int) -> bytes:
    """What is read of a stream that arrives in parts that end at `cuts`."""
    parts = [stream[start:stop] for start, stop in pairwise(sorted({0, *cuts, len(stream)}))]

    def receive(view: memoryview, _: bool) -> int:
        part = parts.pop(0)
        count = min(len(part), len(view))
        view[:count] = part[:count]
        if count < len(part):
            parts.insert(0, part[count:])
        return count

    reader = PduReader(
        receive, bytearray(buffer_bytes), max_pdu=131072, object_timeout_s=60, minimum_rate=1, grace_s=60
    )
    return b"".join(bytes(piece) for pieces in reader.data_set(1, len(stream)) for piece in pieces)


def test_headers_that_come_apart_from_what_follows_change_nothing() -> None:
    sent = random.Random(1).randbytes(10_000)
    stream = pdata(1, sent, is_command=False, max_pdu=1000)
    starts = [0, *accumulate(1006 for _ in range(len(stream) // 1006))]
    for cut in range(HEADERS + 2):
        cuts = [start + cut for start in starts]
        assert read(stream, cuts, 4096) == sent, cut


@pytest.mark.parametrize("seed", range(40))
def test_any_cut_of_the_stream_gives_the_bytes_that_were_sent(seed: int) -> None:
    draw = random.Random(seed)
    sent = draw.randbytes(draw.randrange(1, 30_000))
    stream = pdata(1, sent, is_command=False, max_pdu=draw.choice([8, 20, 500, 5_000, 40_000]))
    cuts = [draw.randrange(len(stream)) for _ in range(draw.choice([0, 3, 50, 2_000]))]
    assert read(stream, cuts, draw.choice([64, 300, 4_096, 131_072])) == sent


def test_a_sender_that_writes_headers_apart_has_its_bytes_on_disk(tmp_path: Path) -> None:
    sent = data_set(CT_IMAGE, "1.2.3", size=600_000, fill=b"\x01\x02\x03\x04\x05\x06\x07")
    with Spool(tmp_path / "spool", fsync=False, min_free_bytes=0) as spool:
        listener = Listener(ListenerSettings(port=0, called_aet_check=False), spool)
        listener.start()
        try:
            sender = Sender(("127.0.0.1", listener.port), [(1, CT_IMAGE, (EXPLICIT_LITTLE,))])
            sender.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sender.socket.sendall(pdata(1, store_rq(CT_IMAGE, "1.2.3"), is_command=True))
            stream = pdata(1, sent, is_command=False, max_pdu=16384)
            for start in range(0, len(stream), 16390):
                sender.socket.sendall(stream[start : start + HEADERS])
                time.sleep(0.002)
                sender.socket.sendall(stream[start + HEADERS : start + 16390])
            assert sender.status() == 0
            sender.close()
        finally:
            listener.stop()
        [item] = spool.claim(1, worker="test")
        assert item.path.read_bytes().endswith(sent)


# -- time, by a clock that the test sets ------------------------------------------------------------------------------


@pytest.fixture
def arriving(monkeypatch: pytest.MonkeyPatch) -> Callable[..., float]:
    """How long a data set is read, s, that comes in pieces of so many bytes with a pause before each."""
    now = [1000.0]

    class Clock:
        monotonic = staticmethod(lambda: now[0])

    monkeypatch.setattr(pdu, "time", Clock)

    def read_on(piece: int, pause_s: float, *, pieces: int, **limits: float) -> float:
        stream = pdata(1, b"\0" * piece * pieces, is_command=False, max_pdu=1 << 30)

        def receive(view: memoryview, within_message: bool) -> int:
            nonlocal stream
            now[0] += pause_s if within_message else 3600.0  # between messages a sender may take its time
            count = min(piece, len(stream))
            view[:count], stream = stream[:count], stream[count:]
            return count

        reader = PduReader(receive, bytearray(1 << 23), max_pdu=1 << 30, **limits)  # takes every piece whole
        begun = now[0] + 3600.0
        try:
            assert sum(len(part) for parts in reader.data_set(1, 1 << 30) for part in parts) == piece * pieces
        except PeerGone as end:
            assert str(end) == "too slow"
        return now[0] - begun

    return read_on


LIMITS = {"object_timeout_s": 600.0, "minimum_rate": 1000.0, "grace_s": 30.0}


def test_a_whole_object_may_take_only_so_long_however_steadily_it_comes(arriving) -> None:
    assert arriving(4000, 1.0, pieces=1000, **LIMITS) == 601.0
    assert arriving(4000, 1.0, pieces=599, **LIMITS) == 599.0


def test_what_comes_more_slowly_than_the_least_rate_ends_after_the_grace(arriving) -> None:
    assert arriving(1, 1.0, pieces=1000, **LIMITS) == 31.0
    # By then 30 s and a second for every 1,000 bytes: 500 bytes a second are enough for twice the grace.
    assert arriving(500, 1.0, pieces=1000, **LIMITS) == pytest.approx(60.0, abs=2.0)
    assert arriving(1000, 1.0, pieces=500, **LIMITS) == 500.0


# -- acknowledgements -------------------------------------------------------------------------------------------------


class Asked:
    """A connection that gives what it is told to and notes when it is asked to acknowledge."""

    def __init__(self, family: int, counts: list[int]) -> None:
        self.family = family
        self.counts = counts
        self.calls: list[str] = []

    def setsockopt(self, level: int, option: int, value: int) -> None:
        assert (level, option, value) == (socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        self.calls.append("acknowledge")

    def recv_into(self, view: memoryview) -> int:
        self.calls.append("receive")
        return self.counts.pop(0)


@pytest.mark.skipif(not hasattr(socket, "TCP_QUICKACK"), reason="the system has no TCP_QUICKACK")
@pytest.mark.parametrize(
    ("taken", "acknowledged"),
    [(154, True), (1448, True), (65483, True), (65536, False), (131072, False)],
)
def test_small_pieces_of_a_message_are_acknowledged_before_more_is_waited_for(taken: int, acknowledged: bool) -> None:
    connection = Asked(socket.AF_INET, [taken, 10, 10])
    receive = acknowledging(connection)  # type: ignore[arg-type]
    view = memoryview(bytearray(131072))
    receive(view, False)
    assert connection.calls == ["receive"]  # waiting for a message holds up nobody
    receive(view, True)
    assert connection.calls[1:] == ["acknowledge"] * acknowledged + ["receive"]
    receive(view, False)
    assert connection.calls[-2:] == ["receive", "receive"]  # the response has told of the last piece


def test_other_connections_than_tcp_are_only_read() -> None:
    connection = Asked(-1, [10, 10])
    receive = acknowledging(connection)  # type: ignore[arg-type]
    assert [receive(memoryview(bytearray(100)), within) for within in (False, True)] == [10, 10]
    assert connection.calls == ["receive", "receive"]
