"""Whatever arrives, memory and time stay bounded and a real association beside it succeeds within two seconds.

Attackers call from 127.0.0.1, the same address as the honest sender: the hardest case.
"""

from __future__ import annotations

import os
import random
import select
import socket
import struct
import threading
import time

import pytest

from bench.dicom_sender import (
    ABORT,
    CT_IMAGE,
    EXPLICIT_LITTLE,
    RELEASE_RQ,
    VERIFICATION,
    Rejected,
    Sender,
    associate_rq,
    command,
    connect,
    data_set,
    pdata,
    store_rq,
)
from dose_audit.receive.pdu import BUFFER_BYTES
from tests.patience import quickest, unhindered
from tests.receive.leftovers import unfinished

CONTEXTS = [(1, CT_IMAGE, (EXPLICIT_LITTLE,)), (3, VERIFICATION, (EXPLICIT_LITTLE,))]
MEMORY_MB = 60
_serial = iter(range(1, 1 << 30))


def honest(address: tuple[str, int]) -> None:
    """A real association: connect, store, echo, release, all within 2 s, at the first attempt."""

    def call() -> None:
        instance = f"1.2.3.{os.getpid()}.{next(_serial)}"
        with Sender(address, CONTEXTS) as sender:
            assert sender.store(CT_IMAGE, instance, data_set(CT_IMAGE, instance, 20_000)) == 0
            assert sender.echo(3) == 0
            assert sender.release()[:1] == b"\x06"

    assert unhindered(call) < 2


def answer(connection: socket.socket) -> bytes:
    """What the listener says before it closes."""
    data = b""
    try:
        while piece := connection.recv(4096):
            data += piece
    except OSError:
        pass  # reset: it had bytes of ours left that it did not want
    connection.close()
    return data


def raw(address: tuple[str, int], data: bytes) -> bytes:
    connection = connect(address)
    connection.sendall(data)
    return answer(connection)


@pytest.fixture
def server(own_process):
    process = own_process(fsync=False, max_object_bytes=4_000_000)
    honest(process.address)
    yield process
    honest(process.address)
    assert process.rss_mb() < MEMORY_MB


@pytest.mark.parametrize(
    ("first_bytes", "reply"),
    [
        (b"GET / HTTP/1.1\r\nHost: here\r\n\r\n", bytes.fromhex("07000000000400000201")),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 64, bytes.fromhex("07000000000400000201")),
        (pdata(1, b"no association yet", is_command=True), bytes.fromhex("07000000000400000202")),
        (RELEASE_RQ, bytes.fromhex("07000000000400000202")),
        (ABORT, b""),
        (struct.pack(">BBI", 1, 0, 10) + b"\0" * 10, bytes.fromhex("07000000000400000206")),
        (struct.pack(">BBI", 1, 0, 0xFFFFFFFF) + b"\0" * 100, bytes.fromhex("07000000000400000206")),
        (struct.pack(">BBI", 1, 0, 70_000) + b"\0" * 1000, bytes.fromhex("07000000000400000206")),
    ],
    ids=["HTTP", "TLS hello", "P-DATA", "A-RELEASE", "A-ABORT", "10 bytes", "4 GB length", "over 64 kB"],
)
def test_first_bytes_that_are_no_association_request(listen, first_bytes: bytes, reply: bytes) -> None:
    running = listen()
    assert raw(running.address, first_bytes) == reply
    honest(running.address)


def test_4_gb_associate_length_is_not_buffered(server) -> None:
    connection = connect(server.address)
    sent = 0
    try:
        connection.sendall(struct.pack(">BBI", 1, 0, 0xFFFFFFF0))
        for _ in range(200):
            sent += connection.send(b"\0" * 1_000_000)
    except OSError:
        pass  # cut off, as it should be
    connection.close()
    assert sent < 20_000_000
    honest(server.address)


@pytest.mark.parametrize(
    "items",
    [
        b"\x10\0\0\0" * 15_000,
        struct.pack(">BBH", 0x20, 0, 60_000) + b"\x01\0\0\0" + b"\x40\0\0\0" * 14_000,
        struct.pack(">BBH", 0x50, 0, 65_000) + b"\x51\0\0\x04",
        b"\x20\0\0\x04\x01\0\0\0",
        b"",
    ],
    ids=["tiny items", "tiny transfer syntaxes", "lengths that lie", "context without syntax", "no items"],
)
def test_malformed_association_requests_are_aborted(listen, items: bytes) -> None:
    running = listen()
    body = struct.pack(">HH", 1, 0) + b"DOSEAUDIT".ljust(16) + b"X".ljust(16) + b"\0" * 32 + items
    assert raw(running.address, struct.pack(">BBI", 1, 0, len(body)) + body)[:1] in (b"\x07", b"\x03")
    honest(running.address)


def test_2_gb_pdu_after_negotiation_is_refused_at_its_header(server) -> None:
    sender = Sender(server.address, CONTEXTS)
    sender.socket.sendall(struct.pack(">BBI", 4, 0, 0x7FFFFFFF) + b"\0" * 1000)
    assert answer(sender.socket)[:1] == b"\x07"


def test_pdu_longer_than_offered_is_refused(listen) -> None:
    running = listen(max_pdu=16384)
    sender = Sender(running.address, CONTEXTS)
    assert sender.max_pdu == 16384
    sender.socket.sendall(
        pdata(1, store_rq(CT_IMAGE, "1.2"), is_command=True) + pdata(1, b"\0" * 20_000, is_command=False)
    )
    assert answer(sender.socket) == bytes.fromhex("07000000000400000206")
    honest(running.address)


def test_unterminated_data_set_is_cut_at_the_cap_and_leaves_no_file(server) -> None:
    sender = Sender(server.address, CONTEXTS)
    sender.socket.sendall(pdata(1, store_rq(CT_IMAGE, "1.2.3"), is_command=True))
    sent = 0
    try:
        head = data_set(CT_IMAGE, "1.2.3", 60_000)
        for _ in range(400):
            sent += len(head)
            sender.socket.sendall(pdata(1, head, is_command=False, last=False))
    except OSError:
        pass  # cut off
    sender.close()
    assert sent < 15_000_000
    honest(server.address)
    assert not unfinished(server.spool)


def test_endless_command_set_is_cut_off(server) -> None:
    sender = Sender(server.address, CONTEXTS)
    try:
        for _ in range(100):
            sender.socket.sendall(pdata(1, b"\0" * 1000, is_command=True, last=False))
    except OSError:
        pass  # cut off
    assert answer(sender.socket)[:1] in (b"\x07", b"")


@pytest.mark.parametrize(
    "message",
    [
        pytest.param(struct.pack(">BBIIBB", 4, 0, 6, 0xFFFFFFFF, 1, 3), id="PDV length 4 GB"),
        pytest.param(struct.pack(">BBIIBB", 4, 0, 6, 0, 1, 3), id="PDV length 0"),
        pytest.param(struct.pack(">BBI", 4, 0, 3) + b"\0\0\0", id="P-DATA of 3 bytes"),
        pytest.param(pdata(1, b"\x01\x02\x03", is_command=True), id="command of 3 bytes"),
        pytest.param(pdata(1, command({0x0800: 0x0101}), is_command=True), id="no Command Field"),
        pytest.param(pdata(5, store_rq(CT_IMAGE, "1.2"), is_command=True), id="context never proposed"),
        pytest.param(pdata(2, store_rq(CT_IMAGE, "1.2"), is_command=True), id="even context"),
        pytest.param(pdata(1, b"data", is_command=False), id="data without command"),
        pytest.param(pdata(1, store_rq(CT_IMAGE, "1.2"), is_command=True) * 2, id="command in a data set"),
        pytest.param(
            pdata(1, store_rq(CT_IMAGE, "1.2"), is_command=True) + pdata(3, b"data", is_command=False),
            id="context changes",
        ),
        pytest.param(pdata(1, command({0x0100: 0x8001, 0x0800: 0x0101}), is_command=True), id="response to nothing"),
        pytest.param(associate_rq(CONTEXTS), id="second A-ASSOCIATE-RQ"),
        pytest.param(b"\x02\0\0\0\0\x04\0\0\0\0", id="A-ASSOCIATE-AC"),
        pytest.param(b"\x09\0\0\0\0\x04\0\0\0\0", id="unknown PDU"),
        pytest.param(b"\x05\0\0\0\0\x08\0\0\0\0\0\0\0\0", id="long A-RELEASE"),
    ],
)
def test_protocol_violations_are_aborted(listen, message: bytes) -> None:
    running = listen()
    sender = Sender(running.address, CONTEXTS)
    sender.socket.sendall(message)
    assert answer(sender.socket)[:1] == b"\x07"
    honest(running.address)
    assert running.parts() == []


def test_release_answers_even_when_the_peer_releases_twice_or_in_mid_message(listen) -> None:
    running = listen()
    twice = Sender(running.address, CONTEXTS)
    twice.socket.sendall(RELEASE_RQ + RELEASE_RQ)
    assert answer(twice.socket).startswith(b"\x06\0\0\0\0\x04\0\0\0\0")
    collision = Sender(running.address, CONTEXTS)
    collision.socket.sendall(b"\x06\0\0\0\0\x04\0\0\0\0")  # the answer to a release that we never ask for
    assert answer(collision.socket) == b""
    middle = Sender(running.address, CONTEXTS)
    part = pdata(1, data_set(CT_IMAGE, "1.2", 50_000), is_command=False, last=False)
    middle.socket.sendall(pdata(1, store_rq(CT_IMAGE, "1.2"), is_command=True) + part + RELEASE_RQ)
    assert answer(middle.socket).startswith(b"\x06")
    honest(running.address)
    assert running.parts() == [] and running.spool.counts()["received"] == 1


def test_abort_or_close_at_any_byte_leaves_nothing(listen, eventually) -> None:
    running = listen()
    message = pdata(1, store_rq(CT_IMAGE, "1.2.3"), is_command=True)
    message += pdata(1, data_set(CT_IMAGE, "1.2.3", 40_000), is_command=False, max_pdu=8192)
    rng = random.Random(1)
    cuts = [1, 5, 6, 11, 12, 13, len(message) - 1, *(rng.randrange(len(message)) for _ in range(60))]
    for number, cut in enumerate(cuts):
        sender = Sender(running.address, CONTEXTS)
        sender.socket.sendall(message[:cut] + (ABORT if number % 2 else b""))
        sender.close()
    eventually(lambda: running.listener.metrics()["associations_now"] == 0)
    assert running.parts() == [] and running.spool.counts()["received"] == 0
    honest(running.address)


def test_aborted_association_requests_at_any_byte(listen, eventually) -> None:
    running = listen()
    request = associate_rq(CONTEXTS)
    for cut in range(0, len(request), 7):
        connection = connect(running.address)
        connection.sendall(request[:cut])
        connection.close()
    honest(running.address)
    eventually(lambda: running.listener.metrics()["connections_now"] == 0)


def test_connect_and_close_probes_shut_nobody_out(server) -> None:
    for _ in range(300):
        connect(server.address).close()
    honest(server.address)


def test_500_idle_connections_shut_nobody_out_and_cost_nothing(server) -> None:
    idle = [connect(server.address) for _ in range(500)]
    before, started = server.cpu_s(), time.monotonic()
    honest(server.address)
    time.sleep(1.0)
    spent = (server.cpu_s() - before) / (time.monotonic() - started)
    for connection in idle:
        connection.close()
    assert spent < 0.25  # of a core; polling over 500 connections would take all of one


def test_more_connections_than_slots_push_out_the_oldest_not_the_newcomer(listen) -> None:
    running = listen(max_connections=10, max_connections_per_address=10)
    idle = [connect(running.address) for _ in range(40)]
    honest(running.address)
    assert running.listener.metrics()["connections_now"] <= 10
    for connection in idle:
        connection.close()


def test_40_idle_associations_leave_the_processor_alone(server) -> None:
    idle = [Sender(server.address, CONTEXTS) for _ in range(40)]
    before = server.cpu_s()
    time.sleep(2)
    assert (server.cpu_s() - before) / 2 < 0.02
    honest(server.address)
    for sender in idle:
        sender.close()


def all_idle(running) -> bool:
    """Whether the thread of each association knows already that it idles; the peer hears of its acceptance before."""
    return all(association.idle_since is not None for association in list(running.listener._associations))


def test_the_association_idle_for_longest_makes_room_when_all_places_are_taken(listen, eventually) -> None:
    running = listen(max_associations=5, spare_idle_s=0.1)
    idle = [Sender(running.address, CONTEXTS) for _ in range(5)]
    eventually(lambda: all_idle(running))
    for sender in idle[1:]:
        assert sender.echo(3) == 0
    time.sleep(0.2)
    honest(running.address)
    assert idle[0].read_pdu()[:1] == b"\x07"
    for sender in idle[1:]:
        assert sender.echo(3) == 0
        sender.close()
    idle[0].close()


def test_each_newcomer_is_given_a_place_of_its_own(listen, eventually) -> None:
    """Two that come at once do not share the place of one that is ending; as many stay as are allowed."""
    running = listen(max_associations=4, spare_idle_s=0.0)
    idle = [Sender(running.address, CONTEXTS) for _ in range(4)]
    eventually(lambda: all_idle(running))
    newcomers = [connect(running.address) for _ in range(3)]
    for newcomer in newcomers:
        newcomer.sendall(associate_rq(CONTEXTS))
    assert [newcomer.recv(1) for newcomer in newcomers] == [b"\x02"] * 3
    eventually(lambda: sum(map(_spoken_to, idle)) == 3)
    assert sorted(_ended(sender) for sender in idle) == [False, True, True, True]
    for connection in newcomers + [sender.socket for sender in idle]:
        connection.close()


def _spoken_to(sender: Sender) -> bool:
    """Whether something waits to be read."""
    return bool(select.select([sender.socket], [], [], 0)[0])


def _ended(sender: Sender) -> bool:
    """Whether this association was told A-ABORT; one that was not must still answer."""
    if _spoken_to(sender):
        return sender.read_pdu()[:1] == b"\x07"
    assert sender.echo(3) == 0
    return False


def test_busy_places_are_kept_and_a_newcomer_is_told_to_come_later(listen) -> None:
    running = listen(max_associations=2, spare_idle_s=600)
    busy = [Sender(running.address, CONTEXTS) for _ in range(2)]
    with pytest.raises(Rejected) as rejection:
        Sender(running.address, CONTEXTS)
    assert rejection.value.pdu == bytes.fromhex("03000000000400020302")  # transient, local limit exceeded
    for sender in busy:
        assert sender.release()[:1] == b"\x06"


def test_one_address_cannot_take_all_places(listen) -> None:
    running = listen(max_associations=10, max_associations_per_address=2, spare_idle_s=600)
    busy = [Sender(running.address, CONTEXTS) for _ in range(2)]
    with pytest.raises(Rejected) as rejection:
        Sender(running.address, CONTEXTS)
    assert rejection.value.pdu == bytes.fromhex("03000000000400020302")  # transient, local limit exceeded
    with Sender(running.address, CONTEXTS, source="127.0.0.2") as neighbour:
        assert neighbour.echo(3) == 0
    for sender in busy:
        assert sender.echo(3) == 0
        sender.close()


def test_memory_of_an_association_in_mid_object_stays_under_a_megabyte(own_process, eventually) -> None:
    process = own_process(fsync=False)
    honest(process.address)
    before = process.rss_mb()
    half = pdata(1, data_set(CT_IMAGE, "1.2.3", 1_500_000), is_command=False, last=False)
    busy = [Sender(process.address, CONTEXTS) for _ in range(30)]
    for sender in busy:
        sender.socket.sendall(pdata(1, store_rq(CT_IMAGE, "1.2.3"), is_command=True) + half)
    written = 1_490_000 - BUFFER_BYTES  # the rest waits in memory for more
    eventually(lambda: sum(path.stat().st_size >= written for path in process.spool.rglob("*.part")) == len(busy))
    assert (process.rss_mb() - before) / len(busy) < 1
    honest(process.address)
    for sender in busy:
        sender.close()


def test_a_drip_of_one_byte_at_a_time_ends_in_bounded_time(listen) -> None:
    running = listen(negotiation_timeout_s=0.6, slow_grace_s=0.5, minimum_rate=1000.0)
    request = associate_rq(CONTEXTS)

    def drip(connection: socket.socket, data: bytes) -> float:
        started = time.monotonic()
        try:
            for byte in data:
                connection.sendall(bytes((byte,)))
                time.sleep(0.02)
        except OSError:
            pass  # cut off
        return time.monotonic() - started

    message = pdata(1, store_rq(CT_IMAGE, "1.2.3"), is_command=True) + pdata(1, b"\0" * 5000, is_command=False)

    def both() -> float:
        before = connect(running.address)
        times: list[float] = []
        dripping = threading.Thread(target=lambda: times.append(drip(before, request)))
        dripping.start()
        sender = Sender(running.address, CONTEXTS)
        times.append(drip(sender.socket, message))
        honest(running.address)
        dripping.join()
        before.close()
        sender.close()
        return max(times)

    assert quickest(both, 4) < 4
    assert running.parts() == []


def test_silence_in_an_association_ends_in_an_abort(listen) -> None:
    running = listen(idle_timeout_s=0.3)
    sender = Sender(running.address, CONTEXTS)
    assert answer(sender.socket)[:1] == b"\x07"
    assert running.listener.metrics()["associations_lost"] == 1


def test_a_peer_that_takes_no_answers_is_dropped(listen, eventually) -> None:
    running = listen(idle_timeout_s=0.5)
    connection = connect(running.address)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.settimeout(0.5)
    connection.sendall(associate_rq(CONTEXTS))
    echo = pdata(3, command({0x0002: VERIFICATION, 0x0100: 0x30, 0x0110: 1, 0x0800: 0x0101}), is_command=True)
    try:
        for _ in range(2000):
            connection.sendall(echo * 50)
    except OSError:
        pass  # both directions are full
    honest(running.address)
    eventually(lambda: running.listener.metrics()["associations_now"] == 0)
    connection.close()


def test_path_traversal_in_uids_is_refused_and_escapes_nowhere(listen) -> None:
    running = listen()
    for bad in ("../../evil", "/tmp/evil", "..", "1.2.3/../../x", "", "1.2." + "9" * 80):
        with Sender(running.address, CONTEXTS) as sender:
            assert sender.store(CT_IMAGE, bad, data_set(CT_IMAGE, "1.2.3", 500)) == 0x0117
            assert sender.echo(3) == 0
    outside = list(running.spool.root.parent.rglob("*evil*"))
    assert outside == [] and running.spool.counts()["received"] == 0


def test_random_bytes(listen) -> None:
    running = listen(negotiation_timeout_s=0.5, idle_timeout_s=0.5)
    rng = random.Random(7)
    for number in range(60):
        connection = connect(running.address) if number % 2 else Sender(running.address, CONTEXTS).socket
        try:
            connection.sendall(rng.randbytes(4096))
        except OSError:
            pass  # cut off already
        connection.close()
    honest(running.address)
    assert running.parts() == []
