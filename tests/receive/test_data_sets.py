"""The bytes of a data set arrive as they were sent, however the network cuts them."""

from __future__ import annotations

import random
import socket
import time
from itertools import accumulate, pairwise
from pathlib import Path

import pytest

from bench.dicom_sender import CT_IMAGE, EXPLICIT_LITTLE, Sender, data_set, pdata, store_rq
from dose_audit.receive.listener import Listener, ListenerSettings
from dose_audit.receive.pdu import PduReader
from dose_audit.receive.spool import Spool

HEADERS = 12
"""Bytes of a PDU's header and its first PDV's; dcmtk writes them apart from what follows."""


class Collected:
    """A sink that copies what it is given at the moment when it is given."""

    def __init__(self) -> None:
        self.data = bytearray()

    def write(self, *pieces: memoryview) -> None:
        for piece in pieces:
            self.data += piece


def read(stream: bytes, cuts: list[int], buffer_bytes: int) -> bytes:
    """What is read of a stream that arrives in parts that end at `cuts`."""
    parts = [stream[start:stop] for start, stop in pairwise(sorted({0, *cuts, len(stream)}))]

    def receive(view: memoryview) -> int:
        part = parts.pop(0)
        count = min(len(part), len(view))
        view[:count] = part[:count]
        if count < len(part):
            parts.insert(0, part[count:])
        return count

    reader = PduReader(
        receive, bytearray(buffer_bytes), max_pdu=131072, object_timeout_s=60, minimum_rate=1, grace_s=60
    )
    sink = Collected()
    reader.data_set(1, sink.write)
    return bytes(sink.data)


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
