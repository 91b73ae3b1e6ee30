"""Archives that answer without end, answer something else, or send what is no answer at all: bounded, told, survived."""

from __future__ import annotations

import io
import itertools
import random
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import psutil
import pydicom
import pytest
from pydicom.dataset import Dataset
from pynetdicom import AE, evt
from pynetdicom.pdu import A_ASSOCIATE_AC
from pynetdicom.sop_class import (
    CTImageStorage,
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
)

from dose_audit.retrieve import ArchiveError, ArchiveSettings, open_archive, retrieve
from dose_audit.retrieve.entries import Instance, Window
from dose_audit.retrieve.find import find_studies
from tests.patience import LONG_S, quickest, seconds
from tests.receive.leftovers import unfinished
from tests.retrieve.held import CT_IMAGE, DAY_1, as_file, image

Serve = Callable[..., ArchiveSettings]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """An archive made of pynetdicom handlers."""
    servers = []

    def start(find: Callable | None = None, get: Callable | None = None, **more: Any) -> ArchiveSettings:
        entity = AE("FAKE")
        entity.add_supported_context(StudyRootQueryRetrieveInformationModelFind)
        entity.add_supported_context(StudyRootQueryRetrieveInformationModelGet)
        entity.add_supported_context(CTImageStorage, scu_role=True, scp_role=True)
        entity.maximum_pdu_size = 0
        handlers = [(kind, handler) for kind, handler in ((evt.EVT_C_FIND, find), (evt.EVT_C_GET, get)) if handler]
        server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
        servers.append(server)
        row = {"aet": "FAKE", "host": "127.0.0.1", "port": server.server_address[1], "pause_s": 0, "timeout_s": 20}
        return ArchiveSettings(**{"name": "fake", "method": "get", **row, **more})

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def study(uid: str, **more: Any) -> Dataset:
    data = Dataset()
    data.QueryRetrieveLevel = "STUDY"
    data.add_new("StudyInstanceUID", "UI", None)
    data["StudyInstanceUID"]._value = uid  # pydicom would not let it pass
    for keyword, value in more.items():
        setattr(data, keyword, value)
    return data


def ask(settings: ArchiveSettings):
    with open_archive(settings) as archive:
        return archive.studies(Window(DAY_1), "CT")


def test_answers_without_end_are_cut_off(serve) -> None:
    def forever(event) -> Iterator:
        for number in itertools.count():
            if event.is_cancelled or not event.assoc.is_established:
                return
            yield 0xFF00, study(f"1.2.{number}")

    def cut_off() -> None:
        answers = ask(serve(forever, max_answers=200))
        assert answers.truncated and len(answers.entries) == 200

    assert quickest(lambda: seconds(cut_off), 20) < 20


def test_the_same_answer_for_ever_is_cut_off(serve) -> None:
    def forever(event) -> Iterator:
        while event.assoc.is_established:
            yield 0xFF00, study("1.2.3")

    answers = ask(serve(forever, max_answers=100))
    assert answers.truncated and [entry.study_instance_uid for entry in answers.entries] == ["1.2.3"]


def test_a_period_goes_on_after_an_endless_day(serve) -> None:
    def forever_on_the_first(event) -> Iterator:
        if event.identifier.StudyDate != f"{DAY_1:%Y%m%d}":
            yield 0xFF00, study("1.9", StudyDate=event.identifier.StudyDate)
            return
        for number in itertools.count():
            if not event.assoc.is_established:
                return
            yield 0xFF00, study(f"1.2.{number}")

    settings = serve(forever_on_the_first, max_answers=2)
    with open_archive(settings) as archive:
        found = find_studies(archive, DAY_1, DAY_1.replace(day=DAY_1.day + 1), ["CT"])
    assert found.truncated == [(DAY_1, "CT")] and "1.9" in {entry.study_instance_uid for entry in found.studies}


def test_impossible_answers_are_left_out_and_counted(serve) -> None:
    huge = "1." + "2" * 4000
    answers_sent = [
        study("../../../etc/passwd"),
        study(""),
        study(huge),
        study("1.2.3", StudyDate="19990101"),
        study("1.2.4", ModalitiesInStudy=["MR", "US"]),
        study("1.2.5", StudyDate=f"{DAY_1:%Y%m%d}", ModalitiesInStudy=["CT", "SR"], StationName="CT9"),
    ]

    def some(event) -> Iterator:
        for answer in answers_sent:
            yield 0xFF00, answer

    answers = ask(serve(some))
    [entry] = answers.entries
    assert (entry.study_instance_uid, entry.station_name, entry.modalities) == ("1.2.5", "CT9", ("CT", "SR"))
    assert answers.left_out == {
        "no valid Study Instance UID": 3,
        "study of another day": 1,
        "study of another modality": 1,
    }


def test_series_and_instances_of_another_study_are_left_out(serve) -> None:
    def some(event) -> Iterator:
        for uid in ("1.2.3", "6.6.6"):
            answer = study(uid)
            answer.SeriesInstanceUID, answer.SOPInstanceUID, answer.Modality = f"{uid}.1", f"{uid}.1.1", "CT"
            yield 0xFF00, answer

    with open_archive(serve(some)) as archive:
        series, instances = archive.series("1.2.3"), archive.instances("1.2.3", "1.2.3.1")
    assert [one.series_instance_uid for one in series.entries] == ["1.2.3.1"]
    assert [one.sop_instance_uid for one in instances.entries] == ["1.2.3.1.1"]
    assert series.left_out == {"series of another study": 1} and instances.left_out == {"instance of another study": 1}


@pytest.mark.parametrize(("status", "told"), [(0xA900, "0xA900"), (0xC001, "0xC001"), (0x0122, "0x0122")])
def test_a_refused_query_is_told_with_its_status(serve, status, told) -> None:
    def refuse(event) -> Iterator:
        yield status, None

    with pytest.raises(ArchiveError, match=told):
        ask(serve(refuse))


@pytest.mark.parametrize("status", [0xA700, 0xFE00])
def test_answers_that_were_kept_back_are_known_to_be(serve, status) -> None:
    def some(event) -> Iterator:
        yield 0xFF00, study("1.2.3")
        yield status, None

    answers = ask(serve(some))
    assert answers.truncated and len(answers.entries) == 1


def wanted(study_number: int, number: int) -> Instance:
    data = image(study_number, 1, number, sop_class=CT_IMAGE, modality="CT", station="CT1", day=DAY_1)
    return Instance(data.StudyInstanceUID, data.SeriesInstanceUID, data.SOPInstanceUID, CT_IMAGE)


def sending(*pictures: Dataset) -> Callable:
    def get(event) -> Iterator:
        yield len(pictures)
        for picture in pictures:
            yield 0xFF00, picture

    return get


def picture(study_number: int, number: int, **more: Any) -> Dataset:
    data = image(study_number, 1, number, sop_class=CT_IMAGE, modality="CT", station="CT1", day=DAY_1)
    for keyword, value in more.items():
        setattr(data, keyword, value)
    return pydicom.dcmread(io.BytesIO(as_file(data)))


def test_objects_that_nobody_asked_for_are_not_kept(serve, spool, in_spool) -> None:
    asked, unasked = picture(1, 1), picture(66, 6)
    with open_archive(serve(get=sending(unasked, asked))) as archive:
        delivery = archive.fetch([wanted(1, 1)], spool)
    assert delivery.unasked == 1 and in_spool() == {asked.SOPInstanceUID}


def test_an_object_too_long_ends_the_association_and_leaves_nothing(serve, spool, in_spool) -> None:
    big = picture(1, 1, PixelData=bytes(3_000_000))
    with open_archive(serve(get=sending(big), max_object_bytes=500_000)) as archive:
        try:
            problem = archive.fetch([wanted(1, 1)], spool).problem
        except ArchiveError as error:
            problem = str(error)
    assert "more bytes" in problem
    assert not in_spool() and not unfinished(spool.root)


def test_an_object_of_another_study_is_kept_and_told(serve, spool, journal, in_spool) -> None:
    """It has the SOP Instance UID that was asked for; its data set names a study that nobody spoke of."""

    def find(event) -> Iterator:
        level = event.identifier.QueryRetrieveLevel
        answer = study("1.2.826.0.1.3680043.10.999.1", Modality="CT", ModalitiesInStudy=["CT"])
        if level != "STUDY":
            answer.SeriesInstanceUID = wanted(1, 1).series_instance_uid
        if level == "IMAGE":
            answer.SOPInstanceUID, answer.SOPClassUID = wanted(1, 1).sop_instance_uid, CT_IMAGE
        yield 0xFF00, answer

    settings = serve(find, sending(picture(1, 1, StudyInstanceUID="6.6.6")), modalities=("CT",))
    with open_archive(settings) as archive:
        summary = retrieve(settings, archive, spool, journal, DAY_1, DAY_1)
    assert (summary.fetched, summary.other_study) == (1, 1) and len(in_spool()) == 1


# -- below DICOM: a server made of bytes --------------------------------------------------------------------------


@pytest.fixture
def raw() -> Iterator[Callable[[Callable[[socket.socket], None]], ArchiveSettings]]:
    """A server that gives each connection to a function of bytes."""
    listening = socket.create_server(("127.0.0.1", 0))
    threads: list[threading.Thread] = []
    open_ones: list[socket.socket] = []

    def start(talk: Callable[[socket.socket], None]) -> ArchiveSettings:
        def accept() -> None:
            try:
                connection, _ = listening.accept()
            except OSError:
                return  # the test is over
            open_ones.append(connection)
            try:
                talk(connection)
            except OSError:
                pass  # the other side has hung up: that is what is tested

        threads.append(threading.Thread(target=accept, daemon=True))
        threads[-1].start()
        port = listening.getsockname()[1]
        return ArchiveSettings("raw", "get", aet="RAW", host="127.0.0.1", port=port, pause_s=0, timeout_s=1.0,
                               transfer_timeout_s=2.0)  # fmt: skip

    yield start
    for connection in (listening, *open_ones):
        with suppress(OSError):  # the other side has gone already, or nobody called
            connection.shutdown(socket.SHUT_RDWR)  # wakes the thread, which closing alone does not
    for thread in threads:
        thread.join(LONG_S)
        assert not thread.is_alive()
    for connection in (listening, *open_ones):
        connection.close()


def accept_association(connection: socket.socket) -> None:
    """Accept whatever is proposed first: the C-FIND context, in Implicit VR."""
    from pynetdicom.pdu_primitives import A_ASSOCIATE, MaximumLengthNotification
    from pynetdicom.presentation import PresentationContext

    head = connection.recv(6, socket.MSG_WAITALL)
    connection.recv(struct.unpack(">I", head[2:])[0], socket.MSG_WAITALL)
    reply = A_ASSOCIATE()
    reply.application_context_name = "1.2.840.10008.3.1.1.1"
    reply.calling_ae_title, reply.called_ae_title = "DOSEAUDIT", "RAW"
    reply.result, reply.result_source = 0, 1
    context = PresentationContext()
    context.context_id, context.result = 1, 0
    context.transfer_syntax = ["1.2.840.10008.1.2"]
    reply.presentation_context_definition_results_list = [context]
    length = MaximumLengthNotification()
    length.maximum_length_received = 16_384
    reply.user_information = [length]
    pdu = A_ASSOCIATE_AC()
    pdu.from_primitive(reply)
    connection.sendall(pdu.encode())
    head = connection.recv(6, socket.MSG_WAITALL)  # the first P-DATA of our question
    connection.recv(struct.unpack(">I", head[2:])[0], socket.MSG_WAITALL)


def flood(connection: socket.socket, head: bytes) -> None:
    connection.sendall(head)
    while True:
        connection.sendall(bytes(1 << 16))


def long_acceptance(connection: socket.socket) -> None:
    flood(connection, struct.pack(">BBI", 2, 0, 0xFFFFFFF0))


def long_answer(connection: socket.socket) -> None:
    accept_association(connection)
    flood(connection, struct.pack(">BBI", 4, 0, 0xFFFFFFF0))


def endless_command(connection: socket.socket) -> None:
    """A command set in ever more fragments, each well formed."""
    accept_association(connection)
    fragment = struct.pack(">BBIIBB", 4, 0, 60_006, 60_002, 1, 1) + bytes(60_000)
    while True:
        connection.sendall(fragment)


def drip(connection: socket.socket) -> None:
    accept_association(connection)
    connection.sendall(struct.pack(">BBI", 4, 0, 1000))
    for _ in range(100):
        time.sleep(0.1)
        connection.sendall(b"\0")


def silence(connection: socket.socket) -> None:
    accept_association(connection)
    connection.recv(1)


def noise(connection: socket.socket) -> None:
    accept_association(connection)
    connection.sendall(random.Random(1).randbytes(5000))


@pytest.mark.parametrize("talk", [long_acceptance, long_answer, endless_command, drip, silence, noise])
def test_bytes_that_are_no_answer_end_in_one_error_within_bounds(raw, talk) -> None:
    process = psutil.Process()
    before = process.memory_info().rss

    def refused() -> None:
        with pytest.raises(ArchiveError):
            ask(raw(talk))

    assert quickest(lambda: seconds(refused), 12) < 12
    assert process.memory_info().rss - before < 200e6
